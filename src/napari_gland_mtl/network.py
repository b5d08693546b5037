"""The encoder-decoder of the paper's Fig. 1, with one head per task.

The encoder is a stack of 3x3 convolution - ReLU - batch normalisation blocks and 2x2 max
pooling that rounds sizes up (250 -> 125 -> 63 -> 32 -> 16). Class activations come from its
last layer, averaged over the image. The decoder narrows with a 1x1 convolution, up-samples by
two, crops to the skip connection, joins it and goes on with 3x3 blocks; region activations
come from its last layer. It is fully convolutional: any image size works. The published text
does not give the widths, so they are a setting, and :func:`build_network` alone knows them.
Two more heads, where asked for, say how uncertain each loss is of an image and of a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor, nn

from .errors import InvalidInputError
from .regions import GLAND_REGIONS, RegionHierarchy


class NetworkConfig(BaseModel):
    """Everything that :func:`build_network` needs; stored in every checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    regions: RegionHierarchy = GLAND_REGIONS
    classes: tuple[str, ...] = Field(default=("benign", "malignant"), min_length=2)
    widths: tuple[PositiveInt, ...] = Field(
        default=(16, 32, 64, 128, 256),
        min_length=2,
        description="Channels of each encoder level, from full resolution down.",
    )
    encoder_blocks: int = Field(default=2, ge=1, description="3x3 blocks per encoder level.")
    decoder_blocks: int = Field(default=1, ge=1, description="3x3 blocks per decoder level.")
    class_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Dropout before the class activations."
    )
    dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Dropout of the coarsest encoder level's features on their way to the decoder.",
    )
    uncertainty: tuple[str, ...] = Field(
        default=(), description="Losses of which the network predicts log sigma^2 per image."
    )
    pixel_uncertainty: bool = Field(
        default=False, description="Whether it predicts that of the segmentation per pixel, too."
    )
    image_mean: tuple[float, float, float] = Field(
        default=(0.78, 0.55, 0.76), description="Subtracted from RGB in 0..1."
    )
    image_std: tuple[float, float, float] = Field(
        default=(0.17, 0.24, 0.17), description="RGB in 0..1 is divided by it."
    )


class NetworkOutput(NamedTuple):
    """What the network says of a batch of N images of H x W pixels.

    Attributes
    ----------
    class_logits : Tensor, (N, K)
        ``f_c``: the mean of `class_map` over the image.
    region_logits : Tensor, (N, L, H, W)
        ``f_s``: one activation per region and pixel.
    class_map : Tensor, (N, K, ceil(H / stride), ceil(W / stride))
        The class activations before averaging, so that the mean over any part of a slide can
        be had from its tiles.
    log_vars : Tensor, (N, n), or None
        What is added for each image to the log sigma^2 of the losses in
        ``NetworkConfig.uncertainty``; in training mode only.
    log_var_map : Tensor, (N, 1, H, W), or None
        What is added for each pixel to that of the segmentation; in training mode only.
    """

    class_logits: Tensor
    region_logits: Tensor
    class_map: Tensor
    log_vars: Tensor | None = None
    log_var_map: Tensor | None = None


def _block(channels_in: int, channels_out: int) -> nn.Sequential:
    """3x3 convolution - ReLU - batch normalisation, in the paper's order."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(channels_out),
    )


def _blocks(channels_in: int, channels_out: int, count: int) -> nn.Sequential:
    first = _block(channels_in, channels_out)
    return nn.Sequential(first, *(_block(channels_out, channels_out) for _ in range(count - 1)))


class Encoder(nn.Module):
    """Blocks and pooling; returns the features of every level, finest first."""

    def __init__(self, widths: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            _blocks(before, width, blocks) for before, width in pairwise((3, *widths))
        )
        self.pool = nn.MaxPool2d(kernel_size=2, ceil_mode=True)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map (N, 3, H, W) to one (N, width, ceil(H / 2^i), ceil(W / 2^i)) per level."""
        features: list[Tensor] = []
        for level in self.levels:
            images = level(self.pool(features[-1]) if features else images)
            features.append(images)
        return features


class DecoderLevel(nn.Module):
    """1x1 convolution, twofold up-sampling, crop to the skip connection, join, 3x3 blocks."""

    def __init__(self, width_below: int, width: int, blocks: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(width_below, width, kernel_size=1)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.blocks = _blocks(2 * width, width, blocks)

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """Join the level below with `skip`; the result has the size of `skip`."""
        risen = self.up(self.narrow(below))[..., : skip.shape[-2], : skip.shape[-1]]
        joined: Tensor = self.blocks(torch.cat([risen, skip], dim=1))
        return joined


class GlandNetwork(nn.Module):
    """One encoder, one decoder, a class head and a region head (Fig. 1)."""

    uncertainty_head: nn.Linear | None
    pixel_uncertainty_head: nn.Conv2d | None

    def __init__(
        self,
        config: NetworkConfig,
        encoder: Encoder,
        decoder: nn.ModuleList,
        class_head: nn.Module,
        region_head: nn.Module,
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        self.decoder = decoder
        self.class_head = class_head
        self.region_head = region_head
        self.deep_dropout = nn.Dropout2d(config.dropout) if config.dropout else nn.Identity()
        self.register_module("uncertainty_head", None)
        self.register_module("pixel_uncertainty_head", None)
        shape = (1, 3, 1, 1)
        self.register_buffer("mean", torch.tensor(config.image_mean).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(config.image_std).view(shape), persistent=False)

    @property
    def stride(self) -> int:
        """Pixels per pixel of the coarsest level."""
        return 1 << (len(self.config.widths) - 1)

    @property
    def receptive_radius(self) -> int:
        """Pixels beyond which nothing influences an output pixel, in any direction.

        A 3x3 convolution at level i reaches 2^i further, and the pixel of the coarsest level
        above an output pixel covers up to ``stride - 1`` pixels to one side of it.
        """
        scales = [1 << level for level in range(len(self.config.widths))]
        encoder = self.config.encoder_blocks * sum(scales)
        decoder = self.config.decoder_blocks * sum(scales[:-1])
        return encoder + decoder + self.stride - 1

    def normalise(self, images: Tensor) -> Tensor:
        """Bring uint8 (0..255) or floating (0..1) RGB to the scale the network works in."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise InvalidInputError(
                f"The network takes RGB batches of shape (N, 3, H, W), got {tuple(images.shape)}."
            )
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        if images.dtype == torch.uint8:
            images = images.to(mean.dtype) / 255
        elif not images.is_floating_point():
            raise InvalidInputError(
                f"The network takes uint8 (0..255) or floating (0..1) images, got {images.dtype}. "
                "Scale the values to one of them."
            )
        return (images.to(mean.dtype) - mean) / std

    def forward(self, images: Tensor) -> NetworkOutput:
        """Map RGB images (N, 3, H, W), uint8 or floating in 0..1, to both heads' activations."""
        features = self.encoder(self.normalise(images))
        class_map = self.class_head(features[-1])
        pixels = self.deep_dropout(features[-1])
        for level, skip in zip(self.decoder, reversed(features[:-1]), strict=True):
            pixels = level(pixels, skip)
        return NetworkOutput(
            class_map.mean(dim=(2, 3)),
            self.region_head(pixels),
            class_map,
            *self._log_vars(features[-1], pixels),
        )

    def _log_vars(self, deepest: Tensor, pixels: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """What the heads for uncertainty say; they teach, and cost nothing afterwards."""
        image, pixel = self.uncertainty_head, self.pixel_uncertainty_head
        if not self.training:
            return None, None
        per_image = None if image is None else image(deepest.mean(dim=(2, 3)))
        return per_image, None if pixel is None else pixel(pixels)


def build_network(config: NetworkConfig | None = None) -> GlandNetwork:
    """Build the network of Fig. 1 with freshly initialised weights.

    Parameters
    ----------
    config : NetworkConfig, optional
        Widths, regions and classes; the defaults if left out.

    Examples
    --------
    >>> network = build_network(NetworkConfig(widths=(4, 8, 8, 8, 8)))
    >>> network(torch.zeros(1, 3, 250, 250)).region_logits.shape
    torch.Size([1, 3, 250, 250])
    """
    config = config or NetworkConfig()
    widths = config.widths
    decoder = nn.ModuleList(
        DecoderLevel(below, width, config.decoder_blocks)
        for below, width in pairwise(reversed(widths))
    )
    class_conv = nn.Conv2d(widths[-1], len(config.classes), kernel_size=1)
    class_head = nn.Sequential(nn.Dropout2d(config.class_dropout), class_conv)
    region_head = nn.Conv2d(widths[0], len(config.regions), kernel_size=1)
    network = GlandNetwork(
        config, Encoder(widths, config.encoder_blocks), decoder, class_head, region_head
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    # Heads start near zero, so that no loss starts far above the entropy of a coin toss.
    for head in (class_conv, region_head):
        nn.init.normal_(head.weight, std=0.01)
    add_uncertainty(network, config.uncertainty, config.pixel_uncertainty)
    return network


def add_uncertainty(network: GlandNetwork, names: Sequence[str], pixels: bool = False) -> None:
    """Give a network the heads that predict log sigma^2 of the named losses, in place.

    What it predicts already stays; what is new is 0 for every image at first. The heads have no
    bias: how uncertain a loss is on the whole is for the weighting to learn.

    Parameters
    ----------
    network : GlandNetwork
        Its configuration is changed, too.
    names : sequence of str
    pixels : bool
        Also per pixel, for the segmentation.
    """
    before, widths = network.uncertainty_head, network.config.widths
    known = () if before is None else network.config.uncertainty
    wanted = (*known, *(name for name in names if name not in known))
    place = next(network.parameters())
    # What is drawn at random afterwards stays the same: the heads begin at 0 anyhow.
    with torch.random.fork_rng(devices=[]):
        head = nn.Linear(widths[-1], max(len(wanted), 1), bias=False).to(place)
        pixel_head = nn.Conv2d(widths[0], 1, kernel_size=1, bias=False).to(place)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(pixel_head.weight)
    if before is not None:
        head.weight.data[: len(known)] = before.weight.data
    if wanted != known:
        network.uncertainty_head = head
    if pixels and network.pixel_uncertainty_head is None:
        network.pixel_uncertainty_head = pixel_head
    network.config = network.config.model_copy(
        update={
            "uncertainty": wanted,
            "pixel_uncertainty": network.pixel_uncertainty_head is not None,
        }
    )
