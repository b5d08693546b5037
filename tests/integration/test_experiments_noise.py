"""Labels made wrong on purpose: what each kind does, and that it leaves the rest alone."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))

import _noise

from napari_gland_mtl.datasets import Dataset
from napari_gland_mtl.datasets.dataset import Record
from napari_gland_mtl.errors import InvalidInputError

STROMA, EPITHELIUM, LUMEN = 1, 2, 3


def drawn(glands=4, side=200, gap=50, unknown_rows=2):
    """Square glands of 24 px with a lumen of 8 px, far from each other and from the edge."""
    regions = np.full((side, side), STROMA, dtype=np.uint8)
    instances = np.zeros((side, side), dtype=np.int32)
    for number in range(glands):
        y, x = 20 + gap * (number // 3), 20 + gap * (number % 3)
        instances[y : y + 24, x : x + 24] = number + 1
        regions[y : y + 24, x : x + 24] = EPITHELIUM
        regions[y + 8 : y + 16, x + 8 : x + 16] = LUMEN
    regions[:unknown_rows] = 0
    return regions, instances


def rng(seed=0):
    return np.random.default_rng(seed)


def data_set(count=9, classes=("benign", "malignant")):
    def record(number):
        regions, instances = drawn()
        image = np.full((*regions.shape, 3), number, dtype=np.uint8)
        return Record(
            name=f"image_{number}",
            class_index=number % 2,
            patient=str(number),
            mpp=2.0,
            read=lambda: (image, regions, instances),
        )

    return Dataset(tuple(record(number) for number in range(count)), classes)


def same(one, other):
    """Whether two samples say the same, pixel by pixel."""
    return one.class_index == other.class_index and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("image", "regions", "instances")
    )


@pytest.mark.parametrize("kind", _noise.KINDS)
def test_a_third_is_noisy_and_two_thirds_are_left_alone(kind):
    clean = data_set()
    noisy, names = _noise.with_noise(clean, kind, seed=1)
    assert len(names) == 3
    for before, after in zip(clean, noisy, strict=True):
        assert same(before, after) == (after.name not in names)
        assert np.array_equal(before.image, after.image)
        assert after.regions.dtype == np.uint8
        assert np.array_equal(before.regions == 0, after.regions == 0)


def test_kinds_touch_what_they_say_and_nothing_else():
    clean = data_set()
    for kind, class_changes, regions_change in (
        ("dropped", False, True),
        ("moved", False, True),
        ("flipped", True, False),
        ("all", True, True),
    ):
        noisy, names = _noise.with_noise(clean, kind, seed=0)
        for before, after in zip(clean, noisy, strict=True):
            if after.name in names:
                assert (before.class_index != after.class_index) == class_changes
                assert np.array_equal(before.regions, after.regions) != regions_change


def test_the_seed_decides_and_the_order_does_not():
    names = [f"image_{number}" for number in range(60)]
    assert _noise.chosen(names, 0) == _noise.chosen(names[::-1], 0)
    assert len(_noise.chosen(names, 0)) == 20
    assert _noise.chosen(names, 0) != _noise.chosen(names, 1)
    clean = data_set()
    once, again = (_noise.with_noise(clean, "all", 3)[0] for _ in range(2))
    assert all(same(one, other) for one, other in zip(once, again, strict=True))


@pytest.mark.parametrize(("glands", "left"), [(1, 0), (2, 1), (5, 3), (6, 3)])
def test_half_of_the_glands_are_dropped_whole(glands, left):
    regions, instances = drawn(glands)
    fewer, kept = _noise.without_half(regions, instances, rng())
    numbers = set(np.unique(kept)) - {0}
    assert len(numbers) == left
    gone = (instances > 0) & (kept == 0)
    assert (fewer[gone] == STROMA).all()
    assert np.array_equal(fewer[~gone], regions[~gone])
    assert all((kept == n).sum() == (instances == n).sum() for n in numbers)


def test_borders_move_by_the_distance_in_or_out():
    regions, instances = drawn(9, side=220, gap=60)
    result, labels = _noise.moved(regions, instances, 6.0, rng(2))
    grown = shrunk = 0
    for number in range(1, 10):
        before = np.argwhere(instances == number)
        after = np.argwhere(labels == number)
        change = before.min(0) - after.min(0)
        if change[0] > 0:
            grown += 1
            assert change.tolist() == [6, 6]
            assert (after.max(0) - before.max(0)).tolist() == [6, 6]
        else:
            shrunk += 1
            assert change.tolist() == [-6, -6]
            assert (before.max(0) - after.max(0)).tolist() == [6, 6]
    assert grown
    assert shrunk
    assert np.array_equal(labels > 0, (result == EPITHELIUM) | (result == LUMEN))
    assert np.array_equal(regions == 0, result == 0)


def test_what_is_left_of_a_shrunken_gland_has_a_rim_of_epithelium():
    regions, instances = drawn(1)
    seed = next(s for s in range(20) if rng(s).random(1)[0] >= 0.5)  # one that shrinks
    result, labels = _noise.moved(regions, instances, 10.0, rng(seed))
    assert (labels > 0).sum() == 4 * 4
    lumen = result == LUMEN
    assert lumen.any(), "nothing is left to look at"
    around = np.zeros_like(lumen)
    for axis in (0, 1):
        for shift in (-1, 1):
            around |= np.roll(lumen, shift, axis)
    assert not (around & (result == STROMA)).any()


def test_growing_glands_do_not_take_each_other():
    regions, instances = drawn(2, gap=28)
    seed = next(s for s in range(50) if (rng(s).random(2) < 0.5).all())  # both grow
    _, labels = _noise.moved(regions, instances, 8.0, rng(seed))
    for number in (1, 2):
        assert (labels[instances == number] == number).all()
        assert (labels == number).sum() > (instances == number).sum()


@pytest.mark.parametrize("kind", _noise.KINDS)
def test_an_image_without_glands_and_class_comes_through(kind):
    regions = np.full((40, 40), STROMA, dtype=np.uint8)
    nothing = np.zeros((40, 40), dtype=np.int32)
    image = np.zeros((40, 40, 3), dtype=np.uint8)
    record = Record("empty", -1, None, 1.0, lambda: (image, regions, nothing))
    noisy, _ = _noise.with_noise(Dataset((record,) * 3, ("benign", "malignant")), kind, 0)
    for sample in noisy:
        assert sample.class_index == -1
        assert np.array_equal(sample.regions, regions)


def test_another_class_is_drawn_from_all_others():
    drawn_classes = {_noise.flipped(1, 3, rng(seed)) for seed in range(40)}
    assert drawn_classes == {0, 2}
    assert _noise.flipped(0, 1, rng()) == 0


def test_unknown_noise_is_refused():
    with pytest.raises(InvalidInputError, match="dropped"):
        _noise.with_noise(data_set(), "loud", 0)
