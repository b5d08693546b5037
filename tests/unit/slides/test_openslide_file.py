"""What OpenSlide reads is opened through it, and missed by name where it is not installed."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openslide
import pytest

from napari_gland_mtl.errors import (
    InvalidInputError,
    MissingExtraError,
    UnreadableImageError,
    UnsupportedImageError,
)
from napari_gland_mtl.slides import open_slide
from napari_gland_mtl.slides.openslide_file import OpenSlideSlide


@pytest.fixture(scope="module")
def image(slide_files):
    return slide_files.smooth(640, 1280)


@pytest.fixture(scope="module")
def vms(tmp_path_factory, slide_files, image):
    return slide_files.vms(tmp_path_factory.mktemp("vms"), image)


def pixels(path, level, x, y, width, height, scale):
    with openslide.OpenSlide(path) as slide:
        region = slide.read_region((x * scale, y * scale), level, (width, height))
    return np.asarray(region)[:, :, :3]


def test_windows_of_every_level_are_those_of_openslide(vms, image):
    with open_slide(vms) as slide:
        assert (slide.vendor, slide.format, slide.name) == ("Hamamatsu", "VMS", "case")
        assert slide.mpp == pytest.approx(0.46)
        assert [level.downsample for level in slide.levels[:3]] == [1, 2, 4]
        assert np.abs(slide.read().astype(int) - image).max() < 12
        window = slide.read_region(1, 100, 200, 90, 400)
        assert np.array_equal(window, pixels(vms, 1, 200, 100, 400, 90, 2))
        assert slide.associated["macro"].shape == (16, 1280, 3)


def test_a_window_shows_the_same_pixels_whatever_its_corner(vms):
    with open_slide(vms) as slide:
        whole = slide.read(2)
        for y, x in [(0, 0), (3, 5), (41, 77), (100, 201)]:
            part = slide.read_region(2, y, x, 60, 100)
            assert np.array_equal(part, whole[y : y + 60, x : x + 100])


def test_threads_read_the_same_pixels_as_one(vms):
    corners = [(int(y), int(x)) for y, x in np.random.default_rng(0).integers(0, 500, (40, 2))]
    with open_slide(vms) as slide, ThreadPoolExecutor(4) as pool:
        whole = slide.read()
        for (y, x), part in zip(
            corners, pool.map(lambda c: slide.read_region(0, *c, 64, 64), corners), strict=True
        ):
            assert np.array_equal(part, whole[y : y + 64, x : x + 64])


PROPERTIES = {
    "openslide.vendor": "mirax",
    "openslide.bounds-x": "100",
    "openslide.bounds-y": "50",
    "openslide.bounds-width": "700",
    "openslide.bounds-height": "9999",
    "openslide.background-color": "F0E0D0",
    "openslide.objective-power": "20",
    "openslide.level[0].tile-width": "200",
    "openslide.level[0].tile-height": "200",
}


class Fake:
    """Stands in for an open OpenSlide: what real files of odd kinds say of themselves."""

    level_dimensions = ((1000, 800), (250, 200))
    level_downsamples = (1.0, 4.0)

    def __init__(self, path, failing=()):
        self.failing = set(failing)
        self.broken = self.closed = False
        self.associated_images = {}
        self.properties = dict(PROPERTIES)

    def read_region(self, corner, level, size):
        if self.broken or corner in self.failing:
            self.broken = True
            raise openslide.OpenSlideError("bad tile")
        rgba = np.zeros((size[1], size[0], 4), np.uint8)
        rgba[: size[1] // 2] = (10, 20, 30, 255)
        return rgba

    def close(self):
        self.closed = True


@pytest.fixture
def fake(tmp_path, monkeypatch):
    path = tmp_path / "a.mrxs"
    path.write_bytes(b"MRXS")
    opened = []

    def make(found):
        opened.append(Fake(found, failing={(600, 0)}))
        return opened[-1]

    monkeypatch.setattr(openslide, "OpenSlide", make)
    return path, opened


def test_bounds_background_and_size_come_from_openslide(fake):
    path, _ = fake
    with open_slide(path) as slide:
        assert (slide.vendor, slide.format) == ("3DHISTECH", "MIRAX")
        assert slide.bounds == (50, 100, 800, 800)
        assert slide.mpp is None
        assert "20x" in slide.mpp_note
        assert slide.tile_shape(0) == (600, 600)
        assert slide.tile_shape(1) == (512, 512)
        tile = slide.read_region(0, 0, 0, 600, 600)
    assert np.unique(tile[:300].reshape(-1, 3), axis=0).tolist() == [[10, 20, 30]]
    assert np.unique(tile[300:].reshape(-1, 3), axis=0).tolist() == [[0xF0, 0xE0, 0xD0]]


@pytest.mark.parametrize("color", ["000000", "10F0F0", "nonsense", ""])
def test_empty_glass_is_never_dark(fake, monkeypatch, color):
    monkeypatch.setitem(PROPERTIES, "openslide.background-color", color)
    with open_slide(fake[0]) as slide:
        assert slide.read_region(0, 400, 0, 10, 10).min() == 255


def test_after_a_damaged_tile_the_others_are_still_read(fake):
    path, opened = fake
    with open_slide(path) as slide:
        with pytest.raises(UnreadableImageError, match=r"at tile 0, 1 of level 0 \(bad tile\)"):
            slide.read_region(0, 0, 700, 10, 10)
        assert slide.read_region(0, 0, 0, 10, 10).shape == (10, 10, 3)
    assert [handle.closed for handle in opened] == [True, True]


def test_a_closed_slide_says_so_and_a_read_under_way_ends(fake, monkeypatch):
    path, opened = fake
    slide = open_slide(path)
    reading, go_on, done = threading.Event(), threading.Event(), []
    read_region = Fake.read_region

    def slow(self, *arguments):
        reading.set()
        go_on.wait(5)
        assert not self.closed, "closed while it was read"
        return read_region(self, *arguments)

    monkeypatch.setattr(Fake, "read_region", slow)
    thread = threading.Thread(target=lambda: done.append(slide.read_region(0, 0, 0, 9, 9)))
    thread.start()
    reading.wait(5)
    slide.close()
    go_on.set()
    thread.join(5)
    assert done[0].shape == (9, 9, 3)
    assert opened[0].closed
    with pytest.raises(InvalidInputError, match="was closed"):
        slide.read()


# ------------------------------------------------------------------ recognised without it

DICOM = bytes(128) + b"DICM" + bytes(200)
RECOGNISED = [
    ("a.mrxs", b"\xff\xd8\xff\xe0 a small picture", "a MIRAX slide"),
    ("a.vms", b"[Virtual Microscope Specimen]\r\nNoLayers=1\r\n", "a Hamamatsu VMS slide"),
    ("a.vmu", b"[Uncompressed Virtual Microscope Specimen]\n", "a Hamamatsu VMS slide"),
    ("a", DICOM, "a DICOM slide"),
    ("a.svslide", b"SQLite format 3\0" + bytes(90), "a Sakura slide"),
    ("a.czi", b"ZISRAWFILE" + bytes(90), "a Zeiss CZI"),
]


@pytest.mark.parametrize(("name", "content", "kind"), RECOGNISED)
def test_without_openslide_the_extra_is_named(tmp_path, monkeypatch, name, content, kind):
    path = tmp_path / name
    path.write_bytes(content)
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(MissingExtraError) as caught:
        open_slide(path)
    assert f"{path} is {kind}" in str(caught.value)
    assert "pip install 'napari-gland-mtl[openslide]'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "content", "kind"), RECOGNISED)
def test_with_openslide_a_damaged_one_says_so(tmp_path, name, content, kind):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError) as caught:
        open_slide(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_overlapping_tiles_without_openslide_name_the_extra(tmp_path, slide_files, monkeypatch):
    path = slide_files.bif(tmp_path / "a.bif", slide_files.smooth(128, 128), 8)
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(MissingExtraError, match=r"tiles overlap.*\[openslide\]"):
        open_slide(path)


def test_other_files_need_no_openslide(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openslide", None)
    (tmp_path / "a.txt").write_text("notes")
    with pytest.raises(UnreadableImageError, match="no image of a known kind"):
        open_slide(tmp_path / "a.txt")


def test_a_folder_with_a_dicom_slide_is_opened_by_its_first_file(tmp_path, monkeypatch):
    (tmp_path / "0readme.txt").write_text("notes")
    (tmp_path / "b.dcm").write_bytes(DICOM)
    opened = []
    monkeypatch.setattr(
        OpenSlideSlide, "__init__", lambda self, path, *rest: opened.append((path, *rest))
    )
    monkeypatch.setattr(OpenSlideSlide, "close", lambda self: None)
    open_slide(tmp_path)
    assert opened[0][0] == tmp_path / "b.dcm"
    assert opened[0][1] == tmp_path.name


def test_what_only_philips_reads_is_refused_with_a_cure(tmp_path):
    path = tmp_path / "a.isyntax"
    path.write_bytes(b'<DataObject ObjectType="DPUfsImport">' + bytes(300))
    with pytest.raises(UnsupportedImageError, match="Export it as TIFF"):
        open_slide(path)
