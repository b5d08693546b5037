"""Does the runs that a command asks for, and tells at its end what is missing and why.

Whoever starts a command in a script or on a cluster sees by its exit code whether all was done;
runs that are other shards' to do are not missed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from _given import Given
from _run import Run
from _runs import do_all

from napari_gland_mtl.errors import GlandMTLError

Plan = Callable[[Given], list[Run]]
SHOWN = 3


@dataclass
class Missing:
    """What a command should have done and could not.

    Attributes
    ----------
    runs : list of str
        Names of these runs.
    why : list of str
        Reasons, each once.
    of : int
        Runs that were this command's to do, or done before.
    """

    runs: list[str] = field(default_factory=list)
    why: list[str] = field(default_factory=list)
    of: int = 0

    def in_words(self) -> str:
        """Two lines at most; empty where nothing is missing."""
        if not self.runs:
            return ""
        names = ", ".join(self.runs[:SHOWN])
        more = f" and {len(self.runs) - SHOWN} more" if len(self.runs) > SHOWN else ""
        others = f" (The first of {len(self.why)} reasons.)" if len(self.why) > 1 else ""
        return (
            f"{len(self.runs)} of {self.of} runs could not be done: {names}{more}.\n"
            f"Why: {self.why[0]}{others}"
        )


def carry_out(given: Given, plan: Plan) -> Missing:
    """Do this shard's runs, and those that follow from them; returns what is missing."""
    left_out: dict[str, str] = {}
    try:
        while True:
            planned = plan(given)
            own = _own(given, planned)
            runs = [run for run in own if run.name not in left_out]
            left = given.place.missing(runs)
            if not left:
                break
            print(f"{len(left)} of {len(runs)} runs to do", flush=True)
            left_out |= do_all(given.place, left, _say)
    except GlandMTLError as error:  # after which no other run can be done, either
        own = _own(given, plan(given))
        return _missing(given, own, own, [str(error), *left_out.values()])
    # Of the plan that was done: asked again it may hold more, that another shard just led to.
    tried = [run for run in own if run.name in left_out]
    missing = _missing(given, own, tried, list(left_out.values()))
    others = len(given.place.missing(planned)) - len(missing.runs)
    if others > 0:
        print(f"{others} runs are left to other shards. This command again goes on from them.")
    return missing


def list_runs(given: Given, runs: list[Run]) -> None:
    """Print the runs, and whether they are done."""
    left = {run.name for run in given.place.missing(runs)}
    for run in runs:
        print(f"{'      ' if run.name in left else 'done  '}{run.name}")
    print(f"{len(runs) - len(left)} of {len(runs)} runs done")


def _own(given: Given, runs: list[Run]) -> list[Run]:
    first, count = given.arguments.shard
    return runs[first - 1 :: count]


def _missing(given: Given, own: list[Run], tried: list[Run], why: list[str]) -> Missing:
    names = [run.name for run in given.place.missing(tried)]
    return Missing(names, list(dict.fromkeys(why)), len(own))


def _say(text: str) -> None:
    print(text, flush=True)
