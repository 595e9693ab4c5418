"""Pictures of recordings: that they draw, with what is missing, and that they show what they are given."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from workbench.core.types import Mark
from workbench.recording.evaluate import pictures as meg

RNG = np.random.default_rng(0)


def _pixels(png: bytes) -> np.ndarray:
    pixels = imread(io.BytesIO(png))
    assert pixels[..., :3].std() > 0.01
    return pixels


@pytest.mark.parametrize("channels", [1, 3, 60])
def test_spectra_of_any_number_of_channels(channels) -> None:
    freqs = np.arange(1, 45.5, 0.5)
    density = np.tile(1 / freqs, (channels, 1))
    names = [f"c{i}" for i in range(channels)]
    same = meg.spectra(freqs, density, density, names, {"alpha": (10.0, float("nan"))})
    other = meg.spectra(freqs, density, 3 * density, names, {"alpha": (10.0, 11.0)})
    assert not np.array_equal(_pixels(same), _pixels(other))


def test_covariances_bursts_and_tokens() -> None:
    names = ["a", "b", "c"]
    _pixels(meg.matrices({"real": np.eye(3), "generated": -np.eye(3)}, label="covariance", labels=names))
    _pixels(meg.matrices({"real": np.zeros((60, 60))}, label="covariance"))
    _pixels(meg.pairs({"rate": ([1, 2, 3], [1, float("nan"), 2])}, names))
    _pixels(meg.tokens(None, np.full(10, 0.1)))
    _pixels(meg.tokens(np.full(12, 1 / 12), np.full(12, 1 / 12)))


@pytest.mark.parametrize("samples", [40, 7000])
def test_surprisal_with_gaps_and_annotations(samples) -> None:
    values = RNG.gamma(2, 1, (4, samples))
    values[:, :20] = np.nan
    plain = meg.surprisal(values, 5.0, 100.0, list("abcd"))
    marked = meg.surprisal(values, 5.0, 100.0, list("abcd"), [Mark(5.1, 0.1, "blink"), Mark(900.0, 1.0, "late")])
    assert not np.array_equal(_pixels(plain), _pixels(marked))
    _pixels(meg.surprisal(np.full((2, samples), np.nan), 0.0, 100.0, ["a", "b"]))


def test_accuracies_and_fingerprints() -> None:
    rows = [
        {"split": s, "features": f, "accuracy": 0.5, "95 % from": 0.4, "95 % to": 0.6}
        for s in ("new session", "new subject")
        for f in ("chance", "signals")
    ]
    _pixels(meg.accuracies(rows))
    _pixels(meg.fingerprints({"spectra": RNG.random((5, 5))}, {"spectra": np.linspace(0.2, 1, 5)}, list("abcde")))


def test_places_are_laid_flat_around_the_top() -> None:
    top, right, front, low = (0, 0, 0.1), (0.1, 0, 0.0), (0, 0.1, 0.0), (-0.05, -0.08, 0.0)
    left = (-0.1, 0, 0.0)
    flat = meg.flattened(np.array([top, right, front, left, low, (0, -0.1, 0)]))
    np.testing.assert_allclose(flat[0], 0, atol=1e-9)
    np.testing.assert_allclose(flat[1], (0.095, 0), atol=1e-9)
    np.testing.assert_allclose(flat[2], (0, 0.095), atol=1e-9)
    assert np.hypot(*flat[4]) == pytest.approx(0.095)


def test_sensor_maps_with_few_doubled_and_unknown_places() -> None:
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([0.08 * np.cos(angle), 0.08 * np.sin(angle), np.linspace(0.02, 0.09, 24)], 1)
    values = RNG.random(24)
    surface = meg.sensor_map(values, ring, label="variance explained [%]")
    assert not np.array_equal(_pixels(surface), _pixels(meg.sensor_map(values[::-1], ring, label="x")))
    twice = np.concatenate([ring, ring, [[np.nan] * 3]])
    _pixels(meg.sensor_map(np.concatenate([values, values, [0.5]]), twice, label="x"))
    _pixels(meg.sensor_map(values[:3], ring[:3], label="x"))
