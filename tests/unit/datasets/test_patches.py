"""Patches are what the images hold at that place, mirrored past the border, and reproducible."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_gland_mtl.datasets import Sample
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
