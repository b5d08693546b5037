"""A folder of images with a folder of masks, from whatever tool they come.

Everything that can be wrong is looked for when the folder is opened: the layout, missing masks,
sizes (from the headers), pixel sizes, the kind of masks. Pixels of images are read one sample at
a time. What was found is said in the data set's description.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import DatasetError, InvalidInputError, MissingPixelSizeError
from ..regions import GLAND_REGIONS, RegionHierarchy
from ..slides import open_slide
from .class_table import TABLE_NAME, ClassRow, read_class_table
from .dataset import UNKNOWN_CLASS, Annotation, Dataset, Record, natural_key
from .folder_layout import (
    Header,
    Pair,
    check_mpp,
    check_sizes,
    find_pairs,
    read_header,
    require_same_size,
)
from .lumen import derive_regions
from .mask_kinds import FoundMasks, MaskOption, summarise, tell_masks_apart
from .masks import instances_of, read_mask, without_specks


def open_folder(
    folder: Path | str,
    mpp: float | None = None,
    masks: MaskOption = "auto",
    hierarchy: RegionHierarchy = GLAND_REGIONS,
) -> Dataset:
    """Open a folder of images and masks.

    Parameters
    ----------
    folder : path
        With ``images/`` and ``masks/``, or ``image/`` and ``label/``, whose files have the same
        names up to the ending; or with one subfolder for each class, laid out so. A
        ``labels.csv`` with the columns image, class and, if known, patient may lie beside.
    mpp : float, optional
        Micrometres per pixel of all images, in place of what the files say.
    masks : {"auto", "binary", "instances", "regions"}
        What the masks hold. "auto" looks at all of them and says in the description what it
        found. Binary and instance masks outline whole glands; their lumen is derived from the
        stain.
    hierarchy : RegionHierarchy
        The codes of region masks.

    Raises
    ------
    DatasetError
        If the layout is not understood, images or masks are missing, differ in size, or may be
        instances as well as regions.
    MissingPixelSizeError
        If `mpp` is not given and a file does not say its pixel size.
    UnreadableImageError
        If an image or a mask is damaged.
    InvalidInputError
        If `mpp` is no pixel size of a microscope.
    """
    folder = Path(folder)
    check_mpp(mpp)
    pairs, unused = find_pairs(folder)
    headers = [read_header(pair.image) for pair in pairs]
    for pair, header in zip(pairs, headers, strict=True):
        check_sizes(pair.image, header.size, pair.mask)
    sizes = _pixel_sizes(pairs, headers, mpp)
    rows, note = _class_rows(folder, pairs)
    found = _look_at_masks(pairs, masks, hierarchy)
    classes = tuple(sorted({row.kind for row in rows if row.kind}, key=natural_key))
    records = tuple(
        Record(
            name=pair.name,
            class_index=classes.index(row.kind) if row.kind else UNKNOWN_CLASS,
            patient=row.patient,
            mpp=size,
            read=partial(_read, pair, size, found, hierarchy),
        )
        for pair, size, row in zip(pairs, sizes, rows, strict=True)
    )
    spare = f"; {unused} masks without an image left out" if unused else ""
    lumen = "" if found.kind == "regions" else ", lumen derived from the stain"
    description = (
        f"{folder.name}: {len(records)} images at {_range(sizes)} um/px; {found.text}{lumen}; "
        f"{_class_text(rows)}{note}{spare}"
    )
    return Dataset(records, classes, description)


def _pixel_sizes(
    pairs: Sequence[Pair], headers: Sequence[Header], mpp: float | None
) -> list[float]:
    known = [mpp or header.mpp for header in headers]
    missing = [index for index, size in enumerate(known) if size is None]
    if missing:
        first = missing[0]
        count = "" if len(missing) == 1 else f" and that of {len(missing) - 1} more images"
        raise MissingPixelSizeError(
            f"The pixel size of {pairs[first].image}{count} is unknown. "
            f"{headers[first].mpp_note or ''} Give it in um per pixel with --mpp (mpp=... in "
            "Python)."
        )
    return [size for size in known if size is not None]


def _class_rows(folder: Path, pairs: Sequence[Pair]) -> tuple[list[ClassRow], str]:
    """Class and patient of each image, and a note on what does not fit."""
    path = folder / TABLE_NAME
    if not path.is_file():
        return [ClassRow(pair.group, None) for pair in pairs], ""
    table = read_class_table(path)
    keys = [(f"{pair.group}/{pair.stem}", pair.stem) for pair in pairs]
    unknown = ClassRow(None, None)
    rows = [table.get(full) or table.get(stem) or unknown for full, stem in keys]
    used = {key for both in keys for key in both}
    strangers = sorted(table.keys() - used, key=natural_key)
    if table and len(strangers) == len(table):
        raise DatasetError(
            f"None of the names in {path} is that of an image; it names {strangers[0]!r}, "
            f"the images are {pairs[0].name!r} and so on."
        )
    if strangers:
        return rows, f"; {len(strangers)} lines of {TABLE_NAME} name no image ({strangers[0]} …)"
    return rows, ""


def _look_at_masks(
    pairs: Sequence[Pair], wanted: MaskOption, hierarchy: RegionHierarchy
) -> FoundMasks:
    if hierarchy != GLAND_REGIONS:
        # Glands can only be split into the three regions that the stain tells apart.
        if wanted not in ("auto", "regions"):
            raise DatasetError(f"With regions of your own, masks must be regions, not {wanted}.")
        wanted = "regions"
    summaries = [summarise(pair.mask, read_mask(pair.mask), hierarchy) for pair in pairs]
    return tell_masks_apart(summaries, wanted, hierarchy)


def _read(pair: Pair, mpp: float, found: FoundMasks, hierarchy: RegionHierarchy) -> Annotation:
    with open_slide(pair.image) as slide:
        image = slide.read()
    mask = read_mask(pair.mask)
    require_same_size(pair.image, image.shape[:2], pair.mask, mask.shape)
    if found.kind == "regions":
        try:
            hierarchy.check_labels(mask)
        except InvalidInputError as error:
            raise DatasetError(f"{pair.mask} is no region mask. {error}") from error
        return image, mask.astype(np.uint8), None
    instances = without_specks(instances_of(mask, found.level))
    return image, derive_regions(image, instances, mpp), instances


def _range(sizes: Sequence[float]) -> str:
    low, high = f"{min(sizes):.4g}", f"{max(sizes):.4g}"
    return low if low == high else f"{low} to {high}"


def _class_text(rows: Sequence[ClassRow]) -> str:
    counts = Counter(row.kind for row in rows)
    unknown = counts.pop(None, 0)
    if not counts:
        return "classes unknown"
    names = sorted((name for name in counts if name), key=natural_key)
    text = "classes " + ", ".join(f"{name} {counts[name]}" for name in names)
    if unknown:
        text += f", unknown {unknown}"
    patients = {row.patient for row in rows if row.patient}
    return f"{text}; {len(patients)} patients" if patients else text
