"""Augmentation moves image and mask together, invents nothing, and can be repeated."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_gland_mtl.datasets.augmentation import (
    AugmentationConfig,
    affine_matrices,
    augment,
    elastic_shifts,
    vary_stain,
)
from napari_gland_mtl.datasets.patches import PatchBatch

OFF = AugmentationConfig(
    flip=False, rotation=0, scale=0, shear=0, elastic_um=0, stain=0, brightness=0, noise=0
)
MOVING = AugmentationConfig(stain=0, brightness=0, noise=0)
PATCH = 48


def batch(count=4, size=96, seed=0):
    """Smooth images, with a bright square in each whose mask is code 2."""
    rng = np.random.default_rng(seed)
    images = ndimage.gaussian_filter(rng.uniform(60, 140, (count, 3, size, size)), (0, 0, 4, 4))
    labels = np.ones((count, size, size))
    middle = slice(size // 2 - 9, size // 2 + 8), slice(size // 2 - 6, size // 2 + 10)
    images[:, :, *middle], labels[:, *middle] = 250, 2
    return PatchBatch(
        torch.from_numpy(images.astype(np.uint8)),
        torch.from_numpy(labels.astype(np.uint8)),
        torch.arange(count) - 1,
    )


def augmented(config, seed=0, **sizes):
    return augment(batch(**sizes), PATCH, 1.0, config, seed)


@pytest.mark.parametrize("size", [PATCH, PATCH + 16, 96])
def test_everything_off_is_the_middle_of_the_window(size):
    drawn = batch(size=size)
    result = augment(drawn, PATCH, 1.0, OFF, seed=1)
    cut = slice((size - PATCH) // 2, (size + PATCH) // 2)
    expected = drawn.images[:, :, cut, cut].float() / 255
    assert torch.allclose(result.images, expected, atol=2e-4)
    assert torch.equal(result.labels, drawn.labels[:, cut, cut])
    assert torch.equal(result.classes, drawn.classes)


@pytest.mark.parametrize("seed", range(6))
def test_image_and_mask_move_together(seed):
    result = augmented(MOVING, seed)
    bright, marked = result.images.mean(dim=1) > 0.75, result.labels == 2
    assert marked.any(dim=(1, 2)).all()
    agree = (bright & marked).sum() / (bright | marked).sum()
    assert agree > 0.9
    still = augmented(OFF).labels == 2
    assert (still & marked).sum() / (still | marked).sum() < 0.9


def test_labels_stay_codes():
    drawn = batch()
    drawn.labels[:] = torch.where(drawn.labels == 2, 3, 1)  # 2 lies between, and is not there
    assert set(augment(drawn, PATCH, 1.0, MOVING, 0).labels.unique().tolist()) == {1, 3}


def test_past_the_border_the_image_is_mirrored_and_never_black():
    drawn = batch(size=PATCH)
    drawn.images[:] = 200
    for seed in range(4):
        result = augment(drawn, PATCH, 1.0, MOVING, seed)
        assert float(result.images.min()) > 199 / 255
        assert int(result.labels.min()) >= 1
    # Control: the windows are really left, and zeros there would be seen.
    zeros = torch.nn.functional.affine_grid(
        torch.tensor([[[0.7, -0.7, 0], [0.7, 0.7, 0]]]), [1, 1, PATCH, PATCH], align_corners=False
    )
    black = torch.nn.functional.grid_sample(drawn.images[:1].float(), zeros, align_corners=False)
    assert float(black.min()) == 0


@pytest.mark.parametrize("seed", range(3))
def test_affine_part_agrees_with_scipy(seed):
    config = OFF.model_copy(update={"rotation": 180, "scale": 0.25, "shear": 0.1, "flip": True})
    drawn = batch(count=3)
    result = augment(drawn, PATCH, 1.0, config, seed)
    matrices = affine_matrices(3, config, torch.Generator().manual_seed(seed)).numpy()
    for image, window, xy in zip(result.images, drawn.images.numpy(), matrices, strict=True):
        yx = xy[::-1, ::-1].astype(float)
        offset = (96 - 1) / 2 - yx @ np.full(2, (PATCH - 1) / 2)
        for channel in range(3):
            expected = ndimage.affine_transform(
                window[channel] / 255.0, yx, offset, (PATCH, PATCH), order=1, mode="reflect"
            )
            assert np.allclose(image[channel], expected, atol=2e-4)


def test_affine_matrices_stay_within_their_limits():
    config = AugmentationConfig(rotation=30, scale=0.25, shear=0.1, flip=True)
    matrices = affine_matrices(2000, config, torch.Generator().manual_seed(0))
    areas = torch.linalg.det(matrices)
    assert areas.abs().max() <= 1.25**2 + 1e-5
    assert areas.abs().min() >= 1 / 1.25**2 - 1e-5
    assert 0.45 < float((areas < 0).float().mean()) < 0.55
    upright = config.model_copy(update={"flip": False, "shear": 0.0})
    turned = affine_matrices(2000, upright, torch.Generator().manual_seed(0))
    angles = torch.rad2deg(torch.atan2(turned[:, 1, 0], turned[:, 0, 0]))
    assert 25 < float(angles.abs().max()) <= 30 + 1e-4


def test_elastic_shifts_are_smooth_and_measured_in_um():
    config = AugmentationConfig(elastic_um=3.0, elastic_grid_um=60.0)

    def shifts(mpp):
        patch = round(192 / mpp)
        return elastic_shifts(16, patch, mpp, config, torch.Generator().manual_seed(0))

    fine, coarse = shifts(1.0), shifts(2.0)
    assert fine.shape == (16, 192, 192, 2)
    assert 1.5 < float(fine.std()) < 4.5
    assert float(fine.std()) == pytest.approx(2 * float(coarse.std()), rel=0.1)
    # Neighbours stay in order: the steps between them are far below one pixel.
    assert float((fine[:, 1:] - fine[:, :-1]).abs().max()) < 0.6


def test_a_varied_patch_is_of_the_same_image():
    windows = batch(count=3)
    assert augment(windows, PATCH, 1.0, AugmentationConfig(), 0).samples is None
    known = PatchBatch(windows.images, windows.labels, windows.classes, torch.tensor([4, 0, 7]))
    result = augment(known, PATCH, 1.0, AugmentationConfig(), 0)
    assert result.samples.tolist() == [4, 0, 7]


def test_same_seed_same_patches():
    config = AugmentationConfig()
    first, again, other = augmented(config, 5), augmented(config, 5), augmented(config, 6)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.images, other.images)


def test_a_share_is_varied_as_it_would_be_among_all():
    config, windows = AugmentationConfig(), batch(count=5)
    whole = augment(windows, PATCH, 1.0, config, 3)
    for share in (slice(0, 3), slice(3, 5)):
        mine = PatchBatch(windows.images[share], windows.labels[share], windows.classes[share])
        part = augment(mine, PATCH, 1.0, config, 3, count=5, share=share)
        assert torch.allclose(part.images, whole.images[share], atol=1e-6)
        assert torch.equal(part.labels, whole.labels[share])
        # Control: by itself it is varied otherwise.
        if share.start:
            other = augment(mine, PATCH, 1.0, config, 3)
            assert not torch.allclose(other.images, whole.images[share], atol=0.05)


def test_result_is_float_and_uint8_on_the_device():
    result = augment(batch(), PATCH, 1.0, AugmentationConfig(), 0, device=torch.device("cpu"))
    assert result.images.dtype == torch.float32
    assert result.labels.dtype == torch.uint8
    assert {t.device.type for t in (result.images, result.labels, result.classes)} == {"cpu"}
    assert result.images.shape == (4, 3, PATCH, PATCH)
    assert result.labels.shape == (4, PATCH, PATCH)
    assert float(result.images.min()) >= 0
    assert float(result.images.max()) <= 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_gives_what_the_cpu_gives():
    config = AugmentationConfig()
    there = augment(batch(), PATCH, 1.0, config, 3, device="cuda")
    here = augment(batch(), PATCH, 1.0, config, 3)
    assert there.images.is_cuda
    assert there.labels.is_cuda
    assert torch.allclose(there.images.cpu(), here.images, atol=1e-4)
    assert (there.labels.cpu() != here.labels).float().mean() < 1e-3


def test_stain_variation_of_zero_changes_nothing():
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    same = vary_stain(images, OFF, torch.Generator().manual_seed(1))
    # One grey level: the darkest value has a finite density.
    assert torch.allclose(same, images, atol=1 / 255)
    config = OFF.model_copy(update={"stain": 0.3})
    assert not torch.allclose(vary_stain(images, config, torch.Generator()), images, atol=0.02)


def test_white_stays_nearly_white_and_stain_grows_or_fades():
    config = OFF.model_copy(update={"stain": 0.2})
    white = torch.ones(50, 3, 1, 1)
    pink = torch.tensor([0.85, 0.5, 0.7]).view(1, 3, 1, 1).expand(50, -1, -1, -1)
    varied_white = vary_stain(white, config, torch.Generator().manual_seed(0))
    varied_pink = vary_stain(pink, config, torch.Generator().manual_seed(0))
    assert float(varied_white.min()) > 0.95
    assert float((varied_pink - pink).min()) < -0.02
    assert float((varied_pink - pink).max()) > 0.02


def test_brightness_multiplies():
    config = OFF.model_copy(update={"brightness": 0.1})
    grey = torch.full((40, 3, 1, 1), 0.5)
    ratios = vary_stain(grey, config, torch.Generator().manual_seed(0)) / grey
    assert torch.allclose(ratios.amax(dim=1), ratios.amin(dim=1), atol=1e-5)
    assert 0.9 - 1e-5 <= float(ratios.min()) < 0.95
    assert 1.05 < float(ratios.max()) <= 1.1 + 1e-5


def test_window_is_wide_enough_to_seldom_need_the_mirror():
    config = AugmentationConfig(elastic_um=0)
    size = config.window(PATCH)
    assert size % 2 == PATCH % 2 or config.rotation
    reach = affine_matrices(500, config, torch.Generator().manual_seed(0)).abs().sum(dim=2)
    needed = reach.max(dim=1).values * PATCH
    assert float((needed <= size).float().mean()) > 0.95
    assert OFF.window(PATCH) == PATCH + 16
