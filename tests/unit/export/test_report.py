"""Claims about the page of a batch: complete, safe for any name, whole without a network."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import unquote

from napari_gland_mtl.export.report import write_report

NASTY = """<script>alert('x')</script> & "b" #1 50%"""


class Page(HTMLParser):
    """Collects what a browser would: text, links, pictures, scripts."""

    def __init__(self, text):
        super().__init__()
        self.text, self.links, self.pictures, self.tags = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        if tag == "a":
            self.links.append(unquote(found["href"]))
        if tag == "img":
            self.pictures.append((unquote(found["src"]), found["alt"]))

    def handle_data(self, data):
        self.text.append(data)


def row(name, **more):
    return {"name": name, "status": "complete", "statement": f"{name} looks well", **more}


def page_of(tmp_path, rows, classes=("benign", "malignant"), title="Glands"):
    path = tmp_path / "report.html"
    write_report(path, rows, classes, title)
    return Page(path.read_text(encoding="utf-8"))


def test_every_slide_has_its_picture_numbers_and_links(tmp_path):
    rows = [
        row("a", glands=12, seconds="75.2", store="a.ome.zarr", thumbnail="thumbnails/a.jpg"),
        row("b", glands=3, analysed_area_um2=2.5e6, table="b.csv", tiles=9, tiles_failed=2),
    ]
    page = page_of(tmp_path, rows)
    text = " ".join(page.text)
    assert page.pictures == [("thumbnails/a.jpg", "Glands of a")]
    assert page.links == ["thumbnails/a.jpg", "a.ome.zarr", "b.csv"]
    for part in ("a looks well", "b looks well", "1 min 15 s", "2.50 mm²", "tiles not read"):
        assert part in text
    assert "2 slides: 2 complete; 15 glands" in text
    assert "glands that look malignant" in text


def test_names_and_errors_are_text_and_never_markup(tmp_path):
    rows = [
        row(NASTY, store=f"{NASTY}.ome.zarr", thumbnail=f"thumbnails/{NASTY}.jpg"),
        {"name": "x", "status": "failed", "error": NASTY},
    ]
    page = page_of(tmp_path, rows, classes=(NASTY,), title=NASTY)
    assert "script" not in page.tags
    assert " ".join(page.text).count(NASTY) == 6  # title twice, legend, name, statement, error
    assert page.pictures == [(f"thumbnails/{NASTY}.jpg", f"Glands of {NASTY}")]
    assert f"{NASTY}.ome.zarr" in page.links


def test_what_failed_or_was_stopped_is_said(tmp_path):
    rows = [
        {"name": "x", "status": "failed", "error": "The file is damaged."},
        row("y", status="incomplete"),
    ]
    text = " ".join(page_of(tmp_path, rows).text)
    assert "The file is damaged." in text
    assert "Stopped before its last tile." in text
    assert "1 incomplete, 1 failed" in text


def test_nothing_comes_from_elsewhere(tmp_path):
    page = page_of(tmp_path, [row(str(number), thumbnail="t.jpg") for number in range(300)])
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert not any(link.startswith(("http:", "https:", "//")) for link in page.links)
    assert len(page.pictures) == 300
    assert (tmp_path / "report.html").stat().st_size < 300_000
