"""In memory or on disk: which of the two ways a part of an image is segmented.

A field of view is done in memory: its labels lie on the image's own pixels and can be painted
on. What is larger, or consists of several pieces, is done as a slide: written to disk tile by
tile while it runs, so that neither the memory nor a power cut is a limit.
"""

from __future__ import annotations

from ..jobs import segment_config
from ._extent import Part


def is_field(part: Part) -> bool:
    """Whether the part is segmented in memory."""
    return part.pixels <= segment_config.FIELD_LIMIT_PX and len(part.outlines) <= 1


def way_sentence(part: Part) -> str:
    """How a part will be segmented, and what that means, in words for the dock."""
    pieces = len(part.outlines)
    what = f"{pieces} shapes, {megapixels(part.pixels)}" if pieces > 1 else megapixels(part.pixels)
    if not part.fills_window and pieces == 1 and is_field(part):
        what += " around the shape"
    if is_field(part):
        return f"{what}: done in memory, as layers that can be corrected by hand."
    return f"{what}: done as a slide, written to disk while it runs; can be resumed."


def megapixels(pixels: int) -> str:
    """``0.4``, ``12`` or ``8,000 megapixels``."""
    value = pixels / 1e6
    return f"{value:.1f} megapixels" if value < 10 else f"{value:,.0f} megapixels"
