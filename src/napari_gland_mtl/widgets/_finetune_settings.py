"""What few users touch: losses and their weighting, lengths, guards, the device. Folded away."""

from __future__ import annotations

from typing import Any, cast

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from ..jobs.finetune_config import DEFAULTS, REPLAY_KEEP, FinetuneConfig
from ._config_form import ConfigForm
from ._device_chooser import DeviceChooser
from ._finetune_losses import LossChoice
from ._fold import Fold

MAIN = ("epochs", "patches_per_epoch", "learning_rate", "freeze_encoder", "keep")
TITLES = {
    "keep": "Keep of the start model",
    "freeze_encoder": "Leave the encoder as it is",
    "freeze_statistics": "Keep its colour statistics",
    "replay_share": "Share of replayed patches",
    "batch_size": "Patches per step",
    "seed": "Random seed",
}
MORE = (
    "freeze_statistics",
    "replay_share",
    "batch_size",
    "patch_size",
    "seam_um",
    "seed",
    "precision",
)


class FinetuneSettings(Fold):
    """A form of `FinetuneConfig`, without what the dock asks for itself.

    Attributes
    ----------
    changed : Signal
        A loss, the weighting or one of its sliders was changed.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Settings", "finetune_settings", parent)
        config = FinetuneConfig()
        self.losses = LossChoice(config)
        self.losses.changed.connect(lambda: self.changed.emit())
        self.form = _form(config, MAIN)
        self.device = DeviceChooser()
        self.preview = QCheckBox("Preview after each epoch")
        self.preview.setObjectName("preview_tick")
        self.preview.setChecked(True)
        self.preview.setToolTip(
            "Segments what the viewer shows with the model as it is, so that you see it learn."
        )
        self.more = Fold("More", "finetune_more")
        self.more_form = _form(config, MORE)
        self.replay = _FolderRow()
        self.reset_button = QPushButton("Reset to defaults")
        self.reset_button.setObjectName("finetune_reset_button")
        self.reset_button.clicked.connect(lambda: self.reset())
        self._arrange()

    def values(self) -> dict[str, Any]:
        """Arguments of `FinetuneConfig`; not checked yet."""
        return {
            **self.form.values(),
            **self.more_form.values(),
            **self.losses.values(),
            "device": self.device.device(),
            "replay": self.replay.folder(),
        }

    def problem(self) -> str:
        """What cannot be trained with, in words; empty if all is well."""
        return self.losses.problem()

    def reset(self) -> None:
        """Back to the defaults."""
        self.losses.reset()
        self.form.reset()
        self.more_form.reset()
        self.replay.edit.clear()
        self.device.setCurrentIndex(0)

    def _arrange(self) -> None:
        cast(QFormLayout, self.form.layout()).addRow("Device", self.device)
        cast(QFormLayout, self.more_form.layout()).insertRow(0, "Replay images", self.replay)
        self.more.addWidget(self.more_form)
        for widget in (self.losses, self.form, self.preview, self.more, self.reset_button):
            self.addWidget(widget)
        self.more.toggled.connect(self._on_more)
        self.replay.edit.textChanged.connect(self._on_replay)
        self.losses.changed.connect(self._fit)

    def _on_replay(self, *_: Any) -> None:
        """What is kept goes along with the replay, unless the user has set it otherwise."""
        keep, defaults = self.form.controls["keep"], (DEFAULTS["keep"], REPLAY_KEEP)
        if keep.value in defaults:
            keep.value = defaults[self.replay.folder() is not None]

    def _on_more(self, *_: Any) -> None:
        self._fit()

    def _fit(self) -> None:
        """Take the height of what is shown now."""
        if self.isExpanded():
            self.expand(animate=False)


class _FolderRow(QWidget):
    """The folder of images that the start model knows."""

    def __init__(self) -> None:
        super().__init__()
        self.edit = QLineEdit()
        self.edit.setObjectName("replay_edit")
        self.edit.setPlaceholderText("none")
        about = FinetuneConfig.model_fields["replay"].description or ""
        self.edit.setToolTip(about)
        self.button = QPushButton("…")
        self.button.setObjectName("replay_button")
        self.button.setToolTip(about)
        self.button.clicked.connect(lambda: self._ask())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.edit, 1)
        layout.addWidget(self.button)

    def folder(self) -> str | None:
        """The path as it was typed; None for none."""
        return self.edit.text().strip() or None

    def _ask(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Images that the start model knows")
        if chosen:
            self.edit.setText(chosen)


def _form(config: FinetuneConfig, fields: tuple[str, ...]) -> ConfigForm:
    others = [name for name in FinetuneConfig.model_fields if name not in fields]
    form = ConfigForm(config, exclude=others, prefix="finetune_")
    layout = cast(QFormLayout, form.layout())
    for name, title in TITLES.items():
        if name in form.controls:
            layout.labelForField(form.controls[name].native).setText(title)
    return form
