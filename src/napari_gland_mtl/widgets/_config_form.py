"""A form made from a pydantic configuration.

One control per field: its label, tooltip, limits and start value come from the field, so that
the window, the command line and the checkpoint never disagree about what can be set. Nested
configurations become groups. What the form gives back is validated by the configuration.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import annotated_types
from magicgui.widgets import create_widget
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from qtpy.QtWidgets import QFormLayout, QGroupBox, QWidget

UNBOUNDED = 1e9
SMALL = 0.01
"""A start value below it sets the step: a learning rate of 0.0005 is no 0.00."""


class ConfigForm(QWidget):
    """Controls for the fields of a configuration.

    Parameters
    ----------
    config : BaseModel
        Gives the fields and their start values.
    exclude : iterable of str
        Fields that are set elsewhere.
    parent : QWidget, optional
    prefix : str
        Leads the object names: ``<prefix><field>``.
    """

    def __init__(
        self,
        config: BaseModel,
        exclude: Iterable[str] = (),
        parent: QWidget | None = None,
        prefix: str = "config_",
    ) -> None:
        super().__init__(parent)
        self._config = config
        self.controls: dict[str, Any] = {}
        self.groups: dict[str, ConfigForm] = {}
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, field in type(config).model_fields.items():
            if name not in set(exclude):
                self._create_row(name, field, getattr(config, name), prefix)

    def values(self) -> dict[str, Any]:
        """Field names and values, nested configurations as dicts."""
        found = {name: control.value for name, control in self.controls.items()}
        return found | {name: group.values() for name, group in self.groups.items()}

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Take over values as `values` gives them; names without a control are left out."""
        for name, value in values.items():
            if name in self.controls:
                self.controls[name].value = value
            elif name in self.groups:
                self.groups[name].set_values(value)

    def reset(self) -> None:
        """Back to the start values."""
        for name, control in self.controls.items():
            control.value = getattr(self._config, name)
        for group in self.groups.values():
            group.reset()

    def _create_row(self, name: str, field: FieldInfo, value: Any, prefix: str) -> None:
        layout = typing.cast(QFormLayout, self.layout())
        if isinstance(value, BaseModel):
            layout.addRow(self._create_group(name, field, value, prefix))
            return
        control = _create_control(field, value)
        if control is None:
            return
        control.native.setObjectName(f"{prefix}{name}")
        self.controls[name] = control
        layout.addRow(field_title(name, field), control.native)
        layout.labelForField(control.native).setToolTip(field.description or "")

    def _create_group(
        self, name: str, field: FieldInfo, value: BaseModel, prefix: str
    ) -> QGroupBox:
        box = QGroupBox(field_title(name, field))
        box.setToolTip(field.description or "")
        group = ConfigForm(value, parent=box, prefix=f"{prefix}{name}_")
        QFormLayout(box).addRow(group)
        self.groups[name] = group
        return box


def field_title(name: str, field: FieldInfo) -> str:
    """What the label says: the field's title, else its name in words with its unit."""
    if field.title:
        return field.title
    words = name.split("_")
    unit = {"um": " (µm)", "um2": " (µm²)", "mpp": " (µm/px)", "px": " (px)"}.get(words[-1], "")
    if unit and len(words) > 1:
        words = words[:-1]
    return " ".join(words).capitalize() + unit


def _create_control(field: FieldInfo, value: Any) -> Any | None:
    """A magicgui widget for a plain value; None for a kind that no control exists for."""
    kind = _plain_type(field.annotation)
    options: dict[str, Any] = {"tooltip": field.description or ""}
    if kind in (int, float):
        options.update(_limits(field, whole=kind is int))
        if kind is float and value and abs(value) < SMALL:
            options["step"] = 10.0 ** math.floor(math.log10(abs(value)))
    if kind is not bool and kind not in (int, float, str) and not _is_choice(kind):
        return None
    return create_widget(value=value, annotation=field.annotation, options=options)


def _plain_type(annotation: Any) -> Any:
    """The type without ``| None``."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        return parts[0] if len(parts) == 1 else annotation
    return annotation


def _is_choice(kind: Any) -> bool:
    import enum

    if typing.get_origin(kind) is typing.Literal:
        return True
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def _limits(field: FieldInfo, whole: bool) -> dict[str, Any]:
    """Limits and step of a number from the field's constraints."""
    low, high, step = -UNBOUNDED, UNBOUNDED, 1.0 if whole else None
    for rule in field.metadata:
        if isinstance(rule, annotated_types.Ge):
            low = float(typing.cast(Any, rule.ge))
        elif isinstance(rule, annotated_types.Gt):
            low = float(typing.cast(Any, rule.gt)) + (1 if whole else 1e-6)
        elif isinstance(rule, annotated_types.Le):
            high = float(typing.cast(Any, rule.le))
        elif isinstance(rule, annotated_types.Lt):
            high = float(typing.cast(Any, rule.lt)) - (1 if whole else 1e-6)
        elif isinstance(rule, annotated_types.MultipleOf):
            step = float(typing.cast(Any, rule.multiple_of))
    if whole:
        return {"min": int(low), "max": int(high), "step": int(step or 1)}
    span = high - low
    return {"min": low, "max": high, "step": step or (0.05 if span <= 1 else 1.0)}
