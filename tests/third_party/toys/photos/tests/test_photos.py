import numpy as np
from my_photos.layers import updated
from PIL import Image as Pillow

import workbench as wb
from workbench.testing import check_backend, check_kind


def test_it_keeps_the_rules(tmp_path):
    pixels = np.full((40, 60, 3), 20, np.uint8)
    pixels[5:13, 10:18] = 240  # a square of 8 x 8 pixels,
    pixels[8:10, 13:15] = 20  # with a hole of 2 x 2
    pixels[25:28, 30:40] = 200  # a bar of 3 x 10
    path = tmp_path / "cells.png"
    Pillow.fromarray(pixels).save(path)
    path.with_suffix(".json").write_text('{"mm_per_pixel": 0.5}')
    check_kind("photo", path)
    result = check_backend("blobs", path, level=0.3)  # settings that find something...
    found, (small, large) = result["blobs"], result["sizes"].as_dicts()
    assert found.areas().tolist() == [60.0, 30.0]  # ...and assert what they find
    assert (small["area [mm2]"], large["area [mm2]"]) == (7.5, 15.0)
    (shapes,) = wb.to_layers(result)
    half = [ring / 2 for ring in shapes[0]]  # as if drawn anew by hand, half as wide and half as high
    assert updated(result, {"blobs": (half, shapes[1])})["sizes"].as_dicts()[1]["area [mm2]"] == 15.0 / 4
