"""OME-Zarr of both versions, with axes in any order, opens; plates, stacks and labels do not."""

import numpy as np
import pytest
import zarr

from napari_gland_mtl.errors import UnreadableImageError, UnsupportedImageError
from napari_gland_mtl.slides import open_slide

RGB = np.random.default_rng(5).integers(0, 256, (70, 90, 3), dtype=np.uint8)


def write(path, axes="cyx", version="0.5", data=None, unit="micrometer", factor=1.0, extra=None):
    """A small OME-Zarr of two levels, made by hand from the NGFF specification."""
    zarr_format = 3 if version == "0.5" else 2
    group = zarr.create_group(path, zarr_format=zarr_format)
    image = RGB if data is None else data
    datasets = []
    for level, step in enumerate((1, 2)):
        pixels = image[::step, ::step]
        shown = {"y": 0, "x": 1, "c": 2}
        for axis in axes:
            if axis not in shown:
                shown[axis] = pixels.ndim
                pixels = pixels[..., np.newaxis]
        pixels = np.transpose(pixels, [shown[axis] for axis in axes])
        chunks = tuple(32 if axis in "yx" else 1 for axis in axes)
        group.create_array(str(level), data=pixels, chunks=chunks)
        scale = [0.5 * step if axis in "yx" else 1.0 for axis in axes]
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        )
    kinds = {"c": "channel", "t": "time"}
    multiscale = {
        "axes": [
            {"name": a, "type": kinds.get(a, "space")} | ({"unit": unit} if a in "yx" else {})
            for a in axes
        ],
        "datasets": datasets,
        "coordinateTransformations": [{"type": "scale", "scale": [factor] * len(axes)}],
    }
    metadata = {"version": version, "multiscales": [multiscale], **(extra or {})}
    group.attrs.update({"ome": metadata} if version == "0.5" else metadata)
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["cyx", "tczyx", "yxc"])
def test_both_versions_and_any_order_of_axes_read_alike(tmp_path, version, axes):
    with open_slide(write(tmp_path / "a.ome.zarr", axes, version)) as slide:
        assert (slide.name, slide.format, slide.mpp) == ("a", "OME-Zarr", 0.5)
        assert [level.mpp for level in slide.levels] == [0.5, 1.0]
        assert np.array_equal(slide.read(), RGB)
        assert np.array_equal(slide.read_region(1, 20, 5, 15, 40), RGB[::2, ::2][20:35, 5:45])
        assert np.array_equal(slide.pyramid()[0].compute(), RGB)


def test_grey_and_sixteen_bit_images_become_rgb(tmp_path):
    with open_slide(write(tmp_path / "a.zarr", "yx", data=RGB[:, :, 0])) as slide:
        assert np.array_equal(slide.read(), np.repeat(RGB[:, :, :1], 3, axis=2))
    with open_slide(write(tmp_path / "b.zarr", data=RGB.astype(np.uint16) * 257)) as slide:
        assert np.array_equal(slide.read(), RGB)


@pytest.mark.parametrize(
    ("options", "mpp"),
    [
        ({"unit": "nanometer", "factor": 1000.0}, 0.5),
        ({"factor": 2.0}, 1.0),
        ({"unit": "millimeter"}, None),
        ({"unit": "parsec"}, None),
    ],
)
def test_scales_are_multiplied_and_turned_into_micrometres(tmp_path, options, mpp):
    with open_slide(write(tmp_path / "a.zarr", **options)) as slide:
        assert slide.mpp == (None if mpp is None else pytest.approx(mpp))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"data": np.zeros((9, 9, 5), np.uint8)}, "5 channels"),
        ({"data": RGB.astype(np.float32)}, "float32"),
        ({"data": RGB.astype(np.uint16)}, "would look black"),
        ({"extra": {"image-label": {}}}, "holds labels"),
    ],
)
def test_what_cannot_be_segmented_is_refused(tmp_path, options, complaint):
    path = write(tmp_path / "a.zarr", **options)
    with pytest.raises(UnsupportedImageError, match=complaint) as caught:
        open_slide(path)
    assert str(path) in str(caught.value)


def test_the_single_image_of_a_converted_file_is_found(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    write(tmp_path / "a.zarr" / "0", version="0.4")
    with open_slide(tmp_path / "a.zarr") as slide:
        assert np.array_equal(slide.read(), RGB)
    write(tmp_path / "a.zarr" / "1", version="0.4")
    with pytest.raises(UnsupportedImageError, match="holds 2 images"):
        open_slide(tmp_path / "a.zarr")


def test_plates_are_refused(tmp_path):
    zarr.create_group(tmp_path / "p.zarr", attributes={"ome": {"version": "0.5", "plate": {}}})
    with pytest.raises(UnsupportedImageError, match="is a plate"):
        open_slide(tmp_path / "p.zarr")


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("axes", ["yxc", "cyx", "yx"])
def test_bare_arrays_open_with_a_warning(tmp_path, axes, zarr_format):
    image = {"yxc": RGB, "cyx": np.moveaxis(RGB, 2, 0), "yx": RGB[:, :, 0]}[axes]
    zarr.create_array(tmp_path / "b.zarr", data=image, zarr_format=zarr_format)
    with open_slide(tmp_path / "b.zarr") as slide:
        expected = RGB if axes != "yx" else np.repeat(RGB[:, :, :1], 3, axis=2)
        assert np.array_equal(slide.read(), expected)
        assert (slide.format, slide.mpp) == ("zarr", None)
        assert f"({', '.join(axes.upper())})" in slide.mpp_note
        assert "pixel size is unknown" in slide.mpp_note


@pytest.mark.parametrize("shape", [(9,), (9, 9, 9), (2, 3, 9, 9)])
def test_bare_arrays_that_are_no_images_are_refused(tmp_path, shape):
    zarr.create_array(tmp_path / "b.zarr", data=np.zeros(shape, np.uint8))
    with pytest.raises(UnsupportedImageError, match="bare zarr array of shape"):
        open_slide(tmp_path / "b.zarr")


def test_missing_and_damaged_parts_are_named(tmp_path):
    path = write(tmp_path / "a.zarr")
    (path / "1" / "zarr.json").unlink()
    with pytest.raises(UnreadableImageError, match=r"a\.zarr is damaged"):
        open_slide(path)
    path = write(tmp_path / "b.zarr")
    (path / "0" / "c" / "0" / "0" / "0").write_bytes(b"no chunk")
    with (
        open_slide(path) as slide,
        pytest.raises(UnreadableImageError, match=r"b\.zarr is damaged"),
    ):
        slide.read()
    path = write(tmp_path / "c.zarr")
    (path / "zarr.json").write_text("{")
    with pytest.raises(UnreadableImageError, match=r"c\.zarr is damaged"):
        open_slide(path)
