"""Find images and their masks in a folder, and complain before any pixel is read.

Known are ``images/`` with ``masks/`` beside it (and the usual other names), once in the folder
itself or once in each of several subfolders, which are then the classes (EBHI-Seg).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import DatasetError, InvalidInputError
from ..slides import Slide, is_slide_path, open_slide, plausible_mpp
from ..slides.formats import slide_name
from .dataset import natural_key
from .masks import MASK_ENDINGS, mask_size

IMAGE_FOLDERS = ("images", "image", "img", "imgs")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "annotation")
SPLIT_FOLDERS = ("train", "training", "val", "valid", "validation", "test", "testing")
EXPECTED = "images/ and masks/ (or image/ and label/), or subfolders of one class each with those"


@dataclass(frozen=True)
class Pair:
    """An image file and its mask.

    Attributes
    ----------
    name : str
        The image's name without ending, with the subfolder in front where it is there twice.
    image, mask : Path
    group : str or None
        The subfolder, where each class has one.
    """

    name: str
    image: Path
    mask: Path
    group: str | None

    @property
    def stem(self) -> str:
        """The image's name without ending and without the subfolder."""
        return slide_name(self.image)


@dataclass(frozen=True)
class Header:
    """What an image file says of itself: height and width, um/px or why there is none."""

    size: tuple[int, int]
    mpp: float | None
    mpp_note: str | None


def is_image_folder(folder: Path) -> bool:
    """Whether a folder has images and masks, itself or in its subfolders."""
    return bool(_parts(folder) or _grouped_parts(folder))


def find_pairs(folder: Path) -> tuple[list[Pair], int]:
    """Images with their masks, in natural order, and the number of masks without an image.

    Raises
    ------
    DatasetError
        If the folder is laid out otherwise or empty, a mask is missing, or a name repeats.
    """
    parts = _parts(folder)
    groups = [(None, *parts)] if parts else _grouped_parts(folder)
    if not groups:
        raise DatasetError(
            f"{folder} is no data set that is known: looked for {EXPECTED}, and for annotations "
            f"made in napari (NAME.annotations.zarr); found {_listing(folder)}."
        )
    names = [group for group, *_ in groups if group is not None]
    if names and all(name.lower() in SPLIT_FOLDERS for name in names):
        raise DatasetError(
            f"{folder} is in parts ({', '.join(names)}); say which with --split, "
            "or give the folder of one part."
        )
    pairs: list[Pair] = []
    unused = 0
    for group, images, masks in groups:
        found, left = _pairs_of(group, images, masks)
        pairs += found
        unused += left
    return _with_unique_names(pairs), unused


def check_mpp(mpp: float | None) -> None:
    """Raise InvalidInputError if a pixel size is given that no microscope has."""
    if mpp is not None and plausible_mpp(mpp) is None:
        raise InvalidInputError(
            f"A pixel size of {mpp:g} um is not possible here: give micrometres per pixel, as "
            "0.5 for a 20x scan."
        )


def read_header(image: Path) -> Header:
    """Size and pixel size of an image, its pixels not decoded."""
    with open_slide(image) as slide:
        return _header(slide)


def check_sizes(image: Path, size: tuple[int, int], mask: Path) -> None:
    """Compare a mask's header with its image's size (height, width).

    Raises
    ------
    DatasetError
        If they differ; names both.
    UnreadableImageError
        If the mask is no image.
    """
    require_same_size(image, size, mask, mask_size(mask))


def require_same_size(
    image: Path, size: tuple[int, int], mask: Path, found: tuple[int, ...]
) -> None:
    """Raise DatasetError unless an image and its mask have one height and width."""
    if found != size:
        raise DatasetError(
            f"{mask} is {found[1]} x {found[0]} px, its image {image.name} {size[1]} x {size[0]} "
            "px (width x height). They must be the same: export the mask again at the image's "
            "size."
        )


def _header(slide: Slide) -> Header:
    level = slide.levels[0]
    return Header((level.height, level.width), slide.mpp, slide.mpp_note)


def _visible(folder: Path) -> list[Path]:
    """What a folder holds, without hidden files, in natural order."""
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX"))]
    except OSError as error:
        raise DatasetError(f"{folder} cannot be read ({error.strerror or error}).") from error
    return sorted(found, key=lambda path: natural_key(path.name))


def _subfolder(folder: Path, names: Collection[str]) -> Path | None:
    found = [path for path in _visible(folder) if path.is_dir() and path.name.lower() in names]
    if len(found) > 1:
        both = " and ".join(f"{path.name}/" for path in found)
        raise DatasetError(f"{folder} has both {both}; keep the one that is meant.")
    return found[0] if found else None


def _parts(folder: Path) -> tuple[Path, Path] | None:
    images = _subfolder(folder, IMAGE_FOLDERS)
    if images is None:
        return None
    masks = _subfolder(folder, MASK_FOLDERS)
    if masks is None:
        raise DatasetError(
            f"{folder} has {images.name}/ but no folder of masks beside it "
            f"({', '.join(f'{name}/' for name in MASK_FOLDERS[:4])})."
        )
    return images, masks


def _grouped_parts(folder: Path) -> list[tuple[str | None, Path, Path]]:
    found: list[tuple[str | None, Path, Path]] = []
    for child in _visible(folder):
        parts = _parts(child) if child.is_dir() else None
        if parts is not None:
            found.append((child.name, *parts))
    return found


def _by_name(paths: Iterable[Path], wanted: Callable[[Path], bool]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if not wanted(path):
            continue
        other = found.setdefault(slide_name(path), path)
        if other is not path:
            raise DatasetError(
                f"{other.name} and {path.name} in {path.parent} have the same name; keep one."
            )
    return found


def _is_mask(path: Path) -> bool:
    return path.suffix.lower() in MASK_ENDINGS


def _pairs_of(group: str | None, images: Path, masks: Path) -> tuple[list[Pair], int]:
    found = _by_name(_visible(images), is_slide_path)
    if not found:
        raise DatasetError(f"{images} holds no image; it has {_listing(images)}.")
    answers = _by_name(_visible(masks), _is_mask)
    missing = [name for name in found if name not in answers]
    if missing:
        others = f" ({len(missing)} of {len(found)} are missing)" if len(missing) > 1 else ""
        raise DatasetError(
            f"{found[missing[0]]} has no mask: expected {masks.name}/{missing[0]}.png (or "
            f"{', '.join(MASK_ENDINGS[1:4])}){others}; {masks.name}/ has {_listing(masks)}."
        )
    pairs = [Pair(name, path, answers[name], group) for name, path in found.items()]
    return pairs, len(answers.keys() - found.keys())


def _with_unique_names(pairs: list[Pair]) -> list[Pair]:
    """Put the subfolder in front of a name that another subfolder has, too."""
    counts = Counter(pair.name for pair in pairs)
    return [
        replace(pair, name=f"{pair.group}/{pair.name}") if counts[pair.name] > 1 else pair
        for pair in pairs
    ]


def _listing(folder: Path) -> str:
    """The first few things in a folder, for a message."""
    names = [f"{path.name}/" if path.is_dir() else path.name for path in _visible(folder)]
    if not names:
        return "nothing"
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def existing_folder(path: Path | str) -> Path:
    """The path of a folder.

    Raises
    ------
    DatasetError
        If there is none, or it is a file.
    """
    folder = Path(path)
    if not folder.exists():
        raise DatasetError(f"There is no folder {folder}. Check its name.")
    if not folder.is_dir():
        raise DatasetError(f"{folder} is a file; a data set is a folder of images and masks.")
    return folder
