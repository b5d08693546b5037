"""The commands that only look: ``info``, ``models`` and ``topology``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .inspect_result import is_result, show_result
from .options import MppOption

if TYPE_CHECKING:
    from ..checkpoint import ModelEntry
    from ..segmentation import TopologyViolations
    from ..slides import Slide

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]

RULES = {
    "outside_parent": "lumen outside any gland",
    "touches_outside": "lumen that touches stroma",
    "extra_pieces": "pieces of a gland beyond the first",
    "holes": "holes in glands",
}


def info(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="An image, a slide, or the result of a slide.")
    ],
    mpp: MppOption = None,
    json_: JsonFlag = False,
) -> None:
    """Show size, pixel size, levels and format of an image, and whether it can be read.

    Small formats (PNG, JPEG, BMP) are read as a whole, others at the middle of each level. Of
    the result of a slide it shows what was found.
    """
    if is_result(image):
        show_result(image, json_)
        return
    from ..slides import open_slide

    with open_slide(image, mpp=mpp) as slide:
        slide.check()
        facts = _facts(slide)
        note = slide.mpp_note
    if json_:
        typer.echo(json.dumps(facts))
        return
    unknown = f"unknown ({note})" if note else "unknown"
    facts["mpp"] = f"{facts['mpp']:g} um/px" if facts["mpp"] else unknown
    for name, value in _in_words(facts).items():
        typer.echo(f"{name}: {value}")


def _facts(slide: Slide) -> dict[str, Any]:
    """What is known of a slide; JSON-able."""
    full = slide.levels[0]
    return {
        "width": full.width,
        "height": full.height,
        "mpp": slide.mpp,
        "levels": len(slide.levels),
        "format": slide.format,
        "vendor": slide.vendor,
        "level_sizes": [
            {"width": level.width, "height": level.height, "downsample": level.downsample}
            for level in slide.levels
        ],
        "tile": slide.tile_shape(0),
        "bounds": slide.bounds,
        "associated": list(slide.associated),
    }


def _in_words(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts for a person: lists in words, nothing about what is not there."""
    shown = dict(facts)
    sizes = shown.pop("level_sizes")
    if len(sizes) > 1:
        small = ", ".join(f"{size['width']} x {size['height']}" for size in sizes[1:])
        shown["levels"] = f"{len(sizes)} (then {small})"
    if facts["tile"]:
        shown["tile"] = f"{facts['tile'][1]} x {facts['tile'][0]}"
    if facts["bounds"]:
        y0, x0, y1, x1 = facts["bounds"]
        shown["bounds"] = f"y {y0} to {y1}, x {x0} to {x1}"
    shown["associated"] = ", ".join(facts["associated"])
    return {name: value for name, value in shown.items() if value}


def models(json_: JsonFlag = False) -> None:
    """List the bundled and installed models with their cards."""
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
        "split": card.split,
        **_measures(card.measures),
        "log-variances": _short(card.log_vars),
        "licence": card.licence,
        "made": " ".join(filter(None, (card.created, card.package_version, card.commit[:12]))),
        "file": str(entry.path),
    }
    heading = f"{entry.name}: {card.description}" if card.description else entry.name
    return [heading, *(f"  {name}: {text}" for name, text in shown.items() if text)]


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


def topology(
    labels: Annotated[
        Path,
        typer.Argument(metavar="LABELS", help="Region labels: TIFF, PNG or zarr."),
    ],
    places: Annotated[
        bool, typer.Option("--places", help="List every place, with its bounding box in px.")
    ] = False,
    json_: JsonFlag = False,
) -> None:
    """Count where a region label image breaks the topology rules.

    Codes: 0 not analysed, 1 stroma, 2 epithelium, 3 lumen, unless an OME-Zarr says otherwise.
    Exit code 0 if no rule is broken, 1 otherwise.
    """
    from ..jobs.label_files import read_region_labels
    from ..metrics.topology import count_violations, find_violations

    regions, glands, hierarchy = read_region_labels(labels)
    counts = count_violations(regions, glands, hierarchy)
    found = find_violations(regions, glands, hierarchy) if places else []
    if json_:
        listed = {"places": [asdict(place) for place in found]} if places else {}
        typer.echo(json.dumps({"total": counts.total, **asdict(counts), **listed}))
    else:
        _print_counts(counts)
        for place in found:
            box = f"y {place.y0} to {place.y1}, x {place.x0} to {place.x1}"
            typer.echo(f"  {RULES[place.rule]}: {box}, {place.pixels} px")
    if counts.total:
        raise typer.Exit(1)


def _print_counts(counts: TopologyViolations) -> None:
    typer.echo(f"topology violations: {counts.total}")
    for rule, count in asdict(counts).items():
        typer.echo(f"  {RULES[rule]}: {count}")
