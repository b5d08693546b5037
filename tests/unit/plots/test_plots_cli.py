"""Claims about ``gland-mtl plot``."""

from __future__ import annotations

import csv

import pytest
from typer.testing import CliRunner

from napari_gland_mtl.cli import app
from napari_gland_mtl.plots import FigureOptions, write_figure


@pytest.fixture
def cli(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_GLAND_MTL_RUNS", str(tmp_path))
    return lambda *args: CliRunner().invoke(app, ["plot", *map(str, args)])


def refused(result, *expected):
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    for text in expected:
        assert text in line


def test_it_draws_what_the_window_saves(cli, new_run, tmp_path):
    writer = new_run().train(20)
    result = cli(writer.folder, "-o", tmp_path / "a.svg", "--log", "--smoothing", 3)
    assert result.exit_code == 0, result.output
    options = FigureOptions(log_scale=True, smoothing=3)
    same = write_figure([writer.history()], tmp_path / "b.svg", options)
    assert (tmp_path / "a.svg").read_bytes() == same.read_bytes()
    assert "run: Geometry is at present the most uncertain loss" in result.output


def test_several_runs_by_epoch_as_a_table(cli, new_run, tmp_path):
    folders = [new_run(name).train(10).folder for name in ("one", "two")]
    result = cli(*folders, "-o", tmp_path / "a.csv", "--x", "epoch")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [(row["run"], row["epoch"]) for row in rows] == [
        ("one", "1"),
        ("one", "2"),
        ("two", "1"),
        ("two", "2"),
    ]


def test_a_training_is_found_by_its_name(cli, new_run, tmp_path, monkeypatch):
    new_run("mine").train(5)
    monkeypatch.chdir("/")
    assert cli("mine", "-o", tmp_path / "a.png").exit_code == 0
    refused(cli("yours", "-o", tmp_path / "b.png"), "yours does not exist", "run folder")


def test_only_the_panels_that_were_asked_for(cli, new_run, tmp_path):
    folder = new_run().train(5).folder
    small = cli(folder, "-o", tmp_path / "a.svg", "--panels", "shares, log_var")
    assert small.exit_code == 0, small.output
    whole = cli(folder, "-o", tmp_path / "b.svg")
    assert whole.exit_code == 0
    assert (tmp_path / "a.svg").stat().st_size < (tmp_path / "b.svg").stat().st_size / 2
    refused(cli(folder, "-o", tmp_path / "c.svg", "--panels", "share"), "'share'", "shares")


def test_bad_input_is_one_line(cli, new_run, tmp_path):
    run = new_run().train(3)
    refused(cli(tmp_path, "-o", tmp_path / "a.svg"), "no run folder")
    refused(cli(run.folder, "-o", tmp_path / "a.gif"), ".png, .svg")
    refused(cli(run.folder, "-o", tmp_path / "a.svg", "--x", "epoch"), "no epoch is done yet")
    refused(cli(run.folder, "-o", tmp_path / "a.svg", "--x", "day"), "'day'")
    refused(cli(new_run("new").folder, "-o", tmp_path / "a.svg"), "no step is done yet")
    (tmp_path / "a.svg").write_text("mine")
    refused(cli(run.folder, "-o", tmp_path / "a.svg"), "exists already")
    assert cli(run.folder, "-o", tmp_path / "a.svg", "--overwrite").exit_code == 0
