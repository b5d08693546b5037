"""The cache of decoded tiles is bounded, and any window is put together from any tiles."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_gland_mtl.slides.tiled import TileCache, TiledSlide

PIXELS = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)


class Grid(TiledSlide):
    def __init__(self, height, width):
        super().__init__(name="grid", format="test", shapes=[PIXELS.shape[:2]])
        self.tile = (height, width)

    def _tile_shape(self, level):
        return self.tile

    def _load_tile(self, level, row, column):
        height, width = self.tile
        y, x = row * height, column * width
        return PIXELS[y : y + height, x : x + width].copy()


@given(st.data(), st.integers(1, 40), st.integers(1, 60))
def test_any_window_of_any_grid_is_exact(data, height, width):
    y, x = data.draw(st.integers(0, 36)), data.draw(st.integers(0, 52))
    rows, columns = data.draw(st.integers(1, 37 - y)), data.draw(st.integers(1, 53 - x))
    window = Grid(height, width).read_region(0, y, x, rows, columns)
    assert np.array_equal(window, PIXELS[y : y + rows, x : x + columns])


def loader(calls, key, size=100):
    def load():
        calls.append(key)
        return np.zeros((size, 1, 1), np.uint8)

    return load


def test_the_cache_lets_go_of_the_least_recently_used():
    calls = []
    cache = TileCache(capacity=250)
    for key in "ababcacb":
        cache.get(key, loader(calls, key))
    assert calls == ["a", "b", "c", "a", "b"]


def test_a_tile_larger_than_the_cache_is_kept_alone():
    calls = []
    cache = TileCache(capacity=10)
    for key in "aabb":
        cache.get(key, loader(calls, key))
    assert calls == ["a", "b"]


def test_cached_tiles_cannot_be_changed_from_outside():
    tile = TileCache().get("a", lambda: np.zeros((2, 2, 3), np.uint8))
    assert not tile.flags.writeable
