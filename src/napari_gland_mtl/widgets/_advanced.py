"""The settings few users touch, folded away; the form is made when it is first opened."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QPushButton, QWidget
from superqt import QCollapsible

from ._config_form import ConfigForm

SET_ELSEWHERE = ("model", "mpp", "device")


class AdvancedSettings(QCollapsible):
    """A form of the segmentation's configuration, without what the dock asks for itself.

    Most users never open it, so it is made when somebody does.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Advanced", parent)
        self.setObjectName("advanced")
        self.setDuration(0)
        self.setCollapsedIcon("▶")
        self.setExpandedIcon("▼")
        self.form: ConfigForm | None = None
        self.toggled.connect(self._on_toggled)

    def values(self) -> dict[str, Any]:
        """What differs from, or repeats, the defaults; empty if the form was never opened."""
        return {} if self.form is None else self.form.values()

    def _on_toggled(self, opened: bool) -> None:
        if not opened or self.form is not None:
            return
        from ..jobs.segment_config import SegmentConfig

        self.form = ConfigForm(SegmentConfig(), exclude=SET_ELSEWHERE)
        self.form.setObjectName("config_form")
        self.addWidget(self.form)
        self.addWidget(self._create_reset_button())
        self.expand(animate=False)

    def _create_reset_button(self) -> QPushButton:
        button = QPushButton("Reset to defaults")
        button.setObjectName("reset_button")
        button.clicked.connect(self._reset)
        return button

    def _reset(self, *_: Any) -> None:
        if self.form is not None:
            self.form.reset()
