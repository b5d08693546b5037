"""Whether memory grows with the slide.

    python benchmarks/slide_memory.py [--small 4096] [--large 16384] [--cache FOLDER]
    python benchmarks/slide_memory.py --stripe 100000

Synthetic slides of two sizes (px of the network's grid) are segmented, each in a process of its
own, without flips. The peak of the resident memory is set against what the process holds before
its first window, so the activations of one window are part of the growth. With `--stripe`, one
row of tiles across the middle of a virtual slide of that side, which no disk would hold.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections import deque
from pathlib import Path

import numpy as np
import psutil
from synthetic import virtual_slide, written_slide

from napari_gland_mtl.checkpoint import load_model
from napari_gland_mtl.inference.scaled_slide import ScaledSlide
from napari_gland_mtl.inference.tiling import Window
from napari_gland_mtl.jobs.events import SlideDone
from napari_gland_mtl.jobs.segment_config import SlideConfig
from napari_gland_mtl.jobs.segment_slide import segment_slide
from napari_gland_mtl.jobs.slide_plan import plan_slide
from napari_gland_mtl.jobs.slide_work import Predictors
from napari_gland_mtl.slides import Slide, open_slide
from napari_gland_mtl.slides.areas import Areas

BAR = 1.25
MIB = 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", type=int, default=4096)
    parser.add_argument("--large", type=int, default=16384)
    parser.add_argument("--stripe", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="where drawn tissue is kept between runs")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(json.loads(options.child))
    with tempfile.TemporaryDirectory(prefix="slide-memory-") as temporary:
        folder = Path(temporary)
        cache = options.cache or folder
        if options.stripe:
            growth = grown({"stripe": options.stripe, "cache": str(cache), "folder": temporary})
            print(f"stripe of {options.stripe} px: {growth / MIB:.0f} MiB over the base")
            return 0
        growths = []
        for side in (options.small, options.large):
            path = written_slide(folder / f"{side}.svs", side, 1.6, cache)
            growths.append(grown({"path": str(path), "folder": temporary}))
            print(f"{side} x {side}: {growths[-1] / MIB:.0f} MiB over the base", flush=True)
    ratio = growths[1] / growths[0]
    held = ratio <= BAR
    print(f"growth at {options.large} by growth at {options.small}: {ratio:.2f} ", end="")
    print(f"(bar: at most {BAR:g}, {'held' if held else 'MISSED'})")
    return 0 if held else 1


def grown(task: dict[str, object]) -> int:
    """Bytes that a process of its own grew by."""
    command = [sys.executable, __file__, "--child", json.dumps(task)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(result.stdout.splitlines()[-1])


def child(task: dict[str, object]) -> int:
    """Segment, and print by how many bytes the memory grew at most."""
    model, folder = load_model("glas"), Path(str(task["folder"]))
    config = SlideConfig(flips=False, tissue=None, device="cpu")
    areas = None
    if "stripe" in task:
        side = int(str(task["stripe"]))
        slide = virtual_slide(side, 1.6, Path(str(task["cache"])))
        middle = side // 2
        areas = Areas([[(middle, 0), (middle, side), (middle + 900, side), (middle + 900, 0)]])
    else:
        slide = open_slide(str(task["path"]))  # type: ignore[assignment]
    plan = plan_slide(slide, folder / "plan.ome.zarr", config, model, areas, overwrite=True)
    predictors = Predictors()
    predictor = predictors.get(model, config, plan.tiles)
    base = resident()
    deque(predictor.predict(Blank(slide, model.card.mpp), list(plan.tiles[:1])), maxlen=0)
    print(f"one window: {(resident() - base) / MIB:.0f} MiB", file=sys.stderr)
    output = folder / "result.ome.zarr"
    events = segment_slide(
        slide, output, config, areas=areas, overwrite=True, model=model, predictors=predictors
    )
    with Peak() as peak:
        (done,) = [event for event in events if isinstance(event, SlideDone)]
    print(done.summary["statement"], file=sys.stderr)
    print(peak.value - base)
    return 0 if done.complete else 1


class Blank:
    """A slide at the network's scale on which there is nothing."""

    def __init__(self, slide: Slide, mpp: float) -> None:
        self.shape = ScaledSlide(slide, slide.mpp or mpp, mpp).shape

    def read(self, window: Window) -> np.ndarray:
        """White px."""
        return np.full((*window.shape, 3), 255, np.uint8)


class Peak:
    """The largest resident memory while it is open, looked at a hundred times a second."""

    def __init__(self) -> None:
        self.value = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.01):
            self.value = max(self.value, resident())


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    sys.exit(main())
