"""On which processor the network runs."""

from __future__ import annotations

import sys

from qtpy.QtWidgets import QComboBox, QWidget

DEVICES = {
    "auto": "Automatic (GPU if there is one)",
    "cpu": "Processor (CPU)",
    "cuda": "NVIDIA GPU (CUDA)",
    "mps": "Apple GPU (MPS)",
}
# Asking torch which devices exist would load it; what a system cannot have is left out.
ABSENT = "cuda" if sys.platform == "darwin" else "mps"


class DeviceChooser(QComboBox):
    """Chooses the device; one that does not exist is reported when the job runs."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("device_combo")
        self.setToolTip("Where the network runs. A GPU is many times faster.")
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        for name, text in DEVICES.items():
            if name != ABSENT:
                self.addItem(text, name)

    def device(self) -> str:
        """``auto``, ``cpu``, ``cuda`` or ``mps``."""
        return str(self.currentData())
