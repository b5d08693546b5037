"""The form shows what the configuration allows, and gives back what it accepts."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from napari_gland_mtl.widgets._config_form import ConfigForm


class Inner(BaseModel):
    """A nested configuration."""

    min_area_um2: float = Field(default=30.0, ge=0, le=100, description="Smaller is dropped.")


class Outer(BaseModel):
    """One field of each kind."""

    model: str = "set elsewhere"
    tile_size: int = Field(default=512, ge=64, le=1024, multiple_of=16, description="px")
    flips: bool = True
    mode: Literal["fast", "good"] = "good"
    inner: Inner = Inner()


@pytest.fixture
def form(qtbot: Any) -> ConfigForm:
    form = ConfigForm(Outer(), exclude=("model",))
    qtbot.addWidget(form)
    return form


def test_a_form_starts_with_the_defaults_and_round_trips(form: ConfigForm) -> None:
    assert "model" not in form.values()
    assert Outer(**form.values()) == Outer()


def test_limits_steps_and_tooltips_come_from_the_fields(form: ConfigForm) -> None:
    tile = form.controls["tile_size"]
    assert (tile.min, tile.max, tile.step) == (64, 1024, 16)
    assert tile.native.toolTip() == "px"
    area = form.groups["inner"].controls["min_area_um2"]
    assert (area.min, area.max) == (0, 100)


def test_changed_values_come_back_and_reset_undoes_them(form: ConfigForm) -> None:
    form.controls["flips"].value = False
    form.controls["mode"].value = "fast"
    form.groups["inner"].controls["min_area_um2"].value = 12.5
    found = Outer(**form.values())
    assert (found.flips, found.mode, found.inner.min_area_um2) == (False, "fast", 12.5)
    form.reset()
    assert Outer(**form.values()) == Outer()


def test_every_control_can_be_found_by_its_name(form: ConfigForm) -> None:
    from qtpy.QtWidgets import QWidget

    for name in ("config_tile_size", "config_flips", "config_mode", "config_inner_min_area_um2"):
        assert form.findChild(QWidget, name) is not None
