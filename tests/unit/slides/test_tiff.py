"""TIFFs of every make open with the right pixels and the right pixel size, or say why not."""

import base64

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_gland_mtl.errors import (
    UnsupportedImageError,
)
from napari_gland_mtl.slides import jpeg2000, open_slide

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
        {"tile": (64, 64), "compression": 33005, "compressionargs": {"reversible": True}},
        {"tile": (64, 64), "compression": "webp", "compressionargs": {"lossless": True}},
        {"tile": (64, 64), "compression": "zstd"},
        {"tile": (64, 64), "compression": "lzma"},
        {"tile": (64, 64), "compression": "packbits"},
        {"tile": (64, 64), "compression": "jpegxl", "compressionargs": {"lossless": True}},
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


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
def test_jpeg_tiles_of_any_subsampling_keep_their_colours(tif, slide_files, subsampling):
    image = slide_files.smooth(128, 192)
    words = {(1, 1): "444", (2, 1): "422", (2, 2): "420"}[subsampling]
    tiles = [image[y : y + 64, x : x + 64] for y in (0, 64) for x in (0, 64, 128)]
    encoded = iter(
        imagecodecs.jpeg_encode(np.ascontiguousarray(tile), level=95, subsampling=words)
        for tile in tiles
    )
    options = {"shape": image.shape, "dtype": image.dtype, "tile": (64, 64), "compression": "jpeg"}
    write(tif, encoded, photometric="ycbcr", subsampling=subsampling, **options)
    with open_slide(tif) as slide:
        assert np.abs(slide.read().astype(int) - image).max() < 20


# 16 x 16 px, left half purple, right half pink, chroma at half the width, no colour space named:
# what Aperio calls J2K/YUV16.
SUBSAMPLED_J2K = base64.b85decode(
    "|4;u>051Rl0000G0000G00000000000000G0000G000000000000RdB0S5vB2Lb{AQUDA9000310R#j90smY82S7kbN"
    "KpTf015yA0001f00IA#$J9&_P)7;96=-I8M=KFWM&u!BL&}&kmmlz;S3aqsDeRB|fD8_@6UWpf6aPsV^r)Xg7!p&+qy"
    "~KmQjf>fBpmY&2G60in7B{feBcMEjdg#+>IVQJZVb@0egnYy0st4-s^7r*0{|B+!`#rn|Je"
)


def test_jpeg_2000_with_smaller_colour_planes_keeps_its_colours(tif):
    tiles = iter([SUBSAMPLED_J2K])
    options = {"shape": (16, 16, 3), "dtype": np.uint8, "tile": (16, 16), "photometric": "rgb"}
    write(tif, tiles, compression=33003, description=APERIO, **options)
    with open_slide(tif) as slide:
        pixels = slide.read().astype(int)
    assert np.abs(pixels[:, :8] - (110, 60, 150)).max() <= 2
    assert np.abs(pixels[:, 8:] - (230, 150, 190)).max() <= 2
    assert jpeg2000.is_subsampled(SUBSAMPLED_J2K)
    assert not jpeg2000.is_subsampled(SUBSAMPLED_J2K[:40])


def test_jpeg_2000_in_ycbcr_becomes_rgb(tif):
    grey = np.full((16, 16, 3), (90, 128, 128), np.uint8)
    write(tif, grey, photometric="rgb", tile=(16, 16), compression=33003)
    with open_slide(tif) as slide:
        assert np.abs(slide.read().astype(int) - 90).max() <= 1


def test_smaller_colour_planes_without_jpeg_are_refused_with_a_cure(tif):
    write(tif, RGB, photometric="rgb", rowsperstrip=150)
    data = bytearray(tif.read_bytes())
    with tifffile.TiffFile(tif) as opened:
        tag = opened.pages[0].tags["PhotometricInterpretation"]
        data[tag.valueoffset : tag.valueoffset + 2] = (6).to_bytes(2, "little")
    tif.write_bytes(bytes(data))
    with open_slide(tif) as slide, pytest.raises(UnsupportedImageError, match="Save it as a TIFF"):
        slide.read()


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


def test_thousands_of_tiles_may_be_missing(tif):
    wanted = {0, 4900, 9999}
    full = np.full((16, 16, 3), 7, np.uint8)
    tiles = (full if number in wanted else None for number in range(100 * 100))
    write(tif, tiles, shape=(1600, 1600, 3), dtype=np.uint8, tile=(16, 16), photometric="rgb")
    with open_slide(tif) as slide:
        image = slide.read()
    assert set(np.flatnonzero((image[::16, ::16, 0] == 7).ravel())) == wanted
    assert np.unique(image).tolist() == [7, 255]


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
