"""A job that may use every core and still lets the window go first.

On Linux each thread has a priority of its own, and threads that it starts inherit it: the job's
thread steps back, and with it those in which torch computes. The system then gives the window
a core the moment it has something to do, and the job all of them otherwise. Elsewhere the job
leaves a core unused.
"""

from __future__ import annotations

import os
import sys
import threading

STEP_BACK = 10
"""How far, on the scale of ``nice``: ten steps are about a tenth of a core's time where another
thread wants it."""
_LEAST = 19


def be_polite() -> None:
    """Let other threads of this process go first; called in a job's own thread, for good.

    A thread cannot raise its priority again: never call it in a thread that has other work.
    Torch must not have computed in this thread before, or threads of its own have started.
    """
    if threading.current_thread() is threading.main_thread():
        return
    if not _stepped_back():
        _leave_a_core()


def _stepped_back() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    thread = threading.get_native_id()
    try:
        present = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(_LEAST, present + STEP_BACK))
    except OSError:  # a sandbox may forbid it
        return False
    return True


def _leave_a_core() -> None:
    """Torch uses all cores of this machine but one, in the calling thread only."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(max(1, (cores or 1) - 1))
