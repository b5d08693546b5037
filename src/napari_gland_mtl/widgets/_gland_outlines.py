"""Outlines of glands that are drawn without the window having to wait for them.

napari computes the outlines of a labels layer in the window's thread whenever the layer is drawn
anew: 0.2 s for a field of 4 megapixels, several seconds for the largest. A job computes them here,
in its own thread; a layer that still shows the same labels takes them instead. Whatever was
painted on is computed by napari, as ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import ref

import numpy as np
import numpy.typing as npt

from ..export.layers import fingerprint

_METHOD = "_calculate_contour"
"""Napari's own, for which there is no public place to step in; without it all is as before."""


@dataclass(frozen=True)
class GlandOutlines:
    """The outlines of one label image.

    Attributes
    ----------
    labels : ndarray of int32, (Y, X)
        The labels near the edges of glands, 0 elsewhere.
    width : int
        Px inside of each edge, as in a layer's ``contour``.
    fingerprint : int
        Of the label image they belong to.
    """

    labels: npt.NDArray[np.int32]
    width: int
    fingerprint: int


def gland_outlines(glands: npt.NDArray[np.int32], width: int) -> GlandOutlines:
    """Outlines of glands; may be called in any thread.

    A pixel belongs to an outline if a smaller label lies within `width` px (4-neighbour steps), or
    a larger one beside it; so does napari define it.

    Parameters
    ----------
    glands : ndarray of int, (Y, X)
    width : int
    """
    from scipy import ndimage

    cross = ndimage.generate_binary_structure(2, 1)
    around = ndimage.iterate_structure(cross, width)
    highest = ndimage.grey_dilation(glands, footprint=cross)
    lowest = ndimage.grey_erosion(glands, footprint=around)
    labels = np.where(highest == lowest, 0, glands).astype(np.int32, copy=False)
    return GlandOutlines(labels, width, fingerprint(glands))


def use_outlines(layer: Any, outlines: GlandOutlines) -> None:
    """Let a labels layer draw these outlines for as long as they are its own."""
    napari_draws = getattr(type(layer), _METHOD, None)
    if napari_draws is None:
        return
    known = ref(layer)  # the layer holds the function: no circle may close

    def draw(labels: Any, data_slice: tuple[slice, ...]) -> Any:
        drawn = known()
        if _is_whole(labels, data_slice) and _belong(outlines, drawn, labels):
            return outlines.labels
        return napari_draws(drawn, labels, data_slice)

    setattr(layer, _METHOD, draw)


def _is_whole(labels: Any, data_slice: tuple[slice, ...]) -> bool:
    return all(
        (part.start or 0) == 0 and part.stop == size
        for part, size in zip(data_slice, labels.shape, strict=False)
    )


def _belong(outlines: GlandOutlines, layer: Any, labels: Any) -> bool:
    return bool(
        layer is not None
        and layer.contour == outlines.width
        and labels.shape == outlines.labels.shape
        and layer.colormap.background_value == 0
        and fingerprint(np.asarray(labels)) == outlines.fingerprint
    )
