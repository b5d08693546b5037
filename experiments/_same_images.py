"""Keeps results of different images out of one table.

A run's name tells the names, classes and um/px of its images, and not their pixels: went one on in
the same folder after an annotation was changed, results of before and after would stand side by
side. So the folder remembers a fingerprint of every image. It is that of the pixels of image and
mask, in whatever format they are stored. The lumen, which is derived from them, does not count: how
long that takes is more than a look at the tables should.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from _glas import Glas
from _locks import in_turn

from napari_gland_mtl.checkpoint import replace_file
from napari_gland_mtl.datasets.dataset import Annotation, Record, Sample
from napari_gland_mtl.datasets.glas import MASK_SUFFIX
from napari_gland_mtl.datasets.masks import MASK_ENDINGS, read_mask
from napari_gland_mtl.errors import DatasetError
from napari_gland_mtl.jobs.fingerprints import annotation_digest
from napari_gland_mtl.slides import open_slide

IMAGES_FILE = "images.json"
SHOWN = 3


def check_images(glas: Glas, part: str, out: Path, keep: bool) -> None:
    """Refuse images that differ from those that the folder's runs were made with.

    Parameters
    ----------
    glas : Glas
    part : str
        Whose images are looked at.
    out : Path
        The folder of the experiments. One that remembers nothing is taken as it is.
    keep : bool
        Whether it is to remember these images from now on.

    Raises
    ------
    DatasetError
        If an image, its mask or its class is another one.
    """
    now = fingerprints(glas, part)
    _compare(_remembered(out), now, glas.folder, out)
    if keep:
        with in_turn(out / "images.lock"):
            before = _remembered(out)  # perhaps another process was faster
            _compare(before, now, glas.folder, out)
            if not now.keys() <= before.keys():
                text = json.dumps({**before, **now}, indent=1) + "\n"
                replace_file(out / IMAGES_FILE, text.encode())


def fingerprints(glas: Glas, part: str) -> dict[str, str]:
    """Name of each image -> fingerprint of its pixels, its mask and its class."""
    sides = glas.divided(part)
    drawn = (path for path in glas.folder.iterdir() if path.suffix.lower() in MASK_ENDINGS)
    files = {path.stem: path for path in drawn}
    return {record.name: _digest(record, files) for side in sides for record in side.records}


def _digest(record: Record, files: dict[str, Path]) -> str:
    image, regions, instances = _drawn(record, files)
    sample = Sample(
        record.name, image, regions, instances, record.class_index, record.patient, record.mpp
    )
    both = hashlib.sha256(annotation_digest(sample).encode())
    both.update(f"{image.shape} {image.dtype}".encode())
    both.update(np.ascontiguousarray(image).tobytes())
    return both.hexdigest()


def _drawn(record: Record, files: dict[str, Path]) -> Annotation:
    """Image and mask of GlaS as they are stored; of other folders all there is."""
    image, mask = files.get(record.name), files.get(record.name + MASK_SUFFIX)
    if image is None or mask is None:
        return record.read()
    with open_slide(image) as slide:
        pixels = slide.read()
    return pixels, np.empty((0, 0), dtype=np.uint8), read_mask(mask)


def _remembered(out: Path) -> dict[str, str]:
    path = out / IMAGES_FILE
    if not path.is_file():
        return {}
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _compare(before: dict[str, str], now: dict[str, str], glas: Path, out: Path) -> None:
    changed = [name for name in now if before.get(name, now[name]) != now[name]]
    if changed:
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        raise DatasetError(
            f"Results in {out} were made with other images than those in {glas}: "
            f"{', '.join(changed[:SHOWN])}{more} differ in pixels, annotation or class. Name "
            "another folder for the results, or give the images as they were."
        )
