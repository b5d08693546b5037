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
from napari_gland_mtl.datasets import open_dataset
from napari_gland_mtl.errors import DatasetError
from napari_gland_mtl.jobs.finetune_config import FinetuneConfig
from napari_gland_mtl.jobs.run_folder import write_records
from napari_gland_mtl.jobs.training_images import TrainingImages
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
