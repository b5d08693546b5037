"""Synthetic stained colon tissue with known glands, for samples, tests and benchmarks."""

from .recipe import KINDS, Kind
from .tissue import SyntheticField, SyntheticTissue, make_field, number_pieces

__all__ = ["KINDS", "Kind", "SyntheticField", "SyntheticTissue", "make_field", "number_pieces"]
