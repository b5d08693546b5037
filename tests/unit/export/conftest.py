"""A segmentation by hand with the image it belongs to, and the parts of a slide's result."""

from typing import ClassVar

import numpy as np
import pytest

from napari_gland_mtl.export.slide_store import SlideStore, StoreLayout
from napari_gland_mtl.regions import GLAND_REGIONS
from napari_gland_mtl.segmentation import Segmentation, TopologyViolations
from napari_gland_mtl.slides import slide_from_array

HEIGHT, WIDTH, MPP = 90, 130, 0.5


def make_uncertainty(regions):
    """Steps of 1/255, as they are stored; nothing is known where nothing was analysed."""
    steps = np.random.default_rng(5).integers(0, 256, regions.shape)
    uncertainty = steps.astype(np.float32) / np.float32(255)
    uncertainty[regions == 0] = np.nan
    return uncertainty


def make_segmentation(height=HEIGHT, width=WIDTH, glands=2):
    regions = np.ones((height, width), np.uint8)
    instances = np.zeros((height, width), np.int32)
    for label in range(1, glands + 1):
        x = 5 + 30 * (label - 1)
        regions[10:40, x : x + 25] = 2
        regions[20:30, x + 8 : x + 16] = 3
        instances[10:40, x : x + 25] = label
    regions[:, -3:] = 0
    label = np.arange(1, glands + 1)
    table = {
        "label": label.astype(np.int32),
        "area_um2": np.linspace(0.1, 187.5, glands),
        "solidity": np.where(label > 1, np.nan, 1 / 3).astype(np.float32),
        "touches_border": label > 1,
        "kind": np.array(["round", "folded é"] * glands)[:glands],
    }
    return Segmentation(
        uncertainty=make_uncertainty(regions),
        regions=regions,
        glands=instances,
        table=table,
        class_probabilities={"benign": 0.1, "malignant": 0.9},
        mpp=MPP,
        hierarchy=GLAND_REGIONS,
        violations_raw=TopologyViolations(1, 2, 3, 4),
        violations=TopologyViolations(),
        provenance={"model": "glas", "log_vars": {"geometry": -0.1}, "region": [0, 0, 90, 130]},
        complete=False,
    )


@pytest.fixture
def segmentation():
    return make_segmentation()


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def slide(pixels):
    return slide_from_array(pixels, mpp=MPP, name="case")


@pytest.fixture
def same():
    """A check that two segmentations are equal in every value, type and order."""

    def check(a, b):
        for name in ("regions", "glands"):
            assert getattr(a, name).dtype == getattr(b, name).dtype
            assert np.array_equal(getattr(a, name), getattr(b, name))
        assert (a.uncertainty is None) is (b.uncertainty is None)
        if a.uncertainty is not None:
            assert a.uncertainty.dtype == b.uncertainty.dtype
            np.testing.assert_array_equal(a.uncertainty, b.uncertainty)
        assert list(a.table) == list(b.table)
        for name, column in a.table.items():
            assert column.dtype == b.table[name].dtype, name
            np.testing.assert_array_equal(column, b.table[name])
        for name in (
            "class_probabilities",
            "mpp",
            "hierarchy",
            "violations_raw",
            "violations",
            "provenance",
            "complete",
        ):
            assert getattr(a, name) == getattr(b, name), name

    return check


class SlideCase:
    """What a small slide's store is made of: six tiles of 512 px, the last of them cut off."""

    height, width, tile, stride = 1300, 900, 512, 16
    mpp, slide_mpp = 1.6, 0.25
    overview_downsample, tissue_downsample = 64.0, 640.0
    classes = ("benign", "malignant")
    record: ClassVar = {"slide": {"path": None, "name": "case"}, "settings": {"flips": True}}
    layout = StoreLayout(
        shape=(height, width),
        mpp=mpp,
        slide_shape=(8320, 5760),
        slide_mpp=slide_mpp,
        tile=tile,
        stride=stride,
        classes=classes,
    )
    cores = tuple((y, x, y + 512, x + 512) for y in (0, 512, 1024) for x in (0, 512))
    all = (0, 0, height, width)

    def create(self, path, **options):
        """A new, empty store with an overview and a tissue mask."""
        options = {
            "layout": self.layout,
            "record": self.record,
            "overview": np.full((130, 90, 3), 200, np.uint8),
            "overview_downsample": self.overview_downsample,
            "tissue": (np.eye(13, 9, dtype=bool), self.tissue_downsample),
            **options,
        }
        return SlideStore.create(path, **options)

    def output(self, core):
        """Made-up probabilities (A, h, w) and class activations (K, h, w) of a tile."""
        generator = np.random.default_rng(list(core))
        probabilities = generator.integers(1, 256, (3, self.tile, self.tile), dtype=np.uint8)
        cells = self.tile // self.stride
        return probabilities, generator.standard_normal((2, cells, cells)).astype(np.float32)

    def whole_output(self):
        """The same of all tiles, put together and cut to the slide's size."""
        both = []
        for parts in zip(*map(self.output, self.cores), strict=True):
            both.append(
                np.block([[parts[0], parts[1]], [parts[2], parts[3]], [parts[4], parts[5]]])
            )
        rows, columns = self.layout.coarse_shape
        return both[0][:, : self.height, : self.width], both[1][:, :rows, :columns]

    def write_tiles(self, store, cores=cores):
        for core in cores:
            store.write_tile(core, *self.output(core))

    def labels(self):
        """Regions and glands of the whole slide: discs with a lumen; the right was not analysed."""
        y, x = np.mgrid[: self.height, : self.width]
        distance = np.hypot(y % 100 - 50, x % 100 - 50)
        regions = np.ones((self.height, self.width), np.uint8)
        regions[distance < 35], regions[distance < 15] = 2, 3
        regions[:, -40:] = 0
        glands = np.where(regions > 1, (y // 100) * 9 + x // 100 + 1, 0)
        return regions, glands.astype(np.int32)

    def write_labels(self, store):
        regions, glands = self.labels()
        for y0, x0, y1, x1 in self.cores:
            window = (y0, x0, min(y1, self.height), min(x1, self.width))
            store.write_block(window, regions[y0:y1, x0:x1], glands[y0:y1, x0:x1])

    def rows(self, first, count):
        """Rows of the glands `first`, `first + 1` ..., with a column of every type."""
        label = np.arange(first, first + count)
        return {
            "label": label.astype(np.int32),
            "area_um2": label / 3,
            "solidity": np.where(label % 2, np.nan, 0.5).astype(np.float32),
            "touches_border": label % 3 == 0,
            "kind": np.array(["é" * (number % 4) for number in label], dtype="<U3"),
        }


@pytest.fixture
def case():
    return SlideCase()
