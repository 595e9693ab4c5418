"""A slide at low power and the sharpness of tiles, against values by hand."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.core.pyramid import Level, Pyramid
from workbench.slide.predict.chosen import low_power_by, sharpness_of


def shrunk(pixels, factor):
    def read(level, row, column, height, width):
        return pixels[row : row + height, column : column + width]

    whole = Pyramid((Level(pixels.shape[:2]),), read, np.dtype(np.uint8), ("red", "green", "blue"), (0.5, 0.5))
    return low_power_by(whole, factor)


def test_pixels_at_the_edge_are_means_of_what_there_is():
    white = shrunk(np.full((5, 5, 3), 255, np.uint8), 2)
    assert white.pixels.shape == (3, 3, 3)
    assert (white.pixels == 255).all()
    assert white.step == (2.0, 2.0)
    ramp = np.repeat(np.arange(0, 70, 10, dtype=np.uint8)[None, :, None], 5, axis=0).repeat(3, axis=2)
    assert shrunk(ramp, 2).pixels[2, :, 0].tolist() == [5, 25, 45, 60]


@pytest.mark.parametrize(("channel", "weight"), [(0, 0.299), (1, 0.587), (2, 0.114)])
def test_sharpness_is_the_variance_of_the_laplacian_of_grey(channel, weight):
    tile = np.zeros((5, 5, 3), np.uint8)
    tile[2, 2, channel] = 100
    # Of nine places within the edge, one has -4 times the grey, four have it once, four have none; their mean is 0.
    assert sharpness_of(tile) == pytest.approx((16 + 4) / 9 * (100 * weight) ** 2, rel=1e-5)
    assert sharpness_of(np.full((5, 5, 3), 90, np.uint8)) == pytest.approx(0, abs=1e-6)
    assert sharpness_of(tile[:2]) == 0


def test_a_picture_that_cannot_be_decoded_is_not_one_without_tissue(tmp_path):
    from PIL import Image as Pillow

    import workbench as wb
    from workbench.core.errors import InputError

    pixels = np.random.default_rng(0).integers(60, 200, (300, 400, 3), dtype=np.uint8)
    Pillow.fromarray(pixels).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    for backend in ("cellvta", "stainnet"):
        with pytest.raises(InputError, match=r"cut\.png: the picture cannot be decoded"):
            wb.predict(backend, tmp_path / "cut.png", mpp=0.5, device="cpu")
