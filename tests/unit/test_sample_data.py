"""The synthetic tissue, its truth, and the entries of File > Open Sample."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import generate
import numpy as np
import pytest
import tifffile
from scipy.ndimage import binary_erosion, label
from synthetic_tissue import KINDS, SyntheticField, SyntheticTissue, make_field
from synthetic_tissue import tissue as tissue_module

from napari_gland_mtl import _sample_data
from napari_gland_mtl.metrics.topology import count_violations

Factory = Callable[..., SyntheticField]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Render small windows without the rest of a large block."""
    monkeypatch.setattr(tissue_module, "BLOCK", 100)


@pytest.fixture(params=KINDS)
def tissue(request: pytest.FixtureRequest) -> SyntheticTissue:
    return SyntheticTissue(request.param, seed=2, mpp=0.62)


def assert_equal(first: SyntheticField, second: SyntheticField) -> None:
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.regions, second.regions)
    np.testing.assert_array_equal(first.glands, second.glands)


def assert_valid(field: SyntheticField) -> None:
    assert count_violations(field.regions, field.glands).total == 0
    assert {1, 2} <= set(np.unique(field.regions)) <= {1, 2, 3}
    np.testing.assert_array_equal(field.glands > 0, field.regions > 1)
    assert sorted(np.unique(field.glands)) == list(range(field.glands.max() + 1))


@pytest.mark.parametrize("kind", KINDS)
def test_truth_respects_topology(synthetic_field: Factory, kind: str) -> None:
    field = synthetic_field(kind, 256, 256, 0.62, seed=5)
    assert_valid(field)
    assert (field.regions == 3).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("mpp", "size"), [(0.4, 128), (1.5, 80)])
def test_truth_respects_topology_at_other_pixel_sizes(
    small_blocks: None, kind: str, mpp: float, size: int
) -> None:
    assert_valid(make_field(kind, size, size, mpp, seed=1))


def test_topology_check_would_notice_a_broken_truth(synthetic_field: Factory) -> None:
    field = synthetic_field("benign", 256, 256, 0.62, seed=5)
    broken = field.regions.copy()
    y, x = np.argwhere(binary_erosion(broken == 1, iterations=3))[0]
    broken[y, x] = 3
    assert count_violations(broken, field.glands).total > 0


@pytest.mark.parametrize("kind", KINDS)
def test_glands_keep_a_gap_of_stroma(synthetic_field: Factory, kind: str) -> None:
    glands = synthetic_field(kind, 256, 256, 0.62, seed=5).glands
    _, together = label(glands > 0, structure=np.ones((3, 3)))
    assert together == glands.max() > 1


def test_same_seed_same_field_other_seed_other_field(small_blocks: None) -> None:
    first, again, other = (make_field("benign", 96, 96, seed=seed) for seed in (1, 1, 2))
    assert_equal(first, again)
    assert (first.image != other.image).mean() > 0.5
    assert (first.regions != other.regions).any()


def test_window_renders_the_same_alone_and_as_part(
    tissue: SyntheticTissue, small_blocks: None
) -> None:
    whole = tissue.render(30, -70, 90, 140)
    fresh = SyntheticTissue(tissue.kind, tissue.seed, tissue.mpp)
    part = fresh.render(67, -13, 40, 60)
    crop = (slice(37, 77), slice(57, 117))
    arrays = (array[crop] for array in (whole.image, whole.regions, whole.glands))
    assert_equal(part, SyntheticField(*arrays, tissue.kind, tissue.mpp))


def test_blocks_leave_no_seams(tissue: SyntheticTissue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tissue_module, "_NOISE_LEVELS", 0.0)
    fields = []
    for block in (60, 128):
        monkeypatch.setattr(tissue_module, "BLOCK", block)
        fresh = SyntheticTissue(tissue.kind, tissue.seed, tissue.mpp)
        fields.append(fresh.render(20, 20, 90, 90))
    np.testing.assert_array_equal(fields[0].regions, fields[1].regions)
    np.testing.assert_array_equal(fields[0].glands, fields[1].glands)
    difference = np.abs(fields[0].image.astype(int) - fields[1].image.astype(int))
    assert difference.max() <= 1, "the picture depends on where blocks are cut"
    assert fields[0].image.std() > 20


def test_far_corner_of_a_huge_slide_renders(small_blocks: None) -> None:
    field = SyntheticTissue("malignant", seed=0, mpp=0.5).render(99_900, 99_900, 100, 100)
    assert field.image.shape == (100, 100, 3)
    assert field.glands.min() >= 0
    assert 3.0 < field.image.std() < 100.0


def test_tissue_survives_pickling(tissue: SyntheticTissue, small_blocks: None) -> None:
    copy = pickle.loads(pickle.dumps(tissue))  # noqa: S301 - our own bytes
    assert_equal(copy.render(0, 0, 16, 16), tissue.render(0, 0, 16, 16))


def test_kinds_differ_in_nuclei_and_architecture(synthetic_field: Factory) -> None:
    benign, malignant = (synthetic_field(kind, 256, 256, 0.62, seed=5) for kind in KINDS)
    share = [(f.regions == 3).sum() / (f.regions > 1).sum() for f in (benign, malignant)]
    assert share[0] > 1.5 * share[1], "mucin fills benign glands, epithelium malignant ones"
    area = [np.median(np.bincount(f.glands.ravel())[1:]) for f in (benign, malignant)]
    assert area[0] != area[1]
    assert benign.kind == "benign"
    assert malignant.kind == "malignant"


@pytest.mark.parametrize("kind", KINDS)
def test_lumen_is_pale_and_epithelium_dark(synthetic_field: Factory, kind: str) -> None:
    field = synthetic_field(kind, 256, 256, 0.62, seed=5)
    stroma, epithelium, lumen = (field.image[field.regions == code].mean() for code in (1, 2, 3))
    assert epithelium < stroma < lumen
    assert lumen - epithelium > 50


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("benig", 0, 0.62), "kind must be one of benign, malignant"),
        (("benign", -1, 0.62), "seed"),
        (("benign", 0, 0.01), "mpp must lie in"),
        (("benign", 0, float("nan")), "mpp must lie in"),
    ],
)
def test_bad_parameter_is_named(arguments: tuple[str, int, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SyntheticTissue(*arguments)


def test_empty_window_is_refused(tissue: SyntheticTissue) -> None:
    with pytest.raises(ValueError, match="at least 1 x 1"):
        tissue.render(0, 0, 0, 5)


def test_command_writes_images_with_pixel_size(tmp_path: Path, small_blocks: None) -> None:
    generate.main([str(tmp_path / "new"), "--size", "64", "--mpp", "0.8", "--name", "field"])
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["field.ome.tif", "field_glands.ome.tif", "field_regions.ome.tif"]
    field = make_field("benign", 64, 64, 0.8, 0)
    with tifffile.TiffFile(tmp_path / "new" / "field.ome.tif") as tif:
        np.testing.assert_array_equal(tif.asarray(), field.image)
        pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
    assert pixels["PhysicalSizeX"] == pixels["PhysicalSizeY"] == 0.8
    assert pixels["PhysicalSizeXUnit"] == "µm"
    stored = tifffile.imread(tmp_path / "new" / "field_glands.ome.tif")
    np.testing.assert_array_equal(stored, field.glands)


@pytest.mark.parametrize("kind", KINDS)
def test_bundled_sample_is_a_valid_field(kind: str) -> None:
    layers = getattr(_sample_data, f"synthetic_{kind}")()
    assert [layer_type for _, _, layer_type in layers] == ["image", "labels", "labels"]
    (image, *_), (regions, *_), (glands, *_) = layers
    assert image.dtype == np.uint8
    assert image.shape == (*regions.shape, 3) == (*glands.shape, 3)
    assert count_violations(regions, glands.astype(np.int32)).total == 0
    assert glands.max() >= 5
    for _, attributes, _ in layers:
        assert attributes["scale"] == (0.62, 0.62)
        assert attributes["units"] == ("um", "um")


@pytest.mark.parametrize("kind", KINDS)
def test_bundled_files_are_small_and_tell_their_pixel_size(kind: str) -> None:
    folder = Path(_sample_data.__file__).parent / "samples"
    paths = list(folder.glob(f"synthetic_{kind}*.ome.tif"))
    assert len(paths) == 3
    assert sum(path.stat().st_size for path in paths) < 1_500_000
    for path in paths:
        with tifffile.TiffFile(path) as tif:
            pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
        assert pixels["PhysicalSizeX"] == 0.62


def test_colon_claims_no_pixel_size() -> None:
    ((image, attributes, layer_type),) = _sample_data.colon()
    assert (image.shape, layer_type) == ((512, 512, 3), "image")
    assert "scale" not in attributes
    assert "units" not in attributes
    assert "not documented" in attributes["metadata"]["origin"]


def test_importing_the_samples_loads_nothing_heavy() -> None:
    heavy = {"torch", "zarr", "dask", "scipy", "skimage", "pandas", "matplotlib"}
    script = (
        f"import sys, napari_gland_mtl._sample_data; print(*sorted({heavy!r} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


@pytest.mark.parametrize(("kind", "seed"), [("benign", 4), ("malignant", 7)])
def test_bundled_sample_is_what_the_generator_makes(kind: str, seed: int) -> None:
    (image, *_), (regions, *_), _ = getattr(_sample_data, f"synthetic_{kind}")()
    again = SyntheticTissue(kind, seed, 0.62).render(0, 0, 200, 200)
    np.testing.assert_array_equal(regions[:200, :200], again.regions)
    # Another processor may round the last bit another way.
    assert np.abs(image[:200, :200].astype(int) - again.image).max() <= 1
