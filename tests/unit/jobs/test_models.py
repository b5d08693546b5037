"""Claims about the list of models: what is put in is found, and nobody's model is lost."""

from __future__ import annotations

import pytest

from napari_gland_mtl.checkpoint import list_models, load_model
from napari_gland_mtl.errors import (
    CheckpointError,
    InvalidInputError,
    ModelNotFoundError,
    OutputExistsError,
)
from napari_gland_mtl.jobs.models import (
    check_new_name,
    export_model,
    free_name,
    install_model,
    is_bundled,
    model_path,
    own_models,
    remove_model,
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_GLAND_MTL_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def names():
    return [entry.name for entry in list_models()]


def test_installed_it_is_found_and_exported_it_is_the_same_file(colour_model_path, tmp_path):
    entry = install_model(colour_model_path)
    assert entry.name == "colours"
    assert "colours" in names()
    assert load_model("colours").path == entry.path
    out = export_model("colours", tmp_path / "handed on")
    assert out.name == "handed on.safetensors"
    assert out.read_bytes() == colour_model_path.read_bytes()
    remove_model("colours")
    assert "colours" not in names()
    assert install_model(out, "again").name == "again"


def test_exported_into_a_folder_it_keeps_its_name(tmp_path):
    assert export_model("glas", tmp_path) == tmp_path / "glas.safetensors"
    with pytest.raises(OutputExistsError):
        export_model("glas", tmp_path)
    export_model("glas", tmp_path, overwrite=True)
    assert load_model(tmp_path / "glas.safetensors").card.name == "glas"


def test_a_run_exported_into_a_folder_is_named_after_its_model(colour_model_path, tmp_path):
    run, target = tmp_path / "runs" / "run", tmp_path / "target"
    run.mkdir(parents=True)
    target.mkdir()
    (run / "best.safetensors").write_bytes(colour_model_path.read_bytes())
    for place in (run, str(run)):
        out = export_model(place, target, overwrite=True)
        assert out == target / "colours.safetensors"
    assert [path.name for path in run.parent.iterdir()] == ["run"]


def test_a_taken_name_is_refused_and_a_free_one_offered(colour_model_path):
    install_model(colour_model_path, "mine")
    for taken in ("mine", "Mine"):
        with pytest.raises(OutputExistsError, match=r"e\.g\. '[Mm]ine 2'"):
            install_model(colour_model_path, taken)
    install_model(colour_model_path, "mine", overwrite=True)
    assert free_name("mine") == "mine 2"
    install_model(colour_model_path, "mine 2")
    assert free_name("mine") == "mine 3"
    assert free_name("nobody has it") == "nobody has it"


@pytest.mark.parametrize("odd", ["a/b: c?", "../x", "x" * 200, "-rf", "...", "", "a."])
def test_a_made_up_name_can_always_be_given(colour_model_path, odd):
    for _ in range(2):
        install_model(colour_model_path, free_name(odd))
    assert len(own_models()) == 2


@pytest.mark.parametrize("name", ["glas", "Glas", "default"])
def test_a_bundled_model_is_neither_replaced_nor_removed(colour_model_path, name):
    assert is_bundled("glas")
    with pytest.raises(InvalidInputError, match="stays as it is"):
        install_model(colour_model_path, name, overwrite=True)
    with pytest.raises(InvalidInputError, match="stays as it is"):
        check_new_name(name)
    with pytest.raises(InvalidInputError, match="cannot be removed"):
        remove_model(name)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\\b", " a", "a.", "x" * 81, "a\nb", "-rf"])
def test_what_cannot_be_a_name_is_refused(colour_model_path, name, folder):
    with pytest.raises(InvalidInputError, match="cannot be the name"):
        install_model(colour_model_path, name)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["Ärzte 2026", "glas_EBHI-40", "v1.2 (kept)"])
def test_names_of_people_are_names(colour_model_path, name, folder):
    assert install_model(colour_model_path, name).path == folder / f"{name}.safetensors"
    assert model_path(name).is_file()
    assert [entry.name for entry in own_models()] == [name]


def test_a_damaged_file_does_not_get_in(colour_model_path, tmp_path, folder):
    payload = colour_model_path.read_bytes()
    cut, pickle = tmp_path / "cut.safetensors", tmp_path / "x.pt"
    cut.write_bytes(payload[:-100])
    pickle.write_bytes(b"\x80\x04")
    for file in (cut, pickle):
        with pytest.raises(CheckpointError):
            install_model(file, "bad")
    with pytest.raises(ModelNotFoundError):
        install_model(tmp_path / "gone.safetensors", "bad")
    assert not folder.exists()


def test_removing_what_is_not_there_names_what_is(colour_model_path):
    install_model(colour_model_path, "mine")
    with pytest.raises(ModelNotFoundError, match="There are: mine"):
        remove_model("yours")
