"""Tells every list of models when a model comes, goes or is replaced.

Models are files in a folder: those of this window, of another one and of the command line are
seen alike. A folder that does not exist yet is awaited through the nearest one that does.
"""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QFileSystemWatcher, QObject, QTimer, Signal

SETTLE_MS = 150
"""A file that is written changes its folder several times."""


class ModelFolders(QObject):
    """Follows the folders that named models are looked for in.

    Attributes
    ----------
    changed : Signal
        Something in them is another than before.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._watcher = QFileSystemWatcher(self)
        self._watcher.directoryChanged.connect(self._on_changed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.timeout.connect(self._announce)
        self.follow()

    def follow(self) -> None:
        """Watch the folders there are now."""
        from ..checkpoint import model_folders

        wanted = {str(_existing(folder)) for folder in model_folders()}
        watched = set(self._watcher.directories())
        if wanted - watched:
            self._watcher.addPaths(sorted(wanted - watched))
        if watched - wanted:
            self._watcher.removePaths(sorted(watched - wanted))

    def _on_changed(self, *_: object) -> None:
        self._timer.start()

    def _announce(self) -> None:
        self.follow()
        self.changed.emit()


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next((place for place in (folder, *folder.parents) if place.is_dir()), Path.home())
