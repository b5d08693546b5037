"""The reliability diagram shows what was measured, and the file says of which kind it is."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from napari_gland_mtl.errors import InvalidInputError, OutputExistsError
from napari_gland_mtl.metrics.calibration import ErrorsByUncertainty, Reliability
from napari_gland_mtl.plots.calibration import draw_calibration, write_calibration

pytest.importorskip("matplotlib")


@pytest.fixture
def calibration():
    rng = np.random.default_rng(0)
    pixels, errors = Reliability(), ErrorsByUncertainty()
    probabilities, truth = rng.dirichlet([0.3] * 3, 900).T, rng.integers(0, 3, 900)
    pixels.add(probabilities, truth)
    errors.add(1 - probabilities.max(axis=0), probabilities.argmax(axis=0) != truth)
    return {
        "pixels": pixels.summary(),
        "classes": None,
        "errors_by_uncertainty": errors.summary(),
    }


def test_bars_are_as_high_as_the_share_that_was_right(calibration):
    from matplotlib.figure import Figure

    reliability, errors = draw_calibration(Figure(figsize=(7, 3)), calibration)
    heights = [bar.get_height() for bar in reliability.patches]
    known = [value for value in calibration["pixels"]["bins"]["accuracy"] if value is not None]
    assert heights == pytest.approx(known)
    (line,) = errors.lines
    rates = calibration["errors_by_uncertainty"]["bins"]["error_rate"]
    assert line.get_ydata().tolist() == [rate for rate in rates if rate is not None]
    said = errors.texts[0].get_text()
    share = calibration["errors_by_uncertainty"]["errors_in_most_uncertain_10_percent"]
    assert f"{share:.0%}" in said


def test_a_single_filled_bin_is_seen():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure

    errors = ErrorsByUncertainty()
    errors.add(np.full(10, 0.42), np.arange(10) < 3)
    figure = Figure(figsize=(3.3, 3.9))
    (axes,) = draw_calibration(figure, {"errors_by_uncertainty": errors.summary()})
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    color = np.round(255 * np.array(to_rgb(axes.lines[0].get_color())))
    places = np.argwhere((np.asarray(canvas.buffer_rgba())[..., :3] == color).all(axis=-1))
    assert len(places) > 4
    middle = places.mean(axis=0)
    height = canvas.get_width_height()[1]
    x, y = axes.transData.inverted().transform((middle[1] + 0.5, height - middle[0] - 0.5))
    assert (x, y) == (pytest.approx(0.425, abs=0.02), pytest.approx(0.3, abs=0.02))


@pytest.mark.parametrize("size", [(9.9, 3.9), (7, 3)])
def test_words_lie_where_no_bar_can_stand(calibration, size):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)
    shown = calibration | {"classes": calibration["pixels"]}
    panels = draw_calibration(figure, shown)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    for axes in panels:
        words = axes.texts[0].get_window_extent(renderer)
        assert words.y1 < axes.xaxis.label.get_window_extent(renderer).y0
        assert words.y0 >= 0
        assert words.x1 <= figure.bbox.width


def test_panels_lie_inside_the_figure_and_beside_each_other(calibration):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.6, 3.3))
    first, second = draw_calibration(figure, calibration)
    figure.canvas.draw() if hasattr(figure.canvas, "draw") else None
    assert first.get_position().x1 < second.get_position().x0
    for axes in (first, second):
        box = axes.get_position()
        assert 0 < box.x0 < box.x1 < 1
        assert 0.1 < box.y0 < box.y1 < 1


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_pictures_are_written_and_replace_nothing_unasked(calibration, tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    write_calibration(calibration, path)
    before = path.read_bytes()
    assert len(before) > 1000
    with pytest.raises(OutputExistsError):
        write_calibration(calibration, path)
    write_calibration(calibration, path, overwrite=True)
    assert path.read_bytes() == before


def test_the_table_has_a_row_per_bin(calibration, tmp_path):
    write_calibration(calibration, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    pixels = [row for row in rows if row["what"] == "pixels"]
    assert [int(row["count"]) for row in pixels] == calibration["pixels"]["bins"]["count"]
    assert {row["what"] for row in rows} == {"pixels", "errors_by_uncertainty"}
    empty = calibration["pixels"]["bins"]["count"].index(0)
    assert pixels[empty]["accuracy"] == ""


def test_other_endings_and_nothing_to_draw_are_refused(calibration, tmp_path):
    with pytest.raises(InvalidInputError, match="does not end with"):
        write_calibration(calibration, tmp_path / "a.txt")
    with pytest.raises(InvalidInputError, match="nothing to draw"):
        write_calibration({"pixels": None, "classes": None}, tmp_path / "a.svg")
    assert list(tmp_path.iterdir()) == []
