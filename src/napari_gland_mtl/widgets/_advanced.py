"""The settings few users touch, folded away; a form is made when it is first opened."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QPushButton, QWidget

from ._config_form import ConfigForm
from ._fold import Fold

SET_ELSEWHERE = ("model", "mpp", "device", "tissue")
NOT_SHARED = ("tile_size",)
"""Settings whose limits and defaults differ between fields and slides."""


class AdvancedSettings(Fold):
    """A form of the segmentation's configuration, without what the dock asks for itself.

    Fields of view and slides have a form each; what both can set is carried from one to the
    other. Most users never open it, so they are made when somebody does.

    Parameters
    ----------
    parent : QWidget, optional
    slides : bool
        Begin with the form for slides.
    """

    def __init__(self, parent: QWidget | None = None, slides: bool = False) -> None:
        super().__init__("Advanced", "advanced", parent)
        self._slides = slides
        self._forms: dict[bool, ConfigForm] = {}
        self.toggled.connect(self._on_toggled)

    @property
    def form(self) -> ConfigForm | None:
        """The form for what is to be segmented; None if none was opened yet."""
        return self._forms.get(self._slides)

    def set_slides(self, slides: bool) -> None:
        """Show the settings for a slide, or those for a field of view."""
        if slides == self._slides:
            return
        before, self._slides = self.form, slides
        if before is None:
            return
        self._ensure_form()
        shared = {n: v for n, v in before.values().items() if n not in NOT_SHARED}
        self._forms[slides].set_values(shared)
        self._show_form()

    def values(self) -> dict[str, Any]:
        """What differs from, or repeats, the defaults; empty if no form was ever opened."""
        return {} if self.form is None else self.form.values()

    def _on_toggled(self, opened: bool) -> None:
        if opened and self.form is None:
            self._ensure_form()
            self._show_form()

    def _ensure_form(self) -> None:
        from ..jobs.segment_config import SegmentConfig, SlideConfig

        if self._slides in self._forms:
            return
        first = not self._forms
        config = SlideConfig() if self._slides else SegmentConfig()
        form = ConfigForm(config, exclude=SET_ELSEWHERE)
        form.setObjectName("slide_config_form" if self._slides else "config_form")
        self._forms[self._slides] = form
        self.addWidget(form)
        if first:
            self.addWidget(self._create_reset_button())

    def _show_form(self) -> None:
        for slides, form in self._forms.items():
            form.setVisible(slides == self._slides)
        if self.isExpanded():
            self.expand(animate=False)  # takes the height of what is shown now

    def _create_reset_button(self) -> QPushButton:
        button = QPushButton("Reset to defaults")
        button.setObjectName("reset_button")
        button.clicked.connect(self._reset)
        return button

    def _reset(self, *_: Any) -> None:
        if self.form is not None:
            self.form.reset()
