"""Ways of turning several losses into one number to descend.

``sum_i lambda_i L_i`` with fixed weights (Eq. 1), or ``sum_i exp(-s_i) L_i + s_i`` with
``s_i = log sigma_i^2`` learned together with the network (Eq. 2). At its optimum in s_i the
learned weight is 1 / L_i, so the objective is ``sum_i log L_i``, which has no lower bound: a
loss that can reach zero would take over. Hence a warm-up during which s_i stays at 0, and
bounds, as settings whose defaults were tried. A training that goes on from a model goes on from
its s_i, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..errors import InvalidInputError
from ..loss_names import LOSS_NAMES as LOSS_NAMES  # part of this module, too
from .terms import BatchLosses, ImageNumbers


class LossWeighting(nn.Module):
    """Base: combine named losses into the total that is minimised."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        if not names or len(set(names)) != len(names):
            raise InvalidInputError(f"At least one loss, each named once; got {list(names)}.")
        self.names = tuple(names)

    def weights(self) -> Tensor:
        """The factor of each loss at present, (n,), in the order of `names`."""
        raise NotImplementedError

    def stacked(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The losses as one tensor (n,), in the order of `names`."""
        missing = [name for name in self.names if name not in losses]
        if missing:
            raise InvalidInputError(f"No value for the losses {missing}.")
        return torch.stack([losses[name] for name in self.names])

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The total, a scalar: ``sum_i weight_i L_i`` unless a subclass adds to it."""
        return (self.weights() * self.stacked(losses)).sum()

    def objective(self, losses: BatchLosses, _whole: Mapping[str, Tensor] | None = None) -> Tensor:
        """The total of a batch, a scalar; only `InstanceWeighting` looks at its images."""
        total: Tensor = self(losses.means)
        return total

    def image_numbers(self, losses: BatchLosses) -> ImageNumbers:
        """What is known of each image of a batch, without gradients."""
        sums, counts = (
            torch.stack([values[name].detach() for name in self.names], dim=1)
            for values in (losses.sums, losses.counts)
        )
        return ImageNumbers(sums, counts)

    def log_vars(self) -> dict[str, float]:
        """``s_i`` of each loss; empty where the weighting has none."""
        return {}

    def constrain(self, step: int) -> None:
        """Called after every optimiser step with the number of steps done so far."""


class FixedWeighting(LossWeighting):
    """``sum_i lambda_i L_i`` (Eq. 1).

    Parameters
    ----------
    weights : mapping of str to float
        Loss name -> lambda_i, >= 0, at least one above 0. Equal weights are all 1.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(list(weights))
        values = torch.tensor(list(weights.values()), dtype=torch.float32)
        if (values < 0).any() or not (values > 0).any() or not torch.isfinite(values).all():
            raise InvalidInputError(
                f"Loss weights must be 0 or more, at least one above 0: {dict(weights)}."
            )
        self.register_buffer("values", values)

    def weights(self) -> Tensor:
        """The lambdas."""
        return self.get_buffer("values")


class UncertaintyWeighting(LossWeighting):
    """``sum_i exp(-s_i) L_i + s_i`` with learned ``s_i = log sigma_i^2`` (Eq. 2).

    Parameters
    ----------
    names : sequence of str
        The losses.
    warmup_steps : int
        Steps during which every s_i is held where it started.
    minimum, maximum : float
        Bounds of s_i; ``exp(-minimum)`` is the largest weight. None for no bound.
    start : mapping of str to float
        Loss -> s_i to start at, brought within the bounds; 0 for losses that it does not name.

    Attributes
    ----------
    held : bool
        Whether the warm-up goes on: the next step will not change any s_i.

    Notes
    -----
    The total may turn negative: below L_i = 1 the optimal s_i = log L_i is negative. That is
    right, and no sign of trouble. With the network held fixed, ``exp(s_i)`` converges to L_i.
    """

    def __init__(
        self,
        names: Sequence[str],
        warmup_steps: int = 0,
        minimum: float | None = None,
        maximum: float | None = None,
        start: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(names)
        if (minimum or 0.0) > 0 or (maximum or 0.0) < 0:
            raise InvalidInputError(
                f"The bounds of log sigma^2 must include 0, got {minimum} .. {maximum}."
            )
        self.warmup_steps = warmup_steps
        self.held = warmup_steps > 0
        self.minimum, self.maximum = minimum, maximum
        values = torch.tensor([float((start or {}).get(name, 0.0)) for name in self.names])
        self.register_buffer("start", self._bounded(values), persistent=False)
        self.log_var = nn.Parameter(self.get_buffer("start").clone())

    def weights(self) -> Tensor:
        """``exp(-s_i)``."""
        return torch.exp(-self.log_var)

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """``sum_i exp(-s_i) L_i + s_i`` over the losses that are not 0.

        A loss is 0 where a batch has nothing to show it, no image of known class, say. That
        tells nothing of its uncertainty; ``+ s_i`` alone would drive its weight to the bound.
        """
        shown = self.stacked(losses).detach() != 0
        return super().forward(losses) + torch.where(shown, self.log_var, 0).sum()

    def log_vars(self) -> dict[str, float]:
        """The learned ``s_i``."""
        return dict(zip(self.names, self.log_var.detach().tolist(), strict=True))

    @torch.no_grad()
    def constrain(self, step: int) -> None:
        """Hold s_i at its start during the warm-up, within its bounds afterwards."""
        self.held = step < self.warmup_steps
        if step <= self.warmup_steps:
            self.log_var.copy_(self.get_buffer("start"))
        else:
            self.log_var.copy_(self._bounded(self.log_var))

    def _bounded(self, values: Tensor) -> Tensor:
        if self.minimum is None and self.maximum is None:
            return values
        return values.clamp(self.minimum, self.maximum)

    def at_bound(self) -> list[str]:
        """Names of the losses whose s_i stands at a bound."""
        values = self.log_vars()
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        return [
            name
            for name, value in values.items()
            if any(math.isclose(value, bound, rel_tol=1e-6, abs_tol=1e-6) for bound in bounds)
        ]


class ConvexPairWeighting(LossWeighting):
    """``a L1 + (1 - a) L2`` for exactly two losses, a fixed or trained.

    A trained a drifts to the smaller of the two losses whatever it is worth, because that
    lowers the sum at once; it is here to be compared with, not to be recommended.

    Parameters
    ----------
    names : sequence of two str
    share : float
        Initial a, between 0 and 1 (excluded when trained).
    trained : bool
        Whether a is learned (through a sigmoid).
    """

    def __init__(self, names: Sequence[str], share: float = 0.5, trained: bool = False) -> None:
        super().__init__(names)
        if len(self.names) != 2:
            raise InvalidInputError(f"The convex pair takes two losses, got {list(names)}.")
        if not 0 <= share <= 1 or (trained and not 0 < share < 1):
            raise InvalidInputError(f"The share must lie between 0 and 1, got {share}.")
        self.trained = trained
        if trained:
            self.logit = nn.Parameter(torch.logit(torch.tensor(float(share))))
        else:
            self.register_buffer("share", torch.tensor(float(share)))

    def weights(self) -> Tensor:
        """``(a, 1 - a)``."""
        share = torch.sigmoid(self.logit) if self.trained else self.get_buffer("share")
        return torch.stack([share, 1 - share])


class AlternatingWeighting(LossWeighting):
    """One optimiser per loss, stepping in turn: at each step one loss alone counts.

    The trainer keeps one optimiser per loss and picks the loss ``step % n``.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self.turn = 0

    def weights(self) -> Tensor:
        """1 for the loss whose turn it is, 0 for the others."""
        return torch.eye(len(self.names))[self.turn]

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The loss whose turn it is."""
        return self.stacked(losses)[self.turn]

    def constrain(self, step: int) -> None:
        """Pass the turn on."""
        self.turn = step % len(self.names)
