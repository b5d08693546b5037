"""Claims about what must not be lost: a drive that goes away, a job nobody closes, two at once."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys

import numpy as np
import pytest

from napari_gland_mtl.errors import InvalidInputError, UnreadableImageError
from napari_gland_mtl.export.slide_store import SlideStore
from napari_gland_mtl.inference.scaled_slide import ScaledSlide
from napari_gland_mtl.jobs import slide_work
from napari_gland_mtl.jobs.events import SlideDone, TileDone
from napari_gland_mtl.jobs.segment_slide import segment_slide as job
from napari_gland_mtl.slides.areas import Areas


def gone_after(reads, monkeypatch):
    """Let the slide's drive disappear after so many windows."""
    read, count = ScaledSlide.read, [0]

    def reading(self, window):
        count[0] += 1
        if count[0] > reads:
            raise OSError(errno.EIO, "Input/output error")
        return read(self, window)

    monkeypatch.setattr(ScaledSlide, "read", reading)


def test_tiles_that_a_lost_drive_cost_are_tried_again(
    drawn_slide, finished_slide, run_slide, store_differences, monkeypatch, tmp_path
):
    output = tmp_path / "drawn.ome.zarr"
    with drawn_slide.open() as slide, monkeypatch.context() as patch:
        gone_after(2, patch)
        done = run_slide(slide, output)[-1]
    assert done.summary["tiles_failed"] == 2
    with drawn_slide.open() as slide:
        done = run_slide(slide, output, resume=True)[-1]
    assert done.complete
    assert done.summary["tiles_failed"] == 0
    assert store_differences(SlideStore.open(output), finished_slide) == []


def test_a_drive_that_stays_away_ends_the_run_and_keeps_what_is_done(
    drawn_slide, finished_slide, run_slide, store_differences, monkeypatch, tmp_path
):
    output = tmp_path / "drawn.ome.zarr"
    with drawn_slide.open() as slide, monkeypatch.context() as patch:
        gone_after(2, patch)
        patch.setattr(slide_work, "_UNREAD_IN_A_ROW", 2)
        with pytest.raises(UnreadableImageError, match=r"in a row could not be read.*resume"):
            run_slide(slide, output)
    assert not SlideStore.open(output).complete
    with drawn_slide.open() as slide:
        assert run_slide(slide, output, resume=True)[-1].complete
    assert store_differences(SlideStore.open(output), finished_slide) == []


def test_a_result_that_was_killed_while_it_cleaned_up_opens(finished_slide, tmp_path):
    output = tmp_path / "drawn.ome.zarr"
    shutil.copytree(finished_slide.path, output)
    (output / ".removed-work-0123abcd" / "probabilities").mkdir(parents=True)
    store = SlideStore.open(output, writable=True)
    assert store.complete
    assert not store.has_work
    assert not list(output.glob(".removed-work-*"))


def test_two_runs_do_not_label_one_slide_at_once(drawn_slide, run_slide, tmp_path):
    output = tmp_path / "drawn.ome.zarr"
    area = Areas.from_rectangle(60, 60, 200, 200)
    with drawn_slide.open() as slide:
        run_slide(slide, output, areas=area, keep_probabilities=True)
    store = SlideStore.open(output, writable=True)
    other = SlideStore.open(output, writable=True)
    with (
        store.labelling(),
        pytest.raises(InvalidInputError, match="Another run"),
        other.labelling(),
    ):
        pass
    with other.labelling():
        pass


def test_kept_probabilities_survive_other_settings(drawn_slide, run_slide, tmp_path):
    output = tmp_path / "drawn.ome.zarr"
    area = Areas.from_rectangle(60, 60, 200, 200)
    decoding = {"min_gland_area_um2": 1e6}
    with drawn_slide.open() as slide:
        found = run_slide(slide, output, areas=area, keep_probabilities=True)[-1]
        none = run_slide(slide, output, areas=area, resume=True, decoding=decoding)[-1]
        again = run_slide(slide, output, areas=area, resume=True)[-1]
    assert found.summary["glands"] == again.summary["glands"] > none.summary["glands"] == 0


def test_the_heat_map_ends_where_the_area_does(drawn_slide, run_slide, tmp_path):
    output = tmp_path / "drawn.ome.zarr"
    with drawn_slide.open() as slide:
        done = run_slide(slide, output, areas=Areas.from_rectangle(60, 60, 200, 200))[-1]
    assert isinstance(done, SlideDone)
    (heat,) = SlideStore.open(output).maps().values()
    known = np.isfinite(heat[0][...])
    assert 0 < known.sum() <= 100  # 140 px of the slide are fewer than ten cells


LEFT = """
import sys
from napari_gland_mtl.checkpoint import load_model
from napari_gland_mtl.jobs.events import TileDone
from napari_gland_mtl.jobs.segment_config import SlideConfig
from napari_gland_mtl.jobs.segment_slide import segment_slide
from napari_gland_mtl.slides import open_slide

slide, output, model = sys.argv[1:]
config = SlideConfig(device="cpu", flips=False, tile_size=512, engine="torch")
events = segment_slide(open_slide(slide), output, config, model=load_model(model))
for event in events:
    if isinstance(event, TileDone):
        break
"""


def test_a_script_that_leaves_the_job_ends(drawn_slide, colour_model_path, tmp_path):
    output = tmp_path / "drawn.ome.zarr"
    command = [sys.executable, "-c", LEFT, drawn_slide.path, output, colour_model_path]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert SlideStore.open(output).done_tiles()


def test_closing_the_job_leaves_no_thread(drawn_slide, colour_model, slide_config, tmp_path):
    import threading

    before = threading.active_count()
    with drawn_slide.open() as slide:
        events = job(slide, tmp_path / "x.ome.zarr", slide_config(), model=colour_model)
        next(event for event in events if isinstance(event, TileDone))
        events.close()
    assert threading.active_count() == before
