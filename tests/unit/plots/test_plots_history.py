"""Claims about following a training by its files."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.plots import LOSS_COLORS, LOSS_TITLES, RunHistory, loss_color


def test_a_growing_training_is_followed(new_run):
    writer = new_run().train(3)
    history = RunHistory(writer.folder)
    assert history.poll()
    assert history.steps["step"].tolist() == [1, 2, 3]
    assert not history.epochs
    assert not history.poll()
    with (writer.folder / "steps.csv").open("a") as file:
        file.write("4,1,2.0" + ",1" * 12 + "\n")
    assert history.poll()
    assert history.steps["step"].tolist() == [1, 2, 3, 4]


def test_a_resumed_training_is_followed_too(new_run):
    writer = new_run().train(7)
    history = RunHistory(writer.folder).read()
    writer.done = 5  # killed after the epoch's end; the two steps past it are done again
    writer.train(10)
    assert history.poll()
    assert history.steps["step"].tolist() == list(range(1, 16))
    assert history.epochs["epoch"].tolist() == [1, 2, 3]


def test_a_training_that_has_not_begun_is_followed(new_run):
    writer = new_run()
    history = RunHistory(writer.folder).read()
    assert not history.steps
    assert history.weighting == "uncertainty"
    writer.train(2)
    assert history.poll()
    assert history.losses == tuple(LOSS_TITLES)


def test_what_is_no_run_folder_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match=r"no run folder.*gland-mtl train -o"):
        RunHistory(tmp_path)


def test_a_file_of_a_run_folder_stands_for_it(new_run):
    writer = new_run("deep").train(5)
    history = RunHistory(writer.folder / "steps.csv")
    assert history.path == writer.folder
    assert history.name == "deep"


@pytest.mark.parametrize("nested", [True, False])
def test_the_weighting_is_read_from_either_kind_of_settings(new_run, nested):
    writer = new_run(learned=False).train(5)
    settings = {"weighting": "equal", "log_var_min": -1.5}
    content = {"training": settings} if nested else settings
    (writer.folder / "config.json").write_text(json.dumps(content))
    assert writer.history().weighting == "equal"


def test_without_settings_the_columns_tell_the_weighting(new_run):
    for learned, expected in ((True, "uncertainty"), (False, "fixed")):
        writer = new_run(f"{learned}", learned=learned).train(5)
        (writer.folder / "config.json").write_text("{ broken")
        assert writer.history().weighting == expected
        assert writer.history().learned is learned


def test_losses_come_in_their_usual_order_and_others_last(new_run):
    names = ("geometry", "own", "segmentation")
    history = new_run(names=names).train(1).history()
    assert history.losses == ("segmentation", "geometry", "own")


def test_measures_are_what_is_neither_loss_nor_weight(new_run):
    assert new_run().train(5).history().measures == ("object_dice", "score")


def test_the_losses_of_the_package_have_colours_and_titles():
    from napari_gland_mtl.losses.weighting import LOSS_NAMES

    assert tuple(LOSS_COLORS) == tuple(LOSS_TITLES) == LOSS_NAMES
    assert len(set(LOSS_COLORS.values())) == len(LOSS_NAMES)
    assert loss_color("own") not in LOSS_COLORS.values()


def test_colours_and_titles_load_nothing_heavy():
    script = """
import sys
from napari_gland_mtl.plots import LOSS_COLORS, RunHistory, in_words
heavy = {"torch", "matplotlib", "scipy", "zarr", "pydantic"} & set(sys.modules)
sys.exit(f"loaded: {sorted(heavy)}" if heavy else 0)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
