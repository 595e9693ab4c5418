"""Decoding of trials whose kinds differ by something known."""

import numpy as np
import pytest

from workbench.core.errors import Cancelled, InputError
from workbench.recording.evaluate.decode import BASELINE, CHANCE, Trials, cut_trials, decode, interval, make_folds

FS = 100.0


def _study(subjects=3, sessions=2, trials=24, strength=1.0, seed=0) -> Trials:
    """Kinds 'a' and 'b' differ by a step in channel 0; every recording has its own clock."""
    rng = np.random.default_rng(seed)
    parts = []
    for subject in range(subjects):
        for session in range(sessions):
            data = rng.standard_normal((3, 100 * trials))
            events = [(7.0 + 0.2 + i, "ab"[i % 2]) for i in range(trials)]
            for time, kind in events:
                at = round((time - 7.0) * FS)
                data[0, at : at + 20] += strength * (1 if kind == "a" else -1)
            parts.append(
                cut_trials(data, FS, events, tmin=0.0, samples=20, start=7.0, session=f"s{subject}r{session}",
                           subject=f"s{subject}")
            )  # fmt: skip
    return Trials.join(parts)


def _accuracy(decoding, split, name) -> float:
    row = next(r for r in decoding.scores.as_dicts() if (r["split"], r["features"]) == (split, name))
    return row["accuracy"]


def test_windows_are_cut_where_the_events_are() -> None:
    data = np.arange(1000.0)[None]
    found = cut_trials(data, FS, [(2.0, "x"), (5.03, "y")], tmin=-0.1, samples=5, start=1.0)
    assert found.signals[:, 0].tolist() == [[90, 91, 92, 93, 94], [393, 394, 395, 396, 397]]
    assert found.labels.tolist() == ["x", "y"]
    assert found.begins.tolist() == [90, 393]


def test_trials_over_the_end_and_in_bad_segments_are_left_out_and_said() -> None:
    good = np.ones(1000, bool)
    good[510] = False
    events = [(0.05, "x"), (3.0, "x"), (5.0, "x"), (9.95, "x")]
    found = cut_trials(np.zeros((1, 1000)), FS, events, tmin=-0.1, samples=30, good=good, session="rec")
    assert found.begins.tolist() == [290]
    assert any("2 trials reach over" in n for n in found.notes)
    assert any("1 trials in bad segments" in n for n in found.notes)


def test_trials_over_a_break_are_left_out_and_said() -> None:
    events = [(1.0, "x"), (2.9, "x"), (3.0, "x"), (9.95, "x")]
    found = cut_trials(np.zeros((1, 1000)), FS, events, tmin=0.0, samples=20, runs=[(0, 300), (300, 1000)], session="r")
    assert found.begins.tolist() == [100, 300]
    assert found.notes == (
        "r: 1 trials, with their past, reach over a break and are left out",
        "r: 1 trials reach over an end of the recording and are left out",
    )


def test_what_differs_is_decoded_and_noise_is_not() -> None:
    t = _study()
    noise = np.random.default_rng(1).standard_normal((len(t), 10))
    found = decode({BASELINE: t.signals, "noise": noise}, t.labels, t.sessions, t.subjects)
    for split, folds in (("new session", 2), ("new subject", 3)):
        assert _accuracy(found, split, BASELINE) > 0.9
        assert 0.3 < _accuracy(found, split, "noise") < 0.7
        assert _accuracy(found, split, CHANCE) == pytest.approx(0.5, abs=0.01)
        row = next(r for r in found.scores.as_dicts() if (r["split"], r["features"]) == (split, BASELINE))
        assert row["folds"] == folds
        assert row["95 % from"] <= row["accuracy"] <= row["95 % to"]
        assert found.confusion[split, BASELINE].sum() == row["trials"]
        assert np.trace(found.confusion[split, BASELINE]) / row["trials"] == pytest.approx(row["accuracy"], abs=0.02)
    assert found.kinds == ("a", "b")
    p = next(r["p against baseline"] for r in found.scores.as_dicts() if r["features"] == "noise" and r["folds"] == 3)
    assert p == pytest.approx(2 / 8)


def test_features_of_a_fold_are_asked_for_with_what_it_may_learn_from() -> None:
    t = _study(subjects=2)
    seen = []

    def fitted(fold):
        seen.append((fold.split, set(t.sessions[fold.train]), set(t.sessions[fold.test])))
        return t.signals.mean(2)

    decode({"means": fitted}, t.labels, t.sessions, t.subjects, baseline="means")
    assert len(seen) == 4
    assert all(not train & test for _, train, test in seen)
    assert ("new subject", {"s1r0", "s1r1"}, {"s0r0", "s0r1"}) in seen
    assert ("new session", {"s0r0", "s1r0"}, {"s0r1", "s1r1"}) in seen


def test_scaling_is_learnt_from_the_training_trials_alone() -> None:
    """A held-out session of another gain: standardising it by itself would rescue the accuracy."""
    t = _study(subjects=2, sessions=1)
    values = t.signals.mean(2)
    values[t.subjects == "s1"] += 100
    found = decode({BASELINE: values}, t.labels, t.sessions, t.subjects, splits=("new subject",))
    assert _accuracy(found, "new subject", BASELINE) == pytest.approx(0.5)


def test_one_recording_is_split_by_time() -> None:
    folds, notes = make_folds(["s"] * 20, ["p"] * 20)
    assert {f.split for f in folds} == {"new trials"}
    assert [f.test.tolist() for f in folds] == [list(range(4 * k, 4 * k + 4)) for k in range(5)]
    assert len(notes) == 2
    found = decode({BASELINE: _study(1, 1, 40).signals}, ["a", "b"] * 20, ["s"] * 40, ["p"] * 40)
    assert _accuracy(found, "new trials", BASELINE) > 0.85
    assert "only one session" in found.notes[0]


def test_intervals() -> None:
    low, high = interval([0.6, 0.7, 0.8], 300)
    assert (low + high) / 2 == pytest.approx(0.7)
    assert high - low == pytest.approx(2 * 4.3027 * 0.1 / np.sqrt(3), rel=1e-4)
    low, high = interval([0.5], 100)
    assert (low, high) == pytest.approx((0.4038, 0.5962), abs=1e-3)
    low, high = interval([1.0, 1.0, 1.0], 12)  # twelve hits of twelve are no proof of perfection
    assert (low, high) == pytest.approx((12 / (12 + 1.96**2), 1.0), abs=1e-3)


def test_errors() -> None:
    data = np.zeros((1, 1000))
    with pytest.raises(InputError, match="no events in it"):
        cut_trials(data, FS, [], tmin=0, samples=10)
    with pytest.raises(InputError, match="no event 'fase'. Did you mean 'face'"):
        cut_trials(data, FS, [(1.0, "face")], tmin=0, samples=10, kinds=["fase"])
    with pytest.raises(InputError, match=r"1 of 2 events lie outside of the data \(0 to 10 s\), first at 40 s"):
        cut_trials(data, FS, [(1.0, "x"), (40.0, "y")], tmin=0, samples=10)
    with pytest.raises(InputError, match="needs two kinds"):
        decode({}, ["x"] * 9, ["s"] * 9, ["p"] * 9)
    with pytest.raises(InputError, match="only 2 trials of 'y'"):
        decode({}, ["x"] * 9 + ["y"] * 2, ["s"] * 11, ["p"] * 11)
    with pytest.raises(InputError, match="no fold can be made"):
        decode({}, ["x", "y"] * 9, ["s"] * 18, ["p"] * 18, splits=("new subject",))
    t = _study(1, 1)
    with pytest.raises(InputError, match="hold NaN"):
        decode({BASELINE: t.signals * np.nan}, t.labels, t.sessions, t.subjects)


def test_cancel_passes_through() -> None:
    t = _study(2, 1)

    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        decode({BASELINE: t.signals}, t.labels, t.sessions, t.subjects, step=stop)


def test_a_rare_kind_is_left_out_with_a_note() -> None:
    trials = _study()
    labels = trials.labels.astype("<U8")
    labels[[3, 30, 60]] = "rare"
    kept = labels != "rare"
    features = {BASELINE: trials.signals, "by fold": lambda fold: trials.signals.mean(2)}
    found = decode(features, labels, trials.sessions, trials.subjects)
    assert found.kinds == ("a", "b")
    assert any(n.startswith("left out: 3 trials of 'rare'; at least 5") for n in found.notes)
    plain = {BASELINE: trials.signals[kept], "by fold": trials.signals[kept].mean(2)}
    alone = decode(plain, labels[kept], trials.sessions[kept], trials.subjects[kept])
    assert found.scores.rows == alone.scores.rows
    assert sum(t.sum() for t in found.confusion.values()) == sum(t.sum() for t in alone.confusion.values())
    few = np.where(labels == "b", "b", "a")
    few[np.flatnonzero(few == "b")[4:]] = "a"
    with pytest.raises(InputError, match=r"only 4 trials of 'b'; decoding needs two kinds with at least 5 trials each"):
        decode({BASELINE: trials.signals}, few, trials.sessions, trials.subjects)


def test_an_event_that_is_listed_twice_is_one_trial() -> None:
    data = np.arange(1000.0)[None]
    events = [(2.0, "x"), (3.0, "y"), (2.001, "x"), (3.0, "z")]
    found = cut_trials(data, FS, events, tmin=0.0, samples=5)
    assert list(zip(found.begins.tolist(), found.labels.tolist(), strict=True)) == [(200, "x"), (300, "y"), (300, "z")]
    assert found.notes == ("session: 1 events are listed twice, at the same sample; each is one trial",)
