"""Synthetic slides for the benchmarks: a drawn field, mirrored to any size, as a file."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "sample_data"))

from synthetic_slide import SyntheticSlide, base_field, write_tiff


def virtual_slide(side: int, mpp: float, cache: Path, width: int | None = None) -> SyntheticSlide:
    """A slide full of tissue that is computed when it is read."""
    drawn = base_field("benign", 1024, mpp, cache=cache)
    return SyntheticSlide(side, width or side, field=drawn, pieces=0)


def written_slide(path: Path, side: int, mpp: float, cache: Path) -> Path:
    """The same as an SVS with JPEG tiles."""
    print(f"writing a slide of {side} x {side} px at {mpp:g} um/px", flush=True)
    write_tiff(path, virtual_slide(side, mpp, cache))
    return path
