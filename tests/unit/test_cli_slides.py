"""Claims about slides on the command line: which way an image goes, parts, resuming, info."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from rich.progress import Progress
from typer.testing import CliRunner

from napari_gland_mtl.cli import app
from napari_gland_mtl.cli.inputs import join_regions
from napari_gland_mtl.cli.segment_slides import _Drawn, slide_line
from napari_gland_mtl.export.ome_zarr import is_segmentation, read_segmentation
from napari_gland_mtl.export.slide_store import SlideStore, is_slide_store
from napari_gland_mtl.jobs.events import BatchDone, SlideDone

MPP = 0.5


@pytest.fixture
def cli(colour_model_path, monkeypatch):
    """Runs a command; the model named "colours" is installed."""
    monkeypatch.setenv("NAPARI_GLAND_MTL_MODELS", str(colour_model_path.parent))
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def tiffs(four_glands, tmp_path):
    """Two images of 320 x 360 px that know their pixel size."""
    folder = tmp_path / "in"
    folder.mkdir()
    paths = [folder / "first.tif", folder / "second.tif"]
    resolution = (1e4 / MPP, 1e4 / MPP)
    tifffile.imwrite(paths[0], four_glands[0], resolution=resolution, resolutionunit="CENTIMETER")
    shutil.copy(paths[0], paths[1])
    return paths


def segment(cli, *arguments):
    """These images are tissue to their edges: there is no glass to tell it from."""
    quick = ("--model", "colours", "--device", "cpu", "--no-flips")
    return cli("segment", *arguments, *quick)


def as_slides(cli, *arguments):
    return segment(cli, *arguments, "--slide", "--no-tissue")


def refused(result, *expected):
    """The result is exit code 2 and one line on stderr that says all that is expected."""
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    for text in expected:
        assert text in line
    return True


# ------------------------------------------------------------------ which way


@pytest.mark.parametrize(("limit", "slide"), [(320 * 360, False), (320 * 360 - 1, True)])
def test_the_size_tells_a_slide_from_a_field(limit, slide, cli, tiffs, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_gland_mtl.jobs.segment_config.FIELD_LIMIT_PX", limit)
    arguments = ["--no-tissue"] if slide else []
    result = segment(cli, tiffs[0], "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 0, result.output
    assert is_slide_store(tmp_path / "out" / "first.ome.zarr") == slide
    assert is_segmentation(tmp_path / "out" / "first.ome.zarr") != slide
    assert (tmp_path / "out" / "summary.csv").exists() == slide


def test_fields_and_slides_come_by_one_command(cli, tiffs, four_glands, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_gland_mtl.jobs.segment_config.FIELD_LIMIT_PX", 300 * 300)
    with tifffile.TiffFile(tiffs[0]) as file:
        part = file.asarray()[:250, :250]
    tifffile.imwrite(tiffs[0], part, resolution=(1e4 / MPP, 1e4 / MPP), resolutionunit="CENTIMETER")
    result = segment(cli, tmp_path / "in", "-o", tmp_path / "out", "--no-tissue")
    assert result.exit_code == 0, result.output
    assert is_segmentation(tmp_path / "out" / "first.ome.zarr")
    assert is_slide_store(tmp_path / "out" / "second.ome.zarr")


def write_svs(path, image):
    words = f"Aperio Image Library v12\r\n|AppMag = 20|MPP = {MPP}"
    options = {"photometric": "rgb", "metadata": None, "tile": (64, 64)}
    tifffile.imwrite(path, image, description=words, **options)
    return path


def test_a_small_slide_that_is_done_as_a_field_is_said_once(cli, tiffs, four_glands, tmp_path):
    small = write_svs(tmp_path / "small.svs", four_glands[0])
    alone = segment(cli, small, "-o", tmp_path / "alone")
    assert alone.exit_code == 0, alone.output
    assert alone.stderr.splitlines() == [
        "note: small.svs: done as a field of view (0.1 megapixels); --slide treats it as a slide."
    ]
    (line,) = segment(cli, *tiffs, small, "-o", tmp_path / "all").stderr.splitlines()
    assert line.startswith("note: all images are done as fields of view (up to 0.1 megapixels)")
    assert "summary.csv" in line
    assert "--slide" in line


def test_a_field_beside_slides_is_named(cli, tiffs, four_glands, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_gland_mtl.jobs.segment_config.FIELD_LIMIT_PX", 300 * 300)
    small = write_svs(tmp_path / "small.svs", four_glands[0][:290, :290])
    result = segment(cli, tiffs[0], small, "-o", tmp_path / "out", "--no-tissue")
    assert "note: small.svs: done as a field of view" in result.stderr
    assert "first" not in result.stderr


@pytest.mark.parametrize("asked", [["--field"], ["--slide", "--no-tissue"]])
def test_what_was_asked_for_needs_no_note(asked, cli, tiffs, four_glands, tmp_path):
    small = write_svs(tmp_path / "small.svs", four_glands[0])
    assert not segment(cli, small, tiffs[0], "-o", tmp_path / "out", *asked).stderr
    assert not segment(cli, tiffs[0], "-o", tmp_path / "plain").stderr


@pytest.mark.parametrize("options", [[], ["--slide"]])
def test_a_mistyped_path_makes_and_loads_nothing(options, cli, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_gland_mtl.checkpoint.load_model", None)
    result = segment(cli, tmp_path / "typo.tif", "-o", tmp_path / "out", *options)
    assert refused(result, "typo.tif", "Check its name")
    two = segment(cli, tmp_path / "typo.tif", tmp_path / "b.svs", "-o", tmp_path / "out", *options)
    assert refused(two, "None of the 2 images", "typo.tif", "b.svs")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [[], ["--slide", "--no-tissue"]])
def test_one_mistyped_path_of_several_is_reported_and_the_others_go_on(
    options, cli, tiffs, tmp_path
):
    result = segment(cli, tmp_path / "typo.tif", tiffs[0], "-o", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert "typo.tif" in result.stderr
    assert (tmp_path / "out" / "first.csv").is_file()


def test_files_that_are_no_images_make_no_folder(cli, tmp_path):
    text = tmp_path / "text.tif"
    text.write_text("not an image")
    assert refused(segment(cli, text, "-o", tmp_path / "out"), "text.tif")
    assert not (tmp_path / "out").exists()


def test_a_slide_gives_labels_a_table_a_summary_and_a_page(cli, tiffs, tmp_path):
    out = tmp_path / "out"
    result = as_slides(cli, *tiffs, "-o", out)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["first", "second", "summary of all slides"]
    assert "4 glands" in lines[0]
    assert "malignant (probability 0.73)" in lines[0]
    assert {path.name for path in out.iterdir()} == {
        *("first.ome.zarr", "first.csv", "second.ome.zarr", "second.csv"),
        *("summary.csv", "report.html", "thumbnails"),
    }
    with (out / "first.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 4
    store = SlideStore.open(out / "first.ome.zarr")
    assert store.layout.mpp == 1.0
    assert store.shape == (160, 180)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--engine", "torch"], ["--engine", "--slide"]),
        (["--no-tissue"], ["--tissue", "--slide"]),
        (["--keep-probabilities", "--field"], ["--keep-probabilities", "--slide"]),
        (["--scheduler", "tcp://x:1", "--field"], ["--field"]),
        (["--region", *["0", "0", "9", "9"], "--areas", "a.json"], ["--region", "--areas"]),
        (["--no-tissue", "--tissue-threshold", "0.1"], ["not both"]),
        (["--slide", "--tile-size", "256"], ["tile-size", "512"]),
        (["--slide", "--engine", "steam"], ["engine", "torch", "steam"]),
        (["--slide", "--precision", "int4"], ["precision", "float16"]),
        (["--slide", "--tissue-threshold", "7"], ["threshold"]),
        (["--slide", "--areas", "nothing.geojson"], ["nothing.geojson"]),
        (["--region", "5", "5", "5", "9"], ["empty", "Y1"]),
        (["--region", "5", "5", "9"], ["four whole numbers", "5 5 9"]),
    ],
)
def test_bad_options_are_one_line_before_any_work(options, expected, cli, tiffs, tmp_path):
    assert refused(segment(cli, tiffs[0], "-o", tmp_path / "out", *options), *expected)
    assert not (tmp_path / "out").exists()


def test_a_missing_pixel_size_names_the_option_and_the_others_go_on(
    cli, tiffs, four_glands, tmp_path
):
    unknown = tmp_path / "in" / "unknown.tif"
    tifffile.imwrite(unknown, four_glands[0])
    result = as_slides(cli, unknown, tiffs[0], "-o", tmp_path / "out")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "--mpp" in line
    assert "'unknown'" in line
    assert SlideStore.open(tmp_path / "out" / "first.ome.zarr").complete
    assert as_slides(cli, unknown, "-o", tmp_path / "out", "--mpp", MPP).exit_code == 0


# ------------------------------------------------------------------ inputs


def test_a_quoted_pattern_is_expanded_here(cli, tiffs, tmp_path):
    (tmp_path / "in" / "notes.txt").write_text("no image")
    result = as_slides(cli, tmp_path / "in" / "*", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert [line.split(":")[0] for line in result.stdout.splitlines()[:2]] == ["first", "second"]
    refused(as_slides(cli, tmp_path / "in" / "*.svs", "-o", tmp_path / "out"), "*.svs", "matches")


def test_a_file_whose_name_looks_like_a_pattern_is_meant_itself(cli, tiffs, tmp_path):
    odd = tmp_path / "in" / "slide[1].tif"
    tiffs[0].rename(odd)
    result = as_slides(cli, odd, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "slide[1].csv").is_file()


def test_results_in_the_folder_are_not_segmented_again(cli, tiffs, tmp_path):
    as_slides(cli, tiffs[0], "-o", tmp_path / "in")
    segment(cli, tiffs[1], "-o", tmp_path / "in")
    result = as_slides(cli, tmp_path / "in", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 3


@pytest.mark.parametrize("name", ["first.png", "FIRST.tif"])
@pytest.mark.parametrize("limit", [10**9, 200 * 200])
def test_two_images_of_one_name_are_refused_before_any_work(
    name, limit, cli, tiffs, four_glands, tmp_path, monkeypatch
):
    """Two fields, or a field and a slide."""
    monkeypatch.setattr("napari_gland_mtl.jobs.segment_config.FIELD_LIMIT_PX", limit)
    other = tmp_path / "in" / name
    Image.fromarray(four_glands[0][:150, :150]).save(other)
    result = segment(cli, tiffs[0], other, "-o", tmp_path / "out", "--mpp", MPP)
    assert refused(result, "first.tif", name, "different folders")
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------ parts


def test_an_option_of_four_numbers_may_be_repeated():
    arguments = [
        "a.svs",
        "--region",
        "1",
        "2",
        "3",
        "4",
        "--region",
        "-5",
        "6",
        "7",
        "8",
        "-o",
        "x",
    ]
    joined = ["a.svs", "--region", "1 2 3 4", "--region", "-5 6 7 8", "-o", "x"]
    assert join_regions(arguments) == joined
    assert join_regions(["--region"]) == ["--region", ""]


def test_several_regions_make_it_a_slide_of_several_parts(cli, tiffs, four_glands, tmp_path):
    regions = ["--region", 20, 20, 140, 140, "--region", 180, 200, 310, 320]
    result = segment(cli, tiffs[0], "-o", tmp_path, *regions, "--no-tissue")
    assert result.exit_code == 0, result.output
    found = SlideStore.open(tmp_path / "first.ome.zarr").labels("regions")[0][...]
    expected = np.zeros((160, 180), bool)
    expected[10:70, 10:70] = expected[90:155, 100:160] = True
    assert np.array_equal(found > 0, expected)


def test_drawn_areas_come_from_a_file_or_from_one_for_each_slide(cli, tiffs, tmp_path):
    square = [[20, 20], [140, 20], [140, 140], [20, 140], [20, 20]]
    folder = tmp_path / "areas"
    folder.mkdir()
    for path in tiffs:
        content = {"type": "Polygon", "coordinates": [square]}
        (folder / f"{path.stem}.geojson").write_text(json.dumps(content))
    for number, areas in enumerate((folder / "first.geojson", folder)):
        out = tmp_path / f"out{number}"
        result = segment(cli, *tiffs, "-o", out, "--areas", areas, "--no-tissue")
        assert result.exit_code == 0, result.output
        for path in tiffs:
            store = SlideStore.open(out / f"{path.stem}.ome.zarr")
            assert store.summary["analysed_area_um2"] == pytest.approx(60**2)
    (folder / "second.geojson").unlink()
    refused(segment(cli, *tiffs, "-o", tmp_path / "o", "--areas", folder), "second.geojson")


# ------------------------------------------------------------------ again


def test_resume_leaves_complete_slides_as_they_are(cli, tiffs, tmp_path):
    out = tmp_path / "out"
    as_slides(cli, tiffs[0], "-o", out)
    before = (out / "first.ome.zarr" / "zarr.json").stat().st_mtime_ns
    refused(as_slides(cli, tiffs[0], "-o", out), "exists", "--resume", "--overwrite")
    result = as_slides(cli, *tiffs, "-o", out, "--resume")
    assert result.exit_code == 0, result.output
    assert (out / "first.ome.zarr" / "zarr.json").stat().st_mtime_ns == before
    assert SlideStore.open(out / "second.ome.zarr").complete


def test_resume_skips_fields_of_the_same_settings_only(cli, tiffs, tmp_path):
    segment(cli, tiffs[0], "-o", tmp_path)
    before = (tmp_path / "first.csv").stat().st_mtime_ns
    result = segment(cli, tiffs[0], "-o", tmp_path, "--resume")
    assert result.exit_code == 0, result.output
    assert "complete already" in result.stdout
    assert (tmp_path / "first.csv").stat().st_mtime_ns == before
    part = segment(cli, tiffs[0], "-o", tmp_path, "--resume", "--region", 80, 20, 300, 340)
    assert refused(part, "first.ome.zarr", "another part", "--overwrite")
    (tmp_path / "first.csv").unlink()
    assert segment(cli, tiffs[0], "-o", tmp_path, "--resume").exit_code == 0
    assert (tmp_path / "first.csv").is_file()
    assert read_segmentation(tmp_path / "first.ome.zarr").complete


def test_other_settings_name_the_option_that_replaces(cli, tiffs, tmp_path):
    as_slides(cli, tiffs[0], "-o", tmp_path)
    result = as_slides(cli, tiffs[0], "-o", tmp_path, "--resume", "--quarter-turns")
    assert result.exit_code == 2
    assert result.stderr.rstrip().endswith("another folder, or --overwrite instead of --resume.")


def test_a_stopped_run_says_how_to_go_on(cli, tiffs, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as stopping:
        stopping.setattr("napari_gland_mtl.jobs.stop.StopToken.stopped", True)
        result = as_slides(cli, *tiffs, "-o", out)
    assert result.exit_code == 130
    assert "--resume" in result.stderr.splitlines()[-1]
    assert "2 slides are not complete" in result.stderr
    assert as_slides(cli, *tiffs, "-o", out, "--resume").exit_code == 0


@pytest.mark.parametrize(
    ("done", "failed", "complete", "expected"),
    [
        (8, 1, True, "1 tile could not be read; --resume tries it again."),
        (7, 2, False, "2 tiles could not be read; --resume tries them again."),
        (3, 0, False, "Stopped after 3 of 9 tiles."),
        (
            *(3, 1, False),
            "1 tile could not be read; --resume tries it again. Stopped after 3 of 9 tiles.",
        ),
    ],
)
def test_what_is_missing_of_a_slide_is_said_with_its_reason(done, failed, complete, expected):
    summary = {"statement": "No.", "tiles": 9, "tiles_done": done, "tiles_failed": failed}
    line = slide_line(SlideDone(Path("a.ome.zarr"), summary, complete))
    assert line == f"No. {expected}"


def test_a_slide_that_could_not_be_read_to_its_end_is_no_success(cli, tiffs, tmp_path, monkeypatch):
    def batch(paths, folder, *_, **__):
        yield BatchDone(folder, folder / "summary.csv", folder / "report.html", 1, 0, 0)

    monkeypatch.setattr("napari_gland_mtl.jobs.segment_batch.segment_batch", batch)
    result = as_slides(cli, *tiffs, "-o", tmp_path / "out")
    assert refused(result, "1 of 2 slides", "--resume")


def test_a_batch_that_is_interrupted_is_closed():
    def batch():
        yield SlideDone(Path("a.ome.zarr"), {})

    class Interrupted(_Drawn):
        def _draw(self, event):
            raise KeyboardInterrupt

    events = batch()
    with pytest.raises(KeyboardInterrupt):
        Interrupted(Progress(disable=True)).draw(events)
    assert events.gi_frame is None


# ------------------------------------------------------------------ info


def test_info_says_what_was_found_on_a_slide(cli, tiffs, tmp_path):
    as_slides(cli, tiffs[0], "-o", tmp_path)
    shown = cli("info", tmp_path / "first.ome.zarr").stdout
    assert "4 glands" in shown.splitlines()[0]
    for part in (str(tiffs[0]), "180 x 160 px at 1 um/px", "1 of 1", "colours", "complete"):
        assert part in shown
    facts = json.loads(cli("info", tmp_path / "first.ome.zarr", "--json").stdout)
    assert (facts["glands"], facts["complete"]) == (4, True)
    assert facts["record"]["model"] == "colours"


# ------------------------------------------------------------------ a cluster that is not there


def test_a_scheduler_that_does_not_answer_is_said(cli, tiffs, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("napari_gland_mtl.jobs.cluster_connection.CONNECT_S", 1)
    result = segment(cli, tiffs[0], "-o", tmp_path / "out", "--scheduler", "tcp://127.0.0.1:9")
    assert refused(result, "tcp://127.0.0.1:9", "dask scheduler")


def test_without_distributed_the_extra_is_named(cli, tiffs, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    result = segment(cli, tiffs[0], "-o", tmp_path / "out", "--scheduler", "tcp://127.0.0.1:9")
    assert refused(result, "napari-gland-mtl[cluster]")
