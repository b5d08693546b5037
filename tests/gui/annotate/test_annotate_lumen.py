"""The lumen of outlined glands: proposed live, accepted, painted over, undone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

STROMA, EPITHELIUM, LUMEN = 1, 2, 3


@pytest.fixture
def rings(make_area: Any, dock: Any, slide_pixels: Any) -> Any:
    """An area with its two glands outlined: what is purple and what is white inside."""
    area = make_area(box=(195, 290, 355, 610))
    y0, x0, y1, x1 = area.info.window
    from scipy import ndimage

    purple = slide_pixels[y0:y1, x0:x1, 0] < 170
    glands, _ = ndimage.label(ndimage.binary_opening(ndimage.binary_fill_holes(purple)))
    area.glands_layer.data_setitem(np.nonzero(glands), glands[glands > 0])
    dock.panel.lumen_fold.expand(animate=False)
    return area


def proposal(viewer: Any) -> Any:
    found = [layer for layer in viewer.layers if "proposed lumen" in layer.name]
    assert len(found) <= 1
    return found[0] if found else None


def test_the_slider_shows_a_proposal_that_follows_it(
    viewer: Any, dock: Any, rings: Any, done: Any
) -> None:
    lumen = dock.panel.lumen
    active = viewer.layers.selection.active
    lumen.preview_tick.click()
    done(dock)
    layer = proposal(viewer)
    first = np.count_nonzero(layer.data)
    assert set(np.unique(layer.data)) == {0, LUMEN}
    assert not (layer.data > 0)[rings.glands_layer.data == 0].any()
    np.testing.assert_allclose(
        layer.data_to_world((3, 4)), rings.glands_layer.data_to_world((3, 4))
    )
    assert viewer.layers.selection.active is active
    assert not rings.regions_layer.data.any()
    lumen.slider.setValue(20)
    done(dock)
    assert np.count_nonzero(proposal(viewer).data) > first
    lumen.preview_tick.click()
    assert proposal(viewer) is None


def test_the_proposal_is_what_the_same_bias_derives(
    viewer: Any, dock: Any, rings: Any, done: Any
) -> None:
    from napari_gland_mtl.datasets.lumen import LumenConfig, derive_regions

    dock.panel.lumen.slider.setValue(6)
    done(dock)
    expected = derive_regions(
        rings.store.image, rings.glands_layer.data, rings.info.mpp, LumenConfig(bias=0.3)
    )
    shown = proposal(viewer).data == LUMEN
    np.testing.assert_array_equal(shown, (expected == LUMEN) & (rings.glands_layer.data > 0))


def test_accepting_writes_epithelium_and_lumen_and_is_saved_and_undone(
    viewer: Any, dock: Any, rings: Any, done: Any, until_saved: Any, stored: Any
) -> None:
    dock.panel.lumen.slider.setValue(4)
    dock.panel.lumen.accept_button.click()
    done(dock)
    regions, inside = rings.regions_layer.data, rings.glands_layer.data > 0
    assert proposal(viewer) is None
    assert set(np.unique(regions[inside])) == {EPITHELIUM, LUMEN}
    assert not regions[~inside].any()
    until_saved(rings)
    found = stored(rings)
    assert (found.info.lumen_bias, found.info.lumen_accepted) == (0.2, True)
    np.testing.assert_array_equal(found.regions, regions)
    rings.regions_layer.undo()
    assert not rings.regions_layer.data.any()


def test_a_second_acceptance_leaves_alone_what_was_painted_over(
    dock: Any, rings: Any, done: Any, disc: Any
) -> None:
    lumen, layer = dock.panel.lumen, rings.regions_layer
    lumen.accept_button.click()
    done(dock)
    old = rings.glands_layer.data.copy()
    painted = (layer.data == LUMEN) & disc(rings, 100, 100, 400)
    layer.data_setitem(np.nonzero(painted), EPITHELIUM)  # there is no lumen, says the user
    # A new gland is drawn on what is free.
    new = disc(rings, 4, 4, 9) & (old == 0)
    rings.glands_layer.data_setitem(np.nonzero(new), int(old.max()) + 1)
    assert lumen.keep_tick.isVisible()
    assert lumen.keep_tick.isChecked()
    lumen.accept_button.click()
    done(dock)
    assert not (layer.data[old > 0] == LUMEN).any()
    assert (layer.data[new] == EPITHELIUM).any()
    lumen.keep_tick.click()
    lumen.accept_button.click()
    done(dock)
    assert (layer.data[old > 0] == LUMEN).any()


def test_the_preview_follows_the_glands(
    viewer: Any, dock: Any, rings: Any, done: Any, qtbot: Any
) -> None:
    dock.panel.lumen.preview_tick.click()
    done(dock)
    before = np.count_nonzero(proposal(viewer).data)
    label = int(rings.glands_layer.data[proposal(viewer).data > 0][0])
    gland = rings.glands_layer.data == label
    rings.glands_layer.data_setitem(np.nonzero(gland), 0)
    qtbot.waitUntil(lambda: np.count_nonzero(proposal(viewer).data) < before, timeout=5000)
    assert not proposal(viewer).data[gland].any()


def test_without_glands_there_is_nothing_to_propose(dock: Any, area: Any, done: Any) -> None:
    dock.panel.lumen.accept_button.click()
    done(dock)
    assert "No gland" in dock.panel.lumen.label.text()


def test_where_regions_are_painted_no_lumen_is_proposed(dock: Any, make_area: Any) -> None:
    make_area(way="Regions")
    assert not dock.panel.lumen_fold.isVisible()
    assert not dock.panel.tools.gland_tools.isVisible()
