"""Train a network with several losses; resumable, stoppable, and told in events.

The trainer knows patches, losses and optimisers, and nothing of data sets or windows: patches
come from a :class:`~napari_gland_mtl.datasets.patches.PatchSource`, validation measures from a
function. A resumed run gives the same weights as an uninterrupted one on the same machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..checkpoint import ModelCard, save_model
from ..errors import InvalidInputError, NonFiniteLossError
from ..network import GlandNetwork
from .epoch_means import take_means
from .history import EPOCHS_FILE, IMAGES_FILE, STEPS_FILE, HistoryWriter
from .image_table import image_rows
from .learner import Learner, NotFiniteError
from .micro_batches import is_out_of_memory, out_of_memory_words
from .optimizers import learning_rate
from .progress import EpochFinished, StepFinished, TrainingFinished, TrainingNotice
from .same_settings import refuse_other_settings
from .state import STATE_FILE, load_state, read_progress, save_state
from .watch import CollapseWatch

TrainingEvent = StepFinished | EpochFinished | TrainingNotice | TrainingFinished
Validate = Callable[[GlandNetwork], dict[str, float]]

BEST_FILE = "best.safetensors"
LAST_FILE = "last.safetensors"
NOTICES_FILE = "notices.txt"
SCORE = "score"


class Stop(Protocol):
    """Asked between steps whether to end."""

    @property
    def stopped(self) -> bool:
        """Whether the user wants the training to end."""


class _Never:
    stopped = False


@dataclass
class Trainer(Learner):
    """A training from its first step to its last; :meth:`run` carries it out.

    Parameters
    ----------
    config, network, source, progress, replicas
        See `Learner`. The leading one of the replicas calls :meth:`run`, the others
        :meth:`follow`.
    card : ModelCard
        Template of the cards written; measures and log-variances are filled in.
    folder : path
        The run folder; exists.
    validate : callable, optional
        Measures of a network in evaluation mode after each epoch; the largest ``score``
        decides which weights are best. Without it the last are.
    """

    card: ModelCard
    folder: Path
    validate: Validate | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.config.by_instance:
            described = self.network.config.model_dump(mode="json")
            self.card = self.card.model_copy(update={"network": described})
        self.watch = CollapseWatch()
        self._kept_step: int | None = None

    def resume(self) -> None:
        """Go on from the run folder's state file.

        Raises
        ------
        CheckpointError
            If it is damaged or belongs to other settings.
        """
        path = self.folder / STATE_FILE
        refuse_other_settings(path, read_progress(path).config, self.progress.config)
        progress = load_state(path, self.modules, self.optimizers)
        if progress.bfloat16 is not None and self.config.precision == "auto":
            # The probe goes by the clock and may come out differently every time.
            self.half = progress.bfloat16
        self.passes.at_once = progress.at_once
        progress.config, progress.bfloat16 = self.progress.config, self.half
        self.progress, self._kept_step = progress, progress.step
        self.watch = CollapseWatch(progress.said)
        self.weighting.constrain(progress.step)

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
                yield from self._noted(f"step {event.step}", self.passes.take_notices())
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
        noticed = self.watch.notices(finished.measures, self.weighting)
        self.progress.said = self.watch.said
        # In the file before the state says that it was said, or a run killed in between loses it.
        notices = self._noted(f"epoch {finished.epoch}", noticed)
        # Last: a run killed before this line does the epoch again, rows and all.
        self._save_state()
        yield finished
        yield from notices

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

    def _noted(self, when: str, texts: list[str]) -> list[TrainingNotice]:
        """The texts as events, noted down in the run folder."""
        if texts:
            with (self.folder / NOTICES_FILE).open("a", encoding="utf-8") as file:
                file.writelines(f"{when}: {text}\n" for text in texts)
        return [TrainingNotice(text) for text in texts]

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
            return self.learn(step)
        except NotFiniteError as error:
            # Nothing is saved here: this step's batch statistics are in the network already, and
            # the steps before it may have been on their way to infinity.
            raise NonFiniteLossError(
                f"The {error.what} is no longer a finite number at step {step + 1} "
                f"({error.values}). The state after step {self._kept_step} is kept in "
                f"{self.folder}. Lower the learning rate (now "
                f"{learning_rate(self.config, step):g}) or set a gradient limit, and train again."
            ) from None
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise InvalidInputError(
                out_of_memory_words(self.config, step + 1, self._kept_step, self.folder)
            ) from error

    def _finish_epoch(self, stop: Stop) -> EpochFinished | None:
        """The epoch that the last step has ended; None if its measuring was stopped."""
        progress = self.progress
        epoch = progress.step // self.config.steps_per_epoch
        measures = self._measures(epoch)
        if self._is_due(epoch) and not measures and stop.stopped:
            return None
        means = take_means(progress, self.config.steps_per_epoch)
        weights, progress.unmeasured, progress.measures = progress.unmeasured, {}, measures
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
