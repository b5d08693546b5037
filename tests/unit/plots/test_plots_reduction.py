"""Claims about drawing many points: no extreme is lost, and the mean is the mean."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gland_mtl.plots.reduction import kept_points, running_mean

values = st.floats(-1e6, 1e6)
steps = st.lists(st.integers(1, 5), min_size=1, max_size=300).map(
    lambda gaps: np.cumsum(gaps) * 1.0
)


def columns_of(x, columns, low, high):
    """The oracle: which column of pixels each point falls into, point by point."""
    width = (high - low) / columns or 1.0
    return [min(max(int((value - low) // width), 0), columns - 1) for value in x]


@settings(max_examples=150, deadline=None)
@given(x=steps, data=st.data(), columns=st.integers(1, 12))
def test_every_column_keeps_its_ends_and_its_extremes(x, data, columns):
    y = np.array(data.draw(st.lists(values, min_size=len(x), max_size=len(x))))
    kept = kept_points(x, y, columns)
    assert np.all(np.diff(kept) > 0)
    if len(x) <= 4 * columns:
        assert kept.tolist() == list(range(len(x)))
        return
    assert len(kept) <= 4 * columns
    homes = np.array(columns_of(x, columns, x[0], x[-1]))
    for column in set(homes.tolist()):
        inside = np.flatnonzero(homes == column)
        chosen = [index for index in kept if homes[index] == column]
        assert {inside[0], inside[-1]} <= set(chosen)
        assert min(y[chosen]) == min(y[inside])
        assert max(y[chosen]) == max(y[inside])


def test_one_spike_among_a_hundred_thousand_is_kept():
    x, y = np.arange(100_000.0), np.zeros(100_000)
    y[54_321] = 9
    kept = kept_points(x, y, 300)
    assert 54_321 in kept
    # The control: every so-manieth point alone would have lost it.
    assert 54_321 not in np.arange(0, 100_000, 300)


def test_points_outside_the_limits_are_kept_at_the_edges():
    x, y = np.arange(1000.0), np.arange(1000.0)
    kept = kept_points(x, y, 10, limits=(400.0, 500.0))
    assert kept[0] == 0
    assert kept[-1] == 999
    assert np.sum((kept > 400) & (kept < 500)) >= 10


def test_a_hundred_thousand_points_take_no_time():
    x, y = np.arange(100_000.0), np.random.default_rng(0).normal(size=100_000)
    began = time.perf_counter()
    for _ in range(20):
        kept_points(x, y, 300)
    # Some 2 ms each; what is claimed is that it is nowhere near a frame.
    assert (time.perf_counter() - began) / 20 < 0.05


@settings(max_examples=100, deadline=None)
@given(
    y=st.lists(st.one_of(st.floats(-100, 100), st.just(float("nan"))), max_size=60),
    count=st.integers(1, 80),
)
def test_the_running_mean_is_that_of_the_last_known_values(y, count):
    found = running_mean(np.array(y, dtype=float), count)
    for index in range(len(y)):
        last = [v for v in y[max(0, index + 1 - count) : index + 1] if v == v]
        if count == 1:
            last = [y[index]]
        expected = sum(last) / len(last) if last else float("nan")
        assert found[index] == pytest.approx(expected, abs=1e-9, nan_ok=True)
