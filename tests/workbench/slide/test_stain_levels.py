"""The stains of a slide as layers: right densities, made where they are looked at, over the very pixels."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from tests.ihc_maker import write as write_slide
from tests.workbench.slide.predict.test_stain_slide import GLASS, ONE, make, open_slide
from workbench.core.errors import InputError, UsageError
from workbench.core.layers import KEY
from workbench.slide import stain_layers, to_layers
from workbench.slide.data.stains import Stains, degrees


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return open_slide(make(tmp_path_factory.mktemp("slide") / "section.ome.tif", ONE))


def level(layer):
    data, attributes, _ = layer
    return data[0] if attributes["multiscale"] else data


def test_two_layers_lie_on_the_slide(slide):
    (_, own, _), *_ = to_layers(slide)
    layers = stain_layers(slide)
    assert [a["name"] for _, a, _ in layers] == [f"{slide.name} haematoxylin", f"{slide.name} eosin"]
    for which, (_, attributes, kind) in enumerate(layers):
        assert kind == "image"
        assert attributes["contrast_limits"] == (0.0, 1.5)
        for key in ("scale", "translate", "units"):
            assert attributes[key] == own[key]
        assert degrees(np.array(attributes["metadata"][KEY]["vector"]), np.array(ONE[which])) < 6
        colours = attributes["colormap"]["colors"]
        assert colours[0].tolist() == [1, 1, 1, 1]
    blue, pink = (a["colormap"]["colors"][-1] for _, a, _ in layers)
    assert blue[2] > blue[0] + 0.2, "haematoxylin lets blue through"
    assert pink[0] > pink[1] + 0.5, "eosin keeps green back"


def test_densities_are_those_of_the_stains(slide):
    vectors = np.array(ONE) / np.linalg.norm(ONE, axis=1, keepdims=True)
    stains = Stains(("haematoxylin", "eosin"), vectors, GLASS)
    pixels = slide.pyramid.read(0, 0, 0, 768, 768)
    right = stains.amounts(pixels)
    for which, layer in enumerate(stain_layers(slide, stains)):
        found = level(layer)
        assert found.shape == (768, 768)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found[100:300, 500:768], right[100:300, 500:768, which], atol=1e-5)
        assert np.abs(found[:50, :50]).max() < 0.01, "glass has none"


def test_a_level_is_sliced_like_an_array(slide):
    own = level(stain_layers(slide, "h-e")[0])
    whole = np.asarray(own)
    for key in (np.s_[5], np.s_[5:9], np.s_[:, 7], np.s_[..., 3:5], np.s_[...], np.s_[10:20:3, 4:40:2], np.s_[3, 4]):
        np.testing.assert_array_equal(own[key], whole[key])
    assert copy.deepcopy(own) is own
    assert len(own) == 768
    assert own.nbytes == whole.nbytes


def test_nothing_is_read_before_it_is_looked_at(slide):
    reads = []
    plain = slide.pyramid.reader

    def read(*where):
        reads.append(where)
        return plain(*where)

    image = replace(slide, pyramid=replace(slide.pyramid, reader=read))
    stains = Stains(("haematoxylin", "eosin"), np.array(ONE), GLASS)
    first, second = map(level, stain_layers(image, stains))
    assert reads == []
    first[0:10, 0:10]
    assert len(reads) == 1
    second[0:10, 0:10]
    assert len(reads) == 1, "both stains share what was read"


def test_known_stains_take_the_glass_of_the_slide(slide):
    names = {"h-e": "eosin", "h-dab": "DAB", "h-aec": "AEC"}
    for asked, name in names.items():
        second = stain_layers(slide, asked)[1]
        record = second[1]["metadata"][KEY]
        assert record["stain"] == name
        assert record["glass"] == pytest.approx(GLASS, abs=1)
        assert record["role"] == "stain"


def test_what_has_no_stains_is_said(slide, tmp_path):
    with pytest.raises(UsageError, match="h-dab"):
        stain_layers(slide, "h-pas")
    with pytest.raises(InputError, match="no levels"):
        stain_layers(replace(slide, pyramid=None))
    grey = np.random.default_rng(0).integers(0, 200, (400, 400, 1)).astype(np.uint8).repeat(3, axis=2)
    with pytest.raises(InputError, match="grey"):
        stain_layers(open_slide(write_slide(tmp_path / "grey.ome.tif", grey)))
