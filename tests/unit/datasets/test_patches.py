"""Patches are what the images hold at that place, mirrored past the border, and reproducible."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_gland_mtl.datasets import UNKNOWN_CLASS, Sample
from napari_gland_mtl.datasets.patch_places import PatchPlaces
from napari_gland_mtl.datasets.patches import PatchSource, mirrored
from napari_gland_mtl.errors import DatasetError
from napari_gland_mtl.slides.resampling import resample


def sample(height=40, width=50, class_index=1, seed=0, instances=None, mpp=1.0):
    rng = np.random.default_rng(seed)
    image = rng.integers(1, 256, (height, width, 3)).astype(np.uint8)
    regions = rng.integers(1, 4, (height, width)).astype(np.uint8)
    return Sample("made", image, regions, instances, class_index, None, mpp)


@given(st.integers(-60, 60), st.integers(1, 40), st.integers(1, 20))
def test_mirrored_is_symmetric_padding(start, length, size):
    wide = np.pad(np.arange(size), 120, mode="symmetric")
    expected = wide[120 + start : 120 + start + length]
    assert np.array_equal(mirrored(start, length, size), expected)


def test_patches_come_from_the_image_and_its_mirror():
    data = sample()
    batch = PatchSource([data], mpp=1.0).draw(6, 32, seed=3, step=5)
    around = ((32, 32), (32, 32))
    wide_labels = np.pad(data.regions, around, mode="symmetric")
    wide_image = np.pad(data.image, (*around, (0, 0)), mode="symmetric")
    for image, labels in zip(batch.images.numpy(), batch.labels.numpy(), strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(wide_labels, (32, 32))
        places = np.argwhere((windows == labels).all(axis=(2, 3)))
        assert len(places) == 1
        y, x = places[0]
        assert np.array_equal(image.transpose(1, 2, 0), wide_image[y : y + 32, x : x + 32])


def test_nothing_black_is_invented():
    batch = PatchSource([sample(8, 9)], mpp=1.0).draw(8, 64, seed=0, step=0)
    assert int(batch.images.min()) >= 1
    assert int(batch.labels.min()) >= 1


def test_a_step_is_drawn_alike_whatever_came_before():
    source = PatchSource([sample(), sample(seed=1, class_index=0)], mpp=1.0)
    first = source.draw(4, 16, seed=1, step=7)
    source.draw(4, 16, seed=1, step=8)
    again = source.draw(4, 16, seed=1, step=7)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.classes, again.classes)
    for other in (source.draw(4, 16, seed=1, step=8), source.draw(4, 16, seed=2, step=7)):
        assert not torch.equal(first.images, other.images)


def test_a_share_of_a_draw_holds_the_patches_that_stand_there():
    source = PatchSource([sample(), sample(seed=1, class_index=0)], mpp=1.0)
    whole = source.draw(5, 16, seed=1, step=7)
    for share in (slice(0, 3), slice(3, 5)):
        part = source.draw(5, 16, seed=1, step=7, share=share)
        assert torch.equal(part.images, whole.images[share])
        assert torch.equal(part.labels, whole.labels[share])
        assert torch.equal(part.classes, whole.classes[share])
    # Control: so many drawn by themselves are others.
    assert not torch.equal(source.draw(2, 16, seed=1, step=7).images, whole.images[3:])


def test_images_come_at_the_wanted_pixel_size():
    data = sample(mpp=0.5)
    source = PatchSource([data], mpp=1.0)
    assert source.images[0].shape == (20, 25, 3)
    assert source.labels[0].shape == (20, 25)
    assert np.array_equal(source.images[0], resample(data.image, 2.0))


def test_touching_glands_get_a_seam_of_background():
    instances = np.zeros((40, 50), np.int32)
    instances[5:35, 5:25], instances[5:35, 25:45] = 1, 2
    whole = np.where(instances > 0, 2, 1).astype(np.uint8)
    data = sample()
    marked = Sample("made", data.image, whole, instances, 0, None, 1.0)
    plain = Sample("made", data.image, whole, None, 0, None, 1.0)
    assert (PatchSource([marked], 1.0).labels[0][5:35, 24:26] == 1).all()
    assert (PatchSource([plain], 1.0).labels[0][5:35, 24:26] == 2).all()


def test_classes_are_those_of_the_images():
    source = PatchSource([sample(class_index=2)], mpp=1.0)
    assert source.draw(3, 8, 0, 0).classes.tolist() == [2, 2, 2]
    assert source.has_classes
    assert not PatchSource([sample(class_index=-1)], mpp=1.0).has_classes


def test_images_without_annotation_are_left_out():
    empty = sample()
    empty.regions[:] = 0
    assert len(PatchSource([empty, sample(seed=1)], mpp=1.0).images) == 1
    for samples in ([], [empty]):
        with pytest.raises(DatasetError, match="Nothing is annotated"):
            PatchSource(samples, mpp=1.0)


def shades(*values, annotated=True):
    """Samples of one grey each."""
    regions = np.full((80, 80), int(annotated), dtype=np.uint8)
    for value in values:
        image = np.full((80, 80, 3), value, dtype=np.uint8)
        yield Sample(f"grey {value}", image, regions, None, UNKNOWN_CLASS, None, 1.0)


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_a_share_of_the_patches_comes_from_the_replay(share):
    source = PatchSource(shades(10, 20), 1.0, replay=shades(200, 210, 220), replay_share=share)
    drawn = source.draw(4000, 8, seed=0, step=0).images[:, 0, 0, 0].numpy()
    assert (drawn >= 200).mean() == pytest.approx(share, abs=0.03)
    assert set(drawn) == {10, 20, 200, 210, 220}
    assert source.annotated_px == 2 * 80 * 80
    without = PatchSource(shades(10, 20), 1.0, replay=shades(200))
    assert set(without.draw(500, 8, seed=0, step=0).images.unique().tolist()) == {10, 20}


def test_what_is_not_annotated_is_named_and_a_blank_replay_refused():
    source = PatchSource([*shades(10), *shades(30, annotated=False)], 1.0)
    assert source.skipped == ["grey 30"]
    assert source.codes == {1}
    with pytest.raises(DatasetError, match="replay images"):
        PatchSource(shades(10), 1.0, replay=shades(200, annotated=False), replay_share=0.5)


# ------------------------------------------------------------------ sparse annotations


def spot(value, height=400, width=300, at=(slice(50, 60), slice(200, 230))):
    """A sample in which a spot is annotated, and nothing else."""
    regions = np.zeros((height, width), dtype=np.uint8)
    regions[at] = value
    return Sample("spot", np.zeros((height, width, 3), np.uint8), regions, None, -1, None, 1.0)


def test_every_patch_of_a_sparse_annotation_shows_some_of_it():
    data, middle = spot(2), slice(20, 60)
    drawn = PatchSource([data], 1.0).draw(200, 80, seed=0, step=0).labels[:, middle, middle]
    assert (drawn == 2).flatten(1).any(dim=1).all()
    assert len({tuple(np.argwhere(patch == 2)[:, 0].tolist()) for patch in drawn.numpy()}) > 20
    # Control: drawn anywhere, few would.
    rng = np.random.default_rng(0)
    seen = [
        (data.regions[y : y + 40, x : x + 40] == 2).any()
        for y, x in zip(rng.integers(0, 360, 200), rng.integers(0, 260, 200), strict=True)
    ]
    assert np.mean(seen) < 0.2


@pytest.mark.parametrize("at", [(0, 0), (-1, -1), (slice(7, 8), slice(None)), (-1, slice(4, 9))])
def test_each_annotated_pixel_has_the_same_chance_wherever_it_lies(at):
    data = spot(1, 30, 40, at)
    places, rng = PatchPlaces(data.regions), np.random.default_rng(0)
    pixels = [places.centre(4, rng) for _ in range(4000)]  # too small a patch to be shifted
    expected = {(int(y), int(x)) for y, x in np.argwhere(data.regions)}
    assert set(pixels) == expected
    counts = np.array([pixels.count(pixel) for pixel in expected])
    assert counts.min() > 0.5 * 4000 / len(expected)
    assert places.annotated_px == len(expected)


def test_where_everything_is_annotated_patches_lie_anywhere():
    places, rng = PatchPlaces(np.ones((30, 40), np.uint8)), np.random.default_rng(0)
    found = {places.centre(300, rng) for _ in range(20_000)}
    assert len(found) == 30 * 40


def test_an_annotation_too_small_for_the_scale_is_left_out():
    dot = spot(1, 40, 40, (slice(1, 2), slice(1, 2)))
    source = PatchSource([dot, sample(mpp=1.0)], mpp=8.0)
    assert source.skipped == ["spot"]
    assert len(source.images) == 1
    with pytest.raises(DatasetError, match="Nothing is annotated"):
        PatchSource([dot], mpp=8.0)


def test_a_patch_knows_which_image_it_is_of():
    def named(name, value):
        regions = np.full((40, 40), 1, dtype=np.uint8)
        image = np.full((40, 40, 3), value, dtype=np.uint8)
        return Sample(name, image, regions, None, 0, None, 1.0)

    empty = Sample("empty", *[np.zeros((40, 40), np.uint8)] * 2, None, 0, None, 1.0)
    samples = [named("a", 10), empty, named("b", 20), named("c", 30)]
    source = PatchSource(samples, 1.0, replay=[named("again", 40)], replay_share=0.5)
    assert source.own_names == ["a", "b", "c"]
    batch = source.draw(24, 16, seed=0, step=0)
    values = batch.images.flatten(1).float().mean(dim=1)
    assert torch.equal(values, 10.0 * (batch.samples + 1))
    assert set(batch.samples.tolist()) == {0, 1, 2, 3}
    part = batch.part(slice(3, 9))
    assert torch.equal(part.samples, batch.samples[3:9])
    share = source.draw(24, 16, seed=0, step=0, share=slice(3, 9))
    assert torch.equal(share.samples, part.samples)
