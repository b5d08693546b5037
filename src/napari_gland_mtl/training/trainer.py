"""Train a network with several losses; resumable, stoppable, and told in events.

The trainer knows patches, losses and optimisers, and nothing of data sets or windows: patches
come from a :class:`~napari_gland_mtl.datasets.patches.PatchSource`, validation measures from a
function. A resumed run gives the same weights as an uninterrupted one on the same machine.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn, Protocol

import torch
from torch import Tensor, nn

from ..checkpoint import ModelCard, save_model
from ..datasets.augmentation import augment
from ..datasets.patches import PatchBatch, PatchSource
from ..errors import CheckpointError, InvalidInputError, NonFiniteLossError
from ..losses.objective import batch_losses
from ..losses.terms import BatchLosses
from ..network import GlandNetwork, NetworkOutput, add_uncertainty
from .config import TrainingConfig, build_weighting
from .guard import Blend, freeze, set_training
from .history import EPOCHS_FILE, IMAGES_FILE, STEPS_FILE, HistoryWriter
from .image_table import add_patches, as_matrix, image_rows
from .micro_batches import Passes, is_out_of_memory, out_of_memory_words
from .optimizers import build_optimizers, learning_rate, set_learning_rate
from .parallel import Alone
from .precision import bfloat16_pays
from .progress import EpochFinished, StepFinished, TrainingFinished, TrainingNotice
from .state import STATE_FILE, Progress, load_state, read_progress, save_state, update_average
from .watch import CollapseWatch

TrainingEvent = StepFinished | EpochFinished | TrainingNotice | TrainingFinished
Validate = Callable[[GlandNetwork], dict[str, float]]

BEST_FILE = "best.safetensors"
LAST_FILE = "last.safetensors"
NOTICES_FILE = "notices.txt"
SCORE = "score"

# A resumed run may go on for longer or elsewhere; anything else would be another training.
MAY_CHANGE = frozenset({"epochs", "device", "devices"})


class Stop(Protocol):
    """Asked between steps whether to end."""

    @property
    def stopped(self) -> bool:
        """Whether the user wants the training to end."""


class _Never:
    stopped = False


@dataclass
class Trainer:
    """The moving parts of one training; :meth:`run` moves them.

    Parameters
    ----------
    config : TrainingConfig
    network : GlandNetwork
        Freshly built, or the one to go on from.
    source : PatchSource
        Training images at ``config.mpp``.
    card : ModelCard
        Template of the cards written; measures and log-variances are filled in.
    folder : path
        The run folder; exists.
    validate : callable, optional
        Measures of a network in evaluation mode after each epoch; the largest ``score``
        decides which weights are best. Without it the last are.
    replicas : Alone
        This process among those that train together; the leading one calls :meth:`run`, the
        others :meth:`follow`.
    """

    config: TrainingConfig
    network: GlandNetwork
    source: PatchSource
    card: ModelCard
    folder: Path
    validate: Validate | None = None
    progress: Progress = field(default_factory=Progress)
    replicas: Alone = field(default_factory=Alone)

    def __post_init__(self) -> None:
        config = self.config
        if config.by_instance:
            add_uncertainty(self.network, config.losses, config.weighting == "instance_pixel")
            described = self.network.config.model_dump(mode="json")
            self.card = self.card.model_copy(update={"network": described})
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
        self.watch = CollapseWatch()
        self.progress.config = config.model_dump_json()
        self.progress.bfloat16 = self.half
        self._kept_step: int | None = None

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

    def resume(self) -> None:
        """Go on from the run folder's state file.

        Raises
        ------
        CheckpointError
            If it is damaged or belongs to other settings.
        """
        path = self.folder / STATE_FILE
        self._refuse_other_settings(path, read_progress(path).config)
        progress = load_state(path, self.modules, self.optimizers)
        if progress.bfloat16 is not None and self.config.precision == "auto":
            # The probe goes by the clock and may come out differently every time.
            self.half = progress.bfloat16
        self.passes.at_once = progress.at_once
        progress.config, progress.bfloat16 = self.progress.config, self.half
        self.progress, self._kept_step = progress, progress.step
        self.weighting.constrain(progress.step)

    def _refuse_other_settings(self, path: Path, saved: str) -> None:
        before, now = json.loads(saved), json.loads(self.progress.config)
        changed = [
            f"{name} ({before[name]}, now {now[name]})"
            for name in now
            if name in before and name not in MAY_CHANGE and before[name] != now[name]
        ]
        if changed:
            raise CheckpointError(
                f"{path} cannot be resumed from: it was trained with another "
                f"{', '.join(changed)}. Give the same settings, or start a new run folder."
            )

    def run(self, stop: Stop | None = None) -> Iterator[TrainingEvent]:
        """Train to the configured number of epochs, or until stopped.

        Yields
        ------
        StepFinished, EpochFinished, TrainingNotice, TrainingFinished

        Raises
        ------
        NonFiniteLossError
            The state of the last epoch's end is in the run folder.
        """
        stop = stop or _Never()
        first, per_epoch = self.progress.step, self.config.steps_per_epoch
        if first == 0:
            # A run killed in its first epoch, too, can be resumed.
            self._save_state()
        with (
            HistoryWriter(self.folder / STEPS_FILE, "step", first) as steps,
            HistoryWriter(self.folder / EPOCHS_FILE, "epoch", first // per_epoch) as epochs,
            HistoryWriter(self.folder / IMAGES_FILE, "epoch", first // per_epoch) as images,
        ):
            tables = (steps, epochs, images)
            if self.progress.unmeasured:
                yield from self._end_epoch(tables, stop)
            for step in range(first, self.config.total_steps):
                if self.replicas.anywhere(stop.stopped):
                    break
                event = self._step(step)
                steps.write(event.row())
                yield event
                yield from self._told(f"step {event.step}", self.passes.take_notices())
                if (step + 1) % per_epoch == 0:
                    self.progress.unmeasured = event.weights
                    yield from self._end_epoch(tables, stop)
        yield self._finish()

    def _end_epoch(
        self, tables: tuple[HistoryWriter, HistoryWriter, HistoryWriter], stop: Stop
    ) -> Iterator[TrainingEvent]:
        """Measure an epoch and note it down; stopped while measuring, it is left for later."""
        finished = self._finish_epoch(stop)
        if finished is None:
            return
        _, epochs, images = tables
        epochs.write(finished.row())
        seen, self.progress.images = self.progress.images, {}
        names, losses = self.source.own_names, self.weighting.names
        images.write_all(image_rows(seen, finished.epoch, names, losses))
        for table in tables:
            table.sync()
        # Last: a run killed before this line does the epoch again, rows and all.
        self._save_state()
        yield finished
        noticed = self.watch.notices(finished.measures, self.weighting)
        yield from self._told(f"epoch {finished.epoch}", noticed)

    def follow(self) -> None:
        """Do the same steps as the process that leads, and nothing besides.

        Raises
        ------
        NonFiniteLossError
            In every process alike.
        """
        self._kept_step = first = self.progress.step
        for step in range(first, self.config.total_steps):
            if self.replicas.anywhere(False):
                break
            self._step(step)
            if (step + 1) % self.config.steps_per_epoch == 0:
                self._kept_step = step + 1

    def _told(self, when: str, texts: list[str]) -> Iterator[TrainingNotice]:
        """The texts as events, each noted down before."""
        for text in texts:
            with (self.folder / NOTICES_FILE).open("a", encoding="utf-8") as file:
                file.write(f"{when}: {text}\n")
            yield TrainingNotice(text)

    def _finish(self) -> TrainingFinished:
        self._save(LAST_FILE, self.progress.measures)
        self._save_state()
        return TrainingFinished(
            folder=self.folder,
            best_epoch=self.progress.best_epoch,
            measures=dict(self.progress.measures),
            stopped=self.progress.step < self.config.total_steps or bool(self.progress.unmeasured),
        )

    def _step(self, step: int) -> StepFinished:
        try:
            return self._trained(step)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise InvalidInputError(
                out_of_memory_words(self.config, step + 1, self._kept_step, self.folder)
            ) from error

    def _trained(self, step: int) -> StepFinished:
        config, start = self.config, time.perf_counter()
        batch = self._batch(step)
        total, losses, images = self.passes.run(batch)
        if not torch.isfinite(total):
            self._give_up("loss", losses, step)
        weights = self.weighting.weights().detach().tolist()
        norm, rate = self._descend(losses, step)
        if batch.samples is not None:
            seen = self.replicas.gathered(as_matrix(batch.samples, images), config.batch_size)
            add_patches(self.progress.images, seen)
        self.progress.step, self.progress.at_once = step + 1, self.passes.at_once
        values = {name: float(value.detach()) for name, value in losses.items()}
        self._add_up(values)
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

    def _add_up(self, values: dict[str, float]) -> None:
        """Add the losses of a step to those of its epoch; 0 is one that nothing was shown to."""
        progress = self.progress
        sums, gaps = progress.loss_sums, progress.loss_gaps
        progress.loss_sums = {name: sums.get(name, 0.0) + values[name] for name in values}
        progress.loss_gaps = {name: gaps.get(name, 0) + (values[name] == 0) for name in values}

    def _mean_losses(self) -> dict[str, float]:
        """Of an epoch, over the steps that showed something to them; NaN if none did."""
        steps, gaps = self.config.steps_per_epoch, self.progress.loss_gaps
        shown = {name: steps - gaps.get(name, 0) for name in self.progress.loss_sums}
        return {
            name: total / shown[name] if shown[name] else math.nan
            for name, total in self.progress.loss_sums.items()
        }

    def _descend(self, losses: dict[str, Tensor], step: int) -> tuple[float, float]:
        """Follow the gradients one step; returns their norm and the learning rate."""
        rate = learning_rate(self.config, step)
        optimizer = self.optimizers[step % len(self.optimizers)]
        set_learning_rate(optimizer, rate)
        most = self.config.clip_norm or math.inf
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), most))
        if not math.isfinite(norm):
            self._give_up("gradient", losses, step)
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

    def _give_up(self, what: str, losses: dict[str, Tensor], step: int) -> NoReturn:
        # Nothing is saved here: this step's batch statistics are in the network already, and
        # the steps before it may have been on their way to infinity.
        values = ", ".join(f"{name} {float(value.detach()):g}" for name, value in losses.items())
        raise NonFiniteLossError(
            f"The {what} is no longer a finite number at step {step + 1} ({values}). The state "
            f"after step {self._kept_step} is kept in {self.folder}. Lower the learning rate "
            f"(now {learning_rate(self.config, step):g}) or set a gradient limit, and train again."
        )

    def _finish_epoch(self, stop: Stop) -> EpochFinished | None:
        """The epoch that the last step has ended; None if its measuring was stopped."""
        progress = self.progress
        epoch = progress.step // self.config.steps_per_epoch
        measures = self._measures(epoch)
        if self._is_due(epoch) and not measures and stop.stopped:
            return None
        means = self._mean_losses()
        weights, progress.unmeasured = progress.unmeasured, {}
        progress.loss_sums, progress.loss_gaps, progress.measures = {}, {}, measures
        return EpochFinished(
            epoch=epoch,
            epochs=self.config.epochs,
            losses=means,
            weights=weights,
            log_vars=self.weighting.log_vars(),
            measures=measures,
            best=self._keep_if_best(epoch, measures),
        )

    def _is_due(self, epoch: int) -> bool:
        """Whether there is something to measure: after the first, every n-th, and the last."""
        due = (epoch - 1) % self.config.validate_every == 0 or epoch == self.config.epochs
        return due and self.validate is not None

    def _measures(self, epoch: int) -> dict[str, float]:
        """Validation measures, where they are due."""
        if self.validate is None or not self._is_due(epoch):
            return {}
        result = self.result.eval()
        return {name: float(value) for name, value in self.validate(result).items()}

    def _keep_if_best(self, epoch: int, measures: dict[str, float]) -> bool:
        # Without validation the newest weights are the best; with it, only measured ones can be.
        score = float(epoch) if self.validate is None else measures.get(SCORE, -math.inf)
        best = score > self.progress.best_score
        if best:
            self.progress.best_score, self.progress.best_epoch = score, epoch
            self._save(BEST_FILE, measures)
        return best

    def _save(self, name: str, measures: dict[str, float]) -> None:
        card = self.card.model_copy(
            update={
                "measures": {**self.card.measures, **measures},
                "log_vars": self.weighting.log_vars(),
            }
        )
        save_model(self.folder / name, self.result, card)

    def _save_state(self) -> None:
        save_state(self.folder / STATE_FILE, self.modules, self.optimizers, self.progress)
        self._kept_step = self.progress.step
