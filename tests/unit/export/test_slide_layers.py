"""A slide's result is shown in its place, lazily, and grows on the screen as it grows on disk."""

import numpy as np
import pytest

from napari_gland_mtl.errors import UnreadableImageError
from napari_gland_mtl.export.layers import role_of
from napari_gland_mtl.export.slide_layers import (
    HEAT_MAP,
    OVERVIEW,
    SLIDE_GLANDS,
    SLIDE_REGIONS,
    SLIDE_ROLES,
    SLIDE_UNCERTAINTY,
    TISSUE_MASK,
    layers_from_store,
    slide_role,
)


@pytest.fixture
def store(tmp_path, case):
    return case.create(tmp_path / "case.ome.zarr")


def by_role(store, **options):
    return {slide_role(layer[1]): layer for layer in layers_from_store(store.path, **options)}


def levels_of(layer):
    return layer[0] if isinstance(layer[0], list) else [layer[0]]


def test_layers_have_their_role_name_and_order(store):
    layers = layers_from_store(store.path, overview=True)
    assert [slide_role(layer[1]) for layer in layers] == [
        OVERVIEW,
        TISSUE_MASK,
        HEAT_MAP,
        SLIDE_REGIONS,
        SLIDE_UNCERTAINTY,
        SLIDE_GLANDS,
    ]
    names = [layer[1]["name"].removeprefix("case").strip() for layer in layers]
    assert names == ["", "tissue", "malignant", "regions", "uncertainty", "glands"]
    kinds = ["image", "labels", "image", "labels", "image", "labels"]
    assert [layer[2] for layer in layers] == kinds
    hidden = [layer[1]["name"] for layer in layers if layer[1].get("visible") is False]
    assert hidden == ["case tissue", "case malignant", "case uncertainty"]
    assert set(SLIDE_ROLES) == {slide_role(layer[1]) for layer in layers}


def test_the_overview_is_left_out_where_the_slide_itself_is_shown(store):
    assert OVERVIEW not in by_role(store)


def test_layers_of_a_slide_are_not_taken_for_those_of_a_field(store):
    assert {role_of(layer[1]) for layer in layers_from_store(store.path)} == {None}
    assert slide_role({"metadata": {"napari_gland_mtl": {"role": "regions"}}}) is None
    assert slide_role({"metadata": None}) is slide_role({}) is None


def test_layers_lie_over_the_slide(store, case):
    """Corners of all layers coincide: half a pixel before the first pixel's centre."""
    sides = {
        OVERVIEW: case.overview_downsample * case.slide_mpp,
        TISSUE_MASK: case.tissue_downsample * case.slide_mpp,
        HEAT_MAP: case.mpp * case.stride,
        SLIDE_REGIONS: case.mpp,
        SLIDE_UNCERTAINTY: case.mpp * case.stride,
        SLIDE_GLANDS: case.mpp,
    }
    for role, layer in by_role(store, overview=True).items():
        assert layer[1]["scale"] == pytest.approx((sides[role],) * 2)
        assert layer[1]["units"] == ("um", "um")
        corner = np.subtract(layer[1]["translate"], np.array(layer[1]["scale"]) / 2)
        assert corner == pytest.approx([-case.slide_mpp / 2] * 2)
        height = levels_of(layer)[0].shape[0] * sides[role]
        assert height == pytest.approx(case.height * case.mpp, rel=0.01)


def test_layers_show_what_was_written_after_they_were_made(store, case):
    layers = by_role(store)
    regions = levels_of(layers[SLIDE_REGIONS])
    assert not any(np.asarray(level).any() for level in regions)
    case.write_labels(store)
    store.write_heatmap((0, 0, 82, 57), np.full((2, 82, 57), 0.75, np.float32))
    for level, stored in zip(regions[:-1], store.labels("regions"), strict=True):
        assert np.array_equal(np.asarray(level), np.asarray(stored))
    assert np.array_equal(np.asarray(levels_of(layers[SLIDE_GLANDS])[0]), case.labels()[1])
    assert (np.asarray(levels_of(layers[HEAT_MAP])[0]) == 0.75).all()
    # napari must not keep an older state, either.
    assert all(layer[1]["cache"] is False for layer in layers.values())


def test_nothing_is_read_before_it_is_drawn(store, case, monkeypatch):
    import zarr.storage._local as local

    case.write_labels(store)
    read = []
    get = local._get
    monkeypatch.setattr(local, "_get", lambda path, *rest: read.append(path) or get(path, *rest))
    layers = by_role(store, overview=True)
    chunks = [path for path in read if "c" in path.parts and "tissue" not in path.parts]
    assert chunks == []
    levels_of(layers[SLIDE_GLANDS])[0][:10, :10].compute()
    assert any("glands" in path.parts for path in read if "c" in path.parts)


def test_levels_are_those_a_viewer_needs(store):
    layers = by_role(store, overview=True)
    assert [level.shape for level in levels_of(layers[SLIDE_REGIONS])] == [
        (1300, 900),
        (650, 450),
        (325, 225),
        (41, 29),  # in place of the lowest level that napari would not read again
    ]
    assert layers[SLIDE_REGIONS][1]["multiscale"] is True
    for role, shape in ((OVERVIEW, (130, 90, 3)), (TISSUE_MASK, (13, 9)), (HEAT_MAP, (82, 57))):
        assert layers[role][1]["multiscale"] is False
        assert layers[role][0].shape == shape


def test_the_metadata_says_what_widgets_need(store, case):
    store.write_summary({"glands": 3})
    record = by_role(store)[SLIDE_GLANDS][1]["metadata"]["napari_gland_mtl"]
    assert record["path"] == str(store.path)
    assert record["summary"] == {"glands": 3}
    assert record["classes"] == list(case.classes)
    assert record["window"] == (0, 0, 8320, 5760)
    images = [layer for layer in layers_from_store(store.path) if layer[2] == "image"]
    heat_map, uncertainty = images
    assert uncertainty[1]["name"].endswith("uncertainty")
    assert not uncertainty[1]["visible"]
    assert heat_map[1]["metadata"]["napari_gland_mtl"]["class"] == "malignant"
    assert heat_map[1]["contrast_limits"] == (0.0, 1.0)


def test_glands_have_their_rows_as_features(store, case):
    assert by_role(store)[SLIDE_GLANDS][1]["features"] == {}
    store.append_rows(case.rows(1, 5))
    store.write_summary({})
    features = by_role(store)[SLIDE_GLANDS][1]["features"]
    assert features["index"].tolist() == [1, 2, 3, 4, 5]
    assert features["kind"].tolist() == ["é", "éé", "ééé", "", "é"]


def test_regions_have_their_colours(store):
    colors = by_role(store)[SLIDE_REGIONS][1]["colormap"]
    assert colors[3][:3] == pytest.approx((240 / 255, 228 / 255, 66 / 255))


def test_a_store_without_picture_and_tissue_has_its_labels(tmp_path, case):
    store = case.create(tmp_path / "a.ome.zarr", overview=None, tissue=None, record={})
    layers = by_role(store, overview=True)
    assert list(layers) == [HEAT_MAP, SLIDE_REGIONS, SLIDE_UNCERTAINTY, SLIDE_GLANDS]
    assert layers[SLIDE_GLANDS][1]["name"] == "a glands"


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(UnreadableImageError, match="no result of a whole slide"):
        layers_from_store(tmp_path)
