"""Claims about the figure of the training images, and ``gland-mtl plot --images``."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from matplotlib.colors import to_hex
from typer.testing import CliRunner

from napari_gland_mtl.cli import app
from napari_gland_mtl.errors import OutputExistsError
from napari_gland_mtl.plots import (
    DARK,
    LIGHT,
    ImagePanel,
    ImageTable,
    RunHistory,
    draw_images,
    image_columns,
    loss_color,
    on_ground,
    ranking_of,
    write_images,
)


def read(folder):
    return RunHistory(folder, with_images=True).read()


def figure():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(8, 10))
    FigureCanvasAgg(made)
    return made


def lines_of(axes, color):
    return [line for line in axes.lines if to_hex(line.get_color()) == color]


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_a_panel_draws_the_image_the_median_and_the_band(image_run, theme):
    table = ImageTable(read(image_run().folder).images)
    axes = figure().add_subplot()
    panel = ImagePanel(axes, "log_var_topology")
    panel.draw(table, [("image 3", "")], theme)
    (line,) = lines_of(axes, on_ground(loss_color("topology"), theme.background))
    assert line.get_xdata().tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(line.get_ydata(), [1.53] * 4)
    (median,) = lines_of(axes, theme.text)
    np.testing.assert_allclose(median.get_ydata(), table.band("log_var_topology").middle)
    assert len(axes.collections) == 1
    low, high = axes.get_ylim()
    assert low < 0
    assert high > 1.53
    # Without the image neither its line nor its room is left.
    panel.draw(table, [], theme)
    assert len(axes.lines) == 1
    assert axes.get_ylim()[1] < 0.3


def test_the_panels_are_those_of_what_is_known(image_run):
    learned = ImageTable(read(image_run("a").folder).images)
    raw = ImageTable(read(image_run("b", learned=False).folder).images)
    assert len(image_columns(learned)) == 8
    assert image_columns(learned, ("topology",)) == ("topology", "log_var_topology")
    assert image_columns(learned, ("topology",), "uncertainty")[0] == "log_var_topology"
    assert image_columns(raw) == raw.losses


def test_the_figure_lists_the_images_and_draws_each_where_it_stands_out(image_run):
    ranking = ranking_of(read(image_run().folder))
    made = figure()
    draw_images(made, "run", ranking, top=2)
    by_label = {axes.get_label(): axes for axes in made.axes}
    ranked = by_label["ranking"]
    assert [text.get_text() for text in ranked.get_yticklabels()] == ["1. image 7", "2. image 3"]
    assert [bar.get_width() for bar in ranked.patches] == pytest.approx(ranking.ratios[:2])
    words = [text.get_text() for text in ranked.texts]
    assert words == [ranking.words(0), ranking.words(1)]
    marks = {label: [t.get_text() for t in axes.texts] for label, axes in by_label.items()}
    assert marks["log_var_classification"] == ["1"]
    assert marks["log_var_topology"] == ["2"]
    assert marks["log_var_geometry"] == []


def test_a_course_of_one_epoch_is_a_point(new_run, add_images):
    write, images = add_images
    writer = new_run(learned=False, weighting="equal").train(5)
    write(writer.folder, images([1], count=7, outliers={"image 2": {"topology": 0.5}}))
    made = figure()
    draw_images(made, "run", ranking_of(read(writer.folder)))
    by_label = {axes.get_label(): axes for axes in made.axes}
    seen = 0
    for name in ("classification", "segmentation", "topology", "geometry"):
        axes = by_label[name]
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
        lines = lines_of(axes, on_ground(loss_color(name), LIGHT.background))
        assert all(line.get_marker() == "o" for line in lines)
        seen += len(lines)
        assert bool(axes.get_title(loc="right")) == (not lines)
    assert seen == 7
    assert by_label["geometry"].get_title(loc="right") == "no image is ranked by it"


@pytest.mark.parametrize(
    ("outliers", "by", "top", "expected"),
    [
        ({}, "loss", 30, "run: all 21 images, those furthest above the usual loss first; none"),
        (None, "loss", 2, "run: 2 of 21 images, those furthest above the usual loss first; 2 sta"),
        (None, "uncertainty", 9, "those furthest above the usual uncertainty first; 2 stand out"),
        ({"image 1": {"topology": 2.0}}, "loss", 9, "first; 1 stands out"),
    ],
)
def test_the_title_says_how_many_stand_out(image_run, outliers, by, top, expected):
    made = figure()
    run = read(image_run(outliers=outliers).folder)
    draw_images(made, "run", ranking_of(run, by=by), top=top)
    assert expected in made.texts[0].get_text()


def test_in_the_warm_up_the_order_is_said_to_be_that_of_the_loss(new_run, add_images):
    write, images = add_images
    writer = new_run(weighting="instance").train(5)
    rows = [(e, name, v, dict.fromkeys(u, 0.0)) for e, name, v, u in images([1])]
    write(writer.folder, rows)
    made = figure()
    draw_images(made, "run", ranking_of(read(writer.folder), by="uncertainty"))
    assert "those of the largest loss first; none stands out" in made.texts[0].get_text()


@pytest.mark.parametrize("by", ["loss", "uncertainty"])
def test_the_figure_says_what_its_bars_are(image_run, by):
    made = figure()
    draw_images(made, "run", ranking_of(read(image_run().folder), by=by), top=2)
    (said,) = [text.get_text() for text in made.texts if "Bars" in text.get_text()]
    assert f"times the usual {by}" in said


@pytest.fixture
def cli(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_GLAND_MTL_RUNS", str(tmp_path))
    return lambda *args: CliRunner().invoke(app, ["plot", *map(str, args)])


def test_the_command_draws_what_a_script_draws(cli, image_run, tmp_path):
    writer = image_run()
    result = cli(writer.folder, "--images", "-o", tmp_path / "a.svg", "--top", 3)
    assert result.exit_code == 0, result.output
    same = write_images(read(writer.folder), tmp_path / "b.svg", top=3)
    assert (tmp_path / "a.svg").read_bytes() == same.read_bytes()
    assert "2 of 21 images have 3 times the usual loss" in result.output
    assert "image 3: 4.1x the usual loss (topology)" in result.output
    with pytest.raises(OutputExistsError):
        write_images(read(writer.folder), tmp_path / "b.svg")


def test_the_command_ranks_by_what_is_asked_for(cli, image_run, tmp_path):
    writer = image_run()
    for by, first in ((None, "image 7"), ("loss", "image 7"), ("uncertainty", "image 9")):
        given = () if by is None else ("--rank-by", by)
        result = cli(writer.folder, "--images", *given, "-o", tmp_path / f"{by}.csv")
        assert result.exit_code == 0, result.output
        assert f"  {first}: 12x the usual {by or 'loss'}" in result.stdout.splitlines()[1]
        rows = list(csv.DictReader((tmp_path / f"{by}.csv").read_text().splitlines()))
        assert rows[0]["image"] == first
    write_images(read(writer.folder), tmp_path / "same.csv", by="uncertainty")
    assert (tmp_path / "same.csv").read_bytes() == (tmp_path / "uncertainty.csv").read_bytes()


def test_the_command_writes_the_table(cli, image_run, tmp_path):
    result = cli(
        image_run().folder, "--images", "-o", tmp_path / "a.csv", "--losses", "topology,geometry"
    )
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert len(rows) == 21
    assert rows[0]["image"] == "image 3"
    assert "log_var_classification" not in rows[0]


def test_bad_input_is_one_line(cli, image_run, new_run, tmp_path):
    folder, old = image_run().folder, new_run("old").train(20).folder
    raw = image_run("raw", learned=False).folder
    output = ("-o", tmp_path / "a.svg")
    for args, expected in (
        ((folder, old, "--images", *output), "of one training"),
        ((old, "--images", *output), "no numbers of its images"),
        ((folder, "--images", "--losses", "shape", *output), "'shape' is no loss"),
        ((folder, "--images", "--x", "epoch", *output), "--x draws curves"),
        ((folder, "--top", 3, *output), "--top is about images"),
        ((folder, "--rank-by", "loss", *output), "--rank-by is about images"),
        ((folder, "--images", "--rank-by", "size", *output), "by loss or by uncertainty"),
        ((raw, "--images", "--rank-by", "uncertainty", *output), "No uncertainty of each image"),
        ((folder, "--images", "-o", tmp_path / "a.gif"), ".png, .svg"),
    ):
        result = cli(*args)
        assert result.exit_code == 2, result.output
        (line,) = result.stderr.splitlines()
        assert line.startswith("error: ")
        assert expected in line
