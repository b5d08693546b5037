"""Small annotated areas, drawn by hand."""

import numpy as np
import pytest

from napari_gland_mtl.annotations import AnnotationProject, Area, AreaInfo

MPP = 1.0


def draw_area(name="area 1", height=60, width=80, value=1, **info):
    """A gland with its lumen in stroma; `value` is the gland's number and tells areas apart."""
    described = AreaInfo(
        name=name,
        slide="case",
        slide_path="/somewhere/case.svs",
        slide_mpp=0.5,
        slide_shape=(1000, 2000),
        window=(100, 200, 100 + 2 * height, 200 + 2 * width),
        mpp=MPP,
        **{"lumen_accepted": True, **info},
    )
    image = np.random.default_rng(value).integers(0, 256, (height, width, 3), dtype=np.uint8)
    glands = np.zeros((height, width), np.int32)
    regions = np.zeros((height, width), np.uint8)
    glands[10:40, 10:50] = value
    regions[10:40, 10:50] = 2
    regions[20:30, 20:40] = 3
    regions[45:, :] = 1
    return Area(described, image, glands, regions)


def _same_pixels(a, b):
    return all(
        getattr(a, name).dtype == getattr(b, name).dtype
        and np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("image", "glands", "regions")
    )


@pytest.fixture
def area():
    return draw_area()


@pytest.fixture(scope="session")
def make_area():
    """The function that draws an area."""
    return draw_area


@pytest.fixture(scope="session")
def same_pixels():
    """Whether two areas are equal in image and labels, types included."""
    return _same_pixels


@pytest.fixture
def project(tmp_path):
    return AnnotationProject(tmp_path / "case.annotations.zarr")


@pytest.fixture
def files():
    """All files below a folder, with their content."""

    def read(folder):
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return read
