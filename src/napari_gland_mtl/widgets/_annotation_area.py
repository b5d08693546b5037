"""An area that is open in the viewer: its layers, its settings, and what of it is not saved yet.

Painting is noticed by the layers' events. napari says nothing when something is undone except
that the layer was drawn anew, which happens for other reasons too: so after that it *may* have
changed, and the store finds out whether it has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..export.ome_zarr import GLANDS, REGIONS
from ..regions import GLAND_REGIONS
from . import _annotation_layers
from ._annotation_store import AreaStore, Snapshot, Written

if TYPE_CHECKING:
    from napari.layers import Labels, Layer

    from ..annotations.area import Area, AreaInfo

PAINTED = ("paint", "labels_update", "data")
DRAWN_ANEW = "set_data"
MOVED = ("scale", "translate", "rotate", "shear", "affine", "units")
PAUSE_S, LONGEST_S, RETRY_S = 2.0, 10.0, 10.0
"""A save follows a pause of the first length, is never later than the second after an edit, and
is tried again after the third."""


@dataclass
class SaveState:
    """What of an area is saved; times are of one monotonic clock, in seconds.

    Attributes
    ----------
    dirty_since : float or None
        When the first change was made that is not saved.
    painted : bool
        Whether it is known that there is such a change.
    last_edit : float
    saved_at : float or None
        When it was last known to be on disk as it is here.
    error : str
        Why the last save failed; empty if it did not.
    retry_at : float
    saving : bool
        Whether a save is under way whose outcome is not known yet.
    """

    dirty_since: float | None = None
    painted: bool = False
    last_edit: float = 0.0
    saved_at: float | None = None
    error: str = ""
    retry_at: float = 0.0
    saving: bool = False

    @property
    def unsaved(self) -> bool:
        """Whether it is not known that all is on disk."""
        return self.saving or self.dirty_since is not None

    def edited(self, now: float, sure: bool) -> None:
        """Something was, or may have been, changed."""
        self.last_edit = now
        self.painted = self.painted or sure
        if self.dirty_since is None:
            self.dirty_since = now

    def due(self, now: float) -> bool:
        """Whether to save now."""
        if self.dirty_since is None or now < self.retry_at:
            return False
        return now - self.last_edit >= PAUSE_S or now - self.dirty_since >= LONGEST_S

    def begun(self) -> None:
        """What there is at this moment is being saved."""
        self.dirty_since, self.painted, self.saving = None, False, True

    def hold(self) -> None:
        """Save nothing for the moment."""
        self.retry_at = math.inf

    def release(self) -> None:
        """Save again."""
        self.retry_at = 0.0 if math.isinf(self.retry_at) else self.retry_at

    def retry_now(self) -> None:
        """Do not wait until a save that failed is tried again; what is held stays held."""
        if not math.isinf(self.retry_at):
            self.retry_at = 0.0

    def succeeded(self, now: float) -> None:
        """It is on disk."""
        self.saved_at, self.error, self.retry_at, self.saving = now, "", 0.0, False

    def failed(self, now: float, error: str) -> None:
        """It is not, and still has to be."""
        self.error, self.retry_at, self.saving = error, now + RETRY_S, False
        self.dirty_since = now if self.dirty_since is None else self.dirty_since
        self.painted = True


class OpenArea:
    """An area and its layers.

    Parameters
    ----------
    viewer : napari.Viewer
    image : napari.layers.Layer or None
        The slide's layer; its moves are followed.
    store : AreaStore
    area : Area
    on_edited : callable
        Called with this object and whether a change is certain.
    on_moved : callable
        Called when its place or its name has changed.
    state : SaveState
        What of it is saved.

    Attributes
    ----------
    info : AreaInfo
    layers : dict of str to napari.layers.Labels
        By role.
    """

    def __init__(
        self,
        viewer: Any,
        image: Layer | None,
        store: AreaStore,
        area: Area,
        on_edited: Callable[[OpenArea, bool], None],
        on_moved: Callable[[], None],
        state: SaveState,
    ) -> None:
        self.store, self.image, self.info = store, image, area.info
        self.state = state
        self._viewer = viewer
        self._on_edited, self._on_moved = on_edited, on_moved
        self._kept_glands = area.glands
        self._hidden: npt.NDArray[np.uint8] | None = None
        self._glands_edited = False
        self.layers: dict[str, Labels] = _annotation_layers.add_area_layers(viewer, image, area)
        for emitter, callback in self._connections():
            emitter.connect(callback)

    @property
    def identity(self) -> tuple[Path, str]:
        """What recognises it: its project, and its key in it."""
        return self.store.project, self.store.key

    @property
    def regions_layer(self) -> Labels:
        """The layer of regions."""
        return self.layers[REGIONS]

    @property
    def glands_layer(self) -> Labels | None:
        """The layer of whole glands; None where regions are painted."""
        return self.layers.get(GLANDS)

    @property
    def painted_layer(self) -> Labels:
        """The one that is painted on in the first place."""
        return self.glands_layer or self.regions_layer

    @property
    def glands(self) -> npt.NDArray[Any]:
        """The glands as they are now; belongs to the layer."""
        layer = self.glands_layer
        return self._kept_glands if layer is None else np.asarray(layer.data)

    def snapshot(self) -> Snapshot:
        """The area as it is now, safe from further painting."""
        shape = self._kept_glands.shape
        glands = np.maximum(self.glands, 0).astype(np.int32)
        regions = np.array(self.regions_layer.data)
        regions[(regions > len(GLAND_REGIONS)) | (regions < 0)] = 0
        if glands.shape != shape or regions.shape != shape:
            raise ValueError(f"The layers of “{self.info.name}” have another size than before.")
        return Snapshot(self.info, glands, regions.astype(np.uint8, copy=False))

    def change(self, **update: Any) -> None:
        """Change settings of the area."""
        info = self.info.model_copy(update=update)
        if info != self.info:
            self._set_info(info)
            self._on_edited(self, True)

    def on_written(self, written: Written, now: float) -> None:
        """A snapshot of it is on disk, perhaps under another name.

        Not so if it was renamed since: that name is still to be saved.
        """
        self.state.succeeded(now)
        if self.info.name == written.asked != written.info.name:
            self._set_info(self.info.model_copy(update={"name": written.info.name}))

    def close(self) -> None:
        """Take the layers out of the viewer."""
        for emitter, callback in self._connections():
            emitter.disconnect(callback)
        _annotation_layers.remove_layers(self._viewer, list(self.layers.values()))

    def tidy(self) -> bool:
        """Let the regions of a gland go and come back with it, where whole glands are drawn.

        Else the lumen of a gland that was erased would stay behind. They are kept aside, so that
        they are there again when the erasing is undone.
        """
        if self.glands_layer is None or not self._glands_edited:
            return False
        self._glands_edited = False
        regions, inside = self.regions_layer.data, self.glands > 0
        if self._hidden is None:
            self._hidden = np.zeros(regions.shape, np.uint8)
        gone = ~inside & np.isin(regions, GLAND_REGIONS.gland_codes)
        back = inside & (regions == 0) & (self._hidden > 0)
        if not gone.any() and not back.any():
            return False
        self._hidden[gone] = regions[gone]
        regions[gone] = 0
        regions[back] = self._hidden[back]
        self.regions_layer.refresh(extent=False)
        return True

    def _set_info(self, info: AreaInfo) -> None:
        renamed = info.name != self.info.name
        self.info = info
        if renamed:
            _annotation_layers.rename(self.layers, info)
            self._on_moved()

    def _connections(self) -> list[tuple[Any, Any]]:
        found = []
        for role, layer in self.layers.items():
            glands = role == GLANDS
            painted = self._on_glands_painted if glands else self._on_painted
            drawn = self._on_glands_drawn if glands else self._on_drawn
            found += [(getattr(layer.events, name), painted) for name in PAINTED]
            found.append((getattr(layer.events, DRAWN_ANEW), drawn))
        found.append((self.regions_layer.events.selected_label, self._limit_label))
        if self.image is not None:
            found += [(getattr(self.image.events, name), self._follow_image) for name in MOVED]
        return found

    def _on_painted(self, event: Any = None) -> None:
        self._on_edited(self, True)

    def _on_drawn(self, event: Any = None) -> None:
        self._on_edited(self, False)

    def _on_glands_painted(self, event: Any = None) -> None:
        self._glands_edited = True
        self._on_edited(self, True)

    def _on_glands_drawn(self, event: Any = None) -> None:
        self._glands_edited = True
        self._on_edited(self, False)

    def _limit_label(self, event: Any = None) -> None:
        """There are no more regions than these; napari's “new label” would make more."""
        layer = self.regions_layer
        if layer.selected_label > len(GLAND_REGIONS):
            layer.selected_label = len(GLAND_REGIONS)

    def _follow_image(self, event: Any = None) -> None:
        if self.image is not None:
            _annotation_layers.place(list(self.layers.values()), self.image, self.info)
            self._on_moved()
