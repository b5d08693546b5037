"""The CSV has units in its header and appears complete or not at all."""

import numpy as np
import pytest

from napari_gland_mtl.errors import (
    InvalidInputError,
    OutputExistsError,
    OutputNotWritableError,
)
from napari_gland_mtl.export.tables import write_table

TABLE = {
    "label": np.array([1, 2], np.int32),
    "area_um2": np.array([1234.56789, 0.1]),
    "solidity": np.array([np.nan, 1 / 3], np.float32),
    "touches_border": np.array([True, False]),
}


def test_rows_and_units(tmp_path):
    write_table(tmp_path / "new" / "a.csv", TABLE)
    text = (tmp_path / "new" / "a.csv").read_text()
    assert text == (
        "label,area_um2,solidity,touches_border\n1,1234.568,,True\n2,0.1,0.3333333,False\n"
    )
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["a.csv"]


def test_a_table_without_glands_has_its_header(tmp_path):
    write_table(tmp_path / "a.csv", {name: column[:0] for name, column in TABLE.items()})
    assert (tmp_path / "a.csv").read_text() == ",".join(TABLE) + "\n"


def test_what_exists_stays_unless_told_otherwise(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("mine")
    with pytest.raises(OutputExistsError):
        write_table(path, TABLE)
    assert path.read_text() == "mine"
    write_table(path, TABLE, overwrite=True)
    assert path.read_text().startswith("label,")


def test_a_failure_leaves_the_old_table(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("mine")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OutputNotWritableError, match="No space left"):
        write_table(path, TABLE, overwrite=True)
    assert path.read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.csv"]


def test_columns_must_be_equally_long(tmp_path):
    with pytest.raises(InvalidInputError, match="equally long"):
        write_table(tmp_path / "a.csv", {"label": np.arange(2), "area_um2": np.arange(3)})
    assert not (tmp_path / "a.csv").exists()


def test_a_folder_of_that_name_is_not_touched(tmp_path):
    with pytest.raises(OutputExistsError, match="is a folder"):
        write_table(tmp_path, TABLE, overwrite=True)
