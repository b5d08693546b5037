"""“Loss weights”: what the losses of a training and their learned weights do, live and afterwards.

The dock shows trainings through their files alone, so that one on the command line or in another
window is seen as well. A thread reads (`_loss_follow`), the panels are drawn piece by piece
(`_loss_panels`), and words say what is seen. A second view lists the training images
(`_loss_images`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from ..errors import GlandMTLError
from ..jobs.events import JobFailed
from ..plots import (
    FigureOptions,
    RunHistory,
    in_short,
    in_words,
    write_csv,
    write_figure,
    write_images_csv,
)
from ._error_text import error_text
from ._job_bridge import JobBridge
from ._loss_arrangement import Arrangement
from ._loss_follow import DrawingReady, RunGrew, RunsListed, RunUnreadable, Wanted, follow_job
from ._loss_image_opening import ImageOpener
from ._loss_images import ImageControls
from ._loss_legend import LossLegend
from ._loss_options import FigureForm
from ._loss_panels import LossPanels
from ._loss_runs import RunList
from ._loss_saving import KEPT, PICTURES, TABLES, FileSaver, ask_where
from ._loss_theme import figure_theme
from ._loss_values import ValueTable
from ._loss_views import ViewTabs, column
from ._message_box import MessageBox

logger = logging.getLogger(__name__)

MIN_WIDTH, PREFERRED = 280, QSize(420, 800)
NO_RUNS = (
    "There is no training yet. Start one in “Fine-tune”, or open the run folder of one that was "
    "started on the command line."
)
NOT_TICKED = "Tick a training to see it."


class LossWeightsWidget(QWidget):
    """The dock widget “Loss weights”.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Its theme is followed.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.setObjectName("loss_weights")
        self._viewer = napari_viewer
        self._histories: dict[Path, RunHistory] = {}
        self._ready = False
        self._wanted = Wanted(active=False)
        self.runs = RunList()
        self.message = MessageBox()
        self.words = self._create_words()
        self.form = FigureForm()
        self.legend = LossLegend()
        self.panels = LossPanels()
        self.values = ValueTable()
        self.values.hide()
        self.images = ImageControls()
        self._arrange()
        self._bridge = JobBridge(self)
        self.saver = FileSaver(self, self.message)
        self.opener = ImageOpener(napari_viewer, self, self.message)
        self._connect()
        self._follow_theme()
        self._show()
        self._bridge.start(follow_job(self._wanted), "gland-mtl follow")

    # ---------------------------------------------------------------- building

    def _create_words(self) -> QLabel:
        label = QLabel()
        label.setObjectName("in_words")
        label.setWordWrap(True)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        return label

    def _arrange(self) -> None:
        curves = column((self.words, self.form, self.legend))
        pages = column((self.panels, self.images.panels), spacing=0)
        self.views = ViewTabs((curves, self.panels), (self.images, self.images.panels))
        controls = (self.runs, self.message, self.views, curves, self.images)
        self.arrangement = Arrangement(controls, pages, self.values)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.arrangement, 1)
        self.setMinimumWidth(MIN_WIDTH)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """One column of panels."""
        return PREFERRED

    def _connect(self) -> None:
        for signal, slot in (
            (self.runs.chosen, self._on_chosen),
            (self.form.changed, self._show),
            (self.form.save_picture_clicked, self._ask_for_picture),
            (self.form.save_numbers_clicked, self._ask_for_table),
            (self.panels.cursor_moved, self._show_values),
            (self.panels.growth_drawn, self._on_growth_drawn),
            (self.views.switched, self._on_switched),
            (self.images.open_clicked, self.open_image),
            (self.images.save_clicked, self._ask_for_images),
            (self._bridge.event_arrived, self._on_event),
        ):
            signal.connect(slot)
        self._viewer.events.theme.connect(self._follow_theme)
        # What lives longer than this widget must not call it when it is gone. A partial is
        # held strongly, unlike a method of a widget that is being destroyed.
        self.destroyed.connect(
            partial(
                _undo,
                [
                    partial(self._viewer.events.theme.disconnect, self._follow_theme),
                    self._bridge.disconnect_application,
                    self.saver.bridge.disconnect_application,
                    self.opener.bridge.disconnect_application,
                ],
            )
        )

    # ---------------------------------------------------------------- which runs

    def show_run(self, path: Path | str) -> None:
        """Show the training in a run folder, and no other.

        Parameters
        ----------
        path : path
            It may be running, or about to start.
        """
        self.message.clear_message()
        self.runs.show_only(Path(path))

    @property
    def shown(self) -> list[RunHistory]:
        """The trainings that are shown, as far as they were read."""
        return [self._histories[path] for path in self.runs.ticked if path in self._histories]

    def options(self) -> FigureOptions:
        """How they are drawn."""
        return self.form.options()

    def _on_chosen(self) -> None:
        ticked = self.runs.ticked
        self._wanted.follow(ticked)
        self._histories = {p: run for p, run in self._histories.items() if p in ticked}
        self._show()

    def _on_event(self, event: Any) -> None:
        if isinstance(event, RunGrew):
            self._on_grew(event)
        elif isinstance(event, RunsListed):
            self.runs.show_entries(event.entries)
            self._name_runs()
            self._say()
        elif isinstance(event, DrawingReady):
            self._ready = True
            self._show()
        elif isinstance(event, RunUnreadable):
            self.runs.forget(event.path)
            self.message.show_error(event.reason)
        elif isinstance(event, JobFailed):
            if not isinstance(event.error, GlandMTLError):
                logger.error("The trainings cannot be followed", exc_info=event.error)
            self.message.show_error(error_text(event.error, KEPT))

    def _on_grew(self, event: RunGrew) -> None:
        path = event.run.path
        if path not in self.runs.ticked:
            return
        known = path in self._histories
        self._histories[path] = event.run
        self._name_runs()
        if self.views.shows_images:
            self._show_images()
        elif known:
            self.panels.grow()
        else:
            self._show()

    def _on_growth_drawn(self) -> None:
        self._say()
        if self.panels.cursor is None:
            self._show_values(None)

    def _name_runs(self) -> None:
        for path, run in self._histories.items():
            run.name = self.runs.name_of(path)

    # ---------------------------------------------------------------- showing

    def _show(self) -> None:
        """Draw and say everything anew."""
        runs = self.shown
        theme = figure_theme(self._viewer)
        self._say()
        self.legend.show_runs(runs, theme.background)
        if self._ready:
            self.panels.show_runs(runs, self.options(), theme)
        self._show_values(self.panels.cursor)
        self._show_images()

    def _show_images(self) -> None:
        if self.views.shows_images:
            self.images.show_run(self.shown, figure_theme(self._viewer), self._ready)

    def _on_switched(self) -> None:
        self._wanted.set_images(self.views.shows_images)
        self._show()

    def _say(self) -> None:
        runs = self.shown
        if len(runs) == 1:
            self.words.setText(in_words(runs[0], self.options()))
        elif runs:
            self.words.setText("\n".join(f"{run.name}: {in_short(run)}" for run in runs))
        elif not self._ready or self.runs.ticked:
            self.words.setText("Reading…")
        else:
            self.words.setText(NOT_TICKED if self.runs.list.count() else NO_RUNS)
        self.form.save.setEnabled(bool(runs))

    def _show_values(self, x: float | None) -> None:
        if self.views.shows_images:
            self.values.hide()
            return
        ground = figure_theme(self._viewer).background
        self.values.show_values(self.shown, x, self.options(), ground)

    def _follow_theme(self, *_: Any) -> None:
        theme = figure_theme(self._viewer)
        self.runs.set_color(theme.text)
        if self._ready:
            self._show()

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Follow the trainings while somebody looks."""
        super().showEvent(event)
        self._wanted.set_active(True)
        self.panels.grow()

    def hideEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Read nothing while nobody looks."""
        self._wanted.set_active(False)
        super().hideEvent(event)

    def open_image(self, name: str) -> None:
        """Show a training image with its annotation, or go on with its area."""
        if self.images.run is not None and name:
            self.opener.open_image(self.images.run.path, name)

    # ---------------------------------------------------------------- saving

    def save_picture(self, path: Path | str, overwrite: bool = False) -> None:
        """Write the figure as it is shown.

        Parameters
        ----------
        path : path
            ``.png``, ``.svg`` or ``.pdf``.
        overwrite : bool
            Replace what is there.
        """
        shown, options, theme = self.shown, self.options(), figure_theme(self._viewer)
        self.saver.save(lambda: write_figure(shown, path, options, theme, overwrite))

    def save_numbers(self, path: Path | str, overwrite: bool = False) -> None:
        """Write the numbers behind the figure as CSV."""
        shown, options = self.shown, self.options()
        self.saver.save(lambda: write_csv(shown, path, options, overwrite))

    def save_images(self, path: Path | str, overwrite: bool = False) -> None:
        """Write the table of the training images as CSV."""
        ranking = self.images.ranking
        if ranking is not None:
            self.saver.save(lambda: write_images_csv(ranking, path, overwrite))

    def _ask_for_picture(self) -> None:
        self._ask("Save the figure", PICTURES, self.save_picture)

    def _ask_for_table(self) -> None:
        self._ask("Save the numbers", TABLES, self.save_numbers)

    def _ask_for_images(self) -> None:
        self._ask("Save the table of the images", TABLES, self.save_images, "images")

    def _ask(
        self, title: str, kinds: str, save: Callable[[Path, bool], None], what: str = "losses"
    ) -> None:
        shown = self.shown[: 1 if what == "images" else 3]
        names = "-".join(run.name for run in shown)
        answer = ask_where(self, title, f"{names}-{what}", kinds)
        if answer is not None:
            save(*answer)


def _undo(connections: Sequence[Callable[[], None]], *_: Any) -> None:
    for disconnect in connections:
        disconnect()
