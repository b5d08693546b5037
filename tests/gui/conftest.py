"""A real napari window with the plugin in it, a tiny model, and images to segment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

MPP = 0.5
TINY = "tiny"


@pytest.fixture(scope="session")
def tiny_model(
    colour_network: Callable[[float], Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A checkpoint that segments by colour and calls everything malignant."""
    from napari_gland_mtl.checkpoint import ModelCard, save_model

    network = colour_network(2.0)
    card = ModelCard(
        name=TINY,
        description="Segments by colour, for tests.",
        mpp=MPP,
        network=network.config.model_dump(mode="json"),
        licence="None needed.",
        measures={"object_dice": {"mean": 0.5}},
        log_vars={"classification": -0.5},
    )
    return save_model(tmp_path_factory.mktemp("models") / f"{TINY}.safetensors", network, card)


@pytest.fixture(autouse=True)
def _only_the_tiny_model(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model list holds the tiny model alone, whatever is bundled or installed."""
    monkeypatch.setattr("napari_gland_mtl.checkpoint.model_folders", lambda: (tiny_model.parent,))


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Every test ends with the threads of jobs gone."""
    yield
    left = [t.name for t in threading.enumerate() if t.name.startswith("gland-mtl")]
    assert left == []


@pytest.fixture(autouse=True)
def _plugin(npe2pm: Any) -> None:
    """The plugin as napari finds it, from the packaged manifest; no other plugin."""
    from npe2 import PluginManifest

    import napari_gland_mtl

    manifest = Path(napari_gland_mtl.__file__).parent / "napari.yaml"
    npe2pm.register(PluginManifest.from_file(manifest))


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    """A window that is shown; napari's fixture closes it and looks for leaks."""
    return make_napari_viewer(show=True)


@pytest.fixture
def widget(viewer: Any) -> Any:
    """The dock, opened as the menu opens it."""
    _, widget = viewer.window.add_plugin_dock_widget("napari-gland-mtl", "Segment glands")
    return widget


@pytest.fixture
def tissue() -> npt.NDArray[np.uint8]:
    """Pink with purple rings, 160 x 224."""
    y, x = np.mgrid[:160, :224]
    image = np.full((160, 224, 3), (225, 160, 200), np.uint8)
    for cy, cx in ((50, 60), (110, 160)):
        distance = np.hypot(y - cy, x - cx)
        image[distance < 35] = (120, 60, 150)
        image[distance < 18] = (245, 240, 245)
    noise = np.random.default_rng(0).integers(-12, 12, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def image(viewer: Any, tissue: npt.NDArray[np.uint8]) -> Any:
    """The tissue as a layer with a pixel size."""
    return viewer.add_image(tissue, name="tissue", scale=(MPP, MPP), translate=(10, 20), units="um")


@pytest.fixture
def finish(qtbot: Any) -> Callable[[Any], None]:
    """Wait until the widget's job has ended and is shown."""

    def wait(widget: Any, timeout: int = 30_000) -> None:
        qtbot.waitUntil(lambda: not widget.running, timeout=timeout)

    return wait
