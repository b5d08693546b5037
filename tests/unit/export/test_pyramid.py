"""A pyramid is the same however it was written, block by block or at once, again and again."""

import numpy as np
import pytest
import zarr

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.export import pyramid
from napari_gland_mtl.export.downsampling import INSTANCES, MEAN, region_levels
from napari_gland_mtl.export.pyramid import PyramidWriter
from napari_gland_mtl.regions import GLAND_REGIONS

REGIONS = region_levels(GLAND_REGIONS)
HEIGHT, WIDTH = 78, 86


@pytest.fixture
def small(monkeypatch):
    """Chunks of 16 px and three levels."""
    monkeypatch.setattr(pyramid, "CHUNK", 16)
    monkeypatch.setattr(pyramid, "_SMALLEST_LEVEL", 25)


@pytest.fixture
def labels():
    generator = np.random.default_rng(2)
    coarse = generator.integers(0, 4, (HEIGHT // 2, WIDTH // 2), dtype=np.uint8)
    return np.kron(coarse, np.ones((2, 2), np.uint8))


def written(folder, image, method=REGIONS, block=64, order=1, **options):
    group = zarr.create_group(folder, zarr_format=3)
    writer = PyramidWriter(group, *image.shape[:2], image.dtype, method, block=block, **options)
    corners = [(y, x) for y in range(0, HEIGHT, block) for x in range(0, WIDTH, block)]
    for y, x in corners[::order]:
        writer.write(y, x, image[y : y + block, x : x + block])
    return writer


def contents(writer):
    return [np.asarray(array) for array in writer.arrays]


def files_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("c/**/*") if path.is_file()}


@pytest.mark.parametrize("method", [REGIONS, INSTANCES])
def test_blocks_in_any_order_give_what_one_write_gives(tmp_path, small, labels, method):
    whole = written(tmp_path / "whole", labels, method, block=512)
    assert [array.shape for array in whole.arrays] == [(78, 86), (39, 43), (20, 22)]
    for block, order in ((64, 1), (64, -1), (16, 1), (16, -1)):
        parts = written(tmp_path / f"{block}{order}", labels, method, block, order)
        for part, expected in zip(contents(parts), contents(whole), strict=True):
            assert np.array_equal(part, expected)


def test_an_image_is_the_same_in_blocks_and_at_once(tmp_path, small):
    pixels = np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    few = written(tmp_path / "few", pixels, MEAN, block=512, channels=3)
    many = written(tmp_path / "many", pixels, MEAN, channels=3)
    assert [array.shape for array in many.arrays] == [(3, 78, 86), (3, 39, 43), (3, 20, 22)]
    for one, other in zip(contents(few), contents(many), strict=True):
        assert np.array_equal(one, other)


def test_a_block_that_is_written_again_updates_what_lies_above_it(tmp_path, small, labels):
    writer = written(tmp_path / "a", labels)
    changed = labels.copy()
    changed[:64, :64] = np.roll(labels[:64, :64], 7, axis=1)
    writer.write(0, 0, changed[:64, :64])
    expected = written(tmp_path / "b", changed)
    for level, other in zip(contents(writer), contents(expected), strict=True):
        assert np.array_equal(level, other)


def test_a_block_fills_whole_shards_and_touches_no_other(tmp_path, small, labels):
    writer = written(tmp_path / "a", labels)
    assert [array.shards for array in writer.arrays] == [(64, 64), (32, 32), None]
    assert [array.chunks for array in writer.arrays] == [(16, 16), (16, 16), (16, 16)]
    before = files_of(tmp_path / "a")
    writer.write(0, 0, labels[:64, :64])
    after = files_of(tmp_path / "a")
    touched = [path for path, time in after.items() if before[path] != time]
    assert len(touched) == 1 + 1 + 1


def test_a_block_that_fills_part_of_a_chunk_is_on_disk_at_once(tmp_path, small, labels):
    """What is kept of a chunk to save reading it is never ahead of the disk, nor behind."""
    writer = written(tmp_path / "a", labels, block=16)
    changed = labels.copy()
    changed[16:32, 16:32] = 3
    writer.write(16, 16, changed[16:32, 16:32])
    expected = contents(written(tmp_path / "b", changed))
    for level, other in zip(contents(writer), expected, strict=True):
        assert np.array_equal(level, other)


def test_after_a_failed_write_the_chunk_is_read_again(tmp_path, small, labels, monkeypatch):
    import zarr.storage._local as local

    writer = written(tmp_path / "a", labels, block=16)
    before = contents(writer)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(local, "_put", full)
        with pytest.raises(OSError, match="No space"):
            writer._buffers[2].write(0, 0, np.full((4, 4), 3, np.uint8))
    writer._buffers[2].write(4, 4, before[2][4:8, 4:8])
    assert np.array_equal(contents(writer)[2], before[2])


def test_chunks_that_were_changed_by_other_means_are_read_again(tmp_path, small, labels):
    writer = written(tmp_path / "a", labels, block=16)
    writer.arrays[2][...] = 0
    writer.clear_buffers()
    writer.write(0, 0, labels[:16, :16])
    assert not np.asarray(writer.arrays[2])[4:].any()


def test_pyramids_of_slides_have_few_files(tmp_path):
    """15,600 x 12,500 px: a slide of 100,000 x 80,000 px at 0.25 um seen at 1.6 um."""
    group = zarr.create_group(tmp_path / "a", zarr_format=3)
    writer = PyramidWriter(group, 15_600, 12_500, "int32", INSTANCES, block=1024, chunk=1024)
    assert [array.chunks[0] for array in writer.arrays] == [1024, 512, 512, 512, 512, 488]
    assert [array.shards for array in writer.arrays] == [None] * 6
    files = sum(
        int(np.prod([-(-side // part) for side, part in zip(shape, stored, strict=True)]))
        for shape, stored in ((a.shape, a.shards or a.chunks) for a in writer.arrays)
    )
    assert files < 600
    assert not list((tmp_path / "a").rglob("c"))  # and none where nothing was written


@pytest.mark.parametrize(
    ("y", "x", "height", "width"),
    [(2, 0, 64, 64), (0, 0, 62, 64), (64, 64, 64, 22), (-4, 0, 64, 64), (0, 0, 0, 64)],
)
def test_a_block_that_lies_across_the_lattice_is_refused(
    tmp_path, small, labels, y, x, height, width
):
    writer = written(tmp_path / "a", labels)
    with pytest.raises(InvalidInputError, match="multiples of 4 px"):
        writer.write(y, x, np.ones((height, width), np.uint8))
    writer.write(64, 64, labels[64:, 64:])


def test_what_is_opened_again_can_be_written_further(tmp_path, small, labels):
    expected = written(tmp_path / "a", labels)
    group = zarr.create_group(tmp_path / "b", zarr_format=3)
    first = PyramidWriter(group, HEIGHT, WIDTH, "uint8", REGIONS, block=64)
    first.write(0, 0, labels[:64, :64])
    again = zarr.open_group(tmp_path / "b", mode="r+")
    second = PyramidWriter(again, HEIGHT, WIDTH, "uint8", REGIONS, block=64, create=False)
    second.write(0, 64, labels[:64, 64:])
    second.write(64, 0, labels[64:])
    for level, other in zip(contents(second), contents(expected), strict=True):
        assert np.array_equal(level, other)
    with pytest.raises(KeyError):
        PyramidWriter(zarr.group(), HEIGHT, WIDTH, "uint8", REGIONS, create=False)
