"""Fixtures of all tests: synthetic tissue, since no real data may be part of the project."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import pytest
from synthetic_tissue import SyntheticField, make_field


@pytest.fixture(scope="session")
def synthetic_field() -> Callable[..., SyntheticField]:
    """Factory of synthetic fields with their truth, each made once; do not write into them.

    Called as ``synthetic_field(kind="benign", height=256, width=256, mpp=0.62, seed=0)``; about a
    second for 256 x 256 pixels.
    """

    @lru_cache(maxsize=32)
    def make(
        kind: str = "benign", height: int = 256, width: int = 256, mpp: float = 0.62, seed: int = 0
    ) -> SyntheticField:
        field = make_field(kind, height, width, mpp, seed)
        for array in (field.image, field.regions, field.glands):
            array.setflags(write=False)
        return field

    return make
