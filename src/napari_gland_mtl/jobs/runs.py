"""Which trainings there are: their folders, and whether each runs, has ended, or was cut off.

A training holds a lock on its run folder while it works. The system lets go of it however the
process ends, so that a killed training is told from a running one by anybody who can see the
folder. How it ended otherwise is written down. Nothing here needs torch: a window that lists the
runs opens at once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import BaseFileLock, FileLock, Timeout

from ..checkpoint import replace_file
from ..errors import GlandMTLError, OutputExistsError
from ..storage.run_files import EPOCHS_FILE, STEPS_FILE

LOCK_FILE = "run.lock"
STATUS_FILE = "status.json"
CONFIG_FILE = "config.json"
# Whoever lists the runs holds the lock for a moment, too.
PATIENCE_S = 2.0

RunState = Literal["running", "stopped", "finished", "failed", "interrupted"]
_ENDS: tuple[RunState, ...] = ("stopped", "finished", "failed")


@dataclass(frozen=True)
class RunEntry:
    """One training, as it stands.

    Attributes
    ----------
    name : str
        Of its model.
    path : Path
        The run folder.
    state : str
        ``running``, ``stopped``, ``finished``, ``failed``, or ``interrupted``: its process
        ended before it did.
    epoch, epochs : int
        Epochs done, of how many; 0 where that is not known.
    kind : str
        ``train`` or ``finetune``.
    changed : float
        When something last happened in it, seconds since 1970.
    error : str
        Why it failed.
    """

    name: str
    path: Path
    state: RunState
    epoch: int
    epochs: int
    kind: str = "train"
    changed: float = 0.0
    error: str = ""


class RunMark:
    """Notes down how a training ends; see `working_in`."""

    def __init__(self) -> None:
        self.state: RunState = "running"
        self.error = ""

    def ended(self, stopped: bool) -> None:
        """The training came to its end, or was stopped before."""
        self.state = "stopped" if stopped else "finished"


def runs_folder() -> Path:
    """Where trainings go that are given no folder.

    ``NAPARI_GLAND_MTL_RUNS`` names another one; otherwise it lies beside the models.
    """
    chosen = os.environ.get("NAPARI_GLAND_MTL_RUNS")
    if chosen:
        return Path(chosen)
    data_home = os.environ.get("XDG_DATA_HOME", "")
    user = Path(data_home) if data_home else Path.home() / ".local" / "share"
    return user / "napari-gland-mtl" / "runs"


def new_run_folder(name: str) -> Path:
    """A folder in `runs_folder` that does not exist yet, named after a model."""
    stem = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    folder, number = runs_folder() / stem, 2
    while folder.exists():
        folder, number = runs_folder() / f"{stem}-{number}", number + 1
    return folder


def list_runs(folder: Path | str | None = None) -> list[RunEntry]:
    """The trainings in a folder, the newest first.

    Parameters
    ----------
    folder : path, optional
        Of run folders; `runs_folder` if left out.
    """
    home = runs_folder() if folder is None else Path(folder)
    try:
        found = [path for path in home.iterdir() if (path / CONFIG_FILE).is_file()]
    except OSError:
        return []
    return sorted(map(run_entry, found), key=lambda entry: entry.changed, reverse=True)


def run_entry(path: Path | str) -> RunEntry:
    """What is known of one run folder, without reading weights."""
    path = Path(path)
    config, status = _json(path / CONFIG_FILE), _json(path / STATUS_FILE)
    training = config.get("training")
    epochs = training.get("epochs", 0) if isinstance(training, dict) else 0
    epoch = _last_epoch(path / EPOCHS_FILE)
    return RunEntry(
        name=str(config.get("name") or path.name),
        path=path,
        state=_state(path, status, done=0 < epochs <= epoch),
        epoch=epoch,
        epochs=epochs,
        kind=str(status.get("kind", "train")),
        changed=_changed(path),
        error=str(status.get("error", "")),
    )


def is_running(folder: Path | str) -> bool:
    """Whether a process is training in a run folder now."""
    lock = Path(folder) / LOCK_FILE
    if not lock.is_file():
        return False
    probe = FileLock(lock, thread_local=False)
    try:
        probe.acquire(timeout=0)
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False
    probe.release()
    return False


@contextmanager
def working_in(folder: Path, kind: str = "train") -> Iterator[RunMark]:
    """Hold a run folder while a training works in it, and note down how it ends.

    Parameters
    ----------
    folder : Path
        Exists.
    kind : str
        ``train`` or ``finetune``.

    Raises
    ------
    OutputExistsError
        If another process is training there.
    """
    lock = _locked(folder)
    mark = RunMark()
    try:
        _note(folder, kind, mark)
        yield mark
    except Exception as error:
        mark.state = "failed"
        mark.error = str(error) if isinstance(error, GlandMTLError) else repr(error)
        raise
    finally:
        # A full disk or a lost drive must not hide what went wrong before.
        with suppress(OSError):
            _note(folder, kind, mark)
        if lock is not None:
            lock.release()


def _locked(folder: Path) -> BaseFileLock | None:
    """The lock; None on a file system that knows none."""
    lock = FileLock(folder / LOCK_FILE, thread_local=False)
    try:
        lock.acquire(timeout=PATIENCE_S)
    except Timeout as error:
        raise OutputExistsError(
            f"Another process is training in {folder}. Wait for it, or choose another folder."
        ) from error
    except (OSError, NotImplementedError):
        return None
    return lock


def _note(folder: Path, kind: str, mark: RunMark) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    status = {"state": mark.state, "kind": kind, "at": now, "error": mark.error}
    replace_file(folder / STATUS_FILE, (json.dumps(status) + "\n").encode())


def _state(path: Path, status: dict[str, Any], done: bool) -> RunState:
    if is_running(path):
        return "running"
    for state in _ENDS:
        if status.get("state") == state:
            return state
    # Without a word about its end it was cut off, unless there was nothing left to do.
    return "finished" if done and not status else "interrupted"


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _last_epoch(path: Path) -> int:
    """The number in the first column of the last whole row."""
    with suppress(OSError, ValueError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        rows = file.read().decode("utf-8", errors="replace").split("\n")[:-1]
        return int(rows[-1].partition(",")[0]) if rows else 0
    return 0


def _changed(path: Path) -> float:
    files = (path / name for name in (STEPS_FILE, EPOCHS_FILE, STATUS_FILE, CONFIG_FILE))
    times = []
    for file in files:
        with suppress(OSError):
            times.append(file.stat().st_mtime)
    return max(times, default=0.0)
