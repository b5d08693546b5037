"""A model's card as text for people: what it is for, where it comes from, how well it does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def card_markdown(card: Any, path: Path | str) -> str:
    """The card as Markdown; empty fields are left out.

    Parameters
    ----------
    card : ModelCard
    path : path
        The model's file.
    """
    facts = {
        "Looks at images at": f"{card.mpp:g} µm per pixel",
        "Trained on": card.data,
        "Validated on": card.split,
        "Licence": card.licence,
        "Made": _made(card),
        "File": str(path),
    }
    lines = [f"## {card.name}", "", card.description, ""]
    lines += [f"- **{name}:** {value}" for name, value in facts.items() if value]
    lines += _section("Measured", _flat(card.measures))
    lines += _section(
        "Learned weights of the losses (log σ²)", {n: f"{v:.3f}" for n, v in card.log_vars.items()}
    )
    lines += ["", "*For research. Not for diagnosis.*"]
    return "\n".join(lines)


def _made(card: Any) -> str:
    parts = [card.created, f"version {card.package_version}" if card.package_version else ""]
    return ", ".join(part for part in parts if part)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested measures as one line each."""
    found: dict[str, str] = {}
    for name, value in values.items():
        label = f"{prefix}{str(name).replace('_', ' ')}"
        if isinstance(value, Mapping):
            found |= _flat(value, f"{label}, ")
        else:
            found[label] = f"{value:.3f}" if isinstance(value, float) else str(value)
    return found


def _section(title: str, values: Mapping[str, str]) -> list[str]:
    if not values:
        return []
    return ["", f"### {title}", "", *(f"- {name}: {value}" for name, value in values.items())]
