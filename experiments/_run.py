"""One training with its measuring: what it is made of, and the name that tells it from others.

Two experiments that ask for the same run find it under the same name, so that it is done once.
The name's last part is a hash of everything that decides the result: all settings, the seed, the
labels, the images, and how it is measured. Where it ran is no part of it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from _settings import letters

from napari_gland_mtl.training.config import TrainingConfig

CLEAN = "clean"
# Raised when a run of the same settings would no longer be the same run.
FORMAT = 1


@dataclass(frozen=True, eq=False)
class Run:
    """A training on one side of the images, measured on the other.

    Attributes
    ----------
    settings : dict
        Fields of `TrainingConfig`, all that count; without seed and device.
    seed : int
        Of the training, and of the noise in its labels.
    images : str
        Fingerprint of the images on either side.
    measuring : dict
        Settings of the segmentation that is measured.
    part : str
        How the images are divided.
    labels : str
        "clean", or the kind of noise in a third of the training labels.
    """

    settings: dict[str, Any]
    seed: int
    images: str
    measuring: dict[str, Any]
    part: str = "validation"
    labels: str = CLEAN

    @property
    def key(self) -> str:
        """Hash of all that decides the result."""
        counted = {
            "format": FORMAT,
            "settings": self.settings,
            "seed": self.seed,
            "images": self.images,
            "labels": self.labels,
            "measuring": self.measuring,
        }
        if _warmup_is_cut(self.settings):  # since then another run than under its first name
            counted["warmup"] = "a fifth"
        text = json.dumps(counted, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def name(self) -> str:
        """Readable, and unlike that of any other run; names its folder."""
        words = [letters(self.settings["losses"]), weighting_slug(self.settings)]
        words += [word for word in (self.labels,) if word != CLEAN]
        words += [word for word in (self.part,) if word != "validation"]
        return "-".join([*words, f"seed{self.seed}", self.key])

    def counts(self, loss: str) -> bool:
        """Whether a loss is among those trained with."""
        return loss in self.settings["losses"]


def _warmup_is_cut(settings: dict[str, Any]) -> bool:
    """Whether the learning rate rises for less than was asked for, as it did not at first."""
    lengths = {name: settings[name] for name in ("epochs", "patches_per_epoch", "batch_size")}
    steps = TrainingConfig.model_construct(**lengths).total_steps
    return bool(settings["schedule_warmup_steps"] > steps // 5)


def weighting_slug(settings: dict[str, Any]) -> str:
    """The weighting, with its numbers where it has any.

    Examples
    --------
    >>> weighting_slug({"weighting": "convex", "convex_share": 0.5})
    'convex_0.5'
    """
    numbers: list[float] = []
    if settings["weighting"] == "fixed":
        numbers = [settings["loss_weights"][name] for name in settings["losses"]]
    if settings["weighting"].startswith("convex"):
        numbers = [settings["convex_share"]]
    return "_".join([settings["weighting"], *(f"{number:.4g}" for number in numbers)])
