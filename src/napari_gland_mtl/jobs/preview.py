"""What the model that is being trained makes of the place that the user looks at.

The window says where to look, at any time and from its own thread; the training asks after each
epoch, in its thread, and opens the image there. Where nothing is to be looked at, nothing is
computed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..checkpoint import ModelCard
    from ..network import GlandNetwork
    from ..segmentation import Segmentation
    from ..slides import Slide
    from .stop import StopToken

OpenSlide = Callable[[], "AbstractContextManager[Slide]"]
Window = tuple[int, int, int, int]

LARGEST_PX = 1024
"""Side, in px of the network, up to which a window is segmented; of a larger one its middle."""


@dataclass(frozen=True)
class _Target:
    """Where to look."""

    open_slide: OpenSlide
    window: Window
    mpp: float | None


class Preview:
    """Holds the place to look at, and segments it when asked.

    Examples
    --------
    >>> preview = Preview()
    >>> preview.wanted
    False
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._target: _Target | None = None

    def set_target(self, open_slide: OpenSlide, window: Window, mpp: float | None = None) -> None:
        """Say where to look from now on; may be called from any thread.

        Parameters
        ----------
        open_slide : callable
            Gives a context with the slide, in the thread of the training.
        window : tuple of int
            (y0, x0, y1, x1) in px of the slide's full resolution; clipped to the slide.
        mpp : float, optional
            Micrometres per pixel, where the slide does not say it.
        """
        with self._lock:
            self._target = _Target(open_slide, window, mpp)

    def clear(self) -> None:
        """Look nowhere from now on; may be called from any thread."""
        with self._lock:
            self._target = None

    @property
    def wanted(self) -> bool:
        """Whether there is a place to look at."""
        with self._lock:
            return self._target is not None

    def segment(
        self, network: GlandNetwork, card: ModelCard, stop: StopToken | None = None
    ) -> Segmentation | None:
        """Segment the place with a network as it is now.

        Parameters
        ----------
        network : GlandNetwork
            Copied, and left as it is.
        card : ModelCard
            Tells the network's um/px.
        stop : StopToken, optional

        Returns
        -------
        Segmentation or None
            Its ``provenance["region"]`` says where it lies. None where nothing is to be looked
            at, or the job was stopped.

        Raises
        ------
        GlandMTLError, OSError
            If the slide cannot be read (any more).
        """
        with self._lock:
            target = self._target
        if target is None:
            return None
        from ..checkpoint import Model
        from .events import SegmentationDone
        from .segment import segment_image
        from .segment_config import SegmentConfig

        device = next(network.parameters()).device
        name = str(device) if device.type == "cuda" else device.type
        config = SegmentConfig(model=card.name, mpp=target.mpp, flips=False, device=name)
        model = Model(network, card, sha256="", path=Path())
        with target.open_slide() as slide:
            window = _middle(target.window, slide, target.mpp, card.mpp)
            for event in segment_image(slide, config, stop, window, model):
                if isinstance(event, SegmentationDone) and event.segmentation.complete:
                    return event.segmentation
        return None


def _middle(window: Window, slide: Slide, mpp: float | None, network_mpp: float) -> Window:
    """The window, or of a very large one its middle: an epoch is not to wait for it."""
    full = slide.levels[0]
    y0, x0, y1, x1 = window
    y0, x0, y1, x1 = max(y0, 0), max(x0, 0), min(y1, full.height), min(x1, full.width)
    most = round(LARGEST_PX * network_mpp / (mpp or slide.mpp or network_mpp))
    (y0, y1), (x0, x1) = _shortened(y0, y1, most), _shortened(x0, x1, most)
    return y0, x0, y1, x1


def _shortened(first: int, last: int, most: int) -> tuple[int, int]:
    left = max(0, last - first - most) // 2
    return first + left, min(last, first + left + most)
