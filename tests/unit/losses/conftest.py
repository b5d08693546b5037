"""The paper's equations in the most literal way: loops over pixels, regions and assignments.

Nothing here uses the package's own idea of an assignment: validity is tested on all 2^L subsets
of the regions, straight from the parents, and all arithmetic is in Python's float64.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from napari_gland_mtl.regions import Region, RegionHierarchy

# Region -> its parent, in the order of the codes.
FORESTS = {
    "glands": {"stroma": None, "epithelium": None, "lumen": "epithelium"},
    "flat": {"epithelium": None, "stroma": None},
    "deep": {
        "stroma": None,
        "epithelium": None,
        "lumen": "epithelium",
        "mucin": "lumen",
        "muscle": None,
        "nerve": "muscle",
    },
    "children before parents": {
        "mucin": "lumen",
        "nerve": "muscle",
        "lumen": "epithelium",
        "stroma": None,
        "muscle": None,
        "epithelium": None,
        "vessel": "muscle",
    },
}


class LiteralForest:
    """One forest of regions with the equations over it."""

    def __init__(self, parents):
        self.parents = parents
        self.names = list(parents)
        regions = tuple(Region(name=name, parent=parent) for name, parent in parents.items())
        self.hierarchy = RegionHierarchy(regions=regions)

    def __len__(self):
        return len(self.names)

    def is_valid(self, assignment):
        """V(S): in some region; inside the parent of each; never in two regions side by side."""
        chosen = {name for name, inside in zip(self.names, assignment, strict=True) if inside}
        contained = all(
            self.parents[name] is None or self.parents[name] in chosen for name in chosen
        )
        above = [self.parents[name] for name in chosen]
        return bool(chosen) and contained and len(set(above)) == len(above)

    def valid_assignments(self):
        everything = itertools.product((0, 1), repeat=len(self))
        return [assignment for assignment in everything if self.is_valid(assignment)]

    def truth(self, code):
        """S_p of an annotated pixel: its region and all that contain it."""
        inside, name = set(), self.names[code - 1]
        while name is not None:
            inside.add(name)
            name = self.parents[name]
        return tuple(int(name in inside) for name in self.names)

    def probability(self, activations, assignment):
        """Eq. 7: P(a) = V(a) exp(sum_r a_r f_r) / Z."""

        def score(candidate):
            return math.exp(sum(a * float(f) for a, f in zip(candidate, activations, strict=True)))

        return score(assignment) / sum(score(other) for other in self.valid_assignments())

    def marginal(self, activations, region):
        """Pt(S_r = 1) = sum of P(a) over valid a with a_r = 1."""
        return sum(
            self.probability(activations, assignment)
            for assignment in self.valid_assignments()
            if assignment[region] == 1
        )

    def marginals(self, logits):
        """Pt(S_r = 1) of every pixel, same shape as `logits` (N, L, H, W)."""
        result = np.zeros(logits.shape)
        count, _, height, width = logits.shape
        for n, y, x in itertools.product(range(count), range(height), range(width)):
            for region in range(len(self)):
                result[n, region, y, x] = self.marginal(logits[n, :, y, x], region)
        return result

    def annotated(self, labels):
        count, height, width = labels.shape
        pixels = itertools.product(range(count), range(height), range(width))
        return [pixel for pixel in pixels if labels[pixel] != 0]

    def segmentation(self, logits, labels):
        """Eq. 6 with both halves."""
        total = 0.0
        for n, y, x in self.annotated(labels):
            truth = self.truth(labels[n, y, x])
            for region in range(len(self)):
                p = 1 / (1 + math.exp(-logits[n, region, y, x]))
                total -= truth[region] * math.log(p) + (1 - truth[region]) * math.log(1 - p)
        return total / max(1, len(self.annotated(labels)))

    def topology(self, logits, labels):
        """Eq. 8."""
        total, marginals = 0.0, self.marginals(logits)
        for n, y, x in self.annotated(labels):
            for region, inside in enumerate(self.truth(labels[n, y, x])):
                total += -inside * math.log(marginals[n, region, y, x])
        return total / max(1, len(self.annotated(labels)))

    def geometry(self, probabilities, labels):
        """Eq. 9, every ordered pair of neighbours."""
        total = 0.0
        _, height, width = labels.shape
        for n, y, x in self.annotated(labels):
            for region, inside in enumerate(self.truth(labels[n, y, x])):
                for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                    qy, qx = y + dy, x + dx
                    if not (0 <= qy < height and 0 <= qx < width):
                        continue
                    alike = int(labels[n, qy, qx] == labels[n, y, x])
                    here = math.log(probabilities[n, region, y, x])
                    there = math.log(probabilities[n, region, qy, qx])
                    total += inside * abs(here - there) * alike
        return total / max(1, len(self.annotated(labels)))

    def example(self, height=4, width=3, count=2, seed=0, unannotated=0.2):
        """Random logits (float64) and labels with every code and some pixels left out."""
        rng = np.random.default_rng(seed)
        logits = torch.from_numpy(rng.normal(scale=2.0, size=(count, len(self), height, width)))
        # Few codes per image, so that equal neighbours are common.
        labels = rng.integers(1, len(self) + 1, (count, height, width))
        labels = np.where(rng.random(labels.shape) < 0.5, labels[:, :1, :1], labels)
        labels[rng.random(labels.shape) < unannotated] = 0
        return logits, torch.from_numpy(labels)


@pytest.fixture(scope="session", params=list(FORESTS), ids=lambda name: name.replace(" ", "_"))
def forest(request):
    """Each of several forests in turn."""
    return LiteralForest(FORESTS[request.param])


@pytest.fixture(scope="session")
def glands():
    """The paper's three regions."""
    return LiteralForest(FORESTS["glands"])


@pytest.fixture(scope="session")
def deep():
    """stroma; epithelium > lumen > mucin; muscle > nerve."""
    return LiteralForest(FORESTS["deep"])
