"""Claims about fine-tuning: what it says beforehand, what it keeps, and what it leaves behind."""

from __future__ import annotations

import errno
import itertools
import json
import shutil
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from napari_gland_mtl.checkpoint import list_models, load_model, save_model
from napari_gland_mtl.datasets.dataset import Dataset, Record
from napari_gland_mtl.errors import (
    DatasetError,
    InvalidInputError,
    ModelNotFoundError,
    OutputExistsError,
    OutputNotWritableError,
)
from napari_gland_mtl.jobs.events import (
    ModelInstalled,
    Notice,
    PreviewReady,
    StartMeasured,
)
from napari_gland_mtl.jobs.finetune import finetune_model, finetune_settings, resume_finetuning
from napari_gland_mtl.jobs.finetune_config import FinetuneConfig
from napari_gland_mtl.jobs.preview import Preview
from napari_gland_mtl.jobs.run_folder import gone_unless_begun
from napari_gland_mtl.jobs.runs import run_entry, working_in
from napari_gland_mtl.jobs.stop import StopToken
from napari_gland_mtl.slides import slide_from_array
from napari_gland_mtl.training import EpochFinished, StepFinished, TrainingFinished, trainer

CLASSES = ("benign", "malignant")
GLANDS_UM = ((40, 40), (40, 110), (105, 45), (110, 115))


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Models and runs of the test alone."""
    monkeypatch.setenv("NAPARI_GLAND_MTL_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("NAPARI_GLAND_MTL_RUNS", str(tmp_path / "runs"))
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def record(name, tissue, kind=0, slide=None, mpp=1.0, shift=0, annotated=None):
    """One annotated area; `annotated` is a slice of rows outside which nothing is."""
    centres = [(y + shift, x) for y, x in GLANDS_UM]
    image, regions, glands = tissue(150, 150, mpp, centres)
    if annotated is not None:
        kept = np.zeros_like(regions)
        kept[annotated] = regions[annotated]
        regions = kept
    return Record(name, kind, slide or name, mpp, lambda: (image, regions, glands))


@pytest.fixture
def dataset(tissue):
    """Four areas of four slides, two of each class."""
    records = tuple(record(f"s{n}/area 1", tissue, n % 2, shift=3 * n) for n in range(4))
    return Dataset(records, CLASSES, "four areas")


@pytest.fixture
def config(colour_model_path):
    """Makes settings: two epochs of three steps of two small patches, unless told."""

    def make(**changed):
        values = {
            "start": str(colour_model_path),
            "epochs": 2,
            "patches_per_epoch": 6,
            "batch_size": 2,
            "patch_size": 32,
            "device": "cpu",
            "precision": "float32",
            "learning_rate": 1e-3,
        }
        return FinetuneConfig(**{**values, **changed})

    return make


def weights(path):
    return load_model(path).network.state_dict()


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


def differs(ours, theirs):
    return [name for name in ours if not torch.equal(ours[name], theirs[name])]


# ------------------------------------------------------------------ what it does


def test_a_new_model_stands_in_the_list_with_its_card(dataset, config, places, colour_model):
    run = places / "run"
    events = list(finetune_model(dataset, run, config(name="ours")))
    (before,), (installed,) = only(events, StartMeasured), only(events, ModelInstalled)
    assert events[-1] == installed
    assert events.index(before) < events.index(only(events, StepFinished)[0])
    (entry,) = [entry for entry in list_models() if entry.name == "ours"]
    assert (entry.path, entry.card.name) == (installed.path, "ours")
    card = entry.card
    assert card.parents == (colour_model.sha256,)
    assert card.licence == colour_model.card.licence
    assert card.measures["before"] == before.measures
    best = max(only(events, EpochFinished), key=lambda event: event.measures["score"])
    assert card.measures["after"] == best.measures
    assert set(card.log_vars) == {"classification", "segmentation", "topology", "geometry"}
    learned_from = set(json.loads((run / "data.json").read_text())["training"])
    assert set(card.annotations) == learned_from
    assert len(set(card.annotations.values())) == len(learned_from) == 3
    assert card.training["keep"] == config().keep
    assert "four areas" in card.data
    best_weights = weights(run / "best.safetensors")
    assert not differs(weights(entry.path), best_weights)
    assert differs(best_weights, colour_model.network.state_dict())  # control: it has learned
    assert run_entry(run).state == "finished"
    assert (run_entry(run).epoch, run_entry(run).epochs, run_entry(run).kind) == (2, 2, "finetune")


def test_the_start_is_measured_as_it_is(dataset, config, places, colour_model_path):
    """A model that knows the colours of the drawn tissue by heart finds nearly everything."""
    events = finetune_model(dataset, places / "run", config())
    (before,) = itertools.islice((e for e in events if isinstance(e, StartMeasured)), 1)
    events.close()
    assert before.measures["object_dice"] > 0.9
    assert before.measures["pixel_accuracy"] > 0.9


def test_what_is_kept_lies_between_start_and_learned(dataset, config, places, colour_model):
    start = colour_model.network.state_dict()

    def result(keep):
        settings = config(keep=keep, validation="none")
        list(finetune_model(dataset, places / f"{keep}", settings))
        return weights(places / f"{keep}" / "last.safetensors")

    learned, mixed, kept = result(0.0), result(0.25), result(1.0)
    moved = [n for n, value in start.items() if value.dtype.is_floating_point]
    assert not differs(kept, start)
    for name in moved:
        expected = start[name] + 0.75 * (learned[name] - start[name])
        torch.testing.assert_close(mixed[name], expected, rtol=1e-5, atol=1e-6)
    assert any((learned[name] - start[name]).abs().max() > 1e-4 for name in moved)  # control


@pytest.mark.parametrize("freeze", ["freeze_encoder", "freeze_statistics"])
def test_what_is_frozen_stays_and_the_rest_learns(dataset, config, places, colour_model, freeze):
    free = {"freeze_encoder": False, "freeze_statistics": False, "validation": "none", "keep": 0.0}
    start = colour_model.network.state_dict()
    list(finetune_model(dataset, places / "free", config(**free)))
    list(finetune_model(dataset, places / "frozen", config(**{**free, freeze: True})))
    changed = set(differs(weights(places / "frozen" / "last.safetensors"), start))
    changed_free = set(differs(weights(places / "free" / "last.safetensors"), start))
    if freeze == "freeze_encoder":
        stay = {name for name in start if name.startswith("encoder")}
    else:
        stay = {name for name in start if "running" in name or "num_batches" in name}
    assert not changed & stay
    assert changed
    assert changed_free & stay  # control


def test_log_variances_go_on_from_the_parents(dataset, config, places, colour_model):
    """The card says -0.25 for the segmentation, and nothing of the others."""
    events = list(finetune_model(dataset, places / "run", config()))
    first = only(events, StepFinished)[0]
    rate = config().learning_rate
    assert first.weights["segmentation"] == pytest.approx(np.exp(0.25))
    assert first.weights["topology"] == 1.0
    assert 0 < abs(first.log_vars["segmentation"] + 0.25) < 5 * rate  # no warm-up holds it


def test_without_log_variances_to_go_on_from_the_warm_up_is_short(
    dataset, config, places, colour_model
):
    plain = places / "plain.safetensors"
    save_model(plain, colour_model.network, colour_model.card.model_copy(update={"log_vars": {}}))
    settings = config(start=str(plain), epochs=4)  # twelve steps
    first, *_, last = only(list(finetune_model(dataset, places / "run", settings)), StepFinished)
    assert set(first.log_vars.values()) == {0.0}
    assert 0.0 not in last.log_vars.values()


def test_without_validation_the_last_weights_are_installed(dataset, config, places):
    list(finetune_model(dataset, places / "run", config(validation="none", name="last")))
    entry = {entry.name: entry for entry in list_models()}["last"]
    assert not differs(weights(entry.path), weights(places / "run" / "last.safetensors"))
    assert entry.card.measures == {}


def test_a_stop_after_an_epoch_leaves_a_model_and_one_before_does_not(dataset, config, places):
    def stopped_after(step, name):
        stop, events = StopToken(), []
        for event in finetune_model(dataset, places / name, config(name=name), stop):
            events.append(event)
            if isinstance(event, StepFinished) and event.step == step:
                stop.stop()
        return events

    late = stopped_after(4, "late")
    assert only(late, TrainingFinished)[0].stopped
    assert only(late, ModelInstalled)[0].name == "late"
    early = stopped_after(2, "early")
    assert not only(early, ModelInstalled)
    assert any("no new model yet" in notice.text for notice in only(early, Notice))
    assert "early" not in {entry.name for entry in list_models()}
    assert run_entry(places / "early").state == "stopped"


@pytest.mark.parametrize("stop_after", [2, 4])
def test_stopped_and_resumed_equals_uninterrupted(dataset, config, places, stop_after):
    settings, stop = config(name="ours"), StopToken()
    for event in finetune_model(dataset, places / "parts", settings, stop):
        if isinstance(event, StepFinished) and event.step == stop_after:
            stop.stop()
    resumed = list(finetune_model(dataset, places / "parts", resume=True))
    assert only(resumed, ModelInstalled)[0].name == "ours"
    list(finetune_model(dataset, places / "whole", config(name="other")))
    for name in ("best", "last"):
        ours, theirs = (weights(places / run / f"{name}.safetensors") for run in ("parts", "whole"))
        assert not differs(ours, theirs)
    for name in ("steps.csv", "epochs.csv"):
        assert (places / "parts" / name).read_bytes() == (places / "whole" / name).read_bytes()


def test_a_run_goes_on_though_the_start_model_has_changed(
    dataset, config, places, colour_model, colour_model_path
):
    copy = places / "start.safetensors"
    copy.write_bytes(colour_model_path.read_bytes())
    stop = StopToken()
    for event in finetune_model(dataset, places / "run", config(start=str(copy)), stop):
        if isinstance(event, StepFinished):
            stop.stop()
    copy.unlink()
    list(finetune_model(dataset, places / "run", resume=True))
    assert load_model(places / "run").card.parents == (colour_model.sha256,)


# ------------------------------------------------------------------ what it says


def test_no_trace_is_left_of_what_cannot_start(dataset, config, places):
    for settings, error in (
        (config(start="nobody knows it"), ModelNotFoundError),
        (config(name="a/b"), InvalidInputError),
        (config(name="glas"), InvalidInputError),
        (config(weighting="convex"), ValueError),
    ):
        with pytest.raises(error):
            list(finetune_model(dataset, places / "run", settings))
        assert not (places / "run").exists()


def test_a_taken_name_is_refused_and_none_given_is_made_up(dataset, config, places):
    list(finetune_model(dataset, places / "a", config(epochs=1, name="ours")))
    with pytest.raises(OutputExistsError, match="'ours 2'"):
        list(finetune_model(dataset, places / "b", config(name="ours")))
    for expected in ("colours fine-tuned", "colours fine-tuned 2"):
        events = list(finetune_model(dataset, places / expected, config(epochs=1)))
        assert only(events, ModelInstalled)[0].name == expected


@pytest.mark.parametrize(("after", "told"), [(0.5, True), (0.8996, False), (0.95, False)])
def test_a_model_that_got_worse_is_said(dataset, config, places, monkeypatch, after, told):
    from napari_gland_mtl.jobs import train_plan

    scores = iter([0.9, after])
    monkeypatch.setattr(train_plan, "validator", lambda *_: lambda network: {"score": next(scores)})
    events = list(finetune_model(dataset, places / "run", config(epochs=1)))
    said = [notice.text for notice in only(events, Notice) if "is worse than" in notice.text]
    assert bool(said) == told
    if told:
        assert "score 0.500, before 0.900" in said[0]


def test_replayed_images_of_another_class_count_for_the_classes(
    dataset, config, places, monkeypatch
):
    """Benign areas alone teach no class, but with malignant images replayed they do."""
    from napari_gland_mtl.jobs import finetune as module

    benign = dataset.subset([0, 2])
    for other, taught in ((1, True), (2, False)):
        replay = replace(dataset, records=(replace(dataset.records[other], name="old"),))
        monkeypatch.setattr(module, "opened_replay", lambda _, replay=replay: replay)
        settings = config(epochs=1, replay="somewhere")
        events = list(finetune_model(benign, places / f"{taught}", settings))
        assert ("classification" in only(events, StepFinished)[0].losses) == taught


def test_a_name_taken_meanwhile_costs_no_result(dataset, config, places, colour_model_path):
    from napari_gland_mtl.jobs.models import install_model

    events = []
    for event in finetune_model(dataset, places / "run", config(name="ours")):
        events.append(event)
        if isinstance(event, StepFinished) and event.step == 1:
            install_model(colour_model_path, "ours")
    assert only(events, ModelInstalled)[0].name == "ours 2"
    assert any("meanwhile" in notice.text for notice in only(events, Notice))
    again = list(finetune_model(dataset, places / "run", resume=True))
    assert load_model(only(again, ModelInstalled)[0].path).card.name == "ours 2"
    assert not only(again, Notice)
    assert (places / "models" / "ours.safetensors").read_bytes() == colour_model_path.read_bytes()


def test_nothing_and_too_little_are_refused_with_numbers(tissue, config, places):
    def refusal(*records):
        with pytest.raises(DatasetError) as caught:
            list(finetune_model(Dataset(records, CLASSES), places / "run", config()))
        return str(caught.value)

    assert "at least one gland" in refusal()
    blank = record("blank", tissue, annotated=slice(0, 0))
    assert "Nothing is annotated" in refusal(blank)
    few = refusal(record("few", tissue, annotated=slice(0, 10)))
    assert "1500 px" in few
    assert "2500 px are needed" in few
    list(
        finetune_model(
            Dataset((record("enough", tissue, annotated=slice(0, 60)),), CLASSES),
            places / "run",
            config(epochs=1),
        )
    )  # control


def test_what_is_refused_after_reading_leaves_no_run_folder(tissue, config, places):
    few = Dataset((record("few", tissue, annotated=slice(0, 10)),), CLASSES)
    (places / "mine").mkdir()
    (places / "mine" / "notes.txt").write_text("mine")
    for folder in (places / "run", places / "mine"):
        with pytest.raises(DatasetError, match="Too little"):
            list(finetune_model(few, folder, config()))
    assert not (places / "run").exists()
    assert [path.name for path in (places / "mine").iterdir()] == ["notes.txt"]


def test_a_training_that_has_begun_or_that_others_work_at_is_left(places):
    def refuse(folder, begin):
        def start():
            folder.mkdir()
            begin(folder)
            raise DatasetError("no")

        with pytest.raises(DatasetError), gone_unless_begun(folder):
            start()

    refuse(places / "begun", lambda folder: (folder / "config.json").touch())
    assert (places / "begun").exists()
    with ExitStack() as others:
        refuse(places / "theirs", lambda folder: others.enter_context(working_in(folder)))
        assert (places / "theirs" / "status.json").exists()
    refuse(places / "refused", lambda folder: (folder / "status.json").touch())  # control
    assert not (places / "refused").exists()


def test_an_area_too_coarse_for_the_model_is_named(tissue, dataset, config, places):
    coarse = replace(dataset, records=(*dataset.records, record("far", tissue, mpp=1.6)))
    with pytest.raises(DatasetError, match=r"'far' has 1\.6 um.* 'colours' works at 1:"):
        list(finetune_model(coarse, places / "run", config()))
    fair = replace(dataset, records=(*dataset.records, record("near", tissue, mpp=1.4)))
    list(finetune_model(fair, places / "run", config(epochs=1)))  # control


def test_one_class_alone_is_not_taught(tissue, config, places):
    benign = Dataset(tuple(record(f"{n}", tissue, 0) for n in range(3)), CLASSES)
    events = list(finetune_model(benign, places / "run", config(epochs=1)))
    assert any("call everything benign" in notice.text for notice in only(events, Notice))
    assert "classification" not in only(events, StepFinished)[0].losses
    with pytest.raises(DatasetError, match="All images to learn from are benign"):
        list(finetune_model(benign, places / "x", config(losses=("classification",))))
    pair = {"losses": ("classification", "segmentation"), "weighting": "convex"}
    for data in (benign, benign.map_classes(("adenoma", "polyp"))):
        with pytest.raises(DatasetError, match="only segmentation would be left"):
            list(finetune_model(data, places / "pair", config(**pair)))
    nameless = benign.map_classes(("adenoma", "polyp"))
    with pytest.raises(DatasetError, match="only one chosen"):
        list(finetune_model(nameless, places / "y", config(losses=("classification",))))


def test_what_is_measured_on_was_not_learned_from(dataset, config, places):
    image, regions, glands = dataset.records[0].read()

    def give(*_):
        return image, regions, glands

    own = replace(dataset.records[0], read=partial(give, "project", "key"))
    other = replace(dataset.records[0], read=partial(give, "another project", "key"))
    one, two = (Dataset((entry,), CLASSES) for entry in (own, other))
    with pytest.raises(DatasetError, match="both learned from and measured on"):
        list(finetune_model(one, places / "run", config(), validation=replace(one)))
    # Control: two slides of one name are no offence.
    events = list(finetune_model(one, places / "run", config(epochs=1), validation=two))
    assert only(events, StartMeasured)


def test_the_validation_part_may_be_given(dataset, config, places):
    training, validation = dataset[:3], dataset[3:]
    list(finetune_model(training, places / "run", config(), validation=validation))
    data = json.loads((places / "run" / "data.json").read_text())
    assert data["training"] == list(training.names)
    assert data["validation"] == list(validation.names)
    # Resuming finds the parts again, from both or from one list.
    events = list(finetune_model(dataset, places / "run", resume=True))
    assert not only(events, TrainingFinished)[0].stopped


def test_other_data_or_settings_are_refused_on_resuming(dataset, config, places):
    list(finetune_model(dataset, places / "run", config()))
    with pytest.raises(DatasetError, match="began with"):
        list(finetune_model(dataset[:2], places / "run", resume=True))
    with pytest.raises(InvalidInputError, match="settings differ"):
        list(finetune_model(dataset, places / "run", config(keep=0.9), resume=True))
    with pytest.raises(OutputExistsError, match="holds a training already"):
        list(finetune_model(dataset, places / "run", config(name="again")))
    with pytest.raises(DatasetError, match="Nothing to learn from"):
        list(resume_finetuning(places / "run"))
    with pytest.raises(InvalidInputError, match="settings differ"):
        list(finetune_model(dataset, places / "run", config(name="another"), resume=True))
    assert finetune_settings(places / "run").name == "colours fine-tuned"
    for name in (None, "colours fine-tuned"):  # control
        list(finetune_model(dataset, places / "run", config(name=name), resume=True))


def test_an_annotation_changed_since_is_said(dataset, config, places, tissue):
    stop = StopToken()
    for event in finetune_model(dataset, places / "run", config(), stop):
        if isinstance(event, StepFinished):
            stop.stop()
    changed = replace(
        dataset,
        records=tuple(
            record(old.name, tissue, old.class_index, shift=9) if n == 0 else old
            for n, old in enumerate(dataset.records)
        ),
    )
    names = json.loads((places / "run" / "data.json").read_text())["training"]
    events = list(finetune_model(changed, places / "run", resume=True))
    said = [notice.text for notice in only(events, Notice) if "has changed" in notice.text]
    assert bool(said) == (changed.records[0].name in names)


# ------------------------------------------------------------------ preview


def test_a_preview_shows_the_place_that_is_looked_at(dataset, config, places, four_glands):
    image = four_glands[0]
    preview, asked = Preview(), []

    def open_slide():
        asked.append(len(asked))
        if len(asked) == 2:
            raise FileNotFoundError("the drive is gone")
        return slide_from_array(image, mpp=0.5)

    preview.set_target(open_slide, (20, 30, 220, 260))
    events = list(finetune_model(dataset, places / "run", config(epochs=3), preview=preview))
    shown = only(events, PreviewReady)
    assert [event.epoch for event in shown] == [1, 3]
    assert shown[0].offset == (20, 30)
    assert shown[0].segmentation.regions.shape == (200, 230)
    assert any("the drive is gone" in notice.text for notice in only(events, Notice))
    assert only(events, ModelInstalled)
    preview.clear()
    assert not only(
        list(finetune_model(dataset, places / "none", config(epochs=1), preview=preview)),
        PreviewReady,
    )


def test_replay_is_mixed_in(dataset, config, places, tmp_path, tissue):
    from PIL import Image

    folder = tmp_path / "old"
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    image, regions, _ = tissue(150, 150, 1.0, GLANDS_UM)
    Image.fromarray(255 - image).save(folder / "images" / "a.png")
    Image.fromarray(regions).save(folder / "masks" / "a.png")
    settings = config(replay=str(folder), replay_mpp=1.0, replay_share=0.5)
    list(finetune_model(dataset, places / "with", settings))
    list(finetune_model(dataset, places / "without", config()))
    first, second = (weights(places / n / "last.safetensors") for n in ("with", "without"))
    assert differs(first, second)
    with pytest.raises(DatasetError, match="There is no folder"):
        list(finetune_model(dataset, places / "x", config(replay=str(tmp_path / "gone"))))


# ------------------------------------------------------------------ pause


def test_it_pauses_in_mid_training_and_goes_on_exactly(dataset, config, places):
    from napari_gland_mtl.jobs.runner import JobRunner, JobState

    def job(stop):
        yield from finetune_model(dataset, places / "paused", config(epochs=4), stop)

    runner = JobRunner(job)
    runner.start()
    events = []
    while not only(events, StepFinished):
        events += runner.poll()
        assert not runner.status.state.ended
    runner.pause()
    time.sleep(0.5)  # what is in work comes to its end
    events += runner.poll()
    held = len(events)
    time.sleep(0.5)
    events += runner.poll()
    assert len(events) == held
    assert len(only(events, StepFinished)) < 12
    assert runner.status.state is JobState.PAUSED
    assert run_entry(places / "paused").state == "running"
    runner.go_on()
    assert runner.wait(60)
    assert runner.status.state is JobState.FINISHED
    list(finetune_model(dataset, places / "whole", config(epochs=4, name="other")))
    for name in ("steps.csv", "epochs.csv"):
        assert (places / "paused" / name).read_bytes() == (places / "whole" / name).read_bytes()


def test_a_pause_holds_the_measuring_too_and_a_stop_ends_it(dataset, config, places, monkeypatch):
    from napari_gland_mtl.jobs import validation as module

    really, begun = module.segment_image, []

    def slowly(*arguments, **options):
        begun.append(1)
        stop.pause()
        yield from really(*arguments, **options)

    stop = StopToken()
    monkeypatch.setattr(module, "segment_image", slowly)
    events = []
    thread = threading.Thread(
        target=lambda: events.extend(finetune_model(dataset, places / "run", config(), stop))
    )
    thread.start()
    while not begun:
        time.sleep(0.01)
    thread.join(0.7)
    assert thread.is_alive()
    assert len(begun) == 1
    stop.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert not only(events, StartMeasured)
    assert only(events, TrainingFinished)[0].stopped


# ------------------------------------------------------------------ a full disk

PLACES_THAT_FILL_UP = {
    "state": (trainer, "save_state"),
    "steps": (trainer.HistoryWriter, "write"),
    "model": (shutil, "copyfile"),
}


@pytest.mark.parametrize("what", PLACES_THAT_FILL_UP)
def test_a_full_disk_costs_nothing_that_was_learned(dataset, config, places, monkeypatch, what):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def filling_up(events):
        for event in events:
            if isinstance(event, EpochFinished) and event.epoch == 2:
                monkeypatch.setattr(*PLACES_THAT_FILL_UP[what], full)

    run, whole = places / "run", places / "whole"
    with pytest.raises(OutputNotWritableError, match=r"No space left.* [Mm]ake room") as caught:
        filling_up(finetune_model(dataset, run, config(epochs=3, name="ours")))
    assert str(run) in str(caught.value)
    assert run_entry(run).state == "failed"
    assert run_entry(run).epoch == (2 if what == "steps" else 3)
    monkeypatch.undo()
    monkeypatch.setenv("NAPARI_GLAND_MTL_MODELS", str(places / "models"))
    *_, last = finetune_model(dataset, run, resume=True)
    assert last.name == "ours"
    list(finetune_model(dataset, whole, config(epochs=3, name="whole")))
    for name in ("steps.csv", "epochs.csv"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    assert not differs(*(weights(folder / "best.safetensors") for folder in (run, whole)))
