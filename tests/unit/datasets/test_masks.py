"""Kinds of masks are told apart over a whole set, and doubt is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy import ndimage

from napari_gland_mtl.datasets.mask_kinds import count_contacts, summarise, tell_masks_apart
from napari_gland_mtl.datasets.masks import (
    instances_of,
    is_blurred_binary,
    mask_size,
    read_mask,
    seams,
    without_specks,
)
from napari_gland_mtl.errors import DatasetError, UnreadableImageError


def kind_of(*masks, wanted="auto"):
    summaries = [summarise(Path("masks/m.png"), np.asarray(m, np.int32)) for m in masks]
    return tell_masks_apart(summaries, wanted)


def regions(lumen=True):
    mask = np.ones((40, 50), dtype=np.int32)
    for left in (5, 28):
        mask[8:30, left : left + 18] = 2
        if lumen:
            mask[14:24, left + 6 : left + 12] = 3
    return mask


def blurred(mask):
    grey = ndimage.gaussian_filter((mask > 0) * 255.0, 1.0)
    return np.rint(grey).astype(np.int32)


@pytest.fixture
def three(discs):
    """Three glands: the values of a region mask, and no region mask."""
    return discs((40, 60), (10, 12, 8), (28, 15, 9), (20, 42, 12)).astype(np.int32)


def test_three_glands_are_instances_and_three_regions_are_regions(three):
    assert kind_of(three).kind == "instances"
    assert kind_of(regions()).kind == "regions"


def test_touching_glands_stay_instances(discs):
    touching = discs((40, 60), (20, 15, 12), (20, 40, 13)).astype(np.int32)
    assert seams(touching).any()
    assert kind_of(touching).kind == "instances"


def test_the_whole_set_decides(three):
    few, many = regions(), np.kron(np.arange(10).reshape(2, 5), np.ones((6, 6), int))
    assert kind_of(few, many).kind == "instances"
    assert kind_of(few, regions(lumen=False)).kind == "regions"
    assert kind_of(three > 0, three).kind == "instances"


def test_partly_annotated_regions_are_regions():
    partly = regions()
    partly[:, 20:35] = 0
    partly[:4] = 0
    assert kind_of(partly).kind == "regions"


def test_other_codes_are_asked_for_and_not_guessed():
    shifted = regions() - 1  # 0 background, 1 epithelium, 2 lumen
    with pytest.raises(DatasetError, match="'instances' or 'regions'"):
        kind_of(shifted)
    assert kind_of(shifted, wanted="regions").kind == "regions"


def test_crowded_glands_are_no_regions_since_all_of_them_touch():
    crowded = np.ones((40, 50), dtype=np.int32)
    crowded[:, 25:] = 3
    crowded[30:, 20:30] = 2
    crowded[:3, :3] = 0
    with pytest.raises(DatasetError, match="'instances' or 'regions'"):
        kind_of(crowded)


def test_two_values_are_binary(three):
    for value in (1, 38, 255):
        assert kind_of((three > 0) * value, np.zeros_like(three)).kind == "binary"


def test_blurred_edges_are_binary_and_the_noise_of_an_empty_mask_is_not_glands(three):
    noise = np.random.default_rng(0).integers(0, 4, three.shape)
    found = kind_of(blurred(three), noise)
    assert (found.kind, found.level) == ("binary", 127)
    assert instances_of(noise, found.level).max() == 0
    pieces = instances_of(blurred(three), found.level)
    assert pieces.max() == 3
    assert np.mean((pieces > 0) == (three > 0)) > 0.95


def test_many_instances_up_to_255_are_not_blurred():
    many = np.kron(np.arange(256).reshape(16, 16), np.ones((5, 5), int))
    assert not is_blurred_binary(many)
    assert kind_of(many).kind == "instances"


def test_jpeg_masks_are_blurred(three, tmp_path):
    path = tmp_path / "m.jpg"
    Image.fromarray(((three > 0) * 255).astype(np.uint8)).resize((240, 160)).save(path)
    assert is_blurred_binary(read_mask(path))


def test_masks_that_mark_nothing_are_refused():
    empty = np.zeros((5, 5), np.int32)
    with pytest.raises(DatasetError, match="None of the 2 masks"):
        kind_of(empty, empty)
    assert kind_of(empty, wanted="binary").kind == "binary"


def test_wishes_are_checked(three):
    with pytest.raises(DatasetError, match="not 'magic'"):
        kind_of(three, wanted="magic")
    with pytest.raises(DatasetError, match="holds the value 9"):
        kind_of(three * 3, wanted="regions")
    assert kind_of(regions(), wanted="instances").kind == "instances"


def test_a_region_that_is_nowhere_is_said():
    assert "none of them marks lumen" in kind_of(regions(lumen=False)).text
    assert "none of them" not in kind_of(regions()).text


@given(hnp.arrays(np.int32, (5, 6), elements=st.integers(0, 3)))
@settings(max_examples=30, deadline=None)
def test_contacts_are_those_of_a_loop_over_neighbours(mask):
    counts = np.zeros((4, 4), int)
    for y in range(5):
        for x in range(6):
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                if 0 <= y + dy < 5 and 0 <= x + dx < 6 and mask[y, x] != mask[y + dy, x + dx]:
                    counts[mask[y, x], mask[y + dy, x + dx]] += 1
    assert np.array_equal(count_contacts(mask, 3), counts)


def test_seams_separate_touching_glands(discs):
    touching = discs((40, 60), (20, 15, 12), (20, 39, 12)).astype(np.int32)
    assert ndimage.label(touching > 0, np.ones((3, 3)))[1] == 1
    apart = (touching > 0) & ~seams(touching)
    pieces, count = ndimage.label(apart, np.ones((3, 3)))
    assert count == 2
    assert np.count_nonzero(seams(touching)) < 0.05 * np.count_nonzero(touching)
    assert pieces[20, 15] != pieces[20, 39]


def test_glands_apart_have_no_seam(three):
    assert not seams(three).any()


def test_specks_and_stray_pieces_go(three):
    spoiled = three.copy()
    spoiled[0, :5] = 7
    spoiled[38:, 58:] = 1
    assert np.array_equal(without_specks(spoiled), three)


@pytest.mark.parametrize("name", ["m.png", "m.bmp", "m.tif"])
def test_masks_survive_the_file(tmp_path, write, three, name):
    path = write(tmp_path / name, three.astype(np.uint8))
    assert np.array_equal(read_mask(path), three)
    assert mask_size(path) == three.shape


def test_deep_palette_bilevel_and_grey_colour_masks_are_read(tmp_path, three):
    for name, image in {
        "deep": Image.fromarray((three * 300).astype(np.uint16)),
        "rgb": Image.fromarray(np.stack([three * 80] * 3, axis=-1).astype(np.uint8)),
        "two": Image.fromarray(three > 0),
    }.items():
        path = tmp_path / f"{name}.png"
        image.save(path)
        assert np.array_equal(read_mask(path) > 0, three > 0), name
    palette = Image.fromarray(three.astype(np.uint8)).convert("L")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.save(tmp_path / "p.png")
    assert np.array_equal(read_mask(tmp_path / "p.png"), three)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[0.5, 1.0]], np.float32), "whole numbers"),
        (np.array([[-1, 1]], np.int16), "from -1 to 1"),
        (np.array([[0, 2**32 - 1]], np.uint32), "labels go from 0"),
        (np.zeros((5, 4, 3, 2), np.uint8), "two axes"),
    ],
)
def test_no_label_image_is_refused(tmp_path, array, message):
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, array, photometric="minisblack")
    with pytest.raises(UnreadableImageError, match=message):
        read_mask(path)


@pytest.mark.parametrize("name", ["m.png", "m.tif"])
def test_text_and_missing_files_are_refused(tmp_path, name):
    path = tmp_path / name
    for read in (read_mask, mask_size):
        with pytest.raises(UnreadableImageError, match="There is no file"):
            read(path)
    path.write_text("no picture at all")
    for read in (read_mask, mask_size):
        with pytest.raises(UnreadableImageError, match=name):
            read(path)
