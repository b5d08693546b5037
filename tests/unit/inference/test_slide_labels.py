"""Labelling a slide block by block is labelling the whole at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.inference.decoding import DecodingConfig, decode
from napari_gland_mtl.inference.measurements import measure_glands
from napari_gland_mtl.inference.slide_labels import SlideLabeller
from napari_gland_mtl.inference.tiling import Window
from napari_gland_mtl.inference.uncertainty import cell_means, entropy
from napari_gland_mtl.metrics import count_violations
from napari_gland_mtl.regions import GLAND_REGIONS, Region, RegionHierarchy

STROMA, EPITHELIUM, LUMEN = 1, 2, 3
CLASSES = ("benign", "malignant")
MUCIN = RegionHierarchy(  # three levels in the gland, another tree beside it
    regions=(
        Region(name="lumen", parent="epithelium"),
        Region(name="muscle"),
        Region(name="mucin", parent="lumen"),
        Region(name="stroma"),
        Region(name="epithelium"),
        Region(name="vessel", parent="muscle"),
    )
)
MUSCLE = RegionHierarchy(  # two regions outside the glands, side by side
    regions=(
        Region(name="stroma"),
        Region(name="muscle"),
        Region(name="epithelium"),
        Region(name="lumen", parent="epithelium"),
    )
)
WALL = RegionHierarchy(  # glands deep in other regions
    regions=(
        Region(name="wall"),
        Region(name="mucosa", parent="wall"),
        Region(name="stroma", parent="mucosa"),
        Region(name="epithelium", parent="mucosa"),
        Region(name="lumen", parent="epithelium"),
        Region(name="muscle"),
    )
)
OUTSIDE = RegionHierarchy(  # a background that lies outside what contains the glands
    regions=(
        Region(name="mucosa"),
        Region(name="epithelium", parent="mucosa"),
        Region(name="lumen", parent="epithelium"),
        Region(name="outside"),
        Region(name="stroma", parent="outside"),
    )
)


class Stored:
    """Probabilities in memory; remembers the lowest row that was read."""

    def __init__(self, probabilities, seed=0):
        self.probabilities = probabilities
        cells = [-(-size // 16) for size in self.shape]
        self.activations = np.random.default_rng(seed).normal(size=(2, *cells)).astype(np.float32)
        self.lowest = 0

    @property
    def shape(self):
        return self.probabilities.shape[1:]

    def read(self, window):
        assert window == window.clipped(*self.shape)
        self.lowest = max(self.lowest, window.y1)
        return self.probabilities[:, *window.slices].copy()

    def any(self, window):
        return bool(self.probabilities[:, *window.slices].any())

    def class_map(self, window):
        return self.activations[:, *window.slices]


def as_bytes(values):
    """Probabilities 0 .. 255 out of weights."""
    return np.round(255 * values / values.sum(axis=0)).astype(np.uint8)


def tissue(regions, sigma=1.5, codes=3):
    """What a network says that sees `regions` through a blur; 0 is not analysed."""
    hot = np.stack([regions == code for code in range(1, codes + 1)]).astype(np.float32)
    values = np.stack([ndimage.gaussian_filter(layer, sigma) for layer in hot]) + 1e-3
    probabilities = as_bytes(values)
    probabilities[:, regions == 0] = 0
    return probabilities


def disks(shape, circles, lumen=0.4):
    """Round glands with a lumen, in stroma."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    regions = np.full(shape, STROMA, dtype=np.uint8)
    for cy, cx, radius in circles:
        distance = np.hypot(y - cy, x - cx)
        regions[distance <= radius] = EPITHELIUM
        regions[distance <= lumen * radius] = LUMEN
    return regions


def smooth(rng, shape, hierarchy):
    """Random fields of any scale: blobs that touch, rings, islands, ragged or smooth."""
    fields = rng.normal(size=(len(hierarchy), *shape))
    sigma = rng.choice([1.0, 2.0, 4.0, 8.0])
    fields = np.stack([ndimage.gaussian_filter(field, sigma) for field in fields])
    fields *= rng.choice([1, 3, 6]) / fields.std()
    fields[[code - 1 for code in hierarchy.gland_codes]] += rng.choice([-1, 0, 1, 2])
    return as_bytes(np.exp(fields - fields.max(axis=0)))


@st.composite
def slides(draw, hierarchies=(GLAND_REGIONS,)):
    """Probabilities with holes where nothing was analysed, and settings that suit them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    hierarchy = draw(st.sampled_from(hierarchies))
    shape = tuple(int(size) for size in rng.integers(10, 200, size=2))
    probabilities = smooth(rng, shape, hierarchy)
    for _ in range(draw(st.integers(0, 4))):
        y, x = (rng.integers(0, size) for size in shape)
        height, width = rng.integers(1, 50, size=2)
        probabilities[:, y : y + height, x : x + width] = 0
    config = DecodingConfig(
        gland_threshold=rng.choice([0.3, 0.5, 0.7]),
        seed_threshold=rng.choice([0.7, 0.9]),
        seed_erosion_um=rng.choice([0, 2, 4]),
        min_seed_area_um2=rng.choice([5, 30]),
        min_gland_area_um2=rng.choice([0, 40, 300]),
        min_lumen_area_um2=rng.choice([0, 20]),
    )
    return Stored(probabilities), hierarchy, config


BLOCKS = st.sampled_from([16, 32, 48, 64, 128])
STEPS = st.lists(st.integers(0, 200), max_size=5)


def swept(source, hierarchy=GLAND_REGIONS, config=None, mpp=1.0, steps=(), **options):
    """Labels put together from the blocks, all rows of the table, and the labeller."""
    labeller = SlideLabeller(source, hierarchy, mpp, config, CLASSES, **options)
    regions = np.zeros(source.shape, dtype=np.uint8)
    glands = np.zeros(source.shape, dtype=np.int32)
    tables, given_out = [], np.zeros(source.shape, dtype=int)
    ready = sorted(min(step, source.shape[0]) for step in steps)
    for block in labeller.blocks([*ready, source.shape[0]]):
        regions[block.window.slices] = block.regions
        glands[block.window.slices] = block.glands
        given_out[block.window.slices] += 1
        tables.append(block.table)
        shown = np.unique(block.glands[block.glands > 0])
        assert np.isin(shown, np.concatenate([table["label"] for table in tables])).all()
    assert given_out.max(initial=0) <= 1
    assert np.all(given_out[source.probabilities.any(axis=0)] == 1)
    table = (
        {name: np.concatenate([t[name] for t in tables]) for name in tables[0]} if tables else {}
    )
    return regions, glands, table, labeller


def at_once(source, hierarchy, config, mpp):
    analysed = source.probabilities.any(axis=0)
    return decode(source.probabilities, hierarchy, mpp, config, analysed)


def assert_same_glands(glands, others, count):
    """Equal up to their numbers, which are 1 .. n in both; returns those of `glands` in order."""
    np.testing.assert_array_equal(glands > 0, others > 0)
    pairs = np.unique(np.stack([others[others > 0], glands[glands > 0]]), axis=1)
    assert pairs[0].tolist() == list(range(1, count + 1))
    assert sorted(pairs[1].tolist()) == list(range(1, count + 1))
    return pairs[1]


@settings(max_examples=50)
@given(
    slides((GLAND_REGIONS, GLAND_REGIONS, MUSCLE, MUCIN, WALL, OUTSIDE)),
    st.sampled_from([0.62, 1.0, 1.6]),
    BLOCKS,
    STEPS,
)
def test_block_by_block_is_the_whole_at_once(case, mpp, block, steps):
    source, hierarchy, config = case
    decoded = at_once(source, hierarchy, config, mpp)
    regions, glands, table, labeller = swept(source, hierarchy, config, mpp, steps, block=block)
    np.testing.assert_array_equal(regions, decoded.regions)
    order = assert_same_glands(glands, decoded.glands, int(decoded.glands.max(initial=0)))
    whole = measure_glands(
        decoded.regions,
        decoded.glands,
        mpp,
        source.activations,
        hierarchy,
        CLASSES,
        uncertainty=entropy(source.probabilities),
    )
    assert "uncertainty" in whole
    row = np.argsort(table["label"])[order - 1] if len(order) else []
    for name in set(whole) - {"label"}:
        np.testing.assert_array_equal(table[name][row] if table else [], whole[name])
    assert labeller.violations.total == 0
    assert labeller.cut == 0
    if hierarchy in (GLAND_REGIONS, MUSCLE):
        assert labeller.violations_raw == decoded.violations_raw


@settings(max_examples=10)
@given(slides(), BLOCKS, STEPS)
def test_the_rows_may_become_ready_in_any_steps(case, block, steps):
    source, hierarchy, config = case
    first = swept(source, hierarchy, config, block=block)
    second = swept(source, hierarchy, config, steps=steps, block=block)
    for one, other in zip(first[:2], second[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    for name, column in first[2].items():
        np.testing.assert_array_equal(column, second[2][name])


def test_no_row_is_read_before_it_is_ready():
    source = Stored(tissue(disks((200, 96), [(60, 40, 20), (130, 50, 30)])))
    labeller = SlideLabeller(source, GLAND_REGIONS, 1.0, SMALL, block=32)

    def ready():
        for y in range(0, 201, 8):
            assert source.lowest <= y
            yield y

    blocks = list(labeller.blocks(ready()))
    assert labeller.glands == 2
    assert sum(len(block.table["label"]) for block in blocks) == 2


# ---- what that means for glands


SMALL = DecodingConfig(
    seed_erosion_um=5, min_seed_area_um2=30, min_gland_area_um2=60, min_lumen_area_um2=5
)
FIELD = [(30, 32, 14), (33, 64, 14), (64, 30, 15), (64, 66, 12), (96, 64, 15), (100, 100, 14)]


def test_no_gland_is_cut_by_a_block():
    """Control: labelled tile by tile, as is usually done, most of these glands are cut."""
    source = Stored(tissue(disks((128, 128), FIELD)))
    by_tile = [
        int(decode(source.probabilities[:, y : y + 32, x : x + 32], config=SMALL).glands.max())
        for y in range(0, 128, 32)
        for x in range(0, 128, 32)
    ]
    assert sum(by_tile) > len(FIELD)
    for block in (16, 32, 64, 128):
        _, glands, table, labeller = swept(source, config=SMALL, block=block)
        assert labeller.glands == len(FIELD)
        assert np.all(table["area_um2"] > 400)
        for y, x, _radius in FIELD:
            assert glands[y, x] > 0
            assert table["touches_border"].sum() == 0


def test_touching_glands_stay_distinct_across_a_border():
    regions = disks((96, 160), [(48, 44, 30), (48, 105, 30)])
    for block in (16, 32, 64):
        _, glands, _, labeller = swept(Stored(tissue(regions)), block=block)
        assert labeller.glands == 2
        assert glands[48, 20] != glands[48, 130]
    config = DecodingConfig(min_seed_area_um2=1e6)
    assert swept(Stored(tissue(regions)), config=config, block=32)[3].glands == 1


def ring_with_island():
    y, x = np.mgrid[:160, :160]
    radius = np.hypot(y - 80, x - 80)
    regions = np.where((radius < 70) & (radius > 45), EPITHELIUM, STROMA)
    return np.where(radius < 20, EPITHELIUM, regions)


def test_what_lies_in_a_gland_belongs_to_it_unless_the_hole_may_go_on():
    regions = ring_with_island()
    config = DecodingConfig(min_seed_area_um2=1e5)
    labels, glands, _, labeller = swept(Stored(tissue(regions)), config=config, block=32)
    assert labeller.glands == 1
    assert np.all(labels[glands > 0] == EPITHELIUM)
    assert glands[80, 80] == glands[80, 110] == glands[80, 140] == 1
    regions[80, 110] = 0
    _, glands, _, labeller = swept(Stored(tissue(regions)), config=config, block=32)
    assert labeller.glands == 2
    assert glands[80, 80] != glands[80, 140]
    assert glands[80, 108] == 0


def test_glands_at_the_border_and_beside_what_was_not_analysed_are_marked():
    regions = disks((120, 120), [(5, 40, 14), (60, 60, 14), (95, 95, 14)])
    regions[90:, 104:] = 0
    _, glands, table, _ = swept(Stored(tissue(regions)), config=SMALL, block=32)
    marked = dict(zip(table["label"], table["touches_border"], strict=True))
    places = ((5, 40), (60, 60), (95, 95))
    assert [marked[glands[place]] for place in places] == [True, False, True]


def test_class_numbers_are_those_of_the_glands():
    source = Stored(tissue(disks((128, 128), FIELD)))
    source.activations[:] = 0
    source.activations[1, :, :3] = 2
    source.activations[0, :, 3:] = 4
    _, glands, table, labeller = swept(source, config=SMALL, block=64)
    malignant = table["malignant_probability"] > 0.5
    assert labeller.glands_by_class.tolist() == [np.sum(~malignant), np.sum(malignant)]
    assert labeller.gland_area_by_class[1] == table["area_um2"][malignant].sum()
    assert labeller.gland_area == np.count_nonzero(glands)
    cell = source.activations.repeat(16, axis=1).repeat(16, axis=2)
    np.testing.assert_allclose(labeller.class_logits, cell[:, glands > 0].mean(axis=1))


def test_glass_is_no_stroma_and_glands_on_glass_go():
    source = Stored(tissue(disks((96, 160), [(48, 40, 20), (48, 80, 14), (48, 130, 20)])))

    def left(window):
        return np.broadcast_to(np.arange(window.x0, window.x1) < 84, window.shape)

    regions, glands, table, labeller = swept(source, config=SMALL, block=32, tissue=left)
    assert labeller.glands == 2
    assert sorted(table["label"]) == [1, 2]
    assert glands[48, 130] == 0
    assert glands[48, 92] > 0  # the larger part of this gland lies on tissue
    assert not regions[:, 84:][glands[:, 84:] == 0].any()
    assert regions[:, :84].all()
    assert labeller.violations.total == 0


# ---- clumps that are too large for a window


def chain(shape, radius, step, bridge):
    """Disks on a grid, each joined to the next by a bridge: one clump."""
    centres = [
        (y, x)
        for y in range(step // 2, shape[0] - radius, step)
        for x in range(step // 2, shape[1] - radius, step)
    ]
    regions = disks(shape, [(y, x, radius) for y, x in centres])
    for y, x in centres:
        for rows, columns in ((bridge, step), (step, bridge)):
            part = regions[y : y + rows, x : x + columns]
            part[(part == STROMA)] = EPITHELIUM
    return regions, centres


@pytest.mark.parametrize(("radius", "step"), [(11, 30), (16, 42)])
def test_no_gland_of_a_third_of_a_window_is_cut_in_a_clump_of_any_size(radius, step):
    """Windows have 128 px; the larger glands reach far beyond the margin of 16 around cores."""
    regions, centres = chain((260, 300), radius, step, bridge=3)
    source = Stored(tissue(regions, sigma=1))
    whole = at_once(source, GLAND_REGIONS, SMALL, 1.0)
    assert len(np.unique(ndimage.label(regions > STROMA)[0])) == 2  # one clump
    labels, glands, table, labeller = swept(source, config=SMALL, block=48, max_window=128**2)
    assert labeller.glands == len(centres) == whole.glands.max()
    assert labeller.cut == 0
    assert count_violations(labels, glands).total == labeller.violations.total == 0
    assert labeller.violations_raw == whole.violations_raw
    for centre in centres:
        own, same = whole.glands == whole.glands[centre], glands == glands[centre]
        assert np.sum(own & same) > 0.95 * np.sum(own | same)
    assert sorted(table["label"]) == list(range(1, len(centres) + 1))


def test_a_gland_larger_than_a_window_is_cut_and_counted():
    regions = np.full((200, 220), STROMA)
    regions[10:190, 10:210] = EPITHELIUM
    regions[40:160, 40:180] = LUMEN
    source = Stored(tissue(regions))
    assert swept(source, block=64)[3].glands == 1
    labels, glands, table, labeller = swept(source, block=64, max_window=64**2)
    assert labeller.cut == labeller.glands == len(table["label"]) > 1
    assert table["touches_border"].all()
    assert count_violations(labels, glands).total == labeller.violations.total == 0
    assert np.mean(glands[regions > STROMA] > 0) > 0.6


@settings(max_examples=30)
@given(
    slides((GLAND_REGIONS, GLAND_REGIONS, MUCIN, WALL, OUTSIDE)),
    BLOCKS,
    st.sampled_from([64**2, 96**2, 128**2]),
    STEPS,
)
def test_large_clumps_break_no_rule(case, block, max_window, steps):
    source, hierarchy, config = case
    regions, glands, table, labeller = swept(
        source, hierarchy, config, steps=steps, block=block, max_window=max_window
    )
    assert count_violations(regions, glands, hierarchy).total == 0
    assert labeller.violations.total == 0
    np.testing.assert_array_equal(glands > 0, hierarchy.is_gland(regions))
    np.testing.assert_array_equal(regions > 0, source.probabilities.any(axis=0))
    numbers = list(range(1, labeller.glands + 1))
    assert np.unique(glands[glands > 0]).tolist() == numbers
    assert not table or sorted(table["label"]) == numbers
    if table:
        area = np.bincount(glands.ravel(), minlength=labeller.glands + 1)
        np.testing.assert_allclose(table["area_um2"], area[table["label"]])


@settings(max_examples=10)
@given(slides(), BLOCKS, STEPS)
def test_large_clumps_do_not_depend_on_the_steps(case, block, steps):
    source, hierarchy, config = case
    first = swept(source, hierarchy, config, block=block, max_window=64**2)
    second = swept(source, hierarchy, config, steps=steps, block=block, max_window=64**2)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


# ---- a long way


class Endless(Stored):
    """A pattern repeated downward as often as wanted, without taking memory."""

    def __init__(self, pattern, height):
        self.height = height
        super().__init__(pattern)

    @property
    def shape(self):
        return self.height, self.probabilities.shape[2]

    def read(self, window):
        rows = np.arange(window.y0, window.y1) % self.probabilities.shape[1]
        return self.probabilities[:, rows, window.x0 : window.x1]

    def any(self, window):
        return True

    def class_map(self, window):
        return np.zeros((2, *window.shape), dtype=np.float32)


@pytest.mark.parametrize("bridged", [False, True], ids=["glands", "one clump"])
def test_what_is_held_does_not_grow_with_the_slide(bridged):
    regions, centres = chain((240, 192), radius=10, step=30, bridge=3 if bridged else 0)
    repeats = 12
    source = Endless(tissue(regions, sigma=1), 240 * repeats)
    labeller = SlideLabeller(
        source, GLAND_REGIONS, 1.0, SMALL, CLASSES, block=64, max_window=128**2
    )
    held, seen = [], 0
    for block in labeller.blocks([source.height]):
        held.append(labeller.pending_bytes)
        seen += len(block.table["label"])
    third = len(held) // 3
    assert max(held[2 * third :]) <= 1.05 * max(held[:third])
    assert seen == labeller.glands == repeats * len(centres)
    assert labeller.cut == 0


# ---- edges


def test_where_nothing_was_analysed_there_are_no_blocks():
    source = Stored(np.zeros((3, 100, 100), dtype=np.uint8))
    labeller = SlideLabeller(source, GLAND_REGIONS, 1.0, block=32)
    assert list(labeller.blocks([100])) == []
    source.probabilities[0, 70, 70] = 255
    blocks = list(SlideLabeller(source, GLAND_REGIONS, 1.0, block=32).blocks([100]))
    assert [block.window for block in blocks] == [Window(64, 64, 96, 96)]
    assert blocks[0].regions.sum() == 1


def test_a_sweep_ends_where_the_rows_end_or_when_it_is_stopped():
    source = Stored(tissue(disks((128, 128), FIELD)))
    labeller = SlideLabeller(source, GLAND_REGIONS, 1.0, block=32)
    assert all(block.window.y1 <= 64 for block in labeller.blocks([70]))
    labeller = SlideLabeller(source, GLAND_REGIONS, 1.0, block=32)
    assert list(labeller.blocks([128], stopped=lambda: True)) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mpp": 0.0}, "pixel size"),
        ({"block": 40}, "multiple of 16"),
        ({"block": 0}, "multiple of 16"),
        ({"max_window": 1000}, "max_window"),
    ],
)
def test_unusable_sizes_are_refused(options, message):
    source = Stored(np.zeros((3, 32, 32), dtype=np.uint8))
    with pytest.raises(InvalidInputError, match=message):
        SlideLabeller(source, GLAND_REGIONS, **{"mpp": 1.0, **options})


def test_probabilities_of_another_model_are_refused():
    source = Stored(np.ones((4, 32, 32), dtype=np.uint8))
    with pytest.raises(InvalidInputError, match="other regions"):
        list(SlideLabeller(source, GLAND_REGIONS, 1.0).blocks([32]))


def test_the_map_of_blocks_is_the_map_of_the_whole():
    probabilities = as_bytes(np.random.default_rng(3).dirichlet([1, 1, 1], (150, 200)).T)
    probabilities = np.ascontiguousarray(probabilities.swapaxes(1, 2))
    probabilities[:, 40:90, 60:110] = 0
    source = Stored(probabilities)
    whole = cell_means(entropy(probabilities), 16)
    found = np.full_like(whole, -1)
    labeller = SlideLabeller(source, GLAND_REGIONS, 1.0, None, block=64)
    for block in labeller.blocks([150]):
        window = block.window.aligned(16).coarsened(16)
        found[window.slices] = block.uncertainty
    np.testing.assert_array_equal(found, whole)
    assert np.isnan(whole).any()
