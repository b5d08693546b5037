"""The field of tissue that a synthetic slide repeats, kept in a file because it takes long.

Drawing costs about 12 CPU seconds per million pixels. A field is drawn once for each kind,
size, pixel size and seed, and again after any change of the code that draws it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import synthetic_tissue
from synthetic_tissue import Kind, SyntheticField, SyntheticTissue, number_pieces

from .mirrored_field import whole_glands_problem

_PLACES = 12


def base_field(
    kind: Kind = "benign",
    size: int = 1024,
    mpp: float = 0.5,
    seed: int = 0,
    cache: Path | None = None,
) -> SyntheticField:
    """A square field that can be continued by its mirror images.

    Parameters
    ----------
    kind : {"benign", "malignant"}
    size : int
        Height and width in px, a multiple of the slide's largest downsample. It should span
        200 um or more, or single glands reach from edge to edge.
    mpp : float
        um per pixel.
    seed : int
    cache : Path, optional
        Folder where fields are kept; made if it is missing. Without one, it is drawn again.

    Returns
    -------
    SyntheticField
        With glands numbered from 1; do not write into it.

    Raises
    ------
    ValueError
        If a parameter is outside of its range, or the field is too small for its glands.
    """
    if cache is None:
        return _drawn(kind, size, mpp, seed)
    path = Path(cache) / f"{kind}_{size}_{mpp:g}_{seed}_{_code_hash()}.npz"
    if not path.exists():
        _save(path, _drawn(kind, size, mpp, seed))
    with np.load(path) as arrays:
        image, regions, glands = (arrays[name] for name in ("image", "regions", "glands"))
    return SyntheticField(image, regions, glands, kind, mpp)


@lru_cache(maxsize=4)
def _drawn(kind: Kind, size: int, mpp: float, seed: int) -> SyntheticField:
    """The first place of the tissue whose glands go well with their mirror images."""
    tissue = SyntheticTissue(kind, seed, mpp)
    problem = None
    for place in range(_PLACES):
        field = tissue.render(0, place * size, size, size)
        glands = number_pieces(field.glands)
        problem = whole_glands_problem(glands)
        if problem is None:
            for array in (field.image, field.regions, glands):
                array.setflags(write=False)
            return SyntheticField(field.image, field.regions, glands, kind, mpp)
    raise ValueError(f"{size} px of {mpp:g} um are too little for {kind} tissue: {problem}.")


def _save(path: Path, field: SyntheticField) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(suffix=".npz", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        np.savez(file, image=field.image, regions=field.regions, glands=field.glands)
    Path(name).replace(path)


@lru_cache(maxsize=1)
def _code_hash() -> str:
    """Of the code that draws: a field of yesterday's code is no truth for today's tests."""
    digest = hashlib.sha256()
    for path in sorted(Path(str(synthetic_tissue.__file__)).parent.glob("*.py")):
        digest.update(path.read_bytes())
    digest.update(Path(__file__).with_name("mirrored_field.py").read_bytes())
    return digest.hexdigest()[:12]
