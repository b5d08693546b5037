"""Claims about a job that lets the window go first."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from napari_gland_mtl.jobs.politeness import STEP_BACK, be_polite

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads have priorities")

# In a process of its own: torch's threads of the other tests would be counted.
THREADS = """
import os, threading
import torch
from napari_gland_mtl.jobs.politeness import be_polite

torch.set_num_threads(3)

def nice_of_all():
    tasks = os.listdir("/proc/self/task")
    return {int(task): os.getpriority(os.PRIO_PROCESS, int(task)) for task in tasks}

def job():
    be_polite()
    torch.set_num_threads(3)
    before = set(nice_of_all())
    for _ in range(3):
        torch.rand(600, 600) @ torch.rand(600, 600)
        torch.rand(4_000_000).exp()
    now = nice_of_all()
    print(now[threading.get_native_id()], sorted(now[task] for task in set(now) - before))

thread = threading.Thread(target=job)
thread.start()
thread.join()
print(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
"""


@linux
def test_threads_that_torch_starts_step_back_too_and_the_main_one_does_not():
    run = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    base = os.getpriority(os.PRIO_PROCESS, 0)
    job, main = run.stdout.strip().splitlines()
    own, _, others = job.partition(" ")
    expected = min(19, base + STEP_BACK)
    assert int(own) == expected
    started = [int(nice) for nice in others.strip("[]").split(", ") if nice]
    assert started
    assert set(started) == {expected}
    assert int(main) == base


def test_in_the_main_thread_nothing_happens(monkeypatch):
    asked = []
    monkeypatch.setattr("os.setpriority", lambda *values: asked.append(values), raising=False)
    be_polite()
    assert not asked
    thread = threading.Thread(target=be_polite)
    thread.start()
    thread.join()
    assert bool(asked) == sys.platform.startswith("linux")


def test_where_priorities_are_not_to_be_had_a_core_stays_free(monkeypatch):
    import torch

    def refused(*_):
        raise PermissionError("a sandbox")

    monkeypatch.setattr("os.setpriority", refused, raising=False)
    used = []
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    thread = threading.Thread(target=be_polite)
    thread.start()
    thread.join()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert used == [max(1, cores - 1)]
