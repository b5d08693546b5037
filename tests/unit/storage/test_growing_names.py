"""Claims about tables with names that grow while they are read."""

from __future__ import annotations

import csv

import numpy as np

from napari_gland_mtl.storage.growing_names import NamedGrowingTable

NAMES = ("plain", "with, comma", 'with "quotes"', "slide/area 1", "Gewebe äöü \u2028 x")


def append(path, epoch, names=NAMES):
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["epoch", "image", "topology"])
        for place, name in enumerate(names):
            writer.writerow([epoch, name, epoch + place / 10 if place else ""])


def read(path):
    table = NamedGrowingTable(path, "image")
    table.poll_all()
    return table


def test_names_come_back_whatever_is_in_them(tmp_path):
    append(tmp_path / "images.csv", 1)
    named = read(tmp_path / "images.csv").named
    assert named.names == NAMES
    assert named.columns["image"].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(named.columns["topology"], [np.nan, 1.1, 1.2, 1.3, 1.4])


def test_it_follows_a_growing_file_piece_by_piece(tmp_path):
    path = tmp_path / "images.csv"
    table = NamedGrowingTable(path, "image")
    assert not table.poll()
    for epoch in range(1, 6):
        append(path, epoch, NAMES if epoch % 2 else NAMES[::-1])
        while table.poll(40) or not table.caught_up:
            pass
    before = table.named
    append(path, 6, ("late",))
    table.poll_all()
    whole = read(path).named
    assert table.named.names == whole.names == (*NAMES, "late")
    for name, values in whole.columns.items():
        np.testing.assert_array_equal(table.named.columns[name], values)
    # What was given before did not change.
    assert before.names == NAMES
    assert len(before.columns["epoch"]) == 25


def test_a_file_that_was_written_anew_is_read_anew(tmp_path):
    path = tmp_path / "images.csv"
    append(path, 1)
    table = read(path)
    path.unlink()
    append(path, 7, ("other",))
    table.poll_all()
    assert table.named.names == ("other",)
    assert table.named.columns["epoch"].tolist() == [7]
    assert table.named.columns["image"].tolist() == [0]


def test_half_a_row_and_broken_rows_do_no_harm(tmp_path):
    path = tmp_path / "images.csv"
    append(path, 1, ("a", "b"))
    with path.open("a", encoding="utf-8") as file:
        file.write('2,c\n3,"d",word\n4,half')
    named = read(path).named
    assert named.names == ("a", "b", "d")
    assert named.columns["epoch"].tolist() == [1, 1, 3]
    assert np.isnan(named.columns["topology"][2])
