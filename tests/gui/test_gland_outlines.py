"""Outlines that a job computes: what napari would draw, and only while they are the layer's own."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from napari.layers import Labels

from napari_gland_mtl.widgets._gland_outlines import GlandOutlines, gland_outlines, use_outlines


@pytest.fixture
def labels() -> npt.NDArray[np.int32]:
    """Two touching glands, one at the border, one with a hole."""
    y, x = np.mgrid[:90, :120]
    found = np.zeros((90, 120), np.int32)
    found[np.hypot(y - 40, x - 40) < 20] = 1
    found[np.hypot(y - 40, x - 75) < 20] = 5
    found[np.hypot(y - 88, x - 100) < 15] = 3
    found[np.hypot(y - 40, x - 75) < 6] = 0
    return found


def drawn(layer: Any) -> npt.NDArray[Any]:
    return np.array(layer._slice.image.view)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_they_are_what_napari_draws(labels: npt.NDArray[np.int32], width: int) -> None:
    plain, quick = Labels(labels.copy()), Labels(labels.copy())
    use_outlines(quick, gland_outlines(quick.data, width))
    plain.contour = quick.contour = width
    np.testing.assert_array_equal(drawn(quick), drawn(plain))


def test_they_are_taken_from_the_job_only_while_the_labels_are_the_same(
    labels: npt.NDArray[np.int32],
) -> None:
    layer = Labels(labels.copy())
    outlines = gland_outlines(labels, 2)
    marked = GlandOutlines(np.full_like(labels, 5), outlines.width, outlines.fingerprint)
    use_outlines(layer, marked)
    layer.contour = 2
    assert len(np.unique(drawn(layer))) == 1  # from the job, wrong on purpose
    layer.paint((10, 10), 7)
    layer.refresh()
    assert len(np.unique(drawn(layer))) > 1
    layer.undo()
    layer.refresh()
    assert len(np.unique(drawn(layer))) == 1
    layer.data[0, 0] = 9  # without any event
    layer.refresh()
    assert len(np.unique(drawn(layer))) > 1
    layer.data[0, 0] = 0
    layer.contour = 3
    assert len(np.unique(drawn(layer))) > 1


def test_a_layer_goes_with_its_outlines(labels: npt.NDArray[np.int32]) -> None:
    layer = Labels(labels)
    use_outlines(layer, gland_outlines(labels, 2))
    gone = weakref.ref(layer)
    del layer
    gc.collect()
    assert gone() is None
