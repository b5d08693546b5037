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
def naming_file(path: Path | None, place: str = "") -> Iterator[None]:
    """Turn what goes wrong while reading a file into an error that names it.

    Parameters
    ----------
    path : Path or None
    place : str
        Where in the file, e.g. ``"at tile 3, 4 of level 0"``.

    Raises
    ------
    UnsupportedImageError
        If one was raised inside (its text continues the sentence that starts with the path),
        or if a decoder said that it lacks something.
    UnreadableImageError
        For whatever else a decoder raised.
    """
    try:
        yield
    except UnsupportedImageError as error:
        raise type(error)(f"{path} {error}") from error
    except (ImportError, NotImplementedError) as error:
        raise UnsupportedImageError(
            f"{path} is stored in a way that cannot be read ({_reason(error)}). Save it as a "
            "TIFF with JPEG, deflate or LZW compression."
        ) from error
    except _DECODING_ERRORS as error:
        where = f" {place}" if place else ""
        raise UnreadableImageError(
            f"{path} is damaged or incomplete{where} ({_reason(error)}). Copy or export it again."
        ) from error


def _reason(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
