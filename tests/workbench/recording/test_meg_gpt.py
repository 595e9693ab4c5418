"""What predict gives for recordings: parts in their units, notes that say what was done, and clear refusals."""

import weakref
from dataclasses import replace

import mne
import numpy as np
import pytest

from tests.tiny import make_tiny_meg_weights, make_tiny_recording, make_volume
from workbench import api, weights
from workbench.core.errors import Cancelled, InputError, UsageError, WeightsError
from workbench.core.types import Marks, Scores, Signals
from workbench.recording import meg_gpt
from workbench.recording.data.read import image_of_raw
from workbench.recording.data.recording import image_of


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return make_tiny_meg_weights(tmp_path_factory.mktemp("w") / "w.safetensors")


@pytest.fixture
def recording(tmp_path):
    return make_tiny_recording(tmp_path / "parcels.npy")


def predict(image, net, **values):
    return api.predict("meg_gpt", image, weights=str(net), device="cpu", **values)


def test_the_parts_and_their_units(recording, net):
    result = predict(recording, net)
    assert set(result.parts) == {"tokens", "variance", "reconstruction", "surprisal", "annotations"}
    tokens, found, surprise = result["tokens"], result["reconstruction"], result["surprisal"]
    assert isinstance(tokens, Signals)
    assert tokens.role == "tokens"
    assert tokens.data.dtype == np.uint8
    assert tokens.channels == ("parcel 1", "parcel 2", "parcel 3")
    assert tokens.sampling_rate == pytest.approx(250)
    assert (surprise.role, surprise.unit) == ("map", "nats")
    assert np.isnan(surprise.data[:, :20]).all()
    assert np.isfinite(surprise.data[:, 41:]).all()
    assert (surprise.data[:, 41:] > 0).all()
    # The reconstruction is in the unit of the recording, not in z-scores.
    raw = np.load(recording)
    explained = 100 * (1 - ((found.data - raw) ** 2).sum(1) / ((raw - raw.mean(1, keepdims=True)) ** 2).sum(1))
    assert isinstance(result["variance"], Scores)
    assert [r[1] for r in result["variance"].rows] == pytest.approx(explained.tolist(), abs=0.01)
    assert explained.min() > 80
    assert isinstance(result["annotations"], Marks)


def test_decoded_signals_are_let_go_before_the_transformer_works(recording, net, monkeypatch):
    """The estimate of memory does not count them from there on."""
    decode, found, left = meg_gpt._decode, [], []

    def decoded(*given):
        out = decode(*given)
        found.append(weakref.ref(out))
        return out

    def surprisal(*_):
        left.append(found[0]() is None)

    monkeypatch.setattr(meg_gpt, "_decode", decoded)
    monkeypatch.setattr(meg_gpt, "_surprisal", surprisal)
    predict(recording, net)
    assert left == [True]


def test_a_tokeniser_alone_takes_any_channels_and_says_what_is_missing(tmp_path):
    alone = make_tiny_meg_weights(tmp_path / "t.safetensors", gpt=False)
    wide = make_tiny_recording(tmp_path / "wide.npy", channels=7)
    result = predict(wide, alone)
    assert set(result.parts) == {"tokens", "variance", "reconstruction"}
    assert any("tokeniser only: no surprisal" in n for n in result.provenance.notes)
    assert any("variance explained: " in n and "at least (parcel" in n for n in result.provenance.notes)
    with pytest.raises(UsageError, match="tokeniser only, which cannot generate"):
        predict(wide, alone, generate=1.0)
    with pytest.raises(UsageError, match="any number of channels: leave out --reduce"):
        predict(wide, alone, reduce="pca")


@pytest.mark.parametrize(("samples", "surprise", "said"), [(39, False, 2), (45, True, 1), (60, True, 0)])
def test_short_recordings_are_tokenised_and_the_rest_is_said(net, samples, surprise, said):
    data = np.random.default_rng(0).normal(0, 1, (3, samples)).cumsum(1)
    result = predict(image_of(data.astype(np.float32), ("parcel 1", "parcel 2", "parcel 3"), 250.0), net)
    assert result["tokens"].data.shape == (3, samples)
    assert ("surprisal" in result.parts) == surprise
    notes = [n for n in result.provenance.notes if "shorter than the" in n]
    assert len(notes) == said
    if said == 2:
        assert "window of 50 samples (shortest: 39)" in notes[0]
        assert "41 samples that the transformer needs" in notes[1]


def test_another_rate_is_resampled_and_said_or_refused(tmp_path, net):
    slow = make_tiny_recording(tmp_path / "slow.npy", rate=200.0)
    result = predict(slow, net)
    assert any("resampled up from 200 to 250 Hz" in n for n in result.provenance.notes)
    assert result["tokens"].data.shape[1] == pytest.approx(4 * 250, abs=2)
    with pytest.raises(InputError, match=r"slow\.npy: sampled at 200 Hz, 250 Hz was expected"):
        predict(slow, net, allow_resample=False)


def test_other_channels_are_refused_or_reduced(tmp_path, net):
    few = make_tiny_recording(tmp_path / "few.npy", channels=2)
    with pytest.raises(InputError, match=r"few\.npy: 2 misc channels, the weights take 3"):
        predict(few, net)
    other = np.random.default_rng(1).normal(0, 1, (5, 600)).cumsum(1).astype(np.float32)
    image = image_of(other, tuple("abcde"), 250.0)
    with pytest.raises(InputError, match="5 misc channels, the weights take 3. Use --reduce pca"):
        predict(image, net)
    result = predict(image, net, reduce="pca")
    assert result["tokens"].channels == ("PCA 01", "PCA 02", "PCA 03")
    assert result["reconstruction"].channels == tuple("abcde")  # back where it came from
    assert any("reduced to 3 principal components" in n for n in result.provenance.notes)
    assert all(not mark.channels for mark in result["annotations"])


def test_a_flat_channel_is_said_and_hides_nothing(net):
    data = np.random.default_rng(0).normal(0, 1, (3, 500)).cumsum(1).astype(np.float32)
    data[1] = 2.0
    result = predict(image_of(data, ("parcel 1", "parcel 2", "parcel 3"), 250.0), net)
    notes = result.provenance.notes
    assert any("1 channel(s) are flat" in n and "parcel 2" in n for n in notes)
    assert any("variance explained" in n and "nan" not in n for n in notes)
    assert np.isnan(result["variance"].rows[1][1])
    assert np.allclose(result["reconstruction"].data[1], 2.0, atol=0.2)


def test_a_jump_is_marked(tmp_path, recording, net):
    """Random weights do not know what to expect: let the transformer know how rare each token is."""
    import torch

    found = weights.find(net, "meg_gpt")
    tensors = weights.load_tensors(found)
    counts = tensors["vocabulary.counts"].float()
    tensors["gpt.prediction_head.weight"].zero_()
    tensors["gpt.prediction_head.bias"] = torch.log(torch.cat([torch.tensor([1e-3]), counts / counts.sum()]))
    quiet = np.random.default_rng(2).normal(0, 0.05, (3, 2500)).astype(np.float32)
    quiet[:, 1200:1260] += np.random.default_rng(3).choice([-6, 6], (3, 60))
    taught = weights.save(tmp_path / "k.safetensors", tensors, found.meta)
    result = predict(image_of(quiet, ("parcel 1", "parcel 2", "parcel 3"), 250.0), taught)
    marks = result["annotations"].marks
    assert any(m.onset < 1230 / 250 < m.onset + m.duration for m in marks)


def test_sessions_by_name(tmp_path, recording):
    net = make_tiny_meg_weights(tmp_path / "s.safetensors", sessions=2)
    maps = {s: predict(recording, net, session=s)["surprisal"].data[:, 60:] for s in ("mean", "none", "session 2")}
    assert not np.allclose(maps["mean"], maps["none"])
    assert not np.allclose(maps["mean"], maps["session 2"])
    with pytest.raises(UsageError, match="session 'sesion 2' is not one.*Did you mean 'session 2'"):
        predict(recording, net, session="sesion 2")


def test_sessions_by_number_where_the_weights_name_none(tmp_path, recording):
    found = weights.find(make_tiny_meg_weights(tmp_path / "s.safetensors", sessions=2), "meg_gpt")
    nameless = weights.save(tmp_path / "n.safetensors", weights.load_tensors(found), {**found.meta, "sessions": []})
    named = predict(recording, found.path, session="session 2")["surprisal"].data
    assert np.array_equal(predict(recording, nameless, session="1")["surprisal"].data, named, equal_nan=True)
    with pytest.raises(UsageError, match="session 2: these weights have sessions 0 to 1"):
        predict(recording, nameless, session="2")


def test_weights_without_sessions_know_no_names(recording, net):
    with pytest.raises(UsageError, match="no session vectors; leave out --session"):
        predict(recording, net, session="anna")
    same = [predict(recording, net, session=s)["surprisal"].data for s in ("mean", "none")]
    assert np.array_equal(*same, equal_nan=True)


def test_generated_signals_are_seeded_and_compared(recording, net):
    again = [predict(recording, net, generate=4.0, seed=s, surprisal=False) for s in (1, 1, 2)]
    made = again[0]["generated"]
    assert made.data.shape == (3, 1000)
    assert np.array_equal(made.data, again[1]["generated"].data)
    assert not np.array_equal(made.data, again[2]["generated"].data)
    assert "measure" in again[0]["comparison"].columns
    assert any("alpha peak" in str(row[0]) for row in again[0]["comparison"].rows)
    assert "surprisal" not in again[0].parts
    assert again[0].provenance.seed == 1


def test_too_short_to_compare_is_said(recording, net):
    result = predict(recording, net, generate=0.5)
    assert result["generated"].data.shape == (3, 125)
    assert "comparison" not in result.parts
    assert any("were not compared" in n for n in result.provenance.notes)


def test_what_is_no_recording_and_no_fitting_weights(tmp_path, recording, net):
    with pytest.raises(InputError, match="this is a volume, and backend meg_gpt takes a recording"):
        predict(make_volume(tmp_path / "ct.nii.gz"), net)
    found = weights.find(net, "meg_gpt")
    tensors = weights.load_tensors(found)
    del tensors["gpt.prediction_head.bias"]
    broken = weights.save(tmp_path / "broken.safetensors", tensors, found.meta)
    with pytest.raises(WeightsError, match=r"broken\.safetensors: .*1 missing: prediction_head\.bias"):
        predict(recording, broken)
    odd = weights.save(tmp_path / "odd.safetensors", tensors, {**found.meta, "recipe": {"surprise": 1}})
    with pytest.raises(WeightsError, match=r"odd\.safetensors"):
        predict(recording, odd)


def test_progress_never_goes_back(recording, net):
    seen = []
    predict(recording, net, generate=1.0, progress=lambda done, total: seen.append((done, total)))
    assert {t for _, t in seen} == {1000}
    assert [d for d, _ in seen] == sorted(d for d, _ in seen)
    assert seen[-1] == (1000, 1000)


def test_a_cancel_is_heard_while_bursts_are_counted(recording, net):
    """Minutes for many channels, after everything else is done."""
    seen = []
    predict(recording, net, generate=4.0, progress=lambda *a: seen.append(a))
    after = [done for done, _ in seen if done > 785]  # generating ends at 780
    assert len(after) == 9 + 1  # three times per channel, and the end

    def stop(done, total):
        if done > 850:
            raise Cancelled

    with pytest.raises(Cancelled):
        predict(recording, net, generate=4.0, progress=stop)


def test_epochs_are_worked_on_one_by_one(tmp_path, net):
    """No context reaches over the break between two epochs."""
    import mne

    rng = np.random.default_rng(4)
    data = rng.normal(0, 1, (3, 3, 120)).cumsum(2)
    info = mne.create_info(["parcel 1", "parcel 2", "parcel 3"], 250.0, "misc")
    path = tmp_path / "parts-epo.fif"
    mne.EpochsArray(data, info, verbose="error").save(path, verbose="error")
    result = predict(path, net)
    surprise = result["surprisal"].data
    assert surprise.shape == (3, 360)
    for start in (0, 120, 240):
        assert np.isnan(surprise[:, start : start + 20]).all()
        assert np.isfinite(surprise[:, start + 41 : start + 120]).all()


def test_what_is_made_has_the_unit_of_its_channels(tmp_path, recording, net):
    image = replace(api.read(recording), value_unit="nAm")
    result = predict(image, net, generate=1.0, surprisal=False)
    assert (result["reconstruction"].unit, result["generated"].unit) == ("nAm", "nAm")
    rng = np.random.default_rng(0)
    info = mne.create_info(4, 250.0, ["mag", "misc", "misc", "misc"])
    raw = mne.io.RawArray(rng.normal(size=(4, 1000)), info, verbose="ERROR")
    image = image_of_raw(raw)
    assert image.value_unit == "T"  # of the sensors
    made = predict(image, net, kinds="misc", surprisal=False)["reconstruction"]
    assert (made.kinds, made.unit) == (("misc",) * 3, None)
