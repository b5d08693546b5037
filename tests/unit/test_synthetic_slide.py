"""Synthetic slides: windows that agree, whole glands across mirror lines, files that open."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import generate
import numpy as np
import pytest
import synthetic_slide as package
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, binary_erosion, label
from synthetic_slide import SyntheticSlide, base_field, write_tiff
from synthetic_slide.slide import SCAN_TILE
from synthetic_tissue import SyntheticField

from napari_gland_mtl.metrics.topology import count_violations
from napari_gland_mtl.slides import open_slide

FIELD = 384
GLASS = 0


@pytest.fixture(scope="module")
def slide(synthetic_slide):
    return synthetic_slide(1203, 1501, pieces=2, pens=("blue", "red"), sparse=True)


@pytest.fixture(scope="module")
def whole(slide):
    images = [slide.read(level) for level in range(len(slide.levels))]
    return images, slide.regions(), slide.glands(), slide.tissue()


def windows(height, width):
    return st.tuples(
        st.integers(0, height - 1),
        st.integers(0, width - 1),
        st.integers(1, 700),
        st.integers(1, 700),
    ).map(lambda w: (w[0], w[1], min(w[0] + w[2], height), min(w[1] + w[3], width)))


@given(window=windows(1203, 1501))
def test_a_window_is_the_same_alone_and_as_part(slide, whole, window):
    images, regions, glands, tissue = whole
    y0, x0, y1, x1 = window
    part = slide.read_region(0, y0, x0, y1 - y0, x1 - x0)
    np.testing.assert_array_equal(part, images[0][y0:y1, x0:x1])
    np.testing.assert_array_equal(slide.regions(window), regions[y0:y1, x0:x1])
    np.testing.assert_array_equal(slide.glands(window), glands[y0:y1, x0:x1])
    np.testing.assert_array_equal(slide.tissue(window), tissue[y0:y1, x0:x1])


@given(window=windows(300, 375))
def test_a_window_of_a_lower_level_is_the_same_alone_and_as_part(slide, whole, window):
    y0, x0, y1, x1 = window
    part = slide.read_region(1, y0, x0, y1 - y0, x1 - x0)
    np.testing.assert_array_equal(part, whole[0][1][y0:y1, x0:x1])


def test_small_windows_along_the_outline_agree_with_the_whole(synthetic_slide):
    slide = synthetic_slide(2400, 2500, seed=1)
    tissue = slide.tissue()
    side, compared = 30, 0
    for y, x in np.ndindex(900 // side, 2500 // side):
        y0, x0 = y * side, x * side
        near = tissue[max(y0 - 200, 0) : y0 + 230, max(x0 - 200, 0) : x0 + 230]
        if near.any() and not near.all():
            part = slide.tissue((y0, x0, y0 + side, x0 + side))
            np.testing.assert_array_equal(part, tissue[y0 : y0 + side, x0 : x0 + side])
            compared += 1
    assert compared > 300


def test_a_gland_cut_by_the_fields_edge_is_one_with_its_mirror_image(synthetic_slide):
    slide = synthetic_slide(2 * FIELD, 2 * FIELD, pieces=0)
    glands, image = slide.glands(), slide.read()
    left, right = glands[:, FIELD - 1], glands[:, FIELD]
    assert (left > 0).any(), "no gland crosses this line: take another seed"
    np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(image[:, FIELD - 1], image[:, FIELD])
    for number in np.unique(left[left > 0]):
        gland = glands == number
        np.testing.assert_array_equal(gland, gland[:, ::-1])
        assert label(gland)[1] == 1
    away = glands[: FIELD // 2, : FIELD // 2]
    mirrored = glands[: FIELD // 2, ::-1][:, : FIELD // 2]
    inner = away[(away > 0) & ~np.isin(away, left)]
    assert inner.size
    assert not np.isin(inner, mirrored).any(), "glands off the line are no twins of their images"


@pytest.mark.parametrize("pieces", [1, 3])
def test_every_number_is_one_whole_gland(synthetic_slide, pieces):
    slide = synthetic_slide(pieces=pieces, seed=pieces)
    glands, regions = slide.glands(), slide.regions()
    numbers = slide.gland_numbers()
    assert label(glands > 0)[1] == len(numbers) == len(np.unique(glands)) - 1 > 8
    np.testing.assert_array_equal(glands > 0, regions >= 2)
    assert count_violations(regions, glands).total == 0
    around = binary_dilation(glands > 0, np.ones((3, 3))) & (glands == 0)
    assert (regions[around] == 1).all(), "a gland touches glass"
    # The control: the bare outline does cut glands.
    bare = slide._outline.inside(0, 0, *slide.shape, 1)
    assert (bare != slide.tissue()).any()
    assert ((glands > 0) & ~bare).any()


def test_slivers_are_no_glands(synthetic_slide):
    glands = synthetic_slide(pieces=0).glands((0, 0, 2 * FIELD, 2 * FIELD))
    areas = np.bincount(glands.ravel())[1:] * 0.62**2
    # A quarter of a gland may lie in the first images of the field.
    assert areas[areas > 0].min() >= 600 / 4


def test_most_of_a_glass_framed_slide_is_tissue(whole):
    tissue = whole[3]
    assert 0.3 < tissue.mean() < 0.8
    assert not tissue[0].any()
    assert not tissue[:, -1].any()
    assert label(binary_erosion(tissue, iterations=20))[1] == 2


def test_levels_are_means_of_the_finest(slide, whole):
    images, _, _, tissue = whole
    assert [(level.height, level.width) for level in slide.levels] == [
        (1203, 1501),
        (300, 375),
        (75, 93),
    ]
    assert [level.downsample for level in slide.levels] == [1, 4, 16]
    assert slide.levels[2].mpp == pytest.approx(0.62 * 16)
    for image, d in zip(images[1:], (4, 16), strict=True):
        height, width = image.shape[:2]
        blocks = images[0][: height * d, : width * d].reshape(height, d, width, d, 3)
        mean = blocks.astype(float).mean(axis=(1, 3))
        inside = tissue[: height * d, : width * d].reshape(height, d, width, d).all(axis=(1, 3))
        assert inside.sum() > 100
        assert np.abs(image - mean)[inside].max() <= 0.51
        assert np.abs(image - mean).mean() < 3.0


def test_a_huge_slide_takes_no_memory(synthetic_slide):
    slide = synthetic_slide(100_000, 100_000, downsamples=(1, 4, 16, 64))
    assert slide.read_region(0, 99_000, 99_000, 1000, 1000).min() > 200, "glass at the corner"
    there = (50_000, 49_000, 50_300, 49_500)
    assert slide.read_region(0, 50_000, 49_000, 300, 500).std() > 20
    glands = slide.glands(there)
    assert len(slide.gland_numbers(there)) == len(np.unique(glands)) - 1 > 3
    shifted = slide.glands((50_100, 49_100, 50_400, 49_600))
    np.testing.assert_array_equal(glands[100:, 100:], shifted[:200, :400])
    far = slide.glands((60_000, 49_000, 60_300, 49_500))
    assert not set(np.unique(far)) & set(np.unique(glands)) - {0}
    assert slide.read_region(3, 700, 0, 64, 1562).std() > 10


def test_parts_without_tissue_are_not_scanned(slide, whole, synthetic_slide):
    full = synthetic_slide(1203, 1501, pieces=2, pens=("blue", "red"))
    left_out = ~np.array(
        [[slide.is_scanned(0, row, column) for column in range(6)] for row in range(5)]
    )
    assert 0 < left_out.sum() < left_out.size
    pixels = np.kron(left_out, np.ones((SCAN_TILE, SCAN_TILE), bool))[:1203, :1501]
    assert (whole[0][0][pixels] == 255).all()
    assert not whole[3][pixels].any()
    np.testing.assert_array_equal(whole[0][0][~pixels], full.read()[~pixels])
    assert (full.read()[pixels] != 255).any(), "unscanned parts differ from glass"


def test_a_slide_survives_pickling_and_threads(slide, whole):
    copy = pickle.loads(pickle.dumps(slide))  # noqa: S301 - our own bytes
    corners = [(y, x) for y in range(0, 1000, 200) for x in range(0, 1200, 200)]
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda corner: copy.read_region(0, *corner, 200, 200), corners))
    for (y, x), part in zip(corners, parts, strict=True):
        np.testing.assert_array_equal(part, whole[0][0][y : y + 200, x : x + 200])


def test_pens_write_on_glass_alone(synthetic_slide):
    bare, marked = synthetic_slide(), synthetic_slide(pens=("blue", "green", "red", "black"))
    changed = (bare.read() != marked.read()).any(axis=2)
    assert not (changed & marked.tissue()).any()
    colours = {tuple(colour) for colour in marked.read()[changed].tolist()}
    assert len(colours) == 4
    np.testing.assert_array_equal(bare.glands(), marked.glands())


@pytest.mark.parametrize(("aperio", "name"), [(True, "x.svs"), (False, "x.tif")])
def test_the_file_opens_with_its_levels_and_pixel_size(slide, whole, tmp_path, aperio, name):
    write_tiff(tmp_path / name, slide, aperio=aperio, quality=95)
    with open_slide(tmp_path / name) as opened:
        assert opened.format == ("SVS" if aperio else "TIFF")
        assert opened.mpp == pytest.approx(slide.mpp, rel=1e-3)
        sizes = [(level.height, level.width) for level in opened.levels]
        assert sizes == [(level.height, level.width) for level in slide.levels]
        for level, expected in enumerate(whole[0]):
            difference = np.abs(opened.read(level).astype(int) - expected)
            assert difference.mean() < 5, "JPEG loses more than it should"
            off_by_one = np.abs(opened.read(level)[:-1].astype(int) - expected[1:])
            assert off_by_one.mean() > 2 * difference.mean()
    with tifffile.TiffFile(tmp_path / name) as tif:
        counts = np.array(tif.pages.first.databytecounts).reshape(5, 6)
    scanned = [[slide.is_scanned(0, row, column) for column in range(6)] for row in range(5)]
    np.testing.assert_array_equal(counts > 0, scanned)


def test_writing_reads_a_little_at_a_time(synthetic_slide, tmp_path, monkeypatch):
    slide, largest = synthetic_slide(3000, 3000), []
    read = SyntheticSlide._read

    def spy(self, level, y, x, height, width):
        largest.append(height * width)
        return read(self, level, y, x, height, width)

    monkeypatch.setattr(SyntheticSlide, "_read", spy)
    write_tiff(tmp_path / "x.svs", slide)
    assert len(largest) > 144
    assert max(largest) <= 2**16


def test_a_field_is_drawn_once_and_kept(tmp_path, monkeypatch):
    first = base_field("benign", 384, 0.62, cache=tmp_path / "fields")
    monkeypatch.setattr(package.base_field.__globals__["SyntheticTissue"], "render", None)
    again = base_field("benign", 384, 0.62, cache=tmp_path / "fields")
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.glands, again.glands)
    assert len(list((tmp_path / "fields").iterdir())) == 1


def handmade(*boxes, size=64):
    glands = np.zeros((size, size), np.int32)
    for number, box in boxes:
        glands[box] = number
    regions = np.where(glands > 0, 2, 1).astype(np.uint8)
    image = np.full((size, size, 3), 150, np.uint8)
    return SyntheticField(image, regions, glands, "benign", 1.0)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (handmade((1, np.s_[:, 20:30])), "one edge to the opposite"),
        (handmade((1, np.s_[:20, 20:50]), (0, np.s_[:10, 30:40])), "close a ring"),
        (handmade((1, np.s_[:20, :20]), (0, np.s_[:10, :10])), "close a ring"),
    ],
)
def test_a_field_that_cannot_be_mirrored_is_refused(field, message):
    with pytest.raises(ValueError, match=message):
        SyntheticSlide(200, 200, field=field)


def test_a_gland_in_the_corner_can_be_mirrored():
    slide = SyntheticSlide(128, 128, field=handmade((1, np.s_[-20:, -20:])), pieces=0)
    assert len(slide.gland_numbers()) == 1
    np.testing.assert_array_equal(np.argwhere(slide.glands() > 0)[[0, -1]], [[44, 44], [83, 83]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"height": 0}, "1 px or more"),
        ({"pieces": -1}, "0 pieces or more"),
        ({"downsamples": (2, 4)}, "begin with downsample 1"),
        ({"downsamples": (1, 5)}, "multiple of every downsample"),
        ({"pens": ("pink",)}, "blue, green, red, black"),
        ({"pens": ("blue",) * 5}, "up to 4 pens"),
    ],
)
def test_bad_option_is_named(synthetic_slide, options, message):
    with pytest.raises(ValueError, match=message):
        synthetic_slide(**options)


def test_command_writes_a_slide_with_its_truth(tmp_path, capsys):
    command = "--slide 900 1000 --mpp 0.62 --field 384 --truth --levels 1 2 4"
    cache, path = tmp_path / "fields", tmp_path / "new" / "case.svs"
    generate.main([*command.split(), "--cache", str(cache), "-o", str(path)])
    printed = [Path(line).name for line in capsys.readouterr().out.split()]
    assert printed == ["case.svs", "case_regions.tif", "case_glands.tif"]
    field = base_field("benign", 384, 0.62, cache=cache)
    slide = SyntheticSlide(900, 1000, field=field, downsamples=(1, 2, 4))
    for what in ("regions", "glands"):
        stored = tifffile.imread(path.with_name(f"case_{what}.tif"))
        np.testing.assert_array_equal(stored, getattr(slide, what)())
    with open_slide(path) as opened:
        assert [level.height for level in opened.levels] == [900, 450, 225]


@pytest.mark.parametrize("command", [["--slide", "90", "90"], []])
def test_command_says_where_the_file_is_missing(command, capsys):
    with pytest.raises(SystemExit):
        generate.main(command)
    assert "where to write to" in capsys.readouterr().err
