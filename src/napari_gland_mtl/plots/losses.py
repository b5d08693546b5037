"""The colour and the title of each loss, the same in every figure, dock and report.

Colours are of the Okabe-Ito set, which is told apart in every common colour blindness, but for the
blue, which is brighter: that one is dim on napari's dark ground. No blue stands out well from a
dark and from a grey-white ground, so that it has a darker twin for light ones. Nothing is imported
here.
"""

from __future__ import annotations

LOSS_COLORS: dict[str, str] = {
    "classification": "#cc79a7",
    "segmentation": "#4488ff",
    "topology": "#d55e00",
    "geometry": "#009e73",
}
LOSS_TITLES: dict[str, str] = {
    "classification": "Classification",
    "segmentation": "Segmentation",
    "topology": "Topology",
    "geometry": "Geometry",
}
OTHER_COLORS = ("#e69f00", "#56b4e9", "#f0e442")
"""Of losses that are not of this package, in their order."""

_ON_LIGHT = {"#4488ff": "#0072b2"}
_LIGHT = 0.5


def loss_color(name: str, place: int = 0) -> str:
    """The colour of a loss; one of the free colours for a name that is not known.

    Parameters
    ----------
    name : str
    place : int
        Which of the unknown ones it is.
    """
    return LOSS_COLORS.get(name, OTHER_COLORS[place % len(OTHER_COLORS)])


def loss_title(name: str) -> str:
    """How a loss is called where a user reads it."""
    return LOSS_TITLES.get(name, name.replace("_", " ").capitalize())


def on_ground(color: str, ground: str) -> str:
    """A colour of a loss as it is drawn on a ground: on a light one it may have a darker twin.

    Parameters
    ----------
    color, ground : str
        ``#rrggbb``.

    Examples
    --------
    >>> on_ground("#4488ff", "#23242b"), on_ground("#4488ff", "#ffffff")
    ('#4488ff', '#0072b2')
    """
    parts = [int(ground[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return _ON_LIGHT.get(color, color) if sum(parts) / 3 > _LIGHT else color
