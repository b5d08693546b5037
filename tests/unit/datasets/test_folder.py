"""Folders of images and masks: layouts, classes, pixel sizes, and every complaint."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_gland_mtl.datasets import open_dataset
from napari_gland_mtl.errors import (
    DatasetError,
    InvalidInputError,
    MissingPixelSizeError,
    UnreadableImageError,
)
from napari_gland_mtl.metrics import count_violations
from napari_gland_mtl.regions import Region, RegionHierarchy


@pytest.fixture
def class_folders(tmp_path, discs, stained, write):
    """Three classes as subfolders, grey masks with blurred edges, one name there twice."""
    root = tmp_path / "classes"
    for kind in ("Normal", "Polyp", "Serrated adenoma"):
        for name in ("one", f"{kind[0]}_2"):
            mask = discs((64, 64), (20, 20, 13), (42, 44, 14))
            big = Image.fromarray((mask > 0).astype(np.uint8) * 255).resize((192, 192))
            grey = np.asarray(big.resize((64, 64), Image.Resampling.BILINEAR))
            write(root / kind / "image" / f"{name}.png", stained(mask))
            write(root / kind / "label" / f"{name}.png", grey)
    return root


def test_images_and_masks_are_paired_by_name(folder):
    data = open_dataset(folder)
    assert data.names == ("a", "b", "c")
    assert data.classes == ()
    assert "instance masks" in data.description
    for sample in data:
        assert sample.mpp == 1.5
        assert (sample.class_index, sample.patient) == (-1, None)
        assert set(np.unique(sample.instances)) == {0, 1, 2}
        assert set(np.unique(sample.regions)) == {1, 2, 3}
        assert count_violations(sample.regions, sample.instances).total == 0


@pytest.mark.parametrize(
    ("images", "masks"), [("image", "label"), ("Images", "Labels"), ("img", "mask")]
)
def test_other_names_of_the_folders_are_known(folder, images, masks):
    (folder / "images").rename(folder / images)
    (folder / "masks").rename(folder / masks)
    assert len(open_dataset(folder)) == 3


def test_hidden_files_and_texts_are_no_images(folder):
    for name in ("._a.tif", ".DS_Store", "Thumbs.db", "readme.txt"):
        (folder / "images" / name).write_bytes(b"?")
    assert open_dataset(folder).names == ("a", "b", "c")


def test_masks_without_an_image_are_left_out_and_said(folder, write):
    write(folder / "masks" / "z.png", np.zeros((5, 5), np.uint8))
    data = open_dataset(folder)
    assert data.names == ("a", "b", "c")
    assert "1 masks without an image" in data.description


def test_class_subfolders_name_the_classes(class_folders):
    data = open_dataset(class_folders, mpp=1.2)
    assert data.classes == ("Normal", "Polyp", "Serrated adenoma")
    assert "binary masks" in data.description
    assert "Polyp 2" in data.description
    assert len(set(data.names)) == 6
    assert data.names[:2] == ("N_2", "Normal/one")
    assert [record.class_index for record in data.records] == [0, 0, 1, 1, 2, 2]
    assert set(np.unique(data[0].instances)) == {0, 1, 2}


def test_table_overrules_the_folder_names(class_folders):
    (class_folders / "labels.csv").write_text(
        "Image;Class;Patient\r\nN_2.png; benign; p1\r\nPolyp\\image\\one.png;malignant;p2\r\n",
        "utf-8-sig",
    )
    data = open_dataset(class_folders, mpp=1.2)
    assert data.classes == ("benign", "malignant")
    found = {r.name: (r.class_index, r.patient) for r in data.records}
    assert found["N_2"] == (0, "p1")
    assert found["Polyp/one"] == (1, "p2")
    assert found["Normal/one"] == (-1, None)
    assert "unknown 4" in data.description


def test_table_that_names_other_images_is_refused(folder):
    table = folder / "labels.csv"
    table.write_text("image,class\nx,benign\n")
    with pytest.raises(DatasetError, match="None of the names"):
        open_dataset(folder)
    table.write_text("image,class\na,benign\nx,benign\n")
    assert "1 lines of labels.csv name no image" in open_dataset(folder).description


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,kind\na,b\n", "no column 'image'"),
        ("", "found: nothing"),
        ("image,class\na,benign\na.tif,malignant\n", "line 3.*twice"),
    ],
)
def test_bad_table_is_refused(folder, text, message):
    (folder / "labels.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        open_dataset(folder)


def test_parts_are_chosen_by_split(folder, tmp_path):
    root = tmp_path / "parts"
    root.mkdir()
    folder.rename(root / "train")
    assert len(open_dataset(root, split="train")) == 3
    with pytest.raises(DatasetError, match="--split"):
        open_dataset(root)
    with pytest.raises(DatasetError, match="no part 'test'"):
        open_dataset(root, split="test")


def test_missing_pixel_size_names_the_option(folder, class_folders):
    with pytest.raises(MissingPixelSizeError, match=r"N_2\.png.* 5 more.*--mpp"):
        open_dataset(class_folders)
    assert open_dataset(folder, mpp=0.8)[0].mpp == 0.8
    with pytest.raises(InvalidInputError, match="not possible"):
        open_dataset(folder, mpp=-1.0)


def test_region_masks_are_read_as_they_are(folder, write):
    for path in (folder / "masks").iterdir():
        regions = np.ones((60, 70), np.uint8)
        regions[10:40, 10:50] = 2
        regions[15:30, 15:40] = 3
        regions[:3] = 0
        write(path, regions)
    data = open_dataset(folder)
    assert "region masks" in data.description
    sample = data[0]
    assert sample.instances is None
    assert np.bincount(sample.regions.ravel()).tolist() == [210, 2790, 825, 375]


def test_regions_of_ones_own_need_region_masks(folder):
    own = RegionHierarchy(
        regions=(Region(name="rest"), Region(name="gland")), gland="gland", background="rest"
    )
    sample = open_dataset(folder, hierarchy=own)[0]
    assert sample.instances is None
    assert set(np.unique(sample.regions)) == {0, 1, 2}
    with pytest.raises(DatasetError, match="must be regions"):
        open_dataset(folder, hierarchy=own, masks="binary")


def test_empty_and_unknown_folders_are_refused(tmp_path, folder):
    with pytest.raises(DatasetError, match="There is no folder"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="is a file"):
        open_dataset(folder / "masks" / "a.png")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DatasetError, match=r"looked for images/ and masks/.*found nothing"):
        open_dataset(empty)
    (empty / "images").mkdir()
    with pytest.raises(DatasetError, match="no folder of masks"):
        open_dataset(empty)
    (empty / "masks").mkdir()
    with pytest.raises(DatasetError, match="holds no image"):
        open_dataset(empty)


def test_ambiguous_files_are_refused(folder, write):
    write(folder / "images" / "a.png", np.zeros((60, 70, 3), np.uint8))
    with pytest.raises(DatasetError, match="same name"):
        open_dataset(folder)
    (folder / "images" / "a.png").unlink()
    (folder / "labels").mkdir()
    with pytest.raises(DatasetError, match="labels/ and masks/"):
        open_dataset(folder)


def test_missing_mask_is_named(folder):
    (folder / "masks" / "b.png").unlink()
    with pytest.raises(DatasetError, match=r"b\.tif has no mask: expected masks/b\.png"):
        open_dataset(folder)


def test_mask_of_the_wrong_size_names_both_sizes(folder, write):
    write(folder / "masks" / "b.png", np.zeros((60, 71), np.uint8))
    with pytest.raises(DatasetError, match=r"b\.png is 71 x 60 px, its image b\.tif 70 x 60"):
        open_dataset(folder)


@pytest.mark.parametrize("part", ["images/b.tif", "masks/b.png"])
def test_damaged_file_is_named(folder, part):
    path = folder / part
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UnreadableImageError, match=path.name):
        open_dataset(folder)


def test_colour_picture_is_no_mask(folder, stained, discs, write):
    write(folder / "masks" / "b.png", stained(discs((60, 70), (20, 20, 10))))
    with pytest.raises(UnreadableImageError, match=r"b\.png is a colour picture"):
        open_dataset(folder)


def test_nothing_is_decoded_that_need_not_be(folder, monkeypatch):
    from napari_gland_mtl.slides.slide import Slide

    def refuse(self, *_):
        raise AssertionError("an image was read")

    monkeypatch.setattr(Slide, "read", refuse)
    data = open_dataset(folder)
    with pytest.raises(AssertionError):
        data[0]
