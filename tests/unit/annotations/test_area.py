"""Claims about areas: they show the tissue that lies under them, in place."""

from __future__ import annotations

import numpy as np
import pytest

from napari_gland_mtl.annotations import AreaInfo, area_from_slide
from napari_gland_mtl.errors import InvalidInputError, MissingPixelSizeError
from napari_gland_mtl.slides import slide_from_array

SLOPE = 0.583


def ramps(height=400, width=420):
    """Red rises along y, green along x: a pixel's colour says where its centre lies."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y * SLOPE, x * SLOPE, np.zeros((height, width))], axis=-1)


def ramp_slide(levels=1, mpp=0.5):
    """A pyramid whose lower levels are means of blocks of two by two."""
    arrays = [ramps()]
    for _ in range(levels - 1):
        last = arrays[-1]
        height, width = last.shape[0] // 2 * 2, last.shape[1] // 2 * 2
        blocks = last[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
        arrays.append(blocks.mean(axis=(1, 3)))
    return slide_from_array([np.rint(a).astype(np.uint8) for a in arrays], mpp=mpp, name="ramp")


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("mpp", [0.3, 0.5, 0.8, 1.24, 2.0, 3.1])
@pytest.mark.parametrize("window", [(40, 60, 300, 310), (41, 67, 333, 397)])
def test_each_pixel_shows_the_tissue_under_its_centre(levels, mpp, window):
    with ramp_slide(levels) as slide:
        area = area_from_slide(slide, window, mpp, "area 1")
    info = area.info
    for axis, offset in enumerate(info.translation_um):
        centre_px = (offset + np.arange(area.image.shape[axis]) * mpp) / info.slide_mpp
        shown = np.moveaxis(area.image[..., axis], axis, 0).astype(float) / SLOPE
        inside = slice(3, -4)  # the last pixel may reach over the window
        # One step of the colours is two pixels of the slide; on average it is much less off.
        difference = shown[inside] - centre_px[inside, None]
        assert np.abs(difference).max() <= 2.5
        assert abs(difference.mean()) < 0.35


@pytest.mark.parametrize("levels", [1, 3])
def test_the_window_holds_what_was_asked_for_and_hardly_more(levels):
    asked = (41, 67, 333, 397)
    with ramp_slide(levels) as slide:
        area = area_from_slide(slide, asked, 2.0, "area 1")
    y0, x0, y1, x1 = area.info.window
    assert y0 <= asked[0] <= y0 + 3
    assert x0 <= asked[1] <= x0 + 3
    assert asked[2] <= y1 <= asked[2] + 3
    assert asked[3] <= x1 <= asked[3] + 3
    for size, length in zip(area.image.shape[:2], (y1 - y0, x1 - x0), strict=True):
        assert 0 <= size * 4 - length < 4
    assert not area.glands.any()
    assert not area.regions.any()


def test_a_window_over_the_edge_is_cut_off_and_one_beside_the_slide_refused():
    with ramp_slide() as slide:
        area = area_from_slide(slide, (-50, 300, 30, 9999), 0.5, "area 1")
        assert area.info.window == (0, 300, 30, 420)
        assert np.array_equal(area.image, slide.read()[:30, 300:])
        with pytest.raises(InvalidInputError, match="does not lie on ramp"):
            area_from_slide(slide, (400, 0, 500, 100), 0.5, "area 1")


def test_what_the_area_knows_of_its_slide_and_what_is_told():
    with ramp_slide(mpp=0.25) as slide:
        info = area_from_slide(slide, (0, 0, 100, 100), 1.0, "x", way="regions", patient="p").info
    assert (info.slide, info.slide_path, info.slide_shape) == ("ramp", "", (400, 420))
    assert (info.slide_mpp, info.mpp, info.way, info.patient) == (0.25, 1.0, "regions", "p")


def test_an_unknown_pixel_size_is_asked_for_and_never_guessed():
    slide = slide_from_array(np.zeros((50, 50, 3), np.uint8))
    with pytest.raises(MissingPixelSizeError, match="um/px"):
        area_from_slide(slide, (0, 0, 50, 50), 1.0, "x")


def test_an_area_too_large_to_be_edited_is_refused_before_it_is_read():
    class Endless:
        shape, dtype, ndim = (400_000, 400_000, 3), np.dtype(np.uint8), 3

        def __getitem__(self, window):
            raise AssertionError("it was read")

    slide = slide_from_array(Endless(), mpp=0.5)
    with pytest.raises(InvalidInputError, match="several smaller ones"):
        area_from_slide(slide, (0, 0, 400_000, 400_000), 0.5, "x")


@pytest.mark.parametrize("window", [(0, 0, 0, 5), (5, 0, 4, 5), (-1, 0, 4, 5)])
def test_a_window_that_is_none_is_refused(window):
    with pytest.raises(ValueError, match="upper left to its lower right"):
        AreaInfo(name="a", slide="s", slide_mpp=1, slide_shape=(9, 9), window=window, mpp=1)
