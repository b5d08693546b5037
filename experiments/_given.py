"""What a command asks for, in the terms of an experiment: settings, seeds, images and runs."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _changes import changed
from _glas import Glas
from _locks import in_turn
from _run import CLEAN, Run
from _runs import Place
from _same_images import check_images
from _settings import FULL, MEASURING, REDUCED

from napari_gland_mtl.checkpoint import replace_file
from napari_gland_mtl.devices import choose_device
from napari_gland_mtl.network import NetworkConfig, build_network
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


def given_by(arguments: argparse.Namespace) -> Given:
    """What a command asks for.

    Raises
    ------
    InvalidInputError
        If a training would refuse what ``--set`` asks for.
    DatasetError
        If the images are not there, or not those that the folder's runs were made with.
    """
    # The setting first: a mistyped name is said before images are looked for.
    base = changed(REDUCED if arguments.reduced else FULL, arguments.changes)
    place = Place(Glas(arguments.glas), arguments.out, arguments.device)
    only_looks = arguments.list or arguments.tables_only
    check_images(place.glas, arguments.split, place.out, keep=not only_looks)
    if base.get("precision", "auto") == "auto":
        base["precision"] = _precision(place, base, arguments.reduced, keep=not only_looks)
    return Given(place, arguments, base, _command(arguments))


def _precision(place: Place, base: dict[str, Any], reduced: bool, keep: bool) -> str:
    """One answer of the probe for all runs in a folder, however often the probe would err.

    Who only looks may do so on another kind of machine, whose answer is not for the runs.
    """
    path = place.out / f"precision-{'reduced' if reduced else 'full'}.txt"
    if path.is_file():
        return path.read_text(encoding="utf-8").strip()
    if not keep:
        return _probed(place, base)
    with in_turn(path.with_suffix(".lock")):
        if not path.is_file():
            replace_file(path, f"{_probed(place, base)}\n".encode())
        return path.read_text(encoding="utf-8").strip()


def _probed(place: Place, base: dict[str, Any]) -> str:
    device = choose_device(place.device)
    network = build_network(NetworkConfig(widths=tuple(base["widths"]))).to(device)
    return "bfloat16" if bfloat16_pays(network, device) else "float32"


def _command(arguments: argparse.Namespace) -> str:
    """The command without the user's paths, which are nobody else's."""
    names = {arguments.glas: "GLAS", arguments.out: "OUT"}
    given = [names.get(Path(text), text) for text in sys.argv[1:] if text != "--tables-only"]
    return shlex.join(["python", f"experiments/{Path(sys.argv[0]).name}", *given])
