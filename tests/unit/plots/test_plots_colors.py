"""Claims about the colours of the losses: seen on any ground, and by everybody."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from napari_gland_mtl.plots import LOSS_COLORS, on_ground


def luminance(color):
    """WCAG 2: relative luminance of #rrggbb."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first, second):
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


NAPARI_DARK, NAPARI_LIGHT, PAPER = "#23242b", "#ebe7e6", "#ffffff"


@pytest.mark.parametrize(
    ("ground", "least"), [(NAPARI_DARK, 3.9), (NAPARI_LIGHT, 2.4), (PAPER, 3.0)]
)
def test_the_colours_stand_out_on_dark_and_on_light_ground(ground, least):
    colors = [on_ground(color, ground) for color in LOSS_COLORS.values()]
    assert min(contrast(color, ground) for color in colors) > least
    # The control: the yellow of the same set is lost on white, the black on dark.
    assert min(contrast("#f0e442", "#ffffff"), contrast("#000000", "#23242b")) < 1.5


def test_the_blue_is_bright_on_napari_s_dark_and_dark_on_its_light_ground():
    blue = LOSS_COLORS["segmentation"]
    assert contrast(on_ground(blue, NAPARI_DARK), NAPARI_DARK) >= 4.5
    assert contrast(on_ground(blue, NAPARI_LIGHT), NAPARI_LIGHT) >= 3
    # Where the ground is not known, as in an icon, the one colour does on white as well.
    assert contrast(blue, PAPER) >= 3
    # The control: the blue of the Okabe-Ito set is dim on dark.
    assert contrast("#0072b2", NAPARI_DARK) < 3


# Machado, Oliveira & Fernandes (2009), severity 1, for linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def least_difference(colors, kind):
    """The smallest CIEDE2000 difference between two colours, as somebody with `kind` sees them."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colors])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(BLINDNESS[kind]), 0, 1)
    seen = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = rgb2lab(seen[None])[0]
    return min(float(deltaE_ciede2000(a, b)) for a, b in combinations(lab, 2))


@pytest.mark.parametrize("kind", BLINDNESS)
@pytest.mark.parametrize("ground", [NAPARI_DARK, NAPARI_LIGHT])
def test_the_colours_are_told_apart_in_colour_blindness(kind, ground):
    colors = [on_ground(color, ground) for color in LOSS_COLORS.values()]
    assert least_difference(colors, kind) > 12


def test_red_and_green_of_one_lightness_are_not_told_apart():
    """The control of the test above."""
    assert least_difference(["#b05a00", "#7a7a00"], "none") > 25
    assert least_difference(["#b05a00", "#7a7a00"], "deutan") < 12
