"""Files are opened by what they hold; what is no image gets one line that says so."""

import numpy as np
import pytest
from PIL import Image

from napari_gland_mtl.errors import InvalidInputError, UnreadableImageError
from napari_gland_mtl.slides import is_slide_path, open_slide
from napari_gland_mtl.slides.formats import slide_name

PIXELS = np.full((6, 8, 3), 200, np.uint8)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("notes.tif", b"Only some notes about the slide.", "no image of a known kind"),
        ("notes.png", b"\x00" * 100, "no image of a known kind"),
        ("empty.tif", b"", "is empty"),
        ("head.tif", b"II*\x00", "damaged or incomplete"),
        ("head.png", b"\x89PNG\r\n\x1a\n", "damaged"),
        ("head.jpg", b"\xff\xd8\xff\xe0", "damaged"),
    ],
)
def test_files_that_are_no_images_get_one_line(tmp_path, name, content, complaint):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=complaint) as caught:
        open_slide(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_plain_folders_get_one_line(tmp_path):
    with pytest.raises(UnreadableImageError, match="There is no file"):
        open_slide(tmp_path / "missing.tif")
    with pytest.raises(UnreadableImageError, match="a folder, and neither an OME-Zarr"):
        open_slide(tmp_path)
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(UnreadableImageError, match="cannot be read"):
        open_slide(file / "below.tif")


def test_a_png_called_tif_opens_as_what_it_is(tmp_path):
    path = tmp_path / "field.tif"
    Image.fromarray(PIXELS).save(path, format="PNG")
    with open_slide(path) as slide:
        assert slide.format == "PNG"


def test_the_users_pixel_size_takes_the_place_of_the_files(tmp_path):
    path = tmp_path / "field.png"
    Image.fromarray(PIXELS).save(path, dpi=(50800, 50800))
    with open_slide(path, mpp=0.25) as slide:
        assert slide.mpp == slide.levels[0].mpp == 0.25
        assert slide.mpp_note is None
    for impossible in (0.0, -1.0, float("nan"), 300.0):
        with pytest.raises(InvalidInputError, match="micrometres per pixel"):
            open_slide(path, mpp=impossible)


@pytest.mark.parametrize(
    "window",
    [(1, 0, 0, 1, 1), (-1, 0, 0, 1, 1), (0, -1, 0, 2, 2), (0, 0, 5, 6, 4), (0, 0, 0, 0, 3)],
)
def test_windows_must_lie_inside(tmp_path, window):
    path = tmp_path / "field.png"
    Image.fromarray(PIXELS).save(path)
    with open_slide(path) as slide, pytest.raises(InvalidInputError):
        slide.read_region(*window)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.ome.tif", "a"),
        ("a.OME.TIFF", "a"),
        ("a.b.tif", "a.b"),
        ("a.ome.zarr", "a"),
        ("a.svs", "a"),
        ("a.NDPI", "a"),
        ("a.mrxs", "a"),
        ("a.qptiff", "a"),
        ("a.jpeg", "a"),
        ("a.czi", "a"),
        ("a.xyz", "a"),
    ],
)
def test_names_lose_their_endings(name, stem):
    assert slide_name(f"folder/{name}") == stem


def test_paths_are_told_by_their_ending():
    assert is_slide_path("A.TIF")
    assert all(is_slide_path(f"a.{ending}") for ending in ("svs", "ndpi", "scn", "bif", "mrxs"))
    assert is_slide_path("a.ome.zarr")
    assert not is_slide_path("a.annotations.zarr")
    assert not is_slide_path("a.csv")
    assert not is_slide_path("tif")


def test_threads_change_speed_and_no_pixels(tmp_path, slide_files):
    image = slide_files.smooth(200, 300)
    path = slide_files.svs(tmp_path / "a.svs", image)
    with open_slide(path) as one, open_slide(path, threads=3) as three:
        assert (one.threads, three.threads) == (1, 3)
        assert np.array_equal(one.read(), three.read())


def test_damage_is_looked_for_where_that_is_cheap(tmp_path):
    path = tmp_path / "field.png"
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    with open_slide(path) as slide:
        slide.check()
    path.write_bytes(path.read_bytes()[:6000])
    with open_slide(path) as slide, pytest.raises(UnreadableImageError, match="damaged"):
        slide.check()
