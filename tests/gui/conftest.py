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
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is ever written to the documents of whoever runs the tests."""
    folder = tmp_path / "documents"
    folder.mkdir()
    monkeypatch.setattr("napari_gland_mtl.widgets._output_row.own_folder", lambda: folder)
    return folder


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
def small_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is larger than half a megapixel counts as a slide."""
    monkeypatch.setattr("napari_gland_mtl.jobs.segment_config.FIELD_LIMIT_PX", 500_000)


@pytest.fixture(scope="session")
def slide_pixels() -> npt.NDArray[np.uint8]:
    """Glass with a piece of tissue on it, 1024 x 1536: rings every 160 x 160 px.

    The glass is as grey as it may be: what is white is lumen for the network of the tests.
    """
    slide = np.full((1024, 1536, 3), 205, np.uint8)
    y, x = np.mgrid[:160, :160]
    cell = np.full((160, 160, 3), (225, 160, 200), np.uint8)
    distance = np.hypot(y - 80, x - 80)
    cell[distance < 55] = (120, 60, 150)
    cell[distance < 25] = (245, 240, 245)
    slide[192:832, 128:1408] = np.tile(cell, (4, 8, 1))
    noise = np.random.default_rng(0).integers(-8, 8, slide.shape)
    return np.clip(slide + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def write_pyramid(tmp_path: Path) -> Callable[..., Path]:
    """Writes pixels as a pyramidal TIFF with tiles of 256 px at three resolutions."""
    import tifffile

    def write(name: str, pixels: npt.NDArray[np.uint8], mpp: float | None = MPP) -> Path:
        path = tmp_path / "slides" / name
        path.parent.mkdir(exist_ok=True)
        with tifffile.TiffWriter(path) as file:
            for factor in (1, 4, 16):
                size = {} if mpp is None else {"resolution": (1e4 / (mpp * factor),) * 2}
                file.write(
                    pixels[::factor, ::factor],
                    tile=(256, 256),
                    photometric="rgb",
                    compression="deflate",
                    subfiletype=int(factor > 1),
                    resolutionunit="CENTIMETER" if size else "NONE",
                    **size,
                )
        return path

    return write


@pytest.fixture
def slide_file(write_pyramid: Callable[..., Path], slide_pixels: npt.NDArray[np.uint8]) -> Path:
    """The slide with its pixel size, in a folder of its own."""
    return write_pyramid("slide.tif", slide_pixels)


@pytest.fixture
def make_quick() -> Callable[[Any], None]:
    """Gives the form for slides small tiles, no flips and one engine."""

    def change(advanced: Any) -> None:
        advanced.expand(animate=False)
        controls = advanced.form.controls
        controls["tile_size"].value = 512
        controls["flips"].value = False
        controls["engine"].value = "torch"

    return change


@pytest.fixture
def slide(
    viewer: Any,
    widget: Any,
    small_fields: None,
    slide_file: Path,
    make_quick: Callable[[Any], None],
) -> Any:
    """The slide's layer, and settings in the dock that do not keep a test waiting."""
    (layer,) = viewer.open(slide_file, plugin="napari-gland-mtl")
    widget.inputs.refresh()
    make_quick(widget.inputs.advanced)
    return layer


@pytest.fixture
def finish(qtbot: Any) -> Callable[[Any], None]:
    """Wait until the widget's job has ended and is shown."""

    def wait(widget: Any, timeout: int = 30_000) -> None:
        qtbot.waitUntil(lambda: not widget.running, timeout=timeout)

    return wait
