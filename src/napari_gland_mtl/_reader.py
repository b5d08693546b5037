"""napari's reader: images of tissue with their scale, saved segmentations with their layers.

A file that is a sound image but nothing to segment (a Z stack, fluorescence) is left to other
readers; a damaged one is not, so that the user learns what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

LayerData = tuple[Any, dict[str, Any], str]
Reader = Callable[[str | Sequence[str]], list[LayerData]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Give the reader for `path`, or None if another plugin should read it.

    Parameters
    ----------
    path : str or sequence of str
        One file or folder, or several of them.

    Returns
    -------
    callable or None
    """
    paths = _paths(path)
    return read if paths and all(_is_ours(item) for item in paths) else None


def read(path: str | Sequence[str]) -> list[LayerData]:
    """Read images, and the segmentations saved with them, as layers.

    Parameters
    ----------
    path : str or sequence of str

    Returns
    -------
    list of tuple
        Per file the image ``"<stem>"`` and, from a store that a segmentation was saved to,
        ``"<stem> regions"`` and ``"<stem> glands"``; scale in um where it is known.

    Raises
    ------
    UnreadableImageError
        If a file is damaged.
    """
    return [layer for item in _paths(path) for layer in _layers(item)]


def _paths(path: str | Sequence[str]) -> list[Path]:
    return [Path(path)] if isinstance(path, str | Path) else [Path(item) for item in path]


def _is_ours(path: Path) -> bool:
    from .errors import UnreadableImageError, UnsupportedImageError
    from .slides import is_slide_path, open_slide

    if not is_slide_path(path):
        return False
    try:
        open_slide(path).close()
    except UnsupportedImageError:
        return _is_label_store(path)
    except UnreadableImageError:
        return True
    return True


def _is_label_store(path: Path) -> bool:
    from .export.label_store import is_label_store

    return is_label_store(path)


def _layers(path: Path) -> list[LayerData]:
    from .export.label_store import is_label_store, read_label_layer
    from .export.layers import layers_from_segmentation
    from .export.ome_zarr import is_segmentation, read_segmentation
    from .slides.formats import slide_name

    if is_label_store(path):
        return [read_label_layer(path)]
    layers = [_image_layer(path)]
    if is_segmentation(path):
        layers += layers_from_segmentation(read_segmentation(path), slide_name(path))
    return layers


def _image_layer(path: Path) -> LayerData:
    from .export.layers import placement
    from .slides import open_slide

    slide = open_slide(path)  # stays open: the layer reads from it when it is drawn
    levels = slide.pyramid()
    record = {
        "role": "image",
        "path": str(path),
        "format": slide.format,
        "mpp": slide.mpp,
        "mpp_note": slide.mpp_note,
    }
    attributes: dict[str, Any] = {
        "name": slide.name,
        "rgb": True,
        "multiscale": len(levels) > 1,
        "metadata": {"napari_gland_mtl": record},
        **placement(slide.mpp),
    }
    return (levels if len(levels) > 1 else levels[0]), attributes, "image"
