"""What ``gland-mtl info`` says of the result of a whole slide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ..export.slide_store import SlideStore


def is_result(path: Path) -> bool:
    """Whether a path is the result of a slide, complete or not."""
    from ..export.slide_store import is_slide_store

    return is_slide_store(path)


def show_result(path: Path, json_: bool) -> None:
    """Print what was found on a slide, and where it comes from."""
    from ..export.slide_store import SlideStore

    store = SlideStore.open(path)
    summary, record = store.summary or {}, store.record
    if json_:
        typer.echo(json.dumps({"complete": store.complete, **summary, "record": record}))
        return
    typer.echo(summary.get("statement", "Nothing was labelled yet."))
    slide = record.get("slide", {})
    shown = {
        "slide": slide.get("path") or slide.get("name"),
        "state": "complete" if store.complete else "not complete; go on with --resume",
        "labels": f"{store.shape[1]} x {store.shape[0]} px at {store.layout.mpp:g} um/px",
        "tiles": _tiles(store),
        "analysed": _mm2(summary.get("analysed_area_um2")),
        "glands": _mm2(summary.get("gland_area_um2")),
        "topology violations": _violations(summary),
        "glands cut for their size": summary.get("cut_glands") or None,
        "model": record.get("model"),
        "made": f"{record.get('created')} by version {record.get('version')}",
    }
    for name, text in shown.items():
        if text is not None:
            typer.echo(f"{name}: {text}")


def _tiles(store: SlideStore) -> str:
    """How far a slide is."""
    planned, failed = len(store.record.get("tiles", ())), len(store.failed)
    done = planned - failed if store.complete else len(store.done_tiles())
    return f"{done} of {planned}" + (f", {failed} could not be read" if failed else "")


def _mm2(area_um2: float | None) -> str | None:
    return None if area_um2 is None else f"{area_um2 / 1e6:.3f} mm2"


def _violations(summary: dict[str, Any]) -> str | None:
    if "violations" not in summary:
        return None
    before, after = (sum(summary[name].values()) for name in ("violations_raw", "violations"))
    return f"{before} before repair, {after} after"
