"""Claims about training settings: what they build, and what is refused before any work."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.losses import (
    LOSS_NAMES,
    AlternatingWeighting,
    ConvexPairWeighting,
    FixedWeighting,
    InstanceWeighting,
    UncertaintyWeighting,
)
from napari_gland_mtl.training import TrainingConfig, build_weighting

PAIR = ("segmentation", "topology")


def test_all_losses_count_by_default_with_the_weights_that_served_best():
    config = TrainingConfig()
    assert config.losses == LOSS_NAMES
    weights = build_weighting(config).weights().tolist()
    assert weights == pytest.approx([0.1, 0.6, 0.22, 0.08])
    assert not list(build_weighting(config).parameters())


@pytest.mark.parametrize(
    ("weighting", "kind", "losses"),
    [
        ("uncertainty", UncertaintyWeighting, LOSS_NAMES),
        ("instance", InstanceWeighting, PAIR),
        ("instance_pixel", InstanceWeighting, LOSS_NAMES),
        ("fixed", FixedWeighting, ("topology", "classification")),
        ("equal", FixedWeighting, LOSS_NAMES),
        ("convex", ConvexPairWeighting, PAIR),
        ("convex_trained", ConvexPairWeighting, PAIR),
        ("alternating", AlternatingWeighting, PAIR),
    ],
)
def test_each_weighting_is_built_for_the_losses_chosen(weighting, kind, losses):
    built = build_weighting(TrainingConfig(weighting=weighting, losses=losses, convex_share=0.25))
    assert type(built) is kind
    assert built.names == losses
    expected = {
        "fixed": [0.22, 0.1],
        "equal": [1.0] * 4,
        "convex": [0.25, 0.75],
        "convex_trained": [0.25, 0.75],
    }
    if weighting in expected:
        assert built.weights().tolist() == pytest.approx(expected[weighting])
    assert bool(list(built.parameters())) == (
        weighting in ("uncertainty", "instance", "instance_pixel", "convex_trained")
    )


def test_warm_up_and_bounds_reach_the_weighting():
    built = build_weighting(
        TrainingConfig(
            weighting="uncertainty", log_var_warmup_steps=7, log_var_min=-2.0, log_var_max=None
        )
    )
    assert (built.warmup_steps, built.minimum, built.maximum) == (7, -2.0, None)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"losses": ("dice",)}, "some of"),
        ({"losses": ("topology", "topology")}, "each once"),
        ({"losses": ()}, "losses"),
        ({"weighting": "convex"}, "exactly two"),
        ({"weighting": "convex_trained", "losses": ("topology",)}, "exactly two"),
        ({"weighting": "fixed", "loss_weights": {"topology": 1.0}}, "No fixed weight for"),
        ({"log_var_min": 0.5}, "log_var_min"),
        ({"log_var_max": -0.5}, "log_var_max"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"mpp": 0.0}, "mpp"),
        ({"learning_rat": 0.1}, "learning_rat"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(changed, message):
    with pytest.raises(ValidationError, match=message):
        TrainingConfig(**changed)


def test_negative_fixed_weights_are_refused():
    config = TrainingConfig(weighting="fixed", loss_weights=dict.fromkeys(LOSS_NAMES, -1.0))
    with pytest.raises(InvalidInputError, match="0 or more"):
        build_weighting(config)


@pytest.mark.parametrize(("patches", "batch", "steps"), [(800, 8, 100), (10, 4, 2), (1, 8, 1)])
def test_an_epoch_has_at_least_one_step(patches, batch, steps):
    config = TrainingConfig(patches_per_epoch=patches, batch_size=batch, epochs=3)
    assert config.steps_per_epoch == steps
    assert config.total_steps == 3 * steps


def test_settings_survive_json():
    config = TrainingConfig(losses=PAIR, weighting="convex", widths=(4, 8), log_var_max=None)
    assert TrainingConfig.model_validate_json(config.model_dump_json()) == config


def test_an_uncertainty_per_pixel_needs_the_segmentation():
    with pytest.raises(ValidationError, match="'instance_pixel' weighs the pixels"):
        TrainingConfig(weighting="instance_pixel", losses=("topology",))
    assert TrainingConfig(weighting="instance", losses=("topology",)).by_instance


@pytest.mark.parametrize("weighting", ["instance", "instance_pixel"])
def test_an_uncertainty_per_image_is_refused_on_several_devices(weighting):
    with pytest.raises(ValidationError, match=f"'{weighting}' trains on one device only"):
        TrainingConfig(weighting=weighting, devices=2)
