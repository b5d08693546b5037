"""What is to be done on a slide, decided before any work: tiles, pixel size, store, settings.

A plan is plain data. It can be sent to another process or machine, which opens the slide, the
model and the store by the paths in it. A store that holds a part of the same plan is gone on
with; one that holds something else is never touched without being told so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..checkpoint import Model
from ..errors import InvalidInputError, OutputExistsError
from ..export.slide_origin import slide_origin
from ..export.slide_store import SlideStore, StoreLayout, is_slide_store
from ..inference.dropout import check_dropout
from ..inference.predictor import Predictor
from ..inference.scaled_slide import ScaledSlide
from ..inference.tiling import Tile
from ..slides import Slide
from ..slides.areas import Areas
from ..slides.low_resolution import read_low_resolution
from ..slides.slide import pixel_size
from ..slides.tissue import TissueMask, find_tissue
from .segment_config import LATER_SETTINGS, SlideConfig

OVERVIEW_SIDE = 2048
"""Px of the longer side of the picture of the slide that is stored with its labels."""


@dataclass(frozen=True)
class SlidePlan:
    """The work on one slide.

    Attributes
    ----------
    slide : Path or None
        The file; None for an array, which only the process that holds it can segment.
    store : Path
        The OME-Zarr that is written.
    mpp : float
        Micrometres per pixel of the slide's level 0.
    model : str
        Name or file of the model.
    model_sha256 : str
        Of the weights that the plan was made with.
    config : SlideConfig
    areas : list of polygons, each a list of (y, x) in px of level 0; empty for all of the slide
    tiles : tuple of Tile
        All tiles with tissue in the areas, row by row, on the network's grid.
    done : frozenset of (y0, x0)
        Tiles whose result was there when the plan was made.
    run : str
        Name of the run that made the plan.
    """

    slide: Path | None
    store: Path
    mpp: float
    model: str
    model_sha256: str
    config: SlideConfig
    areas: tuple[tuple[tuple[float, float], ...], ...]
    tiles: tuple[Tile, ...]
    done: frozenset[tuple[int, int]] = frozenset()
    run: str = ""

    @property
    def missing(self) -> list[Tile]:
        """The tiles that are still to be run."""
        return [tile for tile in self.tiles if (tile.core.y0, tile.core.x0) not in self.done]

    def unsettled(self, store: SlideStore) -> set[tuple[int, int]]:
        """(y0, x0) of the tiles that a store neither holds nor names as unreadable."""
        corners = {(tile.core.y0, tile.core.x0) for tile in self.tiles}
        return corners - store.done_tiles() - set(store.failed)


def plan_slide(
    slide: Slide,
    output: Path | str,
    config: SlideConfig,
    model: Model,
    areas: Areas | None = None,
    resume: bool = False,
    overwrite: bool = False,
    run: str = "",
) -> SlidePlan:
    """Find the tissue, choose the tiles, and create or reopen the store.

    Parameters
    ----------
    slide : Slide
    output : path
        By convention ``NAME.ome.zarr``.
    config : SlideConfig
    model : Model
    areas : Areas, optional
        The parts to segment; all of the slide unless given.
    resume : bool
        Go on with what an earlier run has left at `output`; without such a thing, begin.
    overwrite : bool
        Replace what is at `output`.
    run : str
        A name for this run. A store that the same run has created is gone on with: who makes
        the plan may have died before anybody heard of it.

    Raises
    ------
    MissingPixelSizeError
        If neither the file nor `config` gives the pixel size.
    InvalidInputError
        If the slide is too small, holds no tissue (in the areas), the areas lie outside, the
        store to resume was made with other settings, or there is no dropout to sample.
    OutputExistsError
        If something is at `output`, and neither `resume` nor `overwrite` is set.
    OutputNotWritableError
    """
    output = Path(output)
    mpp = pixel_size(slide, config.mpp)
    view = ScaledSlide(slide, mpp, model.card.mpp)
    if areas is not None:
        areas.check_inside(slide.levels[0].height, slide.levels[0].width)
    check_dropout(model.network, config.dropout_samples, config.engine)
    predictor = Predictor(model.network, "cpu", config.tile_size)
    tiles = predictor.plan(view.shape)
    plan = SlidePlan(
        slide=slide.path,
        store=output,
        mpp=mpp,
        model=str(model.path) if model.path else config.model,
        model_sha256=model.sha256,
        config=config,
        areas=_polygons(areas),
        tiles=(),
        run=run,
    )
    identity = identity_of(slide, plan)
    if is_slide_store(output) and (resume or _made_by(run, output)):
        store = SlideStore.open(output, writable=True)
        _check_same(store, identity)
        chosen = _chosen(tiles, store.record["tiles"])
        return replace(plan, tiles=chosen, done=frozenset(store.done_tiles()))
    tissue = None if config.tissue is None else find_tissue(slide, config.tissue, mpp)
    chosen = tuple(_with_tissue(tiles, view.scale, tissue, areas))
    _check_any(chosen, slide, tissue, areas)
    record = {**_record(slide, plan, model, identity, chosen), "run": run}
    overview, downsample = _overview(slide)
    SlideStore.create(
        output,
        _layout(slide, view, plan, model),
        record,
        overview,
        downsample,
        None if tissue is None else (tissue.mask, tissue.downsample),
        overwrite=overwrite,
    )
    return replace(plan, tiles=chosen)


def identity_of(slide: Slide, plan: SlidePlan) -> dict[str, Any]:
    """All that two runs must have in common for one to go on with the other; JSON-able."""
    included = {"tile_size", "flips", "tissue", *LATER_SETTINGS}
    settings = plan.config.model_dump(mode="json", include=included)
    full = slide.levels[0]
    size = plan.slide.stat().st_size if plan.slide and plan.slide.is_file() else None
    return {
        "slide": {"name": slide.name, "height": full.height, "width": full.width, "bytes": size},
        "mpp": plan.mpp,
        "model_sha256": plan.model_sha256,
        "areas": [[list(point) for point in polygon] for polygon in plan.areas],
        **settings,
    }


def _made_by(run: str, output: Path) -> bool:
    """Whether a store was created by this run."""
    return bool(run) and SlideStore.open(output).record.get("run") == run


def _polygons(areas: Areas | None) -> tuple[tuple[tuple[float, float], ...], ...]:
    lists = [] if areas is None else areas.to_lists()
    return tuple(tuple((float(y), float(x)) for y, x in polygon) for polygon in lists)


def _check_same(store: SlideStore, identity: dict[str, Any]) -> None:
    """Refuse to mix the tiles of two different runs."""
    before = {**LATER_SETTINGS, **store.record.get("identity", {})}
    differing = [name for name, value in identity.items() if before.get(name) != value]
    if differing:
        words = ", ".join(
            name if name == "areas" else f"{name} ({before.get(name)} before)" for name in differing
        )
        raise InvalidInputError(
            f"{store.path} was begun with other settings: {words}. Give the same settings to "
            "resume, another folder, or let it be overwritten instead of resumed."
        )


def _chosen(tiles: Sequence[Tile], corners: Sequence[Sequence[int]]) -> tuple[Tile, ...]:
    wanted = {(y, x) for y, x in corners}
    return tuple(tile for tile in tiles if (tile.core.y0, tile.core.x0) in wanted)


def _with_tissue(
    tiles: Sequence[Tile], scale: float, tissue: TissueMask | None, areas: Areas | None
) -> list[Tile]:
    """The tiles that hold something to segment, asked in px of level 0."""
    chosen = []
    for tile in tiles:
        window = tuple(value * scale for value in tile.core)
        if tissue is not None and not tissue.any_in(*window):
            continue
        if areas is not None and not areas.any_in(*window):
            continue
        chosen.append(tile)
    return chosen


def _check_any(
    chosen: Sequence[Tile], slide: Slide, tissue: TissueMask | None, areas: Areas | None
) -> None:
    if chosen:
        return
    where = f"the chosen part of {slide.name!r}" if areas is not None else f"{slide.name!r}"
    raise InvalidInputError(
        f"No tissue was found in {where}. Lower the tissue threshold, or segment everything "
        "without looking for tissue (--no-tissue)."
        if tissue is not None
        else f"There is nothing to segment in {where}."
    )


def _layout(slide: Slide, view: ScaledSlide, plan: SlidePlan, model: Model) -> StoreLayout:
    full, network = slide.levels[0], model.network.config
    return StoreLayout(
        shape=view.shape,
        mpp=model.card.mpp,
        slide_shape=(full.height, full.width),
        slide_mpp=plan.mpp,
        tile=plan.config.tile_size,
        stride=model.network.stride,
        hierarchy=network.regions,
        classes=network.classes,
    )


def _record(
    slide: Slide,
    plan: SlidePlan,
    model: Model,
    identity: dict[str, Any],
    tiles: Sequence[Tile],
) -> dict[str, Any]:
    """Where a result comes from, so that it can be repeated and gone on with; JSON-able."""
    from .. import __version__

    return {
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "slide": slide_origin(slide),
        "identity": identity,
        "tiles": [[tile.core.y0, tile.core.x0] for tile in tiles],
        "model": model.card.name,
        "model_sha256": model.sha256,
        "model_mpp": model.card.mpp,
        "model_licence": model.card.licence,
        "log_vars": dict(model.card.log_vars),
        "settings": plan.config.model_dump(mode="json", exclude={"model", "mpp"}),
    }


def _overview(slide: Slide) -> tuple[Any, float]:
    """A small picture of the slide, and px of level 0 per px of it; white where it is damaged."""
    full = slide.levels[0]
    least = max(1.0, max(full.height, full.width) / OVERVIEW_SIDE)
    picture = read_low_resolution(slide, least, 2 * least)
    return picture.image, picture.downsample


def check_new(output: Path, resume: bool, overwrite: bool) -> None:
    """Raise OutputExistsError for what would be in the way, before a slide is opened."""
    if output.exists() and not (resume or overwrite):
        raise OutputExistsError(
            f"{output} exists already. Give --resume to go on with it, --overwrite to replace it, "
            "or another folder."
        )
