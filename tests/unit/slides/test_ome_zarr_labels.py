"""Label images beside an OME-Zarr image are found, placed and read lazily."""

import numpy as np
import pytest
import zarr

from napari_gland_mtl.errors import UnreadableImageError
from napari_gland_mtl.slides.ome_zarr_labels import label_pyramids

LABELS = np.arange(60 * 80, dtype=np.uint16).reshape(60, 80)


def multiscale(arrays, axes, scale, translation=None, unit="micrometer"):
    steps = [{"type": "scale", "scale": scale}]
    if translation:
        steps.append({"type": "translation", "translation": translation})
    kinds = {"c": "channel", "t": "time"}
    return {
        "axes": [
            {"name": axis, "type": kinds.get(axis, "space")}
            | ({"unit": unit} if axis in "yx" else {})
            for axis in axes
        ],
        "datasets": [{"path": name, "coordinateTransformations": steps} for name in arrays],
    }


def image_with_labels(path, version, axes="yx", labels=LABELS, unit="micrometer", **placed):
    """An OME-Zarr made by hand from the NGFF specification."""
    group = zarr.create_group(path, zarr_format=3 if version == "0.5" else 2)

    def write(where, metadata):
        metadata = {"version": version, **metadata}
        where.attrs.update({"ome": metadata} if version == "0.5" else metadata)

    group.create_array("0", data=np.zeros((60, 80), np.uint8))
    write(group, {"multiscales": [multiscale("0", "yx", [0.5, 0.5])]})
    if labels is None:
        return path
    folder = group.create_group("labels")
    write(folder, {"labels": ["glands"]})
    glands = folder.create_group("glands")
    shape = {"yx": (), "cyx": (np.newaxis,), "tczyx": (np.newaxis,) * 3}[axes]
    glands.create_array("0", data=labels[shape])
    glands.create_array("1", data=np.ascontiguousarray(labels[..., ::2, ::2])[shape])
    extra = [1.0] * len(shape)
    colors = [{"label-value": 3, "rgba": [255, 0, 51, 255]}]
    write(
        glands,
        {
            "multiscales": [
                multiscale(
                    "01",
                    axes,
                    [*extra, 0.5, 0.5],
                    [*[0.0] * len(shape), *placed.get("translation", (0.0, 0.0))],
                    unit,
                )
            ],
            "image-label": {"colors": colors},
        },
    )
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["yx", "cyx", "tczyx"])
def test_labels_of_both_versions_are_found(tmp_path, version, axes):
    path = image_with_labels(tmp_path / "a.zarr", version, axes, translation=(7.0, 3.0))
    (found,) = label_pyramids(path)
    assert found.name == "glands"
    assert [level.shape for level in found.levels] == [(60, 80), (30, 40)]
    assert np.array_equal(found.levels[0].compute(), LABELS)
    assert (found.scale, found.translation) == ((0.5, 0.5), (7.0, 3.0))
    assert found.colors == {3: (1.0, 0.0, 0.2, 1.0)}


def test_lengths_become_micrometres(tmp_path):
    path = image_with_labels(tmp_path / "a.zarr", "0.5", unit="millimeter", translation=(2.0, 0.0))
    (found,) = label_pyramids(path)
    assert found.scale == (500.0, 500.0)
    assert found.translation == (2000.0, 0.0)


def test_without_a_length_places_are_in_pixels(tmp_path):
    path = image_with_labels(tmp_path / "a.zarr", "0.5", unit="pixel", translation=(2.0, 1.0))
    (found,) = label_pyramids(path)
    assert found.scale is None
    assert found.translation == (4.0, 2.0)


def test_images_without_labels_and_bare_arrays_have_none(tmp_path):
    assert label_pyramids(image_with_labels(tmp_path / "a.zarr", "0.5", labels=None)) == []
    zarr.create_array(tmp_path / "b.zarr", data=LABELS)
    assert label_pyramids(tmp_path / "b.zarr") == []


def test_what_is_no_plane_of_whole_numbers_is_left_out(tmp_path):
    path = image_with_labels(tmp_path / "a.zarr", "0.5", labels=LABELS.astype(np.float32))
    assert label_pyramids(path) == []


def test_damaged_labels_are_named(tmp_path):
    path = image_with_labels(tmp_path / "a.zarr", "0.5")
    (path / "labels" / "glands" / "1" / "zarr.json").unlink()
    with pytest.raises(UnreadableImageError, match=r"a\.zarr is damaged"):
        label_pyramids(path)
