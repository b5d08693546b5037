"""How each kind of tissue looks: sizes in um, stain amounts in optical density.

Everything that makes benign mucosa differ from adenocarcinoma is a number here; the drawing
code knows no kinds except for what fills a gland's centre (mucin or an open lumen).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["benign", "malignant"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Recipe:
    """Appearance of one kind of tissue.

    Attributes
    ----------
    pitch, stretch : float
        Lattice distance of gland centres (um), and how much longer it is along one direction.
    jitter : float
        Displacement of centres, fraction of the pitch.
    presence : float
        Share of lattice cells that hold a gland.
    radius, radius_spread : float
        Median gland radius (um) and standard deviation of its logarithm.
    aspect : tuple of float
        Range of length to width of the undisturbed outline.
    lobes : float
        Amplitude of the outline's low harmonics, fraction of the radius.
    gap : float
        Stroma kept between neighbouring glands (um) before bending.
    warp : tuple of (float, float)
        Amplitude and wavelength (um) of each octave that bends the tissue.
    epithelium, epithelium_spread : float
        Height of the epithelial border (um) and its relative variation.
    mucinous : bool
        Goblet cells with pale mucin fill the centre; otherwise an open lumen with debris.
    nucleus : tuple of float
        Semi-axes (um) of epithelial nuclei, across and along the wall.
    nuclear_spacing, nuclear_depth : float, tuple of float
        Distance (um) along the wall; range of depth as a fraction of the epithelium.
    nuclear_rows : int
        Rows of nuclei in the depth of the wall: 1 is a simple, more a stratified epithelium.
    nuclear_stain : tuple of float
        Range of haematoxylin.
    cytoplasm : tuple of float
        Haematoxylin and eosin of the epithelial cytoplasm.
    stroma : tuple of float
        Haematoxylin and eosin of dense stroma.
    looseness : float
        0 dense collagen .. 1 oedematous stroma with many white gaps.
    cellularity, lymphocytes : float
        Share of occupied stromal cell sites; share of round (inflammatory) cells among them.
    cleft : float
        Width (um) of the shrinkage gap that opens here and there around glands.
    """

    pitch: float
    stretch: float
    jitter: float
    presence: float
    radius: float
    radius_spread: float
    aspect: tuple[float, float]
    lobes: float
    gap: float
    warp: tuple[tuple[float, float], ...]
    epithelium: float
    epithelium_spread: float
    mucinous: bool
    nucleus: tuple[float, float]
    nuclear_spacing: float
    nuclear_depth: tuple[float, float]
    nuclear_rows: int
    nuclear_stain: tuple[float, float]
    cytoplasm: tuple[float, float]
    stroma: tuple[float, float]
    looseness: float
    cellularity: float
    lymphocytes: float
    cleft: float


RECIPES: dict[Kind, Recipe] = {
    "benign": Recipe(
        pitch=98.0,
        stretch=1.22,
        jitter=0.16,
        presence=0.93,
        radius=45.0,
        radius_spread=0.17,
        aspect=(1.05, 1.7),
        lobes=0.035,
        gap=9.0,
        warp=((16.0, 190.0), (1.2, 26.0)),
        epithelium=11.0,
        epithelium_spread=0.14,
        mucinous=True,
        nucleus=(4.5, 2.4),
        nuclear_spacing=4.5,
        nuclear_depth=(0.38, 0.6),
        nuclear_rows=1,
        nuclear_stain=(1.3, 2.1),
        cytoplasm=(0.58, 0.6),
        stroma=(0.14, 0.5),
        looseness=0.55,
        cellularity=0.62,
        lymphocytes=0.68,
        cleft=4.5,
    ),
    "malignant": Recipe(
        pitch=132.0,
        stretch=1.9,
        jitter=0.24,
        presence=0.86,
        radius=70.0,
        radius_spread=0.4,
        aspect=(1.3, 2.6),
        lobes=0.2,
        gap=12.0,
        warp=((36.0, 220.0), (10.0, 72.0), (2.0, 24.0)),
        epithelium=28.0,
        epithelium_spread=0.3,
        mucinous=False,
        nucleus=(5.3, 2.75),
        nuclear_spacing=6.0,
        nuclear_depth=(0.16, 0.72),
        nuclear_rows=3,
        nuclear_stain=(1.0, 2.2),
        cytoplasm=(0.46, 0.57),
        stroma=(0.2, 0.57),
        looseness=0.42,
        cellularity=0.6,
        lymphocytes=0.4,
        cleft=6.0,
    ),
}
