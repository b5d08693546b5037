"""Train one network in several processes, one for each device, as if in one.

Every process knows the same batch, and draws and computes its share of it. Losses are means over
annotated pixels or over images of known class, which are spread unevenly: their sums and counts
are added up over the processes, so that each holds the losses of the whole batch. Lightning Fabric
connects the processes and averages the gradients of the network (DDP); whatever depends on the
losses alone (the learned weights, a loss that is not finite) then comes out alike everywhere.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, NoReturn

import torch
from torch import Tensor, distributed, nn

from ..datasets.patches import WHOLE, PatchBatch
from ..devices import choose_device
from ..errors import DeviceNotAvailableError, InvalidInputError, MissingExtraError
from ..losses.objective import loss_counts
from ..network import GlandNetwork, NetworkOutput
from .config import TrainingConfig
from .whole_batch import see_whole_batch, sum_over_processes

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Forward = Callable[[Tensor], NetworkOutput]

# Others wait while the first process validates, however long that takes; who starts the
# processes notices when one is gone.
PATIENCE = timedelta(days=30)


class Alone:
    """A training in one process, which shares nothing with others."""

    leads: bool = True
    """Whether this process validates, writes files and tells what happens."""

    def device(self, name: str) -> torch.device:
        """The device of this process, from the setting of that name."""
        return choose_device(name)

    def prepare(self, network: GlandNetwork, config: TrainingConfig) -> Forward:
        """Make `network`, which is on its device already, ready for training.

        Returns
        -------
        callable
            Maps the images of this process's share to the network's output.
        """
        return network

    def share(self, count: int) -> slice:
        """Which patches of a batch of `count` this process computes."""
        return WHOLE

    def joined(self, losses: dict[str, Tensor], share: PatchBatch) -> dict[str, Tensor]:
        """The losses of the whole batch, from those of this process's share."""
        return losses

    def gathered(self, rows: Tensor, count: int) -> Tensor:
        """The rows of all `count` patches of a batch, (count, k), from those of its share."""
        return rows

    def anywhere(self, flag: bool) -> bool:
        """Whether the flag is up in any of the processes."""
        return flag


class Replicas(Alone):
    """One of several processes that train together on one machine.

    Parameters
    ----------
    rank : int
        0 .. size - 1. The first one leads.
    size : int
        Number of processes.

    Notes
    -----
    The environment tells how they meet: ``LOCAL_RANK`` (the rank), ``NODE_RANK`` (0),
    ``MASTER_ADDR`` and ``MASTER_PORT``.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.leads = rank == 0
        self._device = torch.device("cpu")

    def device(self, name: str) -> torch.device:
        """The GPU with the number of this process, or the CPU."""
        self._device = torch.device("cpu") if name == "cpu" else torch.device("cuda", self.rank)
        return self._device

    def prepare(self, network: GlandNetwork, config: TrainingConfig) -> Forward:
        """Meet the other processes; see the base class."""
        on_gpu = self._device.type == "cuda"
        fabric = _fabric(self.size, on_gpu)
        see_whole_batch(network, config.batch_size, self.share(config.batch_size), on_gpu)
        for part in _without_loss(network, config.losses):
            # DDP would wait for gradients that never come.
            part.requires_grad_(False)
        forward: Forward = fabric.setup_module(network)
        return forward

    def share(self, count: int) -> slice:
        """Which patches of a batch of `count` this process computes."""
        return share_of(count, self.rank, self.size)

    def joined(self, losses: dict[str, Tensor], share: PatchBatch) -> dict[str, Tensor]:
        """The losses of the whole batch: the sums of all processes by the counts of all."""
        counts = loss_counts(share.labels, share.classes, tuple(losses))
        return joined_means(losses, counts)

    def gathered(self, rows: Tensor, count: int) -> Tensor:
        """The rows of all patches of a batch: each process has some, and 0 for the others."""
        all_rows = rows.new_zeros((count, rows.shape[1]))
        all_rows[self.share(count)] = rows
        return sum_over_processes(all_rows)

    def anywhere(self, flag: bool) -> bool:
        """Whether the flag is up in any of the processes."""
        return bool(sum_over_processes(torch.tensor(float(flag), device=self._device)) > 0)

    def leave(self) -> None:
        """Part from the other processes."""
        if distributed.is_initialized():
            distributed.destroy_process_group()


def end_process(code: int) -> NoReturn:
    """End this process without taking the interpreter down first.

    A thread of Gloo lets go of its last work, and of a Python object with it, after others know
    that the work is done, be the process group destroyed or not. If the interpreter is being
    taken down by then, the C++ runtime aborts ("terminate called without an active exception").

    Parameters
    ----------
    code : int
        What the process returns.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def share_of(count: int, rank: int, size: int) -> slice:
    """Rows of `count` that belong to one of `size` processes; shares differ by one at most.

    Examples
    --------
    >>> [share_of(5, rank, 2) for rank in (0, 1)]
    [slice(0, 3, None), slice(3, 5, None)]
    """
    each, left = divmod(count, size)
    start = rank * each + min(rank, left)
    return slice(start, start + each + (rank < left))


def joined_means(means: Mapping[str, Tensor], counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Means over all processes from each one's means and counts; differentiable.

    Parameters
    ----------
    means : mapping of str to scalar Tensor
        Over what this process has; 0 where it has nothing.
    counts : mapping of str to scalar Tensor
        How many things each is a mean over.
    """
    # In double precision, which holds the number of pixels of any batch exactly.
    number = torch.stack([counts[name] for name in means]).double()
    own = torch.stack(list(means.values())).double() * number
    totals, numbers = sum_over_processes(torch.stack([own, number])).unbind()
    values = totals / numbers.clamp(min=1)
    return {name: value.to(means[name]) for name, value in zip(means, values, strict=True)}


def _fabric(size: int, on_gpu: bool) -> Fabric:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    nccl = on_gpu and distributed.is_nccl_available()
    strategy = DDPStrategy(
        cluster_environment=LightningEnvironment(),
        process_group_backend="nccl" if nccl else "gloo",
        timeout=PATIENCE,
    )
    fabric = Fabric(accelerator="cuda" if on_gpu else "cpu", devices=size, strategy=strategy)
    fabric.launch()
    return fabric


def _without_loss(network: GlandNetwork, losses: Sequence[str]) -> list[nn.Module]:
    """Parts of the network that none of the losses looks at."""
    heads = (network.uncertainty_head, network.pixel_uncertainty_head)
    unused: list[nn.Module] = [head for head in heads if head is not None]
    if "classification" not in losses:
        return [*unused, network.class_head]
    return [*unused, network.decoder, network.region_head] if len(losses) == 1 else unused


def check_devices(config: TrainingConfig) -> None:
    """Refuse several devices where they are not to be had, before any work.

    Raises
    ------
    MissingExtraError
        If Lightning Fabric is not installed.
    DeviceNotAvailableError
        If this machine has fewer GPUs.
    InvalidInputError
        If the device is neither the CPU nor GPUs in general.
    """
    if config.devices == 1:
        return
    if config.device not in ("auto", "cpu", "cuda"):
        raise InvalidInputError(
            "Several devices are GPUs (device 'cuda') or processes on the CPU (device 'cpu'), "
            f"not {config.device!r}. CUDA_VISIBLE_DEVICES says which GPUs."
        )
    if not distributed.is_available():
        raise InvalidInputError(
            "This build of PyTorch cannot train in several processes. Set devices to 1."
        )
    if find_spec("lightning_fabric") is None:
        raise MissingExtraError(
            "Training on several devices needs Lightning Fabric: "
            "pip install 'napari-gland-mtl[multi-gpu]'."
        )
    if config.device == "cpu":
        return
    found = torch.cuda.device_count()
    if found < config.devices:
        raise DeviceNotAvailableError(
            f"{config.devices} GPUs were asked for, and this machine has {found}. Set devices to "
            f"{max(found, 1)}, or device to 'cpu' for {config.devices} processes on the CPU."
        )
