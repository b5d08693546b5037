"""Whether probabilities mean what they say: of what is given 0.8, 80 % should be right.

Everything is added up in bins and sums, image after image, so that pooling over any number of
images takes the memory of one. Guo et al., "On Calibration of Modern Neural Networks", ICML
2017: the reliability diagram, the expected calibration error, and the temperature that mends
most of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInputError

if TYPE_CHECKING:
    import numpy.typing as npt

    Probabilities = npt.NDArray[np.floating]
    Values = npt.NDArray[np.float64]

BINS = 15
"""Equal in width, from 0 to 1; a value on an edge belongs to the bin above it, 1 to the last."""

UNCERTAINTY_BINS = 100

LEAST_PROBABILITY = 1e-12
"""What a smaller probability of the truth counts as, in the negative log likelihood."""

MOST_UNCERTAIN = 0.1
"""Share of all pixels of which it is said how many of the errors they hold."""

TEMPERATURES = (0.05, 20.0)
"""Bounds of `fit_temperature`."""

_SLACK = 1e-3
"""By how much probabilities may miss a sum of 1: they come as float32, or even as bytes."""


class Reliability:
    """Bins and sums over any number of distributions whose truth is known.

    With p_n the distribution and y_n the truth of sample n, and for each bin b of the winning
    probability its count n_b, mean probability conf_b and share of right answers acc_b:

    - expected calibration error ``sum_b n_b / N |acc_b - conf_b|``
    - negative log likelihood ``-mean_n log p_n[y_n]``
    - Brier score ``mean_n sum_a (p_n[a] - [a = y_n])^2``, 0 .. 2
    """

    def __init__(self) -> None:
        self._count, self._right, self._confidence = np.zeros((3, BINS))
        self._log_likelihood = self._brier = 0.0

    def add(self, probabilities: Probabilities, truth: npt.NDArray[np.integer]) -> None:
        """Add samples.

        Parameters
        ----------
        probabilities : ndarray of float, (A, N)
            Each column sums to 1.
        truth : ndarray of int, (N,)
            Which of the A is right, from 0 on.

        Raises
        ------
        InvalidInputError
            If the shapes do not fit, or it is no distribution.
        """
        _check(probabilities, truth)
        if not truth.size:
            return
        winner = probabilities.max(axis=0).astype(np.float64)
        right = probabilities.argmax(axis=0) == truth
        place = np.clip((winner * BINS).astype(np.int64), 0, BINS - 1)
        self._count += np.bincount(place, minlength=BINS)
        self._right += np.bincount(place, right, minlength=BINS)
        self._confidence += np.bincount(place, winner, minlength=BINS)
        of_truth = np.take_along_axis(probabilities, truth[None], axis=0)[0].astype(np.float64)
        self._log_likelihood += float(np.log(np.maximum(of_truth, LEAST_PROBABILITY)).sum())
        squares = sum(float(np.square(layer, dtype=np.float64).sum()) for layer in probabilities)
        self._brier += squares + float((1 - 2 * of_truth).sum())

    @property
    def count(self) -> int:
        """Samples so far."""
        return int(self._count.sum())

    def summary(self) -> dict[str, Any] | None:
        """All measures, JSON-able; None without samples.

        Returns
        -------
        dict or None
            ``count``, ``expected_calibration_error``, ``negative_log_likelihood``, ``brier``,
            and ``bins``: lists ``lower``, ``upper``, ``count``, ``confidence`` and ``accuracy``,
            the last two None in an empty bin.
        """
        total = self.count
        if not total:
            return None
        filled = self._count > 0
        safe = np.where(filled, self._count, 1)
        confidence, accuracy = self._confidence / safe, self._right / safe
        error = float((self._count / total * np.abs(accuracy - confidence)).sum())
        edges = np.linspace(0, 1, BINS + 1)
        return {
            "count": total,
            "expected_calibration_error": error,
            "negative_log_likelihood": -self._log_likelihood / total,
            "brier": self._brier / total,
            "bins": {
                "lower": edges[:-1].tolist(),
                "upper": edges[1:].tolist(),
                "count": self._count.astype(np.int64).tolist(),
                "confidence": _listed(confidence, filled),
                "accuracy": _listed(accuracy, filled),
            },
        }


class ErrorsByUncertainty:
    """How often the network is wrong where it says that it is uncertain."""

    def __init__(self) -> None:
        self._count, self._wrong = np.zeros((2, UNCERTAINTY_BINS))

    def add(self, uncertainty: Probabilities, wrong: npt.NDArray[np.bool_]) -> None:
        """Add pixels.

        Parameters
        ----------
        uncertainty : ndarray of float, (N,)
            0 .. 1.
        wrong : ndarray of bool, (N,)
        """
        if uncertainty.shape != wrong.shape or not np.isfinite(uncertainty).all():
            raise InvalidInputError(
                f"Uncertainties must be numbers, one for each of {wrong.size} answers."
            )
        place = (uncertainty * UNCERTAINTY_BINS).astype(np.int64)
        place = np.clip(place, 0, UNCERTAINTY_BINS - 1)
        self._count += np.bincount(place, minlength=UNCERTAINTY_BINS)
        self._wrong += np.bincount(place, wrong, minlength=UNCERTAINTY_BINS)

    def share_of_errors(self, most_uncertain: float = MOST_UNCERTAIN) -> float | None:
        """Share of all errors among the most uncertain pixels; None without errors.

        A bin of which a part is taken counts with that part of its errors.

        Parameters
        ----------
        most_uncertain : float
            Which share of all pixels, 0 .. 1.
        """
        wrong = self._wrong.sum()
        if not wrong:
            return None
        left, found = most_uncertain * self._count.sum(), 0.0
        for count, errors in zip(self._count[::-1], self._wrong[::-1], strict=True):
            if count:
                found += errors * min(1.0, left / count)
            left = max(0.0, left - count)
        return float(found / wrong)

    def summary(self) -> dict[str, Any] | None:
        """JSON-able; None without pixels.

        Returns
        -------
        dict or None
            ``count``, ``error_rate``, ``errors_in_most_uncertain_10_percent`` (a share, None
            without errors), and ``bins``: lists ``lower``, ``upper``, ``count``, ``error_rate``.
        """
        total = int(self._count.sum())
        if not total:
            return None
        filled = self._count > 0
        edges = np.linspace(0, 1, UNCERTAINTY_BINS + 1)
        return {
            "count": total,
            "error_rate": float(self._wrong.sum() / total),
            "errors_in_most_uncertain_10_percent": self.share_of_errors(),
            "bins": {
                "lower": edges[:-1].tolist(),
                "upper": edges[1:].tolist(),
                "count": self._count.astype(np.int64).tolist(),
                "error_rate": _listed(self._wrong / np.where(filled, self._count, 1), filled),
            },
        }


def fit_temperature(logits: npt.NDArray[np.floating], classes: npt.NDArray[np.integer]) -> float:
    """The temperature T for which ``softmax(logits / T)`` explains the classes best.

    The mean of ``-log softmax(logits_n / T)[c_n]`` is minimised over log T within
    `TEMPERATURES`. The order of the classes, and so every decision, stays as it is. Where every
    image is right, the best T is the lower bound: then there is nothing to learn it from, and
    more images, or none of those that the network has seen, are needed.

    Parameters
    ----------
    logits : ndarray of float, (N, K)
    classes : ndarray of int, (N,)
        True class of each, from 0 on; a negative one is unknown and left out.

    Raises
    ------
    InvalidInputError
        If no class is known, the shapes do not fit, or a logit is not finite.
    """
    from scipy.optimize import minimize_scalar

    logits, classes = np.asarray(logits, dtype=np.float64), np.asarray(classes)
    if logits.ndim != 2 or classes.shape != logits.shape[:1] or not np.isfinite(logits).all():
        raise InvalidInputError(
            f"A temperature is fitted to finite logits (N, K) and N classes; got {logits.shape} "
            f"and {classes.shape}."
        )
    logits, classes = logits[classes >= 0], classes[classes >= 0]
    if not len(classes) or classes.max() >= logits.shape[1]:
        raise InvalidInputError(
            f"A temperature needs images of the classes 0 to {logits.shape[1] - 1}; got "
            f"{sorted({int(number) for number in classes}) or 'none of known class'}."
        )

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        own = scaled[np.arange(len(classes)), classes]
        return float((np.log(np.exp(scaled).sum(axis=1)) - own).mean())

    lowest, highest = np.log(TEMPERATURES)
    found = minimize_scalar(loss, bounds=(lowest, highest), method="bounded")
    # The search never tries its bounds; where the loss only falls towards one, that is the best.
    best = min((float(found.x), float(lowest), float(highest), 0.0), key=loss)
    return float(np.clip(np.exp(best), *TEMPERATURES))


def _listed(values: Values, filled: npt.NDArray[np.bool_]) -> list[float | None]:
    return [float(value) if known else None for value, known in zip(values, filled, strict=True)]


def _check(probabilities: Probabilities, truth: npt.NDArray[np.integer]) -> None:
    if probabilities.ndim != 2 or truth.shape != probabilities.shape[1:]:
        raise InvalidInputError(
            f"Calibration needs probabilities (A, N) and N true values; got "
            f"{probabilities.shape} and {truth.shape}."
        )
    if not truth.size:
        return
    if truth.min() < 0 or truth.max() >= len(probabilities):
        raise InvalidInputError(
            f"True values must lie in 0 .. {len(probabilities) - 1}, got {truth.min()} to "
            f"{truth.max()}."
        )
    total = probabilities.sum(axis=0)
    if not (np.abs(total - 1) <= _SLACK).all() or probabilities.min() < 0:
        raise InvalidInputError(
            "Probabilities must be at least 0 and sum to 1 for every sample; the sums lie between "
            f"{total.min():g} and {total.max():g}."
        )
