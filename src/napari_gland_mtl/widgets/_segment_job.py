"""The jobs behind “Run” and “Save masks…”, made ready for a thread of their own.

Everything slow happens in the thread: loading torch and the model, reading pixels, checking
the settings. Neither job touches a layer or a widget.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..export.layers import LayerData, fingerprint
from ..export.ome_zarr import GLANDS, REGIONS
from ..jobs.events import Event, SegmentationDone, Stage
from ..jobs.runner import Job
from ..jobs.stop import StopToken
from ..jobs.torch_libraries import load_torch_libraries
from ._gland_outlines import GlandOutlines, gland_outlines
from ._image_source import ImageSource, Window
from ._layer_styles import contour_width

if TYPE_CHECKING:
    from ..segmentation import Segmentation


@dataclass(frozen=True)
class SegmentRequest:
    """What “Run” asks for.

    Attributes
    ----------
    image : ImageSource
    settings : dict
        Arguments of `SegmentConfig`; checked in the thread.
    window : tuple of int or None
        The part of the image, in px of its full resolution; None for all of it.
    """

    image: ImageSource
    settings: dict[str, Any]
    window: Window | None = None


@dataclass(frozen=True)
class FieldFound(Event):
    """The result of a field, with all that would keep the window waiting.

    Attributes
    ----------
    segmentation : Segmentation
    offset : tuple of int
        (y, x) px of the image at which it begins.
    outlines : GlandOutlines
    fingerprints : dict of str to int
        Of the label images by their role: each takes the longer, the larger the field is.
    """

    segmentation: Segmentation
    offset: tuple[int, int]
    outlines: GlandOutlines
    fingerprints: dict[str, int]


def segmentation_job(request: SegmentRequest) -> Job:
    """A job that segments an image; its last event is `FieldFound`."""

    def job(stop: StopToken) -> Iterator[Event]:
        yield Stage("Loading the network")
        load_torch_libraries()
        from ..jobs.segment import segment_image
        from ..jobs.segment_config import SegmentConfig

        spare_the_window()
        config = SegmentConfig(**request.settings)
        with request.image.opened(config.mpp) as slide:
            for event in segment_image(slide, config, stop=stop, region=request.window):
                yield _found(event) if isinstance(event, SegmentationDone) else event

    return job


def _found(done: SegmentationDone) -> FieldFound:
    glands = done.segmentation.glands
    outlines = gland_outlines(glands, contour_width(glands.shape))
    known = {REGIONS: fingerprint(done.segmentation.regions), GLANDS: outlines.fingerprint}
    return FieldFound(done.segmentation, done.offset, outlines, known)


def save_job(
    path: Path,
    image: ImageSource,
    result: tuple[LayerData, ...],
    offset: tuple[int, int],
    overwrite: bool,
) -> Job:
    """A job that writes an image with its result layers, which begin at `offset` (y, x)."""

    def job(stop: StopToken) -> Iterator[Event]:
        yield Stage("Writing")
        from ..export.ome_zarr import write_segmentation
        from ..jobs.corrections import segmentation_as_shown

        segmentation = segmentation_as_shown(result)
        with image.opened(segmentation.mpp) as slide:
            write_segmentation(path, slide, segmentation, overwrite=overwrite, offset=offset)

    return job


def spare_the_window() -> None:
    """Load what the window would have to wait for, and let it go first.

    Called in the thread of a job, which may use every core that the window does not need. napari
    loads pandas when it makes the first labels layer.
    """
    from ..jobs.politeness import be_polite

    import_module("pandas")  # before: who steps back and then loads keeps the window from loading
    be_polite()
