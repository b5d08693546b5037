"""The jobs of the queue: look at slides that were added, and segment all of them in turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import GlandMTLError
from ..jobs.events import Event, Stage
from ..jobs.runner import Job
from ..jobs.stop import StopToken
from ..jobs.torch_libraries import load_torch_libraries
from ._segment_job import spare_the_window


@dataclass(frozen=True)
class SlideSeen(Event):
    """A file that was added is an image.

    Attributes
    ----------
    path : Path
    pixels : int
        Of its full resolution.
    mpp : float or None
        Um per pixel; None where the file does not know, or says something impossible.
    note : str
        Why `mpp` is None.
    """

    path: Path
    pixels: int
    mpp: float | None
    note: str = ""


@dataclass(frozen=True)
class SlideRefused(Event):
    """A file that was added cannot be segmented.

    Attributes
    ----------
    path : Path
    reason : str
    """

    path: Path
    reason: str


@dataclass(frozen=True)
class QueueRequest:
    """What “Start” asks for.

    Attributes
    ----------
    slides : dict of Path to float or None
        In their order; um per pixel where the user has entered it, None for the file's own.
    folder : Path
        Receives the results.
    settings : dict
        Arguments of `SlideConfig`, without ``mpp``.
    overwrite : bool
        Replace earlier results, instead of going on with them.
    """

    slides: Mapping[Path, float | None]
    folder: Path
    settings: dict[str, Any]
    overwrite: bool = False


def look_job(paths: Sequence[Path]) -> Job:
    """A job that opens files, and those of folders, to learn what they are."""

    def job(stop: StopToken) -> Iterator[Event]:
        yield Stage("Looking at the files")
        for path in paths:
            for file in slides_in(path):
                if stop.stopped:
                    return
                yield _look(file)

    return job


def queue_job(request: QueueRequest) -> Job:
    """A job that segments slides one after another."""

    def job(stop: StopToken) -> Iterator[Event]:
        yield Stage("Loading the network")
        load_torch_libraries()
        from ..jobs.segment_batch import segment_batch
        from ..jobs.segment_config import SlideConfig

        spare_the_window()
        for mpp, paths in _by_pixel_size(request.slides).items():
            if stop.stopped:
                return
            yield from segment_batch(
                paths,
                request.folder,
                SlideConfig(**request.settings, mpp=mpp),
                stop,
                resume=not request.overwrite,
                overwrite=request.overwrite,
            )

    return job


def slides_in(path: Path) -> list[Path]:
    """The file itself; of a folder that is no image, the images in it, but no results."""
    from ..export.slide_state import is_slide_store
    from ..slides import is_slide_path

    if not path.is_dir() or is_slide_path(path):
        return [path]
    found = (item for item in sorted(path.iterdir()) if not item.name.startswith("."))
    return [item for item in found if is_slide_path(item) and not is_slide_store(item)]


def _look(path: Path) -> Event:
    from ..slides import open_slide

    try:
        with open_slide(path) as slide:
            full = slide.levels[0]
            return SlideSeen(path, full.height * full.width, slide.mpp, slide.mpp_note or "")
    except (GlandMTLError, OSError) as error:
        return SlideRefused(path, str(error))


def _by_pixel_size(slides: Mapping[Path, float | None]) -> dict[float | None, list[Path]]:
    """Slides that can be segmented with one configuration; files that know their size first."""
    groups: dict[float | None, list[Path]] = {}
    for path, mpp in sorted(slides.items(), key=lambda item: item[1] is not None):
        groups.setdefault(mpp, []).append(path)
    return groups
