"""Annotated images, from the folder they lie in to patches on the training device.

``open_dataset`` recognises GlaS, folders of images and masks, and areas annotated in napari; the
result is a sequence of samples that are read one at a time, and says in words what was found.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import DatasetError
from ..regions import GLAND_REGIONS, RegionHierarchy
from .annotated import PARTS, Chosen, annotation_of, find_projects, open_annotated
from .dataset import UNKNOWN_CLASS, Dataset, Origin, Record, Sample, split_dataset
from .folder import open_folder
from .folder_layout import EXPECTED, existing_folder, is_image_folder
from .glas import is_glas, open_glas
from .mask_kinds import MaskOption

__all__ = [
    "UNKNOWN_CLASS",
    "Chosen",
    "Dataset",
    "MaskOption",
    "Record",
    "Sample",
    "annotation_of",
    "open_annotated",
    "open_dataset",
    "open_folder",
    "open_glas",
    "split_dataset",
]


def open_dataset(
    path: Path | str,
    mpp: float | None = None,
    split: str | None = None,
    masks: MaskOption = "auto",
    hierarchy: RegionHierarchy = GLAND_REGIONS,
) -> Dataset:
    """Open a folder of annotated images of a kind that is recognised.

    Parameters
    ----------
    path : path
        GlaS as downloaded; a folder as :func:`open_folder` describes it; a project of annotated
        areas (``NAME.annotations.zarr``), or a folder that holds some.
    mpp : float, optional
        Micrometres per pixel of all images, in place of what the files (or, for GlaS, its
        authors) say.
    split : str, optional
        Part of the data set: the beginning of the names for GlaS (train, testA, testB, test),
        the name of a subfolder otherwise. Of annotated areas those that were put to
        "training", "validation" or "auto".
    masks : {"auto", "binary", "instances", "regions"}
        What the masks of a folder hold; see :func:`open_folder`.
    hierarchy : RegionHierarchy
        The codes of region masks.

    Returns
    -------
    Dataset

    Raises
    ------
    DatasetError
        If there is no such folder or it is not understood; says what was looked for.
    MissingPixelSizeError
        If `mpp` is needed.
    UnreadableImageError
        If an image or mask is damaged.
    InvalidInputError
        If `mpp` is no pixel size of a microscope.

    Examples
    --------
    >>> open_dataset("no such folder")
    Traceback (most recent call last):
        ...
    napari_gland_mtl.errors.DatasetError: There is no folder no such folder. Check its name.
    """
    folder = existing_folder(path)
    found = _opened(folder, mpp, split, masks, hierarchy)
    return replace(found, origin=Origin(str(folder.absolute()), mpp, split, masks))


def _opened(
    folder: Path,
    mpp: float | None,
    split: str | None,
    masks: MaskOption,
    hierarchy: RegionHierarchy,
) -> Dataset:
    if is_glas(folder):
        return open_glas(folder, split, mpp)
    projects = find_projects(folder)
    if projects:
        return _open_projects(projects, mpp, split, masks)
    if split is not None:
        folder = _part(folder, split)
    return open_folder(folder, mpp, masks, hierarchy)


def _open_projects(
    projects: list[Path], mpp: float | None, split: str | None, masks: MaskOption
) -> Dataset:
    if mpp is not None or masks != "auto":
        raise DatasetError(
            f"The areas in {projects[0]} know their um/px and how they were annotated. Leave out "
            "--mpp and --masks."
        )
    chosen = next((part for part in PARTS if part == split), None)
    if split is not None and chosen is None:
        raise DatasetError(f"Annotated areas have the parts {', '.join(PARTS)}, not {split!r}.")
    return open_annotated(projects, part=chosen)


def _part(folder: Path, split: str) -> Path:
    part = folder / split
    if part.parent == folder and part.is_dir() and is_image_folder(part):
        return part
    raise DatasetError(
        f"{folder} has no part {split!r}: there is no subfolder of that name with {EXPECTED}, and "
        "it is not GlaS, whose parts are in the names of the images."
    )
