"""Synthetic slides of any size with known glands, for tests, benchmarks and demonstrations."""

from .base_field import base_field
from .slide import SyntheticSlide
from .tiff import write_tiff, write_truth

__all__ = ["SyntheticSlide", "base_field", "write_tiff", "write_truth"]
