"""Recordings from the shell: train, predict, evaluate, list, and what is refused."""

import json

import numpy as np
import pytest

from tests.one_line import one_error_line
from tests.tiny import make_tiny_meg_weights, make_tiny_recording
from workbench.cli import run

QUICK = [
    "--device", "cpu", "--n-tokens", "16", "--units", "16", "--window", "60", "--margin", "5", "--token-dim", "4",
    "--tokenizer-steps", "6", "--tokenizer-batch", "4", "--steps", "3", "--batch", "2", "--val-fraction", "0.4",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("recordings")
    for i in (1, 2):
        make_tiny_recording(found / f"sub-0{i}_ses-1.npy", seed=i)
    return found


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return make_tiny_meg_weights(tmp_path_factory.mktemp("w") / "w.safetensors")


@pytest.fixture
def fails(tmp_path, capsys):
    """Run `workbench` and check that it ends with `code`, one line with `words`, and without output."""

    def go(code, arguments, *words):
        out = tmp_path / "out"
        assert run([str(a) for a in [*arguments, "-o", out, "-q"]]) == code
        one_error_line(capsys.readouterr(), *words)
        assert not out.exists()

    return go


def test_train_needs_no_labels_and_shows_both_entropies(folder, tmp_path, capsys):
    out = tmp_path / "mine.safetensors"
    assert run(["train", "meg_gpt", "-i", str(folder), "-o", str(out), *QUICK]) == 0
    captured = capsys.readouterr()
    assert str(out) in captured.out
    assert "report.html" in captured.out
    for word in ("tokeniser step 6/6", "MEG-GPT step 3/3", "unigram entropy", "top-5", "held-out subject"):
        assert word in captured.err
    assert run(["train", "meg_gpt", "-i", str(folder), "-o", str(out), *QUICK]) == 2
    assert "add --overwrite" in capsys.readouterr().err


def test_predict_writes_every_part_and_skips_what_is_done(folder, net, tmp_path, capsys):
    arguments = ["predict", "meg_gpt", "-i", str(folder), "-o", str(tmp_path), "--weights", str(net), "--device", "cpu"]
    assert run(arguments) == 0
    captured = capsys.readouterr()
    assert "sub-01_ses-1" in captured.err
    record = json.loads((tmp_path / "sub-01_ses-1" / "provenance.json").read_text(encoding="utf-8"))
    assert {n.split(".")[0] for n in record["files"]} >= {"tokens", "variance", "reconstruction", "surprisal"}
    assert run(arguments) == 0
    assert "already complete" in capsys.readouterr().err


def test_generated_signals_are_written(folder, net, tmp_path):
    one = folder / "sub-01_ses-1.npy"
    arguments = ["predict", "meg_gpt", "-i", str(one), "-o", str(tmp_path), "--weights", str(net), "--device", "cpu"]
    assert run([*arguments, "-q", "--generate", "1", "--no-surprisal", "--top-p", "0.9", "--mode", "sliding"]) == 0
    names = {p.name.split(".")[0] for p in (tmp_path / "sub-01_ses-1").iterdir()}
    assert "generated" in names
    assert "surprisal" not in names


def test_evaluate_needs_no_labels(folder, net, tmp_path, capsys):
    arguments = ["evaluate", "meg_gpt", "-i", str(folder), "-o", str(tmp_path), "--weights", str(net)]
    assert run([*arguments, "--device", "cpu", "--task", "tokens", "-q"]) == 0
    assert "variance" in capsys.readouterr().out
    assert (tmp_path / "report.html").is_file()


def test_demo_weights_are_listed(capsys):
    assert run(["weights", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert any(r["backend"] == "meg_gpt" and r["name"] == "demo" and r["state"] == "here" for r in rows)
    assert run(["backends", "--json"]) == 0
    assert any(r["name"] == "meg_gpt" for r in json.loads(capsys.readouterr().out))


def test_other_channels_than_the_weights_take(fails, net, tmp_path):
    few = make_tiny_recording(tmp_path / "few.npy", channels=2)
    fails(
        3,
        ["predict", "meg_gpt", "-i", few, "--weights", net, "--device", "cpu"],
        "few.npy",
        "2 misc channels",
        "take 3",
    )


def test_a_wrong_rate_with_resampling_forbidden(fails, net, tmp_path):
    slow = make_tiny_recording(tmp_path / "slow.npy", rate=200.0)
    words = ("slow.npy", "200 Hz", "250 Hz", "resampling was forbidden")
    fails(3, ["predict", "meg_gpt", "-i", slow, "--weights", net, "--device", "cpu", "--no-allow-resample"], *words)


def test_no_sampling_rate(fails, net, tmp_path):
    bare = make_tiny_recording(tmp_path / "bare.npy")
    bare.with_suffix(".json").unlink()
    fails(
        3, ["predict", "meg_gpt", "-i", bare, "--weights", net, "--device", "cpu"], "bare.npy", "sampling rate", "250Hz"
    )


def test_samples_without_numbers(fails, net, tmp_path):
    holes = make_tiny_recording(tmp_path / "holes.npy")
    data = np.load(holes)
    data[1, 300:320] = np.nan
    np.save(holes, data)
    words = ("holes.npy", "parcel 2", "NaN", "1.2 s")
    fails(3, ["predict", "meg_gpt", "-i", holes, "--weights", net, "--device", "cpu"], *words)


def test_a_session_that_nobody_learnt(fails, net, tmp_path):
    one = make_tiny_recording(tmp_path / "one.npy")
    words = ("session 'anna'", "no session vectors")
    fails(2, ["predict", "meg_gpt", "-i", one, "--weights", net, "--device", "cpu", "--session", "anna"], *words)


def test_too_short_to_learn_from(fails, tmp_path):
    short = make_tiny_recording(tmp_path / "short.npy", seconds=0.3)
    out = tmp_path / "out" / "m.safetensors"
    assert run(["train", "meg_gpt", "-i", str(short), "-o", str(out), "-q", *QUICK]) == 3
    assert not out.parent.exists()


@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_a_place_that_the_system_refuses_is_named_in_one_line(folder, net, tmp_path, capsys, verb):
    place = tmp_path / ("x" * 300) / "out.safetensors"
    weights = QUICK if verb == "train" else ["--weights", str(net), "--task", "tokens"]
    assert run([verb, "meg_gpt", "-i", str(folder), "-o", str(place), "-q", *weights]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ")
    assert "Free space, or choose another place" in line
    assert "xxxx" in line
