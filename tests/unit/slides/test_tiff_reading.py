"""Of a TIFF only what is needed is read, by any number of threads, and damage is named."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

from napari_gland_mtl.errors import (
    InvalidInputError,
    UnreadableImageError,
    UnsupportedImageError,
)
from napari_gland_mtl.slides import open_files, open_slide, tiff_pages

RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (150, 210, 3), dtype=np.uint8)


def write(path, data, **options):
    options.setdefault("metadata", None)
    tifffile.imwrite(path, data, **options)
    return path


@pytest.fixture
def tif(tmp_path):
    return tmp_path / "field.tif"


# ------------------------------------------------------------------ damage


@pytest.mark.parametrize("kept", [9, 200, 0.5, 0.99])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_truncated_files_are_refused_when_opened(tif, kept, compression):
    write(tif, RGB, photometric="rgb", compression=compression)
    whole = tif.read_bytes()
    tif.write_bytes(whole[: int(len(whole) * kept) if kept < 1 else kept])
    with pytest.raises(UnreadableImageError, match="damaged or incomplete"):
        open_slide(tif)


def test_random_damage_never_gives_any_other_error(tif):
    write(tif, RGB[:64, :64], photometric="rgb", compression="lzw", tile=(32, 32))
    whole = tif.read_bytes()
    for seed in range(150):
        rng = np.random.default_rng(seed)
        damaged = bytearray(whole)
        end = 400 if seed % 2 else len(whole)
        for position in rng.integers(4, end, 4):
            damaged[position] = rng.integers(256)
        tif.write_bytes(bytes(damaged))
        with contextlib.suppress(UnreadableImageError), open_slide(tif) as slide:
            level = slide.levels[0]
            slide.read_region(0, 0, 0, min(64, level.height), min(64, level.width))


def test_a_damaged_tile_is_named_and_the_others_are_read(tif):
    write(tif, RGB, photometric="rgb", tile=(64, 64), compression="zlib")
    with tifffile.TiffFile(tif) as opened:
        offset = opened.pages[0].dataoffsets[5]
    data = bytearray(tif.read_bytes())
    data[offset : offset + 200] = bytes(200)
    tif.write_bytes(bytes(data))
    with open_slide(tif) as slide:
        assert np.array_equal(slide.read_region(0, 0, 0, 64, 210), RGB[:64])
        with pytest.raises(UnreadableImageError, match="at tile 1, 1 of level 0"):
            slide.read_region(0, 70, 70, 5, 5)
        assert np.array_equal(slide.read_region(0, 64, 128, 64, 64), RGB[64:128, 128:192])


def test_a_codec_that_is_not_installed_is_no_damage(tif, monkeypatch):
    write(tif, RGB, photometric="rgb", tile=(64, 64), compression="zlib")

    def missing(self, row, column):
        raise ImportError("requires the 'x' codec")

    monkeypatch.setattr(tiff_pages.SegmentedPlane, "read", missing)
    with open_slide(tif) as slide, pytest.raises(UnsupportedImageError, match="requires the 'x'"):
        slide.read()


def test_one_huge_compressed_block_is_refused_with_a_cure(tif, monkeypatch):
    monkeypatch.setattr(tiff_pages, "_LARGEST_SEGMENT", 90_000)
    write(tif, RGB, photometric="rgb", compression="zlib", rowsperstrip=150)
    with pytest.raises(UnsupportedImageError, match="Save it as a tiled TIFF"):
        open_slide(tif)


# ------------------------------------------------------------------ laziness and threads


def count_reads(monkeypatch):
    """The sizes of what is read from now on."""
    reads = []
    original = open_files.PositionalFile.read

    def read(self, offset, count):
        reads.append(count)
        return original(self, offset, count)

    monkeypatch.setattr(open_files.PositionalFile, "read", read)
    return reads


def test_a_window_reads_its_tiles_only_and_once(tif, monkeypatch):
    write(tif, RGB, photometric="rgb", tile=(32, 32), compression="zlib")
    with open_slide(tif) as slide:
        reads = count_reads(monkeypatch)
        slide.read_region(0, 33, 33, 60, 10)
        assert len(reads) == 2
        slide.read_region(0, 40, 40, 10, 10)
        assert len(reads) == 2


def test_one_huge_uncompressed_strip_is_read_in_bands(tif, monkeypatch):
    monkeypatch.setattr(tiff_pages, "_BAND_BYTES", 210 * 3 * 10)
    write(tif, RGB, photometric="rgb", rowsperstrip=150)
    with open_slide(tif) as slide:
        reads = count_reads(monkeypatch)
        assert np.array_equal(slide.read_region(0, 55, 5, 10, 10), RGB[55:65, 5:15])
        assert reads == [6300, 6300]
        assert np.array_equal(slide.read(), RGB)


def test_long_uncompressed_rows_are_read_in_blocks(tif, monkeypatch):
    monkeypatch.setattr(tiff_pages, "_WIDEST_BAND", 100)
    monkeypatch.setattr(tiff_pages, "_BLOCK", (40, 50))
    write(tif, RGB, photometric="rgb", rowsperstrip=150)
    with open_slide(tif) as slide:
        reads = count_reads(monkeypatch)
        assert np.array_equal(slide.read_region(0, 45, 55, 10, 10), RGB[45:55, 55:65])
        assert sum(reads) == 40 * 50 * 3
        assert np.array_equal(slide.read(), RGB)


def test_opening_reads_no_pixels(tif, monkeypatch):
    write(tif, RGB, photometric="rgb", tile=(32, 32), compression="zlib")
    reads = count_reads(monkeypatch)
    open_slide(tif).close()
    assert sum(reads) < 1000


def test_a_closed_slide_says_so(tif):
    write(tif, RGB, photometric="rgb")
    slide = open_slide(tif)
    slide.close()
    slide.close()
    with pytest.raises(InvalidInputError, match="was closed"):
        slide.read()


def test_closing_waits_for_a_read_under_way(tif, monkeypatch):
    write(tif, RGB, photometric="rgb", tile=(32, 32), compression="zlib")
    slide = open_slide(tif)
    reading, closed, pixels = threading.Event(), threading.Event(), []
    pread = open_files.os.pread

    def slow(*arguments):
        reading.set()
        closed.wait(5)
        return pread(*arguments)

    monkeypatch.setattr(open_files.os, "pread", slow)
    thread = threading.Thread(target=lambda: pixels.append(slide.read_region(0, 0, 0, 9, 9)))
    thread.start()
    reading.wait(5)
    slide.close()
    closed.set()
    thread.join(5)
    assert np.array_equal(pixels[0], RGB[:9, :9])


def test_threads_read_the_same_pixels_as_one(tif):
    write(tif, RGB, photometric="rgb", tile=(16, 16), compression="zlib")
    windows = [(int(y), int(x)) for y, x in RNG.integers(0, (100, 160), (200, 2))]
    with open_slide(tif) as slide, ThreadPoolExecutor(8) as pool:
        read = pool.map(lambda w: slide.read_region(0, *w, 50, 50), windows)
        for (y, x), window in zip(windows, read, strict=True):
            assert np.array_equal(window, RGB[y : y + 50, x : x + 50])
