"""Elastic, affine and stain augmentation of image and mask together, in batches, on the device.

Rotation, scaling, shear, flips and elastic deformation are composed into one sampling grid, so
image and mask are interpolated once instead of once per transform (sharper edges, and several
times faster on a CPU than a chain of library transforms). Colours are varied in the stains'
own space: haematoxylin, eosin and residual densities (Ruifrok & Johnston 2001) are scaled and
shifted, as different laboratories do.
"""

from __future__ import annotations

import math

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from .patches import WHOLE, PatchBatch

# Rows: optical density of haematoxylin, eosin and the residual in R, G, B.
_STAINS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))


class AugmentationConfig(BaseModel):
    """How much patches are varied; every 0 switches one variation off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip: bool = Field(default=True, description="Mirror left to right with chance 1/2.")
    rotation: float = Field(default=180.0, ge=0, le=180, description="Largest angle, degrees.")
    scale: float = Field(default=0.25, ge=0, lt=1, description="Largest change of size, share.")
    shear: float = Field(default=0.1, ge=0, le=0.5, description="Largest shear, tangent.")
    elastic_um: float = Field(
        default=3.0, ge=0, description="Standard deviation of the elastic shift, um."
    )
    elastic_grid_um: float = Field(
        default=60.0, gt=0, description="Distance of the elastic control points, um."
    )
    stain: float = Field(default=0.4, ge=0, le=1, description="Change of each stain's density.")
    brightness: float = Field(default=0.15, ge=0, le=0.5, description="Change of brightness.")
    noise: float = Field(default=0.02, ge=0, le=0.2, description="Pixel noise, of 0..1.")

    def window(self, patch: int) -> int:
        """Pixels to draw so that a patch of `patch` pixels seldom needs the mirrored edge."""
        turned = math.sqrt(2) if self.rotation else 1.0
        return math.ceil(patch * turned * (1 + self.scale)) + 16


def _uniform(count: int, most: float, generator: torch.Generator) -> Tensor:
    return (2 * torch.rand(count, generator=generator) - 1) * most


def affine_matrices(count: int, config: AugmentationConfig, generator: torch.Generator) -> Tensor:
    """Random matrices (N, 2, 2) from patch offsets to window offsets, both (x, y) in pixels."""
    angle = _uniform(count, math.radians(config.rotation), generator)
    grow = torch.exp(_uniform(count, math.log1p(config.scale), generator))
    shear = _uniform(count, config.shear, generator)
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    mirror = mirror if config.flip else torch.ones(count)
    cosine, sine = torch.cos(angle) * grow, torch.sin(angle) * grow
    rotated = torch.stack([cosine, -sine, sine, cosine], dim=1).view(-1, 2, 2)
    one, zero = torch.ones(count), torch.zeros(count)
    sheared = torch.stack([mirror, shear, zero, one], dim=1).view(-1, 2, 2)
    return rotated @ sheared


def elastic_shifts(
    count: int,
    patch: int,
    mpp: float,
    config: AugmentationConfig,
    generator: torch.Generator,
    share: slice = WHOLE,
) -> Tensor:
    """Smooth random shifts (N, patch, patch, 2) in pixels: normal control points, cubic between."""
    points = max(2, round(patch * mpp / config.elastic_grid_um)) + 3
    control = torch.randn(count, 2, points, points, generator=generator)[share]
    size = (patch, patch)
    field = functional.interpolate(control, size, mode="bicubic", align_corners=True)
    return field.permute(0, 2, 3, 1) * (config.elastic_um / mpp)


def _sampling_grid(
    count: int,
    patch: int,
    window: int,
    mpp: float,
    config: AugmentationConfig,
    generator: torch.Generator,
    share: slice,
) -> Tensor:
    """Where each patch pixel looks in the window, (N, patch, patch, 2), -1 .. 1 as (x, y)."""
    offsets = torch.arange(patch) - (patch - 1) / 2
    y, x = torch.meshgrid(offsets, offsets, indexing="ij")
    plain = torch.stack([x, y], dim=-1).view(1, -1, 2)
    matrices = affine_matrices(count, config, generator)[share]
    looked = (plain @ matrices.transpose(1, 2)).view(-1, patch, patch, 2)
    if config.elastic_um:
        looked = looked + elastic_shifts(count, patch, mpp, config, generator, share)
    return looked * (2 / window)


def vary_stain(
    images: Tensor,
    config: AugmentationConfig,
    generator: torch.Generator,
    count: int | None = None,
    share: slice = WHOLE,
) -> Tensor:
    """Scale and shift stain densities and brightness of RGB images (N, 3, H, W) in 0..1.

    The images may be a `share` of `count`, and are varied as they would be among all of them.
    """
    count = len(images) if count is None else count
    stains = torch.tensor(_STAINS)
    stains = stains / stains.norm(dim=1, keepdim=True)
    grow = 1 + _uniform(count * 3, config.stain, generator).view(count, 3)
    shift = _uniform(count * 3, config.stain * 0.1, generator).view(count, 3)
    bright = 1 + _uniform(count, config.brightness, generator)
    # Unmix, scale and mix again is one 3x3 matrix per image.
    mixing = torch.linalg.inv(stains) @ (grow.unsqueeze(2) * stains)
    offset = shift @ stains - torch.log(bright).unsqueeze(1)
    mixing, offset = mixing[share].to(images.device), offset[share].to(images.device)
    density = -torch.log(images.clamp(min=1 / 255))
    mixed = torch.einsum("nchw,ncd->ndhw", density, mixing) + offset[:, :, None, None]
    return torch.exp(-mixed).clamp(0, 1)


def augment(
    batch: PatchBatch,
    patch: int,
    mpp: float,
    config: AugmentationConfig,
    seed: int,
    device: torch.device | str = "cpu",
    count: int | None = None,
    share: slice = WHOLE,
) -> PatchBatch:
    """Vary drawn windows and cut them to the patch size.

    Parameters
    ----------
    batch : PatchBatch
        Windows at least `patch` pixels wide (see :meth:`AugmentationConfig.window`).
    patch : int
        Pixels of the result's sides.
    mpp : float
        Micrometres per pixel.
    config : AugmentationConfig
    seed : int
        Same seed, same result (the random numbers are drawn on the CPU).
    device : torch.device
        Where the work is done and the result stays.
    count : int, optional
        Of how many windows `batch` is a share; as many as there are if left out.
    share : slice
        Which of them. Each is varied as it would be among all of them.

    Returns
    -------
    PatchBatch
        Images as float in 0..1, labels as uint8, on `device`.
    """
    generator = torch.Generator().manual_seed(seed)
    count, window = count or len(batch.classes), batch.labels.shape[-1]
    grid = _sampling_grid(count, patch, window, mpp, config, generator, share).to(device)
    images = batch.images.to(device).float() / 255
    labels = batch.labels.to(device).float().unsqueeze(1)
    moved = functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    marked = functional.grid_sample(
        labels, grid, mode="nearest", padding_mode="reflection", align_corners=False
    )
    if config.stain or config.brightness:
        moved = vary_stain(moved, config, generator, count, share)
    if config.noise:
        noise = torch.randn((count, *moved.shape[1:]), generator=generator)[share].to(device)
        moved = moved + config.noise * torch.rand(1, generator=generator).to(device) * noise
    return PatchBatch(
        moved.clamp(0, 1),
        marked.squeeze(1).round().to(torch.uint8),
        batch.classes.to(device),
        batch.samples,
    )
