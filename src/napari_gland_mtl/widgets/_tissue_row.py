"""Whether only tissue is segmented, and from which strength of the stain on something is tissue."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..slides.tissue import TissueConfig
from ._config_form import ConfigForm
from ._fold import Fold

AUTOMATIC, OWN = "Automatic threshold", "Own threshold"
FIRST_THRESHOLD = 0.05
"""Between pale fat and stroma: where the own threshold begins."""
_PAUSE_MS = 400


class TissueControls(QWidget):
    """On or off, the threshold, and the finer settings folded away.

    Parameters
    ----------
    preview : bool
        Whether the mask can be looked at.

    Attributes
    ----------
    preview_clicked : Signal
    changed : Signal
        A setting was changed, and the user has paused.
    """

    preview_clicked = Signal()
    changed = Signal()

    def __init__(self, parent: QWidget | None = None, preview: bool = True) -> None:
        super().__init__(parent)
        self.form = ConfigForm(TissueConfig(), exclude=("threshold",), prefix="tissue_")
        self.check = self._create_check()
        self.preview_button = self._create_preview_button()
        self.preview_button.setVisible(preview)
        self.combo = self._create_combo()
        self.spin = self._create_spin()
        self.more = self._create_more()
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(lambda: self.changed.emit())
        self._arrange()
        self._follow()

    def config(self) -> dict[str, Any] | None:
        """Arguments of `TissueConfig`; None to segment everything."""
        if not self.check.isChecked():
            return None
        own = self.combo.currentText() == OWN
        return {**self.form.values(), "threshold": self.spin.value() if own else None}

    def _create_check(self) -> QCheckBox:
        check = QCheckBox("Only where there is tissue")
        check.setObjectName("tissue_check")
        check.setChecked(True)
        check.setToolTip(
            "Looks for tissue at low resolution and leaves out glass and pen marks. Off, every "
            "tile is segmented, which takes longer."
        )
        check.toggled.connect(self._on_toggled)
        return check

    def _create_preview_button(self) -> QPushButton:
        button = QPushButton("Preview")
        button.setObjectName("tissue_preview_button")
        button.setToolTip("Shows what is taken for tissue as a layer; it follows these settings.")
        button.clicked.connect(lambda: self.preview_clicked.emit())
        return button

    def _create_combo(self) -> QComboBox:
        combo = QComboBox()
        combo.setObjectName("tissue_threshold_combo")
        combo.addItems([AUTOMATIC, OWN])
        combo.setToolTip("From which strength of the stain on something is tissue.")
        combo.currentIndexChanged.connect(self._on_threshold_kind)
        return combo

    def _create_spin(self) -> QDoubleSpinBox:
        spin = QDoubleSpinBox()
        spin.setObjectName("tissue_threshold_spin")
        spin.setDecimals(3)
        spin.setRange(0.001, 1.0)
        spin.setSingleStep(0.01)
        spin.setValue(FIRST_THRESHOLD)
        spin.setToolTip(TissueConfig.model_fields["threshold"].description or "")
        spin.setVisible(False)
        spin.valueChanged.connect(self._on_changed)
        return spin

    def _create_more(self) -> Fold:
        more = Fold("More about tissue", "tissue_more")
        more.addWidget(self.form)
        return more

    def _arrange(self) -> None:
        first, second = QHBoxLayout(), QHBoxLayout()
        first.addWidget(self.check, 1)
        first.addWidget(self.preview_button)
        second.addWidget(self.combo, 1)
        second.addWidget(self.spin)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(first)
        layout.addLayout(second)
        layout.addWidget(self.more)

    def _follow(self) -> None:
        """Hear of every change in the folded form."""
        for control in self.form.controls.values():
            control.changed.connect(self._on_changed)

    def _on_toggled(self, on: bool) -> None:
        for widget in (self.preview_button, self.combo, self.spin, self.more):
            widget.setEnabled(on)
        self._on_changed()

    def _on_threshold_kind(self, *_: Any) -> None:
        self.spin.setVisible(self.combo.currentText() == OWN)
        self._on_changed()

    def _on_changed(self, *_: Any) -> None:
        self._pause.start()
