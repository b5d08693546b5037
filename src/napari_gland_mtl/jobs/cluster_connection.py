"""Reach a cluster, and find out which of its workers can be sent work.

A worker that does not see the output folder, or runs another version of this package, would
fail hours later and in words that nobody understands: it is asked beforehand, as is every worker
that joins while a run goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ..errors import ClusterError, MissingExtraError
from .cluster_worker import WorkerFacts, check_worker
from .events import Notice

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 15
"""How long a scheduler has to answer."""


@contextmanager
def connected(scheduler: str | Client) -> Iterator[Any]:
    """A client of the scheduler; one that was opened here is closed in the end."""
    try:
        import distributed
    except ImportError as error:
        raise MissingExtraError(
            "Running on a cluster needs the package distributed, which is not installed. Install "
            'it, here and for the workers, with: pip install "napari-gland-mtl[cluster]"'
        ) from error
    if isinstance(scheduler, distributed.Client):
        yield scheduler
        return
    connect: Any = distributed.Client
    try:
        client = connect(scheduler, timeout=CONNECT_S, set_as_default=False, name="gland-mtl")
    except (OSError, ValueError, TypeError, TimeoutError) as error:
        raise ClusterError(
            f"No dask scheduler answers at {scheduler!r} ({error or type(error).__name__}). Start "
            "one with 'dask scheduler' and give the address that it prints, such as "
            "tcp://host:8786."
        ) from error
    with client:
        yield client


class Workers:
    """The workers that can be sent work: they see the folder and run this version."""

    def __init__(self, client: Any, folder: Path, device: str) -> None:
        self._client, self._folder, self._device = client, folder, device
        self._facts: dict[str, WorkerFacts] = {}

    def check_all(self) -> None:
        """Refuse to begin with workers that cannot do what they would be asked for.

        Raises
        ------
        ClusterError
        """
        for address, facts in self._check(self._present()).items():
            if facts.problem:
                raise ClusterError(_complaint(address, facts))

    def fit(self) -> tuple[list[str], list[Notice]]:
        """Addresses of the workers there are now, and what is to be said of new ones."""
        present = self._present()
        new = self._check([address for address in present if address not in self._facts])
        notices = [
            Notice(f"{_complaint(address, facts)} Nothing is sent to it.")
            for address, facts in new.items()
            if facts.problem
        ]
        return [address for address in present if not self._facts[address].problem], notices

    def _present(self) -> list[str]:
        return sorted(self._client.nthreads())

    def _check(self, addresses: list[str]) -> dict[str, WorkerFacts]:
        if not addresses:
            return {}
        from .. import __version__

        probe = f".probe-{uuid4().hex[:8]}"
        (self._folder / probe).write_bytes(b"")
        try:
            answers = self._client.run(
                check_worker,
                self._folder,
                probe,
                self._device,
                workers=addresses,
                on_error="return",
            )
        finally:
            (self._folder / probe).unlink()
        found = {address: _facts(answers.get(address), __version__) for address in addresses}
        self._facts.update(found)
        return found


def _facts(answer: Any, version: str) -> WorkerFacts:
    if not isinstance(answer, WorkerFacts):
        return WorkerFacts("", "", f"cannot run napari-gland-mtl ({answer!r})")
    if answer.version != version and not answer.problem:
        problem = f"has napari-gland-mtl {answer.version}, and this is {version}"
        return WorkerFacts(answer.host, answer.version, problem)
    return answer


def _complaint(address: str, facts: WorkerFacts) -> str:
    host = f" on {facts.host}" if facts.host else ""
    return (
        f"The worker {address}{host} {facts.problem.rstrip('.')}. All machines need the same "
        "version of napari-gland-mtl, and slides and output in folders that all of them see "
        "under the same path and may write to."
    )
