"""TIFFs of every make open with the right pixels and the right pixel size, or say why not."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

from napari_gland_mtl.errors import UnreadableImageError, UnsupportedImageError
from napari_gland_mtl.slides import open_slide, tiff_pages

RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (150, 210, 3), dtype=np.uint8)
APERIO = "Aperio Image Library v12.0\n210x150 (64x64) LZW/RGB|AppMag = 20|MPP = 0.4990|Left = 2"
OME = {"PhysicalSizeX": 500.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 500.0}


def write(path, data, **options):
    options.setdefault("metadata", None)
    tifffile.imwrite(path, data, **options)
    return path


@pytest.fixture
def tif(tmp_path):
    return tmp_path / "field.tif"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile": (64, 48)},
        {"rowsperstrip": 7},
        {"rowsperstrip": 7, "compression": "lzw", "predictor": True},
        {"tile": (64, 64), "compression": "zlib"},
        {"compression": "lzw", "rowsperstrip": 150},
        {"bigtiff": True, "tile": (32, 32)},
        {"byteorder": ">"},
        {"byteorder": ">", "tile": (64, 64), "compression": "zlib"},
        {"tile": (64, 64), "compression": "jpeg2000", "compressionargs": {"reversible": True}},
    ],
)
def test_windows_equal_the_image_however_it_is_stored(tif, options):
    write(tif, RGB, photometric="rgb", **options)
    with open_slide(tif) as slide:
        assert (slide.format, slide.name, len(slide.levels)) == ("TIFF", "field", 1)
        assert (slide.levels[0].height, slide.levels[0].width) == (150, 210)
        assert np.array_equal(slide.read(), RGB)
        for y, x, height, width in [(0, 0, 1, 1), (61, 45, 70, 130), (149, 209, 1, 1)]:
            window = slide.read_region(0, y, x, height, width)
            assert np.array_equal(window, RGB[y : y + height, x : x + width])


@pytest.mark.parametrize("options", [{}, {"tile": (64, 64)}, {"compression": "zlib"}])
def test_channels_in_separate_planes_become_rgb(tif, options):
    planes = np.ascontiguousarray(np.moveaxis(RGB, 2, 0))
    write(tif, planes, photometric="rgb", planarconfig="separate", **options)
    with open_slide(tif) as slide:
        assert np.array_equal(slide.read(), RGB)


@pytest.mark.parametrize("kind", [{"ome": True}, {"imagej": True}])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_three_channels_on_pages_of_their_own_become_rgb(tif, kind, compression):
    planes = np.ascontiguousarray(np.moveaxis(RGB, 2, 0))
    if "imagej" in kind:
        compression = None
    write(
        tif,
        planes,
        photometric="minisblack",
        metadata={"axes": "CYX"},
        compression=compression,
        **kind,
    )
    with open_slide(tif) as slide:
        assert np.array_equal(slide.read(), RGB)


def test_jpeg_tiles_decode_as_tifffile_decodes_them(tif):
    smooth = np.stack([np.add.outer(np.arange(150), np.arange(210)) // 2] * 3, -1).astype("u1")
    write(tif, smooth, photometric="rgb", tile=(64, 64), compression="jpeg")
    with open_slide(tif) as slide:
        assert np.array_equal(
            slide.read_region(0, 30, 30, 90, 90), tifffile.imread(tif)[30:120, 30:120]
        )


def test_grey_is_repeated_and_white_is_zero_is_inverted(tif):
    grey = RGB[:, :, 0]
    for photometric, expected in (("minisblack", grey), ("miniswhite", 255 - grey)):
        write(tif, grey, photometric=photometric)
        with open_slide(tif) as slide:
            assert np.array_equal(slide.read(), np.repeat(expected[:, :, None], 3, axis=2))


def test_bilevel_becomes_black_and_white(tif):
    mask = RGB[:, :, 0] > 127
    write(tif, mask, photometric="minisblack")
    with open_slide(tif) as slide:
        assert np.array_equal(slide.read()[:, :, 1], np.where(mask, 255, 0))


def test_palette_is_looked_up(tif):
    palette = RNG.integers(0, 65536, (3, 256), dtype=np.uint16)
    write(tif, RGB[:, :, 0], photometric="palette", colormap=palette)
    with open_slide(tif) as slide:
        assert np.array_equal(slide.read(), (palette >> 8).T[RGB[:, :, 0]])


def test_cmyk_inks_darken_the_paper(tif):
    inks = np.zeros((4, 5, 4), np.uint8)
    inks[1, :, 0], inks[2, :, 3], inks[3] = 255, 255, (0, 255, 0, 127)
    write(tif, inks, photometric="separated")
    with open_slide(tif) as slide:
        assert slide.read()[:, 0].tolist() == [
            [255, 255, 255],
            [0, 255, 255],
            [0, 0, 0],
            [128, 0, 128],
        ]


def test_alpha_is_put_on_white_and_unknown_channels_are_ignored(tif):
    rgba = np.dstack([RGB, np.full((150, 210), 0, np.uint8)])
    expected = {"unassalpha": np.full_like(RGB, 255), "unspecified": RGB}
    for extra, pixels in expected.items():
        write(tif, rgba, photometric="rgb", extrasamples=[extra])
        with open_slide(tif) as slide:
            assert np.array_equal(slide.read(), pixels)
    write(
        tif,
        np.dstack([RGB // 2, np.full((150, 210), 127, np.uint8)]),
        photometric="rgb",
        extrasamples=["assocalpha"],
    )
    with open_slide(tif) as slide:
        assert np.array_equal(slide.read(), RGB // 2 + 128)


def test_ycbcr_without_jpeg_is_converted(tif):
    grey_and_red = np.array([[[90, 128, 128], [76, 85, 255]]], np.uint8)
    write(tif, grey_and_red, photometric="ycbcr")
    with open_slide(tif) as slide:
        assert slide.read()[0, 0].tolist() == [90, 90, 90]
        assert np.abs(slide.read()[0, 1].astype(int) - [254, 0, 0]).max() <= 1


def test_sixteen_bits_keep_their_upper_eight(tif):
    deep = RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    write(tif, deep, photometric="rgb")
    with open_slide(tif) as slide:
        assert slide.read().dtype == np.uint8
        assert np.array_equal(slide.read(), deep >> 8)


def test_declared_twelve_bits_are_used_and_undeclared_ones_refused(tif):
    deep = RNG.integers(0, 4096, (20, 30, 3), dtype=np.uint16)
    write(tif, deep, photometric="rgb", ome=True, metadata={"SignificantBits": 12})
    with open_slide(tif) as slide:
        assert np.array_equal(slide.read(), deep >> 4)
    write(tif, deep, photometric="rgb")
    with pytest.raises(UnsupportedImageError, match="would look black"):
        open_slide(tif)


def test_one_pixel_opens(tif):
    write(tif, np.full((1, 1, 3), 9, np.uint8), photometric="rgb")
    with open_slide(tif) as slide:
        assert slide.read().tolist() == [[[9, 9, 9]]]


def test_tiles_that_the_scanner_left_out_are_white(tif):
    tiles = iter([np.full((16, 16, 3), 7, np.uint8), None])
    write(tif, tiles, shape=(16, 32, 3), dtype=np.uint8, tile=(16, 16), photometric="rgb")
    with open_slide(tif) as slide:
        assert np.unique(slide.read_region(0, 0, 0, 16, 16)).tolist() == [7]
        assert np.unique(slide.read_region(0, 0, 16, 16, 16)).tolist() == [255]


# ------------------------------------------------------------------ levels and series


def pyramid(path, sub, **options):
    with tifffile.TiffWriter(path, ome=options.pop("ome", False)) as tif:
        tif.write(RGB, subifds=2 if sub else 0, tile=(32, 32), photometric="rgb", **options)
        for factor in (2, 4):
            tif.write(
                np.ascontiguousarray(RGB[::factor, ::factor]),
                tile=(32, 32),
                photometric="rgb",
                subfiletype=1,
                metadata=None,
            )


@pytest.mark.parametrize("sub", [True, False])
def test_pyramids_give_their_levels_the_largest_first(tif, sub):
    pyramid(tif, sub, metadata=None, resolution=(2e4, 2e4), resolutionunit="CENTIMETER")
    with open_slide(tif) as slide:
        assert [(level.height, level.width) for level in slide.levels] == [
            (150, 210),
            (75, 105),
            (38, 53),
        ]
        assert slide.mpp == pytest.approx(0.5)
        assert slide.levels[1].downsample == pytest.approx(2.0)
        assert slide.levels[1].mpp == pytest.approx(1.0)
        assert np.array_equal(slide.read(2), RGB[::4, ::4])
        assert np.array_equal(slide.read_region(1, 40, 3, 20, 99), RGB[::2, ::2][40:60, 3:102])


def test_label_and_macro_photographs_are_no_levels(tif):
    with tifffile.TiffWriter(tif) as writer:
        writer.write(RGB[:60, :50], photometric="rgb", metadata=None)
        writer.write(RGB, photometric="rgb", tile=(32, 32), metadata=None)
        writer.write(RGB[:60, :120], photometric="rgb", metadata=None, rowsperstrip=16)
    with open_slide(tif) as slide:
        assert len(slide.levels) == 1
        assert np.array_equal(slide.read(), RGB)


def test_aperio_slides_are_recognised_with_their_levels(tmp_path):
    path = tmp_path / "case.svs"
    with tifffile.TiffWriter(path) as writer:
        options = {"photometric": "rgb", "metadata": None}
        writer.write(RGB, tile=(64, 64), description=APERIO, **options)
        writer.write(RGB[:50, :70], description="Aperio thumbnail", **options)
        writer.write(
            np.ascontiguousarray(RGB[::2, ::2]), tile=(64, 64), description="Aperio", **options
        )
    with open_slide(path) as slide:
        assert (slide.format, slide.name, slide.mpp) == ("SVS", "case", 0.499)
        assert [level.height for level in slide.levels] == [150, 75]


@pytest.mark.parametrize(
    ("data", "options", "complaint"),
    [
        (np.stack([RGB] * 2), {"photometric": "rgb"}, "stack of images"),
        (
            np.stack([RGB] * 2),
            {"photometric": "rgb", "ome": True, "metadata": {"axes": "ZYXS"}},
            r"stack in depth \(Z\) of 2",
        ),
        (
            np.stack([RGB] * 2),
            {"photometric": "rgb", "ome": True, "metadata": {"axes": "TYXS"}},
            "time series",
        ),
        (
            np.zeros((5, 9, 9), np.uint8),
            {"photometric": "minisblack", "ome": True, "metadata": {"axes": "CYX"}},
            "5 channels",
        ),
        (np.zeros((9, 9), np.float32), {}, "float32"),
        (np.zeros((9, 9, 3), np.uint8), {"photometric": "cielab"}, "CIELAB"),
    ],
)
def test_what_cannot_be_segmented_is_refused_with_a_cure(tif, data, options, complaint):
    write(tif, data, **options)
    with pytest.raises(UnsupportedImageError, match=complaint) as caught:
        open_slide(tif)
    assert "Save" in str(caught.value)
    assert str(tif) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_images_of_one_size_are_refused(tif):
    with tifffile.TiffWriter(tif, ome=True) as writer:
        writer.write(RGB, photometric="rgb")
        writer.write(RGB, photometric="rgb")
    with pytest.raises(UnsupportedImageError, match="2 images of the same size"):
        open_slide(tif)


# ------------------------------------------------------------------ pixel size


@pytest.mark.parametrize(
    ("options", "mpp"),
    [
        ({"ome": True, "metadata": {**OME, "PhysicalSizeYUnit": "nm"}}, 0.5),
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}}, 0.25),
        ({"resolution": (20000.0, 20000.0), "resolutionunit": "CENTIMETER"}, 0.5),
        ({"resolution": (50800.0, 50800.0), "resolutionunit": "INCH"}, 0.5),
        ({"imagej": True, "resolution": (2.0, 2.0), "metadata": {"unit": "um"}}, 0.5),
        ({"imagej": True, "resolution": (2.0, 2.0), "metadata": {"unit": "micron"}}, 0.5),
        ({"description": APERIO}, 0.499),
    ],
)
def test_pixel_sizes_in_any_unit_become_micrometres(tif, options, mpp):
    write(tif, RGB, photometric="rgb", **options)
    with open_slide(tif) as slide:
        assert slide.mpp == pytest.approx(mpp, rel=1e-4)
        assert slide.mpp_note is None


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({}, "nothing"),
        ({"resolution": (72.0, 72.0), "resolutionunit": "INCH"}, "72 dpi"),
        ({"resolution": (300.0, 300.0), "resolutionunit": "INCH"}, "300 dpi"),
        ({"resolution": (10.0, 10.0), "resolutionunit": "CENTIMETER"}, "25.4 dpi"),
        ({"imagej": True, "resolution": (2.0, 2.0), "metadata": {"unit": "pixel"}}, "nothing"),
        ({"description": APERIO.replace("0.4990", "0")}, "Aperio"),
        (
            {"ome": True, "metadata": {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}},
            "not square",
        ),
        (
            {
                "ome": True,
                "metadata": {
                    "PhysicalSizeX": 1.0,
                    "PhysicalSizeY": 1.0,
                    "PhysicalSizeXUnit": "pixel",
                    "PhysicalSizeYUnit": "pixel",
                },
            },
            "no unit of length",
        ),
    ],
)
def test_implausible_pixel_sizes_are_none_and_say_why(tif, options, note):
    write(tif, RGB, photometric="rgb", **options)
    with open_slide(tif) as slide:
        assert slide.mpp is None
        assert slide.levels[0].mpp is None
        assert note in slide.mpp_note


# ------------------------------------------------------------------ damage


@pytest.mark.parametrize("kept", [9, 200, 0.5, 0.99])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_truncated_files_are_refused_when_opened(tif, kept, compression):
    write(tif, RGB, photometric="rgb", compression=compression)
    whole = tif.read_bytes()
    tif.write_bytes(whole[: int(len(whole) * kept) if kept < 1 else kept])
    with pytest.raises(UnreadableImageError, match="damaged or incomplete"):
        open_slide(tif)


def test_random_damage_never_gives_any_other_error(tif):
    write(tif, RGB[:64, :64], photometric="rgb", compression="lzw", tile=(32, 32))
    whole = tif.read_bytes()
    for seed in range(150):
        rng = np.random.default_rng(seed)
        damaged = bytearray(whole)
        end = 400 if seed % 2 else len(whole)
        for position in rng.integers(4, end, 4):
            damaged[position] = rng.integers(256)
        tif.write_bytes(bytes(damaged))
        with contextlib.suppress(UnreadableImageError), open_slide(tif) as slide:
            level = slide.levels[0]
            slide.read_region(0, 0, 0, min(64, level.height), min(64, level.width))


# ------------------------------------------------------------------ laziness and threads


def count_reads(monkeypatch):
    reads = []
    original = tiff_pages.PositionalFile.read

    def read(self, offset, count):
        reads.append(count)
        return original(self, offset, count)

    monkeypatch.setattr(tiff_pages.PositionalFile, "read", read)
    return reads


def test_a_window_reads_its_tiles_only_and_once(tif, monkeypatch):
    write(tif, RGB, photometric="rgb", tile=(32, 32), compression="zlib")
    reads = count_reads(monkeypatch)
    with open_slide(tif) as slide:
        assert reads == []
        slide.read_region(0, 33, 33, 60, 10)
        assert len(reads) == 2
        slide.read_region(0, 40, 40, 10, 10)
        assert len(reads) == 2


def test_one_huge_uncompressed_strip_is_read_in_bands(tif, monkeypatch):
    monkeypatch.setattr(tiff_pages, "_BAND_BYTES", 210 * 3 * 10)
    write(tif, RGB, photometric="rgb", rowsperstrip=150)
    reads = count_reads(monkeypatch)
    with open_slide(tif) as slide:
        assert np.array_equal(slide.read_region(0, 55, 5, 10, 10), RGB[55:65, 5:15])
        assert reads == [6300, 6300]
        assert np.array_equal(slide.read(), RGB)


def test_threads_read_the_same_pixels_as_one(tif):
    write(tif, RGB, photometric="rgb", tile=(16, 16), compression="zlib")
    windows = [(int(y), int(x)) for y, x in RNG.integers(0, (100, 160), (200, 2))]
    with open_slide(tif) as slide, ThreadPoolExecutor(8) as pool:
        read = pool.map(lambda w: slide.read_region(0, *w, 50, 50), windows)
        for (y, x), window in zip(windows, read, strict=True):
            assert np.array_equal(window, RGB[y : y + 50, x : x + 50])


def test_the_lazy_pyramid_reads_as_the_slide_does(tif):
    pyramid(tif, True, metadata=None)
    with open_slide(tif) as slide:
        levels = slide.pyramid()
        assert [level.shape for level in levels] == [(150, 210, 3), (75, 105, 3), (38, 53, 3)]
        assert np.array_equal(levels[0][5:100:3, 7].compute(), RGB[5:100:3, 7])
        assert np.array_equal(levels[1].compute(), RGB[::2, ::2])
