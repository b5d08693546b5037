"""One of several processes of a training: ``python -m napari_gland_mtl.jobs.train_replica``.

`train_together` starts it and writes to its standard input: one line that says who it is, later
perhaps "stop", or "pause" and "go on". It answers with the port at which it listens; the plan
comes, and events and errors go, over that connection. When the input ends, whoever started the
process is gone, and it ends, too: nobody else would end processes that wait for each other on a
GPU.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import traceback
from io import FileIO
from multiprocessing.connection import Connection, Listener
from multiprocessing.reduction import ForkingPickler

from ..errors import InvalidInputError
from ..training.parallel import Replicas, end_process
from .events import JobFailed
from .stop import StopToken
from .train_plan import TrainPlan, carry_out

PORT = "port "
STOP, PAUSE, GO_ON = "stop", "pause", "go on"


def main() -> int:
    """Serve as one process of a training; returns the exit code."""
    # Ctrl-C reaches every process of a terminal; what to do is for the first one to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders = FileIO(0, closefd=False)
    place = json.loads(orders.readline())
    replicas, stop = Replicas(place["rank"], place["size"]), StopToken()
    threading.Thread(target=_obey, args=(orders, stop), daemon=True).start()
    with (
        Listener(("127.0.0.1", 0), authkey=bytes.fromhex(place["key"])) as listener,
        _announced(listener).accept() as connection,
    ):
        return _train(connection, replicas, stop)


def _announced(listener: Listener) -> Listener:
    """Tell the port; nothing else that is printed may fill the pipe, which nobody reads on."""
    os.write(1, f"{PORT}{listener.address[1]}\n".encode())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return listener


def _obey(orders: FileIO, stop: StopToken) -> None:
    while line := orders.readline():
        order = line.decode().strip()
        if order == PAUSE:
            stop.pause()
        elif order == GO_ON:
            stop.unpause()
        else:
            stop.stop()
    os._exit(1)


def _train(connection: Connection, replicas: Replicas, stop: StopToken) -> int:
    try:
        plan = _received(connection)
        for event in carry_out(plan, stop, replicas):
            if replicas.leads:
                connection.send(event)
        replicas.leave()
    except Exception as error:  # noqa: BLE001 - whatever it is, the one who waits must hear of it
        error.add_note(traceback.format_exc())
        connection.send(JobFailed(_portable(error)))
        return 1
    return 0


def _received(connection: Connection) -> TrainPlan:
    try:
        plan: TrainPlan = connection.recv()
    except (AttributeError, ImportError) as error:
        raise InvalidInputError(
            f"The data set cannot be handed to another process ({error}). Define what it is made "
            "of in a module that can be imported, or train on one device."
        ) from error
    return plan


def _portable(error: Exception) -> Exception:
    """The error as it is where that survives the way, else its words."""
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:  # noqa: BLE001 - an error's own way of being pickled may fail in any way
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


if __name__ == "__main__":
    end_process(main())
