"""What can be segmented in an image layer, at which pixel size, and how its pixels are read.

A layer may be RGB, RGBA or grey, one array or a pyramid. Its pixel size is taken from its scale
only where its units are lengths: a scale without units may mean anything, so it is offered as
a hint and never used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInputError
from ..export.ome_zarr import ATTRIBUTE
from ._layer_data import Placement

if TYPE_CHECKING:
    from ..slides.slide import Slide

ANISOTROPY_LIMIT = 0.01
Window = tuple[int, int, int, int]
"""(y0, x0, y1, x1) in px of the full resolution; y1 and x1 are past the end."""


@dataclass(frozen=True)
class PixelSize:
    """The pixel size of a layer.

    Attributes
    ----------
    mpp : float or None
        um per pixel; None where it is unknown or implausible.
    note : str
        Where it comes from, or why it is missing, in words for the user.
    """

    mpp: float | None
    note: str


@dataclass(frozen=True)
class ImageSource:
    """The pixels of an image, held apart from the layer, which a job must not touch.

    Attributes
    ----------
    levels : tuple of array-like, each (Y, X) or (Y, X, C)
        numpy, dask or zarr; the full resolution first.
    name : str
    height, width : int
    path : Path or None
        The file that lazy `levels` read from, if this plugin opened it.
    """

    levels: tuple[Any, ...]
    name: str
    height: int
    width: int
    path: Path | None = None

    @contextmanager
    def opened(self, mpp: float | None) -> Iterator[Slide]:
        """The image as a slide of `mpp` um per pixel, in the thread that calls.

        A file is opened once more: a reader of its own waits for nobody, and the layer, whose
        arrays read from the other, may be removed meanwhile.
        """
        slide = self._from_file() or self._from_arrays()
        with slide:
            if mpp is not None:
                slide.set_mpp(mpp)
            yield slide

    def _from_arrays(self) -> Slide:
        from ..slides.array import slide_from_array

        return slide_from_array(list(self.levels), name=self.name)

    def _from_file(self) -> Slide | None:
        """The file, if it is there and still what the layer shows."""
        from ..slides import open_slide

        if self.path is None or not self.path.exists():
            return None
        slide = open_slide(self.path)
        full = slide.levels[0]
        if (full.height, full.width) == (self.height, self.width):
            return slide
        slide.close()
        return None


def full_resolution(layer: Any) -> Any:
    """The array of the layer's finest level, (Y, X) or (Y, X, C)."""
    return layer.data[0] if layer.multiscale else layer.data


def image_shape(layer: Any) -> tuple[int, int]:
    """(height, width) in px of the full resolution.

    Raises
    ------
    InvalidInputError
        If the layer has more than two axes besides colour.
    """
    if layer.ndim != 2:
        raise InvalidInputError(
            f"“{layer.name}” has {layer.ndim} axes; a single two-dimensional image is needed. "
            "If its first axis is colour, right-click the layer after “Split Stack” and choose "
            "“Merge to RGB”; if it is a stack, split it and choose one plane."
        )
    height, width = full_resolution(layer).shape[:2]
    return int(height), int(width)


def placement_of(layer: Any) -> Placement:
    """Where a two-dimensional image layer lies in the world."""
    return Placement(
        name=layer.name,
        image_id=str(layer.unique_id),
        scale=(float(layer.scale[0]), float(layer.scale[1])),
        translate=(float(layer.translate[0]), float(layer.translate[1])),
        rotate=np.asarray(layer.rotate),
        shear=np.asarray(layer.shear),
        affine=np.asarray(layer.affine),
        units=tuple(layer.units),
    )


def pixel_size_of(layer: Any) -> PixelSize:
    """Um per pixel from the layer's scale and units, where both are plausible."""
    from ..slides.pixel_size import plausible_mpp

    steps = _world_steps(layer)
    um_y, um_x = (_micrometres(unit) for unit in layer.units[-2:])
    if um_y is None or um_x is None:
        return PixelSize(None, _no_units_note(steps))
    y, x = steps[0] * um_y, steps[1] * um_x
    if abs(y - x) > ANISOTROPY_LIMIT * max(y, x):
        return PixelSize(
            None,
            f"The layer's pixels are not square ({y:.4g} x {x:.4g} µm). "
            "Please enter one size for both.",
        )
    mpp = plausible_mpp(y)
    if mpp is None:
        return PixelSize(
            None, f"The layer says {y:.4g} µm, which no microscope image has. Please enter it."
        )
    return PixelSize(mpp, "From the image layer.")


def _world_steps(layer: Any) -> tuple[float, float]:
    """World units between neighbouring pixels, (y, x)."""
    from napari.utils.transforms import Affine

    transform = Affine(scale=layer.scale, rotate=layer.rotate, shear=layer.shear)
    linear = np.asarray(layer.affine.linear_matrix) @ np.asarray(transform.linear_matrix)
    y, x = np.linalg.norm(linear[-2:, -2:], axis=0)
    return float(y), float(x)


def _micrometres(unit: Any) -> float | None:
    """How many micrometres one `unit` is; None if it is no length (napari's default: pixel)."""
    import pint

    try:
        return float((1 * unit).to("micrometer").magnitude)
    except pint.DimensionalityError:
        return None


def _no_units_note(steps: tuple[float, float]) -> str:
    note = "This image carries no pixel size. Please enter it (it is in the scanner's settings)."
    if not np.allclose(steps, 1.0):
        note += f" The layer's scale is {steps[0]:.4g}, without a unit."
    return note


def image_source(layer: Any) -> ImageSource:
    """The pixels of an image layer, to be read in another thread.

    Raises
    ------
    InvalidInputError
        If the layer is no two-dimensional image.
    """
    height, width = image_shape(layer)
    levels = tuple(layer.data) if layer.multiscale else (layer.data,)
    return ImageSource(levels, layer.name, height, width, _file_of(layer))


def _file_of(layer: Any) -> Path | None:
    """The file that a lazy layer reads from; an array in memory may be another image by now."""
    record = layer.metadata.get(ATTRIBUTE)
    if isinstance(full_resolution(layer), np.ndarray) or not isinstance(record, Mapping):
        return None
    path = record.get("path")
    return Path(path) if record.get("role") == "image" and path else None
