"""The GlaS (Warwick-QU) data set as it is downloaded.

``train_N.bmp``, ``testA_N.bmp``, ``testB_N.bmp`` with gland instances in ``*_anno.bmp`` and
``Grade.csv``, whose lines end in CR alone and whose fields carry spaces. Sizes differ between
images, some masks hold specks of a few pixels, some are binary. The lumen is not annotated and
is derived from the stain. 20x, 0.62005 um/px.

K. Sirinukunwattana et al., "Gland segmentation in colon histology images: The GlaS challenge
contest", Medical Image Analysis 35 (2017). Research use only.
"""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

from ..errors import DatasetError
from ..slides import open_slide
from .class_table import read_lines
from .dataset import UNKNOWN_CLASS, Annotation, Dataset, Record, natural_key
from .folder_layout import check_mpp, check_sizes, read_header, require_same_size
from .lumen import derive_regions
from .masks import MASK_ENDINGS, instances_of, read_mask, without_specks

GLAS_MPP = 0.62005
GLAS_CLASSES = ("benign", "malignant")
GLAS_SPLITS = ("train", "testA", "testB")
GLAS_LICENCE = (
    "Research use only, no commercial use: trained on GlaS (Warwick-QU), whose terms these are. "
    "Cite K. Sirinukunwattana et al., Medical Image Analysis 35, 2017, and K. Sirinukunwattana "
    "et al., IEEE Transactions on Medical Imaging 34, 2015."
)
MASK_SUFFIX = "_anno"


def is_glas(folder: Path) -> bool:
    """Whether a folder looks like GlaS: a Grade.csv or images with ``_anno`` masks."""
    return (folder / "Grade.csv").is_file() or any(folder.glob(f"*{MASK_SUFFIX}.*"))


def read_grades(path: Path) -> dict[str, tuple[str, str]]:
    """Class and patient of every image in a ``Grade.csv``.

    Returns
    -------
    dict
        Image name -> (class, patient), e.g. ``{"train_1": ("malignant", "2")}``.

    Raises
    ------
    DatasetError
        If a line has fewer than three fields or an unknown class.
    """
    grades: dict[str, tuple[str, str]] = {}
    for number, fields in enumerate(csv.reader(read_lines(path)[1:]), 2):
        values = [field.strip() for field in fields]
        if not any(values):
            continue
        if len(values) < 3 or values[2].lower() not in GLAS_CLASSES:
            raise DatasetError(
                f"{path}, line {number}: expected 'name, patient, benign|malignant, …', "
                f"got {', '.join(values)!r}."
            )
        grades[values[0]] = (values[2].lower(), values[1])
    return grades


def _read(image_path: Path, mask_path: Path, mpp: float) -> Annotation:
    with open_slide(image_path) as slide:
        image = slide.read()
    mask = read_mask(mask_path)
    require_same_size(image_path, image.shape[:2], mask_path, mask.shape)
    instances = without_specks(instances_of(mask))
    return image, derive_regions(image, instances, mpp), instances


def open_glas(folder: Path | str, split: str | None = None, mpp: float | None = None) -> Dataset:
    """Open a GlaS folder.

    Parameters
    ----------
    folder : path
        With the images, their ``_anno`` masks and ``Grade.csv``.
    split : {"train", "testA", "testB", "test"}, optional
        Which images, by the beginning of their names; all if left out. "test" is both parts.
    mpp : float, optional
        Micrometres per pixel, where the images were resized; 0.62005 if left out.

    Raises
    ------
    DatasetError
        If the folder holds no such images, a mask is missing or of another size, or the grades
        are unreadable.
    UnreadableImageError
        If an image or a mask is damaged.
    """
    folder = Path(folder)
    check_mpp(mpp)
    mpp = mpp or GLAS_MPP
    grades_path = folder / "Grade.csv"
    grades = read_grades(grades_path) if grades_path.is_file() else {}
    pairs = _find_pairs(folder, _prefixes(split))
    for image, mask in pairs.values():
        check_sizes(image, read_header(image).size, mask)
    records = []
    for name, (image, mask) in pairs.items():
        kind, patient = grades.get(name, (None, None))
        records.append(
            Record(
                name=name,
                class_index=UNKNOWN_CLASS if kind is None else GLAS_CLASSES.index(kind),
                patient=patient,
                mpp=mpp,
                read=partial(_read, image, mask, mpp),
            )
        )
    known = sum(record.class_index != UNKNOWN_CLASS for record in records)
    description = (
        f"GlaS, {len(records)} images at {mpp:g} um/px, {known} with class and patient; "
        "gland instances; lumen derived from the stain"
    )
    return Dataset(tuple(records), GLAS_CLASSES, description, GLAS_LICENCE)


def _prefixes(split: str | None) -> tuple[str, ...]:
    if split is None:
        return GLAS_SPLITS
    if split == "test":
        return ("testA", "testB")
    if split not in GLAS_SPLITS:
        raise DatasetError(f"GlaS has the splits train, testA, testB and test, not {split!r}.")
    return (split,)


def _find_pairs(folder: Path, prefixes: tuple[str, ...]) -> dict[str, tuple[Path, Path]]:
    """Image and mask of every name that begins so, in natural order."""
    files = {
        path.stem: path
        for path in folder.iterdir()
        if path.suffix.lower() in MASK_ENDINGS and not path.name.startswith(".")
    }
    names = [
        name
        for name in sorted(files, key=natural_key)
        if name.split("_")[0] in prefixes and not name.endswith(MASK_SUFFIX)
    ]
    if not names:
        expected = ", ".join(f"{prefix}_N.bmp" for prefix in prefixes)
        raise DatasetError(f"{folder} holds no GlaS images named {expected}.")
    missing = [name for name in names if name + MASK_SUFFIX not in files]
    if missing:
        raise DatasetError(
            f"No mask {missing[0]}{MASK_SUFFIX}.bmp in {folder} ({len(missing)} missing)."
        )
    return {name: (files[name], files[name + MASK_SUFFIX]) for name in names}
