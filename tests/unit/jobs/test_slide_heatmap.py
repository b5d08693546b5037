"""The heat map of a large slide is written square by square, and is that of the whole."""

from types import SimpleNamespace

import numpy as np

from napari_gland_mtl.inference.heatmap import class_heatmap, field_radius
from napari_gland_mtl.jobs.slide_work import HEATMAP_SIDE, _write_heatmaps


class MapStore:
    """A store with a class map, which keeps what is written."""

    def __init__(self, activations):
        self.layout = SimpleNamespace(coarse_shape=activations.shape[1:], mpp=1.6, stride=16)
        self.activations = activations
        self.written = np.full(activations.shape, -1.0, np.float32)
        self.windows = []

    def class_map(self, window):
        return self.activations[(..., *window.slices)]

    def write_heatmap(self, window, maps):
        self.windows.append(window)
        self.written[(..., *window.slices)] = maps


def test_squares_of_a_heat_map_give_the_whole():
    shape = (2, HEATMAP_SIDE + 90, 2 * HEATMAP_SIDE + 7)
    activations = np.random.default_rng(0).normal(0, 2, shape).astype(np.float32)
    activations[:, 500:520, 300:900] = np.nan
    store = MapStore(activations)
    _write_heatmaps(store)
    assert len(store.windows) == 6
    np.testing.assert_allclose(
        store.written, class_heatmap(activations, field_radius(1.6, 16)), atol=1e-6
    )
