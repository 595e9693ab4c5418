"""What is no electrocardiogram, or cannot be read, is never diagnosed with confidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import workbench as wb
from workbench.page.errors import NotAPage

ECG = Path(__file__).resolve().parents[4].parent / "shared" / "data" / "ecg"


def said(path):
    """What is said, or "" where the page is refused or nothing is said of it."""
    try:
        result = wb.predict("ecg_image", path, diagnosis="demo", attribution=False)
    except NotAPage:
        return ""
    return result.provenance.details["diagnosis"]["said"]


def written(pixels, folder):
    path = folder / "picture.png"
    Pillow.fromarray(pixels).save(path)
    return path


def test_the_cat_is_not_diagnosed(tmp_path):
    data = pytest.importorskip("skimage.data")
    assert said(written(data.chelsea(), tmp_path)) == ""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["noise", "white", "grid", "text", "sines"])
def test_what_was_made_up_is_not_diagnosed(kind, tmp_path):
    rng = np.random.default_rng(0)
    page = np.full((1100, 1600, 3), 255, np.uint8)
    if kind == "noise":
        page = rng.integers(0, 256, page.shape, np.uint8)
    if kind in ("grid", "sines"):
        page[::8], page[:, ::8] = (255, 200, 200), (255, 200, 200)
        page[::40], page[:, ::40] = (240, 130, 130), (240, 130, 130)
    if kind == "sines":  # a machine's test signal: twelve rows of it
        x = np.arange(1600)
        for row in range(12):
            y = np.round(60 + 85 * row + 25 * np.sin(x / 9)).astype(int)
            for thick in range(3):
                page[np.minimum(y + thick, 1099), x] = 0
    if kind == "text":
        page[rng.random((1100, 1600)) < 0.02] = 0
    assert said(written(page, tmp_path)) == ""


@pytest.mark.slow
def test_the_screen_of_an_electrophysiology_laboratory_is_not_diagnosed():
    path = ECG / "negative_intracardiac_screen.jpeg"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    assert said(path) == ""
