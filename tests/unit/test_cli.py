"""Claims about the command line: what it writes, and one clear line for whatever goes wrong."""

from __future__ import annotations

import csv
import errno
import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from typer.testing import CliRunner

from napari_gland_mtl.cli import app
from napari_gland_mtl.export.ome_zarr import read_segmentation
from napari_gland_mtl.metrics.topology import count_violations

MPP = 0.5


@pytest.fixture
def cli(colour_model_path, monkeypatch, tmp_path_factory):
    """Runs a command; the model named "colours" is installed."""
    monkeypatch.setenv("NAPARI_GLAND_MTL_MODELS", str(colour_model_path.parent))
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def png(four_glands, tmp_path):
    path = tmp_path / "four.png"
    Image.fromarray(four_glands[0]).save(path)
    return path


@pytest.fixture
def tiff(four_glands, tmp_path):
    """An image that knows its pixel size."""
    path = tmp_path / "known.tif"
    tifffile.imwrite(
        path, four_glands[0], resolution=(1e4 / MPP, 1e4 / MPP), resolutionunit="CENTIMETER"
    )
    return path


def segment(cli, *arguments):
    return cli("segment", *arguments, "--model", "colours", "--device", "cpu", "--no-flips")


def refused(result, *expected, code=2):
    """The result is exit code 2 and one line on stderr that says all that is expected."""
    assert result.exit_code == code, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    for text in expected:
        assert text in lines[0]
    return True


# ------------------------------------------------------------------ segment


def test_segment_writes_labels_and_table(cli, tiff, tmp_path):
    out = tmp_path / "new" / "out"
    result = segment(cli, tiff, "-o", out)
    assert result.exit_code == 0, result.output
    assert "malignant (probability 0.73), 4 glands" in result.stdout
    assert sorted(path.name for path in out.iterdir()) == ["known.csv", "known.ome.zarr"]
    found = read_segmentation(out / "known.ome.zarr")
    assert found.glands.max() == 4
    assert count_violations(found.regions, found.glands).total == 0
    assert found.mpp == pytest.approx(MPP)
    assert found.provenance["model"] == "colours"
    with (out / "known.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 4


def test_a_missing_pixel_size_is_asked_for_by_the_name_of_the_option(cli, png, tmp_path):
    refused(segment(cli, png, "-o", tmp_path / "out"), "pixel size", "--mpp")
    assert segment(cli, png, "-o", tmp_path / "out", "--mpp", MPP).exit_code == 0
    assert read_segmentation(tmp_path / "out" / "four.ome.zarr").mpp == MPP


def test_a_failing_file_does_not_keep_the_others_from_their_turn(cli, tiff, tmp_path):
    text = tmp_path / "a_text.tif"
    text.write_text("not an image")
    truncated = tmp_path / "truncated.tif"
    truncated.write_bytes(tiff.read_bytes()[:3000])
    result = segment(cli, text, truncated, tiff, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "known: malignant" in result.stdout
    first, second = result.stderr.splitlines()
    assert "a_text.tif" in first
    assert "truncated.tif" in second
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"known.csv", "known.ome.zarr"}


def test_outputs_that_exist_are_kept_unless_told_otherwise(cli, tiff, tmp_path):
    out = tmp_path / "out"
    segment(cli, tiff, "-o", out)
    (out / "known.csv").write_text("mine")
    refused(segment(cli, tiff, "-o", out), "exists", "--overwrite")
    assert (out / "known.csv").read_text() == "mine"
    assert segment(cli, tiff, "-o", out, "--overwrite").exit_code == 0
    assert (out / "known.csv").read_text().startswith("label,")


def test_a_folder_stands_for_its_images_and_an_empty_one_is_refused(cli, tiff, png, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    result = segment(cli, tmp_path, "-o", tmp_path / "out", "--mpp", MPP)
    assert result.exit_code == 0
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == ["four", "known"]
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(segment(cli, empty, "-o", tmp_path / "out2"), "empty", "no image")


def test_two_images_of_one_name_do_not_overwrite_each_other(cli, png, four_glands, tmp_path):
    other = tmp_path / "four.bmp"
    Image.fromarray(four_glands[0]).save(other)
    result = segment(cli, png, other, "-o", tmp_path / "out", "--mpp", MPP, "--overwrite")
    assert refused(result, "four.png", "four.bmp", "different folders")


def test_a_region_is_written_in_place(cli, tiff, four_glands, tmp_path):
    result = segment(cli, tiff, "-o", tmp_path, "--region", "80", "20", "300", "340")
    assert result.exit_code == 0, result.output
    regions = read_segmentation(tmp_path / "known.ome.zarr").regions
    assert regions.shape == four_glands[1].shape
    assert (regions[80:300, 20:340] == four_glands[1][80:300, 20:340]).mean() > 0.97
    assert not regions[:80].any()


def test_a_read_only_output_folder_is_found_out_before_the_work(cli, tiff, tmp_path, monkeypatch):
    def read_only(*arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    (tmp_path / "file").write_text("")
    refused(segment(cli, tiff, "-o", tmp_path / "file" / "out"), "cannot be made")
    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    refused(segment(cli, tiff, "-o", tmp_path / "out"), "Read-only file system", "-o")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "no-such-model"], ["no-such-model", "colours"]),
        (["--tile-size", "100"], ["tile-size", "multiple of 16", "100"]),
        (["--tile-size", "big"], ["--tile-size", "integer"]),
        (["--mpp", "0"], ["mpp"]),
        (["--mpp", "72000"], ["mpp", "20"]),
        (["--device", "abacus"], ["device", "abacus"]),
        (["--no-such-option"], ["--no-such-option", "--help"]),
    ],
)
def test_bad_options_are_one_line(arguments, expected, cli, tiff, tmp_path):
    result = cli("segment", tiff, "-o", tmp_path / "out", *arguments)
    assert refused(result, *expected)
    assert not (tmp_path / "out").exists()


def test_a_pickle_is_no_model(cli, tiff, tmp_path):
    import torch

    pickle = tmp_path / "weights.pt"
    torch.save({"weight": torch.zeros(1)}, pickle)
    assert refused(cli("segment", tiff, "-o", tmp_path / "out", "-m", pickle), "weights.pt")


def test_missing_arguments_and_commands_are_one_line(cli, tiff):
    assert refused(cli("segment", tiff), "--output")
    assert refused(cli("segmentt"), "segmentt")
    assert refused(cli("info"), "IMAGE")


def test_debug_shows_where_it_happened_and_else_there_is_no_traceback(cli, tmp_path):
    plain = cli("info", tmp_path / "nothing.png")
    assert refused(plain, "nothing.png")
    for arguments in (["--debug", "info", "nothing.png"], ["info", "nothing.png", "--debug"]):
        result = cli(*arguments)
        assert result.exception.__class__.__name__ == "UnreadableImageError"


def test_a_fault_of_the_program_is_told_from_bad_input(cli, png, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("something\nunforeseen")

    monkeypatch.setattr("napari_gland_mtl.slides.open_slide", broken)
    assert refused(cli("info", png), "RuntimeError: something unforeseen", "--debug", code=3)


def test_stopping_writes_nothing_half_and_says_so(cli, tiff, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_gland_mtl.jobs.stop.StopToken.stopped", True)
    result = segment(cli, tiff, "-o", tmp_path / "out")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "stopped; 1 image was not written"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_stop_that_comes_too_late_to_matter_is_no_failure(cli, tiff, tmp_path, monkeypatch):
    from napari_gland_mtl.export import ome_zarr

    def write(*arguments):
        ome_zarr_write(*arguments)
        monkeypatch.setattr("napari_gland_mtl.jobs.stop.StopToken.stopped", True)

    ome_zarr_write = ome_zarr.write_segmentation
    monkeypatch.setattr(ome_zarr, "write_segmentation", write)
    result = segment(cli, tiff, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"known.csv", "known.ome.zarr"}


def test_a_stopped_run_does_not_decode_what_it_throws_away(cli, tiff, tmp_path, monkeypatch):
    decoded = []
    monkeypatch.setattr("napari_gland_mtl.jobs.segment.decode", lambda *a: decoded.append(a))
    monkeypatch.setattr("napari_gland_mtl.jobs.stop.StopToken.stopped", True)
    segment(cli, tiff, "-o", tmp_path / "out")
    assert decoded == []


def test_an_image_is_never_replaced_by_its_own_result(cli, tiff, tmp_path):
    """Not even with --overwrite: an OME-Zarr as input has the name of its output."""
    segment(cli, tiff, "-o", tmp_path)
    store = tmp_path / "known.ome.zarr"
    before = (store / "zarr.json").read_bytes()
    result = segment(cli, store, "-o", tmp_path, "--overwrite")
    assert refused(result, "known.ome.zarr", "its own result", "-o")
    assert (store / "zarr.json").read_bytes() == before


def test_what_must_not_be_overwritten_is_found_out_before_the_work(
    cli, tiff, tmp_path, monkeypatch
):
    (tmp_path / "known.ome.zarr").mkdir()
    (tmp_path / "known.ome.zarr" / "notes.txt").write_text("mine")
    monkeypatch.setattr("napari_gland_mtl.jobs.segment.segment_image", None)
    assert refused(segment(cli, tiff, "-o", tmp_path, "--overwrite"), "is no OME-Zarr")


# ------------------------------------------------------------------ info, models, topology


def test_info_says_what_the_file_says(cli, tiff, png):
    known = json.loads(cli("info", tiff, "--json").stdout)
    assert (known["width"], known["height"], known["levels"]) == (360, 320, 1)
    assert known["mpp"] == pytest.approx(MPP)
    assert "TIFF" in known["format"]
    assert json.loads(cli("info", png, "--json").stdout)["mpp"] is None
    assert "unknown" in cli("info", png).stdout


def test_info_tells_all_of_a_slide(cli, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (128, 192, 3), dtype=np.uint8)
    path = tmp_path / "case.svs"
    words = "Aperio Image Library v12\r\n|AppMag = 20|MPP = 0.499"
    with tifffile.TiffWriter(path) as writer:
        options = {"photometric": "rgb", "metadata": None}
        writer.write(pixels, tile=(64, 64), description=words, **options)
        writer.write(pixels[:20, :30], description="Aperio thumbnail", **options)
        writer.write(pixels[::2, ::2].copy(), tile=(64, 64), description="Aperio", **options)
    known = json.loads(cli("info", path, "--json").stdout)
    assert (known["vendor"], known["format"], known["levels"]) == ("Aperio", "SVS", 2)
    assert known["level_sizes"][1] == {"width": 96, "height": 64, "downsample": 2.0}
    assert (known["tile"], known["bounds"], known["associated"]) == ([64, 64], None, ["thumbnail"])
    lines = cli("info", path).stdout.splitlines()
    assert "vendor: Aperio" in lines
    assert "levels: 2 (then 96 x 64)" in lines
    assert "associated: thumbnail" in lines
    assert not any("None" in line for line in lines)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif"])
def test_info_refuses_a_file_that_was_cut_short(cli, tmp_path, ending):
    pixels = np.random.default_rng(0).integers(0, 256, (128, 192, 3), dtype=np.uint8)
    path = tmp_path / f"field.{ending}"
    Image.fromarray(pixels).save(path)
    assert cli("info", path).exit_code == 0
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refused(cli("info", path), "damaged or incomplete")


def test_models_lists_cards(cli, colour_model_path):
    text = cli("models").stdout
    assert "colours: Segments by colour, for tests." in text
    assert "1 um/px" in text
    cards = json.loads(cli("models", "--json").stdout)
    (card,) = (card for card in cards if card["name"] == "colours")
    assert card["path"] == str(colour_model_path)
    assert card["mpp"] == 1.0


def write_labels(kind, path, labels):
    if kind == "tif":
        tifffile.imwrite(path, labels)
    elif kind == "png":
        Image.fromarray(labels).save(path)
    else:
        zarr.save_array(str(path), labels)
    return path


@pytest.mark.parametrize("kind", ["tif", "png", "zarr"])
def test_topology_counts_and_tells_by_its_exit_code(kind, cli, four_glands, tmp_path):
    good = write_labels(kind, tmp_path / f"good.{kind}", four_glands[1])
    result = cli("topology", good)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "topology violations: 0")
    broken = four_glands[1].copy()
    broken[2:5, 2:5] = 3  # lumen in the stroma
    bad = write_labels(kind, tmp_path / f"bad.{kind}", broken)
    result = cli("topology", bad, "--json", "--places")
    counts = json.loads(result.stdout)
    assert result.exit_code == 1
    assert counts["total"] == 1
    assert counts["outside_parent"] == 1
    assert [(place["y0"], place["x1"]) for place in counts["places"]] == [(2, 5)]


def test_topology_reads_what_segment_wrote(cli, tiff, tmp_path):
    segment(cli, tiff, "-o", tmp_path)
    store = tmp_path / "known.ome.zarr"
    assert cli("topology", store).exit_code == 0
    assert cli("topology", store / "labels" / "regions").exit_code == 0


def test_topology_refuses_what_is_no_region_label_image(cli, png, tiff, tmp_path):
    assert refused(cli("topology", tmp_path / "none.tif"), "no file")
    assert refused(cli("topology", png), "four.png")
    assert refused(cli("topology", tmp_path), "zarr")
    instances = write_labels("tif", tmp_path / "i.tif", np.arange(12, dtype=np.uint8).reshape(3, 4))
    assert refused(cli("topology", instances), "i.tif", "1 stroma, 2 epithelium, 3 lumen")


# ------------------------------------------------------------------ evaluate


@pytest.fixture
def glas(tissue, tmp_path):
    """A folder laid out as GlaS is, with two drawn fields."""
    folder = tmp_path / "glas"
    folder.mkdir()
    rows = ["name, patient ID, grade (GlaS)"]
    for number, kind in ((1, "malignant"), (2, "benign")):
        image, _, glands = tissue(130, 160, 0.62005, ((60, 40 + 10 * number), (60, 120)))
        Image.fromarray(image).save(folder / f"train_{number}.bmp")
        Image.fromarray(glands.astype(np.uint8)).save(folder / f"train_{number}_anno.bmp")
        rows.append(f"train_{number}, {number}, {kind}")
    (folder / "Grade.csv").write_bytes("\r".join(rows).encode())
    return folder


def test_evaluate_writes_the_measures(cli, glas, tmp_path):
    report = tmp_path / "report.json"
    result = cli("evaluate", glas, "-m", "colours", "--no-flips", "--json", report)
    assert result.exit_code == 0, result.output
    measures = json.loads(report.read_text())
    assert measures["images"] == 2
    assert measures["classification_accuracy"] == 0.5
    assert measures["object_f1"] == {"pooled": 1.0, "mean": 1.0}
    assert measures["object_dice"]["mean"] > 0.95
    assert measures["topology_violations"] == 0
    assert "object_dice: pooled 0.9" in result.stdout


def test_evaluate_draws_calibration(cli, glas, tmp_path):
    picture, table = tmp_path / "c.svg", tmp_path / "c.csv"
    options = ("evaluate", glas, "-m", "colours", "--no-flips", "--calibration")
    result = cli(*options, picture)
    assert result.exit_code == 0, result.output
    assert "Regions, pixel by pixel" in picture.read_text()
    assert "calibration_pixels: expected_calibration_error" in result.stdout
    assert "errors_in_most_uncertain_10_percent" in result.stdout
    assert refused(cli(*options, picture), "exists already", "or give --overwrite.")
    assert refused(cli(*options, tmp_path / "c.doc"), "does not end with")
    assert refused(
        cli("evaluate", glas, "--predictions", tmp_path, "--calibration", table), "model"
    )
    assert cli(*options, table, "--quarter-turns").exit_code == 0
    assert table.read_text().startswith("what,lower,upper,count")


def test_evaluate_that_is_stopped_at_once_draws_nothing_and_says_so(
    cli, glas, tmp_path, monkeypatch
):
    monkeypatch.setattr("napari_gland_mtl.jobs.stop.StopToken.stopped", True)
    picture = tmp_path / "c.svg"
    result = cli("evaluate", glas, "-m", "colours", "--calibration", picture)
    assert result.exit_code == 130
    assert "stopped" in result.stderr
    assert not picture.exists()


def test_evaluate_replaces_no_report_unasked(cli, glas, tmp_path):
    report = tmp_path / "report.json"
    report.write_text("mine")
    options = ("evaluate", glas, "-m", "colours", "--no-flips", "--json", report)
    assert refused(cli(*options), "exists already", "or give --overwrite.")
    assert report.read_text() == "mine"
    assert cli(*options, "--overwrite").exit_code == 0
    assert json.loads(report.read_text())["images"] == 2


def test_dropout_of_a_model_without_any_is_refused(cli, glas, tmp_path):
    options = ("segment", glas / "train_1.bmp", "-o", tmp_path / "out", "--mpp", 0.62)
    result = cli(*options, "-m", "colours", "--dropout-samples", 4)
    assert refused(result, "trained without dropout")
    assert not (tmp_path / "out").exists()


def test_evaluate_takes_what_segment_wrote(cli, glas, tmp_path):
    out = tmp_path / "out"
    images = [glas / "train_1.bmp", glas / "train_2.bmp"]
    segment(cli, *images, "-o", out, "--mpp", 0.62005)
    reports = tmp_path / "a.json", tmp_path / "b.json"
    cli("evaluate", glas, "--predictions", out, "--split", "train", "--json", reports[0])
    cli("evaluate", glas, "-m", "colours", "--no-flips", "--json", reports[1])
    from_files, from_model = (json.loads(path.read_text()) for path in reports)
    assert from_files["object_dice"] == from_model["object_dice"]
    assert from_files["pixel_accuracy"] == from_model["pixel_accuracy"]


def test_evaluate_refuses_what_does_not_fit(cli, glas, tmp_path):
    assert refused(cli("evaluate", tmp_path / "nowhere"), "nowhere")
    assert refused(cli("evaluate", glas, "-m", "colours", "--split", "testA"), "testA")
    assert refused(cli("evaluate", glas, "-m", "x", "--predictions", tmp_path), "not both")
    assert refused(cli("evaluate", glas, "--json", tmp_path / "no" / "r.json"), "no folder")
    Image.fromarray(np.zeros((5, 9), np.uint8)).save(glas / "train_2_anno.bmp")
    result = cli("evaluate", glas, "-m", "colours", "--no-flips")
    assert result.exit_code == 2
    assert "9 x 5" in result.stderr
    assert "258 x 210" in result.stderr


def test_the_installed_command_ends_with_one_line_and_no_traceback(tmp_path):
    command = [sys.executable, "-m", "napari_gland_mtl", "segment", "nothing.png"]
    result = subprocess.run(
        [*command, "-o", str(tmp_path), "-m", "nothing"], capture_output=True, text=True
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1


# ------------------------------------------------------------------ train

TINY = [
    "--validation-split",
    "1",
    "--split-by",
    "image",
    "--device",
    "cpu",
    *("--set", "widths=[4,8,8,8,8]"),
    *("--set", "patch_size=64"),
    *("--set", "patches_per_epoch=4"),
    *("--set", "precision=float32"),
    *("--batch-size", "2"),
]


def test_train_makes_a_model_that_segments(cli, glas, tiff, tmp_path):
    run = tmp_path / "my-run"
    result = cli("train", glas, "-o", run, "--epochs", 2, "--losses", "c,s", *TINY)
    assert result.exit_code == 0, result.output
    assert "epoch 2/2: classification" in result.stdout
    assert "topology 0" not in result.stdout
    assert "object_dice" in result.stdout
    assert cli("segment", tiff, "-o", tmp_path / "out", "-m", run, "--no-flips").exit_code == 0
    refused(cli("train", glas, "-o", run, *TINY), "my-run", "--resume")


def test_a_finished_training_can_be_the_start_of_another(cli, glas, tmp_path):
    cli("train", glas, "-o", tmp_path / "a", "--epochs", 1, *TINY)
    result = cli(
        "train", glas, "-o", tmp_path / "b", "--epochs", 1, "--from", tmp_path / "a", *TINY
    )
    assert result.exit_code == 0, result.output
    resumed = cli("train", glas, "-o", tmp_path / "b", "--resume")
    assert resumed.exit_code == 0, resumed.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--losses", "c,x"], ["'x'", "segmentation"]),
        (["--weighting", "guess"], ["weighting", "uncertainty"]),
        (["--epochs", "0"], ["epochs"]),
        (["--set", "no_such_setting=1"], ["no setting", "no_such_setting"]),
        (["--set", "epochs"], ["NAME=VALUE"]),
        (["--epochs", "2", "--set", "epochs=3"], ["epochs", "given twice"]),
        (["--validation-split", "nobody"], ["nobody"]),
        (["--from", "no-such-model"], ["no-such-model"]),
        (["--resume"], ["resume"]),
        (["--resume", "--epochs", "3"], ["epochs"]),
        (["--resume", "--epochs", "3", "--device", "cpu", "--devices", "2"], ["leave out epochs."]),
        (["--device", "cpu", "--devices", "9", "--batch-size", "8"], ["8 patches", "9 devices"]),
        (["--device", "cuda:0", "--devices", "2"], ["not 'cuda:0'", "CUDA_VISIBLE_DEVICES"]),
    ],
)
def test_bad_training_options_are_one_line_and_leave_no_folder(
    arguments, expected, cli, glas, tmp_path
):
    assert refused(cli("train", glas, "-o", tmp_path / "run", *arguments), *expected)
    assert not (tmp_path / "run").exists()


def test_an_empty_folder_is_no_data_set(cli, tmp_path):
    (tmp_path / "empty").mkdir()
    assert refused(cli("train", tmp_path / "empty", "-o", tmp_path / "run"), "empty")
