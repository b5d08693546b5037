"""Of the images in a TIFF the tissue is found, with all its levels and nothing else."""

import numpy as np
import pytest
import tifffile

from napari_gland_mtl.errors import UnsupportedImageError
from napari_gland_mtl.slides import open_slide

RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (150, 210, 3), dtype=np.uint8)


def write(path, data, **options):
    options.setdefault("metadata", None)
    tifffile.imwrite(path, data, **options)
    return path


@pytest.fixture
def tif(tmp_path):
    return tmp_path / "field.tif"


def test_levels_without_a_single_tile_are_left_out(tif):
    with tifffile.TiffWriter(tif) as writer:
        options = {"tile": (32, 32), "photometric": "rgb", "metadata": None}
        writer.write(RGB, **options)
        nothing = {"shape": (75, 105, 3), "dtype": np.uint8, "compression": "zlib"}
        writer.write(iter([b""] * 12), subfiletype=1, **nothing, **options)
        writer.write(np.ascontiguousarray(RGB[::4, ::4]), subfiletype=1, **options)
    with open_slide(tif) as slide:
        assert [level.height for level in slide.levels] == [150, 38]


def test_levels_of_uneven_steps_are_all_found(tif):
    with tifffile.TiffWriter(tif) as writer:
        options = {"tile": (32, 32), "photometric": "rgb", "metadata": None}
        for step in (1, 4, 16, 32):
            shown = np.ascontiguousarray(np.tile(RGB, (2, 2, 1))[::step, ::step])
            writer.write(shown, subfiletype=int(step > 1), **options)
    with open_slide(tif) as slide:
        assert [level.downsample for level in slide.levels] == [1, 4, 16, 32]
        assert len(slide.associated) == 0


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


def test_the_lazy_pyramid_reads_as_the_slide_does(tif):
    pyramid(tif, True, metadata=None)
    with open_slide(tif) as slide:
        levels = slide.pyramid()
        assert [level.shape for level in levels] == [(150, 210, 3), (75, 105, 3), (38, 53, 3)]
        assert np.array_equal(levels[0][5:100:3, 7].compute(), RGB[5:100:3, 7])
        assert np.array_equal(levels[1].compute(), RGB[::2, ::2])


def test_label_and_macro_photographs_are_no_levels(tif):
    with tifffile.TiffWriter(tif) as writer:
        writer.write(RGB[:60, :50], photometric="rgb", metadata=None)
        writer.write(RGB, photometric="rgb", tile=(32, 32), metadata=None)
        writer.write(RGB[:60, :120], photometric="rgb", metadata=None, rowsperstrip=16)
    with open_slide(tif) as slide:
        assert len(slide.levels) == 1
        assert np.array_equal(slide.read(), RGB)


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
