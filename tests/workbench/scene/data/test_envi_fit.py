import re

import numpy as np
import pytest

from tests.scene_maker import TYPES, cube, save_envi
from workbench.core.errors import InputError
from workbench.data import formats
from workbench.scene.data.envi_fit import check_plausible, fitting
from workbench.scene.data.scene import open_blocks


def test_the_arithmetic_and_the_fitting_header_are_named(tmp_path):
    path = save_envi(tmp_path, cube(2), edit={"lines": 8})
    with pytest.raises(InputError) as caught:
        formats.read(path)
    text = str(caught.value)
    assert "the file has 1386 bytes" in text
    assert "promises 11 samples x 8 lines x 7 bands x 2 bytes = 1232" in text
    assert "lines = 9" in text
    assert "header offset = 154" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"data type": 4}, "data type = 2 (int16)"),
        ({"data type": 1}, "data type = 12 (uint16)"),
        ({"samples": 22}, "samples = 11"),
        ({"bands": 8}, "bands = 7"),
        ({"header offset": 4}, "header offset = 0"),
    ],
)
def test_each_advice_makes_the_file_open(tmp_path, wrong, advice):
    path = save_envi(tmp_path, cube(2), edit=wrong)
    with pytest.raises(InputError, match=re.escape(advice)):
        formats.read(path)
    key, value = re.match(r"(.+) = (\d+)", advice).groups()
    corrected = save_envi(tmp_path, cube(2), edit={**wrong, key: value})
    assert formats.read(corrected).data.size == cube().size


def test_every_advice_of_fitting_is_true():
    for size in (1386, 1232, 2772, 500, 1386 + 512):
        shape, stored = (7, 9, 11), np.dtype("<i2")
        for advice in fitting(size, shape, stored, 0):
            key, value = re.match(r"(.+) = (\d+)", advice).groups()
            number = int(value)
            sides = dict(zip(("bands", "lines", "samples"), shape, strict=True))
            item, offset = 2, 0
            if key == "data type":
                item = {1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 12: 2, 13: 4, 14: 8}[number]
            elif key == "header offset":
                offset = number
            else:
                sides[key] = number
            assert offset + sides["bands"] * sides["lines"] * sides["samples"] * item == size, advice


def test_recordings_that_stopped_are_told_apart_from_strangers(tmp_path):
    path = save_envi(tmp_path, cube(2), interleave="bil")
    body = (tmp_path / "scene.dat").read_bytes()
    (tmp_path / "scene.dat").write_bytes(body[:1001])
    with pytest.raises(InputError, match=r"It holds 6.50 lines.*cut it to 924 bytes and set lines = 6"):
        formats.read(path)
    (tmp_path / "scene.dat").write_bytes(bytes(100_003))
    with pytest.raises(InputError, match="this header belongs to another file"):
        formats.read(path)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("code", [2, 3, 4, 5, 12, 13, 14, 15])
def test_the_wrong_byte_order_is_noticed_and_never_swapped(tmp_path, code, big):
    position = np.linspace(0, 5.999, 42)[:, None, None]
    low, part = cube(5)[position.astype(int).ravel()], position % 1
    data = low * (1 - part) + cube(5)[position.astype(int).ravel() + 1] * part  # 42 bands, smooth as spectra are
    data = (data if TYPES[code][0] == "f" else data * 5000).astype(TYPES[code])  # a sensor of 12 bits
    good = formats.read(save_envi(tmp_path, data, big=big))
    np.testing.assert_array_equal(good.data, data)
    wrong = formats.read(save_envi(tmp_path, data, big=big, edit={"byte order": int(not big)}))
    message = f"byte order = {int(not big)} gives samples from .* Set byte order = {int(big)}"
    with pytest.raises(InputError, match=message):
        open_blocks(wrong)
    with pytest.raises(InputError, match=message):
        _ = wrong.data


def test_honest_samples_are_never_suspected():
    rng = np.random.default_rng(0)
    shape = (30, 20, 20)
    for dtype in ("<u2", ">u2", "<i2", "<i4", "<f4", ">f8"):
        size = np.dtype(dtype).itemsize
        kind = np.dtype(dtype).kind
        scenes = [np.zeros(shape), np.full(shape, 7.0), rng.integers(0, 2, shape), rng.normal(100, 30, shape)]
        scenes += [rng.uniform(0, 30000, shape), np.arange(np.prod(shape)).reshape(shape) * 256 % 30000]
        if kind == "f":
            scenes += [
                np.full(shape, np.nan),
                rng.normal(size=shape) * 1e-6,
                np.where(rng.random(shape) < 0.5, 0, 1e-3),
            ]
        for scene in scenes:
            check_plausible(scene.astype(dtype), f"{dtype} of {size} bytes")


def test_the_real_scene_passes_in_every_type(shared_data, tmp_path):
    data = formats.read(shared_data / "hyperspectral" / "jasper_ridge.mat").data
    for dtype in ("<u2", ">u2", "<i4", "<f4", ">f4"):
        check_plausible(data.astype(dtype), dtype)
        swapped = data.astype(dtype).view(np.dtype(dtype).newbyteorder())
        with pytest.raises(InputError, match="byte order"):
            check_plausible(swapped, dtype)
