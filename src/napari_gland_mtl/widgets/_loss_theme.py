"""napari's theme as the colours of a figure."""

from __future__ import annotations

from typing import Any

from ..plots import DARK, FigureTheme

POINTS = 7.5


def figure_theme(viewer: Any) -> FigureTheme:
    """The colours of the viewer's present theme."""
    from napari.utils.theme import get_theme

    try:
        theme = get_theme(viewer.theme)
    except (KeyError, ValueError):
        return DARK
    background, text, grid = (
        getattr(theme, name).as_hex(format="long") for name in ("background", "text", "primary")
    )
    return FigureTheme(background, text, grid, POINTS)
