"""Errors that name the file: what libraries raise on damaged files, put into one clear line."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UnreadableImageError, UnsupportedImageError

# tifffile, imagecodecs, Pillow and zarr have no common error for "this file is damaged";
# fuzzed files made them raise all of these.
_DECODING_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)


@contextmanager
def naming_file(path: Path | None) -> Iterator[None]:
    """Turn what goes wrong while reading a file into an error that names it.

    Parameters
    ----------
    path : Path or None

    Raises
    ------
    UnsupportedImageError
        If one was raised inside; its text continues the sentence that starts with the path.
    UnreadableImageError
        For whatever a decoder raised.
    """
    try:
        yield
    except UnsupportedImageError as error:
        raise UnsupportedImageError(f"{path} {error}") from error
    except _DECODING_ERRORS as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise UnreadableImageError(
            f"{path} is damaged or incomplete ({reason}). Copy or export it again."
        ) from error
