"""Label layers become OME-Zarr; what exists is never replaced."""

import numpy as np
import pytest
import zarr

from napari_gland_mtl._reader import read
from napari_gland_mtl._writer import write_labels, write_multiple
from napari_gland_mtl.errors import InvalidInputError, OutputExistsError, UnreadableImageError

LABELS = np.zeros((20, 30), np.int32)
LABELS[3:9, 4:12] = 7


@pytest.mark.parametrize(
    ("attributes", "scale"),
    [
        ({}, None),
        ({"scale": (0.5, 0.5), "units": ("micrometer", "micrometer")}, (0.5, 0.5)),
        ({"scale": (500.0, 500.0), "units": ("nm", "nm")}, (0.5, 0.5)),
        ({"scale": (2.0, 2.0), "units": ("pixel", "pixel")}, None),
    ],
)
def test_painted_labels_keep_their_values_and_scale(tmp_path, attributes, scale):
    (path,) = write_labels(str(tmp_path / "mine"), LABELS, {"name": "mine", **attributes})
    assert path.endswith("mine.ome.zarr")
    ((data, back, kind),) = read(path)
    assert (kind, back["name"], back.get("scale")) == ("labels", "mine", scale)
    assert np.array_equal(data, LABELS)


def test_a_label_image_is_valid_ngff(tmp_path):
    from ome_zarr_models import v05 as models

    (path,) = write_labels(
        str(tmp_path / "a.zarr"), LABELS, {"scale": (1, 1), "units": ("um", "um")}
    )
    models.ImageLabel.from_zarr(zarr.open_group(path, mode="r"))


@pytest.mark.parametrize(
    "labels", [np.zeros((2, 3, 4), int), np.zeros((3, 4)), np.zeros((0, 4), int)]
)
def test_what_is_no_label_image_is_refused(tmp_path, labels):
    with pytest.raises(InvalidInputError, match="two axes of whole numbers"):
        write_labels(str(tmp_path / "a.zarr"), labels, {})
    assert list(tmp_path.iterdir()) == []


def test_metadata_that_is_no_json_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="metadata"):
        write_labels(
            str(tmp_path / "a.zarr"), LABELS, {"metadata": {"napari_gland_mtl": {"a": object()}}}
        )


def test_what_exists_is_never_replaced(tmp_path):
    write_labels(str(tmp_path / "a.zarr"), LABELS, {})
    with pytest.raises(OutputExistsError):
        write_labels(str(tmp_path / "a.zarr"), LABELS + 1, {})
    assert np.array_equal(read(str(tmp_path / "a.zarr"))[0][0], LABELS)


def test_a_segmentation_needs_its_image(tmp_path):
    with pytest.raises(InvalidInputError, match="Select three layers"):
        write_multiple(str(tmp_path / "a.zarr"), [(LABELS, {"name": "a"}, "labels")])


def test_a_damaged_label_store_says_so(tmp_path):
    (path,) = write_labels(str(tmp_path / "a.zarr"), LABELS, {})
    (tmp_path / "a.zarr" / "0" / "zarr.json").unlink()
    with pytest.raises(UnreadableImageError, match="Save the layer again"):
        read(path)


def test_a_corrected_segmentation_is_measured_again_when_it_is_saved(tmp_path):
    from napari_gland_mtl.export.layers import layers_from_segmentation
    from napari_gland_mtl.export.ome_zarr import read_segmentation
    from napari_gland_mtl.inference.measurements import measure_glands
    from napari_gland_mtl.regions import GLAND_REGIONS
    from napari_gland_mtl.segmentation import Segmentation, TopologyViolations

    regions = np.ones((60, 80), np.uint8)
    regions[10:40, 10:40] = 2
    glands = (regions == 2).astype(np.int32)
    table = measure_glands(regions, glands, 0.5) | {"malignant_probability": np.array([0.75])}
    none = TopologyViolations()
    classes = {"benign": 0.25, "malignant": 0.75}
    found = Segmentation(regions, glands, table, classes, 0.5, GLAND_REGIONS, none, none, {})
    image = (np.full((60, 80, 3), 200, np.uint8), {"name": "case"}, "image")
    labels = layers_from_segmentation(found, "case")

    (kept,) = write_multiple(str(tmp_path / "kept.ome.zarr"), [image, *labels])
    assert read_segmentation(kept).table["area_um2"].tolist() == [900 / 4]

    for layer in labels:
        layer[0][10:25, 10:40] = 1 if layer[0].dtype == np.uint8 else 0
    (painted,) = write_multiple(str(tmp_path / "painted.ome.zarr"), [image, *labels])
    after = read_segmentation(painted).table
    assert after["area_um2"].tolist() == [450 / 4]
    assert after["malignant_probability"].tolist() == [0.75]
