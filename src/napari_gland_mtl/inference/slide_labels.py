"""Label a slide of any size from its stored probabilities, in one sweep from top to bottom.

The result is that of `decoding.decode` on the whole slide at once, whatever the blocks: glands
are decoded clump by clump (see `clumps`), so no border of a block or tile cuts one. The sweep
can follow close behind the network. Memory holds a row of blocks as runs and the clumps that
are not complete; it depends on neither the height of the slide nor the number of glands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidInputError
from ..metrics.runs import Runs, concatenated, encode
from ..metrics.topology import any_of, containers, escapes
from ..regions import NOT_ANNOTATED, RegionHierarchy
from ..segmentation import GlandTable, TopologyViolations
from .canvas import Canvas, renumbered, unpack
from .clump_labels import Labelled, label_group
from .clumps import ClumpFinder
from .decoding import DecodingConfig
from .large_clumps import LargeClumps
from .measurements import measure_glands
from .nesting import HOLLOW, SOLID, UNKNOWN
from .overlap import Overlap
from .raw_topology import RawTopology, planes_of
from .repair import outside_code
from .slide_probabilities import Planes, ProbabilitySource, Recipe, read_planes
from .tiling import Window
from .uncertainty import cell_means, entropy

if TYPE_CHECKING:
    import numpy.typing as npt

    Regions = npt.NDArray[np.uint8]
    Instances = npt.NDArray[np.int32]
    Mask = npt.NDArray[np.bool_]
    Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelBlock:
    """Final labels of one block.

    Attributes
    ----------
    window : Window
        Where it lies, in px of the probabilities.
    regions : ndarray of uint8, (h, w)
        Codes of the hierarchy, 0 where nothing was analysed.
    glands : ndarray of int32, (h, w)
        Instances, exactly on the gland codes of `regions`.
    table : dict of str to ndarray
        Rows of the glands that were numbered since the block before. Over all blocks each gland
        has one row, before or with the first block that shows it.
    uncertainty : ndarray of float32, (ceil(h / stride), ceil(w / stride))
        Mean of the cells of the class map, 0 .. 1; NaN where nothing was analysed.
    """

    window: Window
    regions: Regions
    glands: Instances
    table: GlandTable
    uncertainty: npt.NDArray[np.float32]


class SlideLabeller:
    """One sweep over the probabilities of a slide.

    Parameters
    ----------
    source : ProbabilitySource
    hierarchy : RegionHierarchy
    mpp : float
        Micrometres per pixel of the probabilities.
    config : DecodingConfig, optional
    classes : sequence of str
        Names that go with the class map; without them it is not read.
    stride : int
        Pixels per cell of the class map.
    tissue : callable, optional
        Given a window, says which of its pixels show tissue, (h, w). Elsewhere nothing but
        glands is labelled, and glands less than half on tissue are left out.
    block : int
        Side of a block in px; a multiple of `stride`.
    max_window : int
        Clumps whose bounding box holds more pixels are labelled in windows of about this many.
        Some 60 bytes of memory per pixel.

    Attributes
    ----------
    glands : int
        Number of glands so far.
    cut : int
        Glands that end where a window ends: in a clump above `max_window` they go on beyond a
        window that has them in its middle.
    violations : TopologyViolations
        In the labels: none.
    gland_area : int
        Pixels in glands.
    glands_by_class, gland_area_by_class : ndarray of int64, (K,)
        Number of glands, and their pixels, by the most probable class of each gland.

    Raises
    ------
    InvalidInputError
        If a size does not fit or `mpp` is not positive.
    """

    def __init__(
        self,
        source: ProbabilitySource,
        hierarchy: RegionHierarchy,
        mpp: float,
        config: DecodingConfig | None = None,
        classes: Sequence[str] = (),
        stride: int = 16,
        tissue: Callable[[Window], Mask] | None = None,
        block: int = 1024,
        max_window: int = 2**22,
    ) -> None:
        _check(mpp, stride, block, max_window)
        config = config or DecodingConfig()
        self._source = source
        self._recipe = Recipe(hierarchy, mpp, config, tuple(classes), stride, tissue)
        self._block = block
        shape = source.shape
        self._overlap = Overlap(shape, max(self._recipe.reach, 1))
        min_pixels = config.min_gland_area_um2 / mpp**2
        self._finder = ClumpFinder(shape, max_window, min_pixels, cell=block)
        self._large = LargeClumps(source, self._recipe, max_window)
        self._raw = RawTopology(shape, hierarchy)
        self._canvas = Canvas()
        self._read_rows = self._known_rows = self._rendered_rows = 0
        self._tables = [_empty_table(self._recipe)]
        self._activations = np.zeros(len(classes))
        self.glands = self.cut = self.gland_area = 0
        self.glands_by_class = np.zeros(len(classes), dtype=np.int64)
        self.gland_area_by_class = np.zeros(len(classes), dtype=np.int64)
        self.violations = TopologyViolations()

    @property
    def violations_raw(self) -> TopologyViolations:
        """What the network's output broke before any threshold, filter or repair."""
        return self._raw.counts

    @property
    def class_logits(self) -> Values:
        """Class activations averaged over all pixels in glands, (K,); 0 without glands."""
        return self._activations / max(self.gland_area, 1)

    @property
    def pending_bytes(self) -> int:
        """Memory of what was found and not yet given out."""
        return self._finder.nbytes + self._large.nbytes + self._canvas.nbytes

    def blocks(
        self, ready: Iterable[int], stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[LabelBlock]:
        """Run the sweep.

        Parameters
        ----------
        ready : iterable of int
            Growing numbers y: all rows of the probabilities above y are final. The labels do
            not depend on the steps. The sweep ends where this ends.
        stopped : callable
            Asked every few seconds at least; once it says True, the sweep ends for good.

        Yields
        ------
        LabelBlock
            Row by row of blocks; without those in which nothing was analysed.
        """
        height = self._source.shape[0]
        for y in ready:
            while self._read_rows < height and min(self._read_rows + self._block, height) <= y:
                for labelled in self._take_row():
                    if stopped():
                        return
                    if labelled is not None:
                        self._accept(labelled)
                yield from self._rendered()

    def _take_row(self) -> Iterator[Labelled | None]:
        """Read the next row of blocks, and label the clumps that end in it.

        Yields nothing (None) in between, so that the sweep can be stopped there.
        """
        clumps: list[Runs] = []
        glands: list[Runs] = []
        contacts: list[Runs] = []
        for window in self._row(self._read_rows):
            yield None
            planes, outer, inner = self._overlap.add(self._planes(window), window)
            inside = inner.relative_to(outer.y0, outer.x0).slices
            for runs, plane in zip(
                (clumps, glands, contacts), self._masks(planes, inside), strict=True
            ):
                runs.append(encode(plane).shifted(inner.y0, inner.x0))
            self._known_rows = inner.y1
        self._read_rows = min(self._read_rows + self._block, self._source.shape[0])
        self._raw.add(_joined(glands), _joined(contacts), self._known_rows)
        found = self._finder.add(_joined(clumps), self._known_rows)
        for group in found.groups:
            yield label_group(self._source, group.box, group.runs, self._recipe)
        yield from self._large.add(found.large, self._known_rows, self._canvas)

    def _row(self, y: int) -> list[Window]:
        """The blocks of a row."""
        height, width = self._source.shape
        return [
            Window(y, x, y + self._block, x + self._block).clipped(height, width)
            for x in range(0, width, self._block)
        ]

    def _planes(self, window: Window) -> npt.NDArray[np.uint8]:
        """Raw codes, and where glands may be."""
        if not self._source.any(window):
            return np.zeros((2, *window.shape), dtype=np.uint8)
        planes = read_planes(self._source, window, self._recipe)
        return np.stack([planes.raw, planes.solid.view(np.uint8)])

    def _masks(
        self, planes: npt.NDArray[np.uint8], inside: tuple[slice, slice]
    ) -> tuple[Regions, Regions, Regions]:
        """What clumps and violations are found in, for the inner part of the planes."""
        raw, solid = planes[0], planes[1] > 0
        if self._recipe.reach and solid.any():
            from scipy import ndimage

            solid = ndimage.binary_dilation(solid, iterations=self._recipe.reach)
        clumps = np.where(raw == NOT_ANNOTATED, np.uint8(UNKNOWN), np.uint8(HOLLOW))
        clumps[solid] = SOLID
        glands, contacts = planes_of(raw, self._recipe.hierarchy)
        return clumps[inside], glands[inside], contacts[inside]

    def _accept(self, labelled: Labelled) -> None:
        """Number the glands and keep them until their blocks are given out."""
        table = dict(labelled.table)
        table["label"] = table["label"] + np.int32(self.glands)
        self._tables.append(table)
        self._canvas.add(renumbered(labelled.runs, self.glands))
        self.glands += len(table["label"])
        self.cut += labelled.cut
        self.violations = _sum(self.violations, labelled.violations)
        area = np.rint(table["area_um2"] / self._recipe.mpp**2).astype(np.int64)
        self.gland_area += int(area.sum())
        self._activations = self._activations + labelled.activations
        names = self._recipe.classes
        if names:
            columns = [table[f"{name}_probability"] for name in names]
            best = np.argmax(columns, axis=0)
            self.glands_by_class += np.bincount(best, minlength=len(names))
            by_class = np.bincount(best, area, minlength=len(names))
            self.gland_area_by_class += by_class.astype(np.int64)

    def _rendered(self) -> Iterator[LabelBlock]:
        """Blocks above everything that may still change."""
        height, reach = self._source.shape[0], self._recipe.reach
        final = min(self._known_rows, self._finder.top)
        if self._finder.any_large or self._large.waiting:
            final = min(final, self._large.top)
        while self._rendered_rows < height:
            end = min(self._rendered_rows + self._block, height)
            if min(end + reach, height) > final:
                return
            for window in self._row(self._rendered_rows):
                if self._source.any(window):
                    yield self._block_of(window)
            self._canvas.forget_above(end - reach)
            self._rendered_rows = end

    def _block_of(self, window: Window) -> LabelBlock:
        recipe, shape = self._recipe, self._source.shape
        reach = recipe.reach
        wide = Window(window.y0 - reach, window.x0 - reach, window.y1 + reach, window.x1 + reach)
        wide = wide.clipped(*shape)
        planes = read_planes(self._source, wide, recipe)
        glands, regions = self._merged(planes, self._canvas.read(wide))
        inside = window.relative_to(wide.y0, wide.x0).slices
        regions, glands = regions[inside], glands[inside]
        if recipe.tissue is not None:
            regions[~recipe.tissue(window) & (glands == 0)] = NOT_ANNOTATED
        table = {name: np.concatenate([t[name] for t in self._tables]) for name in self._tables[0]}
        self._tables = self._tables[:1]
        uncertainty = cell_means(entropy(planes.probabilities[(..., *inside)]), recipe.stride)
        return LabelBlock(window, regions, glands, table, uncertainty)

    def _merged(self, planes: Planes, painted: Instances) -> tuple[Instances, Regions]:
        """Raw codes outside the glands, and the painted labels in their place."""
        hierarchy = self._recipe.hierarchy
        codes, glands = unpack(painted)
        regions = planes.raw
        regions[any_of(regions, hierarchy.gland_codes)] = outside_code(hierarchy)
        np.copyto(regions, codes, where=painted > 0)
        if self._recipe.reach:
            for container in containers(hierarchy):
                regions[escapes(regions, container, hierarchy) & (glands == 0)] = container
        return glands, regions


def _joined(parts: list[Runs]) -> Runs:
    return concatenated(parts).in_order()


def _sum(first: TopologyViolations, second: TopologyViolations) -> TopologyViolations:
    return TopologyViolations(
        *(a + b for a, b in zip(astuple(first), astuple(second), strict=True))
    )


def _empty_table(recipe: Recipe) -> GlandTable:
    """The columns that every table has."""
    nothing = np.zeros((1, 1), dtype=np.uint8)
    class_map = np.zeros((len(recipe.classes), 1, 1)) if recipe.classes else None
    return measure_glands(
        nothing,
        nothing,
        recipe.mpp,
        class_map,
        recipe.hierarchy,
        recipe.classes,
        uncertainty=np.zeros((1, 1), dtype=np.float32),
    )


def _check(mpp: float, stride: int, block: int, max_window: int) -> None:
    if not np.isfinite(mpp) or mpp <= 0:
        raise InvalidInputError(f"The pixel size must be a positive number of um, got {mpp}.")
    if stride < 1 or block < stride or block % stride:
        raise InvalidInputError(
            f"The block must be a positive multiple of {stride} px, got {block}."
        )
    if max_window < (4 * stride) ** 2:
        raise InvalidInputError(
            f"max_window must be {(4 * stride) ** 2} px at least, got {max_window}."
        )
