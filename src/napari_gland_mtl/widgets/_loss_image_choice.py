"""How the training images are ranked: by loss or learned uncertainty, and in which of the losses.

Wrong annotations show in the loss, so that it is chosen first. Where no uncertainty of each image
was learned, that choice is greyed out and says why.
"""

from __future__ import annotations

from typing import cast

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from ..plots import ImageTable, RankBy, loss_title
from ..plots.image_ranking import NOT_LEARNED, deciding_losses

BY: dict[RankBy, str] = {"loss": "Loss", "uncertainty": "Learned uncertainty"}
BY_HELP = (
    "Loss: how badly the model fits the annotation. Wrong annotations show there.\n"
    "Learned uncertainty: what the model says of the image alone. Images that look unlike the "
    "others show there."
)
ALL = "All losses"
LOSSES_HELP = (
    "Compare the images in one loss, or in the one in which each stands out most. Geometry is "
    "compared only if it is chosen: it says how smooth the prediction is, not how well it fits."
)
LETTERS = 8
"""That a list shows at least, so that both fit into a narrow dock."""


class ImageChoice(QWidget):
    """The two lists; what is in them depends on the training."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("image_choice")
        self.by_box = _box("rank_by", "Rank images by", BY_HELP)
        for by, text in BY.items():
            self.by_box.addItem(text, by)
        self.losses = _box("image_losses", "Losses compared", LOSSES_HELP)
        self.losses.addItem(ALL, "")
        label = QLabel("Rank by")
        label.setBuddy(self.by_box)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(label)
        row.addWidget(self.by_box, 1)
        row.addWidget(self.losses, 1)
        for box in (self.by_box, self.losses):
            box.currentIndexChanged.connect(lambda *_: self.changed.emit())

    @property
    def loss(self) -> tuple[str, ...]:
        """The loss that is chosen; none for the one in which each image stands out most."""
        chosen = self.losses.currentData()
        return (chosen,) if chosen else ()

    def by(self, table: ImageTable) -> RankBy:
        """By what to rank these images."""
        return cast(RankBy, self.by_box.currentData()) if table.learned else "loss"

    def offer(self, table: ImageTable | None) -> None:
        """What there is to choose from; what is chosen stays so if it is there."""
        known = table is not None and len(table) > 0
        learned = table is not None and table.learned
        self.losses.setEnabled(known)
        self.by_box.setEnabled(known and learned)
        self.by_box.setToolTip(NOT_LEARNED if known and not learned else BY_HELP)
        if known and not learned:
            with QSignalBlocker(self.by_box):
                self.by_box.setCurrentIndex(self.by_box.findData("loss"))
        self._offer_losses(() if table is None else table.losses)

    def _offer_losses(self, names: tuple[str, ...]) -> None:
        if names == tuple(self.losses.itemData(row) for row in range(1, self.losses.count())):
            return
        chosen = self.losses.currentData()
        with QSignalBlocker(self.losses):
            self.losses.clear()
            self.losses.addItem(_all(names), "")
            for name in names:
                self.losses.addItem(loss_title(name), name)
            self.losses.setCurrentIndex(max(0, self.losses.findData(chosen)))


def _all(names: tuple[str, ...]) -> str:
    """Of which losses the one in which an image stands out most decides."""
    left_out = [loss_title(name).lower() for name in names if name not in deciding_losses(names)]
    return f"All but {', '.join(left_out)}" if left_out else ALL


def _box(name: str, accessible: str, tip: str) -> QComboBox:
    box = QComboBox()
    box.setObjectName(name)
    box.setAccessibleName(accessible)
    box.setToolTip(tip)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(LETTERS)
    return box
