"""Time several things in turn, so that a busy machine slows all of them alike.

Times are CPU seconds of this process (all its threads), medians over the rounds. Only their
ratios within one run mean something; below about 15 % a difference is noise.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def cpu_seconds(task: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    task()
    return time.process_time() - start


def medians(tasks: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each task, called once per round after one unmeasured round."""
    for task in tasks.values():
        task()
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            times[name].append(cpu_seconds(task))
    return {name: statistics.median(values) for name, values in times.items()}


def verdict(what: str, share: float, bar: float) -> int:
    """Print a share against the largest that is accepted; returns an exit code."""
    held = share <= bar
    word = "held" if held else "MISSED"
    print(f"{what}: {share:.1%} (bar: at most {bar:.0%}, {word})")
    return 0 if held else 1


def at_least(what: str, ratio: float, bar: float) -> int:
    """Print a ratio against the smallest that is accepted; returns an exit code."""
    held = ratio >= bar
    print(f"{what}: {ratio:.2f} (bar: at least {bar:g}, {'held' if held else 'MISSED'})")
    return 0 if held else 1
