"""Claims about the pictures of a batch: glands in their place and colour, whatever the sizes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_gland_mtl.errors import UnreadableImageError
from napari_gland_mtl.export.slide_store import SlideStore, StoreLayout
from napari_gland_mtl.export.thumbnails import (
    CLASS_COLORS,
    OPACITY,
    UNKNOWN_CLASS_COLOR,
    gland_colors,
    thumbnail,
    write_thumbnail,
)

GREY = 200
CLASSES = ("benign", "malignant")


def rgb(color):
    return np.array(list(bytes.fromhex(color[1:])))


def table(**columns):
    return {name: np.asarray(values) for name, values in columns.items()}


GLANDS = table(
    label=np.array([1, 2, 3], np.int32),
    benign_probability=[0.9, 0.2, np.nan],
    malignant_probability=[0.1, 0.8, np.nan],
)


@pytest.fixture
def store(tmp_path):
    """A slide of 6000 x 8000 px at 0.5 um, labelled at 1 um, with a picture 8 times smaller."""
    layout = StoreLayout(
        shape=(3000, 4000),
        mpp=1.0,
        slide_shape=(6000, 8000),
        slide_mpp=0.5,
        tile=512,
        classes=CLASSES,
    )
    picture = np.full((750, 1000, 3), GREY, np.uint8)
    made = SlideStore.create(tmp_path / "a.ome.zarr", layout, {}, picture, 8.0)
    glands = np.zeros((1024, 1024), np.int32)
    glands[100:300, 100:500] = 1
    glands[512:812, 512:912] = 2
    made.write_block((1024, 1024, 2048, 2048), (glands > 0).astype(np.uint8), glands)
    return made


def test_glands_lie_where_they_are_in_the_colour_of_their_class(store):
    picture = thumbnail(store.path, gland_colors([GLANDS], CLASSES), side=400)
    assert picture.shape == (300, 400, 3)
    expected = np.full((300, 400, 3), float(GREY))
    for color, rows, columns in (
        (CLASS_COLORS[0], (1124, 1324), (1124, 1524)),
        (CLASS_COLORS[1], (1536, 1836), (1536, 1936)),
    ):
        (y0, y1), (x0, x1) = ((round(v / 10) for v in span) for span in (rows, columns))
        expected[y0:y1, x0:x1] = (1 - OPACITY) * GREY + OPACITY * rgb(color)
    off = np.abs(picture - expected).max(axis=2) > 2
    assert off.sum() < 250  # edges may be off by a pixel
    inner = np.abs(picture[115:130, 115:150] - expected[115:130, 115:150])
    assert inner.max() <= 1


def test_a_small_picture_is_not_enlarged(store):
    assert thumbnail(store.path, gland_colors([GLANDS], CLASSES), side=4000).shape[:2] == (
        750,
        1000,
    )


def test_colours_follow_the_likeliest_class_over_all_parts_of_the_table():
    more = table(label=[5], benign_probability=[0.4], malignant_probability=[0.6])
    colors = gland_colors([GLANDS, more], CLASSES)
    expected = [UNKNOWN_CLASS_COLOR, *CLASS_COLORS[:2], UNKNOWN_CLASS_COLOR]
    expected += [UNKNOWN_CLASS_COLOR, CLASS_COLORS[1]]
    assert [tuple(color) for color in colors] == [tuple(rgb(color)) for color in expected]


def test_a_table_without_glands_or_classes_is_no_trouble():
    assert len(gland_colors([table(label=np.empty(0, np.int32))], CLASSES)) == 1
    assert len(gland_colors([table(label=[4])], CLASSES)) == 5


def test_the_picture_is_a_file_that_any_browser_shows(store, tmp_path):
    path = tmp_path / "pictures" / "a.jpg"
    for _ in range(2):  # a second time replaces it
        write_thumbnail(path, store.path, [GLANDS], CLASSES)
    with Image.open(path) as image:
        assert (image.format, image.size) == ("JPEG", (512, 384))
    assert [entry.name for entry in path.parent.iterdir()] == ["a.jpg"]


def test_a_folder_that_is_no_store_is_said(tmp_path):
    with pytest.raises(UnreadableImageError, match="damaged"):
        write_thumbnail(tmp_path / "a.jpg", tmp_path, [GLANDS], CLASSES)
    assert not (tmp_path / "a.jpg").exists()
