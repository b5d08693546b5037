"""Files become layers with their scale; a saved segmentation brings its label layers back."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_gland_mtl._reader import get_reader, read
from napari_gland_mtl._writer import write_labels, write_multiple
from napari_gland_mtl.errors import UnreadableImageError
from napari_gland_mtl.export.layers import layers_from_segmentation
from napari_gland_mtl.export.ome_zarr import read_segmentation
from napari_gland_mtl.regions import GLAND_REGIONS
from napari_gland_mtl.segmentation import Segmentation, TopologyViolations

RGB = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)


def segmentation():
    regions = np.ones((64, 80), np.uint8)
    regions[10:40, 10:40] = 2
    glands = np.where(regions == 2, 5, 0).astype(np.int32)
    return Segmentation(
        regions=regions,
        glands=glands,
        table={"label": np.array([5], np.int32), "area_um2": np.array([225.0])},
        class_probabilities={"benign": 1.0},
        mpp=0.5,
        hierarchy=GLAND_REGIONS,
        violations_raw=TopologyViolations(),
        violations=TopologyViolations(),
        provenance={"model": "glas"},
    )


def layers():
    image = (RGB, {"name": "case", "rgb": True}, "image")
    return [image, *layers_from_segmentation(segmentation(), "case")]


def test_a_tile_without_pixel_size_has_no_scale(tmp_path):
    path = tmp_path / "field.png"
    Image.fromarray(RGB).save(path)
    ((data, attributes, kind),) = get_reader(str(path))(str(path))
    assert kind == "image"
    assert np.array_equal(np.asarray(data), RGB)
    assert (attributes["name"], attributes["multiscale"]) == ("field", False)
    assert "scale" not in attributes
    assert attributes["metadata"]["napari_gland_mtl"]["mpp_note"]


def test_a_pyramid_is_multiscale_and_in_micrometres(tmp_path):
    path = tmp_path / "slide.tif"
    with tifffile.TiffWriter(path) as tif:
        options = {"tile": (32, 32), "photometric": "rgb", "metadata": None}
        tif.write(RGB, subifds=1, resolution=(2e4, 2e4), resolutionunit="CENTIMETER", **options)
        tif.write(np.ascontiguousarray(RGB[::2, ::2]), subfiletype=1, **options)
    ((levels, attributes, _),) = get_reader(str(path))(str(path))
    assert attributes["multiscale"] is True
    assert attributes["scale"] == pytest.approx((0.5, 0.5))
    assert attributes["units"] == ("um", "um")
    assert np.array_equal(np.asarray(levels[1]), RGB[::2, ::2])


def test_several_files_become_several_layers(tmp_path):
    paths = [str(tmp_path / f"{name}.png") for name in "ab"]
    for path in paths:
        Image.fromarray(RGB).save(path)
    assert [layer[1]["name"] for layer in get_reader(paths)(paths)] == ["a", "b"]


def test_a_stack_is_left_to_other_readers(tmp_path):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros((4, 32, 32), np.uint8), photometric="minisblack")
    assert get_reader(str(path)) is None


def test_other_files_and_folders_are_left_to_other_readers(tmp_path):
    assert get_reader(str(tmp_path)) is None
    assert get_reader(str(tmp_path / "a.csv")) is None
    assert get_reader([]) is None


def test_a_damaged_file_says_so(tmp_path):
    path = tmp_path / "notes.tif"
    path.write_text("only text")
    with pytest.raises(UnreadableImageError, match="no image"):
        get_reader(str(path))(str(path))


def test_a_saved_segmentation_opens_as_the_layers_it_was(tmp_path):
    (written,) = write_multiple(str(tmp_path / "case"), layers())
    assert written == str(tmp_path / "case.ome.zarr")
    found = get_reader(written)(written)
    assert [layer[1]["name"] for layer in found] == ["case", "case regions", "case glands"]
    assert [layer[2] for layer in found] == ["image", "labels", "labels"]
    for (data, attributes, _), (before, meta, _) in zip(found, layers(), strict=True):
        assert np.array_equal(np.asarray(data), before)
        assert attributes["scale"] == (0.5, 0.5)
        if "features" in meta:
            assert attributes["features"]["index"].tolist() == [5]
        if "metadata" in meta:
            assert attributes["metadata"] == meta["metadata"]
    again = write_multiple(str(tmp_path / "again.zarr"), found)
    assert read_segmentation(again[0]).provenance == {"model": "glas"}


def test_one_label_layer_saved_alone_opens_again(tmp_path):
    glands, attributes, _ = layers()[2]
    (written,) = write_labels(str(tmp_path / "glands.zarr"), glands, attributes)
    ((data, back, kind),) = get_reader(written)(written)
    assert kind == "labels"
    assert np.array_equal(data, glands)
    assert data.dtype == glands.dtype
    assert back["scale"] == (0.5, 0.5)
    assert back["features"]["area_um2"].tolist() == [225.0]
    assert back["metadata"]["napari_gland_mtl"]["summary"]["provenance"] == {"model": "glas"}


def test_reading_pulls_nothing_heavy_until_a_file_is_opened():
    heavy = ("torch", "zarr", "dask", "scipy", "skimage", "pandas", "matplotlib", "napari", "qtpy")
    code = (
        "import sys, napari_gland_mtl._reader, napari_gland_mtl._writer, napari_gland_mtl.slides;"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"


def test_read_takes_what_get_reader_takes(tmp_path):
    path = tmp_path / "field.bmp"
    Image.fromarray(RGB).save(path)
    assert len(read([str(path), str(path)])) == 2
