"""napari's reader: images of tissue with their scale, saved segmentations with their layers.

The result of a whole slide opens over its slide if that is still there, else over the small
picture of it that the result holds; nothing of either is read before it is drawn. A file that is
a sound image but nothing to segment (a Z stack, fluorescence) is left to other readers; a damaged
one is not, so that the user learns what is wrong with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .slides import Slide

logger = logging.getLogger(__name__)

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
        ``"<stem> regions"`` and ``"<stem> glands"``; from that of a whole slide also the maps
        of class probability and the tissue, hidden. Scale in um where it is known.

    Raises
    ------
    UnreadableImageError
        If a file is damaged.
    """
    return [layer for item in _paths(path) for layer in _layers(item)]


def _paths(path: str | Sequence[str]) -> list[Path]:
    return [Path(path)] if isinstance(path, str | Path) else [Path(item) for item in path]


def _is_ours(path: Path) -> bool:
    from .errors import MissingExtraError, UnreadableImageError, UnsupportedImageError
    from .export.slide_state import is_slide_store
    from .slides import is_slide_path, open_slide

    if not is_slide_path(path):
        return False
    if is_slide_store(path):
        return True
    try:
        open_slide(path).close()
    except UnsupportedImageError:
        return _is_label_store(path)
    except (UnreadableImageError, MissingExtraError):
        return True
    return True


def _is_label_store(path: Path) -> bool:
    from .export.label_store import is_label_store

    return is_label_store(path)


def _layers(path: Path) -> list[LayerData]:
    from .export.label_store import is_label_store, read_label_layer
    from .export.layers import layers_from_segmentation
    from .export.ome_zarr import is_segmentation, read_segmentation
    from .export.slide_state import is_slide_store
    from .slides import open_slide
    from .slides.formats import slide_name

    if is_label_store(path):
        return [read_label_layer(path)]
    if is_slide_store(path):
        return _slide_result(path)
    layers = [_image_layer(open_slide(path), path)]
    if is_segmentation(path):
        layers += layers_from_segmentation(read_segmentation(path), slide_name(path))
    return layers


def _slide_result(path: Path) -> list[LayerData]:
    from .export.slide_layers import layers_from_store
    from .export.slide_origin import open_origin
    from .export.slide_store import SlideStore

    store = SlideStore.open(path)
    if not store.complete:
        logger.warning(
            "%s is not complete: its run was stopped or killed, or is still going on. What is "
            "there is shown; segment the slide again with “resume” to go on with it.",
            path,
        )
    slide = open_origin(store.record, store.layout)
    layers = layers_from_store(path, overview=slide is None)
    return layers if slide is None else [_image_layer(slide, slide.path), *layers]


def _image_layer(slide: Slide, path: Path | None) -> LayerData:
    from .export.layers import placement

    levels = slide.pyramid()  # the slide stays open: the layer reads from it when it is drawn
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
