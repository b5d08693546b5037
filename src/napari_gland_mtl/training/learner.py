"""One optimiser step after the other: patches, losses, weights, gradients.

The learner knows nothing of epochs, files or who watches. Everything random in a step depends on
the seed and the step's number alone, and every process that trains along does the same steps.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import KW_ONLY, dataclass, field, replace

import torch
from torch import Tensor, nn

from ..datasets.augmentation import augment
from ..datasets.patches import PatchBatch, PatchSource
from ..losses.objective import batch_losses
from ..losses.terms import BatchLosses, ImageNumbers
from ..network import GlandNetwork, NetworkOutput, add_uncertainty
from .config import TrainingConfig, build_weighting
from .epoch_means import add_step
from .guard import Blend, freeze, set_training
from .image_table import add_patches, as_matrix
from .micro_batches import Passes
from .optimizers import build_optimizers, learning_rate, set_learning_rate
from .parallel import Alone
from .precision import bfloat16_pays
from .progress import StepFinished
from .state import Progress, update_average


class NotFiniteError(ArithmeticError):
    """The loss or the gradient of a step is no finite number; the trainer says so in words."""

    def __init__(self, what: str, losses: dict[str, Tensor]) -> None:
        values = ", ".join(f"{name} {float(value.detach()):g}" for name, value in losses.items())
        super().__init__(values)
        self.what, self.values = what, values


@dataclass
class Learner:
    """The moving parts of one training; :meth:`learn` moves them by a step.

    Parameters
    ----------
    config : TrainingConfig
    network : GlandNetwork
        Freshly built, or the one to go on from.
    source : PatchSource
        Training images at ``config.mpp``.
    progress : Progress
        Where the training stands.
    replicas : Alone
        This process among those that train together.
    """

    config: TrainingConfig
    network: GlandNetwork
    source: PatchSource
    _: KW_ONLY
    progress: Progress = field(default_factory=Progress)
    replicas: Alone = field(default_factory=Alone)

    def __post_init__(self) -> None:
        config = self.config
        if config.by_instance:
            add_uncertainty(self.network, config.losses, config.weighting == "instance_pixel")
        self.device = self.replicas.device(config.device)
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        self.network.to(self.device, memory_format=layout)  # type: ignore[call-overload]
        freeze(self.network, config)
        # Before a saved state is loaded: what the network is now is what it began as.
        self.blend = Blend(self.network, config.keep) if config.keep else None
        self.average = copy.deepcopy(self.network) if config.average_decay else None
        self.weighting = build_weighting(config).to(self.device)
        self.optimizers = build_optimizers(config, self.network, self.weighting)
        auto = config.precision == "auto"
        half = bfloat16_pays(self.network, self.device) if auto else config.precision == "bfloat16"
        self.forward = self.replicas.prepare(self.network, config)
        # The probe goes by the clock and may come out differently in every process.
        self.half = self.replicas.anywhere(self.replicas.leads and half)
        divisible = config.devices == 1 and not config.multi_objective
        self.passes = Passes(
            self.network, self.weighting, self._losses, config.batch_size, divisible
        )
        self.progress.config = config.model_dump_json()
        self.progress.bfloat16 = self.half

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What the state file holds, by prefix."""
        modules = {"network": self.network, "weighting": self.weighting}
        return modules if self.average is None else modules | {"average": self.average}

    @property
    def result(self) -> GlandNetwork:
        """The network to validate and to keep.

        The running average where there is one, mixed with the start model where that is asked
        for.
        """
        learned = self.network if self.average is None else self.average
        return learned if self.blend is None else self.blend.of(learned)

    def learn(self, step: int) -> StepFinished:
        """Do one step.

        Parameters
        ----------
        step : int
            Steps done before.

        Raises
        ------
        NotFiniteError
            In every process alike. The batch statistics of the step are in the network already.
        """
        config, start = self.config, time.perf_counter()
        batch = self._batch(step)
        total, losses, images = self.passes.run(batch)
        if not torch.isfinite(total):
            raise NotFiniteError("loss", losses)
        weights = self.weighting.weights().detach().tolist()
        norm, rate = self._descend(losses, step)
        self.progress.step, self.progress.at_once = step + 1, self.passes.at_once
        values = {name: float(value.detach()) for name, value in losses.items()}
        self._note(batch, images, values)
        return StepFinished(
            step=step + 1,
            total_steps=config.total_steps,
            epoch=step // config.steps_per_epoch + 1,
            losses=values,
            weights=dict(zip(self.weighting.names, weights, strict=True)),
            log_vars=self.weighting.log_vars(),
            total=float(total.detach()),
            learning_rate=rate,
            gradient_norm=norm,
            seconds=time.perf_counter() - start,
        )

    def _note(self, batch: PatchBatch, images: ImageNumbers, losses: dict[str, float]) -> None:
        """Add the numbers of a step to those of its epoch and of its images."""
        size = self.config.batch_size
        counted = self.replicas.gathered(images.counts.to(images.sums), size).sum(dim=0)
        counts = dict(zip(self.weighting.names, counted.tolist(), strict=True))
        add_step(self.progress, losses, counts)
        if batch.samples is not None:
            seen = self.replicas.gathered(as_matrix(batch.samples, images), size)
            add_patches(self.progress.images, seen)

    def _descend(self, losses: dict[str, Tensor], step: int) -> tuple[float, float]:
        """Follow the gradients one step; returns their norm and the learning rate."""
        rate = learning_rate(self.config, step)
        optimizer = self.optimizers[step % len(self.optimizers)]
        set_learning_rate(optimizer, rate)
        most = self.config.clip_norm or math.inf
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), most))
        if not math.isfinite(norm):
            raise NotFiniteError("gradient", losses)
        optimizer.step()
        self.weighting.constrain(step + 1)
        if self.average is not None:
            # A young average forgets faster, or it would hold on to the random start.
            decay = min(self.config.average_decay, (1 + step) / (10 + step))
            update_average(self.average, self.network, decay)
        return norm, rate

    def _batch(self, step: int) -> PatchBatch:
        """The share of this process in the patches of a step, on its device."""
        config = self.config
        window = config.augmentation.window(config.patch_size)
        share = self.replicas.share(config.batch_size)
        drawn = self.source.draw(config.batch_size, window, config.seed, step, share)
        return augment(
            drawn,
            config.patch_size,
            config.mpp,
            config.augmentation,
            self._seed_of(step),
            self.device,
            config.batch_size,
            share,
        )

    def _seed_of(self, step: int) -> int:
        return self.config.seed * 1_000_003 + step

    def _losses(self, batch: PatchBatch) -> BatchLosses:
        """Losses of some patches of the present step, in training mode."""
        config = self.config
        set_training(self.network, config)
        images = batch.images
        if config.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with (
            # Dropout, too, depends on the step alone, and nobody else's random numbers change.
            torch.random.fork_rng(devices=[]),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.half),
        ):
            torch.manual_seed(self._seed_of(self.progress.step))
            output = self.forward(images)
        losses = batch_losses(
            self._said(output),
            batch.labels,
            batch.classes,
            self.network.config.regions,
            config.losses,
            config.geometry_probability,
            self.network.config.uncertainty,
        )
        return replace(losses, means=self.replicas.joined(losses.means, batch))

    def _said(self, output: NetworkOutput) -> NetworkOutput:
        """The output without uncertainties that the start model predicts and nobody asks for."""
        log_vars = output.log_vars if self.config.by_instance else None
        by_pixel = self.config.weighting == "instance_pixel"
        return output._replace(
            log_vars=log_vars, log_var_map=output.log_var_map if by_pixel else None
        )
