"""The four losses of the paper and the ways of weighting them."""

from .classification import classification_loss
from .geometry import geometry_loss
from .instance import instance_objective
from .instance_weighting import InstanceWeighting
from .objective import batch_losses, loss_counts, multi_loss
from .region_probabilities import (
    assignment_logits,
    log_assignment_probabilities,
    log_region_marginals,
)
from .segmentation import segmentation_loss
from .topology import topology_loss
from .weighting import (
    LOSS_NAMES,
    AlternatingWeighting,
    ConvexPairWeighting,
    FixedWeighting,
    LossWeighting,
    UncertaintyWeighting,
)

__all__ = [
    "LOSS_NAMES",
    "AlternatingWeighting",
    "ConvexPairWeighting",
    "FixedWeighting",
    "InstanceWeighting",
    "LossWeighting",
    "UncertaintyWeighting",
    "assignment_logits",
    "batch_losses",
    "classification_loss",
    "geometry_loss",
    "instance_objective",
    "log_assignment_probabilities",
    "log_region_marginals",
    "loss_counts",
    "multi_loss",
    "segmentation_loss",
    "topology_loss",
]
