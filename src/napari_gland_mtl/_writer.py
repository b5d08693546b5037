"""napari's writers: label layers, alone or as a segmentation with its image, to OME-Zarr."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

LayerData = tuple[Any, dict[str, Any], str]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write one labels layer as an OME-Zarr label image, with its metadata and features.

    Parameters
    ----------
    path : str
        Something that exists is never replaced.
    data : array, (Y, X)
    attributes : dict
        As napari gives them.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    InvalidInputError
        If the layer does not have two axes of whole numbers.
    OutputExistsError, OutputNotWritableError
    """
    from .export.label_store import write_label_layer

    target = _zarr_path(path)
    write_label_layer(target, (data, attributes, "labels"))
    return [str(target)]


def write_multiple(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write an image layer with its regions and glands layers as one OME-Zarr.

    Parameters
    ----------
    path : str
        Something that exists is never replaced.
    layers : sequence of tuple
        The selected layers: one image, and the two label layers of its segmentation.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    InvalidInputError
        If one of the three is missing, or there are several of a kind.
    OutputExistsError, OutputNotWritableError
    """
    from .errors import InvalidInputError
    from .export.layers import is_uncertainty, role_of, window_of
    from .export.ome_zarr import write_segmentation
    from .jobs.corrections import segmentation_as_shown
    from .slides import slide_from_array

    uncertain = [layer for layer in layers if is_uncertainty(layer[1])]
    images = [layer for layer in layers if layer[2] == "image" and not is_uncertainty(layer[1])]
    labels = [layer for layer in layers if role_of(layer[1]) is not None]
    if len(images) != 1 or len(labels) != 2:
        raise InvalidInputError(
            "Select three layers to save together: the image, its regions and its glands."
        )
    segmentation = segmentation_as_shown([*labels, *uncertain])
    data, attributes, _ = images[0]
    name = str(attributes.get("name") or Path(path).stem)
    slide = slide_from_array(data, mpp=segmentation.mpp, name=name)
    target = _zarr_path(path)
    write_segmentation(target, slide, segmentation, offset=window_of(labels[0][1])[:2])
    return [str(target)]


def _zarr_path(path: str) -> Path:
    """With an ending by which it will be recognised when it is opened again."""
    return Path(path) if path.lower().endswith(".zarr") else Path(f"{path}.ome.zarr")
