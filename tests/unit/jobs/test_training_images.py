"""Claims about finding a training image again by its name."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from napari_gland_mtl.annotations import AnnotationProject
from napari_gland_mtl.annotations.area import area_from_slide
from napari_gland_mtl.annotations.project import project_path
from napari_gland_mtl.checkpoint import ModelCard, save_model
from napari_gland_mtl.datasets import open_dataset
from napari_gland_mtl.errors import DatasetError
from napari_gland_mtl.jobs.finetune_config import FinetuneConfig
from napari_gland_mtl.jobs.run_folder import write_records
from napari_gland_mtl.jobs.training_images import TrainingImages
from napari_gland_mtl.network import NetworkConfig, build_network
from napari_gland_mtl.regions import Region, RegionHierarchy
from napari_gland_mtl.slides import open_slide


@pytest.fixture
def images(tmp_path, four_glands):
    """Three images with region masks, each a little different, as a folder."""
    image, regions, _ = four_glands
    folder = tmp_path / "data"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(3):
        Image.fromarray(np.roll(image, 10 * number, 0)).save(folder / f"images/f{number}.png")
        Image.fromarray(np.roll(regions, 10 * number, 0)).save(folder / f"masks/f{number}.png")
    return folder


@pytest.fixture
def run(tmp_path, images):
    """A run folder as a training on two of the three leaves it."""
    folder = tmp_path / "run"
    folder.mkdir()
    dataset = open_dataset(images, mpp=0.5, masks="regions")
    write_records(folder, {"training": {}}, dataset.subset([0, 2]), dataset.subset([1]))
    return folder


def test_an_image_is_found_again_as_it_was_learned_from(run, four_glands):
    image, regions, _ = four_glands
    sample = TrainingImages(run).sample("f2")
    np.testing.assert_array_equal(sample.image, np.roll(image, 20, 0))
    np.testing.assert_array_equal(sample.regions, np.roll(regions, 20, 0))
    # The pixel size is in no file: it was noted down with the folder.
    assert sample.mpp == 0.5
    assert TrainingImages(run).record("f2").area is None


def test_what_is_not_there_is_said_and_may_be_found_elsewhere(run, images, tmp_path):
    with pytest.raises(DatasetError, match="no image “f9” where this training found its images"):
        TrainingImages(run).sample("f9")
    moved = tmp_path / "moved"
    shutil.move(images, moved)
    with pytest.raises(DatasetError, match=r"cannot be opened.*choose the folder"):
        TrainingImages(run).sample("f0")
    assert TrainingImages(run, moved).sample("f0").mpp == 0.5


def test_a_run_of_before_did_not_note_it_down(run, images):
    data = json.loads((run / "data.json").read_text())
    del data["origin"]
    (run / "data.json").write_text(json.dumps(data))
    with pytest.raises(DatasetError, match="did not note down where its images lie"):
        TrainingImages(run).sample("f0")


def test_an_annotated_area_is_known_by_its_project(tmp_path, images):
    slide = images / "images" / "f0.png"
    with open_slide(slide, mpp=0.5) as opened:
        area = area_from_slide(opened, (0, 0, 120, 120), 0.5, "area, 1", complete=True)
    area.glands[20:60, 20:60] = 1
    project = project_path(slide)
    key, _ = AnnotationProject(project).add(area)
    run = tmp_path / "tuned"
    run.mkdir()
    config = FinetuneConfig(training_data=(f"{project}::{key}",))
    (run / "finetune.json").write_text(config.model_dump_json())
    record = TrainingImages(run).record(f"{area.info.slide}/area, 1")
    assert record.area == (project, key)


def test_an_image_among_places_of_which_one_is_gone_is_still_found(tmp_path, images):
    projects = []
    for number in range(3):
        slide = images / "images" / f"f{number}.png"
        with open_slide(slide, mpp=0.5) as opened:
            area = area_from_slide(opened, (0, 0, 120, 120), 0.5, "area 1", complete=True)
        area.glands[20:60, 20:60] = 1
        projects.append(project_path(slide))
        AnnotationProject(projects[-1]).add(area)
    run = tmp_path / "tuned"
    run.mkdir()
    config = FinetuneConfig(training_data=tuple(str(path) for path in projects))
    (run / "finetune.json").write_text(config.model_dump_json())
    # One that a newer version made keeps none of the others shut.
    attributes = projects[0] / "zarr.json"
    before = attributes.read_text()
    assert before.count('"format_version": 1') == 1
    attributes.write_text(before.replace('"format_version": 1', '"format_version": 99'))
    assert TrainingImages(run).record("f2/area 1").area[0] == projects[2]
    attributes.write_text(before)
    shutil.rmtree(projects[1])
    assert TrainingImages(run).record("f2/area 1").area[0] == projects[2]
    with pytest.raises(DatasetError, match="cannot be opened"):
        TrainingImages(run).record("f1/area 1")
    # Where names were told apart by numbers, what is left might be another one.
    (run / "data.json").write_text(json.dumps({"training": ["f2/area 1", "f2/area 1 (2)"]}))
    with pytest.raises(DatasetError, match="cannot be opened"):
        TrainingImages(run).record("f2/area 1")


def test_an_area_that_only_measures_by_now_is_still_found(tmp_path, images):
    slide = images / "images" / "f0.png"
    project = AnnotationProject(project_path(slide))
    for name, part in (("one", "training"), ("two", "validation")):
        with open_slide(slide, mpp=0.5) as opened:
            area = area_from_slide(opened, (0, 0, 120, 120), 0.5, name, complete=True, part=part)
        project.add(area)
    run = tmp_path / "tuned"
    run.mkdir()
    config = FinetuneConfig(training_data=(str(project.path),))
    (run / "finetune.json").write_text(config.model_dump_json())
    assert TrainingImages(run).record("f0/two").area is not None


def test_regions_of_the_model_that_a_training_went_on_from_are_known(run, images):
    own = RegionHierarchy(
        regions=(
            Region(name="stroma"),
            Region(name="epithelium"),
            Region(name="lumen", parent="epithelium"),
            Region(name="muscle"),
        ),
        gland="epithelium",
        background="stroma",
    )
    for path in (images / "masks").iterdir():
        mask = np.asarray(Image.open(path)).copy()
        mask[:10] = 4
        Image.fromarray(mask).save(path)
    with pytest.raises(DatasetError):
        TrainingImages(run).sample("f0")
    network = build_network(NetworkConfig(widths=(4, 8), regions=own))
    card = ModelCard(
        name="own", description="Four regions.", mpp=0.5,
        network=network.config.model_dump(mode="json"), licence="None needed.",
    )  # fmt: skip
    save_model(run / "start.safetensors", network, card)
    found = TrainingImages(run)
    assert found.hierarchy.names == own.names
    assert (found.sample("f0").regions[:10] == 4).all()


def test_an_unknown_pixel_size_is_said_without_options_of_a_command_line(run, images):
    data = json.loads((run / "data.json").read_text())
    del data["origin"]
    (run / "data.json").write_text(json.dumps(data))
    with pytest.raises(DatasetError, match="pixel size is in none of the files") as caught:
        TrainingImages(run, images).sample("f0")
    assert "--mpp" not in str(caught.value)
