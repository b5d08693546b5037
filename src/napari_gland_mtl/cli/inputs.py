"""What the command line's paths mean: folders, patterns, parts of images, and where output goes."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import InvalidInputError, OutputNotWritableError

Box = tuple[int, int, int, int]


def expand(inputs: Iterable[Path]) -> list[Path]:
    """The images that are meant, each once.

    A folder stands for the images in it, a pattern such as ``slides/*.svs`` for what it matches:
    quoted, it reaches a cluster's client even where the list would be too long for a shell.
    Results of this program are left out of both.

    Raises
    ------
    InvalidInputError
        If a folder holds no image, or a pattern matches nothing.
    """
    paths: dict[Path, None] = {}
    for path in inputs:
        paths.update(dict.fromkeys(_meant(path)))
    return list(paths)


def _meant(path: Path) -> list[Path]:
    from ..slides import is_slide_path

    if path.exists() or not glob.has_magic(str(path)):
        if not path.is_dir() or is_slide_path(path):
            return [path]
        inside = _images(path.iterdir())
        if not inside:
            raise InvalidInputError(f"The folder {path} holds no image that can be read.")
        return inside
    matches = [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207
    images = _images(matches)
    if not images:
        raise InvalidInputError(f"Nothing matches {path} that can be read as an image.")
    return images


def _images(paths: Iterable[Path]) -> list[Path]:
    from ..export.ome_zarr import is_segmentation
    from ..export.slide_store import is_slide_store
    from ..slides import is_slide_path

    return sorted(
        path
        for path in paths
        if is_slide_path(path) and not (is_slide_store(path) or is_segmentation(path))
    )


def check_there(paths: Sequence[Path]) -> None:
    """Find out before anything is loaded or made whether there is an image at all.

    Raises
    ------
    InvalidInputError
        If none of the files exists. Of several, those that are missing are reported each in its
        turn, and the others are done.
    """
    if any(path.exists() for path in paths):
        return
    names = ", ".join(str(path) for path in paths[:3])
    if len(paths) == 1:
        raise InvalidInputError(f"There is no file or folder {names}. Check its name.")
    more = " ..." if len(paths) > 3 else ""
    raise InvalidInputError(
        f"None of the {len(paths)} images exists: {names}{more}. Check their names."
    )


def check_names(paths: Iterable[Path], folder: Path) -> None:
    """Find out before the work whether two images would be written to the same place.

    Raises
    ------
    InvalidInputError
        If two have one name; on some drives ``A`` and ``a`` are one name, too.
    """
    from ..slides.formats import slide_name

    seen: dict[str, Path] = {}
    for path in paths:
        name = slide_name(path)
        other = seen.setdefault(name.casefold(), path)
        if other != path:
            raise InvalidInputError(
                f"{other} and {path} would both be written to {folder / name}.ome.zarr. Segment "
                "them into different folders."
            )


def make_writable(folder: Path) -> None:
    """Make an output folder, and find out before the work whether it can be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritableError(
            f"The output folder {folder} cannot be made ({error.strerror}). Choose another one."
        ) from error
    try:
        # Permissions do not tell of read-only discs and full ones, nor root of permissions.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputNotWritableError(
            f"The output folder {folder} cannot be written to ({error.strerror}). Choose another "
            f"one with -o."
        ) from error


REGION = "--region"


def join_regions(arguments: Sequence[str]) -> list[str]:
    """Make one value of the numbers after every ``--region``, so that it may be repeated."""
    joined: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        joined.append(argument)
        if argument != REGION:
            continue
        numbers: list[str] = []
        while rest and len(numbers) < 4 and _is_number(rest[0]):
            numbers.append(rest.pop(0))
        joined.append(" ".join(numbers))
    return joined


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def parse_regions(texts: Iterable[str]) -> list[Box]:
    """``"Y0 X0 Y1 X1"`` as numbers."""
    return [_box(text) for text in texts]


def _box(text: str) -> Box:
    try:
        y0, x0, y1, x1 = (int(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise InvalidInputError(
            f"{REGION} takes four whole numbers, Y0 X0 Y1 X1, in px of the full resolution; got "
            f"{text!r}."
        ) from None
    if y1 <= y0 or x1 <= x0:
        raise InvalidInputError(
            f"The region y {y0} to {y1}, x {x0} to {x1} px is empty: Y1 must be larger than Y0, "
            "and X1 than X0."
        )
    return y0, x0, y1, x1
