"""The command line's way with fields of view: labelled in memory, written when complete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import GlandMTLError, InvalidInputError, OutputExistsError
from ..segmentation import Segmentation, probability_text
from .errors import report
from .inputs import Box
from .progress import above, watch
from .run import Outcome, Run

if TYPE_CHECKING:
    from ..jobs.events import Event
    from ..jobs.segment_config import SegmentConfig
    from ..slides import Slide

_DECISIVE = ("flips", "quarter_turns", "dropout_samples", "decoding")
"""Settings that change the labels; the others change what they cost."""


def segment_fields(
    paths: Sequence[Path], run: Run, config: SegmentConfig, region: Box | None
) -> Outcome:
    """Segment images one after another; a file that fails is reported and the others go on."""
    fields = _Fields(run, config, region)
    failed = written = 0
    for path in paths:
        if run.stop.stopped:
            break
        try:
            written += fields.segment(path)
        except (GlandMTLError, OSError) as error:
            if run.debug:
                raise
            failed += 1
            report(error, about=str(path) if path.name not in str(error) else None)
    return Outcome(failed=failed, fields=len(paths) - written - failed)


@dataclass
class _Fields:
    """What is the same for all images."""

    run: Run
    config: SegmentConfig
    region: Box | None

    def segment(self, path: Path) -> bool:
        """Segment one image and write what was found; False if that was stopped."""
        from ..export.ome_zarr import write_segmentation
        from ..export.tables import write_table
        from ..jobs.events import SegmentationDone
        from ..jobs.segment import segment_image
        from ..slides import open_slide

        overwrite = self.run.overwrite or self.run.resume
        with open_slide(path, mpp=self.config.mpp) as slide:
            store, table = self._outputs(slide, path)
            if self.run.resume and store.exists() and table.exists():
                typer.echo(f"{slide.name}: complete already -> {store}")
                return True
            events = segment_image(slide, self.config, self.run.stop, self.region, self.run.model)
            done = watch(self._until_stopped(events), self.run.progress, slide.name)
            if not isinstance(done, SegmentationDone) or not done.segmentation.complete:
                return False
            segmentation = done.segmentation
            write_segmentation(store, slide, segmentation, overwrite, done.offset)
            write_table(table, segmentation.table, overwrite=overwrite)
            with above(self.run.progress):
                typer.echo(f"{slide.name}: {summary(segmentation)} -> {store}")
        return True

    def _until_stopped(self, events: Iterator[Event]) -> Iterator[Event]:
        """The events before a stop: what is thrown away need not be decoded first."""
        for event in events:
            yield event
            if self.run.stop.stopped:
                return

    def _outputs(self, slide: Slide, path: Path) -> tuple[Path, Path]:
        """Where the results of an image go; refused if something is there already."""
        from ..export.store import check_replaceable

        folder, name = self.run.output, slide.name
        outputs = folder / f"{name}.ome.zarr", folder / f"{name}.csv"
        for existing in outputs:
            if not existing.exists():
                continue
            if existing.samefile(path):
                raise OutputExistsError(
                    f"{path} would be replaced by its own result. Choose another folder with -o."
                )
            if not (self.run.overwrite or self.run.resume):
                raise OutputExistsError(
                    f"{existing} exists already. Give --resume to keep it, --overwrite to replace "
                    "it, or another folder."
                )
        if self.run.resume:
            self._check_same(slide, outputs[0])
        check_replaceable(outputs[0], self.run.overwrite or self.run.resume)
        return outputs

    def _check_same(self, slide: Slide, store: Path) -> None:
        """Refuse to take the result of other settings for one of these."""
        from ..export.ome_zarr import ATTRIBUTE, is_segmentation
        from ..jobs.segment_config import LATER_SETTINGS
        from ..storage.zarr_group import read_group

        if not store.exists():
            return
        before: dict[str, Any] = {}
        if is_segmentation(store):
            before = read_group(store)[ATTRIBUTE].get("provenance", {})
        settings = before.get("settings", {})
        config = self.config.model_dump(mode="json")
        then = [before.get("model_sha256"), before.get("region")]
        then += [settings.get(name, LATER_SETTINGS.get(name)) for name in _DECISIVE]
        now = [self.run.model.sha256, self._area(slide), *(config[name] for name in _DECISIVE)]
        if then != now:
            raise InvalidInputError(
                f"{store} was made by another model, with other settings or of another part. Give "
                "the same ones to resume, another folder, or --overwrite instead of --resume."
            )

    def _area(self, slide: Slide) -> list[int]:
        """The part that is segmented, as the provenance says it."""
        full = slide.levels[0]
        y0, x0, y1, x1 = self.region or (0, 0, full.height, full.width)
        return [max(y0, 0), max(x0, 0), min(y1, full.height), min(x1, full.width)]


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
