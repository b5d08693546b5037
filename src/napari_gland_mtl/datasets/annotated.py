"""Areas annotated on slides, as images to train and to measure on.

Projects and single areas become one data set, which says in words what it holds. What is wrong
with an area is found when it is opened, before any work starts; what its pixels mean is said in
`annotated_area`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..annotations.area import Part
from ..annotations.project import SUFFIX, AnnotationProject, StoredArea, is_project
from ..errors import DatasetError, GlandMTLError, UnreadableImageError
from .annotated_area import annotation_of
from .dataset import UNKNOWN_CLASS, Annotation, Dataset, Record

PARTS: tuple[Part, ...] = ("auto", "training", "validation")

CLASSES = ("benign", "malignant")

__all__ = ["CLASSES", "PARTS", "Chosen", "annotation_of", "find_projects", "open_annotated"]


@dataclass(frozen=True)
class Chosen:
    """One area of a project.

    Attributes
    ----------
    project : Path
    key : str
        As `AnnotationProject.stored` gives it.
    """

    project: Path
    key: str


def open_annotated(
    projects_or_chosen: Sequence[Path | str | Chosen] | Path | str,
    classes: Sequence[str] = CLASSES,
    part: Part | None = None,
) -> Dataset:
    """Open annotated areas as a data set.

    Parameters
    ----------
    projects_or_chosen : sequence of path or Chosen
        Projects, of which all areas are taken, and single areas.
    classes : sequence of str
        Names of the classes; an area of another one counts as of unknown class.
    part : {"auto", "training", "validation"}, optional
        Take only areas that were put there.

    Returns
    -------
    Dataset
        Areas of one slide share a patient unless patients are named, so that a split by patient
        keeps them together. Areas without an annotation are left out.

    Raises
    ------
    DatasetError
        If nothing is annotated, there is no such project or area, or an area is damaged.
    """
    if isinstance(projects_or_chosen, Path | str):
        projects_or_chosen = [projects_or_chosen]
    found = [
        entry for entry in _areas(projects_or_chosen) if part is None or entry[1].info.part == part
    ]
    used = [entry for entry in found if entry[1].annotated_px]
    if not used:
        raise DatasetError(_nothing_text(len(found), part))
    names: set[str] = set()
    records = tuple(_record(project, stored, classes, names) for project, stored in used)
    description = _description([stored for _, stored in used], classes, len(found) - len(used))
    return Dataset(records, tuple(classes), description)


def find_projects(folder: Path) -> list[Path]:
    """The projects directly in a folder, by name; itself if it is one."""
    if is_project(folder):
        return [folder]
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if is_project(path))


# ------------------------------------------------------------------ areas


def _read(project: Path, key: str) -> Annotation:
    try:
        area, _ = AnnotationProject(project).load(key)
    except UnreadableImageError as error:
        raise DatasetError(str(error)) from error
    return annotation_of(area)


def _areas(
    wanted: Sequence[Path | str | Chosen],
) -> Iterator[tuple[AnnotationProject, StoredArea]]:
    """Each area once, in the order in which they were asked for."""
    opened: dict[Path, tuple[AnnotationProject, dict[str, StoredArea]]] = {}
    seen: set[tuple[Path, str]] = set()
    for item in wanted:
        path = Path(item.project if isinstance(item, Chosen) else item)
        if path not in opened:
            opened[path] = _opened(path)
        project, stored = opened[path]
        for key in [item.key] if isinstance(item, Chosen) else list(stored):
            if key not in stored:
                raise DatasetError(
                    f"{path} has no area {key}; it may have been removed in another window. "
                    "Choose the areas anew."
                )
            if (path, key) not in seen:
                seen.add((path, key))
                yield project, _sound(project, stored[key])


def _opened(path: Path) -> tuple[AnnotationProject, dict[str, StoredArea]]:
    if not is_project(path):
        raise DatasetError(f"{path} holds no annotations. Choose a folder NAME{SUFFIX}.")
    try:
        project = AnnotationProject(path)
    except GlandMTLError as error:
        raise DatasetError(str(error)) from error
    return project, {stored.key: stored for stored in project.stored()}


def _sound(project: AnnotationProject, stored: StoredArea) -> StoredArea:
    """Complain of damage before any work starts."""
    if stored.error:
        raise DatasetError(stored.error)
    try:
        project.check(stored.key)
    except UnreadableImageError as error:
        raise DatasetError(str(error)) from error
    return stored


def _record(
    project: AnnotationProject, stored: StoredArea, classes: Sequence[str], names: set[str]
) -> Record:
    info = stored.info
    name, number = f"{info.slide}/{info.name}", 1
    while name in names:
        number += 1
        name = f"{info.slide}/{info.name} ({number})"
    names.add(name)
    return Record(
        name=name,
        class_index=_class_index(info.class_name, classes),
        patient=info.patient or info.slide,
        mpp=info.mpp,
        read=partial(_read, project.path, stored.key),
        part=info.part,
        area=(project.path, stored.key),
    )


def _class_index(name: str, classes: Sequence[str]) -> int:
    folded = [known.casefold() for known in classes]
    return folded.index(name.casefold()) if name.casefold() in folded else UNKNOWN_CLASS


# ------------------------------------------------------------------ in words


def _nothing_text(areas: int, part: Part | None) -> str:
    where = f" put to {part}" if part else ""
    if not areas:
        return f"There is no annotated area{where}. Add one in napari with “Annotate glands”."
    which = "the area" if areas == 1 else f"any of the {areas} areas"
    return (
        f"Nothing is annotated in {which}{where}. Outline at least one gland, or paint regions, "
        "in napari with “Annotate glands”."
    )


def _description(used: Sequence[StoredArea], classes: Sequence[str], empty: int) -> str:
    slides = len({stored.info.slide for stored in used})
    glands = sum(stored.glands for stored in used)
    sizes = sorted({stored.info.mpp for stored in used})
    scale = f"{sizes[0]:.4g}"
    if f"{sizes[-1]:.4g}" != scale:
        scale += f" to {sizes[-1]:.4g} (mixed)"
    text = (
        f"{_counted(len(used), 'annotated area')} on {_counted(slides, 'slide')} at {scale} um/px; "
        f"{_counted(glands, 'gland')}; {_class_text(used, classes)}"
    )
    return text + (f"; {_counted(empty, 'empty area')} left out" if empty else "")


def _class_text(used: Sequence[StoredArea], classes: Sequence[str]) -> str:
    counts = Counter(stored.info.class_name for stored in used)
    known = [name for name in counts if _class_index(name, classes) != UNKNOWN_CLASS]
    if not known:
        return "classes unknown"
    text = "classes " + ", ".join(f"{name} {counts[name]}" for name in sorted(known))
    unknown = len(used) - sum(counts[name] for name in known)
    return text + (f", unknown {unknown}" if unknown else "")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
