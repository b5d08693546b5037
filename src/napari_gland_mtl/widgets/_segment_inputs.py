"""All that “Segment glands” asks before it runs, from the image to the settings.

Which rows are shown depends on the part that is chosen: a slide has its result on disk and its
tissue found first, a field of view has neither.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from ..errors import GlandMTLError, InvalidInputError
from . import _way
from ._advanced import AdvancedSettings
from ._device_chooser import DeviceChooser
from ._extent import Part
from ._extent_chooser import ExtentChooser
from ._image_chooser import ImageChooser, PixelSizeField
from ._image_source import image_source
from ._model_chooser import ModelChooser
from ._output_row import OutputChooser
from ._output_state import Action, Output, check_usable
from ._tissue_row import TissueControls

FOLLOW_MS = 400
"""Between two looks at the camera and the shapes, which decide how large the part is."""


class SegmentInputs(QWidget):
    """The dock's controls.

    Parameters
    ----------
    viewer : napari.Viewer
    parent : QWidget, optional

    Attributes
    ----------
    action_changed : Signal
        A run would do something else now.
    """

    action_changed = Signal()

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.image_chooser = ImageChooser(viewer)
        self.pixel_size = PixelSizeField()
        self.extent_chooser = ExtentChooser(viewer, lambda: self.image_chooser.layer)
        self.way_label = QLabel()
        self.way_label.setObjectName("way_label")
        self.way_label.setWordWrap(True)
        self.output_chooser = OutputChooser()
        self.tissue = TissueControls()
        self.model_chooser = ModelChooser()
        self.device_chooser = DeviceChooser()
        self.advanced = AdvancedSettings()
        self._slide = False
        self._slide_rows: list[QWidget] = []
        self._arrange()
        self._timer = QTimer(self)
        self._timer.setInterval(FOLLOW_MS)
        self._timer.timeout.connect(self.refresh)
        self.output_chooser.action_changed.connect(lambda: self.action_changed.emit())
        self.extent_chooser.combo.currentIndexChanged.connect(lambda: self.refresh())
        self._show_rows()

    @property
    def is_slide(self) -> bool:
        """Whether what is chosen is segmented as a slide."""
        return self._slide

    @property
    def action(self) -> Action:
        """What a run does with what is where its result goes."""
        return self.output_chooser.action if self._slide else Action.NEW

    def set_image(self, image: Any | None) -> None:
        """Another image was chosen, or none."""
        self.pixel_size.set_layer(image)
        try:
            source = None if image is None else image_source(image)
        except InvalidInputError:  # a stack; said when it is to be segmented
            source = None
        image_id = "" if image is None else str(image.unique_id)
        self.output_chooser.set_image(image_id, source)
        self.refresh()

    def refresh(self) -> None:
        """Follow what decides how large the part is: image, view, shapes."""
        if not self.isEnabled():
            return
        image = self.image_chooser.layer
        try:
            part = None if image is None else self.extent_chooser.part_on(image)
        except GlandMTLError:  # nothing drawn yet; said when it is to be segmented
            part = None
        self._show_way(part)

    def part(self) -> Part:
        """The part to segment, and the controls made to fit it.

        Raises
        ------
        InvalidInputError
            If there is no image, or nothing of it is chosen.
        """
        part = self.extent_chooser.part_on(self.image())
        self._show_way(part)
        return part

    def image(self) -> Any:
        """The chosen layer.

        Raises
        ------
        InvalidInputError
            If there is none.
        """
        image = self.image_chooser.layer
        if image is None:
            raise InvalidInputError(
                "There is no image. Open one with File > Open, or drop it on the window."
            )
        return image

    def output(self) -> Output:
        """Where the result of a slide goes, looked at once more.

        Raises
        ------
        InvalidInputError
            If it cannot go there, or what is there has changed since the user was told.
        """
        before = self.output_chooser.output
        action = self.output_chooser.action
        self.output_chooser.refresh()
        self.output_chooser.choose_action(action)
        now = self.output_chooser.output
        if now is None:
            raise InvalidInputError("There is no image to segment.")
        check_usable(now)
        if before is not None and before.actions != now.actions:
            raise InvalidInputError(
                f"{now.path.name} has changed on disk. {now.note} Look at “Results”, then press "
                "the button again."
            )
        return now

    def settings(self) -> dict[str, Any]:
        """Arguments of the configuration; not checked yet.

        Raises
        ------
        MissingPixelSizeError, InvalidInputError, ModelNotFoundError
            If something is missing that only the user knows.
        """
        found = {
            **self.advanced.values(),
            "model": self.model_chooser.model(),
            "mpp": self.pixel_size.value(),
            "device": self.device_chooser.device(),
        }
        return {**found, "tissue": self.tissue.config()} if self._slide else found

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Follow the viewer while somebody looks."""
        super().showEvent(event)
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """Nobody looks."""
        super().hideEvent(event)
        self._timer.stop()

    def _arrange(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        rows = {
            "Image": self.image_chooser,
            "Pixel size": self.pixel_size,
            "Part": self.extent_chooser,
            "": self.way_label,
            "Results": self.output_chooser,
            "Tissue": self.tissue,
            "Model": self.model_chooser,
            "Device": self.device_chooser,
        }
        for row, (text, control) in enumerate(rows.items()):
            label = QLabel(text)
            if text:
                label.setMinimumHeight(self.image_chooser.sizeHint().height())
            grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(control, row, 1)
            if control in (self.output_chooser, self.tissue):
                self._slide_rows += [label, control]
        grid.addWidget(self.advanced, len(rows), 0, 1, 2)

    def _show_way(self, part: Part | None) -> None:
        self.way_label.setText("" if part is None else _way.way_sentence(part))
        slide = part is not None and not _way.is_field(part)
        if slide != self._slide:
            self._slide = slide
            self.advanced.set_slides(slide)
            if slide:
                self.output_chooser.refresh()
            self._show_rows()

    def _show_rows(self) -> None:
        for widget in self._slide_rows:
            widget.setVisible(self._slide)
        self.action_changed.emit()
