"""A page with a picture of each slide of a batch, for a look over hundreds of them at once.

The pictures are files beside the page, so that a browser loads those in view only and that
the page itself is rewritten in no time after every slide. Nothing is fetched from elsewhere and
no script runs; the folder can be moved, copied or sent as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..segmentation import CLASS_COLORS
from ..storage.atomic import new_file
from .thumbnails import UNKNOWN_CLASS_COLOR

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem }
h1 { font-size: 1.4rem; margin-bottom: .2rem }
.legend span { display: inline-block; margin-right: 1.2em }
.legend i { display: inline-block; width: .9em; height: .9em; margin-right: .4em }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1.2rem }
article { border: 1px solid #8886; border-radius: .5rem; padding: .8rem; overflow-wrap: anywhere }
article img { width: 100%; height: 14rem; object-fit: contain; background: #fff }
article h2 { font-size: 1rem; margin: .5rem 0 .3rem }
article p { margin: .3rem 0 }
dl { display: grid; grid-template-columns: auto auto; margin: .4rem 0; font-size: .85rem }
dt { opacity: .75 } dd { margin: 0; text-align: right }
.failed { border-color: #c33 } .failed p { color: #c33 }
.small { font-size: .85rem; opacity: .8 }
"""

_FOOTER = "<p class='small'>A research result, not a diagnosis.</p>"

# Column of the summary -> how the page calls it; the others are for the table alone.
_SHOWN = {
    "glands": "glands",
    "analysed_area_um2": "tissue",
    "violations_raw": "topology violations before repair",
    "violations": "after repair",
    "tiles": "tiles",
    "tiles_failed": "tiles not read",
    "seconds": "time",
    "model": "model",
}


def write_report(
    path: Path, rows: Sequence[Mapping[str, Any]], classes: Sequence[str], title: str
) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
        An HTML file; one that is there is replaced.
    rows : sequence of dict
        One per slide, with the columns of the summary table and paths relative to the page's
        folder in ``store``, ``table`` and ``thumbnail`` (None for what is not there).
    classes : sequence of str
        For the legend, in the model's order.
    title : str

    Raises
    ------
    OutputNotWritableError
    """
    cards = "\n".join(_card(row) for row in rows)
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style>"
    page = (
        f"<!doctype html>\n<html lang='en'><head>{head}</head><body>\n"
        f"<h1>{escape(title)}</h1>\n<p class='small'>{_totals(rows)}</p>\n"
        f"<p class='legend'>{_legend(classes)}</p>\n<main>\n{cards}\n</main>\n"
        f"{_FOOTER}\n</body></html>\n"
    )
    with new_file(path, overwrite=True) as partial:
        partial.write_text(page, encoding="utf-8")


def is_report(path: Path) -> bool:
    """Whether a file is a page that `write_report` wrote."""
    try:
        return _FOOTER in path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _totals(rows: Sequence[Mapping[str, Any]]) -> str:
    counts = {
        status: sum(row.get("status") == status for row in rows)
        for status in ("complete", "incomplete", "failed")
    }
    glands = sum(int(row.get("glands") or 0) for row in rows)
    shown = [f"{count} {status}" for status, count in counts.items() if count]
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="minutes")
    slides = "1 slide" if len(rows) == 1 else f"{len(rows)} slides"
    return escape(f"{slides}: {', '.join(shown) or 'none yet'}; {glands} glands. {now}")


def _legend(classes: Sequence[str]) -> str:
    named = [
        (f"glands that look {name}", CLASS_COLORS[index % len(CLASS_COLORS)])
        for index, name in enumerate(classes)
    ]
    named = named or [("glands", UNKNOWN_CLASS_COLOR)]
    return "".join(
        f"<span><i style='background:{color}'></i>{escape(name)}</span>" for name, color in named
    )


def _card(row: Mapping[str, Any]) -> str:
    name, status = escape(str(row["name"])), str(row.get("status"))
    text, missing = row.get("statement") or "", row.get("error") or ""
    if status == "failed":
        text, missing = missing, ""
    elif status == "incomplete":
        missing = missing or "Stopped before its last tile."
    note = f"<p><b>{escape(str(missing))}</b></p>" if missing else ""
    parts = [_picture(row), f"<h2>{name}</h2>", f"<p>{escape(str(text))}</p>", note]
    return (
        f"<article class='{escape(status)}'>{''.join(parts)}{_numbers(row)}{_links(row)}</article>"
    )


def _picture(row: Mapping[str, Any]) -> str:
    if not row.get("thumbnail"):
        return ""
    source, name = _href(row["thumbnail"]), escape(str(row["name"]))
    return f"<a href='{source}'><img loading='lazy' src='{source}' alt='Glands of {name}'></a>"


def _numbers(row: Mapping[str, Any]) -> str:
    shown = [(title, _text(column, row.get(column))) for column, title in _SHOWN.items()]
    items = "".join(
        f"<dt>{escape(title)}</dt><dd>{escape(text)}</dd>" for title, text in shown if text
    )
    return f"<dl>{items}</dl>" if items else ""


def _text(column: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    if column == "analysed_area_um2":
        return f"{float(value) / 1e6:.2f} mm²"
    if column == "seconds":
        minutes, seconds = divmod(round(float(value)), 60)
        return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return "" if column == "tiles_failed" and not int(value) else str(value)


def _links(row: Mapping[str, Any]) -> str:
    links = [
        f"<a href='{_href(row[key])}'>{text}</a>"
        for key, text in (("store", "labels (OME-Zarr)"), ("table", "table of glands"))
        if row.get(key)
    ]
    return f"<p class='small'>{' · '.join(links)}</p>" if links else ""


def _href(path: Any) -> str:
    return escape(quote(Path(str(path)).as_posix()), quote=True)
