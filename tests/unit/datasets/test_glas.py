"""GlaS as it is downloaded, with everything that is odd about it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_gland_mtl.datasets import open_dataset, open_glas
from napari_gland_mtl.datasets.glas import GLAS_MPP, read_grades
from napari_gland_mtl.errors import DatasetError, InvalidInputError, UnreadableImageError
from napari_gland_mtl.metrics import count_violations

HEADER = "name,patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)"
GRADES = {
    "train_1": ("2", "malignant", "moderately differentiated"),
    "train_2": ("5", "benign", "adenomatous"),
    "train_10": ("2", "malignant", "poorly differentiated"),
    "testA_1": ("7", "benign", "healthy"),
    "testB_1": ("8", "malignant", "moderately differentiated"),
}


@pytest.fixture
def glas(tmp_path, discs, stained, write):
    """Five images of different sizes; train_2 has specks, testA_1 a binary mask."""
    root = tmp_path / "Warwick QU"
    for number, name in enumerate(GRADES):
        mask = discs((80 + number, 120), (30, 30, 26), (45, 88, 27))
        write(root / f"{name}.bmp", stained(mask))
        if name == "train_2":
            mask[70, 5:10] = 9
            mask[0:2, 119] = 1
        write(root / f"{name}_anno.bmp", np.minimum(mask, 1) if name == "testA_1" else mask)
    lines = [HEADER, *(f"{name},{', '.join(cells)}" for name, cells in GRADES.items())]
    (root / "Grade.csv").write_bytes("\r".join(lines).encode())
    return root


def test_classes_and_patients_come_from_a_table_with_cr_and_spaces(glas):
    data = open_dataset(glas)
    assert data.names == ("testA_1", "testB_1", "train_1", "train_2", "train_10")
    found = {r.name: (r.patient, data.classes[r.class_index]) for r in data.records}
    assert found == {name: (patient, kind) for name, (patient, kind, _) in GRADES.items()}
    assert {record.mpp for record in data.records} == {GLAS_MPP}


def test_sizes_differ_and_the_regions_respect_the_topology(glas):
    samples = list(open_glas(glas))
    assert len({sample.image.shape for sample in samples}) == 5
    for sample in samples:
        assert sample.image.shape[:2] == sample.regions.shape == sample.instances.shape
        assert set(np.unique(sample.regions)) == {1, 2, 3}
        assert count_violations(sample.regions, sample.instances).total == 0


def test_specks_are_no_glands(glas):
    instances = open_glas(glas)[3].instances
    assert set(np.unique(instances)) == {0, 1, 2}
    assert instances[70, 5] == 0
    assert instances[0, 119] == 0
    assert instances[20, 20] == 1


def test_binary_mask_becomes_instances(glas):
    instances = open_glas(glas, "testA")[0].instances
    assert instances[20, 20] != instances[45, 88]
    assert set(np.unique(instances)) == {0, 1, 2}


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", ("train_1", "train_2", "train_10")),
        ("testB", ("testB_1",)),
        ("test", ("testA_1", "testB_1")),
    ],
)
def test_split_is_the_beginning_of_the_name(glas, split, names):
    assert open_dataset(glas, split=split).names == names


def test_unknown_split_is_named(glas):
    with pytest.raises(DatasetError, match="testA, testB and test, not 'valid'"):
        open_dataset(glas, split="valid")


def test_given_pixel_size_is_taken(glas):
    assert open_dataset(glas, mpp=1.24)[0].mpp == 1.24
    with pytest.raises(InvalidInputError, match="not possible"):
        open_dataset(glas, mpp=300.0)


def test_without_grades_the_classes_are_unknown(glas):
    (glas / "Grade.csv").unlink()
    records = open_dataset(glas).records
    assert {(record.class_index, record.patient) for record in records} == {(-1, None)}


def test_missing_mask_is_named(glas):
    (glas / "train_10_anno.bmp").unlink()
    with pytest.raises(DatasetError, match=r"train_10_anno\.bmp"):
        open_dataset(glas)
    assert len(open_dataset(glas, split="test")) == 2


def test_mask_of_the_wrong_size_is_found_when_opened(glas, write):
    write(glas / "train_1_anno.bmp", np.ones((10, 12), dtype=np.uint8))
    with pytest.raises(DatasetError, match=r"train_1_anno.bmp is 12 x 10 px.* 120 x 80 px"):
        open_dataset(glas)


def test_damaged_mask_is_named(glas):
    (glas / "train_1_anno.bmp").write_bytes(b"BM but no picture")
    with pytest.raises(UnreadableImageError, match=r"train_1_anno\.bmp"):
        open_dataset(glas)


@pytest.mark.parametrize("line", ["train_1,2", "train_1,2, unclear, ?"])
def test_unreadable_grade_names_its_line(tmp_path, line):
    path = tmp_path / "Grade.csv"
    path.write_bytes(f"{HEADER}\rtrain_2,5, benign, x\r{line}".encode())
    with pytest.raises(DatasetError, match="line 3"):
        read_grades(path)


def test_grades_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "Grade.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DatasetError, match=r"Grade\.csv"):
        read_grades(path)
