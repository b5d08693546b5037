"""Glands in H&E images: instances with lumen, epithelium and stroma, benign or malignant.

A library first: everything works without napari and without Qt. The names below are the public
interface; each is loaded when it is first used, so that opening a file in napari does not wait
for PyTorch. Type checkers read them in ``__init__.pyi``.

Examples
--------
>>> import napari_gland_mtl as gm
>>> sorted(name for name in dir(gm) if name.startswith("list"))
['list_models']
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "Areas": "slides.areas",
    "FinetuneConfig": "jobs.finetune_config",
    "GLAND_REGIONS": "regions",
    "GlandMTLError": "errors",
    "Model": "checkpoint",
    "ModelCard": "checkpoint",
    "NetworkConfig": "network",
    "Region": "regions",
    "RegionHierarchy": "regions",
    "SegmentConfig": "jobs.segment_config",
    "Segmentation": "segmentation",
    "Slide": "slides",
    "SlideConfig": "jobs.segment_config",
    "SlideStore": "export.slide_store",
    "TopologyViolations": "segmentation",
    "TrainingConfig": "training",
    "build_network": "network",
    "count_violations": "metrics.topology",
    "evaluate": "jobs.direct",
    "finetune": "jobs.direct",
    "list_models": "checkpoint",
    "load_model": "checkpoint",
    "open_dataset": "datasets",
    "open_result": "jobs.direct",
    "open_slide": "slides",
    "read_areas": "slides.geojson",
    "read_segmentation": "export.ome_zarr",
    "save_model": "checkpoint",
    "segment": "jobs.direct",
    "segment_image": "jobs.segment",
    "segment_slide": "jobs.direct",
    "segment_slides": "jobs.direct",
    "slide_from_array": "slides",
    "train": "jobs.direct",
    "write_segmentation": "export.ome_zarr",
    "write_table": "export.tables",
}
"""Public name -> the module that has it."""

__all__ = [
    "GLAND_REGIONS",
    "Areas",
    "FinetuneConfig",
    "GlandMTLError",
    "Model",
    "ModelCard",
    "NetworkConfig",
    "Region",
    "RegionHierarchy",
    "SegmentConfig",
    "Segmentation",
    "Slide",
    "SlideConfig",
    "SlideStore",
    "TopologyViolations",
    "TrainingConfig",
    "__version__",
    "build_network",
    "count_violations",
    "evaluate",
    "finetune",
    "list_models",
    "load_model",
    "open_dataset",
    "open_result",
    "open_slide",
    "read_areas",
    "read_segmentation",
    "save_model",
    "segment",
    "segment_image",
    "segment_slide",
    "segment_slides",
    "slide_from_array",
    "train",
    "write_segmentation",
    "write_table",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for (PEP 562)."""
    if name == "__version__":
        value: Any = _installed_version()
    elif name in _HOMES:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """All public names, loaded or not."""
    return sorted({*globals(), *__all__})


def _installed_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("napari-gland-mtl")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0+unknown"
