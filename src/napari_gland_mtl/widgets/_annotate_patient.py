"""Whose tissue an image shows: a field for all areas of the image together.

A fine-tuning keeps whole patients apart to measure on. A name that stood in one area of a slide
only would put its areas on both sides, so it is entered once for the image.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QWidget

if TYPE_CHECKING:
    from ..annotations.area import AreaInfo

UNKNOWN = "unknown"
SEVERAL = "several: "
ELSEWHERE = (
    "The area you work on is not of the chosen image. Open and choose its slide to say whose "
    "tissue it is."
)
HELP = (
    "Whose tissue this is, as a code rather than a name. Slides of one patient stay together when "
    "areas are kept apart to measure a model on; left empty, each slide counts as a patient. It is "
    "saved with all areas of this image."
)


class PatientField(QWidget):
    """Asks for the patient.

    Attributes
    ----------
    entered : Signal(str)
        The user has typed another one; empty for unknown.
    """

    entered = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._known = False
        self.edit = QLineEdit()
        self.edit.setObjectName("patient_edit")
        self.edit.setAccessibleName("Patient")
        self.edit.setPlaceholderText(UNKNOWN)
        self.edit.setToolTip(HELP)
        self.edit.editingFinished.connect(self.finish)
        label = QLabel("Patient")
        label.setToolTip(HELP)
        label.setBuddy(self.edit)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(label)
        layout.addWidget(self.edit, 1)
        self.forget()

    @property
    def value(self) -> str | None:
        """What stands there, empty if the patient is unknown; None if the areas of the image do
        not say one thing, or are not listed yet.
        """
        return self._text if self._known or self.edit.isModified() else None

    @property
    def _text(self) -> str:
        return str(self.edit.text()).strip()

    def forget(self) -> None:
        """Another image was chosen: nothing can be entered until its areas are listed."""
        self.edit.setText("")  # clear() would count as typing
        self.edit.setPlaceholderText(UNKNOWN)
        self._known = False
        self.setEnabled(False)

    def allow(self, allowed: bool) -> None:
        """Let a patient be entered, unless the area that is worked on is of another image."""
        self.setEnabled(allowed)
        self.edit.setToolTip(HELP if allowed else ELSEWHERE)

    def show_areas(self, areas: Iterable[AreaInfo]) -> None:
        """Show what the areas of the image say; what is being typed, or meant for the first
        area, stays.
        """
        names = list(dict.fromkeys(area.patient for area in areas))
        if not names or self.edit.isModified():
            return
        alone = self._known = len(names) == 1
        text = names[0] if alone else ""
        if text != self.edit.text():
            self.edit.setText(text)
        listed = ", ".join(name or UNKNOWN for name in names)
        self.edit.setPlaceholderText(UNKNOWN if alone else f"{SEVERAL}{listed}")

    def finish(self) -> None:
        """Pass on what is typed, as when the field is left."""
        if self.edit.isModified():
            self.edit.setModified(False)
            self._known = True
            self.entered.emit(self._text)


def last_patient(areas: Iterable[AreaInfo]) -> str:
    """The patient that was named last in these areas; empty if none was."""
    named = [area for area in areas if area.patient]
    return max(named, key=lambda area: area.modified).patient if named else ""
