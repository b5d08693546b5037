"""A slide at another um/px shows every place where it is, whatever its levels are like."""

import numpy as np
import pytest

from napari_gland_mtl.inference.scaled_slide import ScaledSlide
from napari_gland_mtl.inference.tiling import Window
from napari_gland_mtl.slides import slide_from_array
from napari_gland_mtl.slides.resampling import resample


def ramp(height, width):
    """Pixels whose red and green say where they are, 0 to 255 from one end to the other."""
    y = np.linspace(0, 255, height)[:, None] + np.zeros(width)
    x = np.linspace(0, 255, width)[None, :] + np.zeros((height, 1))
    return np.stack([y, x, x], axis=-1)


def blocks(image, factor):
    """Means of whole blocks; what is left over at the far ends is dropped."""
    height, width = (size // factor * factor for size in image.shape[:2])
    cut = image[:height, :width]
    return cut.reshape(height // factor, factor, width // factor, factor, 3).mean(axis=(1, 3))


@pytest.mark.parametrize(
    ("full", "made", "target"),
    [
        ((802, 4003), lambda image: blocks(image, 4), 8.0),
        ((1001, 3999), lambda image: blocks(image, 2), 3.0),
        ((403, 4000), lambda image: resample(image.astype(np.float32), 2.5, (161, 1600)), 5.0),
        ((300, 4000), lambda image: image[:, ::2].repeat(1, axis=0)[::3], 6.0),
    ],
)
def test_a_lower_level_shows_what_level_0_shows(full, made, target):
    image = ramp(*full)
    lower = made(image)
    slide = slide_from_array([np.rint(level).astype(np.uint8) for level in (image, lower)], 1.0)
    only = slide_from_array(np.rint(image).astype(np.uint8), 1.0)
    view, truth = ScaledSlide(slide, 1.0, target), ScaledSlide(only, 1.0, target)
    assert (view.level, truth.level) == (1, 0)
    window = Window(0, 0, *view.shape)
    difference = np.abs(view.read(window).astype(int) - truth.read(window))
    # One grey level is a hundredth of the height, or a 255th of the width.
    assert difference[2:-2, 2:-2].max() <= 2


def test_parts_equal_the_whole_on_uneven_levels():
    image = np.random.default_rng(0).integers(0, 256, (402, 903, 3), dtype=np.uint8)
    lower = np.random.default_rng(1).integers(0, 256, (161, 300, 3), dtype=np.uint8)
    view = ScaledSlide(slide_from_array([image, lower], 1.0), 1.0, 4.0)
    assert view.level == 1
    whole = view.read(Window(0, 0, *view.shape))
    for box in [(0, 0, 40, 40), (13, 57, 90, 211), (60, 100, *view.shape)]:
        window = Window(*box)
        assert np.array_equal(view.read(window), whole[window.slices])


def test_at_its_own_scale_a_slide_is_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    view = ScaledSlide(slide_from_array(image, 0.5), 0.5, 0.5)
    assert np.array_equal(view.read(Window(5, 6, 60, 70)), image[5:, 6:])


def test_announced_windows_are_announced_where_they_are_read():
    image = np.zeros((100, 120, 3), np.uint8)
    slide = slide_from_array(image, 1.0)
    announced, read = [], []
    slide.announce = lambda level, windows: announced.extend(windows)
    original = slide.read_region
    slide.read_region = lambda level, y, x, height, width: (
        read.append((y, x, y + height, x + width)) or original(level, y, x, height, width)
    )
    view = ScaledSlide(slide, 1.0, 2.5)
    windows = [Window(0, 0, 16, 16), Window(16, 16, 40, 48), Window(30, 40, 64, 64)]
    view.announce(windows)
    for window in windows:
        view.read(window.clipped(*view.shape))
    assert announced == read
