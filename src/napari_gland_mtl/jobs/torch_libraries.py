"""Torch's libraries, loaded without holding up the other threads of the process.

Python loads a library while no other thread may run: for torch's, that is a third of a second, in
which a window neither draws nor answers. A function called by way of ctypes lets the others go on.
When torch is imported afterwards, it finds its libraries loaded.
"""

from __future__ import annotations

import ctypes
import os
import sys
from importlib.util import find_spec
from pathlib import Path

LIBRARIES = ("libtorch_global_deps.so", "libtorch.so")
"""Torch's own order; the first one's symbols are for all to see."""


def load_torch_libraries() -> None:
    """Call this in the thread of a job that is about to import torch.

    Linux alone; elsewhere, and wherever the libraries are not found, the import loads them.
    """
    if "torch" in sys.modules or not sys.platform.startswith("linux"):
        return
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return
    first, second = (Path(spec.origin).parent / "lib" / name for name in LIBRARIES)
    if _loaded(first, os.RTLD_NOW | os.RTLD_GLOBAL):
        _loaded(second, os.RTLD_NOW)


def _loaded(path: Path, flags: int) -> bool:
    """Whether the library is there now; stays for good."""
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.restype, dlopen.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    return dlopen(os.fsencode(path), flags) is not None
