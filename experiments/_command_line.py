"""The command line that all experiments share, and what it does with the runs of one.

An experiment says which runs it consists of, and draws its tables from those that are there. It may
be asked for its runs again when all are done: a choice made by some may lead to others. A command
whose runs could not all be done writes the tables of those that are, and ends with exit code 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _carry_out import Missing, Plan, carry_out, list_runs
from _given import Given, given_by

from napari_gland_mtl.errors import GlandMTLError

__all__ = ["Given", "main", "positive"]

SEEDS = 3

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
        return _done(given_by(arguments), plan, draw)
    except GlandMTLError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command goes on.", file=sys.stderr)
        return 130


def _done(given: Given, plan: Plan, draw: Draw) -> int:
    """List, or do the runs and write the tables of what is there; returns the exit code."""
    if given.arguments.list:
        list_runs(given, plan(given))
        return 0
    missing = Missing() if given.arguments.tables_only else carry_out(given, plan)
    try:
        print(draw(given), flush=True)
    finally:  # said last, and also where there is no room for the tables
        if missing.runs:
            print(missing.in_words(), file=sys.stderr)
    return 1 if missing.runs else 0


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
    add("--seeds", type=positive, metavar="N", help="seeds 0 .. N-1 of every row; few unless given")
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


def positive(text: str) -> int:
    """A number of things, as `add_argument` takes it for a type."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    first, _, count = text.partition("/")
    if not (first.isdigit() and count.isdigit() and 1 <= int(first) <= int(count)):
        raise argparse.ArgumentTypeError("I/N with I from 1 to N, such as 2/4")
    return int(first), int(count)
