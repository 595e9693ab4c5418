from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image as Pillow

from tests.tiny import make_tiny_slide, make_tiny_slide_weights
from workbench.core.errors import GeometryError, UsageError
from workbench.core.layers import KEY, to_layers
from workbench.core.preview import preview_of
from workbench.data import formats
from workbench.slide import layers, stainnet
from workbench.slide.data import lazy_levels as lazy


@pytest.fixture
def result(tmp_path):
    weights = make_tiny_slide_weights(tmp_path / "w.safetensors")
    config = stainnet.Config(weights=str(weights), device="cpu", tile=64, target_mpp=1.0)
    image = formats.read(make_tiny_slide(tmp_path / "slide.ome.tif"))
    return stainnet.predict(stainnet.load(config, torch.device("cpu")), image, config)


def test_a_slide_is_one_colour_layer_in_micrometres(tmp_path):
    image = formats.read(make_tiny_slide(tmp_path / "slide.ome.tif"))
    ((data, attributes, kind),) = to_layers(image)
    assert kind == "image"
    assert attributes["rgb"]
    assert attributes["multiscale"]
    assert attributes["scale"] == (0.5, 0.5)
    assert attributes["units"] == ("um", "um")
    assert [level.shape for level in data] == [(1024, 1024, 3), (512, 512, 3)]


def test_every_slice_of_a_level_is_that_of_the_file(tmp_path):
    path = make_tiny_slide(tmp_path / "slide.ome.tif")
    level, pixels = lazy.lazy_levels(formats.read(path))[0], tifffile.imread(path)
    for key in (
        np.s_[10:700, 500:530], np.s_[::3, 5:900:7], np.s_[511:514], np.s_[..., 1], np.s_[3, 4], np.s_[-1, :, 0],
        np.s_[600:300, :], np.s_[:, :, ::-1],
    ):  # fmt: skip
        np.testing.assert_array_equal(level[key], pixels[key])
    np.testing.assert_array_equal(np.asarray(level), pixels)


def test_a_slide_of_one_level_gets_coarser_ones(tmp_path):
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 255, (60, 90, 3)), np.ones((50, 50, 1))).astype(np.uint8)
    Pillow.fromarray(pixels).save(tmp_path / "s.png")
    levels = lazy.lazy_levels(formats.read(tmp_path / "s.png", kind="slide"))
    assert [level.shape[:2] for level in levels] == [(3000, 4500), (1500, 2250), (750, 1125)]
    blocks = pixels[:1000, :1000].reshape(500, 2, 500, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(levels[1][:500, :500], blocks, atol=1)


def test_a_request_for_a_whole_fine_level_is_refused_in_one_line(tmp_path, monkeypatch):
    level = lazy.lazy_levels(formats.read(make_tiny_slide(tmp_path / "slide.ome.tif")))[0]
    monkeypatch.setattr(lazy, "MOST_PIXELS", 1000)
    with pytest.raises(UsageError, match="more than can be shown"):
        level[:, :]


def test_the_cache_keeps_within_its_limit(tmp_path):
    cache = lazy.TileCache(most=2 << 20)
    made = []
    for i in range(6):
        cache.get(i, lambda: made.append(1) or np.zeros((512, 512, 3), np.uint8))
    assert cache.size <= 2 << 20
    cache.get(5, lambda: made.append(1) or np.zeros((1, 1, 3), np.uint8))
    assert len(made) == 6


def test_maps_lie_on_the_slide(result):
    by_part = {a["metadata"][KEY]["part"]: (d, a) for d, a, _ in to_layers(result)}
    assert set(by_part) == {"tissue", "sharpness", "structure"}
    image = to_layers(result.image)[0][1]
    for data, attributes in by_part.values():
        scale, shift = np.array(attributes["scale"]), np.array(attributes["translate"])
        low, high = shift - scale / 2, shift + scale * (np.array(data.shape) - 0.5)
        assert (low >= -np.array(image["scale"]) / 2 - 1e-6).all()
        assert (high <= 1024 * 0.5 + scale).all()
    # The middle of a tile is the middle of its pixel in the map.
    data, attributes = by_part["sharpness"]
    places = result["embeddings"].places[0] * 0.5  # corner in um
    r, c = np.argwhere(np.isfinite(data))[0]
    centre = np.array(attributes["translate"]) + np.array(attributes["scale"]) * (r, c) + 0.25
    np.testing.assert_allclose(centre, places[::-1] + 32, atol=1e-6)


def test_what_is_painted_comes_back_on_its_own_grid(result):
    data, attributes, _ = next(t for t in to_layers(result) if t[1]["metadata"][KEY]["part"] == "tissue")
    painted = data.copy()
    painted[:5, :5] = 7
    again = layers.updated(result, {"tissue": (painted, attributes)})
    np.testing.assert_array_equal(again["tissue"].data, painted)
    assert again["tissue"].geometry.matches(result["tissue"].geometry)
    assert 7 in [c.value for c in again["tissue"].classes]
    with pytest.raises(GeometryError, match="belong to"):
        layers.updated(result, {"tissue": (painted[:-1], attributes)})


def test_areas_stay_where_nobody_painted_and_end_at_the_edge_of_the_slide(result):
    """Areas of outlines are finer than the mask: looking at the layers does not change them."""
    data, attributes, _ = next(t for t in to_layers(result) if t[1]["metadata"][KEY]["part"] == "tissue")
    finer = replace(result["areas"], rows=(("tissue", 0.123456, ""), ("tiles", 0.1, 7)))
    shown = replace(result, parts={**result.parts, "areas": finer})
    assert layers.updated(shown, {"tissue": (data, attributes)})["areas"].rows == finer.rows
    every = np.ones_like(data)
    found = layers.updated(shown, {"tissue": (every, attributes)})["areas"]
    assert found.as_dicts()[0]["area [mm2]"] == pytest.approx(1024 * 1024 * 0.25e-6, abs=1e-6), "not a pixel beyond it"
    assert found.rows[-1] == ("tiles", 0.1, 7)


def test_its_small_picture_is_the_same_each_time(result):
    first = preview_of(result)
    assert first is not None
    assert first[:4] == b"\x89PNG"
    assert first == preview_of(result)


def test_a_slide_without_a_scale_lies_in_pixels(tmp_path):
    image = formats.read(make_tiny_slide(tmp_path / "slide.ome.tif"))
    plain = replace(image, geometry=replace(image.geometry, affine=None, unit=None))
    _, attributes, _ = layers.image_layer(plain)
    assert attributes["scale"] == (1.0, 1.0)
    assert attributes["units"] == ("pixel", "pixel")
