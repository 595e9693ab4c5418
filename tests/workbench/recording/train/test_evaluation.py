"""Evaluation of MEG-GPT with real (tiny, random) weights on recordings made for it."""

import csv
import json

import numpy as np
import pytest
import torch

from tests.tiny import make_tiny_meg_weights, make_tiny_recording
from workbench import weights
from workbench.core.errors import Cancelled, InputError, UsageError
from workbench.core.settings import build
from workbench.core.types import Case, Mark, Marks
from workbench.recording.data.events import events_of
from workbench.recording.data.recording import array_recording
from workbench.recording.evaluate.decode import BASELINE, CHANCE
from workbench.recording.evaluate.settings import MEGEvaluateConfig
from workbench.recording.train.decoding import FINE_TUNED, SIMPLE, ZERO_SHOT
from workbench.recording.train.evaluation import evaluate_cases
from workbench.recording.train.memory import memory_of
from workbench.recording.train.weights import load_parts

CPU = torch.device("cpu")
QUICK = {"device": "cpu", "seconds": 2.5, "bursts": False}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two subjects with two recordings each, events every 0.4 s."""
    folder = tmp_path_factory.mktemp("study")
    cases = []
    for subject in (1, 2):
        for session in (1, 2):
            name = f"sub-{subject}_ses-{session}"
            path = make_tiny_recording(folder / f"{name}.npy", seconds=12.0, seed=10 * subject + session)
            side = path.with_suffix(".json")
            record = json.loads(side.read_text(encoding="utf-8"))
            record["events"] = [[0.5 + 0.4 * i, "visual" if i % 2 else "button"] for i in range(27)]
            record["annotations"] = [[3.0, 0.5, "blink"]]
            side.write_text(json.dumps(record), encoding="utf-8")
            cases.append(Case(name, path, None, f"sub-{subject}"))
    return cases


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    path = make_tiny_meg_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")
    return load_parts(weights.find(str(path), "meg_gpt"))


def _evaluate(cases, parts, out=None, progress=None, **values):
    config = build(MEGEvaluateConfig, {**QUICK, **values})
    return evaluate_cases(cases, parts, CPU, config, out=out, progress=progress, facts={"weights": "tiny"})


def test_everything_with_a_report(study, parts, tmp_path) -> None:
    steps = []
    found = _evaluate(study, parts, tmp_path, lambda *a: steps.append(a), fine_tune=2)
    assert not found.failures
    assert [r["case"] for r in found.rows] == [c.id for c in study]
    for row in found.rows:
        assert row["seconds"] == 12.0
        assert 0 < row["variance explained [%]"] <= 100
        assert row["cross-entropy [nats]"] > 0
        assert 0 <= row["top-1"] <= row["top-5"] <= 1
    assert steps == sorted(steps)
    assert steps[-1] == (1000, 1000)
    splits = {(r["split"], r["features"]) for r in found.decoding.scores.as_dicts()}
    assert len(splits) == 2 * 5
    assert {f for _, f in splits} >= {ZERO_SHOT, FINE_TUNED, SIMPLE, BASELINE, CHANCE}
    assert len(found.similarities) == 8
    assert any("no vector of their own" in n for n in found.notes)
    names = {f.name for f in found.files}
    assert names == {
        "scores.csv", "channels.csv", "generation.csv", "generation_channels.csv", "peaks.csv", "decode.csv",
        "decode_folds.csv", "similarity.csv", "similarity_recordings.csv", "scores.json", "report.html",
    }  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()))
    assert float(rows[0]["top-1"]) == found.rows[0]["top-1"]
    plain = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert plain["provenance"] == {"weights": "tiny"}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for heading in ("Tokens", "Surprisal", "Real and generated signals", "Decoding", "Similarity of sessions"):
        assert f"<h2>{heading}</h2>" in page
    assert page.count("data:image/png;base64,") >= 6
    assert "<script" not in page
    assert 'src="http' not in page
    assert "variance explained [%]" in found.text()
    assert "new subject" in found.text()


def test_the_cross_entropy_is_the_mean_of_the_surprisal(study, parts) -> None:
    from workbench.data import formats
    from workbench.recording.data.prepare import prepare
    from workbench.recording.predict.surprisal import surprisal

    found = _evaluate(study[:1], parts, task="tokens")
    labels = parts.codec.encode(prepare(formats.read(study[0].image), parts.recipe).data)
    assert found.rows[0]["cross-entropy [nats]"] == pytest.approx(np.nanmean(surprisal(parts.gpt, labels)), rel=1e-5)
    shares = np.concatenate([[0], parts.codec.counts]) + 1.0
    used = labels[:, -(labels.shape[1] - np.isnan(surprisal(parts.gpt, labels)[0]).sum()) :]
    wanted = -np.log(shares / shares.sum())[used].mean()
    assert found.rows[0]["unigram entropy [nats]"] == pytest.approx(wanted, rel=1e-6)
    assert found.decoding is None
    assert found.comparisons == {}


def test_one_broken_recording_does_not_stop_the_others(study, parts, tmp_path) -> None:
    broken = tmp_path / "broken.npy"
    broken.write_bytes(b"not an array")
    found = _evaluate([Case("broken", broken, None, "x"), *study[:1]], parts, task="tokens")
    assert list(found.failures) == ["broken"]
    assert len(found.rows) == 1
    with pytest.raises(InputError, match="no recording could be evaluated"):
        _evaluate([Case("broken", broken, None, "x")], parts, task="tokens")


def test_a_tokeniser_alone_gives_what_it_can(study, tmp_path) -> None:
    alone = load_parts(weights.find(str(make_tiny_meg_weights(tmp_path / "t.safetensors", gpt=False)), "meg_gpt"))
    found = _evaluate(study[:1], alone)
    assert "variance explained [%]" in found.rows[0]
    assert "cross-entropy [nats]" not in found.rows[0]
    with pytest.raises(UsageError, match="tokeniser only"):
        _evaluate(study[:1], alone, task="generation")


def test_what_is_generated_for_a_session_uses_its_vector(study, tmp_path) -> None:
    path = make_tiny_meg_weights(tmp_path / "s.safetensors", sessions=2)
    parts = load_parts(weights.find(str(path), "meg_gpt"))
    named = [Case(f"session {i + 1}", c.image, None, c.group) for i, c in enumerate(study[:2])]
    own, mean = (_evaluate(named, parts, task="generation", session=s) for s in ("auto", "mean"))
    a, b = (np.array([c.psd_generated for c in e.comparisons.values()]) for e in (own, mean))
    assert not np.allclose(a, b)
    assert not any("no vector" in n for n in _evaluate(named, parts, task="similarity").notes)


def test_generation_repeats_with_its_seed(study, parts) -> None:
    first, again, other = (
        _evaluate(study[:1], parts, task="generation", seed=s).comparisons[study[0].id].psd_generated for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_decoding_says_what_is_wrong(study, parts) -> None:
    with pytest.raises(InputError, match="has an event 'visuel'. Did you mean 'visual'"):
        _evaluate(study, parts, task="decode", events=("visuel", "button"))
    with pytest.raises(InputError, match="needs two kinds"):
        _evaluate(study, parts, task="decode", events=("visual",))
    with pytest.raises(UsageError, match=r"100 samples; expected 2 to 40"):
        _evaluate(study, parts, task="decode", tmax=0.4)
    found = _evaluate(study, parts, task="decode", tmin=0.02, tmax=0.1, splits="subject")
    assert {r["split"] for r in found.decoding.scores.as_dicts()} == {"new subject"}


def test_trials_of_short_epochs_say_how_much_past_they_take(parts, tmp_path) -> None:
    import mne

    data = np.random.default_rng(0).normal(0, 1e-12, (12, 3, 60))
    info = mne.create_info(["parcel 1", "parcel 2", "parcel 3"], 250.0, "misc")
    events = np.c_[60 * np.arange(12), np.zeros(12, int), 1 + np.arange(12) % 2]
    path = tmp_path / "short-epo.fif"
    mne.EpochsArray(data, info, events, event_id={"x": 1, "y": 2}, verbose="error").save(path, verbose="error")
    with pytest.raises(InputError, match=r"reach over a break.*20 samples lie before a trial: choose a later tmax"):
        _evaluate([Case("short", path)], parts, task="decode", tmax=0.08)
    found = _evaluate([Case("short", path)], parts, task="decode")
    assert found.decoding.scores.as_dicts()[0]["trials"] == 12


def test_events_outside_of_the_data(study, parts, tmp_path) -> None:
    path = make_tiny_recording(tmp_path / "short.npy", seconds=3.0)
    side = path.with_suffix(".json")
    record = json.loads(side.read_text(encoding="utf-8"))
    record["events"] = [[1.0, "a"], [99.0, "b"]]
    side.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InputError, match="outside|after|99"):
        _evaluate([Case("short", path)], parts, task="decode")


def test_recordings_that_were_trained_on_are_named(study, parts) -> None:
    config = build(MEGEvaluateConfig, {**QUICK, "task": "tokens"})
    memory = memory_of({"training": {"trained_on": [study[0].id, "another"]}})  # as version 0.1 remembered
    found = evaluate_cases(study[:2], parts, CPU, config, memory=memory)
    assert any(study[0].id in n and "fit, not generalisation" in n for n in found.notes)
    assert [row["seen"] for row in found.rows] == ["learnt", "not known"]


def test_cancel_passes_through_every_part(study, parts) -> None:
    for limit in (0, 500, 900):

        def stop(done: int, total: int, limit: int = limit) -> None:
            if done >= limit:
                raise Cancelled

        with pytest.raises(Cancelled):
            _evaluate(study[:2], parts, progress=stop, fine_tune=2)


def test_events_come_first_then_annotations_without_a_length() -> None:
    marks = Marks(
        (Mark(1.0, 0.0, "visual"), Mark(2.0, 0.3, "blink"), Mark(3.0, 0.0, "BAD_x"), Mark(0.5, 0.0, "button"))
    )
    data = np.zeros((1, 100))
    plain = array_recording(data, ["a"], 10.0, marks=marks)
    assert events_of(plain) == [(0.5, "button"), (1.0, "visual")]
    both = array_recording(data, ["a"], 10.0, marks=marks, events=[(4.0, "7")])
    assert events_of(both) == [(4.0, "7")]
    assert (2.0, "blink") in events_of(both, ["blink", "7"])
    listed = array_recording(data, ["a"], 10.0, marks=marks, events=[(m.onset, m.label) for m in marks])
    assert events_of(listed) == [(0.5, "button"), (1.0, "visual")]
