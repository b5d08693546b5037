"""Claims about checkpoints: exact round trips, no pickle, and never half a file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from napari_gland_mtl import checkpoint
from napari_gland_mtl.checkpoint import (
    ModelCard,
    find_model,
    list_models,
    load_model,
    read_card,
    save_model,
)
from napari_gland_mtl.errors import CheckpointError, ModelNotFoundError, OutputNotWritableError
from napari_gland_mtl.network import NetworkConfig, build_network


def tiny(seed=0):
    torch.manual_seed(seed)
    return build_network(NetworkConfig(widths=(4, 8, 8, 8, 8), class_dropout=0.1))


def card_of(network, /, **values):
    described = network.config.model_dump(mode="json")
    return ModelCard(**{"name": "tiny", "mpp": 1.24, "network": described, **values})


FULL = {
    "description": "Drüsen, ganz klein.",
    "created": "2024-05-06T07:08:09+00:00",
    "package_version": "0.1.0",
    "commit": "abcdef0",
    "licence": "none",
    "data": "synthetic",
    "split": "none",
    "measures": {"object_dice": {"mean": 0.5, "pooled": 0.25}, "images": 3},
    "log_vars": {"segmentation": -0.1, "geometry": 1.0 / 3.0},
    "training": {"seed": 3, "losses": ["segmentation"]},
    "parents": ("0" * 64,),
}


@pytest.fixture
def saved(tmp_path):
    """A checkpoint on disk and the network in it."""
    network = tiny()
    return save_model(tmp_path / "tiny.safetensors", network, card_of(network, **FULL)), network


@pytest.fixture
def own_models(tmp_path, monkeypatch):
    """An empty folder of installed models, and no bundled ones."""
    folder = tmp_path / "installed"
    folder.mkdir()
    monkeypatch.setattr(checkpoint, "model_folders", lambda: (folder,))
    return folder


def test_weights_come_back_bit_for_bit(saved):
    path, network = saved
    # As after training: batch statistics and counters count as much as weights.
    network.train()(torch.rand(2, 3, 40, 40))
    save_model(path, network, card_of(network))
    loaded = load_model(path).network
    expected, ours = network.state_dict(), loaded.state_dict()
    assert list(expected) == list(ours)
    assert all(torch.equal(expected[name], ours[name]) for name in expected)
    images = torch.rand(1, 3, 50, 50)
    with torch.inference_mode():
        logits = network.eval()(images).region_logits
        assert torch.equal(loaded(images).region_logits, logits)
        assert not torch.equal(tiny(seed=1).eval()(images).region_logits, logits)  # control


def test_the_card_comes_back_whole(saved):
    path, network = saved
    expected = card_of(network, **FULL)
    assert read_card(path) == expected
    assert load_model(path).card == expected
    assert load_model(path).network.config == expected.network_config() == network.config


def test_a_loaded_model_is_ready_to_use_and_says_where_it_is_from(saved):
    path, _ = saved
    model = load_model(path)
    assert not model.network.training
    assert model.path == path
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_network_in_another_memory_layout_is_the_same_model(saved, tmp_path):
    path, network = saved
    network.to(memory_format=torch.channels_last)
    again = save_model(tmp_path / "again.safetensors", network, card_of(network, **FULL))
    assert again.read_bytes() == path.read_bytes()


def test_a_pickle_is_refused_unopened(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(tiny().state_dict(), path)
    with pytest.raises(CheckpointError, match=r"pickles .*refused.*can run code"):
        load_model(path)


def test_a_pickle_that_calls_itself_safetensors_is_refused(tmp_path):
    witness = tmp_path / "witness"
    path = tmp_path / "model.safetensors"

    class Trap:
        def __reduce__(self):
            return Path.touch, (witness,)

    torch.save(Trap(), path)
    with pytest.raises(CheckpointError, match="refused"):
        load_model(path)
    assert not witness.exists()
    torch.load(path.rename(tmp_path / "model.pt"), weights_only=False)  # control: it would have run
    assert witness.exists()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.5, 0.999])
def test_a_truncated_file_is_refused(saved, share):
    path, _ = saved
    payload = path.read_bytes()
    path.write_bytes(payload[: int(len(payload) * share)])
    with pytest.raises(CheckpointError, match=r"tiny\.safetensors"):
        load_model(path)


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    for metadata in (None, {"format": "pt"}):
        save_file({"weight": torch.zeros(3)}, path, metadata)
        with pytest.raises(CheckpointError, match="not a checkpoint of this package"):
            load_model(path)


@pytest.mark.parametrize(
    "payload", [b"", b"12345678", b"\xff" * 100, b"II*\0 no model", b"{}" * 50]
)
def test_any_other_file_is_refused(tmp_path, payload):
    path = tmp_path / "other"
    path.write_bytes(payload)
    with pytest.raises(CheckpointError, match="not a checkpoint of this package"):
        load_model(path)


@pytest.mark.parametrize("text", ["{}", "no json", '{"name": "x", "mpp": -1, "network": {}}'])
def test_a_card_that_cannot_be_read_is_named_as_the_trouble(tmp_path, text):
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(3)}, path, {checkpoint.CARD_KEY: text})
    with pytest.raises(CheckpointError, match="model card"):
        load_model(path)


@pytest.mark.parametrize("widths", [(4, 8, 8, 8, 16), (4, 8)])
def test_weights_that_do_not_fit_their_card_are_refused(saved, widths):
    path, network = saved
    described = NetworkConfig(widths=widths).model_dump(mode="json")
    save_model(path, network, card_of(network, network=described))
    with pytest.raises(CheckpointError, match="do not fit"):
        load_model(path)


def test_a_card_with_an_impossible_network_is_refused(saved):
    path, network = saved
    regions = {"regions": [{"name": "stroma", "parent": "stroma"}, {"name": "epithelium"}]}
    save_model(path, network, card_of(network, network={"regions": regions}))
    with pytest.raises(CheckpointError, match="circle"):
        load_model(path)


class FullDisk:
    """A file on a disk that has no room."""

    def __init__(self, file):
        self._file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def write(self, payload):
        self._file.write(payload[: len(payload) // 2])
        raise OSError(28, "No space left on device")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(saved, monkeypatch):
    path, _ = saved
    before, really_open = path.read_bytes(), Path.open

    def full(self, mode="r", *arguments, **options):
        file = really_open(self, mode, *arguments, **options)
        return FullDisk(file) if "w" in mode else file

    monkeypatch.setattr(Path, "open", full)
    other = tiny(seed=1)
    with pytest.raises(OutputNotWritableError, match=r"tiny\.safetensors.*No space left"):
        save_model(path, other, card_of(other))
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    save_model(path, other, card_of(other))  # control: with room it is replaced
    assert path.read_bytes() != before


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    network = tiny()
    with pytest.raises(OutputNotWritableError, match=r"nowhere.*Choose a folder"):
        save_model(tmp_path / "nowhere" / "tiny.safetensors", network, card_of(network))


def test_a_run_folder_stands_for_its_best_weights(tmp_path):
    first, second = tiny(1), tiny(2)
    save_model(tmp_path / "last.safetensors", first, card_of(first, name="last"))
    assert load_model(tmp_path).card.name == "last"
    save_model(tmp_path / "best.safetensors", second, card_of(second, name="best"))
    assert load_model(tmp_path).card.name == "best"


def test_a_folder_without_weights_is_no_model(tmp_path, own_models):
    with pytest.raises(ModelNotFoundError, match=r"neither best\.safetensors nor last"):
        load_model(tmp_path)


def test_a_missing_model_names_the_known_ones(own_models):
    for name in ("zebra", "glas", "colon"):
        network = tiny()
        save_model(own_models / f"{name}.safetensors", network, card_of(network))
    with pytest.raises(ModelNotFoundError, match=r"'nothing'.*glas, colon, zebra"):
        load_model("nothing")
    assert isinstance(ModelNotFoundError(), FileNotFoundError)


def test_no_models_at_all_is_said(own_models):
    with pytest.raises(ModelNotFoundError, match="by name: none"):
        find_model("glas")


def test_named_models_are_listed_the_default_first_and_damaged_ones_left_out(own_models):
    for name in ("zebra", "glas", "colon"):
        network = tiny()
        save_model(own_models / f"{name}.safetensors", network, card_of(network, name=name))
    (own_models / "broken.safetensors").write_bytes(b"broken")
    entries = list_models()
    assert [entry.name for entry in entries] == ["glas", "colon", "zebra"]
    assert load_model("colon").path == own_models / "colon.safetensors"
    assert load_model().card.name == "glas"
    assert find_model("default") == find_model("glas")


def test_a_replaced_model_is_listed_with_its_new_card(own_models):
    path, network = own_models / "glas.safetensors", tiny()
    for description in ("old", "new"):
        save_model(path, network, card_of(network, description=description))
        assert list_models()[0].card.description == description


def test_a_folder_of_images_does_not_hide_the_model_of_its_name(own_models, tmp_path, monkeypatch):
    network = tiny()
    save_model(own_models / "glas.safetensors", network, card_of(network))
    (tmp_path / "work" / "glas").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    assert find_model("glas") == own_models / "glas.safetensors"


def test_the_users_own_models_come_before_the_bundled_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_GLAND_MTL_MODELS", str(tmp_path / "mine"))
    assert checkpoint.model_folders()[0] == tmp_path / "mine"
    monkeypatch.delenv("NAPARI_GLAND_MTL_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert checkpoint.model_folders()[0] == tmp_path / "data" / "napari-gland-mtl" / "models"


def test_the_card_is_plain_json_in_the_header(saved):
    """Any program can read it: eight bytes of length, then JSON."""
    path, _ = saved
    payload = path.read_bytes()
    header = json.loads(payload[8 : 8 + int.from_bytes(payload[:8], "little")])
    assert (
        json.loads(header["__metadata__"]["napari_gland_mtl"])["description"] == FULL["description"]
    )


def test_a_card_of_an_earlier_version_has_no_temperature_and_nonsense_is_refused():
    network = tiny()
    card = card_of(network)
    fields = json.loads(card.model_dump_json())
    del fields["class_temperature"]
    assert ModelCard.model_validate(fields).class_temperature == 1.0
    for bad in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValidationError):
            ModelCard.model_validate({**fields, "class_temperature": bad})
