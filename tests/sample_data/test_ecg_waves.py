"""The network for waves is taught the same way every time, on folds that share no patient, by right examples."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.ecg_maker import Heart, leads, onsets

SCRIPT = Path(__file__).resolve().parents[2] / "sample_data" / "train_ecg_waves.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("train_ecg_waves", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


@pytest.fixture(scope="module")
def examples():
    """Ten hearts with borders known by formula, every second one without P waves."""
    data, labels, peaks = [], [], []
    for k in range(10):
        heart = Heart(rate=60 + 3 * k, p_size=0.15 * (k % 2 == 0), seed=k)
        at = np.arange(2500) / 250
        label, peak = np.zeros((12, 2500), np.uint8), np.zeros((12, 3, 2500), np.float32)
        for start in onsets(heart, 10.0):
            for kind, first, length in (
                (1, start - heart.pr, heart.p if heart.p_size else 0),
                (2, start, heart.qrs),
                (3, start + heart.qt - heart.t, heart.t),
            ):
                label[:, (at >= first) & (at <= first + length)] = kind
                if length:
                    bump = np.exp(-0.5 * ((at - first - length / 2) / 0.012) ** 2)
                    peak[:, kind - 1] = np.maximum(peak[:, kind - 1], bump)
        data.append(leads(heart, 10.0, 250.0, 0.01))
        labels.append(label)
        peaks.append(peak)
    return {"numbers": list(range(10)), "data": np.stack(data), "labels": np.stack(labels), "peaks": np.stack(peaks)}


def test_folds_hold_each_record_once_and_share_those_without_p(script, examples):
    fold = script.fold_of(examples)
    assert sorted(np.bincount(fold)) == [2] * 5
    without = ~(examples["labels"] == 1).any((1, 2))
    np.testing.assert_array_equal(np.bincount(fold[without], minlength=5), [1] * 5)


def test_a_batch_is_the_same_every_time_and_finite(script, examples):
    one, two = (script.batch(examples, np.arange(10), np.random.default_rng(5)) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    x, there, label, peak = one
    assert np.isfinite(x).all()
    assert not x[~there].any()
    assert (label[~there] == 255).all()
    assert set(np.unique(label)) <= {0, 1, 2, 3, 255}
    assert peak.shape == (*x.shape[:2], 3, x.shape[2])


def test_beats_that_are_cut_out_leave_no_label_and_no_wave(script, examples):
    x, label, peak = (examples[key][0] for key in ("data", "labels", "peaks"))
    changed = set()
    for seed in range(12):
        y, new, tops = script.conducted(x, label.copy(), peak.copy(), np.random.default_rng(seed))
        for kind in (1, 2, 3):
            gone = (label == kind) & (new != kind)
            if gone.any():
                changed.add(("cut", kind))
            came = (label != kind) & (new == kind)
            if came.any():
                changed.add(("new", kind))
                assert kind == 1
        cut = (label == 2) & (new == 0)
        if cut.any():  # nothing of a QRS is left where none is said to be
            assert np.abs(np.diff(y, axis=1))[:, 1:][cut[:, 2:]].max() < 0.1
            assert tops[:, 1][cut].max() == 0
        added = (label == 0) & (new == 1)
        if added.any():
            assert np.abs(y - x).max(0)[added.any(0)].max() > 0.05
    assert changed >= {("cut", 1), ("cut", 2), ("new", 1)}


def test_teaching_gives_the_same_weights_every_time(script, examples, monkeypatch):
    import torch

    monkeypatch.setitem(script.SETTINGS, "rows", 12)
    monkeypatch.setitem(script.SETTINGS, "samples", 512)
    try:
        one, two = (script.learn(examples, np.arange(10), 3, "try") for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert sum(p.numel() for p in one.parameters()) < 75_000
