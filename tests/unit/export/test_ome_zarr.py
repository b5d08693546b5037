"""What is written is valid NGFF 0.5, in place, complete, and comes back exactly."""

import json
from dataclasses import replace

import numpy as np
import pytest
import zarr

from napari_gland_mtl.errors import (
    InvalidInputError,
    OutputExistsError,
    OutputNotWritableError,
    UnreadableImageError,
)
from napari_gland_mtl.export import pyramid
from napari_gland_mtl.export.ome_zarr import (
    is_segmentation,
    read_segmentation,
    write_segmentation,
)
from napari_gland_mtl.regions import Region, RegionHierarchy
from napari_gland_mtl.slides import open_slide, slide_from_array


@pytest.fixture
def store(tmp_path, slide, segmentation):
    path = tmp_path / "out" / "case.ome.zarr"
    write_segmentation(path, slide, segmentation)
    return path


def left_behind(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_a_segmentation_comes_back_exactly(store, segmentation, same):
    assert is_segmentation(store)
    same(read_segmentation(store), segmentation)
    assert left_behind(store.parent) == ["case.ome.zarr"]


def test_a_segmentation_without_glands_comes_back_with_its_columns(
    tmp_path, slide, segmentation, same
):
    empty = replace(
        segmentation,
        glands=np.zeros_like(segmentation.glands),
        table={name: column[:0] for name, column in segmentation.table.items()},
    )
    write_segmentation(tmp_path / "a.ome.zarr", slide, empty)
    same(read_segmentation(tmp_path / "a.ome.zarr"), empty)


def test_any_hierarchy_comes_back(tmp_path, slide, segmentation, same):
    deeper = RegionHierarchy(
        regions=(
            Region(name="stroma"),
            Region(name="epithelium"),
            Region(name="lumen", parent="epithelium"),
            Region(name="mucin", parent="lumen", color="#112233"),
        )
    )
    regions = segmentation.regions.copy()
    regions[24:26, 14:18] = 4
    written = replace(segmentation, hierarchy=deeper, regions=regions)
    write_segmentation(tmp_path / "a.ome.zarr", slide, written)
    same(read_segmentation(tmp_path / "a.ome.zarr"), written)


def test_the_image_opens_as_a_slide_with_its_scale(store, pixels):
    with open_slide(store) as slide:
        assert (slide.name, slide.mpp) == ("case", 0.5)
        assert np.array_equal(slide.read(), pixels)


def test_the_store_is_valid_ngff(store):
    from ome_zarr_models import v05 as models

    image = models.Image.from_zarr(zarr.open_group(store, mode="r"))
    assert [axis.name for axis in image.attributes.ome.multiscales[0].axes] == ["c", "y", "x"]
    labels = models.Labels.from_zarr(zarr.open_group(store / "labels", mode="r"))
    assert labels.attributes.ome.labels == ["regions", "glands"]
    for name in labels.attributes.ome.labels:
        group = zarr.open_group(store / "labels" / name, mode="r")
        label_image = models.ImageLabel.from_zarr(group)
        assert {axis.unit for axis in label_image.attributes.ome.multiscales[0].axes} == {
            "micrometer"
        }


def test_the_metadata_names_regions_colours_and_units(store):
    label = json.loads((store / "labels/regions/zarr.json").read_text())["attributes"]["ome"]
    assert [entry["region"] for entry in label["image-label"]["properties"]] == [
        "stroma",
        "epithelium",
        "lumen",
    ]
    assert label["image-label"]["colors"][2] == {"label-value": 3, "rgba": [240, 228, 66, 255]}
    assert label["image-label"]["source"] == {"image": "../../"}
    root = json.loads((store / "zarr.json").read_text())["attributes"]
    assert root["ome"]["version"] == "0.5"
    assert root["napari_gland_mtl"]["provenance"]["log_vars"] == {"geometry": -0.1}


def test_lower_levels_lie_over_the_image(tmp_path, segmentation, monkeypatch):
    monkeypatch.setattr(pyramid, "_SMALLEST_LEVEL", 40)
    ramp = np.zeros((90, 130, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(130), np.arange(90)[:, None]
    path = tmp_path / "a.ome.zarr"
    write_segmentation(path, slide_from_array(ramp), segmentation)
    root = zarr.open_group(path, mode="r")
    datasets = root.attrs["ome"]["multiscales"][0]["datasets"]
    assert [root[d["path"]].shape for d in datasets] == [(3, 90, 130), (3, 45, 65), (3, 23, 33)]
    labels = root["labels/regions"]
    assert [labels[d["path"]].shape for d in datasets] == [(90, 130), (45, 65), (23, 33)]
    for dataset, factor in zip(datasets, (1, 2, 4), strict=True):
        scale, shift = dataset["coordinateTransformations"]
        assert scale["scale"] == [1.0, 0.5 * factor, 0.5 * factor]
        # The ramp's value is its own place: pixel centres must agree with the metadata.
        x = np.arange(10)
        places = x * scale["scale"][2] + shift["translation"][2]
        level = np.asarray(root[dataset["path"]])
        assert np.abs(level[0, 0, :10] * 0.5 - places).max() <= 0.25
        assert np.abs(level[1, :10, 0] * 0.5 - places).max() <= 0.25
        coarse = np.asarray(labels[dataset["path"]])
        assert set(np.unique(coarse)) <= set(np.unique(segmentation.regions))
        label_shift = labels.attrs["ome"]["multiscales"][0]["datasets"][0]
        assert label_shift["coordinateTransformations"][1]["translation"] == [0.0, 0.0]


def test_lower_levels_of_labels_keep_what_is_thin(tmp_path, segmentation, monkeypatch):
    monkeypatch.setattr(pyramid, "_SMALLEST_LEVEL", 40)
    regions = segmentation.regions.copy()
    regions[11:39, 6:29] = 3  # lumen up to an epithelium of one pixel
    path = tmp_path / "a.ome.zarr"
    slide = slide_from_array(np.zeros((90, 130, 3), np.uint8))
    write_segmentation(path, slide, replace(segmentation, regions=regions))
    labels = zarr.open_group(path / "labels", mode="r")
    for name in ("regions", "glands"):
        (entry,) = labels[name].attrs["ome"]["multiscales"]
        assert entry["type"] == "majority that keeps thin structures"
    assert np.asarray(labels["regions/1"])[8].tolist()[:18] == [1, 1, 2, *[3] * 11, 2, 1, 1, 2]
    assert np.asarray(labels["glands/1"])[8].tolist()[:18] == [0, 0, *[1] * 13, 0, 0, 2]
    assert np.asarray(labels["regions/2"])[5].tolist()[:8] == [1, 2, 3, 3, 3, 3, 3, 2]


def test_a_part_is_placed_into_the_whole(tmp_path, segmentation):
    slide = slide_from_array(np.zeros((200, 300, 3), np.uint8), mpp=0.5)
    path = tmp_path / "a.ome.zarr"
    write_segmentation(path, slide, segmentation, offset=(100, 150))
    back = read_segmentation(path)
    assert back.glands.shape == (200, 300)
    assert np.array_equal(back.glands[100:190, 150:280], segmentation.glands)
    assert np.count_nonzero(back.regions) == np.count_nonzero(segmentation.regions)


@pytest.mark.parametrize("offset", [(1, 0), (0, 1), (-1, 0)])
def test_labels_of_another_image_are_refused(tmp_path, slide, segmentation, offset):
    with pytest.raises(InvalidInputError, match="do not lie inside"):
        write_segmentation(tmp_path / "a.ome.zarr", slide, segmentation, offset=offset)
    assert left_behind(tmp_path) == []


def test_provenance_that_is_no_json_is_refused_before_writing(tmp_path, slide, segmentation):
    broken = replace(segmentation, provenance={"weights": np.zeros(3)})
    with pytest.raises(InvalidInputError, match="provenance"):
        write_segmentation(tmp_path / "a.ome.zarr", slide, broken)
    assert left_behind(tmp_path) == []


# ------------------------------------------------------------------ nothing is lost


def test_what_exists_stays_unless_told_otherwise(store, slide, segmentation, same):
    with pytest.raises(OutputExistsError, match="exists already"):
        write_segmentation(store, slide, segmentation)
    newer = replace(segmentation, complete=True)
    write_segmentation(store, slide, newer, overwrite=True)
    same(read_segmentation(store), newer)
    assert left_behind(store.parent) == ["case.ome.zarr"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_no_ome_zarr_is_never_replaced(tmp_path, slide, segmentation, kind):
    path = tmp_path / "precious.ome.zarr"
    if kind == "folder":
        path.mkdir()
        (path / "thesis.txt").write_text("x")
    else:
        path.write_text("x")
    with pytest.raises(OutputExistsError, match="will not be replaced"):
        write_segmentation(path, slide, segmentation, overwrite=True)
    assert path.exists()


def test_a_store_can_replace_the_one_its_image_is_read_from(store, segmentation, same, pixels):
    with open_slide(store) as slide:
        write_segmentation(store, slide, segmentation, overwrite=True)
    same(read_segmentation(store), segmentation)
    with open_slide(store) as slide:
        assert np.array_equal(slide.read(), pixels)


def test_a_failure_half_way_leaves_the_old_store_and_nothing_else(
    store, slide, segmentation, same, monkeypatch
):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pyramid.PyramidWriter, "write", full)
    with pytest.raises(OutputNotWritableError, match="No space left") as caught:
        write_segmentation(store, slide, replace(segmentation, mpp=1.0), overwrite=True)
    assert "make room" in str(caught.value)
    same(read_segmentation(store), segmentation)
    assert left_behind(store.parent) == ["case.ome.zarr"]


def test_an_interrupt_leaves_nothing(tmp_path, slide, segmentation, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pyramid.PyramidWriter, "write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_segmentation(tmp_path / "a.ome.zarr", slide, segmentation)
    assert left_behind(tmp_path) == []


def test_the_old_store_is_put_back_if_the_exchange_fails(
    store, slide, segmentation, same, monkeypatch
):
    rename = type(store).rename

    def refuse(self, target):
        if self.name.endswith(".partial"):
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(type(store), "rename", refuse)
    with pytest.raises(OutputNotWritableError, match="Permission denied"):
        write_segmentation(store, slide, replace(segmentation, mpp=1.0), overwrite=True)
    same(read_segmentation(store), segmentation)
    assert left_behind(store.parent) == ["case.ome.zarr"]


def test_a_folder_that_cannot_be_made_gets_one_line(tmp_path, slide, segmentation):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputNotWritableError, match="cannot be written") as caught:
        write_segmentation(tmp_path / "file" / "below" / "a.ome.zarr", slide, segmentation)
    assert "\n" not in str(caught.value)


def test_a_read_only_folder_gets_one_line(tmp_path, slide, segmentation, monkeypatch):
    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(tmp_path), "mkdir", refuse)
    with pytest.raises(OutputNotWritableError, match="Permission denied"):
        write_segmentation(tmp_path / "a.ome.zarr", slide, segmentation)
    assert left_behind(tmp_path) == []


# ------------------------------------------------------------------ damaged and foreign stores


def test_what_is_no_segmentation_is_told_apart(tmp_path, store):
    (tmp_path / "text.zarr").write_text("x")
    zarr.create_group(tmp_path / "other.zarr")
    for path in (tmp_path / "missing", tmp_path / "text.zarr", tmp_path / "other.zarr", tmp_path):
        assert not is_segmentation(path)
        with pytest.raises(UnreadableImageError, match="holds no segmentation"):
            read_segmentation(path)


@pytest.mark.parametrize(
    "part", ["labels/glands/0/zarr.json", "labels/regions/0/zarr.json", "tables/glands/zarr.json"]
)
def test_missing_parts_are_named(store, part):
    (store / part).unlink()
    with pytest.raises(UnreadableImageError, match="damaged or incomplete"):
        read_segmentation(store)


def test_a_newer_format_asks_for_an_update(store):
    root = zarr.open_group(store, mode="r+")
    root.attrs["napari_gland_mtl"] = {**root.attrs["napari_gland_mtl"], "format_version": 2}
    with pytest.raises(UnreadableImageError, match="Update napari-gland-mtl"):
        read_segmentation(store)


def test_the_uncertainty_is_an_image_of_its_own(tmp_path, segmentation):
    """Placed into the whole, in bytes, valid NGFF; unknown where nothing was analysed."""
    from ome_zarr_models import v05 as models

    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (700, 1200, 3), dtype=np.uint8)
    path = tmp_path / "a.ome.zarr"
    write_segmentation(path, slide_from_array(pixels, mpp=0.5), segmentation, offset=(500, 1000))
    group = zarr.open_group(path, mode="r")["maps/uncertainty"]
    image = models.Image.from_zarr(group)
    assert [array.shape for array in (group["0"], group["1"])] == [(700, 1200), (350, 600)]
    assert group["0"].dtype == np.uint8
    assert group.attrs["ome"]["omero"]["channels"][0]["window"]["end"] == 255
    assert image.ome_attributes.multiscales[0].axes[0].unit == "micrometer"
    found = read_segmentation(path)
    assert np.array_equal(np.isnan(found.uncertainty), found.regions == 0)
    part = found.uncertainty[500:590, 1000:1130]
    assert np.array_equal(part, segmentation.uncertainty, equal_nan=True)
    corner = np.nan_to_num(segmentation.uncertainty[:2, :2]).mean() * 255
    assert abs(int(group["1"][250, 500]) - corner) <= 0.5


def test_values_between_two_bytes_come_back_to_half_a_step(tmp_path, slide, segmentation):
    uncertainty = np.linspace(0, 1, segmentation.regions.size, dtype=np.float32)
    uncertainty = uncertainty.reshape(segmentation.regions.shape)
    exact = replace(segmentation, uncertainty=uncertainty)
    write_segmentation(tmp_path / "a.ome.zarr", slide, exact)
    found = read_segmentation(tmp_path / "a.ome.zarr").uncertainty
    assert np.nanmax(np.abs(found - uncertainty)) <= 0.5 / 255 + 1e-6


def test_a_result_of_an_earlier_version_opens_without(tmp_path, slide, segmentation, same):
    earlier = replace(segmentation, uncertainty=None)
    write_segmentation(tmp_path / "a.ome.zarr", slide, earlier)
    assert not (tmp_path / "a.ome.zarr" / "maps").exists()
    same(read_segmentation(tmp_path / "a.ome.zarr"), earlier)


def test_an_uncertainty_of_another_size_is_refused(tmp_path, slide, segmentation):
    wrong = replace(segmentation, uncertainty=segmentation.uncertainty[1:])
    with pytest.raises(InvalidInputError, match="uncertainty"):
        write_segmentation(tmp_path / "a.ome.zarr", slide, wrong)
    assert left_behind(tmp_path) == []
