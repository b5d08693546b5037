"""Measures: objects (F1, Dice, Hausdorff), pixels and classes, topology violations.

Pure numpy and scipy on label images; nothing here knows the network.
"""

from .annotated_part import cut_to_annotated
from .components import instances_from_mask
from .objects import object_dice, object_f1, object_hausdorff
from .pixels import Measure, PixelScores, classification_accuracy, confusion_matrix
from .scores import ImageObjects, ObjectScores
from .topology import Violation, count_violations, find_violations

__all__ = [
    "ImageObjects",
    "Measure",
    "ObjectScores",
    "PixelScores",
    "Violation",
    "classification_accuracy",
    "confusion_matrix",
    "count_violations",
    "cut_to_annotated",
    "find_violations",
    "instances_from_mask",
    "object_dice",
    "object_f1",
    "object_hausdorff",
]
