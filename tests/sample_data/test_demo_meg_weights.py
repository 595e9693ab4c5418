"""The demo weights do what their card says, on the sample recording: a subject that they never saw."""

import numpy as np
import pytest

import workbench as wb
from workbench import weights
from workbench.core.samples import demo_weights, sample_files
from workbench.recording.evaluate.signals import compare
from workbench.recording.predict.generate import generate
from workbench.recording.train.weights import load_parts


@pytest.fixture(scope="module")
def result():
    return wb.predict("meg_gpt", sample_files()["recording_9201_raw"], weights="demo", device="cpu")


def test_the_file_is_small_and_says_what_it_is():
    path = demo_weights()["meg_gpt"]
    assert path.stat().st_size < 1.5e6
    meta = weights.read_meta(path)
    assert meta["title"]
    assert meta["training"]["trained_on"]
    assert not any("91" in name for name in meta["training"]["trained_on"])
    assert path.with_suffix(".md").is_file()


def test_tokens_explain_the_variance_of_every_channel(result):
    assert min(row[1] for row in result["variance"].rows) >= 95


def test_the_transformer_guesses_far_better_than_frequencies_do(result):
    codec = load_parts(weights.find("demo", "meg_gpt")).codec
    nats = result["surprisal"].data
    known = np.isfinite(nats)
    shares = np.maximum(codec.unigram, 1e-6)
    unigram = float(-np.log(shares)[result["tokens"].data[known]].mean())
    assert float(nats[known].mean()) < unigram - 0.6


def test_clenched_jaws_are_marked(result):
    from workbench.recording.data.recording import open_recording

    truth = [m for m in open_recording(result.image).marks if m.label == "muscle"]
    found = result["annotations"].marks

    def met(a, b):
        return a.onset < b.onset + b.duration and b.onset < a.onset + a.duration

    assert len(truth) >= 3
    assert sum(any(met(f, t) for f in found) for t in truth) >= 0.8 * len(truth)
    # Unusual bursts of beta may be marked besides.
    assert sum(not any(met(f, t) for t in truth) for f in found) <= len(truth) + 3


@pytest.mark.slow
def test_generated_alpha_peaks_where_it_should_and_bursts(result):
    parts = load_parts(weights.find("demo", "meg_gpt"))
    labels = generate(parts.gpt, 60 * 250, sessions="mean", seed=1, unigram=parts.codec.unigram)[0]
    raw = result.image.data
    real = (raw - raw.mean(1, keepdims=True)) / raw.std(1, keepdims=True)
    found = compare(real, parts.codec.decode(labels), 250.0, channels=result["tokens"].channels)
    rows = {row["measure"]: row for row in found.scores.as_dicts()}
    alpha = rows["alpha peak, strongest channel [Hz]"]
    assert abs(alpha["difference"]) < 1.0
    assert rows["burst rate [1/s]"]["generated"] > 0.3 * rows["burst rate [1/s]"]["real"]
