"""Claims about many slides: each has its turn, and table and page always tell the truth."""

from __future__ import annotations

import csv
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from napari_gland_mtl.errors import (
    InvalidInputError,
    OutputExistsError,
    OutputNotWritableError,
)
from napari_gland_mtl.export.report import write_report
from napari_gland_mtl.export.slide_store import SlideStore
from napari_gland_mtl.inference.predictor import Predictor
from napari_gland_mtl.jobs.batch_folder import BatchFolder
from napari_gland_mtl.jobs.direct import segment_slides
from napari_gland_mtl.jobs.events import (
    BatchDone,
    SlideDone,
    SlideFailed,
    SlideStarted,
    Started,
    TileDone,
)
from napari_gland_mtl.jobs.last_event import last_of
from napari_gland_mtl.jobs.segment_batch import segment_batch
from napari_gland_mtl.jobs.stop import StopToken
from napari_gland_mtl.slides.areas import Areas

SMALL = Areas.from_rectangle(60, 60, 200, 200)
"""One gland, one tile: quick."""


@pytest.fixture
def slides(drawn_slide, tmp_path):
    """Two sound slides, one whose pixel size is unknown, and one that is no image."""
    for name in ("b.tif", "a.tif"):
        shutil.copy(drawn_slide.path, tmp_path / name)
    Image.fromarray(drawn_slide.image[:600, :600]).save(tmp_path / "unknown.png")
    (tmp_path / "text.tif").write_text("no image")
    return [tmp_path / name for name in ("unknown.png", "b.tif", "text.tif", "a.tif")]


@pytest.fixture
def run(colour_model, slide_config):
    """Run a batch; its events."""

    def batch(slides, folder, stop=None, areas=SMALL, **options):
        config = slide_config(**options.pop("settings", {}))
        events = segment_batch(
            slides, folder, config, stop, areas=areas, model=colour_model, **options
        )
        return list(events)

    return batch


def rows_of(folder):
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def test_slides_that_fail_are_said_first_and_the_others_have_their_turn(slides, run, tmp_path):
    out = tmp_path / "out"
    events = run(slides, out)
    failed = of(SlideFailed, events)
    assert [event.path.name for event in failed] == ["unknown.png", "text.tif"]
    assert "--mpp" in failed[0].reason
    assert [(e.index, e.total, e.name) for e in of(SlideStarted, events)] == [
        (2, 4, "b"),
        (4, 4, "a"),
    ]
    assert events.index(failed[1]) < events.index(of(SlideStarted, events)[0])
    assert [event.path.name for event in of(SlideDone, events)] == ["b.ome.zarr", "a.ome.zarr"]
    last = events[-1]
    assert last == BatchDone(out, out / "summary.csv", out / "report.html", 2, 2, 0)


def test_the_table_has_a_row_for_every_slide_in_their_order(slides, run, tmp_path):
    out = tmp_path / "out"
    run(slides, out)
    rows = rows_of(out)
    assert list(rows) == ["unknown", "b", "text", "a"]
    assert [row["status"] for row in rows.values()] == ["failed", "complete", "failed", "complete"]
    found, row = SlideStore.open(out / "b.ome.zarr"), rows["b"]
    summary = found.summary
    assert row["glands"] == row["glands_malignant"] == "1"
    assert float(row["probability_malignant"]) == pytest.approx(
        summary["class_probabilities"]["malignant"], abs=1e-6
    )
    assert float(row["analysed_area_um2"]) == pytest.approx(summary["analysed_area_um2"])
    assert (row["violations"], row["tiles"], row["tiles_failed"]) == ("0", "1", "0")
    assert row["model"] == "colours"
    assert float(row["seconds"]) > 0
    assert row["slide"] == str(slides[1])
    assert "pixel size" in rows["unknown"]["error"]


def test_a_slide_without_glands_has_no_class_in_the_table(slides, run, tmp_path):
    """The test above has a number there, with one gland."""
    run(slides[1:2], tmp_path / "out", areas=Areas.from_rectangle(290, 100, 360, 170))
    row = rows_of(tmp_path / "out")["b"]
    assert (row["status"], row["glands"]) == ("complete", "0")
    assert row["probability_malignant"] == row["probability_benign"] == ""


def test_every_gland_of_a_slide_is_in_its_own_table(slides, run, tmp_path):
    run(slides[1:2], tmp_path / "out", areas=None)
    with (tmp_path / "out" / "b.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = SlideStore.open(tmp_path / "out" / "b.ome.zarr").read_table()
    assert [int(row["label"]) for row in rows] == list(table["label"])
    assert len(rows) > 10


def test_there_is_a_picture_of_every_slide_with_its_glands_in_it(slides, run, tmp_path):
    run(slides, tmp_path / "out")
    pictures = tmp_path / "out" / "thumbnails"
    assert sorted(path.name for path in pictures.iterdir()) == ["a.jpg", "b.jpg"]
    with Image.open(pictures / "a.jpg") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    scale = pixels.shape[0] / 900
    gland = pixels[round(120 * scale) + 4, round(120 * scale) + 4]
    stroma = pixels[round(120 * scale), round(200 * scale)]
    assert np.abs(gland - stroma).sum() > 100
    page = (tmp_path / "out" / "report.html").read_text()
    assert "thumbnails/a.jpg" in page
    assert page.count("<article") == 4


def test_names_are_only_text_on_the_page(drawn_slide, run, tmp_path):
    nasty = tmp_path / "<b>&#.tif"
    shutil.copy(drawn_slide.path, nasty)
    run([nasty], tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;#" in page
    assert "%3Cb%3E%26%23.ome.zarr" in page


# ------------------------------------------------------------------ again


def test_complete_slides_are_skipped_and_still_listed(slides, run, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(slides[3:], out)
    seconds = rows_of(out)["a"]["seconds"]
    table = (out / "a.csv").stat().st_mtime_ns
    ran = []
    stream = Predictor.stream
    monkeypatch.setattr(
        Predictor, "stream", lambda self, *a, **k: ran.append(1) or stream(self, *a, **k)
    )
    events = run(slides[1::2], out, resume=True)
    assert len(ran) == 1
    assert (events[-1].done, events[-1].skipped) == (1, 1)
    assert len(of(SlideDone, events)) == 2
    rows = rows_of(out)
    assert list(rows) == ["b", "a"]
    assert rows["a"]["seconds"] == seconds
    assert (out / "a.csv").stat().st_mtime_ns == table


def test_what_a_killed_run_did_not_write_any_more_is_written(slides, run, tmp_path):
    out = tmp_path / "out"
    run(slides[3:], out)
    for path in (out / "a.csv", out / "thumbnails" / "a.jpg", out / "summary.csv"):
        path.unlink()
    run(slides[3:], out, resume=True)
    assert (out / "a.csv").is_file()
    assert (out / "thumbnails" / "a.jpg").is_file()
    assert rows_of(out)["a"]["glands"] == "1"


def test_a_stopped_batch_says_what_is_missing_and_goes_on(
    slides, run, colour_model, slide_config, tmp_path
):
    out, stop, events = tmp_path / "out", StopToken(), []
    both = slides[1::2]
    for event in segment_batch(both, out, slide_config(), stop, model=colour_model):
        events.append(event)
        if isinstance(event, TileDone):
            stop.stop()
    assert (events[-1].done, events[-1].failed) == (0, 0)
    assert [event.name for event in of(SlideStarted, events)] == ["b"]
    assert not of(SlideDone, events)[0].complete
    assert rows_of(out)["b"]["status"] == "incomplete"
    assert not (out / "b.csv").exists()
    events = run(both, out, resume=True, areas=None)
    assert events[-1].done == 2
    assert {row["status"] for row in rows_of(out).values()} == {"complete"}


def test_rows_of_earlier_batches_stay_as_long_as_their_results_do(slides, run, tmp_path):
    out = tmp_path / "out"
    run(slides[3:], out)
    run(slides[1:2], out)
    assert list(rows_of(out)) == ["a", "b"]
    shutil.rmtree(out / "a.ome.zarr")
    run(slides[1:2], out, resume=True)
    assert list(rows_of(out)) == ["b"]


def test_a_refusal_does_not_wipe_out_what_is_known(slides, run, tmp_path):
    out = tmp_path / "out"
    run(slides[3:], out)
    before = rows_of(out)["a"]
    events = run(slides[3:], out)
    assert "--resume" in of(SlideFailed, events)[0].reason
    assert events[-1].failed == 1
    events = run(slides[3:], out, resume=True, settings={"flips": True})
    assert "flips" in of(SlideFailed, events)[0].reason
    assert rows_of(out)["a"] == before


@pytest.mark.parametrize(
    "again",
    [
        {"overwrite": True},
        {"resume": True, "settings": {"decoding": {"min_gland_area_um2": 2000}}},
    ],
    ids=["begun afresh", "labelled anew"],
)
def test_no_table_of_an_earlier_result_stands_beside_a_new_one(
    again, slides, run, colour_model, slide_config, tmp_path
):
    out = tmp_path / "out"
    run(slides[3:], out, settings={"keep_probabilities": True})
    config = slide_config(keep_probabilities=True, **again.pop("settings", {}))
    events = segment_batch(slides[3:], out, config, areas=SMALL, model=colour_model, **again)
    assert (out / "a.csv").exists()
    next(event for event in events if isinstance(event, Started))
    assert not (out / "a.csv").exists()
    assert not (out / "thumbnails" / "a.jpg").exists()
    events.close()


def test_two_batches_into_one_folder_keep_each_others_rows(
    slides, run, colour_model, slide_config, tmp_path
):
    out = tmp_path / "out"
    first = segment_batch(slides[1:2], out, slide_config(), areas=SMALL, model=colour_model)
    next(event for event in first if isinstance(event, SlideStarted))
    run(slides[3:], out)
    list(first)
    assert sorted(rows_of(out)) == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("summary.csv", b"slide;mine\n1;2\n"),
        ("summary.csv", b"name,status,error\na,compl"),
        ("summary.csv", b"\xff\xfe"),
        ("summary.csv", b""),
        ("report.html", b"<p>My report of the year.</p>"),
    ],
)
def test_a_table_or_page_of_something_else_is_not_replaced(name, content, slides, run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_bytes(content)
    for resume in (False, True):
        with pytest.raises(OutputExistsError, match=name):
            run(slides[3:], out, resume=resume)
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_bytes() == content
    run(slides[3:], out, overwrite=True)
    assert rows_of(out)["a"]["status"] == "complete"


def test_a_slide_whose_drive_went_away_says_how_to_go_on(slides, tmp_path):
    from napari_gland_mtl.jobs.batch_folder import _row

    (item,) = BatchFolder(tmp_path, slides[3:]).items
    summary = {"tiles": 9, "tiles_done": 7, "tiles_failed": 2, "statement": "12 glands."}
    store = SimpleNamespace(
        complete=False, summary=summary, record={}, layout=SimpleNamespace(classes=())
    )
    row = _row(item, store, 1.0)
    assert row["status"] == "incomplete"
    assert row["error"] == "2 tiles could not be read; --resume tries them again."
    write_report(tmp_path / "report.html", [row], [], "Glands")
    page = (tmp_path / "report.html").read_text()
    assert "12 glands." in page
    assert "--resume" in page
    assert "Stopped" not in page
    store.summary = {**summary, "tiles_failed": 0}
    assert _row(item, store, 1.0)["error"] == ""


def test_a_batch_that_is_left_closes_what_is_under_way(
    slides, colour_model, slide_config, tmp_path, monkeypatch
):
    from napari_gland_mtl.jobs import segment_batch as module

    jobs, job = [], module.segment_slide
    monkeypatch.setattr(module, "segment_slide", lambda *a: jobs.append(job(*a)) or jobs[-1])
    events = segment_batch(slides[3:], tmp_path / "out", slide_config(), model=colour_model)
    next(event for event in events if isinstance(event, TileDone))
    assert jobs[0].gi_frame is not None
    events.close()
    assert jobs[0].gi_frame is None


def test_an_interrupted_job_is_closed():
    class Interrupted:
        closed = False

        def __iter__(self):
            return self

        def __next__(self):
            raise KeyboardInterrupt

        def close(self):
            self.closed = True

    events = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        last_of(events, SlideDone)
    assert events.closed


# ------------------------------------------------------------------ inputs


def test_two_slides_of_one_name_do_not_overwrite_each_other(slides, drawn_slide, run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(drawn_slide.path, other / "a.tif")
    events = run([slides[3], other / "a.tif"], tmp_path / "out")
    (failed,) = of(SlideFailed, events)
    assert failed.path == other / "a.tif"
    assert "different folders" in failed.reason
    assert rows_of(tmp_path / "out")["a"]["status"] == "complete"


def test_names_that_differ_in_case_alone_are_one_name(slides, drawn_slide, run, tmp_path):
    shutil.copy(drawn_slide.path, tmp_path / "A.tif")
    events = run([slides[3], tmp_path / "A.tif"], tmp_path / "out")
    (failed,) = of(SlideFailed, events)
    assert "different folders" in failed.reason
    assert not (tmp_path / "out" / "A.ome.zarr").exists() or events[-1].done == 1


def test_a_result_is_no_slide(slides, run, tmp_path):
    run(slides[3:], tmp_path / "out")
    (failed,) = of(SlideFailed, run([tmp_path / "out" / "a.ome.zarr"], tmp_path / "out2"))
    assert "the slide itself" in failed.reason
    (failed,) = of(SlideFailed, run([tmp_path / "out" / "a.ome.zarr"], tmp_path / "out"))
    assert SlideStore.open(tmp_path / "out" / "a.ome.zarr").complete


def test_each_slide_may_have_areas_of_its_own(slides, run, tmp_path):
    b, a = slides[1], slides[3]
    both = Areas.from_rectangle(60, 60, 200, 330)
    areas = {a: SMALL, b: Areas.from_rectangle(200, 200, 300, 460)}
    assert both.bounds != SMALL.bounds
    run([b, a], tmp_path / "out", areas=areas)
    rows = rows_of(tmp_path / "out")
    assert (rows["a"]["glands"], rows["b"]["glands"]) == ("1", "2")


def test_even_a_fault_of_the_program_ends_one_slide_only(slides, run, tmp_path, monkeypatch):
    from napari_gland_mtl.jobs import segment_slide as module

    planned = module.plan_slide

    def broken(slide, *arguments):
        if slide.name == "b":
            raise ZeroDivisionError("a fault")
        return planned(slide, *arguments)

    monkeypatch.setattr(module, "plan_slide", broken)
    events = run(slides[1::2], tmp_path / "out")
    (failed,) = of(SlideFailed, events)
    assert failed.reason == "unexpected ZeroDivisionError: a fault"
    assert (events[-1].done, events[-1].failed) == (1, 1)


def test_nothing_to_do_is_an_error(run, tmp_path):
    with pytest.raises(InvalidInputError, match="no slide"):
        run([], tmp_path / "out")


def test_the_plain_function_gives_what_was_found_by_name(slides, colour_model_path, tmp_path):
    found = segment_slides(
        slides[2:],
        tmp_path / "out",
        model=colour_model_path,
        areas=SMALL,
        device="cpu",
        flips=False,
        tile_size=512,
    )
    assert found["a"]["glands"] == 1
    assert "no image" in found["text"]["error"]


def test_a_folder_that_cannot_be_made_is_said_before_the_work(slides, run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritableError, match="cannot be made"):
        run(slides, tmp_path / "file" / "out")
