"""``gland-mtl segment``: images in, OME-Zarr with labels and a table of glands out."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from ..errors import GlandMTLError, InvalidInputError, OutputExistsError, OutputNotWritableError
from ..segmentation import Segmentation, probability_text
from .errors import BAD_INPUT, report
from .options import DeviceOption, ModelOption, MppOption, OverwriteOption, given
from .progress import progress_bars, stop_on_interrupt, watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..checkpoint import Model
    from ..jobs.events import Event
    from ..jobs.segment_config import SegmentConfig
    from ..jobs.stop import StopToken

INTERRUPTED = 130


def segment(
    context: typer.Context,
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT", help="Images, slides or folders of them.")
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
            help="Side of a tile in px of the network, a multiple of 16. (default: 512)",
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
    region: Annotated[
        tuple[int, int, int, int] | None,
        typer.Option(
            metavar="Y0 X0 Y1 X1",
            help="Segment this part only, in px of the full resolution.",
            show_default=False,
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Segment images: glands, lumen, epithelium, stroma, class.

    Writes OUTDIR/<stem>.ome.zarr (image, labels/regions, labels/glands) and OUTDIR/<stem>.csv
    (one row per gland). A file that fails is reported and the others go on.
    """
    from ..checkpoint import load_model
    from ..devices import choose_device
    from ..jobs.segment_config import SegmentConfig

    config = SegmentConfig(
        **given(
            model=model,
            mpp=mpp,
            device=device,
            tile_size=tile_size,
            batch_size=batch_size,
            flips=flips,
        )
    )
    choose_device(config.device)
    paths = expand(inputs)
    loaded = load_model(config.model)
    make_writable(output)
    failed = written = 0
    with stop_on_interrupt() as stop, progress_bars() as progress:
        run = _Run(config, loaded, output, overwrite, region, stop, progress)
        for path in paths:
            if stop.stopped:
                break
            try:
                written += run.segment(path)
            except (GlandMTLError, OSError) as error:
                if context.obj["debug"]:
                    raise
                failed += 1
                report(error, about=str(path) if path.name not in str(error) else None)
    missing = len(paths) - written - failed
    if missing:
        images = "1 image was" if missing == 1 else f"{missing} images were"
        typer.echo(f"stopped; {images} not written", err=True)
        raise typer.Exit(INTERRUPTED)
    if failed:
        raise typer.Exit(BAD_INPUT)


@dataclass
class _Run:
    """One call of the command: what is the same for all its images."""

    config: SegmentConfig
    model: Model
    output: Path
    overwrite: bool
    region: tuple[int, int, int, int] | None
    stop: StopToken
    progress: Progress
    sources: dict[str, Path] = field(default_factory=dict)

    def segment(self, path: Path) -> bool:
        """Segment one image and write what was found; False if that was stopped."""
        from ..export.ome_zarr import write_segmentation
        from ..export.tables import write_table
        from ..jobs.events import SegmentationDone
        from ..jobs.segment import segment_image
        from ..slides import open_slide

        with open_slide(path, mpp=self.config.mpp) as slide:
            store, table = self._outputs(slide.name, path)
            events = segment_image(slide, self.config, self.stop, self.region, self.model)
            done = watch(self._until_stopped(events), self.progress, slide.name)
            if not isinstance(done, SegmentationDone) or not done.segmentation.complete:
                return False
            segmentation = done.segmentation
            write_segmentation(store, slide, segmentation, self.overwrite, done.offset)
            write_table(table, segmentation.table, overwrite=self.overwrite)
            typer.echo(f"{slide.name}: {summary(segmentation)} -> {store}")
        return True

    def _until_stopped(self, events: Iterator[Event]) -> Iterator[Event]:
        """The events before a stop: what is thrown away need not be decoded first."""
        for event in events:
            yield event
            if self.stop.stopped:
                return

    def _outputs(self, name: str, path: Path) -> tuple[Path, Path]:
        """Where the results of an image go; refused if something is there already."""
        from ..export.store import check_replaceable

        other = self.sources.setdefault(name, path)
        if other != path:
            raise InvalidInputError(
                f"{other} and {path} would both be written to {self.output / name}.ome.zarr. "
                f"Segment them into different folders."
            )
        outputs = self.output / f"{name}.ome.zarr", self.output / f"{name}.csv"
        for existing in outputs:
            if not existing.exists():
                continue
            if existing.samefile(path):
                raise OutputExistsError(
                    f"{path} would be replaced by its own result. Choose another folder with -o."
                )
            if not self.overwrite:
                raise OutputExistsError(
                    f"{existing} exists already. Give --overwrite to replace it, or another folder."
                )
        check_replaceable(outputs[0], self.overwrite)
        return outputs


def summary(segmentation: Segmentation) -> str:
    """What was found, in one line for the user."""
    name, probability = max(segmentation.class_probabilities.items(), key=lambda item: item[1])
    glands = len(segmentation.table["label"])
    judged = f"{name} (probability {probability_text(probability)})"
    if not segmentation.class_is_supported:
        judged = "too little gland tissue to tell the class"
    return (
        f"{judged}, {glands} gland{'' if glands == 1 else 's'}, "
        f"topology violations {segmentation.violations_raw.total} before repair, "
        f"{segmentation.violations.total} after"
    )


def expand(inputs: list[Path]) -> list[Path]:
    """The images that are meant: a folder stands for the images in it."""
    from ..slides import is_slide_path

    paths: list[Path] = []
    for path in inputs:
        if not path.is_dir() or is_slide_path(path):
            paths.append(path)
            continue
        inside = sorted(entry for entry in path.iterdir() if is_slide_path(entry))
        if not inside:
            raise InvalidInputError(f"The folder {path} holds no image that can be read.")
        paths.extend(inside)
    return paths


def make_writable(folder: Path) -> None:
    """Make an output folder, and find out before the work whether it can be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritableError(
            f"The output folder {folder} cannot be made ({error.strerror}). Choose another one."
        ) from error
    try:
        # Permissions do not tell of read-only discs and full ones, nor root of permissions.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputNotWritableError(
            f"The output folder {folder} cannot be written to ({error.strerror}). Choose another "
            f"one with -o."
        ) from error
