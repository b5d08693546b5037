"""Tissue is found, pale or dark, full field or none; glass, dust and felt pens are left out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt, gaussian_filter

from napari_gland_mtl.errors import (
    InvalidInputError,
    MissingPixelSizeError,
    UnreadableImageError,
)
from napari_gland_mtl.slides import PixelSize, Slide, slide_from_array
from napari_gland_mtl.slides.low_resolution import read_low_resolution
from napari_gland_mtl.slides.tissue import (
    TissueConfig,
    TissueMask,
    find_tissue,
    picture_for_tissue,
    tissue_in,
)
from napari_gland_mtl.slides.tissue_shape import grow

MPP = 4.0
GLASS = (243, 243, 242)
STROMA, EPITHELIUM, PALE = (222, 160, 196), (140, 84, 160), (236, 222, 233)
COUNTERSTAIN, BROWN = (168, 180, 206), (140, 98, 70)
BARE = TissueConfig(margin_um=0.0, min_area_um2=0.0, max_hole_um2=0.0)


def noisy(height, width, colour=GLASS, spread=1.5, seed=0):
    noise = np.random.default_rng(seed).normal(0.0, spread, (height, width, 1))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def paint(image, box, colour, spread=8.0):
    shape = image[box].shape[:2]
    image[box] = noisy(*shape, colour, spread, seed=sum(colour))
    return image


def found(image, config=None, mpp=MPP):
    """The mask on the image's own grid."""
    mask = find_tissue(slide_from_array(image, mpp), config)
    return mask.window(0, 0, *image.shape[:2], 1.0)


def net(height, width, colour, cell=12):
    """Fat: empty cells between thin walls."""
    image = noisy(height, width)
    y, x = np.mgrid[:height, :width]
    walls = ((y + x) % cell < 1) | ((y - x) % cell < 1)
    image[walls] = colour
    return image


# ------------------------------------------------------------------ what is tissue, what is not


@pytest.mark.parametrize("options", [{}, {"sparse": True}, {"downsamples": (1,)}, {"pieces": 3}])
def test_tissue_of_a_slide_is_found_and_glass_is_left_out(synthetic_slide, options):
    slide = synthetic_slide(1500, 1800, seed=2, **options)
    truth = slide.tissue()
    mask = find_tissue(slide)
    here = mask.window(0, 0, *slide.shape, 1.0)
    assert here[truth].all()
    far = distance_transform_edt(~truth) * slide.mpp > 50 + 40
    assert far.any()
    assert not here[far].any()
    assert mask.area_share == pytest.approx(here.mean(), abs=0.01)
    assert mask.area_um2(slide.mpp) == pytest.approx(here.sum() * slide.mpp**2, rel=0.03)


@pytest.mark.parametrize("kind", ["benign", "malignant"])
def test_a_field_full_of_tissue_is_all_tissue(synthetic_field, kind):
    field = synthetic_field(kind)
    assert found(field.image, mpp=field.mpp).all()


@pytest.mark.parametrize("colour", [STROMA, EPITHELIUM, PALE, COUNTERSTAIN, BROWN])
def test_a_field_of_one_stain_is_all_tissue(colour):
    assert found(noisy(150, 200, colour, 8.0), BARE).all()


@pytest.mark.parametrize(
    "colour",
    [GLASS, (255, 255, 255), (215, 215, 212), (240, 236, 215), (228, 238, 240), (0, 0, 0)],
)
@pytest.mark.parametrize("spread", [0.0, 2.5])
def test_an_empty_field_holds_no_tissue(colour, spread):
    assert not found(noisy(150, 200, colour, spread)).any()


@pytest.mark.parametrize("glass", [GLASS, (240, 236, 215)])
@pytest.mark.parametrize("colour", [STROMA, EPITHELIUM, COUNTERSTAIN, BROWN])
def test_stain_of_any_colour_is_told_from_glass(glass, colour):
    image = paint(noisy(300, 400, glass), np.s_[100:200, 120:260], colour)
    mask = found(image)
    assert mask[100:200, 120:260].all()
    assert mask.mean() < 0.25


def test_pale_fat_is_tissue():
    image = noisy(300, 300)
    image[80:220, 60:240] = net(140, 180, (225, 175, 205))
    mask = found(image)
    assert mask[90:210, 70:230].all()
    assert not mask[:50].any()


def test_a_bright_lamp_or_a_dim_one_finds_the_same():
    image = paint(noisy(300, 400), np.s_[100:200, 120:260], STROMA)
    dim = (image * 0.85).astype(np.uint8)
    assert np.mean(found(image) != found(dim)) < 0.01


def test_unscanned_white_does_not_pass_for_the_glass():
    image = paint(noisy(400, 400, (240, 236, 215)), np.s_[40:140, 40:180], STROMA)
    image[200:] = 255
    mask = found(image)
    assert mask[40:140, 40:180].all()
    assert not mask[200:].any()
    assert not mask[:, 250:].any()


@pytest.mark.parametrize(
    "ink",
    [(30, 40, 140), (60, 95, 190), (30, 130, 80), (60, 160, 120), (30, 28, 32), (200, 22, 40)],
)
def test_felt_pen_is_left_out(ink):
    image = paint(noisy(300, 400), np.s_[100:220, 40:180], STROMA)
    paint(image, np.s_[20:280, 300:330], ink, 3.0)
    image = gaussian_filter(image, (2, 2, 0))
    mask = found(image)
    assert mask[100:220, 40:180].all()
    assert not mask[:, 260:].any(), "the blurred edge of the ink counts as ink"
    if max(ink) - min(ink) > 20:
        kept = found(image, TissueConfig(exclude_pen=False))
        assert kept[20:280, 300:330].all(), "without the rule this ink passes for stain"


def test_tissue_beside_felt_pen_stays():
    image = paint(noisy(300, 400), np.s_[100:220, 40:298], EPITHELIUM)
    paint(image, np.s_[20:280, 300:330], (30, 45, 140), 3.0)
    mask = found(image)
    assert mask[100:220, 40:296].all()
    assert not mask[20:280, 304:326].any()


def test_specks_of_ink_in_tissue_are_not_cut_out():
    image = paint(noisy(200, 200), np.s_[40:160, 40:160], STROMA)
    paint(image, np.s_[90:96, 90:96], (30, 130, 80), 3.0)
    assert found(image)[40:160, 40:160].all()


def test_dust_stripes_borders_and_the_edge_of_a_cover_slip_are_no_tissue():
    image = noisy(400, 500)
    random = np.random.default_rng(3)
    for y, x, size in random.integers((0, 0, 1), (380, 480, 8), (60, 3)):
        image[y : y + size, x : x + size] = random.integers(20, 120)
    image[:, 470:] = noisy(400, 30, (3, 1, 2), 1.0)
    image[:, 200:203] = (150, 150, 148)
    image[300:302] = (120, 112, 100)
    image[100:101, 20:180] = (90, 90, 170)  # a blue fibre
    assert not found(image).any()
    paint(image, np.s_[320:390, 20:120], STROMA)
    assert found(image)[320:390, 20:120].all(), "the same field with tissue in it"


@pytest.mark.parametrize("colour", [(120, 112, 104), (60, 54, 50), (3, 1, 2), (0, 0, 0)])
def test_shadows_and_black_stripes_are_no_stain(colour):
    image = paint(noisy(300, 400), np.s_[100:200, 20:120], STROMA)
    paint(image, np.s_[:, 250:330], colour, 0.5)
    mask = found(image, TissueConfig(exclude_pen=False))
    assert mask[100:200, 20:120].all()
    assert not mask[:, 200:].any()


def test_glass_that_is_tinted_here_and_there_is_still_glass():
    image = noisy(300, 400, spread=0.5)
    image[:, 100:260] = noisy(300, 160, (242, 237, 234), 0.5)
    mask = found(paint(image, np.s_[60:240, 40:160], STROMA))
    assert mask[60:240, 40:160].all()
    assert not mask[:, 190:].any()


# ------------------------------------------------------------------ pieces, holes, margin


def test_small_pieces_are_dropped():
    image = paint(noisy(300, 300), np.s_[20:120, 20:120], STROMA)
    paint(image, np.s_[200:230, 200:230], STROMA)  # 14,400 um2
    assert not found(image, TissueConfig(margin_um=0))[190:240, 190:240].any()
    smaller = TissueConfig(margin_um=0, min_area_um2=5_000)
    assert found(image, smaller)[202:228, 202:228].all()
    assert found(image, smaller)[20:120, 20:120].all()


def ring(outer, inner, size=300, centre=(150, 150)):
    image = noisy(size, size)
    y, x = np.mgrid[:size, :size]
    distance = np.hypot(y - centre[0], x - centre[1]) * MPP
    image[distance < outer] = noisy(size, size, EPITHELIUM, 8.0)[distance < outer]
    image[distance < inner] = noisy(size, size)[distance < inner]
    return image


def test_a_lumen_is_filled_and_a_larger_hole_is_not():
    assert found(ring(350, 200))[150, 150]
    assert not found(ring(500, 400))[150, 150]
    assert not found(ring(350, 200), TissueConfig(max_hole_um2=0, margin_um=0))[150, 150]


def test_a_lumen_that_the_picture_cuts_is_filled():
    image = ring(350, 200, centre=(0, 150))
    assert found(image, TissueConfig(margin_um=0))[0, 150]
    corner = noisy(300, 300, EPITHELIUM, 8.0)
    y, x = np.mgrid[:300, :300]
    glass = y + x < 80
    corner[glass] = noisy(300, 300)[glass]
    assert not found(corner, TissueConfig(margin_um=0))[0, 0], "glass at a corner is no lumen"


@pytest.mark.parametrize("margin", [0.0, 40.0, 200.0])
def test_the_margin_has_its_width(margin):
    image = paint(noisy(400, 400), np.s_[150:250, 150:250], EPITHELIUM)
    mask = found(image, TissueConfig(margin_um=margin))
    above = (150 - np.flatnonzero(mask[:, 200])[0]) * MPP
    assert margin <= above <= margin + 24
    assert found(image, BARE)[150:250, 150:250].all()


def test_the_margin_is_the_same_however_tall_the_slide():
    mask = np.zeros((3000, 30), bool)
    mask[[0, 1023, 1026, 2044, 2999], [3, 5, 25, 11, 20]] = True
    assert np.array_equal(grow(mask, 6.5), distance_transform_edt(~mask) <= 6.5)
    assert not grow(np.zeros((5, 5), bool), 2).any()


def test_a_given_threshold_is_used():
    image = paint(noisy(300, 400), np.s_[50:150, 50:150], STROMA)
    paint(image, np.s_[50:150, 250:350], PALE, 3.0)
    plain, strict = found(image), found(image, TissueConfig(threshold=0.1))
    assert plain[60:140, 260:340].all()
    assert not strict[:, 200:].any()
    assert strict[60:140, 60:140].all()


# ------------------------------------------------------------------ how the slide is read


class Spied(Slide):
    """A pyramid that notes what was read, with damaged places of level 0."""

    def __init__(self, image, steps=(1,), damaged=(), mpp=MPP):
        self.images = [image[::step, ::step] for step in steps]
        self.damaged, self.reads = damaged, []
        super().__init__(
            name="spied",
            format="test",
            shapes=[level.shape[:2] for level in self.images],
            pixel_size=PixelSize(mpp, None),
        )

    def _read(self, level, y, x, height, width):
        self.reads.append((level, height * width))
        for py, px in self.damaged:
            if y <= py < y + height and x <= px < x + width:
                raise UnreadableImageError("tile is damaged")
        return self.images[level][y : y + height, x : x + width]


def test_the_coarsest_sufficient_level_is_read():
    image = paint(noisy(640, 640), np.s_[160:480, 160:480], STROMA)
    slide = Spied(image, steps=(1, 4, 16, 64), mpp=1.0)
    mask = find_tissue(slide)
    assert {level for level, _ in slide.reads} == {2}
    assert mask.downsample == 16
    assert mask.mask.shape == (40, 40)


def test_without_a_pyramid_all_is_read_block_by_block():
    image = paint(noisy(2500, 1800, spread=0.0), np.s_[300:1200, 500:900], STROMA)
    slide = Spied(np.repeat(image, 10, axis=1), mpp=1.0)
    mask = find_tissue(slide)
    assert mask.downsample == 8
    assert mask.mask.shape == (313, 2250)
    assert max(size for _, size in slide.reads) <= 2**24
    assert sum(size for _, size in slide.reads) == 2500 * 18_000
    assert mask.window(300, 5000, 1200, 9000, 1.0).all()


def test_the_small_picture_is_the_mean_of_blocks():
    image = noisy(50, 71, STROMA, 30.0)
    small = read_low_resolution(slide_from_array(image), 4, 4)
    assert small.downsample == 4
    assert small.image.shape == (13, 18, 3)
    for row, column in [(0, 0), (5, 7), (12, 3), (4, 17), (12, 17)]:
        block = image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        mean = block.reshape(-1, 3).mean(axis=0)
        assert np.abs(small.image[row, column] - mean).max() <= 0.5


def test_a_damaged_tile_hides_only_itself_and_counts_as_tissue():
    image = paint(noisy(1200, 1600), np.s_[100:400, 100:400], STROMA)
    slide = Spied(image, damaged=[(800, 1300)])
    assert find_tissue(slide).any_in(800, 1300, 801, 1301)
    mask = find_tissue(slide).window(0, 0, 1200, 1600, 1.0)
    assert mask[100:400, 100:400].all()
    assert mask.mean() < 0.25
    assert not find_tissue(Spied(image)).any_in(800, 1300, 801, 1301)


def test_a_slide_of_which_nothing_can_be_read_says_so():
    with pytest.raises(UnreadableImageError, match="tile is damaged"):
        find_tissue(Spied(noisy(300, 300), damaged=[(150, 150)]))


def test_the_picture_can_be_looked_at_again_with_other_settings():
    image = paint(noisy(300, 400), np.s_[50:150, 50:150], PALE, 3.0)
    slide = Spied(image)
    small = picture_for_tissue(slide)
    reads = len(slide.reads)
    assert tissue_in(small, MPP).mask.any()
    assert not tissue_in(small, MPP, TissueConfig(threshold=0.2)).mask.any()
    assert len(slide.reads) == reads


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 2), (7, 9)])
def test_tiny_images_have_a_mask(shape):
    image = noisy(*shape, EPITHELIUM, 3.0)
    assert found(image, BARE).shape == shape
    assert not found(noisy(*shape)).any()


def test_without_a_pixel_size_it_is_asked_for():
    image = noisy(300, 400, STROMA, 5.0)
    with pytest.raises(MissingPixelSizeError, match=r"unknown.*um/px"):
        find_tissue(slide_from_array(image))
    assert find_tissue(slide_from_array(image), mpp=MPP).mask.all()
    with pytest.raises(InvalidInputError, match="not possible"):
        find_tissue(slide_from_array(image), mpp=0.001)


# ------------------------------------------------------------------ the mask on other grids

masks = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).random((7, 9)) < 0.3)
downsamples = st.sampled_from([1.0, 2.5, 16.0, 31.7, 0.5])
scales = st.sampled_from([0.5, 1.0, 1.24, 2.0, 33.3])
boxes = st.tuples(*[st.integers(-4, 60)] * 2, *[st.integers(0, 25)] * 2)


@given(mask=masks, downsample=downsamples, scale=scales, box=boxes)
def test_each_pixel_takes_the_mask_at_its_centre(mask, downsample, scale, box):
    y0, x0, height, width = box
    window = TissueMask(mask, downsample).window(y0, x0, y0 + height, x0 + width, scale)
    assert window.shape == (height, width)
    for row, column in np.ndindex(height, width):
        y = min(max(int((y0 + row + 0.5) * scale // downsample), 0), 6)
        x = min(max(int((x0 + column + 0.5) * scale // downsample), 0), 8)
        assert window[row, column] == mask[y, x]


@given(mask=masks, downsample=downsamples, scale=scales, box=boxes)
def test_no_window_with_tissue_is_passed_over(mask, downsample, scale, box):
    y0, x0, height, width = box
    tissue = TissueMask(mask, downsample)
    if tissue.window(y0, x0, y0 + height, x0 + width, scale).any():
        assert tissue.any_in(*(v * scale for v in (y0, x0, y0 + height, x0 + width)))


@given(mask=masks, downsample=downsamples, box=boxes)
def test_a_window_holds_tissue_where_it_meets_a_pixel_of_it(mask, downsample, box):
    y0, x0, height, width = box
    y1, x1 = y0 + height, x0 + width
    within = 0 <= y0 < y1 <= 7 * downsample and 0 <= x0 < x1 <= 9 * downsample
    meets = any(
        y0 < (y + 1) * downsample
        and y1 > y * downsample
        and x0 < (x + 1) * downsample
        and x1 > x * downsample
        for y, x in np.argwhere(mask)
    )
    if within:
        assert TissueMask(mask, downsample).any_in(y0, x0, y1, x1) == meets
    if height == 0 or width == 0:
        assert not TissueMask(mask, downsample).any_in(y0, x0, y1, x1)


@pytest.mark.parametrize(
    ("mask", "downsample", "message"),
    [
        (np.zeros((3, 3)), 1.0, "bool array"),
        (np.zeros(3, bool), 1.0, "bool array"),
        (np.zeros((0, 3), bool), 1.0, "with pixels"),
        (np.zeros((3, 3), bool), 0.0, "more than 0"),
        (np.zeros((3, 3), bool), float("nan"), "more than 0"),
    ],
)
def test_a_bad_mask_is_refused(mask, downsample, message):
    with pytest.raises(InvalidInputError, match=message):
        TissueMask(mask, downsample)


def test_a_grid_without_size_is_refused():
    with pytest.raises(InvalidInputError, match="above 0"):
        TissueMask(np.ones((2, 2), bool), 1.0).window(0, 0, 2, 2, 0)
    with pytest.raises(InvalidInputError, match="smaller"):
        read_low_resolution(slide_from_array(noisy(9, 9)), 0.5, 2)
