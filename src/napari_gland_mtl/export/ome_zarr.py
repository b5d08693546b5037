"""A segmentation with its image as one OME-Zarr (NGFF 0.5), and the way back.

``NAME.ome.zarr`` holds the image as a pyramid, ``labels/regions`` and ``labels/glands`` beside
it, and ``maps/uncertainty``, all in micrometres: any OME-Zarr viewer shows them in place. Below
``tables/glands`` lies
one array per column, and the attribute ``napari_gland_mtl`` says where all of it came from, so
that `read_segmentation` gives back exactly what was written. The store appears when complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError, UnreadableImageError
from ..segmentation import Segmentation
from ..slides.slide import Slide
from ..storage.atomic import new_folder
from ..storage.ngff import NGFF_VERSION, instance_labels, multiscale, region_labels, rgb_channels
from .downsampling import INSTANCES, MEAN, Downsampling, region_levels
from .pyramid import PyramidWriter, blocks
from .store import (
    check_replaceable,
    read_array,
    read_table,
    write_label_image,
    write_table_group,
)
from .summary import segmentation_from, summary_of
from .tables import check_table
from .uncertainty_map import read_uncertainty, write_uncertainty

if TYPE_CHECKING:
    import zarr

ATTRIBUTE = "napari_gland_mtl"
FORMAT_VERSION = 1
REGIONS, GLANDS = "regions", "glands"


def write_segmentation(
    path: Path | str,
    slide: Slide,
    segmentation: Segmentation,
    overwrite: bool = False,
    offset: tuple[int, int] = (0, 0),
) -> None:
    """Write an image with its labels, table and provenance as OME-Zarr.

    Parameters
    ----------
    path : path
        By convention ``NAME.ome.zarr``. Its folder is made if it does not exist.
    slide : Slide
        The image that was segmented. It is read block by block.
    segmentation : Segmentation
        Its label images have the pixels of the slide's level 0, all of them or a part.
    overwrite : bool
        Whether an OME-Zarr that is there may be replaced.
    offset : tuple of int
        (y, x) of the labels in the slide; around them the store has 0, "not analysed".

    Raises
    ------
    InvalidInputError
        If the labels do not lie inside the slide, or cannot be written as they are.
    OutputExistsError
        If something is there and `overwrite` is False, or it is no OME-Zarr.
    OutputNotWritableError
        If the folder cannot be written to or the disk is full. Nothing is left behind.
    """
    path = Path(path)
    _check_fit(slide, segmentation, offset)
    summary = summary_of(segmentation)
    check_replaceable(path, overwrite)
    with new_folder(path, overwrite=overwrite) as partial:
        import zarr

        root = zarr.create_group(partial, zarr_format=3)
        root.attrs[ATTRIBUTE] = {"format_version": FORMAT_VERSION, **summary}
        _write_image(root, slide, segmentation.mpp)
        _write_labels(root, slide, segmentation, offset)
        if segmentation.uncertainty is not None:
            size = (slide.levels[0].height, slide.levels[0].width)
            write_uncertainty(root, segmentation.uncertainty, segmentation.mpp, size, offset)
        write_table_group(root, segmentation.table)


def is_segmentation(path: Path | str) -> bool:
    """Whether `path` is a folder that `write_segmentation` made. Reads one small file."""
    path = Path(path)
    if not (path / "zarr.json").is_file():
        return False
    import json

    try:
        attributes = json.loads((path / "zarr.json").read_text("utf-8")).get("attributes", {})
        return "class_probabilities" in attributes.get(ATTRIBUTE, {})
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def read_segmentation(path: Path | str) -> Segmentation:
    """Read what `write_segmentation` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    Segmentation
        Equal to the one written, types included; labels of the slide's size. The uncertainty is
        rounded to 1/255.

    Raises
    ------
    UnreadableImageError
        If it is none, that of a whole slide, damaged, or was written by a newer version.
    """
    path = Path(path)
    if not is_segmentation(path):
        _refuse_slide(path)
        raise UnreadableImageError(
            f"{path} holds no segmentation of this program. Give a folder NAME.ome.zarr that "
            "“segment” wrote."
        )
    import zarr

    with _complaining(path):
        root = zarr.open_group(path, mode="r")
        attributes: dict[str, Any] = dict(root.attrs)[ATTRIBUTE]  # type: ignore[assignment]
        _check_version(path, attributes.get("format_version"))
        regions = read_array(root, f"labels/{REGIONS}/0").astype(np.uint8, copy=False)
        return segmentation_from(
            attributes,
            regions,
            read_array(root, f"labels/{GLANDS}/0").astype(np.int32, copy=False),
            read_table(root),
            read_uncertainty(root, regions),
        )


def _refuse_slide(path: Path) -> None:
    from .slide_state import is_slide_store

    if is_slide_store(path):
        raise UnreadableImageError(
            f"{path} is the result of a whole slide and too large to be read at once. Open it in "
            "napari, or part by part with SlideStore.open; its summary has the topology "
            "violations. Only fields of view can be compared with masks."
        )


def _check_fit(slide: Slide, segmentation: Segmentation, offset: tuple[int, int]) -> None:
    full = slide.levels[0]
    height, width = segmentation.regions.shape
    y, x = offset
    if min(y, x) < 0 or y + height > full.height or x + width > full.width:
        raise InvalidInputError(
            f"The labels ({height} x {width} px at y {y}, x {x}) do not lie inside the image "
            f"{slide.name} ({full.height} x {full.width} px). They belong to another image."
        )
    if segmentation.glands.shape != segmentation.regions.shape:
        raise InvalidInputError("Region and gland labels must have the same shape.")
    uncertainty = segmentation.uncertainty
    if uncertainty is not None and uncertainty.shape != segmentation.regions.shape:
        raise InvalidInputError("The uncertainty must have the shape of the labels.")
    segmentation.hierarchy.check_labels(segmentation.regions)
    check_table(segmentation.table)


def _write_image(root: zarr.Group, slide: Slide, mpp: float) -> None:
    full = slide.levels[0]
    writer = PyramidWriter(root, full.height, full.width, np.uint8, MEAN, channels=3)
    for y, x, height, width in blocks(full.height, full.width):
        writer.write(y, x, slide.read_region(0, y, x, height, width))
    root.attrs["ome"] = {
        "version": NGFF_VERSION,
        "multiscales": [multiscale(slide.name, "cyx", writer.factors, mpp, MEAN.name)],
        "omero": rgb_channels(),
    }


def _write_labels(
    root: zarr.Group, slide: Slide, segmentation: Segmentation, offset: tuple[int, int]
) -> None:
    size = (slide.levels[0].height, slide.levels[0].width)
    group = root.create_group("labels")
    group.attrs["ome"] = {"version": NGFF_VERSION, "labels": [REGIONS, GLANDS]}
    hierarchy = segmentation.hierarchy
    images: dict[str, tuple[npt.NDArray[Any], dict[str, Any], Downsampling]] = {
        REGIONS: (segmentation.regions, region_labels(hierarchy), region_levels(hierarchy)),
        GLANDS: (segmentation.glands, instance_labels(), INSTANCES),
    }
    for name, (labels, image_label, method) in images.items():
        write_label_image(
            group.create_group(name), labels, segmentation.mpp, image_label, size, offset, method
        )


def _check_version(path: Path, version: Any) -> None:
    if version != FORMAT_VERSION:
        raise UnreadableImageError(
            f"{path} was written by another version of this program (its format is {version}, "
            f"this one reads {FORMAT_VERSION}). Update napari-gland-mtl."
        )


@contextmanager
def _complaining(path: Path) -> Iterator[None]:
    try:
        yield
    except UnreadableImageError:
        raise
    except (OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise UnreadableImageError(
            f"{path} is damaged or incomplete ({error}). Segment the image again."
        ) from error
