"""Every error as one clear line on stderr, with an exit code that scripts can rely on.

2 is bad input (options, files, settings), 3 a fault of this program, 130 an interruption. A
traceback is shown with ``--debug`` only.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from ..errors import GlandMTLError

BAD_INPUT = 2
FAULT = 3

_AS_OPTIONS = {
    "allow it to be overwritten": "give --overwrite",
    "let it be overwritten instead of resumed": "--overwrite instead of --resume",
}
"""What errors advise in words that hold in a window and in Python, too: here it has a name."""


class OneLineErrors(TyperGroup):
    """The group of all commands; its ``main`` turns exceptions into lines and exit codes."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command; see the base class."""
        arguments = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in arguments
        arguments = [argument for argument in arguments if argument != "--debug"] or ["--help"]
        _quieten(debug)
        try:
            code = super().main(
                arguments,
                prog_name,
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                obj={"debug": debug},
                **extra,
            )
        except Exception as error:  # the outermost place, everything ends here
            if debug:
                raise
            code = report(error)
        if not standalone_mode:
            return code or 0
        sys.exit(code or 0)


def report(error: Exception, about: str | None = None) -> int:
    """Print one line on stderr and return the exit code.

    Parameters
    ----------
    error : Exception
    about : str, optional
        The input that the error belongs to, where there are several.
    """
    text, code = _describe(error)
    say(f"{about}: {text}" if about else text)
    return code


def say(text: str) -> None:
    """Print what went wrong as one line on stderr."""
    line = " ".join(text.split())
    for words, option in _AS_OPTIONS.items():
        line = line.replace(words, option)
    typer.echo(f"error: {line}", err=True)


def _describe(error: Exception) -> tuple[str, int]:
    if isinstance(error, ValidationError):
        return "; ".join(_setting(detail) for detail in error.errors()), BAD_INPUT
    if isinstance(error, GlandMTLError):
        return str(error), BAD_INPUT
    if hasattr(error, "format_message"):  # typer's own, of whatever click it brings along
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "gland-mtl"
        return f"{error.format_message().rstrip('.')}. Try '{path} --help'.", BAD_INPUT
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{where}", BAD_INPUT
    kind = type(error).__name__
    return f"unexpected {kind}: {error} (--debug shows where; please report it)", FAULT


def _setting(detail: Any) -> str:
    """One complaint of pydantic in the words of the command line."""
    name = str(detail["loc"][-1]) if detail["loc"] else "settings"
    if detail["type"] == "extra_forbidden":
        return f"there is no setting {name!r}"
    message = detail["msg"].removeprefix("Value error, ")
    given = f", got {detail['input']!r}" if isinstance(detail["input"], str | int | float) else ""
    return f"{name.replace('_', '-')}: {message}{given}"


def _quieten(debug: bool) -> None:
    """Keep what libraries have to say about a bad file out of the one line about it."""
    if not debug:
        warnings.simplefilter("ignore")
        for name in ("tifffile", "napari_gland_mtl", "distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
