"""The settings of a training job: those of the training itself, and what surrounds it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..errors import InvalidInputError
from ..training.config import TrainingConfig


class TrainConfig(BaseModel):
    """A training with what surrounds it: the start, the split, the name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    training: TrainingConfig = TrainingConfig()
    start: str | None = Field(
        default=None, description="Model to go on from: a name, a file or a run folder."
    )
    name: str | None = Field(
        default=None, min_length=1, description="Name of the new model; the run folder's."
    )
    validation: float | int | tuple[str, ...] = Field(
        default=0.18,
        description="Share or number of images to validate on, or their patients' names; 0 for "
        "none.",
    )
    split_by: str = Field(
        default="auto",
        pattern="^(auto|patient|image)$",
        description="Whether patients or images are divided; auto: patients where known.",
    )
    split_seed: int = Field(default=0, ge=0, description="Same seed, same split.")
    replay: str | None = Field(
        default=None,
        description="Folder of images that the start model knows, mixed in so that it does not "
        "forget them.",
    )
    replay_share: float = Field(
        default=0.3, gt=0, lt=1, description="Share of the patches that come from the replay."
    )
    replay_mpp: float | None = Field(
        default=None, gt=0, description="Pixel size of the replay images in um."
    )
    licence: str = Field(default="", description="What the weights may be used for.")
    data: str = Field(default="", description="What the data are, with citation.")
    description: str = Field(default="", description="What the model is for.")

    @model_validator(mode="after")
    def _check_start(self) -> TrainConfig:
        if self.start is None:
            for name in ("keep", "freeze_encoder", "freeze_statistics"):
                if getattr(self.training, name):
                    raise InvalidInputError(
                        f"{name} is about the model to go on from, and none is given. Name one "
                        f"(--from, start=), or leave {name} out."
                    )
        return self

    def on(self, device: str | None = None, devices: int | None = None) -> TrainConfig:
        """The same training on another device, or on another number of them.

        Raises
        ------
        ValidationError
            If the batch cannot be shared by so many.
        """
        changed = {"device": device, "devices": devices}
        given = {name: value for name, value in changed.items() if value is not None}
        training = TrainingConfig.model_validate({**self.training.model_dump(), **given})
        return self.model_copy(update={"training": training})
