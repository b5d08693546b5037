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


# ------------------------------------------------------------------ results of whole slides


def slide_store(folder, path=None, size=None, shape=(64, 80)):
    """The complete result of a slide of 64 x 80 px at 0.5 um."""
    from napari_gland_mtl.export.slide_store import SlideStore, StoreLayout

    layout = StoreLayout(
        shape=(20, 25),
        mpp=1.6,
        slide_shape=shape,
        slide_mpp=0.5,
        tile=512,
        classes=("benign", "malignant"),
    )
    origin = {"path": None if path is None else str(path), "name": "case", "bytes": size}
    store = SlideStore.create(
        folder / "case.ome.zarr", layout, {"slide": origin}, RGB[::4, ::4], 4.0
    )
    regions = np.ones((20, 25), np.uint8)
    regions[5:15, 5:15] = 2
    store.start_labels()
    store.write_block((0, 0, 20, 25), regions, np.where(regions == 2, 1, 0).astype(np.int32))
    store.append_rows({"label": np.array([1], np.int32), "area_um2": np.array([256.0])})
    store.finish({"glands": 1})
    return store


@pytest.fixture
def slide_file(tmp_path):
    path = tmp_path / "case.tif"
    resolution = {"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, RGB, photometric="rgb", tile=(32, 32), metadata=None, **resolution)
    return path


def test_the_result_of_a_slide_opens_over_the_slide(tmp_path, slide_file):
    store = slide_store(tmp_path, slide_file, slide_file.stat().st_size)
    found = get_reader(str(store.path))(str(store.path))
    names = ["case", "case malignant", "case regions", "case uncertainty", "case glands"]
    assert [layer[1]["name"] for layer in found] == names
    slide, _, regions, _, glands = found
    assert np.array_equal(np.asarray(slide[0]), RGB)
    assert slide[1]["scale"] == pytest.approx((0.5, 0.5))
    assert slide[1]["metadata"]["napari_gland_mtl"]["path"] == str(slide_file)
    assert regions[1]["scale"] == (1.6, 1.6)
    assert np.asarray(glands[0])[7, 7] == 1
    assert glands[1]["features"]["area_um2"].tolist() == [256.0]


@pytest.mark.parametrize(
    "change", ["gone", "another size", "other pixels", "not readable", "array"]
)
def test_without_its_slide_a_result_opens_over_its_small_picture(tmp_path, slide_file, change):
    size = slide_file.stat().st_size
    if change == "gone":
        slide_file.unlink()
    elif change == "not readable":
        slide_file.write_bytes(b"x" * size)
    store = slide_store(
        tmp_path,
        None if change == "array" else slide_file,
        size + 1 if change == "another size" else size,
        shape=(64, 81) if change == "other pixels" else (64, 80),
    )
    overview = read(str(store.path))[0]
    assert overview[1]["name"] == "case"
    assert np.array_equal(np.asarray(overview[0]), RGB[::4, ::4])
    assert overview[1]["scale"] == pytest.approx((2.0, 2.0))
    assert overview[1]["translate"] == pytest.approx((0.75, 0.75))


def test_an_incomplete_result_opens_and_says_so(tmp_path, caplog):
    caplog.set_level("WARNING", logger="napari_gland_mtl")  # the command line lowers it
    store = slide_store(tmp_path)
    read(str(store.path))
    assert caplog.text == ""
    state = store.path / "zarr.json"
    state.write_text(state.read_text().replace('"complete": true', '"complete": false'))
    assert len(read(str(store.path))) == 5
    assert "not complete" in caplog.text
    assert "resume" in caplog.text


def test_a_damaged_result_says_so(tmp_path):
    store = slide_store(tmp_path)
    (store.path / "labels/regions/0/zarr.json").unlink()
    with pytest.raises(UnreadableImageError, match="damaged"):
        get_reader(str(store.path))(str(store.path))


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
