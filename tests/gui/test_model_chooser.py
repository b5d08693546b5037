"""The list of models: it follows the folders; models come and go as one file; their card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtWidgets import QMessageBox, QTextBrowser

from napari_gland_mtl.checkpoint import ModelCard, list_models, load_model, save_model
from napari_gland_mtl.widgets._model_card import card_dialog, card_markdown, installed_hashes
from napari_gland_mtl.widgets._model_chooser import ModelChooser


@pytest.fixture
def own(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own models, in a folder that is not there yet."""
    folder = tmp_path / "share" / "models"
    for module in ("checkpoint", "jobs.models"):
        name = f"napari_gland_mtl.{module}.model_folders"
        monkeypatch.setattr(name, lambda: (folder, tiny_model.parent))
    return folder


@pytest.fixture
def make_chooser(own: Path, qtbot: Any) -> Callable[[], ModelChooser]:
    def make() -> ModelChooser:
        chooser = ModelChooser()
        chooser.said = []  # type: ignore[attr-defined]
        chooser.failed.connect(chooser.said.append)  # type: ignore[attr-defined]
        qtbot.addWidget(chooser)
        chooser.show()
        return chooser

    return make


@pytest.fixture
def a_file(tiny_model: Path, tmp_path: Path) -> Path:
    """A model from somebody else."""
    model = load_model(tiny_model)
    card = model.card.model_copy(update={"name": "colon", "parents": (model.sha256,)})
    return save_model(tmp_path / "sent by mail.safetensors", model.network, card)


def names(chooser: ModelChooser) -> list[str]:
    return [entry.name for entry in chooser._entries]


def test_a_model_that_is_written_is_in_every_list_at_once(
    make_chooser: Any, own: Path, a_file: Path, qtbot: Any
) -> None:
    choosers = make_chooser(), make_chooser()
    assert names(choosers[0]) == ["tiny"]
    own.mkdir(parents=True)
    (own / "half.tmp").write_bytes(a_file.read_bytes())
    (own / "half.tmp").rename(own / "colon.safetensors")
    for chooser in choosers:
        qtbot.waitUntil(lambda c=chooser: "colon" in names(c), timeout=5_000)
        assert chooser.model() == "tiny"


def test_the_choice_stays_when_its_file_is_replaced(
    make_chooser: Any, own: Path, a_file: Path, qtbot: Any
) -> None:
    own.mkdir(parents=True)
    (own / "colon.safetensors").write_bytes(a_file.read_bytes())
    chooser = make_chooser()
    chooser.choose("colon")
    model = load_model(a_file)
    card = model.card.model_copy(update={"description": "newer"})
    save_model(own / "colon.safetensors", model.network, card)
    qtbot.waitUntil(lambda: chooser.entry.card.description == "newer", timeout=5_000)
    assert chooser.model() == "colon"


def test_a_chosen_model_that_is_removed_is_said_and_never_replaced_in_silence(
    make_chooser: Any, own: Path, a_file: Path, qtbot: Any
) -> None:
    own.mkdir(parents=True)
    (own / "colon.safetensors").write_bytes(a_file.read_bytes())
    chooser = make_chooser()
    chooser.choose("colon")
    (own / "colon.safetensors").unlink()
    qtbot.waitUntil(lambda: bool(chooser.said), timeout=5_000)
    assert "“colon” was removed" in chooser.said[0]
    assert chooser.model() == "tiny"


def test_a_model_is_imported_by_the_name_on_its_card_and_exported_the_same(
    make_chooser: Any, own: Path, a_file: Path, tmp_path: Path
) -> None:
    chooser = make_chooser()
    chooser.menu.import_file(a_file)
    assert chooser.said == []
    assert chooser.model() == "colon"
    chooser.menu.export_to(tmp_path / "to share")
    assert (tmp_path / "to share.safetensors").read_bytes() == a_file.read_bytes()


def test_an_import_replaces_a_model_only_if_the_user_agrees(
    make_chooser: Any, own: Path, a_file: Path, monkeypatch: Any
) -> None:
    chooser = make_chooser()
    chooser.menu.import_file(a_file)
    asked: list[str] = []

    def answer(parent: Any, title: str, text: str) -> Any:
        asked.append(text)
        return QMessageBox.StandardButton.No

    monkeypatch.setattr(QMessageBox, "question", answer)
    before = (own / "colon.safetensors").stat().st_mtime_ns
    chooser.menu.import_file(a_file)
    assert len(asked) == 1
    assert (own / "colon.safetensors").stat().st_mtime_ns == before


def test_a_file_that_is_no_model_is_not_imported(
    make_chooser: Any, own: Path, tmp_path: Path
) -> None:
    path = tmp_path / "pickle.safetensors"
    path.write_bytes(b"\x80\x04pickle")
    chooser = make_chooser()
    chooser.menu.import_file(path)
    assert len(chooser.said) == 1
    assert not own.exists() or list(own.iterdir()) == []


def test_only_own_models_can_be_removed(
    make_chooser: Any, own: Path, a_file: Path, monkeypatch: Any
) -> None:
    chooser = make_chooser()
    chooser.menu.import_file(a_file)
    chooser.menu._enable()
    assert chooser.menu.remove.isEnabled()
    yes = QMessageBox.StandardButton.Yes
    monkeypatch.setattr(QMessageBox, "question", lambda *_: yes)
    chooser.menu.remove.trigger()
    assert [entry.name for entry in list_models()] == ["tiny"]
    chooser.refresh()
    chooser.menu._enable()
    assert not chooser.menu.remove.isEnabled()


def test_the_card_compares_before_and_after_and_names_the_parents(
    make_chooser: Any, a_file: Path, tiny_model: Path, qtbot: Any
) -> None:
    card = load_model(a_file).card.model_copy(
        update={
            "measures": {
                "before": {"object_dice": 0.5, "object_hausdorff_um": 40.0, "score": 0.6},
                "after": {"object_dice": 0.75, "object_hausdorff_um": 55.0, "score": 0.6},
                "note": "On two areas.",
            },
            "annotations": {f"slide/area {i}": f"{i:064d}" for i in range(45)},
        }
    )
    text = card_markdown(card, a_file, installed_hashes(card.parents))
    assert "| Object Dice | 0.50 | 0.75 | better |" in text
    assert "| Farthest outline (µm) | 40 | 55 | worse |" in text
    assert "| Overall | 0.60 | 0.60 | as before |" in text
    assert "**Made from:** tiny (" in text
    assert "On two areas." in text
    assert "| slide/area 3 | 000000000000… |" in text
    assert "and 5 more" in text
    assert "\n- " not in text
    unknown = card_markdown(card, a_file)
    assert "tiny" not in unknown.split("**Made from:**")[1].split("\n")[0]


def test_the_card_of_a_model_with_few_words_opens(
    make_chooser: Any, tiny_model: Path, qtbot: Any
) -> None:
    chooser = make_chooser()
    dialog = card_dialog(chooser.entry, chooser)
    qtbot.addWidget(dialog)
    shown = dialog.findChild(QTextBrowser).toPlainText()
    assert "Segments by colour" in shown
    assert "Object Dice" in shown
    assert "For research" in shown
    bare = card_markdown(ModelCard(name="bare", mpp=1.0, network={}), "bare.safetensors")
    assert "Measured" not in bare
    assert "None" not in bare
