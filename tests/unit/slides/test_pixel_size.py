"""A pixel size is believed only where a microscope could have made it."""

import math

import pytest

from napari_gland_mtl.slides.pixel_size import (
    UNKNOWN_PIXEL_SIZE,
    PixelSize,
    first_known,
    from_lengths,
    from_resolution,
    plausible_mpp,
    um_per_unit,
)


@pytest.mark.parametrize("mpp", [0.05, 0.2271, 0.62005, 20.0])
def test_sizes_of_microscope_pixels_are_plausible(mpp):
    assert plausible_mpp(mpp) == mpp


@pytest.mark.parametrize("mpp", [None, 0.0, -0.5, 0.049, 20.1, 352.8, math.nan, math.inf])
def test_other_sizes_are_not(mpp):
    assert plausible_mpp(mpp) is None


@pytest.mark.parametrize(
    ("unit", "um"),
    [
        ("µm", 1),
        ("\u03bcm", 1),
        ("\\u00B5m", 1),
        ("micrometer", 1),
        (" Micron ", 1),
        ("nm", 1e-3),
        ("nanometer", 1e-3),
        ("mm", 1e3),
        ("cm", 1e4),
        ("m", 1e6),
        ("inch", 25400),
        ("Å", 1e-4),
        ("pixel", None),
        ("reference frame", None),
        ("", None),
        (None, None),
    ],
)
def test_units_of_length(unit, um):
    assert um_per_unit(unit) == (None if um is None else pytest.approx(um))


@pytest.mark.parametrize("dpi", [72, 96, 96.012, 100, 150, 299.9994, 300, 600, 1200, 2400, 9600])
def test_print_resolutions_are_no_pixel_sizes(dpi):
    found = from_resolution(dpi, dpi, "The header")
    assert found.mpp is None
    assert "dpi" in found.note


@pytest.mark.parametrize("mpp", [0.05, 0.25, 0.499, 0.62005, 1.0, 2.0, 4.0, 10.0])
def test_resolutions_of_microscopes_are(mpp):
    assert from_resolution(25400 / mpp, 25400 / mpp, "The header").mpp == pytest.approx(mpp)


def test_resolutions_of_nothing_are_unknown():
    for dpi in (0.0, -1.0, math.nan, math.inf):
        assert from_resolution(dpi, dpi, "The header") == UNKNOWN_PIXEL_SIZE


def test_pixels_must_be_square_within_five_percent():
    assert from_lengths(0.50, 0.51, "x").mpp == pytest.approx(0.505)
    assert from_lengths(0.50, 0.54, "x").mpp is None


def test_the_first_known_size_wins_and_a_reason_beats_silence():
    refused, known = PixelSize(None, "72 dpi"), PixelSize(0.5, None)
    assert first_known(UNKNOWN_PIXEL_SIZE, refused, known) == known
    assert first_known(UNKNOWN_PIXEL_SIZE, refused) == refused
    assert first_known(UNKNOWN_PIXEL_SIZE) == UNKNOWN_PIXEL_SIZE
