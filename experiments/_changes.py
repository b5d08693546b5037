"""What ``--set`` changes of a setting; whatever a training would refuse is refused at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from difflib import get_close_matches
from typing import Any

from _settings import since
from pydantic import ValidationError

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.network import NetworkConfig
from napari_gland_mtl.training.config import TrainingConfig

ELSEWHERE = {
    "seed": "Give --seeds.",
    "device": "Give --device.",
    "devices": "Every run has one device; several processes share the runs by --shard.",
    **dict.fromkeys(
        ("losses", "weighting", "loss_weights", "convex_share"), "Each row has its own."
    ),
}
OF_THE_NETWORK = ("widths", "decoder_blocks", "class_dropout", "dropout")


def changed(setting: dict[str, Any], texts: Sequence[str]) -> dict[str, Any]:
    """The setting with each NAME=VALUE in it.

    Raises
    ------
    InvalidInputError
        If there is no such name, or a training takes no such value.
    """
    setting = deepcopy(setting)  # without texts, too: whoever asks may go on changing it
    for text in texts:
        name, equals, value = text.partition("=")
        if name not in TrainingConfig.model_fields:
            raise InvalidInputError(
                f"--set {text}: there is no such setting of a training.{_meant(name, setting)}"
            )
        if name in ELSEWHERE:
            raise InvalidInputError(f"--set {text}: {name} is not set here. {ELSEWHERE[name]}")
        if not equals:
            raise InvalidInputError(f"--set {text}: write NAME=VALUE, as in epochs=2.")
        setting = _with(setting, name, _value(value), text)
    return setting


def reasons(error: ValidationError) -> str:
    """What is wrong with some settings, in a line."""
    return "; ".join(
        ": ".join(
            [*map(str, problem["loc"]), str(problem["msg"]).removeprefix("Value error, ")]
        ).rstrip(".")
        for problem in error.errors()
    )


def _with(setting: dict[str, Any], name: str, value: Any, text: str) -> dict[str, Any]:
    if isinstance(value, dict) and isinstance(setting.get(name), dict):
        value = {**setting[name], **value}  # what is not named stays that of the setting
    result = {**setting, name: value}
    try:
        known = TrainingConfig.model_validate({**since(), **result}).model_dump(mode="json")
        NetworkConfig.model_validate({key: known[key] for key in OF_THE_NETWORK})
    except ValidationError as error:
        raise InvalidInputError(f"--set {text} is refused. {reasons(error)}.") from error
    # A number in another guise, such as .001, is the number; a run is named after it.
    return {**result, name: known[name]} if isinstance(value, str) else result


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _meant(name: str, setting: dict[str, Any]) -> str:
    close = get_close_matches(name, [*setting, *since()], n=1)
    return f" Was {close[0]} meant?" if close else f" There are {', '.join(setting)}."
