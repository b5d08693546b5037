"""The colour and the title of each loss, the same in every figure, dock and report.

Colours are of the Okabe-Ito set, which is told apart in every common colour blindness; these four
stand out from napari's dark ground and from white paper alike. Nothing is imported here.
"""

from __future__ import annotations

LOSS_COLORS: dict[str, str] = {
    "classification": "#cc79a7",
    "segmentation": "#0072b2",
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
