"""Which part of the image: all of it, what is in view, or the shapes drawn on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qtpy.QtWidgets import QComboBox, QLabel, QPushButton, QVBoxLayout, QWidget

from ..errors import InvalidInputError
from . import _layers
from ._extent import Extent, Part, part_around, part_of_shapes, view_corners, whole_part
from ._view import canvas_size


@dataclass(frozen=True)
class ExtentWords:
    """What a dock says of the part that is chosen.

    Attributes
    ----------
    tip : str
        What the part is for.
    drawing_tip : str
        What becomes of what is drawn.
    hint : str
        What to do once the layer to draw on is there.
    uses : str
        Before the name of the layer that holds what is drawn.
    button : str
        What to press then.
    """

    tip: str
    drawing_tip: str
    hint: str
    uses: str
    button: str


SEGMENT_WORDS = ExtentWords(
    "The part of the image to segment. The result covers this part only and replaces the image's "
    "result before.",
    "Adds a layer on which a drag of the mouse draws a rectangle. Its controls, on the left, have "
    "ellipses and polygons, too; everything drawn is segmented.",
    "Now drag rectangles on the image, one or several, then press Run.",
    "Uses all that is drawn on",
    "Run",
)


class ExtentChooser(QWidget):
    """Chooses the part of the image, and offers a layer to draw on.

    Parameters
    ----------
    viewer : napari.Viewer
    chosen_image : callable
        Gives the image layer to draw on, or None.
    parent : QWidget, optional
    words : ExtentWords
    """

    def __init__(
        self,
        viewer: Any,
        chosen_image: Callable[[], Any | None],
        parent: QWidget | None = None,
        words: ExtentWords = SEGMENT_WORDS,
    ) -> None:
        super().__init__(parent)
        self._words = words
        self._viewer = viewer
        self._chosen_image = chosen_image
        self.combo = self._create_combo()
        self.draw_button = self._create_draw_button()
        self.hint = QLabel()
        self.hint.setObjectName("extent_hint")
        self.hint.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for widget in (self.combo, self.draw_button, self.hint):
            layout.addWidget(widget)
        self._show_choice()

    @property
    def extent(self) -> Extent:
        """The choice."""
        return Extent(self.combo.currentText())

    def refresh(self) -> None:
        """Follow the viewer's shapes layers."""
        if self.extent is Extent.SHAPES:
            self._show_hint()

    def part_on(self, image: Any) -> Part:
        """The chosen part of an image layer.

        Raises
        ------
        InvalidInputError
            If nothing is drawn, or it misses the image.
        """
        if self.extent is Extent.WHOLE:
            return whole_part(image)
        if self.extent is Extent.VIEW:
            return part_around(self._corners_in_view(), image)
        return part_of_shapes(self.shapes(), image)

    def shapes(self) -> Any:
        """The layer that holds what is drawn.

        Raises
        ------
        InvalidInputError
            If there is none.
        """
        shapes = _layers.shapes_layer(self._viewer)
        if shapes is None:
            raise InvalidInputError(
                "Nothing is drawn yet. Press “Draw”, drag a rectangle on the image, then press "
                f"{self._words.button}."
            )
        return shapes

    def _create_combo(self) -> QComboBox:
        combo = QComboBox()
        combo.setObjectName("extent_combo")
        combo.addItems([extent.value for extent in Extent])
        combo.setToolTip(self._words.tip)
        combo.currentIndexChanged.connect(self._show_choice)
        return combo

    def _create_draw_button(self) -> QPushButton:
        button = QPushButton("Draw")
        button.setObjectName("draw_button")
        button.setToolTip(self._words.drawing_tip)
        button.clicked.connect(self._draw)
        return button

    def _show_choice(self, *_: Any) -> None:
        shapes = self.extent is Extent.SHAPES
        self.draw_button.setVisible(shapes)
        self.hint.setVisible(shapes)
        self._show_hint()

    def _show_hint(self) -> None:
        shapes = _layers.shapes_layer(self._viewer)
        text = "" if shapes is None else f"{self._words.uses} “{shapes.name}”."
        self.hint.setText(text)

    def _draw(self, *_: Any) -> None:
        image = self._chosen_image()
        if image is not None:
            _layers.add_shapes_layer(self._viewer, image)
            self.hint.setText(self._words.hint)

    def _corners_in_view(self) -> Any:
        if self._viewer.dims.ndisplay != 2:
            raise InvalidInputError("The viewer shows 3-D. Switch it to 2-D to use its view.")
        # The camera moved into the scene in napari 0.9.
        camera = getattr(self._viewer, "scene", self._viewer).camera
        return view_corners(camera.center, camera.zoom, canvas_size(self))
