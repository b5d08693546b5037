"""The command line that all experiments share, and what it does with the runs of one.

An experiment says which runs it consists of, and draws its tables from those that are there. It may
be asked for its runs again when all are done: a choice made by some may lead to others.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _glas import Glas
from _run import CLEAN, Run
from _runs import Place, do_all
from _settings import FULL, MEASURING, REDUCED
from filelock import FileLock

from napari_gland_mtl.devices import choose_device
from napari_gland_mtl.errors import GlandMTLError, InvalidInputError
from napari_gland_mtl.network import NetworkConfig, build_network
from napari_gland_mtl.training.config import TrainingConfig
from napari_gland_mtl.training.precision import bfloat16_pays


@dataclass(frozen=True)
class Given:
    """What was asked for on the command line, in the terms of an experiment."""

    place: Place
    arguments: argparse.Namespace
    base: dict[str, Any]
    command: str

    @property
    def seeds(self) -> range:
        """Seeds of every row."""
        return range(self.arguments.seeds)

    @property
    def setting(self) -> str:
        """The setting's name as tables say it."""
        changes = " ".join(self.arguments.changes)
        name = "Reduced setting" if self.arguments.reduced else "Full setting"
        return f"{name}, changed: {changes}" if changes else name

    def run(
        self, changes: dict[str, Any], seed: int, labels: str = CLEAN, part: str | None = None
    ) -> Run:
        """A run with the setting's values but for these changes."""
        part = part or self.arguments.split
        images = self.place.glas.fingerprint(part)
        measuring = MEASURING["reduced" if self.arguments.reduced else "full"]
        return Run({**self.base, **changes}, seed, images, measuring, part, labels)

    def wanted(self, row: str) -> bool:
        """Whether a row was asked for by ``--only``, or none was."""
        return not self.arguments.only or row in self.arguments.only


SEEDS = 3

Plan = Callable[[Given], list[Run]]
Draw = Callable[[Given], str]


def main(
    description: str,
    rows: list[str],
    plan: Plan,
    draw: Draw,
    *options: tuple[str, dict[str, Any]],
    reduced_seeds: int = SEEDS,
) -> int:
    """Carry an experiment out as the command line says.

    Parameters
    ----------
    description : str
        The script's docstring.
    rows : list of str
        What ``--only`` may name.
    plan : callable
        The runs that the experiment consists of, as far as they are known by now.
    draw : callable
        Writes tables and figures of what is there; returns the table to print.
    *options : (str, dict)
        Options of this experiment alone, as `add_argument` takes them.
    reduced_seeds : int
        Seeds of the reduced setting where none are asked for.
    """
    arguments = _parser(description, rows, options).parse_args()
    if arguments.seeds is None:
        arguments.seeds = reduced_seeds if arguments.reduced else SEEDS
    try:
        given = _given(arguments)
        if arguments.list:
            _list(given, plan(given))
            return 0
        if not arguments.tables_only:
            _carry_out(given, plan)
        print(draw(given))
    except GlandMTLError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command goes on.", file=sys.stderr)
        return 130
    return 0


def _parser(
    description: str, rows: list[str], options: tuple[tuple[str, dict[str, Any]], ...]
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("glas", type=Path, help="folder of GlaS")
    add("out", type=Path, help="folder for runs and tables; shared by all experiments")
    add("--split", choices=("validation", "test"), default="validation", help="what is reported")
    add(
        "--seeds", type=_positive, metavar="N", help="seeds 0 .. N-1 of every row; few unless given"
    )
    add("--reduced", action="store_true", help="small networks, about a minute per run on a core")
    add("--device", default="auto", help="auto, cpu, cuda or mps")
    add("--only", nargs="+", metavar="ROW", choices=rows, help=f"of: {', '.join(rows)}")
    add("--shard", type=_shard, default=(1, 1), metavar="I/N", help="every N-th run from the I-th")
    add("--list", action="store_true", help="list the runs, and whether they are done")
    add("--tables-only", action="store_true", help="tables of what is there; no training")
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        dest="changes",
        metavar="NAME=VALUE",
        help="change the setting for all runs, as in epochs=2",
    )
    for name, option in options:
        add(name, **option)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _shard(text: str) -> tuple[int, int]:
    first, _, count = text.partition("/")
    if not (first.isdigit() and count.isdigit() and 1 <= int(first) <= int(count)):
        raise argparse.ArgumentTypeError("I/N with I from 1 to N, such as 2/4")
    return int(first), int(count)


def _given(arguments: argparse.Namespace) -> Given:
    # The setting first: a mistyped name is said before images are looked for.
    base = {**(REDUCED if arguments.reduced else FULL), **_changes(arguments.changes)}
    place = Place(Glas(arguments.glas), arguments.out, arguments.device)
    base.setdefault("precision", _precision(place, base, arguments.reduced))
    return Given(place, arguments, base, _command(arguments))


def _changes(texts: list[str]) -> dict[str, Any]:
    changes = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in TrainingConfig.model_fields or name in ("seed", "device", "devices"):
            raise InvalidInputError(f"--set {text}: there is no such setting of a training.")
        try:
            changes[name] = json.loads(value)
        except json.JSONDecodeError:
            changes[name] = value
    return changes


def _precision(place: Place, base: dict[str, Any], reduced: bool) -> str:
    """One answer of the probe for all runs in a folder, however often the probe would err."""
    path = place.out / f"precision-{'reduced' if reduced else 'full'}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            device = choose_device(place.device)
            network = build_network(NetworkConfig(widths=tuple(base["widths"]))).to(device)
            answer = "bfloat16" if bfloat16_pays(network, device) else "float32"
            path.write_text(answer + "\n", encoding="utf-8")
        return path.read_text(encoding="utf-8").strip()


def _command(arguments: argparse.Namespace) -> str:
    """The command without the user's paths, which are nobody else's."""
    names = {arguments.glas: "GLAS", arguments.out: "OUT"}
    given = [names.get(Path(text), text) for text in sys.argv[1:] if text != "--tables-only"]
    return shlex.join(["python", f"experiments/{Path(sys.argv[0]).name}", *given])


def _list(given: Given, runs: list[Run]) -> None:
    left = {run.name for run in given.place.missing(runs)}
    for run in runs:
        print(f"{'      ' if run.name in left else 'done  '}{run.name}")
    print(f"{len(runs) - len(left)} of {len(runs)} runs done")


def _carry_out(given: Given, plan: Plan) -> None:
    first, count = given.arguments.shard
    impossible: set[str] = set()
    while True:
        runs = [run for run in plan(given)[first - 1 :: count] if run.name not in impossible]
        left = given.place.missing(runs)
        if not left:
            break
        print(f"{len(left)} of {len(runs)} runs to do", flush=True)
        impossible |= {run.name for run in do_all(given.place, left, _say)}
    others = len(given.place.missing(plan(given))) - len(impossible)
    if others > 0:
        print(f"{others} runs are left to other shards. This command again goes on from them.")


def _say(text: str) -> None:
    print(text, flush=True)
