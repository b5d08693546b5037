"""Claims about tile plans: cores cover, windows fit, and halos are wide enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.inference.tiling import (
    Window,
    pad_mirrored,
    plan_tiles,
    round_up,
)

sixteens = st.integers(1, 20).map(lambda n: 16 * n)


@st.composite
def plans(draw):
    """A padded image, an aligned region of it, a tile size and a halo."""
    height, width = draw(sixteens), draw(sixteens)
    y0 = 16 * draw(st.integers(0, height // 16 - 1))
    x0 = 16 * draw(st.integers(0, width // 16 - 1))
    y1 = 16 * draw(st.integers(y0 // 16 + 1, height // 16))
    x1 = 16 * draw(st.integers(x0 // 16 + 1, width // 16))
    halo = 16 * draw(st.integers(0, 6))
    return (height, width), Window(y0, x0, y1, x1), draw(sixteens), halo


@settings(max_examples=200, deadline=None)
@given(plans())
def test_cores_cover_the_region_exactly_once_and_nothing_else(plan):
    shape, region, tile_size, halo = plan
    covered = np.zeros(shape, dtype=int)
    for tile in plan_tiles(shape, tile_size, halo, region=region):
        covered[tile.core.slices] += 1
    expected = np.zeros(shape, dtype=int)
    expected[region.slices] = 1
    np.testing.assert_array_equal(covered, expected)


@settings(max_examples=200, deadline=None)
@given(plans())
def test_windows_share_a_size_lie_on_the_stride_and_reach_halo_or_border(plan):
    shape, region, tile_size, halo = plan
    tiles = plan_tiles(shape, tile_size, halo, region=region)
    assert len({tile.window.shape for tile in tiles}) == 1
    for tile in tiles:
        core, window = tile.core, tile.window
        assert window == window.aligned(16) == window.clipped(*shape)
        assert window.y0 == 0 or window.y0 <= core.y0 - halo
        assert window.x0 == 0 or window.x0 <= core.x0 - halo
        assert window.y1 == shape[0] or window.y1 >= core.y1 + halo
        assert window.x1 == shape[1] or window.x1 >= core.x1 + halo


def test_no_window_is_larger_than_tile_and_halo():
    tiles = plan_tiles((4096, 4096), tile_size=512, halo=96)
    assert {tile.window.shape for tile in tiles} == {(704, 704)}
    assert len(tiles) == 64


def test_a_small_region_of_a_large_image_needs_one_small_window():
    (tile,) = plan_tiles((4096, 4096), 512, 96, region=Window(1600, 1600, 1648, 1632))
    assert tile.window == Window(1504, 1504, 1744, 1728)
    assert tile.core_in_window == Window(96, 96, 144, 128)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (100, 96)}, "height must be a positive multiple of 16"),
        ({"tile_size": 100}, "tile size must be a positive multiple of 16"),
        ({"tile_size": 0}, "tile size must be a positive multiple of 16"),
        ({"halo": 20}, "halo must be a multiple of 16"),
        ({"region": Window(0, 0, 0, 16)}, "must lie inside"),
        ({"region": Window(0, 0, 16, 112)}, "must lie inside"),
        ({"region": Window(8, 0, 24, 16)}, "must lie inside"),
    ],
)
def test_impossible_plans_are_refused_with_the_reason(arguments, message):
    good = {"shape": (96, 96), "tile_size": 32, "halo": 16}
    plan_tiles(**good)
    with pytest.raises(InvalidInputError, match=message):
        plan_tiles(**{**good, **arguments})


def test_padding_mirrors_the_border_and_leaves_the_image():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    padded = pad_mirrored(image, 5, 6)
    np.testing.assert_array_equal(padded[:3, :4], image)
    np.testing.assert_array_equal(padded[3], padded[2])
    np.testing.assert_array_equal(padded[4], padded[1])
    np.testing.assert_array_equal(padded[:3, 4:], image[:, [3, 2]])
    assert pad_mirrored(image, 3, 4) is image


def test_padding_of_a_window_is_that_of_the_whole_image():
    image = np.random.default_rng(0).integers(0, 255, (70, 50, 3), dtype=np.uint8)
    whole = pad_mirrored(image, 80, 64)
    part = pad_mirrored(image[48:70, 32:50], 32, 32)
    np.testing.assert_array_equal(part, whole[48:, 32:])


def test_windows_know_their_arithmetic():
    window = Window(5, 16, 33, 31)
    assert window.shape == (28, 15)
    assert window.aligned(16) == Window(0, 16, 48, 32)
    assert window.relative_to(5, 10) == Window(0, 6, 28, 21)
    assert window.clipped(20, 20) == Window(5, 16, 20, 20)
    assert Window(32, 16, 64, 48).coarsened(16) == Window(2, 1, 4, 3)
    assert [round_up(n, 16) for n in (0, 1, 16, 17)] == [0, 16, 16, 32]
