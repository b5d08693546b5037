"""Claims about annotations on disk: they come back as they were, and others can open them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_gland_mtl.annotations import (
    AnnotationProject,
    Area,
    AreaInfo,
    is_project,
    project_path,
)
from napari_gland_mtl.errors import InvalidInputError, UnreadableImageError
from napari_gland_mtl.slides import is_slide_path, open_slide
from napari_gland_mtl.slides.ome_zarr_labels import label_pyramids

TIMES = {"created", "modified"}


def folder_of(project, key):
    return project.path / "areas" / key


def test_an_area_comes_back_as_it_was_stored(project, make_area, same_pixels):
    area = make_area(patient="p 1", class_name="benign", part="validation", model="glas")
    key, revision = project.add(area)
    loaded, found = AnnotationProject(project.path).load(key)
    assert same_pixels(loaded, area)
    assert loaded.info.model_dump(exclude=TIMES) == area.info.model_dump(exclude=TIMES)
    assert found == revision == 1
    assert loaded.info.created == loaded.info.modified != ""


@st.composite
def areas(draw):
    """Areas of any size with any labels, names and settings."""
    shape = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    text = st.text(max_size=40)
    info = AreaInfo(
        name=draw(st.text(min_size=1, max_size=40)),
        slide=draw(text),
        slide_path=draw(text),
        slide_mpp=draw(st.floats(0.05, 20)),
        slide_shape=(1000, 1000),
        window=(0, draw(st.integers(0, 500)), 600, 700),
        mpp=draw(st.floats(0.05, 20)),
        way=draw(st.sampled_from(["glands", "regions"])),
        complete=draw(st.booleans()),
        class_name=draw(text),
        patient=draw(text),
        part=draw(st.sampled_from(["auto", "training", "validation"])),
        lumen_bias=draw(st.floats(-1, 1)),
        lumen_accepted=draw(st.booleans()),
        model=draw(text),
    )
    numbers = st.sampled_from([0, 0, 1, 2, 77, 2**31 - 1])
    return Area(
        info,
        draw(npst.arrays(np.uint8, (*shape, 3))),
        draw(npst.arrays(np.int32, shape, elements=numbers)),
        draw(npst.arrays(np.uint8, shape, elements=st.integers(0, 3))),
    )


@settings(max_examples=25)
@given(first=areas(), second=areas())
def test_whatever_is_drawn_comes_back(tmp_path_factory, same_pixels, first, second):
    project = AnnotationProject(tmp_path_factory.mktemp("any") / "a.annotations.zarr")
    key, revision = project.add(first)
    assert same_pixels(project.load(key)[0], first)
    other_key, _ = project.add(second)
    changed = replace(
        first, glands=first.glands[::-1].copy(), regions=first.regions[:, ::-1].copy()
    )
    revision = project.save(key, changed, revision)
    for wanted, name in ((changed, key), (second, other_key)):
        loaded, _ = project.load(name)
        assert same_pixels(loaded, wanted)
        differing = TIMES if wanted is changed else TIMES | {"name"}
        assert loaded.info.model_dump(exclude=differing) == wanted.info.model_dump(
            exclude=differing
        )
    assert len({stored.info.name for stored in project.stored()}) == 2


def test_a_save_changes_labels_and_description_and_never_the_image(project, make_area):
    area = make_area()
    key, revision = project.add(area)
    changed = make_area(value=7, class_name="malignant")
    assert project.save(key, changed, revision) == 2
    loaded, _ = project.load(key)
    assert np.array_equal(loaded.image, area.image)
    assert np.array_equal(loaded.glands, changed.glands)
    assert (loaded.info.class_name, loaded.info.created) == (
        "malignant",
        project.stored()[0].info.created,
    )
    arrays = list(folder_of(project, key).glob("labels/*/[0-9]*"))
    assert len(arrays) == 2  # the old ones are gone


def test_nothing_is_written_before_something_is_added(tmp_path):
    project = AnnotationProject(tmp_path / "a" / "b.annotations.zarr")
    assert project.stored() == []
    assert project.next_name() == "area 1"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "glands", "annotated"),
    [
        ({}, 1, 30 * 40 + 15 * 80),
        ({"complete": True}, 1, 60 * 80),
        ({"way": "regions"}, 1, 30 * 40 + 15 * 80),
        ({"way": "regions", "complete": True}, 1, 30 * 40 + 15 * 80),
    ],
)
def test_glands_and_annotated_pixels_are_counted(project, make_area, changes, glands, annotated):
    key, _ = project.add(make_area(value=3, **changes))
    (stored,) = project.stored()
    assert (stored.key, stored.glands, stored.annotated_px) == (key, glands, annotated)
    assert stored.error == ""


def test_an_outline_alone_counts_as_annotated_only_where_glands_are_outlined(project, make_area):
    for way in ("glands", "regions"):
        area = make_area(way=way)
        area.regions[...] = 0
        project.add(area)
    by_way = {stored.info.way: stored.annotated_px for stored in project.stored()}
    assert by_way == {"glands": 30 * 40, "regions": 0}


def test_names_are_unique_also_against_removed_areas_and_on_renaming(project, make_area):
    first, _ = project.add(make_area("area 1"))
    second, revision = project.add(make_area("area 1"))
    project.add(make_area("area 7"))
    names = {stored.key: stored.info.name for stored in project.stored()}
    assert names[second] == "area 1 (2)"
    assert project.next_name() == "area 8"
    project.remove(first)
    project.save(second, make_area("area 1"), revision)
    assert project.load(second)[0].info.name == "area 1 (2)"
    project.restore(first)
    assert len({stored.info.name for stored in project.stored()}) == 3
    project.save(second, make_area("tumour"), revision + 1)
    assert project.load(second)[0].info.name == "tumour"


def test_a_removed_area_is_gone_until_it_is_restored(project, make_area, same_pixels):
    area = make_area()
    key, _ = project.add(area)
    project.remove(key)
    assert project.stored() == []
    with pytest.raises(UnreadableImageError, match="removed in another window"):
        project.load(key)
    with pytest.raises(UnreadableImageError, match="no area"):
        project.remove(key)
    project.restore(key)
    assert same_pixels(project.load(key)[0], area)
    with pytest.raises(UnreadableImageError, match="no area"):
        project.restore(key)


def test_the_oldest_area_comes_first(project, make_area):
    for name, created in (("b", "2026-02-01"), ("a", "2026-03-01"), ("c", "2026-01-01")):
        project.add(make_area(name, created=created))
    assert [stored.info.name for stored in project.stored()] == ["c", "b", "a"]


def test_labels_that_do_not_fit_are_refused(project, make_area):
    area = make_area()
    key, revision = project.add(area)
    with pytest.raises(InvalidInputError, match="do not fit"):
        project.save(key, make_area(height=61), revision)
    wrong = make_area()
    wrong.regions[0, 0] = 9
    with pytest.raises(InvalidInputError, match="0 to 9"):
        project.save(key, wrong, revision)
    wrong = make_area()
    wrong.glands[0, 0] = -1
    with pytest.raises(InvalidInputError, match="must not be negative"):
        project.add(wrong)
    with pytest.raises(InvalidInputError, match="int32"):
        replace(area, glands=area.glands.astype(np.int64))
    with pytest.raises(InvalidInputError, match="uint8 of shape"):
        replace(area, image=area.image[..., 0])
    assert project.load(key)[1] == revision


# ------------------------------------------------------------------ places


def test_a_project_lies_beside_its_slide_or_where_the_user_says(tmp_path):
    slide = tmp_path / "case.1.ome.tif"
    assert project_path(slide) == tmp_path / "case.1.annotations.zarr"
    assert project_path(slide, tmp_path / "x") == tmp_path / "x" / "case.1.annotations.zarr"
    assert project_path(None, tmp_path, "layer") == tmp_path / "layer.annotations.zarr"
    with pytest.raises(InvalidInputError, match="Choose a folder"):
        project_path(None)


def test_a_project_is_recognised_by_its_content_or_its_name(project, make_area, tmp_path):
    project.add(make_area())
    assert is_project(project.path)
    renamed = tmp_path / "renamed"
    shutil.copytree(project.path, renamed)
    assert is_project(renamed)
    (project.path / "zarr.json").write_text("")
    assert is_project(project.path)
    assert len(AnnotationProject(project.path).stored()) == 1
    zarr.create_group(tmp_path / "other.zarr")
    for path in (tmp_path, tmp_path / "other.zarr", tmp_path / "missing.annotations.zarr"):
        assert not is_project(path)


def test_a_project_beside_slides_is_no_slide_itself(project, make_area, tmp_path):
    from napari_gland_mtl.cli.inputs import expand

    project.add(make_area())
    (tmp_path / "case.png").write_bytes(b"")
    assert expand([tmp_path]) == [tmp_path / "case.png"]


def test_what_is_no_project_is_never_written_to(tmp_path, make_area):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("x")
    (tmp_path / "file.annotations.zarr").write_text("x")
    for name in ("thesis", "file.annotations.zarr"):
        with pytest.raises(InvalidInputError, match="holds no annotations"):
            AnnotationProject(tmp_path / name)


def test_what_a_newer_version_made_is_not_touched(project, make_area, files):
    key, _ = project.add(make_area())
    path = folder_of(project, key) / "zarr.json"
    newer = json.loads(path.read_text())
    newer["attributes"]["napari_gland_mtl"]["format_version"] = 2
    path.write_text(json.dumps(newer))
    before = files(project.path)
    (stored,) = project.stored()
    assert "newer version" in stored.error
    assert "Update" in stored.error
    with pytest.raises(UnreadableImageError, match="newer version"):
        project.save(key, make_area(), 1)
    assert files(project.path) == before
    root = project.path / "zarr.json"
    root.write_text(root.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(UnreadableImageError, match="newer version"):
        AnnotationProject(project.path)


# ------------------------------------------------------------------ damage


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "half": truncate,
    "flipped": flip,
    "gone": lambda path: path.unlink(),
}


DESCRIPTIONS = ("zarr.json", "0/zarr.json", "labels/glands/1/zarr.json")
PIXELS = ("0/c/0/0/0", "labels/glands/1/c/0/0", "labels/regions/1/c/0/0")


@pytest.mark.parametrize(
    ("damage", "file"),
    [
        (damage, file)
        for damage in DAMAGES
        for file in DESCRIPTIONS + PIXELS
        # A changed letter in a text that can still be read cannot be told.
        if damage != "flipped" or file in PIXELS
    ],
)
def test_a_damaged_area_is_named_and_the_others_are_fine(project, make_area, damage, file):
    key, revision = project.add(make_area("broken"))
    sound, _ = project.add(make_area("sound"))
    DAMAGES[damage](folder_of(project, key) / file)
    again = AnnotationProject(project.path)
    with pytest.raises(UnreadableImageError, match="broken") as caught:
        again.load(key)
    assert "annotate it again" in str(caught.value)
    assert "\n" not in str(caught.value)
    if not file.startswith("0/c"):
        with pytest.raises(UnreadableImageError, match="broken"):
            again.check(key)
    again.check(sound)
    assert [stored.error for stored in again.stored() if stored.key == sound] == [""]
    if file == "zarr.json":
        assert "damaged" in next(s.error for s in again.stored() if s.key == key)
        with pytest.raises(UnreadableImageError, match="damaged"):
            again.save(key, make_area(), revision)
    again.remove(key)
    assert [stored.key for stored in again.stored()] == [sound]


def test_damaged_labels_can_be_saved_again_by_who_still_has_them(project, make_area, same_pixels):
    area = make_area()
    key, revision = project.add(area)
    DAMAGES["empty"](folder_of(project, key) / "labels/glands/1/c/0/0")
    project.save(key, area, revision)
    assert same_pixels(project.load(key)[0], area)


@settings(max_examples=40)
@given(where=st.integers(0, 10**6), value=st.integers(1, 255), what=st.sampled_from("gri"))
def test_a_flipped_bit_in_pixels_is_never_taken_for_an_annotation(
    tmp_path_factory, make_area, same_pixels, where, value, what
):
    project = AnnotationProject(tmp_path_factory.mktemp("bits") / "a.annotations.zarr")
    area = make_area(height=20, width=60)
    key, _ = project.add(area)
    file = {"g": "labels/glands/1/c/0/0", "r": "labels/regions/1/c/0/0", "i": "0/c/0/0/0"}[what]
    path = folder_of(project, key) / file
    content = bytearray(path.read_bytes())
    content[where % len(content)] ^= value
    path.write_bytes(bytes(content))
    try:
        loaded, _ = project.load(key)
    except UnreadableImageError:
        return
    assert same_pixels(loaded, area)


# ------------------------------------------------------------------ other tools


def test_an_area_is_valid_ngff_in_its_place_on_the_slide(project, make_area):
    from ome_zarr_models import v05 as models

    area = make_area()
    key, revision = project.add(area)
    for value in (4, 5):
        area = make_area(value=value)
        revision = project.save(key, area, revision)
    folder = folder_of(project, key)
    image = models.Image.from_zarr(zarr.open_group(folder, mode="r"))
    (multiscale,) = image.attributes.ome.multiscales
    assert [(axis.name, axis.unit) for axis in multiscale.axes[1:]] == [
        ("y", "micrometer"),
        ("x", "micrometer"),
    ]
    labels = models.Labels.from_zarr(zarr.open_group(folder / "labels", mode="r"))
    assert labels.attributes.ome.labels == ["glands", "regions"]
    for name, wanted in (("glands", area.glands), ("regions", area.regions)):
        group = zarr.open_group(folder / "labels" / name, mode="r")
        label = models.ImageLabel.from_zarr(group)
        (dataset,) = label.attributes.ome.multiscales[0].datasets
        assert np.array_equal(group[dataset.path][...], wanted)
        scale, translation = dataset.coordinateTransformations
        assert scale.scale == [1.0, 1.0]
        # The centre of a pixel of 1 um at the corner of pixel 100, 200 of 0.5 um.
        assert translation.translation == [50.25, 100.25]
    assert image.attributes.ome.multiscales[0].datasets[0].coordinateTransformations[
        1
    ].translation == [0.0, 50.25, 100.25]


def test_an_area_opens_as_an_image_with_labels(project, make_area):
    area = make_area()
    key, revision = project.add(area)
    changed = make_area(value=9)
    project.save(key, changed, revision)
    assert is_slide_path(folder_of(project, key))
    with open_slide(folder_of(project, key)) as slide:
        assert slide.mpp == area.info.mpp
        assert np.array_equal(slide.read(), area.image)
    glands, regions = label_pyramids(folder_of(project, key))
    assert np.array_equal(np.asarray(glands.levels[0]), changed.glands)
    assert np.array_equal(np.asarray(regions.levels[0]), changed.regions)


def test_the_listing_of_many_areas_reads_no_pixels(project, make_area, monkeypatch):
    for _ in range(3):
        project.add(make_area())

    def refuse(*_, **__):
        raise AssertionError("an array was opened")

    monkeypatch.setattr(zarr, "open_array", refuse)
    assert len(AnnotationProject(project.path).stored()) == 3
    with pytest.raises(AssertionError):
        project.load(project.stored()[0].key)
