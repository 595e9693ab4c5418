"""Real recordings from the shell: the released tokeniser, a transformer learnt with it, surprisal and a report."""

import csv

import numpy as np
import pytest

from workbench import weights
from workbench.cli import run
from workbench.recording.train.weights import load_parts

COUNTS = {"ctf": 274, "bti": 248, "left_auditory": 306}


@pytest.fixture(scope="module")
def listed(shared_data, tmp_path_factory):
    meg = shared_data / "meg"
    path = tmp_path_factory.mktemp("list") / "list.csv"
    rows = [
        ("ctf", meg / "ctf_raw.fif", "ctf", ""),
        ("bti", meg / "bti_raw.fif", "bti", ""),
        ("left_auditory", meg / "neuromag_evoked-ave.fif.gz", "neuromag", "1"),
    ]
    with path.open("w", encoding="utf-8", newline="") as f:
        csv.writer(f).writerows([("id", "image", "group", "series"), *rows])
    return path


def variance(folder):
    with (folder / "variance.csv").open(encoding="utf-8") as f:
        return np.array([float(row["variance explained [%]"]) for row in csv.DictReader(f)])


def test_the_released_tokeniser_takes_every_sensor(listed, shared_parity, tmp_path, capsys):
    released = shared_parity / "meggpt_tokenizer_weights.safetensors"
    assert run(["predict", "meg_gpt", "-i", str(listed), "-o", str(tmp_path), "--weights", str(released)]) == 0
    said = capsys.readouterr().err
    for rate in ("480", "678.17", "600.615"):
        assert f"resampled down from {rate} to 250 Hz" in said
    assert "no surprisal, which needs a transformer" in said
    for name, channels in COUNTS.items():
        found = variance(tmp_path / name)
        assert len(found) == channels
        assert found.mean() > 93
        assert np.load(tmp_path / name / "tokens.npy").shape[0] == channels


@pytest.mark.slow
def test_a_transformer_is_learnt_with_it_and_maps_surprisal(listed, shared_parity, tmp_path, capsys):
    released = shared_parity / "meggpt_tokenizer_weights.safetensors"
    out = tmp_path / "real.safetensors"
    learn = ["train", "meg_gpt", "-i", str(listed), "-o", str(out), "--stage", "model", "--tokenizer", str(released)]
    few = ["--reduce", "pca", "--n-channels", "12", "--steps", "40", "--batch", "2", "--val-fraction", "0.3"]
    assert run([*learn, *few, "--device", "cpu", "-q"]) == 0
    meta = weights.read_meta(out)
    assert meta["scores"]["cross-entropy"] < meta["scores"]["unigram entropy"]
    tokenizer = load_parts(weights.find(released, "meg_gpt")).codec.tokenizer.state_dict()
    kept = load_parts(weights.find(out, "meg_gpt")).codec.tokenizer.state_dict()
    assert all(np.array_equal(kept[k], v) for k, v in tokenizer.items())
    capsys.readouterr()
    assert run(["predict", "meg_gpt", "-i", str(listed), "-o", str(tmp_path / "p"), "--weights", str(out)]) == 0
    assert "274 channels were reduced to 12 principal components" in capsys.readouterr().err
    for name in COUNTS:
        surprise = np.load(tmp_path / "p" / name / "surprisal.npy")
        assert surprise.shape[0] == 12
        assert np.isfinite(surprise[:, 101:]).all()
        assert len(variance(tmp_path / "p" / name)) == 12
    report = ["evaluate", "meg_gpt", "-i", str(listed), "-o", str(tmp_path / "r"), "--weights", str(out)]
    assert run([*report, "--task", "tokens", "-q"]) == 0
    text = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "urprisal" in text
    assert "data:image/png" in text


def test_one_system_is_not_another(listed, shared_data, shared_parity, tmp_path, capsys):
    released = shared_parity / "meggpt_tokenizer_weights.safetensors"
    learn = ["train", "meg_gpt", "-i", str(listed), "-o", str(tmp_path / "m.safetensors"), "--stage", "model"]
    assert run([*learn, "--tokenizer", str(released), "--device", "cpu", "-q"]) == 3
    message = capsys.readouterr().err
    assert "channels after preparation" in message
    assert "--reduce pca --n-channels N" in message
