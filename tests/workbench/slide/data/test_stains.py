"""Stains apart: as scikit-image separates them, estimated, and refused where a slide has others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.ihc_maker import DAB, HAEMATOXYLIN, draw
from workbench.core.errors import InputError, UsageError
from workbench.slide.data.stains import Stains, densities, eosin_share, estimated, require_chromogen, stains_by_name

WHITE = (255.0, 255.0, 255.0)
DATA = Path(__file__).resolve().parents[5] / "shared" / "data"


def test_amounts_are_those_of_scikit_image():
    color = pytest.importorskip("skimage.color")
    pixels = np.random.default_rng(0).integers(1, 256, (40, 50, 3)).astype(np.uint8)
    stains = stains_by_name("h-dab", WHITE)
    third = np.cross(*stains.vectors)
    inverse = np.linalg.inv(np.vstack([stains.vectors, third / np.linalg.norm(third)]))
    right = 6 * color.separate_stains(pixels, inverse)  # it divides by the logarithm of a millionth, and cuts at 0
    np.testing.assert_allclose(np.maximum(stains.amounts(pixels), 0), right, atol=1e-5)


def test_density_counts_from_glass():
    glass = (240.0, 230.0, 200.0)
    found = densities(np.array([[[240, 230, 200], [24, 23, 20]]], np.uint8), glass)
    np.testing.assert_allclose(found, [[[0, 0, 0], [1, 1, 1]]], atol=1e-6)
    assert np.isfinite(densities(np.zeros((1, 1, 3), np.uint8), glass)).all()


@pytest.mark.parametrize("seed", range(5))
def test_colours_of_a_slide_are_estimated(seed):
    own = np.array([[0.60, 0.72, 0.35], [0.33, 0.52, 0.79]])
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    field = draw(seed, 256, share=0.5, stains=own)
    found = estimated(field.pixels, (243.0, 242.0, 244.0)).vectors
    assert np.degrees(np.arccos((found * own).sum(1).clip(-1, 1))).max() < 6


def test_one_stain_is_not_two():
    field = draw(1, 256, share=0.0, haze=0.0)
    with pytest.raises(InputError, match="h-dab"):
        estimated(field.pixels, (243.0, 242.0, 244.0))
    with pytest.raises(InputError, match="pixels are stained"):
        estimated(np.full((64, 64, 3), 240, np.uint8), WHITE)


def test_what_is_no_stain_is_refused():
    for text in ("h-eosin", "1,2,3", "0.6,0.7,0.3,nan,0.5,0.7", "0.6,0.7,0.3,-0.2,0.5,0.7", "0,0,0,0.2,0.5,0.7"):
        with pytest.raises(UsageError):
            stains_by_name(text, WHITE)
    with pytest.raises(UsageError, match="exchanged"):
        stains_by_name("0.27,0.57,0.78,0.65,0.70,0.29", WHITE)
    with pytest.raises(UsageError, match="degrees apart"):
        stains_by_name("0.65,0.70,0.29,0.64,0.71,0.29", WHITE)
    assert stains_by_name("0.65,0.70,0.29;0.27,0.57,0.78", WHITE).names == ("haematoxylin", "chromogen")
    assert Stains(("a", "b"), np.array([HAEMATOXYLIN, DAB])).vectors[0] @ HAEMATOXYLIN > 0


def test_haematoxylin_and_eosin_are_no_chromogen():
    if not (DATA / "histology").is_dir():
        pytest.skip(f"{DATA} is not there: public fields of both kinds")
    from PIL import Image

    brown = sorted((DATA / "histology" / "ihc_nuclick" / "images").glob("*.jpg"))
    pink = [*sorted((DATA / "histology" / "glas").glob("*.jpg"))[:6], DATA / "slide" / "he" / "stardist-histo.jpg",
            *sorted((DATA / "slide" / "cellvit_seg").glob("test_?.png"))]  # fmt: skip
    for path in brown:
        require_chromogen(np.asarray(Image.open(path).convert("RGB")), "h-dab", WHITE, path)
    for path in pink:
        with pytest.raises(InputError, match="like eosin"):
            require_chromogen(np.asarray(Image.open(path).convert("RGB")), "h-dab", WHITE, path)
    assert eosin_share(np.full((50, 50, 3), 255, np.uint8), "h-dab", WHITE) == 0
