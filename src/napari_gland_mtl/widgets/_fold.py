"""A part of the dock that is folded away behind its title."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget
from superqt import QCollapsible


class Fold(QCollapsible):
    """Opens and closes at once, and takes no more room than its title.

    Parameters
    ----------
    title : str
    name : str
        Object name.
    parent : QWidget, optional
    """

    def __init__(self, title: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(title, parent)
        self.setObjectName(name)
        self.setDuration(0)
        self.setCollapsedIcon("▶")
        self.setExpandedIcon("▼")
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.layout().setSpacing(2)
