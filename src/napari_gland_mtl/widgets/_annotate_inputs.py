"""What is asked before a new area is made: image, pixel size, model, part, beginning, way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QVBoxLayout, QWidget

from ..errors import GlandMTLError, InvalidInputError, ModelNotFoundError
from . import _layers
from ._annotate_job import NewArea
from ._annotation_places import ImageIdentity
from ._extent import Extent, shape_outlines, window_around
from ._extent_chooser import ExtentChooser, ExtentWords
from ._fold import Fold
from ._image_chooser import ImageChooser, PixelSizeField
from ._image_source import Window, image_shape, image_source
from ._model_chooser import ModelChooser
from ._result_text import area_text
from ._run_panel import RunPanel

NEW_AREA = "New annotation area"
NO_IMAGE = "There is no image. Open one with File > Open, or drop it on the window."
LARGEST_SIDE = 4096
"""Px of an area: what napari paints on and saves without a stutter."""
SMALLEST_SIDE = 32
FOLLOW_MS = 500
LABEL_WIDTH = 70
BEGINNINGS = {"The model's prediction": True, "Nothing": False}
WAYS = {"Whole glands": "glands", "Regions": "regions"}
AREA_WORDS = ExtentWords(
    "What becomes the area: all of a small image, what you see, or a rectangle that you draw.",
    "Adds a layer on which a drag of the mouse draws a rectangle. The last one drawn becomes the "
    "area.",
    "Now drag a rectangle on the image, then press “New annotation area”.",
    "Takes the last rectangle on",
    "“New annotation area”",
)


class AnnotateInputs(QWidget):
    """The controls for a new area.

    Parameters
    ----------
    viewer : napari.Viewer
    parent : QWidget, optional
    """

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.image_chooser = ImageChooser(viewer)
        self.image_chooser.setToolTip("The slide or field to annotate.")
        self.pixel_size = PixelSizeField()
        self.model_chooser = ModelChooser()
        self.extent_chooser = ExtentChooser(
            viewer, lambda: self.image_chooser.layer, words=AREA_WORDS
        )
        self.extent_chooser.combo.setCurrentText(Extent.VIEW.value)
        self.beginning = _combo(
            "beginning_combo",
            BEGINNINGS,
            "Correct what the model finds, or draw everything yourself.",
        )
        self.way = _combo(
            "way_combo",
            WAYS,
            "Whole glands: outline each gland; its lumen is proposed from the stain. Regions: "
            "paint stroma, epithelium and lumen. In both, what you leave out is ignored.",
        )
        self.size_label = QLabel()
        self.size_label.setObjectName("area_size_label")
        self.size_label.setWordWrap(True)
        self.run_panel = _run_panel()
        self._arrange()
        self._timer = QTimer(self)
        self._timer.setInterval(FOLLOW_MS)
        self._timer.timeout.connect(self.refresh)
        self.extent_chooser.combo.currentIndexChanged.connect(lambda: self.refresh())
        self.model_chooser.combo.currentIndexChanged.connect(lambda: self.refresh())

    def set_image(self, image: Any | None) -> None:
        """Another image was chosen, or none."""
        self.pixel_size.set_layer(image)
        self.refresh()

    def show_subject(self, image: Any, mpp: float | None = None, model: str = "") -> None:
        """Choose an image, and what is known of it in another dock, where it is not known here."""
        self.image_chooser.choose(image)
        if mpp is not None:
            self.pixel_size.enter(mpp)
        if model:
            self.model_chooser.choose(model)

    def identity(self) -> ImageIdentity | None:
        """What recognises the chosen image; None if there is none that can be annotated."""
        image = self.image_chooser.layer
        return None if image is None else identity_of(image)

    def request(self, project: Path) -> NewArea:
        """What is asked for now, to be kept in `project`.

        Raises
        ------
        InvalidInputError, MissingPixelSizeError, ModelNotFoundError
            If something is missing, or the area would be too large or too small.
        """
        request = replace(self.next_request(project), window=self.window_of(self.image()))
        check_size(area_shape(request.window, request.slide_mpp, request.model_mpp))
        return replace(request, predict=BEGINNINGS[self.beginning.currentText()])

    def next_request(self, project: Path) -> NewArea:
        """What is asked for if the part is chosen later: begun with the prediction, all of it.

        Raises
        ------
        InvalidInputError, MissingPixelSizeError, ModelNotFoundError
            If something is missing.
        """
        image = self.image()
        entry = self.model_chooser.entry
        model = self.model_chooser.model()
        if entry is None:
            raise ModelNotFoundError("Choose a model: its um/px is that of the area.")
        identity = identity_of(image)
        return NewArea(
            image=image_source(image),
            slide_mpp=self.pixel_size.value(),
            window=(0, 0, *image_shape(image)),
            project=project,
            slide=image.name if identity is None else identity.name,
            slide_path="" if identity is None or identity.path is None else str(identity.path),
            way="regions" if WAYS[self.way.currentText()] == "regions" else "glands",
            model=model,
            model_name=str(entry.name),
            model_mpp=float(entry.card.mpp),
            predict=True,
        )

    def image(self) -> Any:
        """The chosen layer.

        Raises
        ------
        InvalidInputError
            If there is none.
        """
        image = self.image_chooser.layer
        if image is None:
            raise InvalidInputError(NO_IMAGE)
        return image

    def window_of(self, image: Any) -> Window:
        """The chosen part of an image; of several drawn rectangles the last.

        Raises
        ------
        InvalidInputError
            If nothing is drawn, or it misses the image.
        """
        part = self.extent_chooser.part_on(image)
        if self.extent_chooser.extent is Extent.SHAPES:
            shapes = self.extent_chooser.shapes()
            return window_around(shape_outlines(shapes)[-1], image)
        height, width = image_shape(image)
        return part.window or (0, 0, height, width)

    def refresh(self) -> None:
        """Say how large the area would be, or why there can be none."""
        if self.image_chooser.layer is None or not self.isEnabled():
            self.size_label.setText(NO_IMAGE if self.image_chooser.layer is None else "")
            return
        try:
            window = self.window_of(self.image())
            mpp, entry = self.pixel_size.value(), self.model_chooser.entry
            if entry is not None:
                shape = area_shape(window, mpp, entry.card.mpp)
                cover = _cover_text(self._viewer, self.image_chooser.layer)
                self.size_label.setText(f"{_size_text(shape, entry.card.mpp)}{cover}")
                check_size(shape)
        except GlandMTLError as error:
            self.size_label.setText(str(error))

    def set_settings_enabled(self, enabled: bool) -> None:
        """Nothing that an area is made with may change while it is made."""
        self._settings.setEnabled(enabled)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Follow the viewer while somebody looks."""
        super().showEvent(event)
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """Nobody looks."""
        super().hideEvent(event)
        self._timer.stop()

    def _arrange(self) -> None:
        self.subject = _grid({"Image": self.image_chooser, "Pixel size": self.pixel_size})
        self._settings = _grid(
            {
                "Model": self.model_chooser,
                "Area": self.extent_chooser,
                "": self.size_label,
                "Begin with": self.beginning,
                "Draw": self.way,
            }
        )
        self.fold = Fold("New area", "new_area_fold")
        self.fold.addWidget(self._settings)
        self.fold.addWidget(self.run_panel)
        self.fold.expand(animate=False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.subject)
        layout.addWidget(self.fold)


def identity_of(image: Any) -> ImageIdentity | None:
    """What recognises an image layer when its file is opened again; None for a stack."""
    from ..slides.formats import slide_name

    try:
        source = image_source(image)
    except InvalidInputError:
        return None
    path = source.path or (Path(image.source.path) if image.source.path else None)
    # A file that was moved or deleted while it is shown is still what its areas are kept beside.
    if path is not None and not (path.exists() or path.parent.is_dir()):
        path = None
    name = slide_name(path) if path is not None else str(image.name)
    return ImageIdentity(name, path, (source.height, source.width))


def area_shape(window: Window, slide_mpp: float, area_mpp: float) -> tuple[int, int]:
    """Height and width, in px of the area, of a window of the slide."""
    from ..slides.resampling import resampled_size

    scale = area_mpp / slide_mpp
    return (
        resampled_size(window[2] - window[0], scale),
        resampled_size(window[3] - window[1], scale),
    )


def check_size(shape: tuple[int, int]) -> None:
    """Refuse what cannot be painted on fluently, or holds next to nothing.

    Raises
    ------
    InvalidInputError
    """
    height, width = shape
    if max(shape) > LARGEST_SIDE:
        raise InvalidInputError(
            f"This area would be {width:,} x {height:,} px at the model's µm/px; at most "
            f"{LARGEST_SIDE:,} px a side can be annotated at once. Zoom in, or draw a smaller "
            "rectangle."
        )
    if min(shape) < SMALLEST_SIDE:
        raise InvalidInputError(
            f"This area would be only {width} x {height} px at the model's µm/px; it should have "
            f"at least {SMALLEST_SIDE} px a side. Zoom out, or draw a larger rectangle."
        )


def _size_text(shape: tuple[int, int], mpp: float) -> str:
    height, width = shape
    return f"{width:,} x {height:,} px of {mpp:.3g} µm, {area_text(height * width * mpp**2)}"


def _cover_text(viewer: Any, image: Any) -> str:
    """What hides the chosen image: two that were opened lie in the same place.

    A map of its own result is meant to lie over it.
    """
    tissue = _layers.image_layers(viewer)
    if image not in tissue:
        return ""
    for layer in tissue[: tissue.index(image)]:
        if layer.visible and layer.opacity > 0.5 and _overlap(layer, image):
            return f".\nNot in sight: “{layer.name}” lies over “{image.name}”. Hide or move it."
    return ""


def _overlap(one: Any, other: Any) -> bool:
    a, b = (layer.extent.world[:, -2:] for layer in (one, other))
    return bool((a[0] < b[1]).all() and (b[0] < a[1]).all())


def _run_panel() -> RunPanel:
    panel = RunPanel()
    panel.set_run_text(NEW_AREA)
    panel.run_button.setToolTip("Make the area, over the image, ready to be painted on.")
    panel.cancel_button.setToolTip("Stop; no area is made.")
    return panel


def _grid(rows: Mapping[str, QWidget]) -> QWidget:
    box = QWidget()
    grid = QGridLayout(box)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setColumnStretch(1, 1)
    grid.setColumnMinimumWidth(0, LABEL_WIDTH)
    for row, (text, control) in enumerate(rows.items()):
        label = QLabel(text)
        if text:
            label.setMinimumHeight(QComboBox().sizeHint().height())
        grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(control, row, 1)
    return box


def _combo(name: str, texts: Iterable[str], tip: str) -> QComboBox:
    combo = QComboBox()
    combo.setObjectName(name)
    combo.addItems(list(texts))
    combo.setToolTip(tip)
    return combo
