"""Haematoxylin and eosin to colours: the law of Beer and Lambert.

Each stain takes light away exponentially: ``I = I0 exp(-(h H + e E))`` with one absorption
vector per stain (Ruifrok and Johnston, Anal. Quant. Cytol. Histol. 23, 2001).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import FloatArray, hash_uniform

_CHANNEL = 300
_HEMATOXYLIN = np.array([0.45, 0.84, 0.29])
_EOSIN = np.array([0.04, 0.97, 0.23])


@dataclass(frozen=True)
class Stain:
    """The dyes of one slide.

    Attributes
    ----------
    hematoxylin, eosin : ndarray, (3,)
        Absorption of red, green and blue, unit length.
    strength : ndarray, (2,)
        Factor on the amount of each dye.
    white : ndarray, (3,)
        Colour of empty glass, 0 .. 255.
    """

    hematoxylin: FloatArray
    eosin: FloatArray
    strength: FloatArray
    white: FloatArray

    @classmethod
    def of_slide(cls, seed: int) -> Stain:
        """Dyes that differ a little from slide to slide."""
        draw = 2.0 * hash_uniform(seed, _CHANNEL, np.arange(6), 0) - 1.0
        hematoxylin = _HEMATOXYLIN + np.array([0.05, 0.0, 0.04]) * draw[:1]
        eosin = _EOSIN + np.array([0.03, 0.0, 0.05]) * draw[1:2]
        return cls(
            hematoxylin=hematoxylin / np.linalg.norm(hematoxylin),
            eosin=eosin / np.linalg.norm(eosin),
            strength=1.0 + np.array([0.1, 0.13]) * draw[2:4],
            white=np.array([250.0, 247.0, 250.0]) + 2.0 * draw[4],
        )

    def to_rgb(self, hematoxylin: FloatArray, eosin: FloatArray) -> FloatArray:
        """Colours (Y, X, 3), float 0 .. 255, of two maps (Y, X) of optical density."""
        density = (self.strength[0] * hematoxylin)[..., None] * self.hematoxylin
        density += (self.strength[1] * eosin)[..., None] * self.eosin
        rgb: FloatArray = self.white * np.exp(-density)
        return rgb
