"""Descend several losses at once without weighing them against each other beforehand.

Where the gradients of two losses point against each other, a sum helps one at the other's expense.
Multi-objective descent looks at the gradients themselves, the rows of the losses' Jacobian, and
combines them anew at each step. How they are combined is left to TorchJD; the rows are made here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from ..errors import MissingExtraError
from ..loss_names import MULTI_OBJECTIVE, MultiObjectiveName
from ..losses.weighting import LossWeighting

_PACKAGES = ("torchjd", "quadprog", "qpsolvers")
# One gradient per parameter; None where the loss does not depend on it.
_Row = tuple[Tensor | None, ...]


def check_multi_objective(weighting: str) -> None:
    """Refuse a multi-objective weighting where TorchJD is not installed, before any work.

    Parameters
    ----------
    weighting : str
        Any weighting; of others nothing is asked.

    Raises
    ------
    MissingExtraError
    """
    if weighting in MULTI_OBJECTIVE and not all(map(find_spec, _PACKAGES)):
        raise MissingExtraError(
            f"The weighting {weighting!r} needs TorchJD: "
            "pip install 'napari-gland-mtl[multi-objective]'."
        )


class MultiObjectiveWeighting(LossWeighting):
    """Weights that follow, at each step, from how the gradients of the losses lie to each other.

    With ``J`` the Jacobian of the losses by the parameters that more than one loss depends on, one
    row each, these parameters follow ``w J``, where ``w`` is a function of ``J J^T`` alone; the
    parameters of one loss's own head follow that loss's gradient.

    Parameters
    ----------
    names : sequence of str
        The losses.
    method : {"upgrad", "mgda", "pcgrad", "aligned_mtl", "imtl_g"}
        UPGrad projects every gradient so that no loss rises, and takes the mean (Quinton and Rey
        2024, https://arxiv.org/abs/2406.16232); MGDA takes the shortest convex combination
        (Sener and Koltun 2018, https://arxiv.org/abs/1810.04650); PCGrad takes from each gradient
        what points against another one, in a random order (Yu et al. 2020,
        https://arxiv.org/abs/2001.06782); Aligned-MTL makes the gradients orthogonal and equally
        long (Senushkin et al. 2023, https://arxiv.org/abs/2305.19000); IMTL-G makes the
        projections onto all of them equal (Liu et al. 2021,
        https://openreview.net/forum?id=IMPnRXEWpvr).
    seed : int
        PCGrad's order follows from it and the step.

    Raises
    ------
    MissingExtraError
        If TorchJD is not installed.

    Notes
    -----
    Each row is a pass back through the part of the network that its loss depends on. TorchJD's own
    ``backward`` goes through all of it for every row, with zeros, and its ``mtl_backward`` wants
    shared features none of which follows from another: here the decoder is shared by three losses,
    and what it starts from by all four.

    A loss that a batch has nothing to show to (it is 0) does not take part: MGDA would stand still.
    """

    def __init__(self, names: Sequence[str], method: MultiObjectiveName, seed: int = 0) -> None:
        check_multi_objective(method)
        super().__init__(names)
        self.method, self.seed, self.step = method, seed, 0
        self._combine = _combination(method)
        self.register_buffer("latest", torch.ones(len(self.names)), persistent=False)

    def weights(self) -> Tensor:
        """``w`` of the last step, (n,); all 1 before the first one."""
        return self.get_buffer("latest")

    def constrain(self, step: int) -> None:
        """The number of steps done decides PCGrad's order in the next one."""
        self.step = step

    def descend(self, losses: Mapping[str, Tensor], network: nn.Module) -> Tensor:
        """Leave the combined gradients in the parameters of a network.

        Parameters
        ----------
        losses : mapping of str to scalar Tensor
            Of one batch, with their graph.
        network : Module
            Without gradients yet.

        Returns
        -------
        Tensor
            ``sum_i w_i L_i``, a scalar; if a loss is not finite, neither is it, and no gradient
            is left.
        """
        values = self.stacked(losses).detach()
        if not torch.isfinite(values).all():
            return values.sum()
        shown = [place for place, value in enumerate(values.tolist()) if value != 0]
        parameters = [value for value in network.parameters() if value.requires_grad]
        rows = _jacobian([losses[self.names[place]] for place in shown], parameters)
        weights = self._balanced(rows)
        for place, parameter in enumerate(parameters):
            parameter.grad = _combined([row[place] for row in rows], weights)
        latest = self.get_buffer("latest").zero_()
        latest[shown] = torch.tensor(weights, dtype=latest.dtype, device=latest.device)
        return (latest.to(values.dtype) * values).sum()

    def _balanced(self, rows: Sequence[_Row]) -> list[float]:
        """A weight for each row; 1 where nothing is shared, or cannot be weighed."""
        gramian = _gramian(rows)
        size = float(gramian.trace())
        if not 0 < size < float("inf"):  # of what is not finite the trainer tells
            return [1.0] * len(rows)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed * 1_000_003 + self.step)
            # Of any length the gradients give the same weights, but TorchJD takes tiny ones for 0.
            weights: list[float] = self._combine(gramian / size).tolist()
        return weights


def _combination(method: MultiObjectiveName) -> Callable[[Tensor], Tensor]:
    """From the Gramian of the rows, (n, n), to their weights, (n,)."""
    from torchjd import aggregation

    if method == "upgrad":
        return aggregation.UPGradWeighting()
    if method == "mgda":
        return aggregation.MGDAWeighting()
    if method == "pcgrad":
        return aggregation.PCGradWeighting()
    if method == "aligned_mtl":
        return aggregation.AlignedMTLWeighting()
    return aggregation.IMTLGWeighting()


def _jacobian(losses: Sequence[Tensor], parameters: Sequence[Tensor]) -> list[_Row]:
    """The gradient of each loss by each parameter."""
    last = len(losses) - 1
    return [
        torch.autograd.grad(loss, parameters, retain_graph=number < last, allow_unused=True)
        for number, loss in enumerate(losses)
    ]


def _gramian(rows: Sequence[_Row]) -> Tensor:
    """``J J^T`` over the parameters that several losses depend on, (n, n), in double precision.

    On the processor: what follows is a hundred small steps.
    """
    total = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    sums: list[Tensor] = []
    for gradients in zip(*rows, strict=True):
        known = [gradient for gradient in gradients if gradient is not None]
        if len(known) > 1:
            nothing = torch.zeros_like(known[0])
            column = torch.stack([nothing if g is None else g for g in gradients])
            flat = column.flatten(1)
            sums.append(flat @ flat.T)
    return total + torch.stack(sums).cpu().double().sum(dim=0) if sums else total


def _combined(gradients: Sequence[Tensor | None], weights: Sequence[float]) -> Tensor | None:
    """What a parameter follows: the weighted sum, or the gradient of its only loss as it is."""
    known = [(g, weight) for g, weight in zip(gradients, weights, strict=True) if g is not None]
    if len(known) < 2:
        return known[0][0] if known else None
    total = known[0][0] * known[0][1]
    for gradient, weight in known[1:]:
        total.add_(gradient, alpha=weight)
    return total
