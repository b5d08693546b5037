"""Claims about reading ahead: order, bounds, failures, slow drives, and no thread left behind."""

from __future__ import annotations

import itertools
import threading
import time

import numpy as np
import pytest

from napari_gland_mtl.errors import InvalidInputError, UnreadableImageError
from napari_gland_mtl.inference.reading import FailedTile, ReadAhead, ReadTile, Waiting
from napari_gland_mtl.inference.tiling import Tile, Window

TILES = [Tile(Window(y, 0, y + 16, 16), Window(y, 0, y + 16, 16)) for y in range(0, 320, 16)]


class Source:
    """A column whose pixels say which row they are in; reading does what a test wants."""

    shape = (320, 16)

    def __init__(self, before=lambda window: None):
        self.before, self.begun = before, []

    def read(self, window):
        self.begun.append(window.y0)
        self.before(window)
        return np.full((*window.shape, 3), window.y0 // 16, dtype=np.uint8)


def reader_threads():
    return [thread for thread in threading.enumerate() if "gland-mtl reader" in thread.name]


def wait_until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def test_windows_come_in_the_order_of_the_tiles_however_long_each_takes():
    delays = np.random.default_rng(0).uniform(0, 0.01, len(TILES))
    source = Source(lambda window: time.sleep(delays[window.y0 // 16]))
    with ReadAhead(source, TILES, readers=4, ahead=6) as reading:
        results = [item for item in reading if item is not None]
    assert [item.tile for item in results] == TILES
    assert [int(item.pixels[0, 0, 0]) for item in results] == list(range(len(TILES)))
    assert sorted(source.begun) == [tile.window.y0 for tile in TILES]


def test_several_windows_are_read_at_once():
    meeting = threading.Barrier(3)  # nobody passes it alone
    with ReadAhead(Source(lambda _: meeting.wait(5)), TILES[:9], readers=3) as reading:
        assert sum(isinstance(item, ReadTile) for item in reading) == 9


def test_no_more_is_read_ahead_than_was_said():
    source = Source()
    with ReadAhead(source, TILES, readers=2, ahead=5) as reading:
        items = (item for item in reading if item is not None)
        for taken in range(1, 8):
            next(items)
            assert wait_until(lambda count=taken + 5: len(source.begun) == count)
            time.sleep(0.02)
            assert len(source.begun) == taken + 5


def test_a_window_that_cannot_be_read_takes_its_place_and_the_rest_goes_on():
    def fail(window):
        if window.y0 == 48:
            raise UnreadableImageError("slide.svs is damaged")
        if window.y0 == 96:
            raise TimeoutError  # of a drive: it has no words of its own

    with ReadAhead(Source(fail), TILES, readers=3) as reading:
        results = [item for item in reading if item is not None]
    assert [item.tile for item in results] == TILES
    failed = [item for item in results if isinstance(item, FailedTile)]
    assert [item.tile.core.y0 for item in failed] == [48, 96]
    assert [item.error for item in failed] == ["slide.svs is damaged", "TimeoutError"]


def test_a_mistake_in_the_program_is_no_failed_tile():
    def fail(window):
        if window.y0 == 48:
            raise ZeroDivisionError

    with ReadAhead(Source(fail), TILES) as reading:
        items = (item for item in reading if item is not None)
        assert [next(items).tile for _ in range(3)] == TILES[:3]
        with pytest.raises(ZeroDivisionError):
            next(items)
    assert wait_until(lambda: not reader_threads())


def test_a_stalled_drive_is_spoken_of_again_and_again_and_then_gone_on_with():
    drive = threading.Event()
    items = []
    with ReadAhead(Source(lambda _: drive.wait(20)), TILES, stall_s=0.25) as reading:
        for item in reading:
            items.append(item)
            if sum(isinstance(item, Waiting) for item in items) == 2:
                drive.set()
    first, second = (item.seconds for item in items if isinstance(item, Waiting))
    assert 0.25 <= first < second
    assert [item.tile for item in items if isinstance(item, ReadTile)] == TILES


def test_a_quick_drive_is_not_spoken_of():
    """It is the time since the last window that counts, not that since the first."""
    began = time.monotonic()
    with ReadAhead(Source(lambda _: time.sleep(0.04)), TILES, readers=1, stall_s=0.7) as reading:
        assert not any(isinstance(item, Waiting) for item in reading)
    assert time.monotonic() - began > 0.7


def test_stopping_is_heard_within_a_second_although_nothing_comes():
    drive, stop = threading.Event(), threading.Event()
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    with ReadAhead(Source(lambda _: drive.wait(20)), TILES, stopped=stop.is_set) as reading:
        assert [item for item in reading if item is not None] == []
    assert stop.is_set()
    assert time.monotonic() - began < 1.1
    drive.set()
    assert wait_until(lambda: not reader_threads())


def test_windows_that_are_there_do_not_come_after_stop():
    stopped = []
    with ReadAhead(Source(), TILES, stopped=lambda: bool(stopped)) as reading:
        items = (item for item in reading if item is not None)
        next(items)
        stopped.append(True)
        assert list(items) == []


def test_leaving_early_leaves_no_thread_and_reads_no_further():
    source = Source()
    with ReadAhead(source, TILES, readers=4) as reading:
        for _ in itertools.islice((item for item in reading if item is not None), 2):
            pass
        assert reader_threads()
    assert not reader_threads()
    begun = len(source.begun)
    time.sleep(0.05)
    assert len(source.begun) == begun < len(TILES)


def test_the_mirror_image_lies_past_the_border():
    image = np.arange(40 * 40 * 3, dtype=np.uint8).reshape(40, 40, 3)

    class Field:
        shape = (40, 40)

        def read(self, window):
            return image[window.slices]

    tile = Tile(Window(0, 0, 48, 48), Window(0, 0, 48, 48))
    with ReadAhead(Field(), [tile]) as reading:
        (result,) = (item for item in reading if item is not None)
    np.testing.assert_array_equal(result.pixels[:40, :40], image)
    np.testing.assert_array_equal(result.pixels[40:, :40], image[:31:-1])
    np.testing.assert_array_equal(result.pixels[:40, 40:], image[:, :31:-1])


def test_no_tiles_are_no_error_and_no_thread():
    with ReadAhead(Source(), []) as reading:
        assert list(reading) == []
        assert not reader_threads()


@pytest.mark.parametrize("wrong", [{"readers": 0}, {"stall_s": 0.0}, {"stall_s": float("nan")}])
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(InvalidInputError, match="reader"):
        ReadAhead(Source(), TILES, **wrong)
