"""Training on recordings: both stages, resuming, adapting, given tokenisers, and what is refused."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.tiny import make_tiny_meg_weights, make_tiny_recording
from workbench import weights
from workbench.core.errors import Cancelled, InputError, UsageError, WeightsError
from workbench.core.settings import build
from workbench.core.types import Case
from workbench.recording.net.gpt import MEGGPT
from workbench.recording.predict.tokens import variance_explained
from workbench.recording.train.data import Session, Split, Stretch
from workbench.recording.train.fine_tune import fine_tune
from workbench.recording.train.model import count_labels, encode_sessions, session_vectors
from workbench.recording.train.settings import MEGTrainConfig
from workbench.recording.train.train import MEGEvent, _reconstruction, train_meg
from workbench.recording.train.weights import load_parts

QUICK = {
    "device": "cpu", "n_tokens": 16, "units": 16, "window": 60, "margin": 5, "token_dim": 4, "tokenizer_steps": 10,
    "tokenizer_batch": 4, "steps": 6, "batch": 2, "val_windows": 4, "val_fraction": 0.34, "validate_every": 3,
}  # fmt: skip


def config(**more):
    return build(MEGTrainConfig, {**QUICK, **more})


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    files = [make_tiny_recording(folder / f"sub-{i}_ses-1.npy", seed=i) for i in range(3)]
    return [Case(f.stem, f, None, f.stem[:5]) for f in files]


@pytest.fixture(scope="module")
def trained(cases, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "mine.safetensors"
    lines = []
    return train_meg(cases, config(), out, lambda e: lines.append(e.line())), lines


def tensors_of(path):
    return weights.load_tensors(path)


def test_both_stages_give_one_file_with_its_record(trained, cases):
    report, lines = trained
    meta = weights.read_meta(report.weights)
    assert meta["backend"] == "meg_gpt"
    assert meta["training"]["stages"].keys() == {"tokenizer", "model"}
    assert len(meta["training"]["trained_on"]) == 2
    assert "held-out subject" in meta["training"]["validation"]
    assert set(meta["training"]["trained_on"]).isdisjoint(meta["training"]["validated_on"])
    assert meta["channels"] == ["parcel 1", "parcel 2", "parcel 3"]
    assert meta["recipe"]["n_channels"] == 3
    scores = meta["scores"]
    assert scores["variance explained"] > 80
    assert scores["unigram entropy"] < np.log(17) + 0.2
    assert report.score == pytest.approx(scores["cross-entropy"], abs=1e-3)
    assert report.log.is_file()
    text = report.report.read_text(encoding="utf-8")
    assert "unigram entropy" in text
    assert text.count("data:image/png") >= 4
    assert any(line.startswith("tokeniser step 10/10") and "variance explained" in line for line in lines)
    assert any("MEG-GPT step 6/6" in line and "top-5" in line and "unigram entropy" in line for line in lines)
    assert any(line.startswith("preparing sub-") for line in lines)


def test_the_file_gives_the_tokens_that_were_learnt_from(trained, cases):
    """Stored as float16, but the vocabulary was counted with the numbers as they are stored."""
    parts = load_parts(weights.find(trained[0].weights, "meg_gpt"))
    assert parts.gpt is not None
    assert parts.gpt.n_tokens == parts.codec.n_tokens
    x = np.load(cases[0].image)
    x = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    labels = parts.codec.encode(x.astype(np.float32))
    meta = weights.read_meta(trained[0].weights)
    assert cases[0].id in meta["training"]["trained_on"]
    assert labels.min() > 0
    assert labels.max() < parts.codec.n_tokens


def stop_at(stage, step):
    def on_event(event):
        if event.stage == stage and event.step == step:
            raise Cancelled

    return on_event


def test_an_interrupted_training_goes_on_as_if_nothing_had_happened(cases, trained, tmp_path):
    """Once in the first stage, once in the second."""
    out = tmp_path / "half.safetensors"
    with pytest.raises(Cancelled):
        train_meg(cases, config(), out, stop_at("tokenizer", 5))
    assert not out.exists()
    half = train_meg(cases, config(resume=True), out, stop_at("model", 4))
    assert half.stopped == "cancelled"
    assert out.exists()
    whole = train_meg(cases, config(resume=True), out)
    assert whole.stopped == "finished"
    wanted, found = tensors_of(trained[0].weights), tensors_of(out)
    assert wanted.keys() == found.keys()
    assert all(torch.equal(found[k], v) for k, v in wanted.items())
    assert whole.scores == trained[0].scores


def test_what_is_there_is_not_replaced_and_other_settings_do_not_resume(cases, tmp_path):
    out = tmp_path / "half.safetensors"
    with pytest.raises(Cancelled):
        train_meg(cases, config(), out, stop_at("tokenizer", 5))
    with pytest.raises(UsageError, match="state of an earlier training; add --resume"):
        train_meg(cases, config(), out)
    with pytest.raises(UsageError, match="interrupted training differed in.*n_tokens"):
        train_meg(cases, config(resume=True, n_tokens=12), out)


def test_a_cancel_while_recordings_are_prepared_passes_through(cases, tmp_path):
    def stop(event):
        raise Cancelled

    with pytest.raises(Cancelled):
        train_meg(cases, config(), tmp_path / "none.safetensors", stop)
    assert not list(tmp_path.iterdir())


def test_a_tokeniser_alone_then_a_model_with_it(cases, tmp_path):
    first = train_meg(cases, config(stage="tokenizer"), tmp_path / "tokens.safetensors")
    assert first.measure == "variance explained [%]"
    parts = load_parts(weights.find(first.weights, "meg_gpt"))
    assert parts.gpt is None
    assert parts.n_channels is None
    second = train_meg(cases, config(stage="model", tokenizer=str(first.weights)), tmp_path / "model.safetensors")
    before, after = tensors_of(first.weights), tensors_of(second.weights)
    assert all(torch.equal(after[k], v) for k, v in before.items())
    assert any(k.startswith("gpt.") for k in after)


@pytest.mark.parametrize("kind", ["mulaw", "quantile"])
def test_fixed_tokenisers(cases, tmp_path, kind):
    report = train_meg(cases, config(tokenizer=kind), tmp_path / "m.safetensors")
    parts = load_parts(weights.find(report.weights, "meg_gpt"))
    assert parts.codec.kind == kind
    assert parts.gpt.n_tokens == 17
    assert report.scores["variance explained"] > 90


def test_the_seed_decides_the_network_where_no_tokeniser_is_learnt(cases, tmp_path):
    """Nothing else may: torch begins every process with another seed."""
    found = []
    for number in (1, 2):
        torch.manual_seed(number)
        report = train_meg(cases, config(tokenizer="quantile"), tmp_path / f"{number}.safetensors")
        found.append(tensors_of(report.weights))
    assert all(torch.equal(found[0][k], v) for k, v in found[1].items())


def test_sessions_get_vectors_and_their_names_are_kept(cases, tmp_path):
    report = train_meg(
        cases, config(session_embedding=True, validation="windows", val_fraction=0.1), tmp_path / "m.safetensors"
    )
    parts = load_parts(weights.find(report.weights, "meg_gpt"))
    assert parts.gpt.n_sessions == 3
    assert parts.sessions == ("sub-0_ses-1", "sub-1_ses-1", "sub-2_ses-1")
    assert parts.gpt.config["session_dim"] == parts.codec.n_tokens
    assert "trained on" in report.validation


def test_adapters_are_small_and_change_what_the_base_says(cases, tmp_path):
    base = make_tiny_meg_weights(tmp_path / "base.safetensors")
    report = train_meg(cases, config(weights=str(base), lora_rank=2, lr=0.05, steps=8), tmp_path / "lora.safetensors")
    meta = weights.read_meta(report.weights)
    assert meta["kind"] == "lora"
    assert all("lora" in k for k in tensors_of(report.weights))
    plain, adapted = (load_parts(weights.find(p, "meg_gpt")) for p in (base, report.weights))
    tokens = torch.randint(1, 12, (2, 40, 3))
    with torch.no_grad():
        before, after = plain.gpt(tokens), adapted.gpt(tokens)
    assert not torch.allclose(before, after, atol=1e-4)
    assert plain.gpt.config == adapted.gpt.config
    losses = [row["cross-entropy"] for row in report.history["model"]]
    assert losses[-1] < losses[0] + 0.01


def test_going_on_from_weights_keeps_their_tokeniser(cases, tmp_path):
    base = make_tiny_meg_weights(tmp_path / "base.safetensors")
    report = train_meg(cases, config(weights=str(base), save_as="float32"), tmp_path / "more.safetensors")
    before, after = tensors_of(base), tensors_of(report.weights)
    assert all(torch.equal(after[k], v) for k, v in before.items() if not k.startswith("gpt."))
    assert any(not torch.equal(after[k], v) for k, v in before.items() if k.startswith("gpt."))


def test_training_in_bfloat16_works(cases, tmp_path):
    report = train_meg(cases, config(precision="bfloat16", tokenizer="quantile"), tmp_path / "m.safetensors")
    assert np.isfinite(report.score)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"stage": "model"}, "needs a tokeniser"),
        ({"stage": "tokenizer", "tokenizer": "mulaw"}, "leave out tokenizer and weights"),
        ({"lora_rank": 4}, "lora_rank adapts trained weights"),
        ({"margin": 30}, "less than half of the window"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(cases, tmp_path, more, message):
    with pytest.raises(UsageError, match=message):
        train_meg(cases, config(**more), tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_other_channels_than_the_first_recording_or_the_weights(cases, tmp_path):
    wide = make_tiny_recording(tmp_path / "wide.npy", channels=4)
    mixed = [*cases, Case("wide", wide, None, "p")]
    with pytest.raises(InputError, match="case 'wide'.*4 channels.*'sub-0_ses-1' has 3"):
        train_meg(mixed, config(), tmp_path / "m.safetensors")
    base = make_tiny_meg_weights(tmp_path / "base.safetensors")
    few = make_tiny_recording(tmp_path / "few.npy", channels=2)
    with pytest.raises(InputError, match="case 'few'.*2 misc channels, the weights take 3"):
        train_meg([Case("few", few, None, "p")], config(weights=str(base)), tmp_path / "m.safetensors")


def test_resampling_may_be_forbidden(tmp_path):
    slow = make_tiny_recording(tmp_path / "slow.npy", rate=200.0, seconds=6.0)
    with pytest.raises(InputError, match="case 'slow'.*200 Hz, 250 Hz was expected"):
        train_meg([Case("slow", slow, None, "p")], config(allow_resample=False), tmp_path / "m.safetensors")


def test_weights_are_not_written_over_where_they_come_from(cases, tmp_path):
    base = make_tiny_meg_weights(tmp_path / "base.safetensors")
    with pytest.raises(UsageError, match="starts from this very file"):
        train_meg(cases, config(weights=str(base), overwrite=True), base)
    adapter = train_meg(cases, config(weights=str(base), lora_rank=2), tmp_path / "lora.safetensors").weights
    with pytest.raises(WeightsError, match="an adapter cannot be trained further"):
        train_meg(cases, config(weights=str(adapter)), tmp_path / "more.safetensors")


def test_events_say_where_a_training_stands():
    event = MEGEvent(3, 10, 2.5, 1e-3, 1.0, 65.0, stage="model")
    assert event.line() == "MEG-GPT step 3/10  loss 2.500  1:05 left"
    scored = dataclasses.replace(
        event, scores={"cross-entropy": 2.0, "unigram entropy": 3.0, "top-1": 0.25, "top-5": 0.75}
    )
    assert "cross-entropy 2.000 (unigram entropy 3.000)  top-1 0.250  top-5 0.750" in scored.line()


def test_a_given_tokeniser_brings_its_preparation(cases, tmp_path):
    first = train_meg(cases, config(stage="tokenizer", kinds="misc", band=(1.0, 60.0)), tmp_path / "t.safetensors")
    given = {"stage": "model", "tokenizer": str(first.weights)}
    second = train_meg(cases, config(**given, notch=50.0), tmp_path / "m.safetensors")
    recipe = weights.read_meta(second.weights)["recipe"]
    assert recipe["kinds"] == ["misc"]
    assert recipe["band"] == [1.0, 60.0]
    assert recipe["notch"] == [50.0]
    with pytest.raises(UsageError, match="sampling_rate=100 Hz, but the tokens given are of 250 Hz"):
        train_meg(cases, config(**given, sampling_rate=100.0), tmp_path / "n.safetensors")


def test_going_on_keeps_the_vectors_of_known_sessions(cases, tmp_path):
    both = {"validation": "windows", "val_fraction": 0.1}
    first = train_meg(cases, config(session_embedding=True, **both), tmp_path / "a.safetensors")
    more = config(weights=str(first.weights), steps=1, lr=1e-7, ema=0.0, save_as="float32", **both)
    second = train_meg(cases[1:], more, tmp_path / "b.safetensors")
    tables = [load_parts(weights.find(r.weights, "meg_gpt")) for r in (first, second)]
    assert tables[0].sessions == tables[1].sessions == ("sub-0_ses-1", "sub-1_ses-1", "sub-2_ses-1")
    before, after = (p.gpt.input_embedding_layer.session_table for p in tables)
    assert torch.allclose(before, after, atol=1e-5)


def tiny_session(tmp_path, samples=2400, segments=()):
    parts = load_parts(weights.find(str(make_tiny_meg_weights(tmp_path / "tiny.safetensors")), "meg_gpt"))
    data = np.random.default_rng(0).standard_normal((3, samples)).astype(np.float32)
    return parts, Session("s", "p", data, np.ones(samples, bool), ("a", "b", "c"), 250.0, segments)


def test_epochs_are_learnt_from_as_they_will_be_read(tmp_path):
    parts, session = tiny_session(tmp_path, segments=tuple((i, i + 150) for i in range(0, 2400, 150)))
    labels = encode_sessions(parts.codec, [session])[0]
    for a, b in session.segments:
        assert np.array_equal(labels[:, a:b], parts.codec.encode(session.data[:, a:b]))


def test_what_is_held_out_goes_into_scores_alone(tmp_path):
    """Neither the training part of a recording into its score, nor the held-out one into its session's vector."""
    parts, session = tiny_session(tmp_path)
    split = Split((Stretch(0, 0, 1000), Stretch(0, 1200, 2400)), (Stretch(0, 1000, 1200),), "")
    labels = parts.codec.encode(session.data)
    found = _reconstruction(parts.codec, [session], split)["variance explained"]
    held = slice(1000, 1200)
    alone = session.data[:, held]
    wanted = variance_explained(alone, parts.codec.decode(parts.codec.encode(alone))).mean()
    assert found == pytest.approx(wanted)
    shares = count_labels([labels], split, parts.gpt.n_tokens)
    assert shares.sum() == 3 * 2200
    gpt = MEGGPT(**{**parts.gpt.config, "n_sessions": 1, "session_dim": parts.gpt.n_tokens})
    assert session_vectors(gpt, None, [labels], [session], split) == {0: 0}
    assert torch.allclose(gpt.input_embedding_layer.session_table[0], torch.from_numpy(shares / shares.sum()).float())


def test_fine_tuning_on_too_little_says_so(tmp_path):
    parts, session = tiny_session(tmp_path, samples=40)
    with pytest.raises(InputError, match="no recording to fine-tune on has 41 good samples"):
        fine_tune(parts.gpt, [session], [parts.codec.encode(session.data)], steps=1, lr=1e-4, batch=2)
