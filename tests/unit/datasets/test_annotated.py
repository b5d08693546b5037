"""Claims about annotated areas as a data set: what was said is taught, the rest is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_gland_mtl.annotations import AnnotationProject, Area, AreaInfo, area_from_slide
from napari_gland_mtl.datasets import (
    Chosen,
    annotation_of,
    open_annotated,
    open_dataset,
    split_dataset,
)
from napari_gland_mtl.datasets.lumen import LumenConfig, derive_regions
from napari_gland_mtl.errors import DatasetError
from napari_gland_mtl.slides import open_slide

MPP = 1.0
STROMA, EPITHELIUM, LUMEN = 1, 2, 3


def make_area(discs, stained, name="area 1", slide="case", **info):
    """Two round glands with pale centres, in 60 x 90 px."""
    described = AreaInfo(
        name=name,
        slide=slide,
        slide_mpp=0.5,
        slide_shape=(500, 500),
        window=(0, 0, 120, 180),
        **{"mpp": MPP, **info},
    )
    glands = discs((60, 90), (30, 25, 18), (30, 68, 16)).astype(np.int32)
    return Area(described, stained(glands), glands, np.zeros(glands.shape, np.uint8))


@pytest.fixture
def area(discs, stained):
    return make_area(discs, stained)


@pytest.fixture
def project(tmp_path):
    return AnnotationProject(tmp_path / "case.annotations.zarr")


def change(area, **info):
    return replace(area, info=area.info.model_copy(update=info))


# ------------------------------------------------------------------ one area


def test_an_outline_alone_is_taught_with_lumen_ring_and_nothing_else(area):
    image, regions, instances = annotation_of(area)
    inside = area.glands > 0
    assert image is area.image
    assert np.array_equal(instances > 0, inside)
    derived = derive_regions(area.image, area.glands, MPP)
    assert np.array_equal(regions[inside], derived[inside])
    assert {EPITHELIUM, LUMEN} == set(np.unique(regions[inside]))
    distance = ndimage.distance_transform_edt(~inside)
    assert (regions[~inside & (distance <= 5)] == STROMA).all()
    assert (regions[distance > 5] == 0).all()
    assert (distance > 5).any()


@pytest.mark.parametrize("mpp", [0.5, 2.0, 4.0])
def test_the_ring_has_its_width_in_micrometres_and_at_least_a_pixel(area, mpp):
    _, regions, _ = annotation_of(change(area, mpp=mpp))
    distance = ndimage.distance_transform_edt(area.glands == 0) * mpp
    widest = max(5.0, 1.5 * mpp)
    outside = distance > 0
    assert np.array_equal(regions[outside] == STROMA, distance[outside] <= widest)


def test_where_every_gland_is_outlined_the_rest_is_stroma(area):
    _, regions, _ = annotation_of(change(area, complete=True))
    assert (regions[area.glands == 0] == STROMA).all()
    empty = replace(change(area, complete=True), glands=np.zeros_like(area.glands))
    _, regions, instances = annotation_of(empty)
    assert (regions == STROMA).all()
    assert not instances.any()


def test_painted_stroma_stays_outside_of_glands(area):
    area.regions[50:, :10] = STROMA
    area.regions[:14, 75:] = EPITHELIUM  # of a gland that nobody outlined
    _, regions, _ = annotation_of(area)
    assert (regions[50:, :10] == STROMA).all()
    assert not regions[:6, 86:].any()
    near = ndimage.distance_transform_edt(area.glands == 0) <= 5
    assert not regions[near & (area.regions == EPITHELIUM)].any()
    assert (near & (area.regions == EPITHELIUM)).any()


def test_a_painted_lumen_counts_once_it_is_accepted_and_where_it_was_painted(area):
    area.regions[27:33, 22:28] = LUMEN
    area.regions[20:27, 22:28] = EPITHELIUM
    painted = area.regions > 0
    _, proposed, _ = annotation_of(area)
    derived = derive_regions(area.image, area.glands, MPP)
    inside = area.glands > 0
    assert np.array_equal(proposed[inside], derived[inside])
    _, accepted, _ = annotation_of(change(area, lumen_accepted=True))
    assert np.array_equal(accepted[painted], area.regions[painted])
    assert np.array_equal(accepted[inside & ~painted], derived[inside & ~painted])
    assert not np.array_equal(derived[painted], area.regions[painted])


def test_the_slider_reaches_the_lumen(area):
    few, many = (
        np.count_nonzero(annotation_of(change(area, lumen_bias=bias))[1] == LUMEN)
        for bias in (-1.0, 1.0)
    )
    assert few < many
    expected = derive_regions(area.image, area.glands, MPP, LumenConfig(bias=1.0))
    inside = area.glands > 0
    found = annotation_of(change(area, lumen_bias=1.0))[1]
    assert np.array_equal(found[inside], expected[inside])


def test_painted_regions_are_taken_as_they_are(area):
    area.regions[:20] = STROMA
    area.regions[20:40] = EPITHELIUM
    _, regions, instances = annotation_of(change(area, way="regions", complete=True))
    assert np.array_equal(regions, area.regions)
    assert instances is None


def test_slips_of_the_brush_are_neither_gland_nor_stroma(area):
    area.glands[2:4, 2:4] = 1  # a second piece of gland 1
    area.glands[50:58, 40:50] = 2  # a large second piece of gland 2
    area.glands[30, 25] = 0  # a hole
    for complete in (False, True):
        _, regions, instances = annotation_of(change(area, complete=complete))
        assert not regions[2:4, 2:4].any()
        assert not instances[2:4, 2:4].any()
        assert instances[30, 25] == instances[30, 24] > 0
        assert len(np.unique(instances)) == 4
        assert np.unique(instances[50:58, 40:50]).size == 1


def test_numbers_of_glands_may_be_huge(area):
    area.glands[area.glands == 2] = 2**31 - 1
    _, _, instances = annotation_of(area)
    assert set(np.unique(instances)) == {0, 1, 2}


# ------------------------------------------------------------------ a data set


def test_a_project_opens_as_a_data_set_that_says_what_it_holds(project, discs, stained):
    project.add(make_area(discs, stained, "one", class_name="benign"))
    project.add(make_area(discs, stained, "two", "other", class_name="malignant", patient="p"))
    project.add(make_area(discs, stained, "three", class_name="odd"))
    dataset = open_dataset(project.path)
    assert dataset.names == ("case/one", "other/two", "case/three")
    assert [record.patient for record in dataset.records] == ["case", "p", "case"]
    assert [record.class_index for record in dataset.records] == [0, 1, -1]
    assert dataset.classes == ("benign", "malignant")
    assert dataset.description == (
        "3 annotated areas on 2 slides at 1 um/px; 6 glands; classes benign 1, malignant 1, "
        "unknown 1"
    )
    sample = dataset[1]
    assert (sample.class_index, sample.mpp, sample.patient) == (1, MPP, "p")
    expected = annotation_of(project.load(project.stored()[1].key)[0])
    for found, wanted in zip(
        (sample.image, sample.regions, sample.instances), expected, strict=True
    ):
        assert np.array_equal(found, wanted)


def test_areas_of_one_slide_stay_on_one_side_of_a_split(project, discs, stained):
    for number in range(6):
        project.add(make_area(discs, stained, f"area {number}", f"slide {number % 3}"))
    training, validation = split_dataset(open_dataset(project.path), 0.3)
    sides = [{record.patient for record in side.records} for side in (training, validation)]
    assert not sides[0] & sides[1]


def test_a_folder_of_projects_opens_as_one_data_set_with_names_of_their_own(
    tmp_path, discs, stained
):
    for name in ("a", "b"):
        project = AnnotationProject(tmp_path / f"{name}.annotations.zarr")
        project.add(make_area(discs, stained))
    (tmp_path / "a.svs").write_bytes(b"not looked at")
    assert open_dataset(tmp_path).names == ("case/area 1", "case/area 1 (2)")


def test_single_areas_are_chosen_and_none_counts_twice(project, discs, stained):
    keys = [project.add(make_area(discs, stained, f"area {n}"))[0] for n in range(3)]
    chosen = [Chosen(project.path, keys[2]), Chosen(project.path, keys[0])]
    assert open_annotated(chosen).names == ("case/area 2", "case/area 0")
    assert len(open_annotated([*chosen, project.path])) == 3
    project.remove(keys[0])
    with pytest.raises(DatasetError, match="removed in another window"):
        open_annotated(chosen)


def test_areas_can_be_taken_by_the_part_they_were_put_to(project, discs, stained):
    project.add(make_area(discs, stained, "t", part="training"))
    project.add(make_area(discs, stained, "v", part="validation"))
    assert open_dataset(project.path, split="validation").names == ("case/v",)
    assert len(open_dataset(project.path)) == 2
    with pytest.raises(DatasetError, match="no annotated area put to auto"):
        open_dataset(project.path, split="auto")
    with pytest.raises(DatasetError, match="training, validation, not 'test'"):
        open_dataset(project.path, split="test")


def test_mixed_scales_are_allowed_and_said(project, discs, stained):
    project.add(make_area(discs, stained))
    project.add(make_area(discs, stained, "coarse", mpp=2.0))
    dataset = open_dataset(project.path)
    assert "1 to 2 (mixed) um/px" in dataset.description
    assert [sample.mpp for sample in dataset] == [1.0, 2.0]


def test_empty_areas_are_left_out_and_nothing_at_all_is_an_error(project, area):
    empty = replace(area, glands=np.zeros_like(area.glands))
    key, _ = project.add(empty)
    project.remove(key)
    with pytest.raises(DatasetError, match="no annotated area"):
        open_annotated([project.path])
    project.restore(key)
    with pytest.raises(DatasetError, match=r"Nothing is annotated in the area.*at least one gland"):
        open_annotated([Chosen(project.path, key)])
    project.add(area)
    dataset = open_annotated(project.path)
    assert len(dataset) == 1
    assert dataset.description.endswith("1 empty area left out")


@pytest.mark.parametrize("file", ["zarr.json", "labels/glands/1/c/0/0", "0/zarr.json"])
def test_a_damaged_area_is_named_before_any_work_starts(project, area, file):
    project.add(area)
    key, _ = project.add(change(area, name="broken one"))
    (project.path / "areas" / key / file).write_bytes(b"")
    with pytest.raises(DatasetError, match="broken"):
        open_dataset(project.path)
    assert len(open_annotated([Chosen(project.path, k) for k in sound_keys(project, key)])) == 1


def sound_keys(project, broken):
    return [stored.key for stored in project.stored() if stored.key != broken]


def test_what_is_asked_of_projects_in_vain_is_said(project, area, tmp_path):
    project.add(area)
    with pytest.raises(DatasetError, match="Leave out --mpp"):
        open_dataset(project.path, mpp=0.5)
    with pytest.raises(DatasetError, match="Leave out --mpp"):
        open_dataset(project.path, masks="regions")
    with pytest.raises(DatasetError, match="holds no annotations"):
        open_annotated([tmp_path / "nothing.annotations.zarr"])


def test_the_slide_may_move_away(tmp_path, write, discs, stained):
    path = write(tmp_path / "slides" / "case.tif", stained(discs((200, 300), (100, 90, 40))), 0.5)
    with open_slide(path) as slide:
        area = area_from_slide(slide, (20, 10, 180, 250), MPP, "area 1")
    area.glands[30:50, 30:50] = 1
    project = AnnotationProject(tmp_path / "case.annotations.zarr")
    project.add(area)
    path.unlink()
    dataset = open_dataset(project.path)
    assert np.array_equal(dataset[0].image, area.image)
    assert dataset.names == ("case/area 1",)
