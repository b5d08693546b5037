"""What went wrong, in words with a cure, for the message box."""

from __future__ import annotations

from pydantic import ValidationError

from ..errors import GlandMTLError

UNCHANGED = "All layers are as they were."


def error_text(error: BaseException, kept: str = UNCHANGED) -> str:
    """The message for the user; never a traceback.

    Parameters
    ----------
    error : BaseException
    kept : str
        What became of the viewer's layers.
    """
    if isinstance(error, GlandMTLError):
        return str(error)
    if isinstance(error, ValidationError):
        return "\n".join(_field_text(item) for item in error.errors())
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return (
            "There is not enough memory. Choose a smaller part of the image, or a smaller tile "
            f"size under “Advanced”. {kept}"
        )
    return (
        f"Something unexpected went wrong ({type(error).__name__}: {error}). "
        f"{kept} The full report is in the terminal; please send it to the developers."
    )


def _field_text(item: object) -> str:
    details = item if isinstance(item, dict) else {}
    field = ".".join(str(part) for part in details.get("loc", ())) or "A setting"
    return f"{field.replace('_', ' ').capitalize()}: {details.get('msg', 'not valid')}."
