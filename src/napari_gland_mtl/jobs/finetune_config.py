"""The settings of a fine-tuning, of which form, tooltips and command line are made.

They are loaded long before torch, which takes seconds: nothing of the training is imported until
`training_config` is called. The numbers in `DEFAULTS` were measured on images of another
laboratory and scale (docs/experiments.md); change them there and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..loss_names import LossName, WeightingName

if TYPE_CHECKING:
    from ..training.config import TrainingConfig

DEFAULTS: dict[str, Any] = {
    "epochs": 10,
    "patches_per_epoch": 240,
    "learning_rate": 2e-4,
    "keep": 0.6,
    "freeze_encoder": False,
    "freeze_statistics": True,
}
"""What a user gets who only ticks areas and presses Start."""

FIXED: dict[str, Any] = {
    "optimiser": "adamw",
    "weight_decay": 0.05,
    "schedule": "cosine",
    "schedule_warmup_steps": 20,
    "clip_norm": 5.0,
    "average_decay": 0.98,
    # At the rate of a careful fine-tuning they would hardly move from the start model's.
    "log_var_learning_rate": 4e-3,
    # Colours far beyond those of the few new areas: less is forgotten of other laboratories.
    "augmentation": {"stain": 0.5, "brightness": 0.2},
}
"""Settings of the training that are not offered."""

REPLAY_KEEP = 0.0
"""`keep` unless it is given where old images are replayed: they guard better than a mean."""

WEIGHTING_WORDS: dict[WeightingName, str] = {
    "uncertainty": "The weights are learned along with the network, from how uncertain each loss "
    "still is (Kendall et al. 2018): nothing has to be tuned for your tissue.",
    "fixed": "You set the weight of each loss, and it stays.",
    "equal": "Every loss counts the same: all weights are 1.",
    "convex": "Two losses share a total weight of 1; you set the share of the first one.",
    "convex_trained": "Two losses share a total weight of 1, and the share is learned. It tends "
    "to run off to the smaller loss; for comparison.",
    "alternating": "One loss at a time, each with an optimiser of its own, step by step in turn.",
    "instance": "As learned uncertainty, but for each image: one that the network doubts counts "
    "less, and you see which images look unlike the others.",
    "instance_pixel": "As learned uncertainty per image, and for the segmentation also pixel by "
    "pixel.",
    "upgrad": "No weights: each step changes the network so that no loss rises, as far as the "
    "gradients of the losses allow. Needs TorchJD; steps take about twice as long.",
    "mgda": "No weights: the shortest step that lowers all losses alike. Needs TorchJD; steps take "
    "about twice as long.",
    "pcgrad": "No weights: what one loss asks against another is taken away before they are added "
    "up. Needs TorchJD; steps take about twice as long.",
    "aligned_mtl": "No weights: the gradients of the losses are made orthogonal and equally long "
    "before they are added up. Needs TorchJD; steps take about twice as long.",
    "imtl_g": "No weights: each step goes equally far along the gradient of every loss. Needs "
    "TorchJD; steps take about twice as long.",
}
"""A sentence on each way of weighting, for tooltips and help."""


class FinetuneConfig(BaseModel):
    """Everything that decides how a model learns from new annotations."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: str = Field(
        default="default",
        min_length=1,
        description="Model to start from: its name, file or run folder.",
    )
    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=80,
        description="Name of the new model in the lists of models; one is made up if left empty.",
    )
    epochs: int = Field(
        default=DEFAULTS["epochs"],
        ge=1,
        le=1000,
        description="How many epochs to train. After each one the model is measured, and the "
        "best is kept.",
    )
    patches_per_epoch: int = Field(
        default=DEFAULTS["patches_per_epoch"],
        ge=1,
        le=100_000,
        description="Patches that are drawn from the annotated areas in an epoch.",
    )
    learning_rate: float = Field(
        default=DEFAULTS["learning_rate"],
        gt=0,
        le=1,
        description="How large the steps are. Higher learns faster and forgets more.",
    )
    losses: tuple[LossName, ...] = Field(
        default=("classification", "segmentation", "topology", "geometry"),
        min_length=1,
        description="Which of the four losses count.",
    )
    weighting: WeightingName = Field(
        default="uncertainty", description="How the losses are weighted against each other."
    )
    loss_weights: dict[LossName, float] = Field(
        default={"classification": 0.1, "segmentation": 0.6, "topology": 0.22, "geometry": 0.08},
        description="The weight of each loss, for 'fixed'; the defaults are the paper's best.",
    )
    convex_share: float = Field(
        default=0.5, ge=0, le=1, description="Share of the first of two losses, for 'convex'."
    )
    keep: float = Field(
        default=DEFAULTS["keep"],
        ge=0,
        le=1,
        description="Guard against forgetting: share of the start model in the final weights. "
        "0 keeps nothing of it (best where old images are replayed), 1 learns nothing.",
    )
    freeze_encoder: bool = Field(
        default=DEFAULTS["freeze_encoder"],
        description="Leave the encoder as it is: faster, forgets less, and learns less.",
    )
    freeze_statistics: bool = Field(
        default=DEFAULTS["freeze_statistics"],
        description="Keep the start model's statistics of colour and brightness (batch "
        "normalisation) rather than those of the new images.",
    )
    replay: str | None = Field(
        default=None,
        description="Folder of annotated images of the kind that the start model knows, mixed in "
        "so that it does not forget them.",
    )
    replay_share: float = Field(
        default=0.5, gt=0, lt=1, description="Share of the patches that come from the replay."
    )
    replay_mpp: float | None = Field(
        default=None,
        gt=0.05,
        le=20,
        description="Pixel size of the replay images in um, where they do not say it.",
    )
    validation: Literal["auto", "none"] | float | int | tuple[str, ...] = Field(
        default="auto",
        description="What is measured on rather than learned from: a share or number of areas, "
        "or names of patients or slides. auto: a fifth, whole slides where there are enough.",
    )
    seed: int = Field(default=0, ge=0, description="Same seed and data, same training.")
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="Where the network is trained: auto, cpu, cuda or mps.",
    )
    batch_size: int = Field(
        default=8, ge=1, le=256, description="Patches per step; halved where memory runs out."
    )
    patch_size: int = Field(
        default=160, ge=32, le=1024, description="Side of a patch in px of the network."
    )
    seam_um: float = Field(
        default=5.0,
        ge=0,
        le=50,
        description="Gland pixels nearer than this (um) to another gland are taught as "
        "background, so that touching glands come apart.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="Numbers the network computes with; auto is safe and fast."
    )
    training_data: tuple[str, ...] = Field(
        default=(),
        description="Where the annotations lie: folders, projects, or areas as PROJECT::KEY.",
    )
    validation_data: tuple[str, ...] = Field(
        default=(), description="The same for what is measured on; empty to divide the former."
    )

    data_mpp: float | None = Field(
        default=None,
        gt=0.05,
        le=20,
        description="Pixel size in um of folders of images that do not say it.",
    )
    data_masks: Literal["auto", "binary", "instances", "regions"] = Field(
        default="auto", description="What the masks in folders of images hold."
    )

    @model_validator(mode="before")
    @classmethod
    def _let_replay_guard(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("replay") and given.get("keep") is None:
            return {**given, "keep": REPLAY_KEEP}
        return given

    def training_config(self, mpp: float, **changed: Any) -> TrainingConfig:
        """The settings of the training itself, at the model's um/px.

        Parameters
        ----------
        mpp : float
        **changed
            Fields of `TrainingConfig` to set otherwise.

        Raises
        ------
        ValidationError
            If settings do not go together: a convex pair of three losses, no fixed weight.
        """
        from ..training.config import TrainingConfig

        shared = self.model_dump(include=set(TrainingConfig.model_fields))
        return TrainingConfig.model_validate({**FIXED, **shared, "mpp": mpp, **changed})
