"""What an image is taken for depends on its tissue, not on how much glass lies around it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_gland_mtl.inference.batches import PredictedTile
from napari_gland_mtl.inference.scaled_slide import ScaledSlide
from napari_gland_mtl.inference.stitching import Mosaic, softmax
from napari_gland_mtl.inference.tiling import Tile, Window, round_up
from napari_gland_mtl.inference.tissue_cells import tissue_cells
from napari_gland_mtl.slides import slide_from_array

STRIDE = 16
UM = 1.6
TISSUE, GLASS = (190, 110, 165), (243, 242, 243)


def field(height, width, tissue=()):
    """Glass with pieces of tissue in it, in px of the network."""
    noise = np.random.default_rng(0).integers(-1, 2, (height, width, 3))
    image = np.full((height, width, 3), GLASS) + noise
    for y0, x0, y1, x1 in tissue:
        image[y0:y1, x0:x1] = TISSUE + 8 * noise[y0:y1, x0:x1]
    return image.astype(np.uint8)


def mosaic_of(image, tissue_says, glass_says, tile=None):
    """A mosaic whose network says one thing of tissue and another of glass, and its tiles."""
    height, width = (round_up(side, STRIDE) for side in image.shape[:2])
    view = ScaledSlide(slide_from_array(image, UM), UM, UM)
    assert view.shape == image.shape[:2]
    side = tile or max(height, width)
    tiles = []
    for y in range(0, height, side):
        for x in range(0, width, side):
            core = Window(y, x, min(y + side, height), min(x + side, width))
            tiles.append(Tile(core, core))
    mosaic = Mosaic(view, Window(0, 0, *image.shape[:2]), tiles, STRIDE, 3, 2)
    results = []
    for each in tiles:
        seen = image[each.core.slices][::STRIDE, ::STRIDE, 1] < 200
        says = np.where(seen, np.reshape(tissue_says, (2, 1, 1)), np.reshape(glass_says, (2, 1, 1)))
        nothing = np.full((3, *each.core.shape), 1 / 3, np.float32)
        results.append(PredictedTile(each, nothing, says.astype(np.float32)))
    return mosaic, results


def class_of(image, tissue_says=(0, 2), glass_says=(4, 0), **options):
    mosaic, results = mosaic_of(image, tissue_says, glass_says, **options)
    for result in results:
        mosaic.add(result)
    return mosaic, mosaic.class_probabilities()


@pytest.mark.parametrize("tile", [None, 64])
def test_glass_around_a_field_does_not_change_its_class(tile):
    plain = field(320, 400, [(0, 0, 320, 400)])
    padded = field(640, 800, [(160, 208, 480, 608)])
    expected = softmax(np.array([0.0, 2.0]))
    np.testing.assert_allclose(class_of(plain, tile=tile)[1], expected, atol=1e-6)
    mosaic, found = class_of(padded, tile=tile)
    np.testing.assert_allclose(found, expected, atol=0.04)  # its rim is half glass
    # The control: all that was analysed taken together would say the other class.
    assert softmax(mosaic.class_map.mean(axis=(1, 2)))[1] < 0.5


def test_tissue_all_over_counts_to_the_last_cell():
    image = field(330, 410, [(0, 0, 330, 410)])
    image[100:140, 100:140] = 240  # a lumen is as white as glass, and within tissue
    mosaic, found = class_of(image)
    cells = tissue_cells(mosaic._view, Window(0, 0, 336, 416), STRIDE)
    assert cells.shape == mosaic.class_map.shape[1:]
    assert cells.all()
    np.testing.assert_allclose(found, softmax(mosaic.class_map.mean(axis=(1, 2))), atol=1e-6)


def test_glass_alone_has_an_answer_of_all_its_cells():
    found = class_of(field(320, 400))[1]
    np.testing.assert_allclose(found, softmax(np.array([4.0, 0.0])), atol=1e-6)


def test_the_cells_are_those_of_the_tissue_wherever_the_map_begins():
    """A region of a slide: its class map does not begin in the slide's corner."""
    image = field(640, 800, [(160, 208, 480, 608)])
    view = ScaledSlide(slide_from_array(image, UM / 2), UM / 2, UM)
    found = tissue_cells(view, Window(64, 80, 320, 400), STRIDE)
    truth = np.zeros((20, 25), dtype=bool)
    truth[5:15, 7:19] = True  # cells of 16 network px, of 32 px of the image
    assert found.shape == (16, 20)
    assert (found == truth[4:20, 5:25]).mean() > 0.9
    assert not found[12:].any()


def test_a_stopped_run_reads_nothing_beyond_its_tiles(monkeypatch):
    mosaic, results = mosaic_of(field(640, 800, [(0, 0, 640, 800)]), (0, 2), (4, 0), tile=128)
    read = []
    original = ScaledSlide.read
    monkeypatch.setattr(
        ScaledSlide, "read", lambda self, window: (read.append(window), original(self, window))[1]
    )
    np.testing.assert_allclose(mosaic.class_probabilities(), 0.5)
    assert not read
    for result in results[:2]:
        mosaic.add(result)
    np.testing.assert_allclose(mosaic.class_probabilities(), softmax(np.array([0.0, 2.0])), 1e-5)
    assert read
    assert all(window.y1 <= 128 and window.x1 <= 256 for window in read)
