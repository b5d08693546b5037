"""Which losses teach the model, and how they are weighed against each other.

Each way of weighting has one sentence; controls that belong to one way are there only with it.
"""

from __future__ import annotations

from typing import Any, cast

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider

from ..jobs.finetune_config import WEIGHTING_WORDS
from ..loss_names import WeightingName
from ..plots import LOSS_COLORS, LOSS_TITLES
from ._layer_styles import LegendEntry
from ._legend import swatch

ABOUT_LOSSES = {
    "classification": "Teaches the class of an area: benign or malignant.",
    "segmentation": "Teaches which pixel is stroma, epithelium or lumen.",
    "topology": "Teaches that lumen lies inside epithelium, never against stroma.",
    "geometry": "Teaches smooth outlines: neighbouring pixels agree, except at true borders.",
}
WEIGHTINGS = {
    "uncertainty": "Learned uncertainty",
    "fixed": "Fixed weights",
    "equal": "Equal weights",
    "convex": "Convex pair",
    "convex_trained": "Convex pair, learned",
    "alternating": "One optimiser per loss",
    "instance": "Learned uncertainty per image",
    "instance_pixel": "Learned uncertainty per image and pixel",
    "upgrad": "UPGrad (multi-objective)",
    "mgda": "MGDA (multi-objective)",
    "pcgrad": "PCGrad (multi-objective)",
    "aligned_mtl": "Aligned-MTL (multi-objective)",
    "imtl_g": "IMTL-G (multi-objective)",
}
WARNING_COLOR = "#d55e00"
PAIRS = ("convex", "convex_trained")


class LossChoice(QWidget):
    """Ticks for the losses, the weighting, and the sliders that it needs.

    Parameters
    ----------
    config : FinetuneConfig
        Gives the start values.
    parent : QWidget, optional

    Attributes
    ----------
    changed : Signal
        Something else is chosen.
    """

    changed = Signal()

    def __init__(self, config: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._config = config
        self.ticks = {name: self._create_tick(name) for name in LOSS_TITLES}
        self.combo = self._create_combo()
        self.sentence = QLabel()
        self.sentence.setObjectName("weighting_sentence")
        self.sentence.setWordWrap(True)
        self.warning = QLabel()
        self.warning.setObjectName("losses_warning")
        self.warning.setWordWrap(True)
        self.warning.setStyleSheet(f"color: {WARNING_COLOR}")
        self.sliders = {name: self._create_slider(f"weight_{name}") for name in LOSS_TITLES}
        self.share = self._create_slider("convex_share")
        self._labels = {name: QLabel(title) for name, title in LOSS_TITLES.items()}
        self._share_label = QLabel()
        self._arrange()
        self.reset()

    def losses(self) -> tuple[str, ...]:
        """The ticked losses, in their order."""
        return tuple(name for name, tick in self.ticks.items() if tick.isChecked())

    def weighting(self) -> WeightingName:
        """The chosen weighting, as the configuration names it."""
        return cast(WeightingName, self.combo.currentData())

    def values(self) -> dict[str, Any]:
        """Arguments of the configuration."""
        return {
            "losses": self.losses(),
            "weighting": self.weighting(),
            "loss_weights": {n: round(s.value(), 3) for n, s in self.sliders.items()},
            "convex_share": round(self.share.value(), 3),
        }

    def problem(self) -> str:
        """What is wrong with the choice, in words; empty if nothing is."""
        losses = self.losses()
        if not losses:
            return "No loss is ticked. Tick at least one under “Settings”."
        if self.weighting() in PAIRS and len(losses) != 2:
            return (
                f"The convex pair weighs two losses against each other, but {len(losses)} "
                f"{'is' if len(losses) == 1 else 'are'} ticked under “Settings”. Tick two, or "
                "choose another weighting."
            )
        if self.weighting() == "instance_pixel" and "segmentation" not in losses:
            return (
                "Learned uncertainty per pixel is about the segmentation loss, which is not ticked "
                "under “Settings”. Tick it, or choose “Learned uncertainty per image”."
            )
        if self.weighting() == "fixed" and not any(self.sliders[n].value() for n in losses):
            return "All fixed weights are 0. Raise at least one under “Settings”."
        return ""

    def reset(self) -> None:
        """Back to the start values."""
        for name, tick in self.ticks.items():
            tick.setChecked(name in self._config.losses)
        for name, slider in self.sliders.items():
            slider.setValue(self._config.loss_weights.get(name, 1.0))
        self.share.setValue(self._config.convex_share)
        self.combo.setCurrentIndex(self.combo.findData(self._config.weighting))
        self._show()

    def _create_tick(self, name: str) -> QCheckBox:
        tick = QCheckBox(LOSS_TITLES[name])
        tick.setObjectName(f"loss_{name}")
        tick.setIcon(QIcon(swatch(LegendEntry(name, LOSS_COLORS[name]))))
        tick.setToolTip(ABOUT_LOSSES.get(name, ""))
        tick.toggled.connect(self._show)
        return tick

    def _create_combo(self) -> QComboBox:
        combo = QComboBox()
        combo.setObjectName("weighting_combo")
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for name, sentence in WEIGHTING_WORDS.items():
            combo.addItem(WEIGHTINGS.get(name, name), name)
            combo.setItemData(combo.count() - 1, sentence, Qt.ItemDataRole.ToolTipRole)
        combo.setToolTip("How the losses are weighed against each other.")
        combo.currentIndexChanged.connect(self._show)
        return combo

    def _create_slider(self, name: str) -> QLabeledDoubleSlider:
        slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        slider.setObjectName(name)
        slider.setRange(0.0, 1.0)
        slider.setDecimals(2)
        slider.setSingleStep(0.01)
        slider.valueChanged.connect(self._show)
        return slider

    def _arrange(self) -> None:
        ticks = QGridLayout()
        for place, tick in enumerate(self.ticks.values()):
            ticks.addWidget(tick, place // 2, place % 2)
        sliders = QGridLayout()
        sliders.setColumnStretch(1, 1)
        rows = [(self._labels[name], self.sliders[name]) for name in LOSS_TITLES]
        for row, (label, slider) in enumerate([*rows, (self._share_label, self.share)]):
            sliders.addWidget(label, row, 0)
            sliders.addWidget(slider, row, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(QLabel("Losses"))
        layout.addLayout(ticks)
        layout.addWidget(QLabel("Weighting"))
        layout.addWidget(self.combo)
        layout.addWidget(self.sentence)
        layout.addWidget(self.warning)
        layout.addLayout(sliders)

    def _show(self, *_: Any) -> None:
        """Only what the chosen weighting needs."""
        weighting, losses = self.weighting(), self.losses()
        self.sentence.setText(WEIGHTING_WORDS[weighting])
        for name, slider in self.sliders.items():
            shown = weighting == "fixed" and name in losses
            slider.setVisible(shown)
            self._labels[name].setVisible(shown)
        pair = weighting in PAIRS and len(losses) == 2
        self.share.setVisible(pair)
        self._share_label.setVisible(pair)
        if pair:
            self._share_label.setText(f"Share of {LOSS_TITLES[losses[0]].lower()}")
        self.warning.setText(self.problem())
        self.warning.setVisible(bool(self.problem()))
        self.changed.emit()
