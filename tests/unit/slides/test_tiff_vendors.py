"""TIFFs as the makers of scanners write them open as OpenSlide opens them, pixel by pixel."""

import contextlib

import numpy as np
import openslide
import pytest
import tifffile

from napari_gland_mtl.errors import UnreadableImageError, UnsupportedImageError
from napari_gland_mtl.slides import open_slide


def through_openslide(path, level=0):
    with openslide.OpenSlide(path) as slide:
        size = slide.level_dimensions[level]
        rgba = np.asarray(slide.read_region((0, 0), level, size))
    return np.where(rgba[:, :, 3:] < 255, 255, rgba[:, :, :3])


@pytest.fixture(scope="module")
def image(slide_files):
    return slide_files.smooth(256, 384)


@pytest.mark.parametrize(
    ("kind", "name", "vendor", "format_", "mpp", "pictures"),
    [
        ("svs", "a.svs", "Aperio", "SVS", 0.499, {"thumbnail", "label", "macro"}),
        ("ndpi", "a.ndpi", "Hamamatsu", "NDPI", 0.46, {"macro", "map"}),
        ("philips", "a.tiff", "Philips", "Philips TIFF", 0.25, {"label", "macro"}),
        ("qptiff", "a.qptiff", "Akoya", "QPTIFF", 0.5, {"thumbnail", "label", "macro"}),
    ],
)
def test_every_make_opens_as_in_openslide(
    tmp_path, slide_files, image, kind, name, vendor, format_, mpp, pictures
):
    path = getattr(slide_files, kind)(tmp_path / name, image)
    with open_slide(path) as slide:
        assert (slide.vendor, slide.format, slide.bounds) == (vendor, format_, None)
        assert slide.mpp == pytest.approx(mpp, rel=1e-4)
        assert [(level.height, level.width) for level in slide.levels] == [(256, 384), (128, 192)]
        assert np.array_equal(slide.read(), through_openslide(path))
        if kind != "qptiff":  # OpenSlide finds no levels in these
            assert np.array_equal(slide.read(1), through_openslide(path, 1))
        assert np.abs(slide.read(1).astype(int) - slide_files.halved(image)).max() < 25
        assert set(slide.associated) == pictures
        with openslide.OpenSlide(path) as other:
            for picture, pixels in other.associated_images.items():
                assert np.array_equal(slide.associated[picture], np.asarray(pixels)[:, :, :3])


# ------------------------------------------------------------------ Aperio


def test_an_aperio_slide_of_one_level_has_its_pictures(tmp_path, slide_files, image):
    path = slide_files.svs(tmp_path / "a.svs", image, levels=1, pictures=False)
    with open_slide(path) as slide:
        assert len(slide.levels) == 1
        assert slide.associated["thumbnail"].shape == (40, 50, 3)
        assert "label" not in slide.associated


@pytest.mark.parametrize("mpp", ["0.005", "0", "nonsense", "1e3"])
def test_an_impossible_aperio_size_is_unknown(tmp_path, slide_files, image, mpp):
    text = f"Aperio Image Library v12\r\n|AppMag = 20|MPP = {mpp}"
    path = slide_files.svs(tmp_path / "a.svs", image, description=text)
    with open_slide(path) as slide:
        assert slide.mpp is None
        assert slide.mpp_note


def test_the_objective_is_mentioned_and_not_used(tmp_path, slide_files, image):
    text = "Aperio Image Library v12\r\n|AppMag = 20"
    path = slide_files.svs(tmp_path / "a.svs", image, description=text)
    with open_slide(path) as slide:
        assert slide.mpp is None
        assert "20x" in slide.mpp_note
        assert "0.5 um" in slide.mpp_note


# ------------------------------------------------------------------ Hamamatsu


def test_hamamatsu_tiles_are_the_parts_between_restart_markers(tmp_path, slide_files, image):
    with open_slide(slide_files.ndpi(tmp_path / "a.ndpi", image)) as slide:
        assert slide.tile_shape(0) == (8, 32)
        part = slide.read_region(0, 70, 45, 50, 100)
    assert np.abs(part.astype(int) - image[70:120, 45:145]).max() < 12


def test_a_hamamatsu_slide_beyond_four_gigabytes_opens(tmp_path, slide_files, image):
    path = slide_files.ndpi(tmp_path / "a.ndpi", image, hole=5 * 2**30)
    assert path.stat().st_size > 5 * 2**30
    with open_slide(path) as slide:
        assert np.array_equal(slide.read(), through_openslide(path))
        assert slide.mpp == pytest.approx(0.46, rel=1e-4)


def test_a_renamed_hamamatsu_slide_is_recognised(tmp_path, slide_files, image):
    path = slide_files.ndpi(tmp_path / "a.tif", image, hole=5 * 2**30)
    with open_slide(path) as slide:
        assert slide.format == "NDPI"
        assert np.abs(slide.read().astype(int) - image).max() < 12


def test_another_tiff_called_ndpi_is_what_it_is(tmp_path, image):
    path = tmp_path / "a.ndpi"
    tifffile.imwrite(path, image, photometric="rgb", metadata=None)
    with open_slide(path) as slide:
        assert slide.format == "TIFF"
        assert np.array_equal(slide.read(), image)


def test_of_a_hamamatsu_stack_the_plane_in_focus_is_shown(tmp_path, slide_files, image):
    path = slide_files.ndpi(tmp_path / "a.ndpi", image, planes=(-3000, 0, 3000))
    with open_slide(path) as slide:
        assert len(slide.levels) == 2
        assert np.abs(slide.read().astype(int) - image).max() < 12


# ------------------------------------------------------------------ Leica


def test_leica_areas_lie_on_the_glass_as_in_openslide(tmp_path, slide_files, image):
    areas = [(64, 64, image), (400, 192, image[:128, :128]), (600, 20, image[:64, :64])]
    path = slide_files.scn(tmp_path / "a.scn", areas, image[:64, :64])
    with open_slide(path) as slide, openslide.OpenSlide(path) as other:
        assert (slide.vendor, slide.format, slide.mpp) == ("Leica", "SCN", 0.5)
        y0, x0, y1, x1 = slide.bounds
        bounds = [int(other.properties[f"openslide.bounds-{key}"]) for key in ("x", "y")]
        assert [x0, y0] == bounds
        assert (y1 - y0, x1 - x0) == (600, 428)
        for level in range(2):
            assert np.array_equal(slide.read(level), through_openslide(path, level))
        assert np.array_equal(
            slide.read_region(0, 300, 100, 150, 120), slide.read()[300:450, 100:220]
        )
        assert slide.read_region(0, 330, 0, 5, 5).min() == 255
        assert set(slide.associated) == {"macro"}


def test_announced_windows_of_leica_areas_are_decoded_once(tmp_path, slide_files, image):
    areas = [(64, 64, image), (400, 192, image[:128, :128])]
    path = slide_files.scn(tmp_path / "a.scn", areas, image[:64, :64])
    with open_slide(path) as slide:
        decoded = []
        for number, part in enumerate(slide._parts):
            load = part.slide._load_tile
            part.slide._load_tile = lambda *key, n=number, load=load: (
                decoded.append((n, *key)) or load(*key)
            )
        height, width = slide.levels[0].height, slide.levels[0].width
        windows = [
            (max(y - 20, 0), max(x - 20, 0), min(y + 120, height), min(x + 120, width))
            for y in range(0, height, 100)
            for x in range(0, width, 100)
        ]
        slide.announce(0, windows)
        for y0, x0, y1, x1 in windows:
            slide.read_region(0, y0, x0, y1 - y0, x1 - x0)
        assert len(decoded) == len(set(decoded))


def test_leica_fluorescence_is_refused(tmp_path, slide_files, image):
    path = slide_files.scn(tmp_path / "a.scn", [(0, 0, image)], image[:64, :64], source="FL")
    with pytest.raises(UnsupportedImageError, match="fluorescence"):
        open_slide(path)


# ------------------------------------------------------------------ Ventana, Trestle


@pytest.mark.parametrize("overlap", [0, 8])
def test_ventana_tiles_are_put_together(tmp_path, slide_files, image, overlap):
    path = slide_files.bif(tmp_path / "a.bif", image, overlap)
    with open_slide(path) as slide:
        side = 128 - overlap
        assert (slide.vendor, slide.format) == ("Ventana", "BIF")
        assert (slide.levels[0].height, slide.levels[0].width) == (side, side)
        assert slide.mpp == pytest.approx(0.465)
        assert np.array_equal(slide.read(), through_openslide(path))
        assert np.abs(slide.read().astype(int) - image[:side, :side]).max() < 25
        assert set(slide.associated) == {"macro"}


def test_trestle_slides_go_through_openslide(tmp_path, image):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        image,
        tile=(64, 64),
        photometric="rgb",
        software="MedScan",
        description="OverlapsXY= 8 8;Objective Power=20",
        resolution=(0.465, 0.465),
        metadata=None,
    )
    with open_slide(path) as slide:
        assert (slide.vendor, slide.format) == ("Trestle", "TIFF")
        assert slide.levels[0].height == 256 - 3 * 8
        assert slide.mpp == pytest.approx(0.465)


# ------------------------------------------------------------------ Philips, Akoya


def test_padding_of_philips_levels_is_cut_off(tmp_path, slide_files):
    image = slide_files.smooth(200, 300)
    path = slide_files.philips(tmp_path / "a.tiff", image, levels=3)
    with open_slide(path) as slide:
        sizes = [(level.height, level.width) for level in slide.levels]
        assert sizes == [(200, 300), (100, 150), (50, 75)]
        assert np.abs(slide.read(1).astype(int) - slide_files.halved(image)).max() < 25


def test_a_philips_picture_that_is_damaged_says_so(tmp_path, slide_files, image):
    path = slide_files.philips(tmp_path / "a.tiff", image)
    path.write_bytes(path.read_bytes().replace(b"/9j/", b"!!!!"))
    with open_slide(path) as slide, pytest.raises(UnreadableImageError, match="pictures"):
        slide.associated["label"]


def test_akoya_fluorescence_is_refused(tmp_path, image):
    path = tmp_path / "a.qptiff"
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for channel in range(3):
            writer.write(
                image[:, :, channel], tile=(64, 64), software="PerkinElmer-QPI", metadata=None
            )
    with pytest.raises(UnsupportedImageError, match="3 channels"):
        open_slide(path)


# ------------------------------------------------------------------ damage


@pytest.mark.parametrize("kind", ["svs", "ndpi", "scn", "philips", "qptiff"])
def test_random_damage_never_gives_any_other_error(tmp_path, slide_files, image, kind):
    areas = ([(64, 64, image)], image[:64, :64]) if kind == "scn" else (image,)
    path = getattr(slide_files, kind)(tmp_path / f"a.{kind}", *areas)
    whole = path.read_bytes()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        damaged = bytearray(whole)
        low, high = ((8, 3000), (len(whole) - 3000, len(whole)))[seed % 2]
        for position in rng.integers(low, high, 5):
            damaged[position] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(UnreadableImageError), open_slide(path) as slide:
            for number, level in enumerate(slide.levels):
                slide.read_region(number, 0, 0, min(200, level.height), min(300, level.width))
            for name in slide.associated:
                assert slide.associated[name].shape[2] == 3


# ------------------------------------------------------------------ pictures


def test_pictures_of_other_tiffs_keep_their_names(tmp_path, image):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for name, pixels in (("s", image), ("Label Image", image[:9]), ("overview", image[:7])):
            writer.write(pixels, photometric="rgb", metadata={"Name": name, "axes": "YXS"})
    with open_slide(path) as slide:
        assert slide.associated.keys() == {"label", "macro"}
        assert np.array_equal(slide.associated["label"], image[:9])
        assert np.array_equal(slide.associated["macro"], image[:7])
    with pytest.raises(UnreadableImageError):
        slide.associated["label"]
