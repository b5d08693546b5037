"""Changes a project and is killed, or runs out of disk, at one file operation after the other.

    python disturbed.py (kill | full) (add | save | remove | restore | careless) FOLDER STRIDE

For every operation (or every few) a fresh project is made and a forked process changes it,
disturbed there; another one then looks at what is left. Prints how many operations there were.
"careless" saves as one would who does not think of it: what looks must find that out.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import zarr

from napari_gland_mtl.annotations import AnnotationProject, Area, AreaInfo, area_state
from napari_gland_mtl.errors import OutputNotWritableError

OLD, NEW, NEXT = 1, 2, 3
UNDISTURBED = 7
# What the audit hook is told before a file is touched, and where its arguments are paths.
TOUCHING = {
    "open": (0,),
    "os.mkdir": (0,),
    "os.rename": (0, 1),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.truncate": (0,),
    "os.utime": (0,),
    "shutil.rmtree": (0,),
}
NEEDING_ROOM = ("open", "os.mkdir", "os.rename")


def area_of(value: int) -> Area:
    """All its labels say `value`, and so does its class: old and new cannot be mixed unseen."""
    info = AreaInfo(
        name="area 1",
        slide="case",
        slide_mpp=0.5,
        slide_shape=(500, 500),
        window=(0, 0, 100, 120),
        mpp=1.0,
        class_name=str(value),
    )
    image = np.full((50, 60, 3), 77, np.uint8)
    labels = np.full((50, 60), value)
    return Area(info, image, labels.astype(np.int32), labels.astype(np.uint8))


def value_of(area: Area) -> int:
    """The value of an area; ValueError if it is a mixture."""
    found = {int(area.info.class_name), *np.unique(area.glands), *np.unique(area.regions)}
    if len(found) != 1 or not (area.image == 77).all():
        raise ValueError(f"a mixture of {found}")
    return int(found.pop())


def prepare(path: Path, change: str) -> int:
    """What is there before the change."""
    if change != "add":
        project = AnnotationProject(path)
        key, _ = project.add(area_of(OLD))
        if change == "restore":
            project.remove(key)
    return 0


def carry_out(path: Path, change: str) -> None:
    """The change that is disturbed."""
    project = AnnotationProject(path)
    if change == "add":
        project.add(area_of(NEW))
        return
    (key,) = listed(path / "areas") + listed(path / "removed")
    if change == "save":
        project.save(key, area_of(NEW), 1)
    elif change == "careless":
        save_carelessly(path / "areas" / key)
    elif change == "remove":
        project.remove(key)
    else:
        project.restore(key)


def save_carelessly(folder: Path) -> None:
    """Write over the labels, then the attributes."""
    for name in ("glands", "regions"):
        labels = zarr.open_array(folder / "labels" / name / "1", mode="r+")
        labels[...] = NEW
    state = replace(area_state.read_state(folder), info=area_of(NEW).info)
    (folder / "zarr.json").write_text(json.dumps({"attributes": area_state.attributes_of(state)}))


def listed(folder: Path) -> list[str]:
    """Names of the areas in a folder."""
    return sorted(entry.name for entry in folder.glob("[!.]*") if entry.is_dir())


def disturb(path: Path, way: str, number: int) -> list[int]:
    """Kill this process, or let its disk be full, from operation `number` on; counts them."""
    count = [0]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        places = TOUCHING.get(event, ())
        touched = [arguments[place] for place in places]
        if not any(
            isinstance(item, str | os.PathLike) and str(path) in str(item) for item in touched
        ):
            return
        if way == "full" and (event not in NEEDING_ROOM or (event == "open" and reads(arguments))):
            return
        count[0] += 1
        if count[0] < number:
            return
        if way == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(errno.ENOSPC, "No space left on device", str(touched[0]))

    sys.addaudithook(hook)
    return count


def reads(arguments: tuple[object, ...]) -> bool:
    """Whether an "open" does not write; modes are None where flags are given."""
    _, mode, flags = arguments
    if isinstance(mode, str):
        return not set(mode) & set("wax+")
    return not int(flags) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)  # type: ignore[call-overload]


def in_fork(work: Callable[[], int]) -> int:
    """Exit code of `work` in a process of its own; negative for a signal."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = work()
        except BaseException:  # noqa: BLE001 - a fork must not return into the test
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def main(way: str, change: str, folder: Path, stride: int) -> None:
    fresh = folder / "fresh.annotations.zarr"
    if in_fork(partial(prepare, fresh, change)):
        raise SystemExit("the preparation failed")
    for number in itertools.count(1, stride):
        path = folder / f"{number}.annotations.zarr"
        if fresh.exists():
            shutil.copytree(fresh, path)

        def work(path: Path = path, number: int = number) -> int:
            count = disturb(path, way, number)
            try:
                carry_out(path, change)
            except OutputNotWritableError as error:
                if way != "full" or "No space" not in str(error):
                    raise
            return UNDISTURBED if count[0] < number else 0

        ended = in_fork(work)
        if ended not in (0, UNDISTURBED, -signal.SIGKILL):
            raise SystemExit(f"operation {number}: the change ended with {ended}")
        if in_fork(partial(look, path, change, ended == UNDISTURBED)):
            raise SystemExit(f"operation {number}: see above")
        shutil.rmtree(path)
        if ended == UNDISTURBED:
            print(number - 1)
            return


def look(path: Path, change: str, done: bool) -> int:
    """Check what is there: the old or the new, whole, and it can be gone on with."""
    before = {name for place in ("areas", "removed") for name in listed(path / place)}
    for name in before:  # what a program that knows OME-Zarr only sees, before anything is mended
        readable_by_others(next(path.glob(f"*/{name}")))
    project = AnnotationProject(path)
    stored = project.stored()
    if any(area.error for area in stored):
        raise ValueError(stored)
    values = [value_of(project.load(area.key)[0]) for area in stored]
    allowed = {
        "add": ([], [NEW]),
        "save": ([OLD], [NEW]),
        "careless": ([OLD], [NEW]),
        "remove": ([OLD], []),
        "restore": ([], [OLD]),
    }[change]
    if values not in ([allowed[1]] if done else allowed):
        raise ValueError(f"found {values}")
    if change in ("remove", "restore") and len(before) != 1:
        raise ValueError(f"areas and removed hold {before}")
    go_on(project)
    if change == "add":
        project.add(area_of(NEXT))
    no_leftovers(path)
    return 0


def readable_by_others(folder: Path) -> None:
    for name in ("glands", "regions"):
        label = zarr.open_group(folder / "labels" / name, mode="r")
        (dataset,) = label.attrs["ome"]["multiscales"][0]["datasets"]  # type: ignore
        values = np.unique(label[dataset["path"]][...])
        if len(values) != 1 or values[0] not in (OLD, NEW):
            raise ValueError(f"{name} of {folder} shows {values}")


def go_on(project: AnnotationProject) -> None:
    """Save once more, and see it in the labels that others read."""
    for stored in project.stored():
        revision = project.save(stored.key, area_of(NEXT), stored.revision)
        if revision != stored.revision + 1 or value_of(project.load(stored.key)[0]) != NEXT:
            raise ValueError("it cannot be gone on with")


def no_leftovers(path: Path) -> None:
    files = [file for file in path.rglob("*") if file.is_file() and file != path / ".lock"]
    hidden = [
        file for file in files if any(part.startswith(".") for part in file.relative_to(path).parts)
    ]
    for area in path.glob("areas/*/labels/*"):
        if area.is_dir() and len([entry for entry in area.iterdir() if entry.is_dir()]) != 1:
            hidden.append(area)
    if hidden:
        raise ValueError(f"left over: {hidden}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
