"""A viewer gets arrays that read what is looked at, also of files that have no small levels."""

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_gland_mtl.errors import UnreadableImageError
from napari_gland_mtl.slides import lazy_levels, open_slide, slide_from_array
from napari_gland_mtl.slides.lazy_levels import LevelArray, MadeLevels, halved
from napari_gland_mtl.slides.slide import Slide

PIXELS = np.random.default_rng(1).integers(0, 256, (90, 130, 3), dtype=np.uint8)


class Counted(Slide):
    """A slide that notes how many pixels were read."""

    def __init__(self, pixels=PIXELS):
        super().__init__(name="counted", format="test", shapes=[pixels.shape[:2]])
        self.pixels = pixels
        self.read_pixels = 0

    def chunk_shape(self, level):
        return 32, 32

    def _read(self, level, y, x, height, width):
        self.read_pixels += height * width
        return self.pixels[y : y + height, x : x + width]


def indices(size):
    bounds = st.none() | st.integers(-size - 3, size + 3)
    steps = st.none() | st.integers(1, 7) | st.integers(-7, -1)
    return st.integers(-size, size - 1) | st.builds(slice, bounds, bounds, steps)


def lists(size):
    return st.lists(st.integers(-size, size - 1), max_size=5)


@given(indices(90), indices(130), st.sampled_from([(), (slice(None),), (1,), (slice(0, 2),)]))
def test_any_index_gives_what_numpy_gives(y, x, channel):
    found = LevelArray(Counted(), 0)[(y, x, *channel)]
    assert np.array_equal(found, PIXELS[(y, x, *channel)])


@given(lists(90), indices(130))
def test_a_list_of_rows_gives_what_numpy_gives(rows, x):
    rows = np.array(rows, int)
    assert np.array_equal(LevelArray(Counted(), 0)[rows, x], PIXELS[:, x][rows])


@given(lists(90), lists(130))
def test_lists_choose_on_their_own_axes(rows, columns):
    found = LevelArray(Counted(), 0)[rows, columns]
    assert np.array_equal(found, PIXELS[np.ix_(np.array(rows, int), np.array(columns, int))])


def test_one_index_and_whole_arrays_work_as_well():
    array = LevelArray(Counted(), 0)
    assert np.array_equal(array[5], PIXELS[5])
    assert np.array_equal(np.asarray(array), PIXELS)


def test_a_view_reads_its_own_pixels_only():
    slide = Counted()
    (level,) = slide.pyramid()
    assert slide.read_pixels == 0
    view = level[10:40, 60:100].compute()
    assert np.array_equal(view, PIXELS[10:40, 60:100])
    assert slide.read_pixels <= (2 * 32) * (3 * 32)


def test_halving_averages_two_by_two_and_repeats_an_odd_end():
    image = np.array([[[0], [2], [9]], [[4], [6], [9]], [[1], [1], [7]]], np.uint8)
    assert halved(np.repeat(image, 3, axis=2))[:, :, 0].tolist() == [[3, 9], [1, 7]]


def by_blocks(image, factor):
    """Means of blocks of a size that divides the image."""
    height, width = image.shape[0] // factor, image.shape[1] // factor
    blocks = image.reshape(height, factor, width, factor, 3)
    return blocks.mean(axis=(1, 3))


def test_levels_are_made_where_a_file_has_none(monkeypatch):
    monkeypatch.setattr(lazy_levels, "LARGEST_SIDE", 30)
    pixels = PIXELS[:88, :128]
    slide = Counted(pixels)
    levels = slide.pyramid()
    assert [level.shape for level in levels] == [
        (88, 128, 3),
        (44, 64, 3),
        (22, 32, 3),
        (11, 16, 3),
    ]
    assert slide.read_pixels == 0
    whole = np.asarray(levels[3])
    assert np.abs(whole - by_blocks(pixels, 8)).max() <= 2  # three times rounded
    assert slide.read_pixels == 88 * 128
    again = np.asarray(levels[2])
    assert np.abs(again - by_blocks(pixels, 4)).max() <= 1.5
    assert slide.read_pixels == 88 * 128, "what was made is kept"


def test_a_part_of_a_made_level_reads_its_part_of_the_file(monkeypatch):
    monkeypatch.setattr(lazy_levels, "LARGEST_SIDE", 40)
    slide = Counted()
    levels = slide.pyramid()
    part = levels[1][:16, :16].compute()
    assert np.array_equal(part, halved(PIXELS[:32, :32]))
    assert slide.read_pixels == 32 * 32


def test_files_in_strips_are_averaged_by_whole_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(lazy_levels, "LARGEST_SIDE", 1500)
    wide = np.random.default_rng(2).integers(0, 256, (64, 3000, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", wide, compression="zlib", rowsperstrip=8, metadata=None)
    with open_slide(tmp_path / "a.tif") as slide:
        made = MadeLevels(slide)
        assert made.tile_shape(0)[1] == 1500
        decoded = []
        load = slide._load_tile
        monkeypatch.setattr(slide, "_load_tile", lambda *key: decoded.append(key) or load(*key))
        assert np.array_equal(np.asarray(slide.pyramid()[-1]), halved(wide))
        assert len(decoded) == len(set(decoded)) == 8


def test_small_slides_and_pyramids_get_no_further_levels(tmp_path):
    assert len(slide_from_array(PIXELS).pyramid()) == 1
    levels = [np.zeros((4100, 60, 3), np.uint8), np.zeros((2048, 30, 3), np.uint8)]
    assert len(slide_from_array(levels).pyramid()) == 2
    assert len(slide_from_array(levels[:1]).pyramid()) == 3


@pytest.mark.parametrize(
    ("options", "chunk"),
    [
        ({"tile": (256, 256)}, (512, 512)),
        ({"tile": (240, 240)}, (480, 480)),
        ({"tile": (1024, 1024)}, (1024, 1024)),
        ({"rowsperstrip": 16, "compression": "zlib"}, (512, 2600)),
    ],
)
def test_chunks_are_whole_tiles_of_about_half_a_screen(tmp_path, options, chunk):
    path = tmp_path / "a.tif"
    # 2600 columns: too wide for strips to be shown whole.
    image = np.zeros((1100, 2600, 3), np.uint8)
    tifffile.imwrite(path, image, photometric="rgb", metadata=None, **options)
    with open_slide(path) as slide:
        height, width = slide.chunk_shape(0)
        assert height == chunk[0]
        assert width == (1024 if chunk[1] == 2600 else chunk[1])


def test_wide_strips_are_shown_in_bands_that_the_cache_holds(tmp_path):
    path = tmp_path / "a.tif"
    image = np.zeros((64, 60000, 3), np.uint8)
    tifffile.imwrite(path, image, photometric="rgb", metadata=None, rowsperstrip=1, compression=8)
    with open_slide(path) as slide:
        height, width = slide.chunk_shape(0)
        assert width == 1024
        assert height * 60000 * 3 <= 32 * 2**20


class Damaged(Counted):
    """A slide whose right part cannot be read."""

    def _read(self, level, y, x, height, width):
        if x + width > 100:
            raise UnreadableImageError("The file is damaged.")
        return super()._read(level, y, x, height, width)


def test_one_damaged_tile_does_not_hide_the_slide(caplog):
    caplog.set_level("WARNING", logger="napari_gland_mtl")
    array = LevelArray(Damaged(), 0)
    assert np.array_equal(array[:32, :32], PIXELS[:32, :32])
    for _ in range(2):
        assert np.ptp(array[:32, 96:128]) == 0
    assert caplog.text.count("shown in grey") == 1
