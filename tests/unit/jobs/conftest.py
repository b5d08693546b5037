"""Small slides of drawn glands, with a pyramid and glass around, and ways to compare results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_gland_mtl.export.slide_store import SlideStore
from napari_gland_mtl.jobs.segment_config import SlideConfig
from napari_gland_mtl.slides import open_slide

GLASS = 190  # grey: the network of the tests takes white for a lumen
# On borders of tiles of 512, on a corner of four, in the middle; the last column is near glass.
CENTRES_UM = (
    *((120, 120), (120, 512), (130, 700), (512, 140), (512, 512), (500, 800)),
    *((700, 300), (760, 512), (512, 640), (250, 260), (250, 400), (380, 620)),
    *((640, 420), (800, 180), (260, 850)),
)
TISSUE_UM = (40, 40, 860, 960)
"""y0, x0, y1, x1 of the tissue; the rest of the slide is glass."""
SHAPE_UM = (900, 1200)


@dataclass(frozen=True)
class DrawnSlide:
    """A slide file with the truth it was drawn from."""

    path: Path
    image: Any
    regions: Any
    glands: Any
    mpp: float

    def open(self) -> Any:
        return open_slide(self.path)


def write_pyramid(path: Path, image: Any, mpp: float, factors: tuple[int, ...] = (4,)) -> Path:
    """Write an RGB image as a tiled pyramidal TIFF that knows its pixel size."""
    options = {"tile": (256, 256), "photometric": "rgb", "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(image, subifds=0, resolution=(1e4 / mpp, 1e4 / mpp), **options)
        for factor in factors:
            level = np.ascontiguousarray(image[::factor, ::factor])
            resolution = (1e4 / (mpp * factor), 1e4 / (mpp * factor))
            tiff.write(level, subfiletype=1, resolution=resolution, **options)
    return path


@pytest.fixture(scope="session")
def draw_slide(tissue):
    """Writes a slide of 900 x 1200 um: ``draw_slide(path, mpp=1.0, centres=CENTRES_UM)``."""

    def draw(path: Path, mpp: float = 1.0, centres: Any = CENTRES_UM) -> DrawnSlide:
        image, regions, glands = tissue(*SHAPE_UM, mpp, centres)
        y0, x0, y1, x1 = (round(value / mpp) for value in TISSUE_UM)
        inside = np.zeros(image.shape[:2], bool)
        inside[y0:y1, x0:x1] = True
        image[~inside] = GLASS
        regions[~inside] = 0
        glands[~inside] = 0
        return DrawnSlide(write_pyramid(path, image, mpp), image, regions, glands, mpp)

    return draw


@pytest.fixture(scope="session")
def drawn_slide(draw_slide, tmp_path_factory):
    """One slide for all tests that only read it."""
    return draw_slide(tmp_path_factory.mktemp("slide") / "drawn.tif")


@pytest.fixture(scope="session")
def slide_config():
    """Factory of settings that are quick: tiles of 512 px, no flips, on the CPU."""

    def make(**settings: Any) -> SlideConfig:
        quick = {"device": "cpu", "flips": False, "tile_size": 512, "engine": "torch"}
        return SlideConfig(**{**quick, **settings})

    return make


@pytest.fixture(scope="session")
def run_slide(colour_model, slide_config):
    """Run the job to its end; returns all its events."""
    from napari_gland_mtl.jobs.segment_slide import segment_slide

    def run(slide: Any, output: Path, stop: Any = None, **options: Any) -> list[Any]:
        settings = {
            name: options.pop(name) for name in list(options) if name in SlideConfig.model_fields
        }
        config = slide_config(**settings)
        return list(segment_slide(slide, output, config, stop, model=colour_model, **options))

    return run


@pytest.fixture(scope="session")
def finished_slide(drawn_slide, run_slide, tmp_path_factory):
    """The result of an undisturbed run on the drawn slide."""
    output = tmp_path_factory.mktemp("whole") / "drawn.ome.zarr"
    with drawn_slide.open() as slide:
        run_slide(slide, output)
    return SlideStore.open(output)


def differences(first: SlideStore, second: SlideStore) -> list[str]:
    """What two results differ in: labels and maps of all levels, tables, counts."""
    found = []
    for name in ("regions", "glands"):
        pairs = zip(first.labels(name), second.labels(name), strict=True)
        found += [
            f"{name} {level}"
            for level, (a, b) in enumerate(pairs)
            if not np.array_equal(a[...], b[...])
        ]
    for name, levels in first.maps().items():
        pairs = zip(levels, second.maps()[name], strict=True)
        found += [
            f"map {level}"
            for level, (a, b) in enumerate(pairs)
            if not np.array_equal(a[...], b[...], equal_nan=True)
        ]
    pairs = zip(first.uncertainty() or [], second.uncertainty() or [], strict=True)
    found += [
        f"uncertainty {level}"
        for level, (a, b) in enumerate(pairs)
        if not np.array_equal(a[...], b[...], equal_nan=True)
    ]
    one, two = first.read_table(), second.read_table()
    found += [
        f"column {column}"
        for column in one
        if not np.array_equal(one[column], two[column], equal_nan=one[column].dtype.kind == "f")
    ]
    skipped = {"seconds"}
    summaries = [
        {key: value for key, value in (store.summary or {}).items() if key not in skipped}
        for store in (first, second)
    ]
    return found + ([] if summaries[0] == summaries[1] else ["summary"])


@pytest.fixture(scope="session")
def store_differences():
    """The function that compares two results."""
    return differences
