"""Stains that are found again, slides in the colours of others, and profiles that are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.ihc_maker import draw
from workbench.core.errors import InputError
from workbench.slide.data.stain_fit import METHODS, sparse_amounts, sparse_factors, vectors_of
from workbench.slide.data.stain_profile import (
    ColourChange,
    fitted,
    read_stain_profile,
    require_same_stains,
    write_stain_profile,
)
from workbench.slide.data.stains import degrees, densities

GLASS = (243.0, 242.0, 244.0)
HAEMATOXYLIN, EOSIN, DAB = (0.65, 0.704, 0.286), (0.07, 0.99, 0.11), (0.268, 0.57, 0.776)
BLUER, PINKER = (0.55, 0.76, 0.35), (0.20, 0.93, 0.30)
DATA = Path(__file__).resolve().parents[5] / "shared" / "data"


def colours(*vectors):
    found = np.array(vectors)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def amounts_of(seed, strength=(1.0, 1.0), count=40_000):
    """Nuclei that hold much of the first stain, and ground that holds the second; ``(N, 2)``."""
    rng = np.random.default_rng(seed)
    nuclei, ground = rng.random(count) < 0.3, rng.random(count) < 0.8
    first = np.where(nuclei, rng.uniform(0.3, 0.8, count), rng.uniform(0, 0.1, count))
    second = np.where(ground, rng.uniform(0.15, 0.5, count), rng.uniform(0, 0.05, count))
    return np.stack([first, second], axis=1) * strength


def rendered(amounts, vectors, glass=GLASS, noise=0.0, seed=0):
    light = np.asarray(glass) * 10 ** -(amounts @ vectors)
    light = light + noise * np.random.default_rng(seed).standard_normal(light.shape)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("second", [EOSIN, DAB, PINKER], ids=["eosin", "dab", "pink"])
def test_known_stains_are_found_again(method, second):
    vectors = colours(HAEMATOXYLIN, second)
    amounts = amounts_of(3)
    found = fitted(rendered(amounts, vectors, noise=1.5), GLASS, method)
    limit = 1.5 if method == "macenko" else 4.0
    for k in range(2):
        assert degrees(found.stains.vectors[k], vectors[k]) < limit
    stained = np.linalg.norm(amounts @ vectors, axis=1) > 0.15
    right = np.quantile(amounts[stained], 0.99, axis=0)
    assert found.strongest == pytest.approx(right, rel=0.05 if method == "macenko" else 0.15)
    own = rendered(amounts, vectors)
    seen = found.stains.amounts(own)[:, :2]
    assert np.abs(seen - amounts).mean() < (0.02 if method == "macenko" else 0.05)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("strength", [(1.0, 1.0), (0.7, 1.3)])
def test_a_slide_is_brought_to_the_colours_of_another(method, strength):
    one, other = colours(HAEMATOXYLIN, EOSIN), colours(BLUER, PINKER)
    amounts = amounts_of(5)
    here = rendered(amounts * strength, one, noise=1.0)
    reference = rendered(amounts_of(6), other, (236.0, 230.0, 238.0))
    right = rendered(amounts, other, (236.0, 230.0, 238.0))
    profile = fitted(reference, (236.0, 230.0, 238.0), method)
    made = ColourChange(fitted(here, GLASS, method), profile)(here)
    before, after = (np.abs(x.astype(int) - right).mean() for x in (here, made))
    assert before > 10
    assert after < 3.5, (before, after)


@pytest.mark.parametrize("method", METHODS)
def test_who_is_brought_there_already_stays(method):
    here = rendered(amounts_of(1), colours(HAEMATOXYLIN, EOSIN), noise=1.0)
    profile = fitted(rendered(amounts_of(2), colours(BLUER, PINKER)), GLASS, method)
    once = ColourChange(fitted(here, GLASS, method), profile)(here)
    twice = ColourChange(fitted(once, GLASS, method), profile)(once)
    assert np.abs(twice.astype(int) - once).mean() < 1.5
    itself = np.arange(1, 256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    assert np.array_equal(ColourChange(profile, profile)(itself), itself)


def test_glass_stays_glass_and_what_is_no_stain_keeps_its_density():
    own = fitted(rendered(amounts_of(1, (0.5, 1.5)), colours(HAEMATOXYLIN, EOSIN)), GLASS, "macenko")
    glass = (230.0, 231.0, 229.0)
    reference = fitted(rendered(amounts_of(2), colours(BLUER, PINKER), glass), glass, "macenko")
    change = ColourChange(own, reference)
    assert np.array_equal(change(np.array([[243, 242, 244]], np.uint8)), [[230, 231, 229]])
    for ink in (-0.15, 0.15):
        mixed = np.array([[0.3, 0.3, ink]]) @ own.stains.axes
        there = densities(change(rendered(mixed, np.eye(3))), glass)
        assert there @ reference.stains.axes[2] == pytest.approx(ink, abs=0.02)


def test_tiles_have_no_seams_and_every_time_is_the_same():
    field = draw(0, 256, share=0.5).pixels
    other = draw(1, 256, share=0.3, stains=colours(BLUER, (0.35, 0.55, 0.75))).pixels
    change = ColourChange(fitted(field, GLASS, "vahadane"), fitted(other, GLASS, "vahadane"))
    whole = change(field)
    tiled = np.zeros_like(whole)
    for row in range(0, 256, 100):
        for column in range(0, 256, 37):
            box = slice(row, row + 100), slice(column, column + 37)
            tiled[box] = change(field[box])
    assert np.array_equal(whole, tiled)
    again = ColourChange(fitted(field, GLASS, "vahadane"), fitted(other, GLASS, "vahadane"))
    assert np.array_equal(again(field), whole)


def test_sparse_factors_are_as_good_as_those_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    price, density = 0.05, amounts_of(4, count=600) @ colours(HAEMATOXYLIN, EOSIN)
    start = colours((0.6, 0.7, 0.4), (0.3, 0.9, 0.3))
    mine = sparse_factors(density, start, price)
    theirs = decomposition.DictionaryLearning(
        2, alpha=price, fit_algorithm="cd", transform_algorithm="lasso_cd", positive_code=True, positive_dict=True,
        dict_init=start, code_init=sparse_amounts(density, start, price), max_iter=300, tol=1e-9, random_state=0,
    ).fit(density)  # fmt: skip

    def cost(vectors):
        amounts = sparse_amounts(density, vectors, price)
        return ((density - amounts @ vectors) ** 2).sum() / 2 + price * amounts.sum()

    assert cost(mine) <= cost(theirs.components_) * 1.001
    for own, other in zip(mine, theirs.components_, strict=True):
        assert degrees(own, other) < 2


def test_amounts_are_those_of_a_lasso():
    linear_model = pytest.importorskip("sklearn.linear_model")
    vectors = colours(HAEMATOXYLIN, EOSIN)
    density = np.random.default_rng(0).uniform(-0.1, 0.8, (50, 3))
    found = sparse_amounts(density, vectors, 0.06)
    lasso = linear_model.Lasso(alpha=0.06 / 3, positive=True, fit_intercept=False, tol=1e-12, max_iter=100_000)
    right = np.array([lasso.fit(vectors.T, one).coef_ for one in density])
    np.testing.assert_allclose(found, right, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_what_has_no_two_stains_is_refused(method):
    with pytest.raises(InputError, match="told apart"):
        fitted(draw(1, 256, share=0.0, haze=0.0).pixels, GLASS, method, "here")
    with pytest.raises(InputError, match="here: too little tissue: 0 stained"):
        fitted(np.full((300, 300, 3), (243, 240, 244), np.uint8), GLASS, method, "here")
    grey = np.random.default_rng(0).integers(0, 200, (300, 300, 1)).astype(np.uint8).repeat(3, axis=2)
    with pytest.raises(InputError, match="grey"):
        fitted(grey, GLASS, method)


def test_haematoxylin_comes_first_whatever_there_is_more_of():
    for strength in ((1.0, 0.3), (0.3, 1.0)):
        density = densities(rendered(amounts_of(0, strength), colours(HAEMATOXYLIN, DAB)), GLASS)
        found = vectors_of(density[np.linalg.norm(density, axis=1) > 0.15].astype(float), "macenko")
        assert degrees(found[0], np.array(HAEMATOXYLIN)) < degrees(found[1], np.array(HAEMATOXYLIN))


def test_a_profile_of_other_stains_is_refused_with_the_angle():
    eosin = fitted(rendered(amounts_of(0), colours(HAEMATOXYLIN, EOSIN)), GLASS, "macenko")
    brown = fitted(draw(0, 256, share=0.5).pixels, GLASS, "macenko")
    assert (eosin.stains.names[1], brown.stains.names[1]) == ("eosin", "DAB")
    for own, reference in ((eosin, brown), (brown, eosin)):
        with pytest.raises(InputError, match=r"slide\.svs: .* \d\d degrees from") as found:
            require_same_stains(own, reference, "slide.svs")
        assert "\n" not in str(found.value)
    require_same_stains(eosin, fitted(rendered(amounts_of(1), colours(BLUER, PINKER)), GLASS, "macenko"), "x")


@pytest.fixture
def stored(tmp_path):
    profile = fitted(rendered(amounts_of(0), colours(HAEMATOXYLIN, EOSIN)), GLASS, "vahadane")
    return profile, write_stain_profile(tmp_path / "profile.json", profile)


def test_a_profile_comes_back_from_its_file(stored):
    profile, path = stored
    found = read_stain_profile(path)
    assert found.to_json() == profile.to_json()
    assert len(found.digest) == 64
    pixels = np.random.default_rng(0).integers(0, 256, (50, 3)).astype(np.uint8)
    assert np.abs(ColourChange(profile, found)(pixels).astype(int) - pixels).max() <= 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": "something"}, "format"),
        ({"version": 9}, "version 9"),
        ({"method": "reinhard"}, "method 'reinhard'"),
        ({"glass": [255, 255]}, "glass"),
        ({"glass": [255, 255, None]}, "glass"),
        ({"stains": []}, "not enough values"),
        ({"eosin_share": "much"}, "eosin_share"),
        ({"pixels": None}, "int"),
    ],
)
def test_a_bad_profile_is_one_line_that_names_the_file(stored, change, why):
    profile, path = stored
    path.write_text(json.dumps(profile.to_json() | change), encoding="utf-8")
    refused(path, why)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("vector", [0.1, 0.2], "vector"),
        ("vector", [float("nan"), 0.5, 0.5], "vector"),
        ("vector", [0, 0, 0], "stains"),
        ("percentile_99", 0, "percentile_99"),
    ],
)
def test_a_bad_stain_is_refused(stored, key, value, why):
    profile, path = stored
    found = profile.to_json()
    found["stains"][1][key] = value
    path.write_text(json.dumps(found), encoding="utf-8")
    refused(path, why)


def test_what_is_no_json_is_refused(tmp_path, stored):
    profile, path = stored
    lacking = profile.to_json()
    del lacking["glass"]
    for content, why in (("", "Expecting"), ("[" * 5000, ""), ("[]", "format"), (json.dumps(lacking), "'glass'")):
        path.write_text(content, encoding="utf-8")
        refused(path, why)
    path.write_bytes(b"\xff\xfe\x00")
    refused(path, "")
    refused(tmp_path / "none.json", "workbench stains")
    refused(tmp_path, "")


def refused(path, why):
    with pytest.raises(InputError) as found:
        read_stain_profile(path)
    assert str(found.value).startswith(f"{path}: ")
    assert why in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.skipif(not DATA.is_dir(), reason="public fields are not here")
def test_public_fields_of_immunohistochemistry_are_not_taken_for_eosin():
    from PIL import Image

    def profile(path):
        return fitted(np.asarray(Image.open(path).convert("RGB"))[:, :512], (255.0,) * 3, "macenko", path.name)

    brown = profile(DATA / "slide" / "ihc" / "deepliif_Lung1.png")
    pink = [profile(DATA / "slide" / p) for p in ("he/stardist-histo.jpg", "cellvit_seg/test_1.png")]
    for one in pink:
        with pytest.raises(InputError, match="degrees"):
            require_same_stains(brown, one, "lung")
    require_same_stains(*pink, "breast")
