"""Carry out a training in several processes, and tell its events in this one.

The processes are plain new interpreters, which works from a script, a notebook, a thread of the
viewer and the command line alike, and takes no file of the caller in a second time. This process
takes no part: whatever happens to one of them, the others are ended here and it is said in words.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, wait
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from pickle import PicklingError
from types import TracebackType
from typing import Any, Self

from ..errors import CheckpointError, GlandMTLError, InvalidInputError, ProcessLostError
from ..training.state import STATE_FILE, read_progress
from ..training.trainer import TrainingEvent
from .events import Event, JobFailed
from .stop import StopToken
from .train_plan import TrainPlan
from .train_replica import GO_ON, PAUSE, PORT, STOP

LOOK_S = 0.2
# How long a failure may be the consequence of another process's death that is not noticed yet.
CAUSE_S = 3.0


def check_portable(plan: TrainPlan) -> bytes:
    """The plan as other processes receive it.

    Raises
    ------
    InvalidInputError
        If the data set cannot be pickled.
    """
    try:
        return bytes(ForkingPickler.dumps(plan))
    except (PicklingError, TypeError, AttributeError) as error:
        raise InvalidInputError(
            f"The data set cannot be handed to other processes ({error}). Use one that "
            "open_dataset returns, or train on one device."
        ) from error


def carry_out_together(plan: TrainPlan, stop: StopToken) -> Generator[Event | TrainingEvent]:
    """Train as planned, in one process for each device.

    Parameters
    ----------
    plan : TrainPlan
    stop : StopToken
        Passed on to the process that leads within a fifth of a second; the others wait for it.

    Yields
    ------
    Stage, Notice, StepFinished, EpochFinished, TrainingNotice, TrainingFinished
        Of the process that leads.

    Raises
    ------
    ProcessLostError
        If a process ended before its time. The state of the last epoch's end is kept.
    GlandMTLError
        What was raised in a process.
    """
    payload = check_portable(plan)
    with _Processes(plan.config.training.devices, plan.folder) as processes:
        processes.start(payload)
        yield from processes.events(stop)


@dataclass
class _Process:
    """One process, and what is known of it."""

    rank: int
    popen: subprocess.Popen[bytes]
    failed: bool = False

    def tell(self, line: str) -> None:
        """Write a line to its input; it may be gone."""
        if self.popen.stdin is not None and self.popen.poll() is None:
            try:
                self.popen.stdin.write(f"{line}\n".encode())
                self.popen.stdin.flush()
            except OSError:
                return  # its end is noticed elsewhere


class _Processes:
    """All processes of one training; none is left when the context ends."""

    def __init__(self, size: int, folder: Path) -> None:
        self.size, self.folder = size, folder
        self._key = secrets.token_hex(16)
        self._all: list[_Process] = []
        self._connections: dict[Connection, _Process] = {}
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for connection in self._connections:
            connection.close()
        for process in self._all:
            # Files are written beside and renamed: an end at any moment leaves a whole state.
            process.popen.kill()
            process.popen.communicate()

    def start(self, payload: bytes) -> None:
        """Start all, and hand each of them the plan."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for rank in range(self.size):
            self._all.append(self._started(rank, port))
        for process in self._all:
            connection = self._connected(process)
            self._connections[connection] = process
            connection.send_bytes(payload)

    def _started(self, rank: int, port: int) -> _Process:
        popen = subprocess.Popen(
            # -P: what lies in the working directory is no module.
            [sys.executable, "-P", "-m", f"{__package__}.train_replica"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(rank, port),
        )
        process = _Process(rank, popen)
        process.tell(json.dumps({"rank": rank, "size": self.size, "key": self._key}))
        return process

    def _connected(self, process: _Process) -> Connection:
        """The connection that a process offers once it has come so far."""
        for line in process.popen.stdout or ():
            if line.startswith(PORT.encode()):
                address = ("127.0.0.1", int(line.removeprefix(PORT.encode())))
                return Client(address, authkey=bytes.fromhex(self._key))
        raise self._lost(process)

    def events(self, stop: StopToken) -> Iterator[Any]:
        """What the leading process tells, until all have ended."""
        told, deadline = GO_ON, float("inf")
        while self._connections and time.monotonic() < deadline:
            order = STOP if stop.stopped else PAUSE if stop.paused else GO_ON
            if order != told:
                self._all[0].tell(order)
                told = order
            for connection in wait(list(self._connections), timeout=LOOK_S):
                message = self._next(connection)
                if isinstance(message, JobFailed):
                    if isinstance(message.error, GlandMTLError):
                        raise message.error
                    self._failure = self._failure or message.error
                    deadline = min(deadline, time.monotonic() + CAUSE_S)
                elif message is not None:
                    yield message
        if self._failure is not None:
            raise self._failure

    def _next(self, connection: Any) -> Any:
        """The next message; None where the process has ended as it should."""
        process = self._connections[connection]
        try:
            message = connection.recv()
        except (EOFError, OSError):
            del self._connections[connection]
            connection.close()
            code = process.popen.wait()
            # Losing the others may make a process abort; that says nothing new.
            known = process.failed or (self._failure is not None and code == -signal.SIGABRT)
            if code and not known:
                raise self._lost(process) from None
            return None
        process.failed = isinstance(message, JobFailed)
        return message

    def _lost(self, process: _Process) -> ProcessLostError:
        code = process.popen.wait()
        how = f"with exit code {code}"
        if code < 0:
            how = f"by signal {-code}" + (", as when memory runs out" if code == -9 else "")
        return ProcessLostError(
            f"Process {process.rank + 1} of {self.size} of the training has ended {how}, so the "
            f"others were ended, too. {self._kept()}"
        )

    def _kept(self) -> str:
        path = self.folder / STATE_FILE
        try:
            step = read_progress(path).step
        except CheckpointError:
            return "Nothing was learned yet."
        return f"The state after step {step} is kept in {self.folder}; go on with --resume."


def _environment(rank: int, port: int) -> dict[str, str]:
    """The variables of a process: where it meets the others, and this one's modules."""
    place = {"LOCAL_RANK": rank, "NODE_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment = {"TORCH_CPP_LOG_LEVEL": "ERROR"} | os.environ
    environment |= {name: str(value) for name, value in place.items()}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    for other in ("RANK", "WORLD_SIZE"):  # of a job scheduler, for processes of its own
        environment.pop(other, None)
    return environment
