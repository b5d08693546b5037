"""All the losses of one batch, from the network's output and the annotation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from torch import Tensor
from torch.nn import functional

from ..errors import InvalidInputError
from ..regions import NOT_ANNOTATED, RegionHierarchy
from .classification import UNKNOWN_CLASS, classification_terms
from .geometry import geometry_terms
from .region_probabilities import (
    at_least_float32,
    log_assignment_probabilities,
    log_region_marginals,
)
from .segmentation import segmentation_terms
from .terms import BatchLosses, LossTerms
from .topology import topology_terms
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
    arguments = (output, labels, classes, hierarchy, names, geometry_probability)
    return {name: terms.mean() for name, terms in loss_terms(*arguments)}


def batch_losses(
    output: Activations,
    labels: Tensor,
    classes: Tensor,
    hierarchy: RegionHierarchy,
    names: Sequence[str] = LOSS_NAMES,
    geometry_probability: GeometryProbability = "marginal",
    offset_names: Sequence[str] = (),
) -> BatchLosses:
    """The losses of :func:`multi_loss`, and beside them what each image adds to them.

    See :func:`multi_loss` for the other parameters. Where `output` has a ``log_var_map``, the
    segmentation loss of each pixel is kept, too.

    Parameters
    ----------
    offset_names : sequence of str
        What the columns of the output's ``log_vars`` are about.
    """
    means, sums, counts = {}, {}, {}
    log_vars: Tensor | None = getattr(output, "log_vars", None)
    offset_map: Tensor | None = getattr(output, "log_var_map", None)
    columns = () if log_vars is None else at_least_float32(log_vars).unbind(dim=1)
    pixels = None
    arguments = (output, labels, classes, hierarchy, names, geometry_probability)
    for name, terms in loss_terms(*arguments):
        means[name], sums[name], counts[name] = terms.mean(), terms.per_image(), terms.counts
        if name == "segmentation" and offset_map is not None:
            pixels = terms.parts[0]
    return BatchLosses(
        means,
        sums,
        counts,
        dict(zip(offset_names, columns, strict=False)),
        pixels,
        None if pixels is None else labels != NOT_ANNOTATED,
        None if offset_map is None else at_least_float32(offset_map)[:, 0],
    )


def loss_terms(
    output: Activations,
    labels: Tensor,
    classes: Tensor,
    hierarchy: RegionHierarchy,
    names: Sequence[str],
    geometry_probability: GeometryProbability,
) -> Iterator[tuple[str, LossTerms]]:
    """Name and terms of each loss, one after the other; see :func:`multi_loss`."""
    unknown = [name for name in names if name not in LOSS_NAMES]
    if unknown:
        raise InvalidInputError(f"Unknown losses {unknown}; there are {list(LOSS_NAMES)}.")
    logits = output.region_logits
    if "topology" in names or ("geometry" in names and geometry_probability == "marginal"):
        # One pass over the valid assignments serves both losses.
        log_p = log_assignment_probabilities(logits, hierarchy)
        marginals = log_region_marginals(log_p, hierarchy)
    for name in names:
        if name == "classification":
            yield name, classification_terms(output.class_logits, classes)
        elif name == "segmentation":
            yield name, segmentation_terms(logits, labels, hierarchy)
        elif name == "topology":
            yield name, topology_terms(marginals, labels, hierarchy)
        elif geometry_probability == "marginal":
            yield name, geometry_terms(marginals, labels, hierarchy)
        else:
            yield name, geometry_terms(functional.logsigmoid(logits.float()), labels, hierarchy)


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
