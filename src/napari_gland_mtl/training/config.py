"""The settings of one training, from which form, command line and model card are made."""

from __future__ import annotations

from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..datasets.augmentation import AugmentationConfig
from ..errors import InvalidInputError
from ..loss_names import LOSS_NAMES, MULTI_OBJECTIVE, MultiObjectiveName, WeightingName
from ..losses.instance_weighting import InstanceWeighting
from ..losses.objective import GeometryProbability
from ..losses.weighting import (
    AlternatingWeighting,
    ConvexPairWeighting,
    FixedWeighting,
    LossWeighting,
    UncertaintyWeighting,
)
from .multi_objective import MultiObjectiveWeighting


class TrainingConfig(BaseModel):
    """How a network is trained. The defaults are what served best in docs/experiments.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mpp: float = Field(
        default=1.6, gt=0.05, le=20, description="Micrometres per pixel the network works at."
    )
    widths: tuple[int, ...] = Field(
        default=(16, 32, 64, 128, 256), description="Channels of each level of a new network."
    )
    decoder_blocks: int = Field(default=1, ge=1, description="3x3 blocks per decoder level.")
    class_dropout: float = Field(
        default=0.5, ge=0, lt=1, description="Dropout before the class activations."
    )
    dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Dropout of the deepest features on their way to the decoder.",
    )
    patch_size: int = Field(default=192, ge=32, description="Side of a training patch, pixels.")
    batch_size: int = Field(
        default=8, ge=1, description="Patches per step, over all devices together."
    )
    epochs: int = Field(default=50, ge=1, description="How many epochs to train.")
    patches_per_epoch: int = Field(default=800, ge=1, description="Patches drawn per epoch.")

    seam_um: float = Field(
        default=5.0,
        ge=0,
        le=50,
        description="Gland pixels nearer than this (um) to another gland are taught as "
        "background, so that touching glands come apart.",
    )
    validate_every: int = Field(
        default=1, ge=1, description="Epochs from one validation to the next."
    )

    losses: tuple[str, ...] = Field(
        default=LOSS_NAMES, min_length=1, description="Which of the four losses count."
    )
    weighting: WeightingName = Field(
        default="fixed", description="How the losses are weighted against each other."
    )
    loss_weights: dict[str, float] = Field(
        default={
            "classification": 0.1,
            "segmentation": 0.6,
            "topology": 0.22,
            "geometry": 0.08,
        },
        description="Weights for 'fixed'; the defaults are the paper's best hand-tuned ones.",
    )
    convex_share: float = Field(
        default=0.5, ge=0, le=1, description="Share of the first loss for 'convex'."
    )
    log_var_warmup_steps: int = Field(
        default=400, ge=0, description="Steps during which every log sigma^2 stays at its start."
    )
    log_var_start: dict[str, float] = Field(
        default={}, description="log sigma^2 that a loss starts at; 0 where none is given."
    )
    log_var_learning_rate: float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="Learning rate of log sigma^2 at its highest; the network's unless given.",
    )
    log_var_min: float | None = Field(
        default=-1.5, le=0, description="Lower bound of log sigma^2: the largest weight."
    )
    log_var_max: float | None = Field(
        default=3.0, ge=0, description="Upper bound of log sigma^2: the smallest weight."
    )
    geometry_probability: GeometryProbability = Field(
        default="marginal", description="What the geometry loss compares between neighbours."
    )

    optimiser: Literal["sgd", "adamw"] = Field(default="adamw", description="Optimiser.")
    learning_rate: float = Field(default=2e-3, gt=0, le=10, description="Learning rate.")
    momentum: float = Field(
        default=0.9, ge=0, lt=1, description="Momentum of SGD; the log-variances have none."
    )
    weight_decay: float = Field(default=0.05, ge=0, le=1, description="Weight decay.")
    schedule: Literal["constant", "cosine"] = Field(
        default="cosine", description="Course of the learning rate."
    )
    schedule_warmup_steps: int = Field(
        default=200,
        ge=0,
        description="Steps over which the learning rate rises from 0; a fifth of the training at "
        "most.",
    )
    clip_norm: float = Field(
        default=5.0, ge=0, description="Largest gradient norm; 0 does not clip."
    )
    average_decay: float = Field(
        default=0.998,
        ge=0,
        lt=1,
        description="Decay per step of the running average of the weights; 0 keeps none.",
    )

    keep: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of the start model in the weights that are measured and kept: guards "
        "against forgetting what it knew. 0: none.",
    )
    freeze_encoder: bool = Field(
        default=False, description="Leave the encoder as it is; only decoder and heads learn."
    )
    freeze_statistics: bool = Field(
        default=False,
        description="Batch normalisation goes on with the start model's statistics.",
    )

    augmentation: AugmentationConfig = AugmentationConfig()
    seed: int = Field(default=0, ge=0, description="Same seed and data, same training.")
    device: str = Field(default="auto", description="auto, cpu, cuda or mps.")
    devices: int = Field(
        default=1, ge=1, le=64, description="GPUs to train on; processes where device is cpu."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto takes bfloat16 where a probe finds it 1.2x faster."
    )
    channels_last: bool = Field(default=True, description="Memory layout; faster convolutions.")

    @model_validator(mode="after")
    def _check_losses(self) -> TrainingConfig:
        unknown = [name for name in self.losses if name not in LOSS_NAMES]
        if unknown or len(set(self.losses)) != len(self.losses):
            raise InvalidInputError(
                f"Losses must be some of {list(LOSS_NAMES)}, each once; got {list(self.losses)}."
            )
        if self.weighting in ("convex", "convex_trained") and len(self.losses) != 2:
            raise InvalidInputError("The convex weighting takes exactly two losses.")
        if self.weighting == "fixed":
            missing = [name for name in self.losses if name not in self.loss_weights]
            if missing:
                raise InvalidInputError(f"No fixed weight for {missing}.")
        if self.weighting == "instance_pixel" and "segmentation" not in self.losses:
            raise InvalidInputError(
                "The weighting 'instance_pixel' weighs the pixels of the segmentation loss, which "
                "is not among the losses. Add it, or take 'instance'."
            )
        return self

    @model_validator(mode="after")
    def _check_shares(self) -> TrainingConfig:
        if self.batch_size < self.devices:
            raise InvalidInputError(
                f"A batch of {self.batch_size} patches cannot be shared by {self.devices} "
                "devices. Give at least one patch to each."
            )
        if self.devices > 1 and (self.multi_objective or self.by_instance):
            raise InvalidInputError(
                f"The weighting {self.weighting!r} trains on one device only. Set devices to 1, or "
                "choose another weighting."
            )
        return self

    @property
    def by_instance(self) -> bool:
        """Whether the network says how uncertain the losses are of each image."""
        return self.weighting in ("instance", "instance_pixel")

    @property
    def multi_objective(self) -> bool:
        """Whether the gradients of the losses are combined, rather than the losses."""
        return self.weighting in MULTI_OBJECTIVE

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps per epoch, at least one."""
        return max(1, round(self.patches_per_epoch / self.batch_size))

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole training."""
        return self.epochs * self.steps_per_epoch


def build_weighting(config: TrainingConfig) -> LossWeighting:
    """The weighting that a configuration asks for."""
    if config.weighting == "uncertainty" or config.by_instance:
        kind = InstanceWeighting if config.by_instance else UncertaintyWeighting
        return kind(
            config.losses,
            config.log_var_warmup_steps,
            config.log_var_min,
            config.log_var_max,
            config.log_var_start,
        )
    if config.weighting == "fixed":
        return FixedWeighting({name: config.loss_weights[name] for name in config.losses})
    if config.weighting == "equal":
        return FixedWeighting(dict.fromkeys(config.losses, 1.0))
    if config.weighting == "alternating":
        return AlternatingWeighting(config.losses)
    if config.weighting in MULTI_OBJECTIVE:
        method = cast(MultiObjectiveName, config.weighting)
        return MultiObjectiveWeighting(config.losses, method, config.seed)
    trained = config.weighting == "convex_trained"
    return ConvexPairWeighting(config.losses, config.convex_share, trained)
