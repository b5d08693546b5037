"""Any window is put together from any tiles, and what is decoded is kept for as long as it pays."""

import threading
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.slides.tile_cache import TileCache, TileUses
from napari_gland_mtl.slides.tiled import TiledSlide

PIXELS = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)


class Grid(TiledSlide):
    def __init__(self, height, width, **options):
        super().__init__(name="grid", format="test", shapes=[PIXELS.shape[:2]], **options)
        self.tile = (height, width)
        self.decoded = []

    def tile_shape(self, level):
        return self.tile

    def _load_tile(self, level, row, column):
        self.decoded.append((row, column))
        height, width = self.tile
        y, x = row * height, column * width
        return PIXELS[y : y + height, x : x + width].copy()


@given(st.data(), st.integers(1, 40), st.integers(1, 60))
def test_any_window_of_any_grid_is_exact(data, height, width):
    y, x = data.draw(st.integers(0, 36)), data.draw(st.integers(0, 52))
    rows, columns = data.draw(st.integers(1, 37 - y)), data.draw(st.integers(1, 53 - x))
    expected = PIXELS[y : y + rows, x : x + columns]
    slide = Grid(height, width)
    assert np.array_equal(slide.read_region(0, y, x, rows, columns), expected)
    buffer = np.full_like(expected, 7)
    assert slide.read_region(0, y, x, rows, columns, out=buffer) is buffer
    assert np.array_equal(buffer, expected)


@pytest.mark.parametrize("shape", [(5, 5, 4), (5, 6, 3), (6, 5)])
def test_a_buffer_of_another_shape_is_refused(shape):
    with pytest.raises(InvalidInputError, match="shape"):
        Grid(8, 8).read_region(0, 0, 0, 5, 5, out=np.zeros(shape, np.uint8))


def test_several_threads_of_one_window_give_the_same_pixels():
    slide = Grid(4, 5)
    slide.threads = 4
    assert np.array_equal(slide.read_region(0, 1, 2, 30, 49), PIXELS[1:31, 2:51])
    assert Counter(slide.decoded).most_common(1)[0][1] == 1
    slide.close()


# ------------------------------------------------------------------ the last tiles used


def loader(calls, key, size=100):
    def load():
        calls.append(key)
        return np.zeros((size, 1, 1), np.uint8)

    return load


def got(cache, names, calls):
    for name in names:
        cache.get((0, 0, ord(name)), loader(calls, name))
    return calls


def test_the_cache_lets_go_of_the_least_recently_used():
    assert got(TileCache(recent_bytes=250), "ababcacb", []) == ["a", "b", "c", "a", "b"]


def test_a_tile_larger_than_the_cache_is_kept_alone():
    assert got(TileCache(recent_bytes=10), "aabb", []) == ["a", "b"]


def test_cached_tiles_cannot_be_changed_from_outside():
    tile = TileCache().get((0, 0, 0), lambda: np.zeros((2, 2, 3), np.uint8))
    assert not tile.flags.writeable


def test_windows_of_whole_tiles_leave_nothing_behind():
    slide = Grid(10, 10)
    slide.read_region(0, 0, 0, 20, 10)
    slide.read_region(0, 0, 0, 20, 10)
    assert Counter(slide.decoded) == {(0, 0): 2, (1, 0): 2}
    slide.read_region(0, 1, 0, 20, 10)
    slide.read_region(0, 2, 0, 20, 10)
    assert Counter(slide.decoded) == {(0, 0): 3, (1, 0): 3, (2, 0): 1}


# ------------------------------------------------------------------ announced windows


def sweep(slide, step, halo):
    """Overlapping windows, row by row, as (y0, x0, y1, x1)."""
    height, width = PIXELS.shape[:2]
    return [
        (
            max(y - halo, 0),
            max(x - halo, 0),
            min(y + step + halo, height),
            min(x + step + halo, width),
        )
        for y in range(0, height, step)
        for x in range(0, width, step)
    ]


def read(slide, windows):
    for y0, x0, y1, x1 in windows:
        window = slide.read_region(0, y0, x0, y1 - y0, x1 - x0)
        assert np.array_equal(window, PIXELS[y0:y1, x0:x1])


@given(st.integers(1, 12), st.integers(1, 12), st.integers(3, 20), st.integers(0, 6), st.randoms())
def test_each_tile_of_announced_windows_is_decoded_once(height, width, step, halo, random):
    slide = Grid(height, width, recent_bytes=0)
    windows = sweep(slide, step, halo)
    random.shuffle(windows)
    slide.announce(0, windows)
    read(slide, windows)
    assert max(Counter(slide.decoded).values()) == 1
    held = slide._cache
    assert held._awaited._bytes == held._recent._bytes == 0


def test_without_an_announcement_a_small_cache_decodes_again():
    slide = Grid(5, 5, recent_bytes=300)
    read(slide, sweep(slide, 10, 3))
    assert max(Counter(slide.decoded).values()) > 1


def test_announced_tiles_keep_within_their_room():
    slide = Grid(5, 5, recent_bytes=0, awaited_bytes=400)
    windows = sweep(slide, 10, 3)
    slide.announce(0, windows)
    for y0, x0, y1, x1 in windows:
        slide.read_region(0, y0, x0, y1 - y0, x1 - x0)
        assert slide._cache._awaited._bytes <= 400
    assert max(Counter(slide.decoded).values()) > 1


def test_a_new_announcement_takes_the_place_of_the_one_before():
    slide = Grid(5, 5, recent_bytes=0)
    slide.announce(0, [(0, 0, 7, 7)] * 2)
    slide.read_region(0, 0, 0, 7, 7)
    slide.announce(0, [])
    assert slide._cache._awaited._bytes == 0
    slide.read_region(0, 0, 0, 7, 7)
    assert Counter(slide.decoded)[0, 0] == 2


def test_windows_that_leave_the_level_are_cut():
    uses = TileUses(0, (10, 10), (4, 4), [(-3, -3, 2, 20), (50, 50, 60, 60), (3, 3, 3, 9)])
    used = {(0, row, column): uses.use((0, row, column)) for row in range(3) for column in range(3)}
    assert [key for key, was in used.items() if was] == [(0, 0, 0), (0, 0, 1), (0, 0, 2)]
    assert not uses.use((1, 0, 0))


# ------------------------------------------------------------------ several readers


def test_a_tile_that_several_ask_for_at_once_is_decoded_once():
    cache, calls, tiles = TileCache(), [], []
    asked, go_on = threading.Barrier(4), threading.Event()

    def load():
        calls.append(1)
        go_on.wait(5)
        return np.zeros((2, 2, 3), np.uint8)

    def ask():
        asked.wait(5)
        tiles.append(cache.get((0, 0, 0), load))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    while not calls:
        pass
    go_on.set()
    for thread in threads:
        thread.join(5)
    assert len(calls) == 1
    assert len({id(tile) for tile in tiles}) == 1


def test_a_failure_reaches_everybody_who_waits_and_is_not_kept():
    cache, outcomes = TileCache(), []
    entered, go_on = threading.Event(), threading.Event()

    def failing():
        entered.set()
        go_on.wait(5)
        raise ValueError("damaged")

    def ask(load):
        try:
            outcomes.append(cache.get((0, 0, 0), load).shape)
        except ValueError as error:
            outcomes.append(str(error))

    first = threading.Thread(target=ask, args=(failing,))
    first.start()
    entered.wait(5)
    second = threading.Thread(target=ask, args=(lambda: np.zeros((1, 1, 3), np.uint8),))
    second.start()
    while not cache._loading:
        pass
    go_on.set()
    first.join(5)
    second.join(5)
    ask(lambda: np.zeros((2, 2, 3), np.uint8))
    assert outcomes[0] == "damaged"
    assert outcomes[1] in ("damaged", (1, 1, 3))  # it may have come a moment too late to wait
    assert outcomes[2] in ((2, 2, 3), (1, 1, 3))


def test_a_closed_slide_says_so():
    slide = Grid(8, 8)
    slide.close()
    slide.close()
    with pytest.raises(InvalidInputError, match="was closed"):
        slide.read_region(0, 0, 0, 2, 2)
