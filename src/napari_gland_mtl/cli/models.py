"""``gland-mtl models``: what models there are; one put in, or handed on as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidInputError
from .inspect import JsonFlag
from .options import OverwriteOption

if TYPE_CHECKING:
    from ..checkpoint import ModelEntry


def models(
    json_: JsonFlag = False,
    install: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|RUN",
            help="Put a model file, or the best of a run folder, into the list.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            help="With --install: what it is to be called. (default: the name on its card)",
            show_default=False,
        ),
    ] = None,
    export: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            metavar="NAME FILE",
            help="Copy a model to a file that can be handed on.",
            show_default=False,
        ),
    ] = None,
    remove: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Take a model of your own out of the list, for good.",
            show_default=False,
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """List the bundled and installed models with their cards, or add, export and remove one."""
    wanted = [what for what in (install, export, remove) if what is not None]
    if len(wanted) > 1:
        raise InvalidInputError("Give one of --install, --export and --remove at a time.")
    if name is not None and install is None:
        raise InvalidInputError("--as goes with --install FILE.")
    if install is not None:
        from ..jobs.models import install_model

        entry = install_model(install, name, overwrite)
        typer.echo(f"installed {entry.name!r}: {entry.path}")
    elif export is not None:
        from ..jobs.models import export_model

        typer.echo(f"exported {export[0]!r}: {export_model(*export, overwrite=overwrite)}")
    elif remove is not None:
        from ..jobs.models import remove_model

        remove_model(remove)
        typer.echo(f"removed {remove!r}")
    else:
        _list(json_)


def _list(json_: bool) -> None:
    from ..checkpoint import list_models, model_folders

    entries = list_models()
    if json_:
        cards = [
            {**entry.card.model_dump(mode="json"), "name": entry.name, "path": str(entry.path)}
            for entry in entries
        ]
        typer.echo(json.dumps(cards, indent=2))
        return
    for entry in entries:
        typer.echo("\n".join(_card_lines(entry)) + "\n")
    if not entries:
        typer.echo("No model is installed.")
    typer.echo(f"Models put into {model_folders()[0]} appear here.")


def _card_lines(entry: ModelEntry) -> list[str]:
    """A model's card in lines for a person."""
    card = entry.card
    shown = {
        "scale": f"{card.mpp:g} um/px",
        # From the card as it is written: a model of another version is listed, too.
        "regions": ", ".join(
            str(region.get("name")) for region in card.network.get("regions", {}).get("regions", ())
        ),
        "classes": ", ".join(card.network.get("classes", ())),
        "data": card.data,
        "annotations": _annotations(card.annotations),
        "split": card.split,
        **_measures(card.measures),
        "log-variances": _short(card.log_vars),
        "class temperature": "" if card.class_temperature == 1 else f"{card.class_temperature:.2f}",
        "licence": card.licence,
        "made": " ".join(filter(None, (card.created, card.package_version, card.commit[:12]))),
        "file": str(entry.path),
    }
    heading = f"{entry.name}: {card.description}" if card.description else entry.name
    return [heading, *(f"  {name}: {text}" for name, text in shown.items() if text)]


def _annotations(digests: dict[str, str]) -> str:
    """Names of annotated images, each with the beginning of its sha256."""
    return ", ".join(f"{name} ({digest[:12]})" for name, digest in digests.items())


def _measures(measures: dict[str, Any]) -> dict[str, str]:
    """A line for each group of measures, and one for those in none."""
    groups = {name: value for name, value in measures.items() if isinstance(value, dict)}
    alone = {name: value for name, value in measures.items() if name not in groups}
    note = str(alone.pop("note", ""))
    lines = {f"measures, {name}": _short(group) for name, group in groups.items()}
    return {"measures": ", ".join(filter(None, (_short(alone), note))), **lines}


def _short(measures: dict[str, Any], prefix: str = "") -> str:
    """Nested measures as ``a 0.91, b.mean 0.88``."""
    parts = []
    for name, value in measures.items():
        if isinstance(value, dict):
            parts.append(_short(value, f"{prefix}{name}."))
        elif isinstance(value, float):
            parts.append(f"{prefix}{name} {value:.3g}")
        else:
            parts.append(f"{prefix}{name} {value}")
    return ", ".join(parts)
