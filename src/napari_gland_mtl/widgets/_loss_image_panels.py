"""The course of the chosen image over the epochs, against all images: a panel per loss."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtWidgets import QGridLayout, QWidget

from ..plots import FigureTheme, Ranking
from ..plots.image_panel import column_title, image_columns
from ..plots.image_table import ImageTable
from ._loss_picture import MIN_WIDTH, PictureCanvas
from ._piecewise import Piecewise

COLUMN_WIDTH = 300
MOST_COLUMNS = 4
HELP = (
    "The coloured line is the chosen image. The band holds the middle 80 % of all images, the "
    "dashed line is their median."
)


class ImageCanvas(PictureCanvas):
    """Shows one panel of the images' figure.

    Parameters
    ----------
    column : str
        A loss, or its log sigma^2.
    """

    def __init__(self, column: str) -> None:
        super().__init__()
        from ..plots.image_panel import ImagePanel

        self.column = column
        self.setObjectName(f"image_panel_{column}")
        self.setAccessibleName(column_title(column))
        self.setToolTip(HELP)
        self.panel = ImagePanel(self.axes, column)
        self._content: tuple[ImageTable, list[tuple[str, str]], FigureTheme] | None = None

    def show_image(self, table: ImageTable, name: str, theme: FigureTheme) -> None:
        """Draw this image when the canvas is in view; none if the name is empty."""
        self._content = table, [(name, "")] if name else [], theme
        self.set_stale()

    def pieces(self) -> list[Callable[[], None]]:
        """What is to be called, one after another, to draw it."""
        return [self._begin, self._draw, self._render]

    def _begin(self) -> None:
        if self._content is not None:
            self.begin_picture(self._content[2].background)
            self._content[0].band(self.column)

    def _draw(self) -> None:
        if self._content is not None:
            self.panel.draw(*self._content)

    def _render(self) -> None:
        if self._content is not None:
            self.render_picture()


class ImagePanels(QWidget):
    """As many panels side by side as fit."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("image_panels")
        self.setMinimumWidth(MIN_WIDTH)
        self.canvases: dict[str, ImageCanvas] = {}
        self._shown: tuple[Ranking | None, str, FigureTheme] = None, "", FigureTheme()
        self._names: tuple[str, ...] = ()
        self._columns = 0
        self.drawing = Piecewise(self)
        self.drawing.emptied.connect(self._show_pictures)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)

    def show_image(self, ranking: Ranking | None, name: str, theme: FigureTheme) -> None:
        """Draw an image of a training against the others; only these if the name is empty."""
        self._shown = ranking, name, theme
        names = () if ranking is None else image_columns(ranking.table, ranking.losses)
        if names != self._names:
            self._names = names
            self._arrange()
        for column in names:
            self._show(column)

    def _show(self, column: str) -> None:
        """A canvas takes too long to be made with others."""
        ranking, name, theme = self._shown
        if column not in self.canvases:
            self.drawing.add(column, partial(self._add_canvas, column))
        elif ranking is not None and ranking.table.has(column):
            self.canvases[column].show_image(ranking.table, name, theme)

    def _add_canvas(self, column: str) -> None:
        canvas = self.canvases[column] = ImageCanvas(column)
        canvas.exposed.connect(self._on_exposed)
        self._arrange()
        self._show(column)

    def _on_exposed(self, canvas: ImageCanvas) -> None:
        self.drawing.add(canvas, *canvas.pieces())

    def _show_pictures(self) -> None:
        for canvas in self.canvases.values():
            canvas.update()

    def _arrange(self) -> None:
        self._columns = self._fitting()
        while self._grid.count():
            self._grid.takeAt(0)
        for column, canvas in self.canvases.items():
            canvas.setVisible(column in self._names)
        shown = [column for column in self._names if column in self.canvases]
        for index, column in enumerate(shown):
            self._grid.addWidget(self.canvases[column], *divmod(index, self._columns))

    def _fitting(self) -> int:
        fitting = max(1, min(MOST_COLUMNS, self.width() // COLUMN_WIDTH))
        return min(fitting, max(1, len(self._names)))

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """As many panels in a row as fit."""
        super().resizeEvent(event)
        if self._fitting() != self._columns:
            self._arrange()
