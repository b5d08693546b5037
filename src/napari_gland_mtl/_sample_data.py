"""The entries of napari's *File > Open Sample*.

Two synthetic stained fields with their true masks, to try everything on at once, and a real
image of colon glands that comes with scikit-image. Whatever is slow to import is imported
where it is used, so that the menu answers at once.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LayerData = tuple["npt.NDArray[Any]", dict[str, Any], str]
"""What napari calls a layer data tuple: array, attributes of the layer, type of the layer."""

SAMPLE_MPP = 0.62
"""um per pixel of the synthetic fields."""


def synthetic_benign() -> list[LayerData]:
    """Synthetic benign mucosa with its true regions and glands.

    Returns
    -------
    list of LayerData
        An image (768, 768, 3) and two label layers of the same size, in um.
    """
    return _synthetic_field("benign")


def synthetic_malignant() -> list[LayerData]:
    """Synthetic adenocarcinoma with its true regions and glands; see `synthetic_benign`."""
    return _synthetic_field("malignant")


def colon() -> list[LayerData]:
    """Real colon glands, DAB stain with haematoxylin: scikit-image's IHC image.

    Acquired at the Center for Microscopy and Molecular Imaging (CMMI); no known copyright
    restrictions. Its pixel size is not documented, so the layer has none, and segmenting asks
    for it. It is not H&E either: a network trained on H&E meets a foreign stain.

    Returns
    -------
    list of LayerData
        One image (512, 512, 3) in pixels.
    """
    from skimage.data import immunohistochemistry

    note = (
        "Colonic glands, FHL2 with DAB and haematoxylin; CMMI, by way of scikit-image. "
        "No known copyright restrictions. The pixel size is not documented."
    )
    attributes = {"name": "colon (DAB, not H&E)", "metadata": {"origin": note}}
    return [(immunohistochemistry(), attributes, "image")]


def _synthetic_field(kind: str) -> list[LayerData]:
    in_um = {"scale": (SAMPLE_MPP, SAMPLE_MPP), "units": ("um", "um")}
    name = f"synthetic {kind}"
    note = "Drawn by this package's generator; no part comes from a patient."
    image = {"name": name, "metadata": {"origin": note, "class": kind}, **in_um}
    # The truth is there to be compared with; shown at once it would lie over every result.
    hidden = {"visible": False, **in_um}
    regions = {"name": f"{name}: true regions", "opacity": 0.4, **_region_style(), **hidden}
    glands = {"name": f"{name}: true glands", "opacity": 0.5, **hidden}
    return [
        (_read(f"synthetic_{kind}"), image, "image"),
        (_read(f"synthetic_{kind}_regions"), regions, "labels"),
        (_read(f"synthetic_{kind}_glands"), glands, "labels"),
    ]


def _region_style() -> dict[str, Any]:
    """Colours and names of the region codes, stroma clear so that the image stays visible."""
    from .regions import GLAND_REGIONS

    background = GLAND_REGIONS.background
    colors: dict[int | None, str] = {None: "#00000000", 0: "#00000000"}
    for code, region in enumerate(GLAND_REGIONS.regions, 1):
        colors[code] = "#00000000" if region.name == background else region.color
    codes = range(len(GLAND_REGIONS) + 1)
    features = {"index": list(codes), "region": ["not annotated", *GLAND_REGIONS.names]}
    return {"colormap": colors, "features": features}


def _read(name: str) -> npt.NDArray[np.generic]:
    """Pixels of a bundled OME-TIFF."""
    from tifffile import imread

    with as_file(files(__package__) / "samples" / f"{name}.ome.tif") as path:
        pixels: npt.NDArray[np.generic] = imread(path)
    return pixels
