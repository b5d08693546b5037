"""Arrays of all common kinds are slides."""

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.slides import slide_from_array

RGB = np.random.default_rng(1).integers(0, 256, (30, 50, 3), dtype=np.uint8)


@pytest.mark.parametrize("wrap", [np.asarray, lambda a: da.from_array(a, chunks=7), zarr.array])
def test_numpy_dask_and_zarr_read_alike(wrap):
    slide = slide_from_array(wrap(RGB), mpp=0.5, name="layer")
    assert (slide.name, slide.mpp, slide.path) == ("layer", 0.5, None)
    window = slide.read_region(0, 3, 4, 20, 30)
    assert isinstance(window, np.ndarray)
    assert np.array_equal(window, RGB[3:23, 4:34])


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (RGB[:, :, 0], np.repeat(RGB[:, :, :1], 3, 2)),
        (RGB[:, :, :1], np.repeat(RGB[:, :, :1], 3, 2)),
        (RGB.astype(np.uint16) * 257, RGB),
        (RGB / 255.0, RGB),
        (RGB > 127, np.where(RGB > 127, 255, 0)),
        (np.dstack([RGB, np.zeros((30, 50), "u1")]), np.full_like(RGB, 255)),
        (np.dstack([RGB, np.full((30, 50), 255, "u1")]), RGB),
    ],
)
def test_other_types_become_eight_bit_rgb(array, expected):
    slide = slide_from_array(array)
    assert slide.read().dtype == np.uint8
    assert np.array_equal(slide.read(), expected)
    assert np.array_equal(np.asarray(slide.pyramid()[0]), expected)


def test_a_list_of_arrays_is_a_pyramid():
    slide = slide_from_array([RGB, RGB[::2, ::2]], mpp=0.5)
    assert [level.mpp for level in slide.levels] == [0.5, 1.0]
    assert np.array_equal(slide.read(1), RGB[::2, ::2])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 4, 5), np.uint8),
        np.zeros((2, 3, 4, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.int32),
        np.zeros(4, np.uint8),
    ],
)
def test_what_is_no_image_is_refused(array):
    with pytest.raises(InvalidInputError):
        slide_from_array(array)


@pytest.mark.parametrize("value", [1.5, -0.1, np.nan])
def test_floats_beyond_one_are_refused_when_read(value):
    slide = slide_from_array(np.full((3, 3, 3), value))
    with pytest.raises(InvalidInputError, match="0 and 1"):
        slide.read()


def test_an_unknown_pixel_size_says_so():
    slide = slide_from_array(RGB)
    assert slide.mpp is None
    assert slide.mpp_note


@pytest.mark.parametrize("wrap", [np.asarray, lambda a: da.from_array(a, chunks=7)])
def test_twelve_bits_in_sixteen_are_refused_rather_than_black(wrap):
    with pytest.raises(InvalidInputError, match="would look black"):
        slide_from_array(wrap(RGB.astype(np.uint16) * 16))
    assert slide_from_array(wrap(RGB.astype(np.uint16) * 256)).read().max() == RGB.max()
