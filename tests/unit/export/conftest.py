"""A segmentation by hand, with a table of every type, and the image it belongs to."""

import numpy as np
import pytest

from napari_gland_mtl.regions import GLAND_REGIONS
from napari_gland_mtl.segmentation import Segmentation, TopologyViolations
from napari_gland_mtl.slides import slide_from_array

HEIGHT, WIDTH, MPP = 90, 130, 0.5


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
