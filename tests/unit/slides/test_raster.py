"""PNG, JPEG and BMP in every colour mode become RGB on white."""

import numpy as np
import pytest
from PIL import Image

from napari_gland_mtl.errors import (
    InvalidInputError,
    UnreadableImageError,
    UnsupportedImageError,
)
from napari_gland_mtl.slides import open_slide

RGB = np.random.default_rng(3).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.mark.parametrize(("ending", "kind"), [("png", "PNG"), ("bmp", "BMP")])
def test_lossless_files_give_their_pixels(tmp_path, ending, kind):
    path = tmp_path / f"a.1.{ending}"
    Image.fromarray(RGB).save(path)
    with open_slide(path) as slide:
        assert (slide.name, slide.format, slide.mpp) == ("a.1", kind, None)
        assert np.array_equal(slide.read(), RGB)
        assert np.array_equal(slide.read_region(0, 5, 7, 11, 13), RGB[5:16, 7:20])
        assert np.array_equal(slide.pyramid()[0], RGB)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpegs_decode_as_pillow_decodes_them(tmp_path, mode):
    path = tmp_path / "a.jpg"
    Image.fromarray(RGB).convert(mode).save(path)
    with open_slide(path) as slide:
        assert slide.format == "JPEG"
        assert np.array_equal(slide.read(), np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_bilevel_and_palette_become_rgb(tmp_path, mode):
    path = tmp_path / "a.png"
    image = Image.fromarray(RGB).convert(mode)
    image.save(path)
    with open_slide(path) as slide:
        assert np.array_equal(slide.read(), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_put_on_white(tmp_path, mode):
    path = tmp_path / "a.png"
    image = Image.fromarray(RGB).convert(mode)
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:20] = 255
    image.putalpha(Image.fromarray(alpha))
    image.save(path)
    with open_slide(path) as slide:
        pixels = slide.read()
    assert np.array_equal(pixels[:20], np.asarray(image.convert("RGB"))[:20])
    assert (pixels[20:] == 255).all()


def test_sixteen_bit_grey_keeps_its_upper_byte(tmp_path):
    path = tmp_path / "a.png"
    deep = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    Image.fromarray(deep).save(path)
    with open_slide(path) as slide:
        assert np.array_equal(slide.read()[:, :, 0], deep >> 8)


def test_twelve_bits_in_sixteen_are_refused(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.full((4, 4), 4000, np.uint16)).save(path)
    with open_slide(path) as slide, pytest.raises(UnsupportedImageError, match="look black"):
        slide.read()


@pytest.mark.parametrize(("dpi", "mpp"), [(96, None), (300, None), (50800, 0.5)])
def test_a_print_resolution_is_no_pixel_size(tmp_path, dpi, mpp):
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path, dpi=(dpi, dpi))
    with open_slide(path) as slide:
        assert slide.mpp == (None if mpp is None else pytest.approx(mpp, rel=1e-3))
        assert (slide.mpp_note is None) == (mpp is not None)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp"])
def test_truncated_files_are_named_when_read(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(RGB).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableImageError, match=f"a.{ending} is damaged"), open_slide(path) as s:
        s.read()


def test_the_orientation_tag_does_not_turn_the_image(tmp_path):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(path, exif=exif)
    with open_slide(path) as slide:
        assert slide.read().shape == RGB.shape


def test_closing_lets_the_pixels_go(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    slide = open_slide(path)
    slide.read()
    slide.close()
    slide.close()
    assert slide._pixels is None
    with pytest.raises(InvalidInputError, match="was closed"):
        slide.read()
