"""Calibration by its definitions, sample by sample, whatever the number of images."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.metrics.calibration import (
    BINS,
    TEMPERATURES,
    ErrorsByUncertainty,
    Reliability,
    fit_temperature,
)


def samples(number, count=3, seed=0):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(count, 0.4), number).T
    return probabilities, rng.integers(0, count, number)


def literal(probabilities, truth):
    """The definitions in float64, one sample after another."""
    count, number = probabilities.shape
    bins = [[] for _ in range(BINS)]
    log_likelihood = brier = 0.0
    for n in range(number):
        p, y = probabilities[:, n].astype(np.float64), int(truth[n])
        winner = int(np.argmax(p))
        bins[min(int(p[winner] * BINS), BINS - 1)].append((p[winner], winner == y))
        log_likelihood += np.log(max(p[y], 1e-12))
        brier += sum((p[a] - (a == y)) ** 2 for a in range(count))
    error = sum(
        len(found) / number * abs(np.mean([r for _, r in found]) - np.mean([c for c, _ in found]))
        for found in bins
        if found
    )
    return error, -log_likelihood / number, brier / number, [len(found) for found in bins]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_measures_are_those_of_the_definitions(count):
    probabilities, truth = samples(500, count, seed=count)
    reliability = Reliability()
    reliability.add(probabilities, truth)
    found = reliability.summary()
    error, log_likelihood, brier, counts = literal(probabilities, truth)
    assert found["expected_calibration_error"] == pytest.approx(error, abs=1e-12)
    assert found["negative_log_likelihood"] == pytest.approx(log_likelihood, rel=1e-12)
    assert found["brier"] == pytest.approx(brier, rel=1e-12)
    assert found["bins"]["count"] == counts
    assert found["count"] == 500


def test_images_add_up_to_the_pool():
    probabilities, truth = samples(400)
    at_once, parts = Reliability(), Reliability()
    at_once.add(probabilities, truth)
    for part in (slice(0, 7), slice(7, 7), slice(7, 400)):
        parts.add(probabilities[:, part], truth[part])
    one, two = at_once.summary(), parts.summary()
    assert one["bins"]["count"] == two["bins"]["count"]
    for name in ("expected_calibration_error", "negative_log_likelihood", "brier"):
        assert one[name] == pytest.approx(two[name], rel=1e-12)


def test_who_says_what_is_true_has_no_calibration_error_and_who_boasts_has():
    truth = np.repeat([0, 1], [80, 20])
    honest, boasting = Reliability(), Reliability()
    honest.add(np.tile([[0.8], [0.2]], 100), truth)
    boasting.add(np.tile([[0.99], [0.01]], 100), truth)
    assert honest.summary()["expected_calibration_error"] == pytest.approx(0, abs=1e-12)
    assert boasting.summary()["expected_calibration_error"] == pytest.approx(0.19, abs=1e-12)
    assert honest.summary()["bins"]["accuracy"][12] == pytest.approx(0.8)
    assert honest.summary()["bins"]["accuracy"][0] is None


def test_a_certain_mistake_costs_much_and_not_everything():
    reliability = Reliability()
    reliability.add(np.array([[1.0], [0.0]]), np.array([1]))
    found = reliability.summary()
    assert found["negative_log_likelihood"] == pytest.approx(-np.log(1e-12))
    assert found["brier"] == 2
    json.dumps(found, allow_nan=False)


def test_without_samples_nothing_is_said():
    assert Reliability().summary() is None
    assert ErrorsByUncertainty().summary() is None


@pytest.mark.parametrize(
    ("probabilities", "truth", "words"),
    [
        (np.ones((2, 3)), np.zeros(3, int), "sum to 1"),
        (np.full((2, 3), 0.5), np.zeros(4, int), "shapes|true values"),
        (np.full((2, 3), 0.5), np.full(3, 2), "0 .. 1"),
        (np.full((2, 3), np.nan), np.zeros(3, int), "sum to 1"),
    ],
)
def test_what_is_no_distribution_is_refused(probabilities, truth, words):
    with pytest.raises(InvalidInputError, match=words):
        Reliability().add(probabilities, truth)


def test_errors_are_found_where_the_network_is_uncertain():
    """Of 100 pixels the 10 most uncertain hold 6 of 8 errors."""
    uncertainty = np.linspace(0.005, 0.995, 100)
    wrong = np.zeros(100, bool)
    wrong[[3, 50, 90, 92, 94, 95, 97, 99]] = True
    errors = ErrorsByUncertainty()
    errors.add(uncertainty[:40], wrong[:40])
    errors.add(uncertainty[40:], wrong[40:])
    assert errors.share_of_errors(0.1) == pytest.approx(6 / 8)
    assert errors.share_of_errors(1.0) == pytest.approx(1)
    found = errors.summary()
    assert found["error_rate"] == pytest.approx(0.08)
    assert found["bins"]["error_rate"][97] == 1


def test_of_equal_uncertainty_a_part_of_the_errors_counts_and_without_errors_none():
    errors = ErrorsByUncertainty()
    errors.add(np.full(50, 0.3), np.arange(50) < 10)
    assert errors.share_of_errors(0.1) == pytest.approx(0.1)
    fine = ErrorsByUncertainty()
    fine.add(np.full(5, 0.3), np.zeros(5, bool))
    assert fine.share_of_errors() is None


def test_the_temperature_that_made_the_logits_is_found_again():
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 1.5, (4000, 3))
    shares = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    classes = np.array([rng.choice(3, p=p) for p in shares])
    assert fit_temperature(4 * honest, classes) == pytest.approx(4, rel=0.07)
    assert fit_temperature(honest / 3, classes) == pytest.approx(1 / 3, rel=0.07)


def test_the_temperature_is_the_best_there_is():
    rng = np.random.default_rng(1)
    logits, classes = rng.normal(0, 3, (60, 2)), rng.integers(0, 2, 60)
    classes[:40] = logits[:40].argmax(axis=1)

    def loss(temperature):
        scaled = logits / temperature
        chosen = np.exp(scaled[np.arange(60), classes]) / np.exp(scaled).sum(axis=1)
        return -np.log(chosen).mean()

    found = fit_temperature(logits, np.where(np.arange(60) < 60, classes, -1))
    best = min(loss(temperature) for temperature in np.geomspace(*TEMPERATURES, 2000))
    assert loss(found) <= best + 1e-6


def test_bounds_hold_unknown_classes_are_left_out_and_nonsense_is_refused():
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [5.0, 0.0]])
    assert fit_temperature(logits, np.array([0, 1, 0])) == pytest.approx(TEMPERATURES[0])
    assert fit_temperature(logits, np.array([1, 0, 1])) == pytest.approx(TEMPERATURES[1])
    known = fit_temperature(np.vstack([logits, [[9.0, 0]]]), np.array([0, 1, 1, -1]))
    assert known == pytest.approx(fit_temperature(logits, np.array([0, 1, 1])))
    for bad, classes in (
        (logits, np.array([-1, -1, -1])),
        (logits, np.array([0, 1])),
        (logits * np.nan, np.array([0, 1, 0])),
        (logits, np.array([0, 1, 2])),
    ):
        with pytest.raises(InvalidInputError):
            fit_temperature(bad, classes)
