"""Which images are fields of view and which are slides, where the user leaves it to their size.

A small slide that comes out as a field, without summary and report, would puzzle whoever asked
for slides: it is said once, with the option that has it otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from ..errors import GlandMTLError
from .errors import report


@dataclass(frozen=True)
class _Size:
    """What the size of an image says, and what its file does."""

    path: Path
    pixels: int
    slide_format: bool


def sort_by_size(
    paths: Sequence[Path], mpp: float | None, debug: bool
) -> tuple[list[Path], list[Path], int]:
    """Fields of view, slides, and the number of files that are neither, which is reported."""
    from ..jobs.segment_config import FIELD_LIMIT_PX

    sizes: list[_Size] = []
    for path in paths:
        try:
            sizes.append(_size(path, mpp))
        except (GlandMTLError, OSError) as error:
            if debug:
                raise
            report(error, about=str(path) if path.name not in str(error) else None)
    fields = [size for size in sizes if size.pixels <= FIELD_LIMIT_PX]
    slides = [size.path for size in sizes if size.pixels > FIELD_LIMIT_PX]
    note = _note(fields, len(sizes))
    if note:
        typer.echo(f"note: {note}", err=True)
    return [field.path for field in fields], slides, len(paths) - len(sizes)


def _size(path: Path, mpp: float | None) -> _Size:
    from ..slides import open_slide

    with open_slide(path, mpp=mpp) as slide:
        full = slide.levels[0]
        pyramid = len(slide.levels) > 1 or slide.vendor is not None
        return _Size(path, full.height * full.width, pyramid)


def _note(fields: Sequence[_Size], images: int) -> str | None:
    """What to say of fields that may have been meant as slides; None of a plain single image."""
    if len(fields) == 1 and (images > 1 or fields[0].slide_format):
        (field,) = fields
        size = f"{field.pixels / 1e6:.1f} megapixels"
        return f"{field.path.name}: done as a field of view ({size}); --slide treats it as a slide."
    if len(fields) > 1:
        largest = max(field.pixels for field in fields) / 1e6
        which = "all" if len(fields) == images else f"{len(fields)} of {images}"
        return (
            f"{which} images are done as fields of view (up to {largest:.1f} megapixels), without "
            "summary.csv and report.html; --slide treats them as slides."
        )
    return None
