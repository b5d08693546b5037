"""A model's card as text for people: what it is for, where it comes from, how well it does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from ._measure_text import MEASURES, change_text

SHA_SHOWN, LISTED = 12, 40
SETTINGS_SHOWN = {
    "losses": "Losses",
    "weighting": "Weighting",
    "epochs": "Epochs",
    "patches_per_epoch": "Patches per epoch",
    "learning_rate": "Learning rate",
    "freeze_encoder": "Encoder frozen",
    "keep": "Share of the start model kept",
}


def card_markdown(card: Any, path: Path | str, known: Mapping[str, str] | None = None) -> str:
    """The card as Markdown; empty fields are left out.

    Parameters
    ----------
    card : ModelCard
    path : path
        The model's file.
    known : mapping of str to str, optional
        sha256 -> name of models that are installed, to name its parents by.
    """
    facts = {
        "Looks at images at": f"{card.mpp:g} µm per pixel",
        "Made from": _parents(card.parents, known or {}),
        "Trained on": card.data,
        "Validated on": card.split,
        "Settings": _settings(card.training),
        "Class temperature": "" if card.class_temperature == 1 else f"{card.class_temperature:.2f}",
        "Licence": card.licence,
        "Made": _made(card),
        "File": f"`{path}`",
    }
    lines = [f"## {card.name}", "", card.description]
    for name, value in facts.items():
        lines += ["", f"**{name}:** {value}"] if value else []
    lines += _measured(card.measures)
    lines += _log_vars(card.log_vars)
    lines += _annotations(card.annotations)
    lines += ["", "*For research. Not for diagnosis.*"]
    return "\n".join(lines)


def card_dialog(entry: Any, parent: QWidget | None = None) -> QDialog:
    """A dialog with the model's card."""
    dialog = QDialog(parent)
    dialog.setObjectName("model_card_dialog")
    dialog.setWindowTitle(f"Model “{entry.name}”")
    dialog.resize(600, 620)
    text = QTextBrowser()
    text.setOpenExternalLinks(True)
    text.document().setDefaultFont(text.font())
    text.setMarkdown(card_markdown(entry.card, entry.path, installed_hashes(entry.card.parents)))
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    layout = QVBoxLayout(dialog)
    layout.addWidget(text)
    layout.addWidget(buttons)
    return dialog


def installed_hashes(wanted: Sequence[str]) -> dict[str, str]:
    """sha256 -> name of the installed models; read only if there is a parent to be named."""
    from ..checkpoint import list_models

    if not wanted:
        return {}
    found: dict[str, str] = {}
    for entry in list_models():
        try:
            found[_sha256(entry.path, entry.path.stat().st_mtime)] = entry.name
        except OSError:  # removed meanwhile
            continue
    return found


@cache
def _sha256(path: Path, _changed: float) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _parents(parents: Sequence[str], known: Mapping[str, str]) -> str:
    """The nearest parent first; by name where it is installed."""
    names = [
        f"{known[sha]} ({sha[:SHA_SHOWN]}…)" if sha in known else f"a model {sha[:SHA_SHOWN]}…"
        for sha in parents
    ]
    return ", before that ".join(names)


def _settings(training: Mapping[str, Any]) -> str:
    """The settings that people ask for first; the file has them all."""
    found = []
    for name, title in SETTINGS_SHOWN.items():
        value = training.get(name)
        if value is None or value is False:
            continue
        text = ", ".join(value) if isinstance(value, (list, tuple)) else f"{value}"
        found.append(title.lower() if value is True else f"{title.lower()} {text}")
    return "; ".join(found)


def _made(card: Any) -> str:
    parts = [card.created, f"version {card.package_version}" if card.package_version else ""]
    return ", ".join(part for part in parts if part)


def _measured(measures: Mapping[str, Any]) -> list[str]:
    """A table with a column for each set of measures, and what is said about them."""
    groups = {n: flat_measures(v) for n, v in measures.items() if isinstance(v, Mapping)}
    if set(groups) and all(name in MEASURES for name in groups):  # one set, not named
        groups = {"": flat_measures(measures)}
    notes = [str(value) for value in measures.values() if isinstance(value, str)]
    groups = {name: values for name, values in groups.items() if values}
    plain = flat_measures({n: v for n, v in measures.items() if not isinstance(v, Mapping)})
    if plain and not groups:
        groups = {"": plain}
    if not groups and not notes:
        return []
    lines = ["", "### Measured", ""]
    lines += _table(groups) if groups else []
    for note in notes:
        lines += ["", note]
    return lines


def flat_measures(values: Mapping[str, Any]) -> dict[str, float]:
    """Measures that have a name for people; of several kinds of mean, that over the images."""
    found: dict[str, float] = {}
    for name in MEASURES:
        value = values.get(name)
        if isinstance(value, Mapping):
            value = value.get("mean", value.get("pooled"))
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found[name] = float(value)
    return found


def _table(groups: Mapping[str, Mapping[str, float]]) -> list[str]:
    compared = set(groups) == {"before", "after"}
    order = ["before", "after"] if compared else list(groups)
    head = [name if name else "value" for name in order] + ([" "] if compared else [])
    lines = [f"| | {' | '.join(head)} |", "|---|" + "---|" * len(head)]
    for name, measure in MEASURES.items():
        values = [groups[group].get(name) for group in order]
        if all(value is None for value in values):
            continue
        cells = [measure.text(value) for value in values]
        cells += [change_text(name, *values)] if compared else []
        lines.append(f"| {measure.title} | {' | '.join(cells)} |")
    return lines


def _log_vars(log_vars: Mapping[str, float]) -> list[str]:
    if not log_vars:
        return []
    rows = [f"| {name} | {value:.3f} |" for name, value in log_vars.items()]
    title = "Learned uncertainty of the losses"
    return ["", f"### {title}", "", "| loss | log σ² |", "|---|---|", *rows]


def _annotations(hashes: Mapping[str, str]) -> list[str]:
    """What it was fine-tuned on, by name and hash."""
    if not hashes:
        return []
    rows = [f"| {name} | {sha[:SHA_SHOWN]}… |" for name, sha in hashes.items()]
    more = len(rows) - LISTED
    if more > 0:
        rows = [*rows[:LISTED], f"| and {more:,} more | |"]
    return ["", "### Fine-tuned on", "", "| area | sha256 of its annotation |", "|---|---|", *rows]
