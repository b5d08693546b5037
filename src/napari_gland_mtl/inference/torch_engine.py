"""PyTorch as the engine: any device, channels last, half precision where it is asked for.

An engine takes pixels as they are read and gives probabilities, so that normalisation and
softmax happen where the network runs. It works on a copy of the network: the one that it is
given may be in training, whose layout, type and device are not to be touched.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import cast

import torch
from torch import Tensor, nn

from ..losses.region_probabilities import log_assignment_probabilities
from ..network import GlandNetwork, NetworkOutput
from .dropout import fix_dropout

HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""Number types of autocast, by name."""


class AssignmentNetwork(nn.Module):
    """A network from pixels as they are read to probabilities.

    Parameters
    ----------
    network : GlandNetwork
        Copied; the copy is set to evaluation and has no gradients.
    """

    def __init__(self, network: GlandNetwork) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.hierarchy = network.config.regions

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 RGB (N, H, W, 3) to what is kept of it.

        Returns
        -------
        probabilities : Tensor of float32, (N, A, H, W)
            Of the valid assignments, in the order of the region codes.
        class_map : Tensor of float32, (N, K, ceil(H / stride), ceil(W / stride))
            Class activations.
        """
        output = self.answer(images.permute(0, 3, 1, 2))
        # Channels-last logits would make every step of the softmax a strided one.
        logits = output.region_logits.contiguous()
        log_p = log_assignment_probabilities(logits, self.hierarchy)
        return log_p.exp(), output.class_map.float()

    def answer(self, images: Tensor) -> NetworkOutput:
        """What the network itself says of (N, 3, H, W)."""
        return cast(NetworkOutput, self.network(images))


class TorchEngine:
    """Runs a network with PyTorch.

    Parameters
    ----------
    network : GlandNetwork
        Copied, and left as it is.
    device : torch.device or str
    precision : str
        ``float32``, or ``bfloat16`` or ``float16`` by autocast.
    compiled : bool
        Let ``torch.compile`` fuse the network for the sizes that come. Needs a C++ compiler (on
        a GPU Triton) and about a minute for each size.
    dropout : bool
        Make the network's dropout ready to be switched on by `thin`.

    Attributes
    ----------
    device : torch.device
    precision : str
        May be set anew at any time.
    """

    name = "torch"

    def __init__(
        self,
        network: GlandNetwork,
        device: torch.device | str = "cpu",
        precision: str = "float32",
        compiled: bool = False,
        dropout: bool = False,
    ) -> None:
        self.device = torch.device(device)
        self.precision = precision
        module = AssignmentNetwork(network).to(self.device)
        self._dropouts = fix_dropout(module) if dropout else []
        # Channels last, as the pixels come, is what makes convolutions fast; on Apple's GPUs
        # it is known for wrong results.
        self._channels_last = self.device.type != "mps"
        if self._channels_last:
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if compiled:
            module.compile(dynamic=False)
        self._module = module

    def thin(self, sample: int | None) -> None:
        """Switch dropout on, as the thinned network of a number, or off (None)."""
        for dropout in self._dropouts:
            dropout.sample = sample

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities and class map of uint8 RGB (N, H, W, 3) on the device."""
        if not self._channels_last:
            images = images.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
        half = HALF.get(self.precision)
        with torch.autocast(self.device.type, half) if half else nullcontext():
            answer: tuple[Tensor, Tensor] = self._module(images)
        return answer
