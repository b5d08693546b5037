"""Segment one image, or a region of it, as a job that can be watched and stopped.

Reading, scaling, prediction by tiles, decoding, repair and measurement in their order, with
events in between. The dock widget, the command line, the evaluation and the Python function
all run this one generator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from ..checkpoint import Model, load_model
from ..devices import choose_device
from ..errors import InvalidInputError
from ..inference.decoding import Decoded, DecodingConfig, decode
from ..inference.measurements import measure_glands
from ..inference.predictor import Float32Array, Predictor
from ..inference.scaled_slide import ScaledSlide
from ..inference.stitching import Mosaic
from ..inference.tiling import Window
from ..regions import RegionHierarchy
from ..segmentation import Segmentation, TopologyViolations
from ..slides import Slide
from ..slides.slide import pixel_size
from .events import Event, Notice, SegmentationDone, Stage, Started, TileDone
from .segment_config import SegmentConfig
from .stop import StopToken

BYTES_PER_PIXEL = 80
"""Peak memory of decoding and measuring, per pixel of the analysed region."""


def segment_image(
    slide: Slide,
    config: SegmentConfig | None = None,
    stop: StopToken | None = None,
    region: tuple[int, int, int, int] | None = None,
    model: Model | None = None,
    keep_probabilities: bool = False,
) -> Iterator[Event]:
    """Segment an image; the last event carries the result.

    Parameters
    ----------
    slide : Slide
    config : SegmentConfig, optional
        The defaults if left out.
    stop : StopToken, optional
        Looked at before every pass of the network. What was done before is decoded and kept,
        the rest of the labels is 0 and ``Segmentation.complete`` is False.
    region : tuple of int, optional
        ``(y0, x0, y1, x1)`` in px of the full resolution. The network also sees what lies
        around it, so that the labels are those it would have as part of the whole image.
    model : Model, optional
        Used instead of loading ``config.model``.
    keep_probabilities : bool
        Give the probabilities that the labels were made from with the last event.

    Yields
    ------
    Event
        `Started`, `TileDone` for every tile, `Notice` and `Stage` in between, and
        `SegmentationDone` at the end.

    Raises
    ------
    MissingPixelSizeError
        If neither the file nor `config` gives the pixel size.
    InvalidInputError
        If the image is too small, the region is empty or outside, or too large for the memory.
    ModelNotFoundError, CheckpointError, DeviceNotAvailableError
    """
    config = config or SegmentConfig()
    stop = stop or StopToken()
    device = choose_device(config.device)
    mpp = pixel_size(slide, config.mpp)
    area = _area(slide, region)
    _check_memory(area)
    if model is None:
        yield Stage("Loading the model")
        model = load_model(config.model)
    view = ScaledSlide(slide, mpp, model.card.mpp)
    predictor = Predictor(
        model.network,
        device,
        config.tile_size,
        # One by one costs a CPU nothing, and lets the user stop after every tile.
        batch_size=1 if device.type == "cpu" else config.batch_size,
        flips=config.flips,
        quarter_turns=config.quarter_turns,
        dropout_samples=config.dropout_samples,
        class_temperature=model.card.class_temperature,
    )
    tiles = predictor.plan(view.shape, view.window_below(area))
    network = model.network.config
    mosaic = Mosaic(view, area, tiles, predictor.stride, len(network.regions), len(network.classes))
    yield Started(total=len(tiles))
    batch_size = predictor.batch_size
    results = predictor.predict(view, tiles, lambda: stop.stopped)
    for done, result in enumerate(results, 1):
        mosaic.add(result)
        if predictor.batch_size < batch_size:
            batch_size = predictor.batch_size
            yield Notice(f"The device ran out of memory; going on with {batch_size} tiles at once.")
        yield TileDone(done, len(tiles))
    yield Stage("Finding glands")
    offset = (area.y0, area.x0)
    provenance = _provenance(slide, area, mpp, config, model)
    probabilities = mosaic.probabilities()
    found = _finish(mosaic, probabilities, offset, mpp, config, model, provenance)
    kept = probabilities if keep_probabilities else None
    del probabilities  # many bytes per pixel, which nobody needs while the result is written
    yield SegmentationDone(found, offset, kept)


def _area(slide: Slide, region: tuple[int, int, int, int] | None) -> Window:
    """The region clipped to the image."""
    full = slide.levels[0]
    if region is None:
        return Window(0, 0, full.height, full.width)
    area = Window(*(int(value) for value in region)).clipped(full.height, full.width)
    if min(area.shape) < 1:
        raise InvalidInputError(
            f"The region y {region[0]} to {region[2]}, x {region[1]} to {region[3]} px holds no "
            f"pixel of the image of {full.height} x {full.width}. Draw it over the image."
        )
    return area


def _check_memory(area: Window) -> None:
    """Refuse before hours of work what could not be decoded in the end."""
    needed = BYTES_PER_PIXEL * area.shape[0] * area.shape[1]
    available = psutil.virtual_memory().available
    if needed > available:
        raise InvalidInputError(
            f"A region of {area.shape[0]} x {area.shape[1]} px needs about {needed / 2**30:.1f} "
            f"GiB of memory and {available / 2**30:.1f} GiB are free. Choose a smaller region or "
            f"an image of a lower resolution."
        )


def _finish(
    mosaic: Mosaic,
    probabilities: Float32Array,
    offset: tuple[int, int],
    mpp: float,
    config: SegmentConfig,
    model: Model,
    provenance: dict[str, Any],
) -> Segmentation:
    """Decode, repair and measure what was collected."""
    network = model.network.config
    decoded = _decode(probabilities, mosaic.analysed(), network.regions, mpp, config.decoding)
    class_map, cell = mosaic.class_map_of_region()
    uncertainty = mosaic.uncertainty()
    table = measure_glands(
        decoded.regions,
        decoded.glands,
        mpp,
        class_map,
        network.regions,
        network.classes,
        cell,
        offset,
        uncertainty,
    )
    class_probabilities = mosaic.class_probabilities()
    return Segmentation(
        regions=decoded.regions,
        glands=decoded.glands,
        table=table,
        class_probabilities={
            name: float(value)
            for name, value in zip(network.classes, class_probabilities, strict=True)
        },
        mpp=mpp,
        hierarchy=network.regions,
        violations_raw=decoded.violations_raw,
        violations=decoded.violations,
        provenance=provenance,
        complete=mosaic.complete,
        uncertainty=uncertainty,
    )


def _decode(
    probabilities: Float32Array,
    analysed: npt.NDArray[np.bool_],
    hierarchy: RegionHierarchy,
    mpp: float,
    config: DecodingConfig,
) -> Decoded:
    """Decode within the bounds of what was analysed: a stopped run ends the sooner."""
    rows, columns = (np.flatnonzero(analysed.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        nothing = np.zeros(analysed.shape, dtype=np.int32)
        none = TopologyViolations()
        return Decoded(nothing.astype(np.uint8), nothing, none, none)
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    decoded = decode(probabilities[(..., *box)], hierarchy, mpp, config, analysed[box])
    if analysed[box].shape == analysed.shape:
        return decoded
    regions = np.zeros(analysed.shape, dtype=np.uint8)
    glands = np.zeros(analysed.shape, dtype=np.int32)
    regions[box], glands[box] = decoded.regions, decoded.glands
    # The image goes on past the box, unanalysed, about which no rule says anything.
    return replace(decoded, regions=regions, glands=glands)


def _provenance(
    slide: Slide, area: Window, mpp: float, config: SegmentConfig, model: Model
) -> dict[str, Any]:
    """Where a result comes from, so that it can be repeated; JSON-able."""
    from .. import __version__

    return {
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "image": slide.path.name if slide.path else slide.name,
        "mpp": mpp,
        "region": list(area),
        "model": model.card.name,
        "model_sha256": model.sha256,
        "model_mpp": model.card.mpp,
        "model_licence": model.card.licence,
        "log_vars": dict(model.card.log_vars),
        "settings": config.model_dump(mode="json", exclude={"model", "mpp"}),
    }
