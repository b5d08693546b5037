"""The two settings in which every experiment can be done, complete and written out.

Nothing is left to the package's defaults: these may become better, and runs made before and
after would stand in one table. ``full`` is meant for a GPU; ``reduced`` takes about a minute per
run on one core, and its networks are far from finished: it compares, and tells nothing of how good
a method becomes.
"""

from __future__ import annotations

from typing import Any

from napari_gland_mtl.training.config import TrainingConfig

LETTERS = {"c": "classification", "s": "segmentation", "t": "topology", "g": "geometry"}

AUGMENTATION: dict[str, Any] = {
    "flip": True,
    "rotation": 180.0,
    "scale": 0.25,
    "shear": 0.1,
    "elastic_um": 3.0,
    "elastic_grid_um": 60.0,
    "stain": 0.2,
    "brightness": 0.08,
    "noise": 0.02,
}
COMMON: dict[str, Any] = {
    "decoder_blocks": 1,
    "class_dropout": 0.3,
    "batch_size": 8,
    "patches_per_epoch": 800,
    "seam_um": 5.0,
    "log_var_start": {},
    "log_var_learning_rate": None,
    "log_var_min": -1.5,
    "log_var_max": 3.0,
    "geometry_probability": "marginal",
    "optimiser": "adamw",
    "learning_rate": 2e-3,
    "weight_decay": 0.05,
    "schedule": "cosine",
    "clip_norm": 5.0,
    "augmentation": AUGMENTATION,
    "channels_last": True,
}
FULL: dict[str, Any] = {
    **COMMON,
    "mpp": 1.2401,
    "widths": [16, 32, 64, 128, 256],
    "patch_size": 192,
    "epochs": 60,
    "log_var_warmup_steps": 400,
    "schedule_warmup_steps": 200,
    "average_decay": 0.998,
}
REDUCED: dict[str, Any] = {
    **COMMON,
    "mpp": 2.48,
    "widths": [8, 16, 32, 64, 128],
    "patch_size": 96,
    "epochs": 6,
    "log_var_warmup_steps": 100,
    "schedule_warmup_steps": 50,
    "average_decay": 0.99,
}
# Settings that trainings have got since the first runs, at the value that those ran with.
SINCE: dict[str, Any] = {"dropout": 0.0}
DECODING: dict[str, float] = {
    "gland_threshold": 0.5,
    "seed_threshold": 0.9,
    "seed_erosion_um": 12.0,
    "min_seed_area_um2": 400.0,
    "min_gland_area_um2": 600.0,
    "min_lumen_area_um2": 30.0,
}
# Networks that have learned for a minute are seldom sure enough for the seeds of finished ones.
EARLY_DECODING = {**DECODING, "seed_threshold": 0.75, "seed_erosion_um": 7.0}
MEASURING: dict[str, dict[str, Any]] = {
    "full": {"flips": True, "tile_size": 512, "decoding": DECODING},
    "reduced": {"flips": True, "tile_size": 512, "decoding": EARLY_DECODING},
}


def since() -> dict[str, Any]:
    """`SINCE`, as far as this version knows it."""
    return {name: value for name, value in SINCE.items() if name in TrainingConfig.model_fields}


def losses(letters: str) -> list[str]:
    """Names of the losses, from the paper's indices.

    Examples
    --------
    >>> losses("cs")
    ['classification', 'segmentation']
    """
    return [LETTERS[letter] for letter in letters]


def letters(names: list[str]) -> str:
    """The paper's indices of losses."""
    return "".join(letter for letter, name in LETTERS.items() if name in names)
