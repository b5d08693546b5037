"""``gland-mtl segment``: images in, OME-Zarr with labels and a table of glands out.

Fields of view and slides come by the same command. A field is labelled in memory, a slide on
disk; which way an image goes is told by its size unless the user says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from ..errors import InvalidInputError
from .inputs import (
    Box,
    check_names,
    check_there,
    expand,
    join_regions,
    make_writable,
    parse_regions,
)
from .options import (
    DeviceOption,
    DropoutSamplesOption,
    ModelOption,
    MppOption,
    OverwriteOption,
    QuarterTurnsOption,
    given,
)
from .progress import progress_bars, stop_on_interrupt
from .run import Outcome, Run, finish
from .segment_fields import segment_fields
from .segment_slides import areas_from, segment_slides
from .sorting import sort_by_size

if TYPE_CHECKING:
    from ..checkpoint import Model
    from ..jobs.segment_batch import AreasOf
    from ..jobs.segment_config import SegmentConfig, SlideConfig


class RepeatableRegions(TyperCommand):
    """The command, with a ``--region`` of four numbers that may be repeated.

    Typer knows options of four values, and options that repeat, but none that are both.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See the base class."""
        return super().parse_args(ctx, join_regions(args))


def _slides(*names: str, **option: Any) -> Any:
    """An option that concerns slides only."""
    return typer.Option(*names, show_default=False, rich_help_panel="Whole slides", **option)


def segment(
    context: typer.Context,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT", help="Images, slides, folders of them, quoted patterns ('*.svs')."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUTDIR", help="Made if it does not exist.")
    ],
    model: ModelOption = None,
    mpp: MppOption = None,
    device: DeviceOption = None,
    tile_size: Annotated[
        int | None,
        typer.Option(
            help="Side of a tile in px of the network, a multiple of 16, for slides of 512. "
            "(default: 512, for slides 1024)",
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Tiles at once on a GPU. (default: 4)", show_default=False),
    ] = None,
    flips: Annotated[
        bool | None,
        typer.Option(
            help="Average over the four flips of every tile, in four times the time.",
            show_default="flips",
        ),
    ] = None,
    quarter_turns: QuarterTurnsOption = None,
    dropout_samples: DropoutSamplesOption = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            metavar="Y0 X0 Y1 X1",
            help="Segment this part only, in px of the full resolution. May be repeated for a "
            "slide.",
            show_default=False,
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip what is complete, go on with what is not.")
    ] = False,
    slide: Annotated[
        bool | None,
        typer.Option(
            "--slide/--field",
            help="Label on disk at the model's um/px, or in memory on the image's own pixels. "
            "(default: by size)",
            show_default=False,
        ),
    ] = None,
    areas: Annotated[
        Path | None,
        _slides(
            metavar="FILE|FOLDER",
            help="Segment the polygons of a GeoJSON file (px, as QuPath exports them), or of "
            "NAME.geojson in a folder for each slide.",
        ),
    ] = None,
    tissue: Annotated[
        bool | None, _slides(help="Look for tissue first, or run every tile. (default: tissue)")
    ] = None,
    tissue_threshold: Annotated[
        float | None, _slides(metavar="T", help="Strength of the stain that counts as tissue.")
    ] = None,
    engine: Annotated[
        str | None, _slides(metavar="auto|torch|openvino", help="What runs the network.")
    ] = None,
    precision: Annotated[
        str | None,
        _slides(metavar="auto|float32|bfloat16|float16", help="Numbers it computes with."),
    ] = None,
    keep_probabilities: Annotated[
        bool | None,
        _slides(
            "--keep-probabilities",
            help="Keep the network's output, to try other settings of the separation from Python.",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        _slides(metavar="ADDRESS", help="Run on a dask.distributed cluster: tcp://host:8786."),
    ] = None,
) -> None:
    """Segment images: glands, lumen, epithelium, stroma, class.

    Writes OUTDIR/<stem>.ome.zarr (image, labels/regions, labels/glands) and OUTDIR/<stem>.csv
    (one row per gland); for slides also OUTDIR/summary.csv and OUTDIR/report.html. A file that
    fails is reported and the others go on.
    """
    chosen = _Chosen(
        common=given(
            model=model,
            mpp=mpp,
            device=device,
            tile_size=tile_size,
            batch_size=batch_size,
            flips=flips,
            quarter_turns=quarter_turns,
            dropout_samples=dropout_samples,
        ),
        slides_only=given(engine=engine, precision=precision, keep_probabilities=keep_probabilities)
        | _tissue(tissue, tissue_threshold),
        regions=parse_regions(region or ()),
        areas=areas,
        scheduler=scheduler,
    )
    as_slides = chosen.as_slides(slide)
    paths = expand(inputs)
    check_there(paths)
    check_names(paths, output)
    config = chosen.check(as_slides)
    from ..checkpoint import load_model

    loaded = load_model(config.model)
    _check_dropout(loaded, config)
    fields, slides, failed = _sorted(paths, as_slides, mpp, context.obj["debug"])
    if not (fields or slides):
        finish(Outcome(failed=failed))
    parts = chosen.areas_of(fields, slides)
    slide_config = chosen.slide_config() if slides else None
    make_writable(output)
    outcome = Outcome(failed=failed)
    with stop_on_interrupt() as stop, progress_bars() as progress:
        run = Run(output, loaded, stop, progress, resume, overwrite, context.obj["debug"])
        if fields:
            outcome += segment_fields(fields, run, chosen.field_config(), chosen.region)
        if slide_config is not None:
            outcome += segment_slides(slides, run, slide_config, parts, scheduler)
    finish(outcome)


def _check_dropout(model: Model, config: SegmentConfig) -> None:
    """Refuse once, before any image is opened, what no image could be segmented with."""
    from ..inference.dropout import check_dropout

    check_dropout(model.network, config.dropout_samples, getattr(config, "engine", "auto"))


def _tissue(wanted: bool | None, threshold: float | None) -> dict[str, Any]:
    """The setting of the search for tissue, where one was given."""
    if wanted is False:
        if threshold is not None:
            raise InvalidInputError("Give either --no-tissue or --tissue-threshold, not both.")
        return {"tissue": None}
    return {} if threshold is None else {"tissue": {"threshold": threshold}}


@dataclass(frozen=True)
class _Chosen:
    """The options that decide how images are segmented."""

    common: dict[str, Any]
    slides_only: dict[str, Any]
    regions: list[Box]
    areas: Path | None
    scheduler: str | None

    def as_slides(self, asked: bool | None) -> bool | None:
        """Whether all images go the slides' way; None where each goes by its size."""
        if self.areas is not None and self.regions:
            raise InvalidInputError("Give either --region or --areas, not both.")
        needs = self.scheduler or self.areas or len(self.regions) > 1
        if needs and asked is False:
            raise InvalidInputError(
                "--field takes one --region at most, and neither --areas nor --scheduler: these "
                "are for slides."
            )
        if asked is False:
            self._refuse_for_fields()
        return True if needs else asked

    def check(self, as_slides: bool | None) -> SegmentConfig:
        """The settings as far as they are known before an image is opened."""
        from ..devices import choose_device

        config = self.slide_config() if as_slides else self.field_config()
        if self.scheduler is None:  # on a cluster it is the workers who need it
            choose_device(config.device)
        return config

    def field_config(self) -> SegmentConfig:
        """Settings of fields of view."""
        from ..jobs.segment_config import SegmentConfig

        return SegmentConfig(**self.common)

    def slide_config(self) -> SlideConfig:
        """Settings of slides."""
        from ..jobs.segment_config import SlideConfig

        return SlideConfig(**self.common, **self.slides_only)

    @property
    def region(self) -> Box | None:
        """The part of a field of view."""
        return self.regions[0] if self.regions else None

    def areas_of(self, fields: Sequence[Path], slides: Sequence[Path]) -> AreasOf:
        """The parts of slides, once it is known which images are slides."""
        if fields and not slides:
            self._refuse_for_fields()
        if self.areas is not None:
            return areas_from(self.areas, slides)
        if not self.regions:
            return None
        from ..slides.areas import Areas

        return Areas([[(y0, x0), (y0, x1), (y1, x1), (y1, x0)] for y0, x0, y1, x1 in self.regions])

    def _refuse_for_fields(self) -> None:
        if not self.slides_only:
            return
        names = ", ".join("--" + name.replace("_", "-") for name in self.slides_only)
        raise InvalidInputError(
            f"{names}: for whole slides only, and this is a field of view. Add --slide to treat it "
            "as a slide."
        )


def _sorted(
    paths: Sequence[Path], as_slides: bool | None, mpp: float | None, debug: bool
) -> tuple[list[Path], list[Path], int]:
    """Fields of view, slides, and the number of files that are neither, which is reported."""
    if as_slides is None:
        return sort_by_size(paths, mpp, debug)
    return ([], list(paths), 0) if as_slides else (list(paths), [], 0)
