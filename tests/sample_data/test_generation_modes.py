"""Anchored and sliding generation with the demo weights: their signals differ no more than seeds do."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bench():
    path = ROOT / "tests" / "benchmarks" / "compare_generation_modes.py"
    before = list(sys.path)
    spec = importlib.util.spec_from_file_location("compare_generation_modes", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before
    del sys.modules[spec.name]


def test_a_shift_beyond_the_spread_is_seen_and_noise_is_not(bench) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 6, 30))
    same = bench.family("x", list(a), list(b))
    assert same.p > 0.1
    assert same.size == 30
    assert same.spread == pytest.approx(1, abs=0.2)
    shifted = bench.family("x", list(a), list(b + 4))
    assert shifted.p < 0.01
    assert shifted.difference == pytest.approx(4, abs=0.5)
    assert shifted.difference > 2 * shifted.spread


@pytest.mark.slow
def test_both_ways_are_run_and_measured(bench, tmp_path) -> None:
    """The whole comparison with tiny random weights: it runs, and both schedules of context see the same samples."""
    from tests.tiny import make_tiny_meg_weights
    from workbench import weights
    from workbench.recording.train.weights import load_parts

    parts = load_parts(weights.find(str(make_tiny_meg_weights(tmp_path / "w.safetensors")), "meg_gpt"))
    rng = np.random.default_rng(1)
    signals = rng.standard_normal((3, 1500)).cumsum(1).astype(np.float32)
    signals = (signals - signals.mean(1, keepdims=True)) / signals.std(1, keepdims=True)
    families, seconds = bench.compare_modes(parts, [(signals, parts.codec.encode(signals))], seeds=2, seconds=6.0)
    names = " ".join(f.name for f in families)
    for measure in ("PSD", "covariance", "burst", "cross-entropy", "token frequency"):
        assert measure in names
    assert set(seconds) == {"anchored", "sliding"}
    assert all(np.isfinite([f.difference, f.spread, f.p]).all() for f in families if f.size)


@pytest.mark.slow
def test_anchored_is_like_sliding_with_the_demo_weights(bench) -> None:
    from workbench import weights
    from workbench.recording.train.weights import load_parts

    parts = load_parts(weights.find("demo", "meg_gpt"))
    seeds = 4
    families, _ = bench.compare_modes(parts, bench.held_out(parts, 20.0), seeds=seeds, seconds=14.0)
    for f in families:
        # Means of four runs differ by spread * sqrt(2 / 4) if modes mean nothing; a single measure by less than thrice.
        assert f.difference < 3 * f.spread * np.sqrt(2 / seeds), f
