"""Which image layer, and its pixel size: two controls that follow the viewer's layers."""

from __future__ import annotations

import math
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from ..errors import InvalidInputError, MissingPixelSizeError
from . import _layers
from ._image_source import pixel_size_of


class ImageChooser(QComboBox):
    """Lists the image layers; picks the one that the user makes active.

    Parameters
    ----------
    viewer : napari.Viewer
    parent : QWidget, optional

    Attributes
    ----------
    layer_changed : Signal
        Another image, or none, is chosen.
    """

    layer_changed = Signal()

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("image_combo")
        self.setToolTip("The image that will be segmented.")
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        self._viewer = viewer
        self._layers: list[Any] = []
        self._announced: Any = None
        self._watch = _layers.LayerWatch(viewer, self._refresh, self._follow_active)
        self.currentIndexChanged.connect(self._announce)
        self._refresh()
        self._follow_active()

    @property
    def layer(self) -> Any | None:
        """The chosen image layer; None if there is none."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def choose(self, layer: Any) -> None:
        """Choose a layer that is in the viewer."""
        if layer in self._layers:
            self.setCurrentIndex(self._layers.index(layer))

    def disconnect_events(self) -> None:
        """Stop following the viewer."""
        self._watch.disconnect()

    def _refresh(self, event: Any = None) -> None:
        chosen = self.layer
        self._layers = _layers.image_layers(self._viewer)
        self.blockSignals(True)
        self.clear()
        self.addItems([layer.name for layer in self._layers])
        if chosen in self._layers:
            self.setCurrentIndex(self._layers.index(chosen))
        self.blockSignals(False)
        self._announce()

    def _follow_active(self, event: Any = None) -> None:
        active = _layers.active_image(self._viewer)
        if active is not None and self.isEnabled():
            self.choose(active)

    def _announce(self, *_: Any) -> None:
        if self.layer != self._announced:
            self._announced = self.layer
            self.layer_changed.emit()


class PixelSizeField(QWidget):
    """Micrometres per pixel: filled from the layer where it says so, else asked for.

    A value typed for an image is remembered while the dock is open.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layer: Any = None
        self._typed: dict[str, str] = {}
        self.edit = self._create_edit()
        self.note = QLabel()
        self.note.setObjectName("pixel_size_note")
        self.note.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(self.edit, 1)
        row.addWidget(QLabel("µm / pixel"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.note)

    def value(self) -> float:
        """The pixel size in um.

        Raises
        ------
        MissingPixelSizeError
            If the field is empty.
        InvalidInputError
            If it holds no plausible number.
        """
        from ..slides.pixel_size import plausible_mpp

        text = self.edit.text().strip().replace(",", ".")
        if not text:
            raise MissingPixelSizeError(
                "The pixel size of this image is not known. Enter it above in µm per pixel "
                "(about 0.25 for a 40x scan, 0.5 for 20x)."
            )
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        mpp = plausible_mpp(number) if math.isfinite(number) else None
        if mpp is None:
            raise InvalidInputError(
                f"“{self.edit.text()}” is no pixel size of a microscope image. Enter a number of "
                "µm per pixel between 0.05 and 20."
            )
        return mpp

    def known(self) -> float | None:
        """The pixel size in um; None if there is none that could be used."""
        try:
            return self.value()
        except (MissingPixelSizeError, InvalidInputError):
            return None

    def enter(self, mpp: float) -> None:
        """Take a pixel size that was entered elsewhere, unless one is known here."""
        if not self.edit.text().strip():
            self.edit.setText(f"{mpp:.5g}")
            self._remember(self.edit.text())

    def set_layer(self, layer: Any | None) -> None:
        """Show the pixel size of another layer."""
        self.disconnect_events()
        self._layer = layer
        if layer is not None:
            for emitter in self._emitters():
                emitter.connect(self._fill)
        self._fill()

    def disconnect_events(self) -> None:
        """Stop following the layer's scale."""
        if self._layer is not None:
            for emitter in self._emitters():
                emitter.disconnect(self._fill)
            self._layer = None

    def _create_edit(self) -> QLineEdit:
        edit = QLineEdit()
        edit.setObjectName("pixel_size_edit")
        edit.setPlaceholderText("not known: please enter")
        edit.setToolTip(
            "How many micrometres one pixel is wide. The network looks at all images at the "
            "same scale, so a wrong value gives wrong glands."
        )
        edit.textEdited.connect(self._remember)
        return edit

    def _emitters(self) -> tuple[Any, ...]:
        events = self._layer.events
        return events.scale, events.units, events.affine

    def _remember(self, text: str) -> None:
        if self._layer is not None:
            self._typed[str(self._layer.unique_id)] = text
            self.note.setText("Entered by you.")

    def _fill(self, event: Any = None) -> None:
        if self._layer is None:
            self.edit.clear()
            self.note.setText("")
            return
        typed = self._typed.get(str(self._layer.unique_id))
        if typed:
            self.edit.setText(typed)
            self.note.setText("Entered by you.")
            return
        found = pixel_size_of(self._layer)
        self.edit.setText("" if found.mpp is None else f"{found.mpp:.5g}")
        self.note.setText(found.note)
