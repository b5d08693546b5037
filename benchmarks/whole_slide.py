"""What segmenting a whole slide costs beyond the network's forward pass.

    python benchmarks/whole_slide.py [--side 8192] [--mpp 1.0] [--rounds 3] [--no-flips]
                                     [--engine auto] [--cache FOLDER]

A synthetic slide full of tissue is written as an SVS and segmented with the bundled model: read,
scaled, predicted, written, labelled, measured. The bare forward pass is that of the same engine
on windows of the same size in memory. Wall-clock seconds, in turn, medians; the engine is made
ready before. The slide has levels at `--mpp` and four times that, so that the network's 1.6 um/px
has to be interpolated from it, as it has on real slides.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from alternating import at_least
from synthetic import written_slide

from napari_gland_mtl.checkpoint import Model, load_model
from napari_gland_mtl.jobs.events import SlideDone
from napari_gland_mtl.jobs.segment_config import SlideConfig
from napari_gland_mtl.jobs.segment_slide import segment_slide
from napari_gland_mtl.jobs.slide_plan import SlidePlan, plan_slide
from napari_gland_mtl.jobs.slide_work import Predictors
from napari_gland_mtl.slides import open_slide

BAR_COMPUTED, BAR_SLIDE = 0.85, 0.6
WINDOWS = 4


@dataclass
class Rounds:
    """What the rounds gave."""

    bare: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    stages: list[dict[str, float]] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=8192, help="px of the network's grid")
    parser.add_argument("--mpp", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--flips", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--cache", type=Path, help="where drawn tissue is kept between runs")
    options = parser.parse_args()
    model = load_model("glas")
    with tempfile.TemporaryDirectory(prefix="whole-slide-") as temporary:
        folder = Path(temporary)
        # Rounded down: a single px more would be another row and column of tiles.
        side = int(options.side * model.card.mpp / options.mpp)
        slide = written_slide(folder / "slide.svs", side, options.mpp, options.cache or folder)
        config = SlideConfig(engine=options.engine, flips=options.flips, tissue=None)
        return compare(slide, folder, config, model, options.rounds)


def compare(path: Path, folder: Path, config: SlideConfig, model: Model, rounds: int) -> int:
    predictors, found = Predictors(), Rounds()
    plan = None
    for number in range(-1, rounds):
        seconds, stages, plan = whole(path, folder, config, model, predictors)
        bare = bare_seconds(plan, model, predictors)
        if number >= 0:  # the round before them makes the engine and the file cache ready
            found.whole.append(seconds)
            found.bare.append(bare)
            found.stages.append(stages)
    return report(found, plan, predictors, model) if plan else 1


def whole(
    path: Path, folder: Path, config: SlideConfig, model: Model, predictors: Predictors
) -> tuple[float, dict[str, float], SlidePlan]:
    """Seconds of one segmentation from the open slide to the finished store."""
    output = folder / "result.ome.zarr"
    with open_slide(path) as slide:
        start = time.perf_counter()
        events = segment_slide(
            slide, output, config, overwrite=True, model=model, predictors=predictors
        )
        (done,) = [event for event in events if isinstance(event, SlideDone)]
        seconds = time.perf_counter() - start
        plan = plan_slide(slide, folder / "plan.ome.zarr", config, model, overwrite=True)
    return seconds, done.summary["seconds"], plan


def bare_seconds(plan: SlidePlan, model: Model, predictors: Predictors) -> float:
    """Seconds per computed px of the network alone, on random windows in memory."""
    engine = predictors.get(model, plan.config, plan.tiles).built_engine
    shape = plan.tiles[0].window.shape
    images = torch.randint(0, 256, (1, *shape, 3), dtype=torch.uint8)
    times = []
    with torch.inference_mode():
        for _ in range(WINDOWS):
            start = time.perf_counter()
            engine(images)
            times.append(time.perf_counter() - start)
    return statistics.median(times) / (shape[0] * shape[1])


def report(found: Rounds, plan: SlidePlan, predictors: Predictors, model: Model) -> int:
    predictor = predictors.get(model, plan.config, plan.tiles)
    window = plan.tiles[0].window.shape
    passes = plan.config.passes
    computed = passes * len(plan.tiles) * window[0] * window[1]
    height = max(tile.core.y1 for tile in plan.tiles)
    width = max(tile.core.x1 for tile in plan.tiles)
    bare, seconds = statistics.median(found.bare), statistics.median(found.whole)
    print(f"{predictor.engine}, {predictor.precision}, {passes} passes, {len(plan.tiles)} tiles")
    print(f"px computed per px of the slide: {computed / passes / (height * width):.2f}")
    shares = {
        name: statistics.median(stages.get(name, 0.0) for stages in found.stages) / seconds
        for name in found.stages[0]
    }
    for name, share in shares.items():
        print(f"  {name}: {share:.1%} of the time by the clock")
    per_computed = bare * computed / seconds
    per_slide = bare * height * width * passes / seconds
    held = at_least("forward pass per computed px", per_computed, BAR_COMPUTED)
    return held | at_least("forward pass per slide px", per_slide, BAR_SLIDE)


if __name__ == "__main__":
    sys.exit(main())
