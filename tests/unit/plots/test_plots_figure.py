"""Claims about the figure: colours are losses, styles are runs, and files hold what is drawn."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from napari_gland_mtl.errors import (
    InvalidInputError,
    MissingExtraError,
    OutputExistsError,
    OutputNotWritableError,
)
from napari_gland_mtl.plots import (
    DARK,
    LOSS_COLORS,
    FigureOptions,
    draw,
    on_ground,
    write_csv,
    write_figure,
)
from napari_gland_mtl.plots.options import PANELS
from napari_gland_mtl.plots.panel import Panel

from .conftest import NAMES, step_row

PLAIN = FigureOptions(smoothing=1)


@pytest.fixture
def figure():
    figure = Figure(figsize=(8, 8), dpi=100)
    FigureCanvasAgg(figure)
    return figure


def loss_lines(axes):
    """The lines of losses, by colour; reference lines are left out."""
    return {to_hex(line.get_color()): line for line in axes.lines if len(line.get_xdata()) > 2}


def axes_of(figure, name):
    return next(axes for axes in figure.axes if axes.get_label() == name)


def test_all_panels_with_numbers_are_drawn_and_no_others(figure, run):
    draw(figure, [run], PLAIN)
    drawn = [axes.get_label() for axes in figure.axes]
    assert drawn == [name for name in PANELS if name not in ("distance", "violations")]


def test_each_loss_has_its_colour_in_every_panel(figure, run):
    draw(figure, [run], PLAIN)
    for panel in ("losses", "weighted", "log_var", "sigma", "weights", "shares"):
        lines = loss_lines(axes_of(figure, panel))
        assert set(lines) == {on_ground(color, "#ffffff") for color in LOSS_COLORS.values()}
    line = loss_lines(axes_of(figure, "losses"))[LOSS_COLORS["topology"]]
    assert line.get_ydata().tolist() == [step_row(s)["loss_topology"] for s in range(1, 21)]


def test_several_runs_have_their_own_kinds_of_lines(figure, new_run):
    runs = [new_run(name).train(20).history() for name in ("one", "two", "three")]
    draw(figure, runs, PLAIN)
    lines = [line for line in axes_of(figure, "weights").lines if len(line.get_xdata()) > 2]
    topology = [line for line in lines if to_hex(line.get_color()) == LOSS_COLORS["topology"]]
    assert len({str(line._dash_pattern) for line in topology}) == 3
    named = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert {"one", "two", "three", "Topology"} <= set(named)


def seen(figure, axes):
    """The losses whose colours are seen on axes, give or take what smooths the lines' edges."""
    figure.canvas.draw()
    left, bottom, right, top = (round(edge) for edge in axes.bbox.extents)
    shown = np.asarray(figure.canvas.buffer_rgba())[::-1][bottom:top, left:right, :3]
    colors = {name: to_rgb(on_ground(color, "#ffffff")) for name, color in LOSS_COLORS.items()}
    return {
        name
        for name, color in colors.items()
        if (np.abs(shown / 255 - color).max(axis=-1) < 0.15).any()
    }


@pytest.mark.parametrize("x", ["step", "epoch"])
@pytest.mark.parametrize("steps", [5, 15, 400])
def test_lines_that_lie_on_one_another_are_all_seen(figure, new_run, steps, x):
    run = new_run(learned=False).train(steps).history()
    draw(figure, [run], FigureOptions(x=x))
    for name in ("weights", "shares"):
        assert seen(figure, axes_of(figure, name)) == set(NAMES)


def test_lines_in_turns_keep_the_dashes_of_their_run(figure, new_run):
    learned, equal = new_run("a").train(40).history(), new_run("b", learned=False).train(40)
    draw(figure, [learned, equal.history()], PLAIN)
    weights = axes_of(figure, "weights").lines
    patterns = [line._dash_pattern for line in weights]
    assert patterns[:4] == [(0, None)] * 4  # those that differ are whole
    width = weights[4].get_linewidth()
    on = [np.array(dashes[::2]) / width for _, dashes in patterns[4:]]
    assert np.allclose(on, 5)
    offsets = [offset / width for offset, _ in patterns[4:]]
    np.testing.assert_allclose(offsets, [0, 21, 14, 7])
    assert sum(patterns[4][1]) / width == pytest.approx(28)


def test_the_axis_of_a_single_epoch_has_one_whole_tick(figure, new_run):
    for steps, expected in ((5, {1}), (10, {1, 2}), (15, {1, 2, 3})):
        history = new_run(f"run {steps}").train(steps).history()
        draw(figure, [history], FigureOptions(x="epoch"))
        axes = axes_of(figure, "losses")
        low, high = axes.get_xlim()
        assert {tick for tick in axes.get_xticks() if low <= tick <= high} == expected


def test_a_logarithmic_axis_is_for_what_is_positive(figure, run):
    draw(figure, [run], FigureOptions(log_scale=True))
    scales = {axes.get_label(): axes.get_yscale() for axes in figure.axes}
    assert {name for name, scale in scales.items() if scale == "log"} == {
        "losses",
        "weighted",
        "sigma",
        "weights",
    }
    FigureCanvasAgg(figure).draw()


def test_drawing_again_replaces_what_was_drawn(figure, run, new_run):
    panel = Panel(figure.add_axes((0.1, 0.1, 0.8, 0.8)), "losses")
    for _ in range(3):
        panel.draw([run], PLAIN, DARK)
    assert len(panel.axes.lines) == len(NAMES)
    longer = new_run("longer").train(40).history()
    panel.draw([longer], PLAIN, DARK)
    assert len(panel.axes.lines) == len(NAMES)
    assert panel.axes.lines[0].get_xdata()[-1] == 40


def test_a_run_that_grew_is_drawn_with_its_new_points(figure, new_run):
    """What is remembered of a run is only used while nothing has changed."""
    writer = new_run().train(20)
    history = writer.history()
    panel = Panel(figure.add_axes((0.1, 0.1, 0.8, 0.8)), "losses")
    panel.draw([history], PLAIN, DARK)
    writer.train(5)
    history.read()
    panel.draw([history], PLAIN, DARK)
    assert panel.axes.lines[0].get_xdata()[-1] == 25
    panel.draw([history], FigureOptions(x="epoch"), DARK)
    assert panel.axes.lines[0].get_xdata()[-1] == 5


def test_a_spike_in_a_long_training_is_on_the_page(figure, new_run):
    writer = new_run().train(1)
    header, row = (writer.folder / "steps.csv").read_text().splitlines()
    cells = row.split(",")
    lines = [",".join([str(i), "1", *cells[2:]]) for i in range(1, 20_001)]
    place = header.split(",").index("loss_topology")
    cells[place] = "77.0"
    lines[12_344] = ",".join(["12345", "1", *cells[2:]])
    (writer.folder / "steps.csv").write_text("\n".join([header, *lines]) + "\n")
    draw(figure, [writer.history()], PLAIN)
    line = loss_lines(axes_of(figure, "losses"))[LOSS_COLORS["topology"]]
    assert len(line.get_xdata()) < 5000
    assert 77.0 in line.get_ydata()
    assert axes_of(figure, "losses").get_ylim()[1] > 77


def test_the_theme_is_that_of_the_page(figure, run):
    draw(figure, [run], PLAIN, DARK)
    assert to_hex(figure.get_facecolor()) == DARK.background
    (title,) = figure.findobj(lambda artist: getattr(artist, "get_text", str)() == "Losses")
    assert to_hex(title.get_color()) == DARK.text
    assert {to_hex(line.get_color()) for line in axes_of(figure, "total").lines} == {DARK.text}


def test_nothing_to_draw_is_said(figure, new_run):
    draw(figure, [new_run().history()], PLAIN)
    assert any("Nothing to draw yet" in text.get_text() for text in figure.texts)
    assert figure.axes == []


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("name", "begins"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.PDF", b"%PDF")]
)
def test_the_ending_says_what_is_written(run, tmp_path, name, begins):
    path = write_figure([run], tmp_path / name, PLAIN)
    assert path.read_bytes().startswith(begins)


def test_the_same_run_gives_the_same_drawing(run, tmp_path):
    first, second = (write_figure([run], tmp_path / f"{i}.svg").read_bytes() for i in range(2))
    assert first == second
    assert first != write_figure([run], tmp_path / "3.svg", PLAIN).read_bytes()


def test_other_endings_are_refused(run, tmp_path):
    with pytest.raises(InvalidInputError, match=r"a\.gif does not end with one of \.png, \.svg"):
        write_figure([run], tmp_path / "a.gif")


@pytest.mark.parametrize("write", [write_figure, write_csv])
def test_what_is_there_is_not_overwritten_unasked(run, tmp_path, write):
    path = tmp_path / ("a.svg" if write is write_figure else "a.csv")
    path.write_text("mine")
    with pytest.raises(OutputExistsError):
        write([run], path)
    assert path.read_text() == "mine"
    write([run], path, overwrite=True)
    assert path.read_text() != "mine"


def test_a_failed_write_leaves_nothing(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritableError):
        write_figure([run], tmp_path / "file" / "a.svg")
    assert [path.name for path in tmp_path.iterdir() if path.name != "run"] == ["file"]


def test_without_matplotlib_the_extra_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"napari-gland-mtl\[plots\]"):
        write_figure([run], tmp_path / "a.svg")
    write_csv([run], tmp_path / "a.csv")


def test_the_table_has_all_numbers_exactly(new_run, tmp_path):
    runs = [new_run("one").train(20).history(), new_run("two", learned=False).train(5).history()]
    rows = list(csv.DictReader(write_csv(runs, tmp_path / "a.csv").read_text().splitlines()))
    assert [row["run"] for row in rows] == ["one"] * 20 + ["two"] * 5
    row, expected = rows[6], step_row(7)
    for name, value in expected.items():
        assert float(row[name]) == value
    assert float(row["weighted_topology"]) == pytest.approx(
        expected["weight_topology"] * expected["loss_topology"]
    )
    assert float(row["sigma_geometry"]) == pytest.approx(np.exp(expected["log_var_geometry"] / 2))
    assert sum(float(row[f"share_percent_{name}"]) for name in NAMES) == pytest.approx(100)
    # Measures stand beside the last step of their epoch; a run without log sigma^2 has none.
    assert [row["score"] for row in rows[:6]] == ["", "", "", "", "0.61", ""]
    assert rows[-1]["log_var_topology"] == ""


def test_the_table_by_epoch_has_a_row_per_epoch(run, tmp_path):
    rows = list(
        csv.DictReader(
            write_csv([run], tmp_path / "a.csv", FigureOptions(x="epoch")).read_text().splitlines()
        )
    )
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert [float(row["score"]) for row in rows] == pytest.approx([0.61, 0.62, 0.63, 0.64])
