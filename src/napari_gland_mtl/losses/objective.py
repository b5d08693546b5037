"""All the losses of one batch, from the network's output and the annotation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from torch import Tensor
from torch.nn import functional

from ..errors import InvalidInputError
from ..regions import NOT_ANNOTATED, RegionHierarchy
from .classification import UNKNOWN_CLASS, classification_loss
from .geometry import geometry_loss
from .region_probabilities import log_assignment_probabilities, log_region_marginals
from .segmentation import segmentation_loss
from .topology import topology_loss
from .weighting import LOSS_NAMES

GeometryProbability = Literal["marginal", "sigmoid"]


class Activations(Protocol):
    """What the losses need of a network's output."""

    @property
    def class_logits(self) -> Tensor:
        """``f_c``, (N, K)."""

    @property
    def region_logits(self) -> Tensor:
        """``f_s``, (N, L, H, W)."""


def multi_loss(
    output: Activations,
    labels: Tensor,
    classes: Tensor,
    hierarchy: RegionHierarchy,
    names: Sequence[str] = LOSS_NAMES,
    geometry_probability: GeometryProbability = "marginal",
) -> dict[str, Tensor]:
    """Compute the named losses of one batch.

    Parameters
    ----------
    output : Activations
        A :class:`~napari_gland_mtl.network.NetworkOutput`.
        Of N images of H x W pixels.
    labels : Tensor of integers, (N, H, W)
        Region codes, 0 not annotated.
    classes : Tensor of int64, (N,)
        Class of each image, -1 unknown.
    hierarchy : RegionHierarchy
    names : sequence of str
        Which of ``LOSS_NAMES``; only these are computed.
    geometry_probability : {"marginal", "sigmoid"}
        What the geometry loss compares: the topology marginal Pt (the paper's Eq. 9) or the
        log-sigmoid activations (the paper's text).

    Returns
    -------
    dict of str to Tensor
        Scalars, unweighted, in the order of `names`.
    """
    unknown = [name for name in names if name not in LOSS_NAMES]
    if unknown:
        raise InvalidInputError(f"Unknown losses {unknown}; there are {list(LOSS_NAMES)}.")
    losses: dict[str, Tensor] = {}
    logits = output.region_logits
    if "topology" in names or ("geometry" in names and geometry_probability == "marginal"):
        # One pass over the valid assignments serves both losses.
        log_p = log_assignment_probabilities(logits, hierarchy)
        marginals = log_region_marginals(log_p, hierarchy)
    for name in names:
        if name == "classification":
            losses[name] = classification_loss(output.class_logits, classes)
        elif name == "segmentation":
            losses[name] = segmentation_loss(logits, labels, hierarchy)
        elif name == "topology":
            losses[name] = topology_loss(marginals, labels, hierarchy)
        elif geometry_probability == "marginal":
            losses[name] = geometry_loss(marginals, labels, hierarchy)
        else:
            losses[name] = geometry_loss(functional.logsigmoid(logits.float()), labels, hierarchy)
    return losses


def loss_counts(
    labels: Tensor, classes: Tensor, names: Sequence[str] = LOSS_NAMES
) -> dict[str, Tensor]:
    """How many things each loss of :func:`multi_loss` is a mean over.

    With them the losses of a batch follow from those of its parts.

    Parameters
    ----------
    labels : Tensor of integers, (N, H, W)
    classes : Tensor of int64, (N,)
    names : sequence of str

    Returns
    -------
    dict of str to Tensor
        Integer scalars: images of known class for the classification, annotated pixels for the
        others.
    """
    images, pixels = (classes != UNKNOWN_CLASS).sum(), (labels != NOT_ANNOTATED).sum()
    return {name: images if name == "classification" else pixels for name in names}
