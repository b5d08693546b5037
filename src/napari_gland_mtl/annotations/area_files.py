"""One area on disk: an OME-Zarr image with two label images, saved again and again.

Each save writes new arrays beside the old ones and then replaces one small file, the group's
``zarr.json``, which says what the area is and which arrays hold. That is the one instant at
which the old becomes the new. What is left to do after it (telling other programs which arrays
hold, removing the old ones) is done again by whoever comes next, if it was cut short.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..storage.durable import flush_names, flush_tree
from ..storage.zarr_group import read_group, write_group
from .area import Area
from .area_state import (
    GLANDS,
    IMAGE,
    REGIONS,
    AreaState,
    attributes_of,
    label_attributes,
    label_list,
    read_state,
)

_LABELS = "labels"
_MARK = ".saving"
# One file per array: an area is read and written as a whole.
_LARGEST_CHUNK = 4096


# ------------------------------------------------------------------ writing


def write_area(folder: Path, area: Area, state: AreaState) -> None:
    """Write a new area into an empty folder that nobody else knows yet."""
    import zarr

    group = zarr.create_group(folder, zarr_format=3)
    _write_array(group, IMAGE, np.moveaxis(area.image, 2, 0))
    write_group(folder / _LABELS, label_list(), durable=True)
    _write_labels(folder, area, state.revision)
    _tell_others(folder, state)
    write_group(folder, attributes_of(state), durable=True)
    flush_tree(folder)


def replace_labels(folder: Path, area: Area, state: AreaState) -> None:
    """Let the labels and the description of an area take the place of what is stored.

    Whoever calls it keeps every other writer out, and has called `settle`.

    Raises
    ------
    OSError, OutputNotWritableError
        What was stored before is still there then, whole.
    """
    (folder / _MARK).touch()
    try:
        _write_labels(folder, area, state.revision)
        for name in (GLANDS, REGIONS):
            flush_tree(folder / _LABELS / name / str(state.revision))
            flush_names(folder / _LABELS / name)
        write_group(folder, attributes_of(state), durable=True)
    except BaseException:
        # Whether the step was taken before the error is for the attributes to say.
        with suppress(OSError, ValueError, LookupError, TypeError):
            settle(folder, read_state(folder))
        raise
    # The new is in place; what follows must not look like a failure of the save.
    with suppress(OSError):
        settle(folder, state)


def is_unsettled(folder: Path) -> bool:
    """Whether a save was cut short, before or after its decisive step."""
    return (folder / _MARK).exists()


def settle(folder: Path, state: AreaState) -> None:
    """Bring everything into line with what the attributes say: finish or undo a save."""
    _tell_others(folder, state)
    current, clean = str(state.revision), True
    for name in (GLANDS, REGIONS):
        for entry in (folder / _LABELS / name).iterdir():
            if entry.is_dir() and entry.name != current:
                shutil.rmtree(entry, ignore_errors=True)
                clean = clean and not entry.exists()
            elif entry.name.endswith(".partial"):
                entry.unlink(missing_ok=True)
    for entry in folder.glob(".zarr.json.*.partial"):
        entry.unlink(missing_ok=True)
    if clean:  # Windows keeps what somebody reads at the moment; the next save removes it
        (folder / _MARK).unlink(missing_ok=True)


def _write_labels(folder: Path, area: Area, revision: int) -> None:
    import zarr

    for name, labels in ((GLANDS, area.glands), (REGIONS, area.regions)):
        place = folder / _LABELS / name
        place.mkdir(parents=True, exist_ok=True)
        if (place / str(revision)).exists():  # of a save that was cut short
            shutil.rmtree(place / str(revision))
        if not (place / "zarr.json").exists():
            write_group(place, {}, durable=True)
        _write_array(zarr.open_group(place, mode="r+"), str(revision), labels)


def _write_array(group: Any, name: str, data: npt.NDArray[Any]) -> None:
    from zarr.codecs import ZstdCodec

    array = group.create_array(
        name,
        shape=data.shape,
        dtype=data.dtype,
        chunks=tuple(min(size, _LARGEST_CHUNK) for size in data.shape),
        compressors=ZstdCodec(level=1, checksum=True),
        dimension_names=("c", "y", "x")[-data.ndim :],
        # An empty chunk that is there tells an empty area from a damaged one.
        config={"write_empty_chunks": True},
    )
    array[...] = data


def _tell_others(folder: Path, state: AreaState) -> None:
    """Say in each label image which array holds, for programs that know OME-Zarr only."""
    for name in (GLANDS, REGIONS):
        place, attributes = folder / _LABELS / name, label_attributes(state, name)
        with suppress(OSError, ValueError, LookupError, TypeError):
            if read_group(place) == attributes:
                continue
        write_group(place, attributes, durable=True)


# ------------------------------------------------------------------ reading


def missing_part(folder: Path, state: AreaState) -> str:
    """Name of an array that is not there, empty if all are; looks at names only."""
    places = {"image": folder / IMAGE} | {
        f"{name} labels": folder / _LABELS / name / str(state.revision)
        for name in (GLANDS, REGIONS)
    }
    return next((name for name, path in places.items() if not (path / "zarr.json").is_file()), "")


def read_area(folder: Path, state: AreaState) -> Area:
    """The pixels of a stored area with what its attributes say.

    Raises
    ------
    OSError, ValueError, LookupError, TypeError, RuntimeError
        If it is damaged.
    """
    image = _read_array(folder / IMAGE, (3, *state.shape), np.uint8)
    glands, regions = read_labels(folder, state)
    return Area(state.info, np.ascontiguousarray(np.moveaxis(image, 0, 2)), glands, regions)


def read_labels(
    folder: Path, state: AreaState
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """The gland and the region labels of a stored area; raises as `read_area`."""
    places = [folder / _LABELS / name / str(state.revision) for name in (GLANDS, REGIONS)]
    return (
        _read_array(places[0], state.shape, np.int32),
        _read_array(places[1], state.shape, np.uint8),
    )


def check_area(folder: Path, state: AreaState) -> None:
    """Raise as `read_area` would, without decoding the image."""
    _open_array(folder / IMAGE, (3, *state.shape), np.uint8)
    read_labels(folder, state)


def _read_array(path: Path, shape: tuple[int, ...], dtype: type[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(_open_array(path, shape, dtype)[...])


def _open_array(path: Path, shape: tuple[int, ...], dtype: type[Any]) -> Any:
    import zarr

    array = zarr.open_array(path, mode="r")
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{path.name} has shape {array.shape} and type {array.dtype}")
    # zarr takes a chunk that is missing for one that is empty.
    if array.nchunks_initialized != array.nchunks:
        raise ValueError(f"a file is missing in {path}")
    return array
