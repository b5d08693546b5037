"""Names of the losses and of the ways to weigh them.

Forms and the command line list them long before torch, which takes seconds to load: they stand
here, where nothing is imported, and not with the code they name.
"""

from __future__ import annotations

from typing import Literal, get_args

LossName = Literal["classification", "segmentation", "topology", "geometry"]
LOSS_NAMES: tuple[str, ...] = get_args(LossName)

MultiObjectiveName = Literal["upgrad", "mgda", "pcgrad", "aligned_mtl", "imtl_g"]
MULTI_OBJECTIVE: tuple[str, ...] = get_args(MultiObjectiveName)
"""Weightings without weights: the losses' gradients are put together."""

WeightingName = Literal[
    "uncertainty",
    "fixed",
    "equal",
    "convex",
    "convex_trained",
    "alternating",
    "instance",
    "instance_pixel",
    MultiObjectiveName,
]
