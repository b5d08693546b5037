"""Claims about the settings of a fine-tuning: the form's words, and the training's settings."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.jobs import finetune_config
from napari_gland_mtl.jobs.direct import train_config
from napari_gland_mtl.jobs.finetune_config import FIXED, WEIGHTING_WORDS, FinetuneConfig
from napari_gland_mtl.jobs.train import with_start
from napari_gland_mtl.losses.weighting import LOSS_NAMES
from napari_gland_mtl.training import TrainingConfig
from napari_gland_mtl.training import config as training_config


def test_its_words_are_those_of_the_training():
    """They are written twice, so that a form need not wait for torch."""
    assert get_args(finetune_config.LossName) == LOSS_NAMES
    assert get_args(finetune_config.WeightingName) == get_args(training_config.WeightingName)
    assert set(WEIGHTING_WORDS) == set(get_args(training_config.WeightingName))
    assert FinetuneConfig().loss_weights == TrainingConfig().loss_weights
    assert set(FIXED) <= set(TrainingConfig.model_fields)


def test_every_setting_is_explained():
    for name, field in FinetuneConfig.model_fields.items():
        assert (field.description or "").endswith("."), name


def test_what_is_set_reaches_the_training():
    config = FinetuneConfig(
        epochs=3, keep=0.4, losses=("topology", "geometry"), weighting="convex", convex_share=0.7
    )
    training = config.training_config(1.6)
    assert (training.mpp, training.epochs, training.keep) == (1.6, 3, 0.4)
    assert (training.losses, training.convex_share) == (("topology", "geometry"), 0.7)
    assert training.optimiser == FIXED["optimiser"]
    assert config.training_config(1.6, weight_decay=0.5).weight_decay == 0.5


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ValidationError, match="exactly two losses"):
        FinetuneConfig(weighting="convex").training_config(1.0)
    with pytest.raises(ValidationError, match="No fixed weight"):
        FinetuneConfig(weighting="fixed", loss_weights={"topology": 1}).training_config(1.0)
    with pytest.raises(ValidationError):
        FinetuneConfig(keep=1.2)


def test_it_survives_the_way_through_a_file():
    config = FinetuneConfig(name="ours", validation=("a", "b"), training_data=("p::k",))
    assert FinetuneConfig.model_validate_json(config.model_dump_json()) == config
    for validation in ("auto", "none", 0.25, 3):
        config = FinetuneConfig(validation=validation)
        again = FinetuneConfig.model_validate_json(config.model_dump_json())
        assert again.validation == validation
        assert type(again.validation) is type(validation)


def test_a_start_brings_its_scale_and_log_variances_unless_others_are_given(colour_model):
    card = colour_model.card
    brought = with_start(TrainingConfig(), card)
    assert (brought.mpp, brought.log_var_start, brought.log_var_warmup_steps) == (
        card.mpp, card.log_vars, 0,
    )  # fmt: skip
    own = TrainingConfig(mpp=2.0, log_var_start={}, log_var_warmup_steps=7)
    assert with_start(own, card) == own
    silent = card.model_copy(update={"log_vars": {}})
    assert with_start(TrainingConfig(), silent).log_var_warmup_steps == 400


@pytest.mark.parametrize("name", ["keep", "freeze_encoder", "freeze_statistics"])
def test_what_is_about_a_start_needs_one(name):
    with pytest.raises((InvalidInputError, ValidationError), match=f"{name} is about the model"):
        train_config(**{name: 1})
    assert train_config(start="default", **{name: 1}).start == "glas"
