"""Claims about evaluation: the measures are those of the pairs, and what does not fit is named."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_gland_mtl.datasets.dataset import Dataset, Record
from napari_gland_mtl.errors import DatasetError
from napari_gland_mtl.export.ome_zarr import write_segmentation
from napari_gland_mtl.jobs.direct import evaluate, segment
from napari_gland_mtl.jobs.evaluate import evaluate_model, evaluate_predictions
from napari_gland_mtl.jobs.events import EvaluationDone, ImageEvaluated, Notice, Started
from napari_gland_mtl.jobs.segment import segment_image
from napari_gland_mtl.jobs.segment_config import SegmentConfig
from napari_gland_mtl.jobs.stop import StopToken
from napari_gland_mtl.slides import slide_from_array

SETTINGS = {"device": "cpu", "flips": False}
MPP = 0.5
MEASURES = {
    "images",
    "classification_accuracy",
    "pixel_accuracy",
    "object_f1",
    "object_dice",
    "object_hausdorff_px",
    "object_hausdorff_um",
    "topology_violations_raw",
    "topology_violations",
}


def dataset_of(samples, classes=("benign", "malignant"), kinds=None):
    """A data set in memory of (image, regions, instances)."""
    kinds = kinds or [1] * len(samples)
    records = [
        Record(f"field_{number}", kind, None, MPP, read=lambda sample=sample: sample)
        for number, (sample, kind) in enumerate(zip(samples, kinds, strict=True))
    ]
    return Dataset(tuple(records), classes)


@pytest.fixture(scope="module")
def two_fields(tissue):
    return dataset_of(
        [
            tissue(140, 150, MPP, ((40, 40), (100, 110))),
            tissue(130, 160, MPP, ((60, 60), (60, 120))),
        ],
        kinds=[1, 0],
    )


def summary(events):
    return list(events)[-1].measures


def test_a_model_that_is_right_scores_near_one(two_fields, colour_model):
    measures = evaluate(two_fields, colour_model, **SETTINGS)
    assert set(measures) >= MEASURES
    assert measures["images"] == 2
    assert measures["object_f1"] == {"pooled": 1.0, "mean": 1.0}
    assert measures["object_dice"]["mean"] > 0.97
    assert measures["object_hausdorff_px"]["mean"] < 3
    assert measures["object_hausdorff_um"]["pooled"] == pytest.approx(
        MPP * measures["object_hausdorff_px"]["pooled"]
    )
    assert measures["pixel_accuracy"] > 0.97
    assert measures["topology_violations"] == 0
    assert json.loads(json.dumps(measures)) == measures


def test_class_accuracy_counts_the_images_that_are_right(two_fields, colour_model):
    measures = evaluate(two_fields, colour_model, **SETTINGS)
    assert measures["classification_accuracy"] == 0.5
    assert [image["class_found"] for image in measures["per_image"]] == ["malignant"] * 2


def test_a_model_that_misses_a_gland_scores_less(tissue, colour_model):
    image, regions, glands = tissue(140, 150, MPP, ((40, 40), (100, 110)))
    image = image.copy()
    image[glands == 2] = image[0, 0]
    measures = evaluate(dataset_of([(image, regions, glands)]), colour_model, **SETTINGS)
    assert measures["object_f1"]["pooled"] == pytest.approx(2 / 3)
    (counted,) = measures["per_image"]
    assert (counted["glands_annotated"], counted["glands_found"]) == (2, 1)
    assert measures["pixel_accuracy"] < 0.95


def test_unknown_classes_are_not_measured_and_foreign_ones_are_said(tissue, colour_model):
    field = tissue(100, 100, MPP, ((50, 50),))
    config = SegmentConfig(**SETTINGS)
    unknown = list(evaluate_model(dataset_of([field], kinds=[-1]), config, model=colour_model))
    assert unknown[-1].measures["classification_accuracy"] is None
    foreign = list(
        evaluate_model(dataset_of([field], ("polyp", "normal")), config, model=colour_model)
    )
    assert foreign[-1].measures["classification_accuracy"] is None
    notices = [event.text for event in foreign if isinstance(event, Notice)]
    assert len(notices) == 1
    assert "polyp, normal" in notices[0]
    assert not any(isinstance(event, Notice) for event in unknown)


def test_events_come_image_by_image_and_the_run_can_be_stopped(two_fields, colour_model):
    stop = StopToken()
    events = []
    for event in evaluate_model(two_fields, SegmentConfig(**SETTINGS), stop, colour_model):
        events.append(event)
        if isinstance(event, ImageEvaluated):
            stop.stop()
    assert [type(event) for event in events] == [Started, ImageEvaluated, EvaluationDone]
    assert events[1].name == "field_0"
    assert not events[-1].complete
    assert events[-1].measures["images"] == 1


def test_predictions_on_disk_score_as_the_model_that_made_them(two_fields, colour_model, tmp_path):
    for sample in two_fields:
        slide = slide_from_array(sample.image, mpp=MPP, name=sample.name)
        found = segment(slide, colour_model, **SETTINGS)
        write_segmentation(tmp_path / f"{sample.name}.ome.zarr", slide, found)
    from_disk = evaluate(two_fields, predictions=tmp_path)
    from_model = evaluate(two_fields, colour_model, **SETTINGS)
    assert {name: from_disk[name] for name in MEASURES} == {
        name: from_model[name] for name in MEASURES
    }


def test_label_images_are_instances_and_a_binary_one_is_split(two_fields, tmp_path):
    first, second = two_fields
    tifffile.imwrite(tmp_path / "field_0.tif", first.instances.astype(np.uint16))
    binary = (second.instances > 0).astype(np.uint8) * 255
    Image.fromarray(binary).save(tmp_path / "field_1.png")
    measures = summary(evaluate_predictions(two_fields, tmp_path))
    assert measures["object_dice"] == {"pooled": 1.0, "mean": 1.0}
    assert measures["object_hausdorff_px"] == {"pooled": 0.0, "mean": 0.0}
    assert measures["pixel_accuracy"] is None
    assert measures["classification_accuracy"] is None
    assert measures["topology_violations_raw"] is None
    assert measures["topology_violations"] == 0


def test_holes_and_pieces_of_predicted_instances_are_violations(two_fields, tmp_path):
    for sample in two_fields:
        broken = sample.instances.copy()
        broken[sample.regions == 3] = 0
        tifffile.imwrite(tmp_path / f"{sample.name}.tif", broken)
    measures = summary(evaluate_predictions(two_fields, tmp_path))
    assert measures["topology_violations"] == 4


def test_a_prediction_of_the_wrong_size_is_named_with_both_sizes(two_fields, tmp_path):
    for sample in two_fields:
        tifffile.imwrite(tmp_path / f"{sample.name}.tif", sample.instances[:, :-1])
    with pytest.raises(DatasetError, match=r"'field_0' is 299 x 280 px, the image 300 x 280"):
        list(evaluate_predictions(two_fields, tmp_path))


def test_a_missing_prediction_is_found_before_any_work(two_fields, tmp_path):
    tifffile.imwrite(tmp_path / "field_0.tif", two_fields[0].instances)
    events = evaluate_predictions(two_fields, tmp_path)
    with pytest.raises(DatasetError, match=r"no prediction for 'field_1'.*field_1\.ome\.zarr"):
        next(events)
    with pytest.raises(DatasetError, match="not a folder"):
        next(evaluate_predictions(two_fields, tmp_path / "nowhere"))


def test_an_empty_data_set_is_refused(colour_model):
    with pytest.raises(DatasetError, match="no image"):
        list(evaluate_model(Dataset((), ()), SegmentConfig(**SETTINGS), model=colour_model))


def test_glands_without_instances_are_the_connected_pieces_of_the_regions(tissue, colour_model):
    image, regions, _ = tissue(140, 150, MPP, ((40, 40), (100, 110)))
    measures = evaluate(dataset_of([(image, regions, None)]), colour_model, **SETTINGS)
    assert measures["object_f1"]["pooled"] == 1.0


def test_calibration_is_that_of_the_probabilities_on_annotated_pixels(two_fields, colour_model):
    """Against the definitions, from the probabilities that the job gives with its labels."""
    counts = np.zeros(3)
    for index in range(2):
        sample = two_fields[index]
        slide = slide_from_array(sample.image, mpp=MPP)
        config = SegmentConfig(**SETTINGS)
        done = list(segment_image(slide, config, model=colour_model, keep_probabilities=True))[-1]
        truth = sample.regions[sample.regions > 0].astype(int) - 1
        values = done.probabilities[:, sample.regions > 0].astype(np.float64)
        values /= values.sum(axis=0)
        own = values[truth, np.arange(len(truth))]
        brier = ((values - np.eye(3)[truth].T) ** 2).sum()
        counts += (len(truth), -np.log(np.maximum(own, 1e-12)).sum(), brier)
    found = evaluate(two_fields, colour_model, **SETTINGS)["calibration"]
    assert found["pixels"]["count"] == counts[0]
    assert found["pixels"]["negative_log_likelihood"] == pytest.approx(counts[1] / counts[0])
    assert found["pixels"]["brier"] == pytest.approx(counts[2] / counts[0], rel=1e-5)
    assert found["errors_by_uncertainty"]["count"] == counts[0]
    json.dumps(found, allow_nan=False)


def test_the_class_of_an_image_is_calibrated_too(two_fields, colour_model):
    """Everything is called malignant with one probability, and one of two is."""
    found = evaluate(two_fields, colour_model, **SETTINGS)["calibration"]["classes"]
    malignant = 1 / (1 + np.exp(-1.0))
    assert found["count"] == 2
    assert found["expected_calibration_error"] == pytest.approx(malignant - 0.5, abs=1e-6)


def test_a_temperature_makes_classes_less_sure_and_changes_nothing_else(two_fields, colour_model):
    card = colour_model.card.model_copy(update={"class_temperature": 4.0})
    plain, warm = (
        evaluate(two_fields, model, **SETTINGS)
        for model in (colour_model, replace(colour_model, card=card))
    )
    cooler = 1 / (1 + np.exp(-1.0 / 4))
    found = warm["calibration"]["classes"]
    assert found["expected_calibration_error"] == pytest.approx(cooler - 0.5, abs=1e-6)
    assert {**plain, "calibration": 0} == {**warm, "calibration": 0}
    assert plain["calibration"]["pixels"] == warm["calibration"]["pixels"]


def test_predictions_on_disk_have_no_calibration(two_fields, colour_model, tmp_path):
    for index, name in enumerate(two_fields.names):
        slide = slide_from_array(two_fields[index].image, mpp=MPP)
        done = segment(slide, colour_model, **SETTINGS)
        write_segmentation(tmp_path / f"{name}.ome.zarr", slide, done)
    assert "calibration" not in summary(evaluate_predictions(two_fields, tmp_path))
