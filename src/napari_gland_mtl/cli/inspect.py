"""The commands that only look: ``info`` and ``topology``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .inspect_result import is_result, show_result
from .options import MppOption

if TYPE_CHECKING:
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
