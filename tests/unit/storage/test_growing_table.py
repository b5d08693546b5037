"""Claims about tables that grow while they are read: nothing is lost, nothing is read twice."""

from __future__ import annotations

import csv
import io
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gland_mtl.storage.growing_table import GrowingTable


def by_the_book(text: str) -> dict[str, list[float]]:
    """The oracle: the csv module on the whole lines, cell by cell."""
    rows = list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))
    return {name: [float(row[name] or "nan") for row in rows] for name in (rows[0] if rows else ())}


def same(columns, expected):
    return list(columns) == list(expected) and all(
        np.array_equal(columns[name], expected[name], equal_nan=True) for name in expected
    )


cells = st.one_of(st.floats(allow_infinity=False, width=64), st.integers(-9, 10**6), st.just(""))
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), max_size=30)
)


@settings(max_examples=60, deadline=None)
@given(
    table=tables.filter(lambda rows: not rows or len(rows[0]) > 1),
    cuts=st.lists(st.integers(0, 3000), max_size=8),
    limit=st.integers(1, 300),
)
def test_however_it_grows_the_columns_are_those_of_the_whole(tmp_path_factory, table, cuts, limit):
    path = tmp_path_factory.mktemp("grows") / "steps.csv"
    width = len(table[0]) if table else 2
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow([f"c{i}" for i in range(width)])
    writer.writerows([["nan" if v != v else v for v in row] for row in table])
    text = stream.getvalue()
    found = GrowingTable(path)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    for start, end in itertools.pairwise(places):
        with path.open("a", newline="") as file:
            file.write(text[start:end])
        found.poll(limit)
        while not found.caught_up:
            found.poll(limit)
        assert same(found.columns, by_the_book(text[:end]))


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "steps.csv"


def test_what_has_not_changed_is_not_read_again(path, monkeypatch):
    path.write_text("step,loss\n1,0.5\n")
    table = GrowingTable(path)
    assert table.poll()
    read = []
    monkeypatch.setattr(GrowingTable, "_read", lambda self, limit: read.append(1) or b"")
    assert not table.poll()
    assert read == []
    with path.open("a") as file:
        file.write("2,0.25\n")
    table.poll()
    assert read == [1]


def test_only_the_new_rows_are_read(path):
    path.write_text("step,loss\n" + "".join(f"{i},{i / 2}\n" for i in range(5000)))
    table = GrowingTable(path)
    table.poll_all()
    with path.open("a") as file:
        file.write("5000,1.5\n")
    # A limit that is far too small for the whole file is enough for a row.
    assert table.poll(64)
    assert table.caught_up
    assert table.columns["step"][-1] == 5000
    assert len(table.columns["step"]) == 5001


def test_a_file_written_anew_is_read_from_its_beginning(path):
    path.write_text("step,loss\n1,0.5\n2,0.4\n3,0.3\n")
    table = GrowingTable(path)
    table.poll_all()
    path.write_text("step,loss\n1,0.5\n2,0.9\n3,0.8\n4,0.7\n")
    assert table.poll()
    assert table.columns["loss"].tolist() == [0.5, 0.9, 0.8, 0.7]


def test_rows_that_a_resumed_training_drops_are_gone(path):
    path.write_text("step,loss\n1,0.5\n2,0.4\n3,0.3\n")
    table = GrowingTable(path)
    table.poll_all()
    path.write_text("step,loss\n1,0.5\n")
    assert table.poll()
    assert table.columns["step"].tolist() == [1]


def test_columns_that_were_given_out_do_not_change(path):
    """Another thread may be drawing them."""
    path.write_text("step,loss\n1,0.5\n")
    table = GrowingTable(path)
    table.poll()
    before = table.columns
    path.write_text("step,loss\n7,7\n8,8\n")
    table.poll()
    assert before["loss"].tolist() == [0.5]
    assert table.columns["loss"].tolist() == [7, 8]


def test_a_file_that_is_not_there_yet_has_no_columns(path):
    table = GrowingTable(path)
    assert not table.poll()
    assert table.caught_up
    assert table.columns == {}
    path.write_text("step,loss\n1,0.5\n")
    assert table.poll()
    assert table.columns["loss"].tolist() == [0.5]


def test_words_are_not_numbers_and_broken_rows_are_left_out(path):
    path.write_text("step,loss\n1,0.5\n2,hot\n3\n4,0.1,9\n5,0.2\n")
    table = GrowingTable(path)
    table.poll_all()
    assert table.columns["step"].tolist() == [1, 2, 5]
    assert math.isnan(table.columns["loss"][1])


def test_a_row_longer_than_a_piece_is_read(path):
    path.write_text("step,loss\n1," + "0." + "5" * 500 + "\n")
    table = GrowingTable(path)
    while not table.caught_up:
        table.poll(16)
    assert table.columns["loss"][0] == pytest.approx(5 / 9)
