"""Claims about the CSV histories: whole rows, in order, readable while they are written."""

from __future__ import annotations

import numpy as np
import pytest

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.training.history import HistoryWriter, read_history


def write(path, rows, keep_until=0):
    with HistoryWriter(path, "step", keep_until) as writer:
        for row in rows:
            writer.write(row)


ROWS = [{"step": step, "loss": 1 / step} for step in range(1, 6)]


def test_numbers_come_back_exactly(tmp_path):
    write(tmp_path / "steps.csv", ROWS)
    history = read_history(tmp_path / "steps.csv")
    assert list(history) == ["step", "loss"]
    assert history["step"].tolist() == [1, 2, 3, 4, 5]
    assert history["loss"].tolist() == [1 / step for step in range(1, 6)]
    assert history["loss"].dtype == np.float64


def test_rows_are_on_disk_at_once(tmp_path):
    with HistoryWriter(tmp_path / "steps.csv", "step") as writer:
        for row in ROWS:
            writer.write(row)
            assert read_history(tmp_path / "steps.csv")["step"][-1] == row["step"]


def test_rows_past_the_resumed_step_are_dropped(tmp_path):
    path, whole = tmp_path / "steps.csv", tmp_path / "whole.csv"
    write(whole, ROWS)
    write(path, ROWS)
    write(path, ROWS[2:], keep_until=2)
    assert path.read_bytes() == whole.read_bytes()
    write(path, [], keep_until=2)
    assert read_history(path)["step"].tolist() == [1, 2]


def test_starting_at_zero_starts_afresh(tmp_path):
    write(tmp_path / "steps.csv", ROWS)
    write(tmp_path / "steps.csv", ROWS[:1])
    assert read_history(tmp_path / "steps.csv")["step"].tolist() == [1]


def test_a_history_that_is_gone_is_begun_again(tmp_path):
    write(tmp_path / "steps.csv", ROWS[3:], keep_until=3)
    assert read_history(tmp_path / "steps.csv")["step"].tolist() == [4, 5]


@pytest.mark.parametrize("half", ["6", "6,", "6,0.12", "1", "2,0.", "6,\N{LATIN SMALL LETTER E}"])
def test_half_a_row_at_the_end_is_not_there(tmp_path, half):
    """A killed writer may leave the beginning of "16" or of "0.25"."""
    path = tmp_path / "steps.csv"
    write(path, ROWS)
    with path.open("a", newline="") as file:
        file.write(half)
    assert read_history(path)["step"].tolist() == [1, 2, 3, 4, 5]
    write(path, [], keep_until=9)
    assert read_history(path)["step"].tolist() == [1, 2, 3, 4, 5]


def test_what_is_empty_is_not_a_number(tmp_path):
    path = tmp_path / "epochs.csv"
    write(path, [{"step": 1, "score": 0.5}, {"step": 2}, {"step": 3, "score": 0.75, "extra": 1}])
    assert np.isnan(read_history(path)["score"]).tolist() == [False, True, False]
    assert list(read_history(path)) == ["step", "score"]


def test_a_history_without_rows_has_no_columns(tmp_path):
    write(tmp_path / "steps.csv", [])
    assert read_history(tmp_path / "steps.csv") == {}


def test_a_missing_history_is_asked_about(tmp_path):
    with pytest.raises(InvalidInputError, match=r"steps\.csv does not exist.*run folder"):
        read_history(tmp_path / "steps.csv")
