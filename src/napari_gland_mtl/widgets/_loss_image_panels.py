"""The course of the chosen image over the epochs, against all images: a panel per loss."""

from __future__ import annotations

from collections.abc import Callable

from ..plots import FigureTheme, Ranking
from ..plots.image_panel import column_title, image_columns
from ..plots.image_table import ImageTable
from ._loss_picture import PictureCanvas
from ._panel_grid import PanelGrid

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


class ImagePanels(PanelGrid):
    """As many panels side by side as fit."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("image_panels")
        self._shown: tuple[Ranking | None, str, FigureTheme] = None, "", FigureTheme()

    def show_image(self, ranking: Ranking | None, name: str, theme: FigureTheme) -> None:
        """Draw an image of a training against the others; only these if the name is empty."""
        self._shown = ranking, name, theme
        self._show_panels(
            () if ranking is None else image_columns(ranking.table, ranking.losses, ranking.by)
        )

    def _create_canvas(self, name: str) -> ImageCanvas:
        return ImageCanvas(name)

    def _fill(self, canvas: ImageCanvas) -> None:
        ranking, name, theme = self._shown
        if ranking is not None and ranking.table.has(canvas.column):
            canvas.show_image(ranking.table, name, theme)
