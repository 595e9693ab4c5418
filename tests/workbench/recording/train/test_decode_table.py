"""The decode table of a study, recomputed with MNE and scikit-learn; and the same whatever names the events.

The study is that of the sample data: simulated brains with two kinds of event, blinks and clenched jaws. The recordings
begin at some sample and have a date, so that a file of events has a clock of its own to be wrong by.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import mne
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sample_data.make_recordings import EVENTS, Simulated, info_of, simulate
from tests.tiny import make_tiny_meg_weights
from workbench import weights
from workbench.core.settings import build
from workbench.core.types import Case
from workbench.recording.evaluate.decode import BASELINE, CHANCE
from workbench.recording.evaluate.settings import MEGEvaluateConfig
from workbench.recording.predict.features import features
from workbench.recording.train.decoding import SIMPLE, ZERO_SHOT, trials_of
from workbench.recording.train.evaluation import evaluate_cases
from workbench.recording.train.opened import Course, open_one
from workbench.recording.train.weights import load_parts

CPU = torch.device("cpu")
FIRST = 1234  # samples
TMIN, TMAX = 0.08, 0.22  # s after an event
STUDY = [(subject, session) for subject in (1, 2, 3) for session in (1, 2)]
SOURCES = ("annotations", "triggers", "csv", "bids tsv", "eve fif", "dated annotations")


@pytest.fixture(scope="module")
def simulated() -> dict[str, Simulated]:
    return {f"sub-{p}_ses-{s}": simulate(p, s, 45.0, 7) for p, s in STUDY}


def made(found: Simulated, source: str, path: Path) -> Path | None:
    """Write a recording whose events lie in `source`; the file that names them, where it is another one."""
    info, data = info_of(found.fs), found.data.astype(np.float64)
    if source == "triggers":
        stim = mne.create_info(["STI 014"], found.fs, "stim", verbose="ERROR")
        codes = np.zeros((1, data.shape[1]))
        for time, kind in found.events:
            at = round(time * found.fs)
            codes[0, at : at + 10] = 1 + EVENTS.index(kind)
        raw = mne.io.RawArray(data, info, first_samp=FIRST, verbose="ERROR")
        raw.add_channels([mne.io.RawArray(codes, stim, first_samp=FIRST, verbose="ERROR")], force_update_info=True)
    else:
        raw = mne.io.RawArray(data, info, first_samp=FIRST, verbose="ERROR")
    raw.set_meas_date(datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC))
    shown = {(t, k) for t, k in found.events}
    marks = [(m.onset, m.duration, f"bad {m.label}" if m.label == "muscle" else m.label) for m in found.marks
             if source == "annotations" or (m.onset, m.label) not in shown]  # fmt: skip
    raw.set_annotations(mne.Annotations(*(list(c) for c in zip(*marks, strict=True))))
    raw.save(path, fmt="double", verbose="ERROR")
    rows = [(t, k) for t, k in found.events]
    beside = path.with_name(path.name.replace("_raw.fif", ""))
    if source == "csv":
        side = beside.with_suffix(".csv")
        side.write_text("time,label\n" + "".join(f"{t:.3f},{k}\n" for t, k in rows))
    elif source == "bids tsv":
        side = beside.with_suffix(".tsv")
        side.write_text("onset\tduration\ttrial_type\n" + "".join(f"{t}\t0.2\t{k}\n" for t, k in rows))
    elif source == "eve fif":
        side = path.with_name(f"{beside.name}-eve.fif")
        codes = [[round(t * found.fs) + FIRST, 0, 1 + EVENTS.index(k)] for t, k in rows]
        mne.write_events(side, np.array(codes), verbose="ERROR")
    elif source == "dated annotations":
        side = path.with_name(f"{beside.name}-annot.fif")
        own = raw.copy().set_annotations(mne.Annotations([t for t, _ in rows], [0.0] * len(rows), [k for _, k in rows]))
        own.annotations.save(side, verbose="ERROR")
    else:
        return None
    return side


@pytest.fixture(scope="module")
def study(simulated, tmp_path_factory) -> dict[str, list[Case]]:
    folder = tmp_path_factory.mktemp("study")
    found: dict[str, list[Case]] = {}
    for source in SOURCES:
        (folder / source).mkdir()
        for name, one in simulated.items():
            path = folder / source / f"{name}_raw.fif"
            side = made(one, source, path)
            options = {} if side is None else {"events": str(side)}
            found.setdefault(source, []).append(Case(name, path, None, name.split("_")[0], options))
    return found


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    path = make_tiny_meg_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors", channels=12)
    return load_parts(weights.find(str(path), "meg_gpt"))


def config(**values) -> MEGEvaluateConfig:
    return build(
        MEGEvaluateConfig, {"device": "cpu", "task": "decode", "tmin": TMIN, "tmax": TMAX, "kinds": "misc", **values}
    )


def table(found) -> dict[tuple[str, str], tuple[float, int, int]]:
    rows = found.decoding.scores.as_dicts()
    return {(r["split"], r["features"]): (r["accuracy"], r["folds"], r["trials"]) for r in rows}


def windows_of_mne(case: Case, context: int) -> tuple[np.ndarray, list[str]]:
    """Trials by `mne.Epochs` on standardised signals; those whose past is bad or missing are dropped by MNE."""
    raw = mne.io.read_raw_fif(case.image, preload=True, verbose="ERROR")
    rate = raw.info["sfreq"]
    good = np.ones(raw.n_times, bool)
    for mark in raw.annotations:
        if mark["description"].startswith("bad"):
            begin = mark["onset"] - raw.first_time
            good[int(np.floor(begin * rate)) : int(np.ceil((begin + mark["duration"]) * rate)) + 1] = False
    data = raw.get_data(picks="misc")
    data = (data - data[:, good].mean(1, keepdims=True)) / data[:, good].std(1, keepdims=True)
    scaled = mne.io.RawArray(data, mne.pick_info(raw.info, mne.pick_types(raw.info, misc=True)),
                             first_samp=raw.first_samp, verbose="ERROR")  # fmt: skip
    scaled.set_annotations(raw.annotations)
    events, names = mne.events_from_annotations(scaled, {k: 1 + n for n, k in enumerate(EVENTS)}, verbose="ERROR")
    samples = round((TMAX - TMIN) * rate)
    begin = TMIN - (context - samples) / rate
    end = begin + (context - 1) / rate
    epochs = mne.Epochs(scaled, events, names, begin, end, baseline=None, picks="misc", preload=True,
                        reject_by_annotation=True, verbose="ERROR")  # fmt: skip
    return epochs.get_data(picks="misc")[:, :, -samples:], [EVENTS[c - 1] for c in epochs.events[:, 2]]


def test_the_table_by_mne_and_scikit_learn(study, parts) -> None:
    cases = study["annotations"]
    found = table(evaluate_cases(cases, parts, CPU, config()))
    cut = [windows_of_mne(c, parts.gpt.sequence_length) for c in cases]
    signals = np.concatenate([w for w, _ in cut])
    truth = np.concatenate([k for _, k in cut])
    session = np.concatenate([[c.id] * len(k) for c, (_, k) in zip(cases, cut, strict=True)])
    subject = np.array([s.split("_")[0] for s in session])
    # What the network makes of the same tokens; which trials those are is decided by MNE.
    opened = [open_one(c, parts, config(), Course(None, 1, (), config()), False) for c in cases]
    trials, tokens = trials_of(opened, parts.gpt.sequence_length, config())
    assert trials.sessions.tolist() == session.tolist()
    assert trials.labels.tolist() == truth.tolist()
    assert np.abs(trials.signals - signals).max() < 1e-4
    given = {
        BASELINE: signals,
        SIMPLE: np.concatenate([signals.mean(2), signals.std(2)], axis=1),
        ZERO_SHOT: features(parts.gpt, tokens, samples=signals.shape[2], device=CPU),
    }
    folds = {
        "new session": [np.isin(session, [f"sub-{p}_ses-{s}" for p in (1, 2, 3)]) for s in (1, 2)],
        "new subject": [subject == f"sub-{p}" for p in (1, 2, 3)],
    }
    assert {split for split, _ in found} == set(folds)
    for split, held in folds.items():
        for name, values in given.items():
            flat = np.asarray(values, np.float64).reshape(len(truth), -1)
            scores = []
            for test in held:
                model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
                model.fit(flat[~test], truth[~test])
                scores.append(float((model.predict(flat[test]) == truth[test]).mean()))
            accuracy, count, tested = found[split, name]
            # float32 and float64 signals may put a trial that lies on the border on either side.
            assert accuracy == pytest.approx(np.mean(scores), abs=1.01 / min(t.sum() for t in held)), (split, name)
            assert (count, tested) == (len(held), len(truth))
        usual = max(EVENTS, key=lambda k: (truth == k).sum())
        assert found[split, CHANCE][0] == pytest.approx(np.mean([(truth[t] == usual).mean() for t in held]))
    assert found["new session", BASELINE][0] > found["new session", CHANCE][0] + 0.05, "there is something to decode"


@pytest.mark.parametrize("source", SOURCES[1:])
def test_the_same_trials_whatever_names_the_events(study, parts, source) -> None:
    """Also with the kinds asked for by name, which counted annotations twice."""
    names = dict(zip(("1", "2"), EVENTS, strict=True)) if source in ("triggers", "eve fif") else {}
    for asked in (False, True):
        both = []
        for kind in ("annotations", source):
            known = tuple(names) if names and kind == source else EVENTS
            settings = config(events=known if asked else ())
            opened = [open_one(c, parts, settings, Course(None, 1, (), settings), False) for c in study[kind][:2]]
            both.append(trials_of(opened, parts.gpt.sequence_length, settings)[0])
        wanted, found = both
        assert found.begins.tolist() == wanted.begins.tolist()
        assert [names.get(k, k) for k in found.labels] == wanted.labels.tolist()
        assert found.sessions.tolist() == wanted.sessions.tolist()
        np.testing.assert_array_equal(found.signals, wanted.signals)


def test_no_trial_twice(study, parts) -> None:
    for source in SOURCES:
        known = ("1", "2") if source in ("triggers", "eve fif") else EVENTS
        settings = config(events=known)
        opened = open_one(study[source][0], parts, settings, Course(None, 1, (), settings), False)
        trials, _ = trials_of([opened], parts.gpt.sequence_length, settings)
        assert len(set(trials.begins.tolist())) == len(trials)


def test_a_recording_without_the_kinds_asked_for_does_not_stop_the_others(study, parts) -> None:
    settings = config(events=EVENTS)
    opened = [open_one(c, parts, settings, Course(None, 1, (), settings), False) for c in study["annotations"][:2]]
    bare = replace(opened[0], events=((3.0, "other"),), session=replace(opened[0].session, name="bare"))
    trials, _ = trials_of([bare, *opened], parts.gpt.sequence_length, settings)
    assert set(trials.sessions.tolist()) == {o.name for o in opened}
    assert "bare: no events of these kinds in it, left out" in trials.notes
