"""Weights meet recordings, in all verbs: what cannot be right is refused, what can be is converted, or it is said."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import mne
import numpy as np
import pytest

import workbench as wb
from tests.workbench.recording.contract_table import NAMES, ORDER, QUICK, RATE, ROWS, Eeg, eeg, outcome, save, train
from workbench import weights
from workbench.core.errors import InputError, MismatchError, WeightsError
from workbench.core.samples import demo_weights, sample_files
from workbench.core.types import Case
from workbench.data import formats
from workbench.recording.data.agree import agree
from workbench.recording.data.channels import choose_channels, plain_name
from workbench.recording.data.compare import compare
from workbench.recording.data.content_keys import content_keys
from workbench.recording.data.measured import measure
from workbench.recording.data.recipe import RecordingRecipe
from workbench.recording.data.recording import image_of, open_recording
from workbench.recording.data.taught import Taught, gather, joined

LIGHT = {"device": "cpu", "task": "tokens"}


@pytest.fixture(scope="module")
def net(tmp_path_factory) -> Path:
    return train(tmp_path_factory.mktemp("eeg"))


def predict(path: Path, net: Path, **more):
    return wb.predict("meg_gpt", path, weights=str(net), device="cpu", **more)


@pytest.mark.parametrize("name", ROWS)
def test_every_row_of_the_table_ends_as_it_is_stated(net, tmp_path, name):
    change, wanted, said = ROWS[name]
    path = save(change(eeg()), tmp_path / "a_raw.fif")
    happened, told, result = outcome(lambda: predict(path, net, surprisal=False, reconstruction=False))
    assert happened == wanted, told
    assert not said or re.search(said, told), told
    assert "\n" not in told
    if result is None:
        assert str(path) in told


def test_what_is_converted_gives_what_the_right_data_give(net, tmp_path):
    made = eeg()
    right = predict(save(made, tmp_path / "a_raw.fif"), net)
    turned = Eeg(made.data[ORDER], tuple(NAMES[i] for i in ORDER))
    for name, other in (
        ("order", turned),
        ("names", dataclasses.replace(made, names=tuple(f"EEG {n}-Ref" for n in NAMES))),
        ("unit", dataclasses.replace(made, data=1e6 * made.data)),
    ):
        found = predict(save(other, tmp_path / name / "a_raw.fif"), net)
        same = found["tokens"].data == right["tokens"].data
        assert same.mean() > 0.9995, name  # another unit is another rounding
        if name != "unit":
            assert same.all()
            assert np.array_equal(found["surprisal"].data, right["surprisal"].data, equal_nan=True)


WRONG = (
    "magnetometers",
    "100 Hz",
    "low-passed at 30 Hz",
    "a trigger as EEG",
    "another order, one renamed",
    "mostly drift",
)


@pytest.mark.parametrize("name", WRONG)
def test_evaluating_and_adapting_refuse_the_same(net, tmp_path, name):
    change, _, said = ROWS[name]
    path = save(change(eeg()), tmp_path / "a_raw.fif")
    cases = [Case("a", path, None, "p")]
    with pytest.raises(InputError, match=said):
        wb.evaluate("meg_gpt", cases, weights=str(net), **LIGHT)
    for more in ({"lora_rank": 2}, {}):
        with pytest.raises(MismatchError, match=f"case 'a'.*{said}"):
            wb.train("meg_gpt", cases, out=tmp_path / "w.safetensors", weights=str(net), **QUICK, **more)
    assert not (tmp_path / "w.safetensors").exists()
    # A person may know better; it is said.
    result = predict(path, net, force=True, surprisal=False)
    assert any(n.startswith("forced although") for n in result.provenance.notes)
    assert "refused" in {f["level"] for f in result.provenance.details["agreement"]}


def test_one_bad_recording_does_not_stop_an_evaluation_and_notes_reach_the_report(net, tmp_path):
    cases = [
        Case("bad", save(ROWS["low-passed at 30 Hz"][0](eeg()), tmp_path / "bad_raw.fif")),
        Case("loud", save(ROWS["microvolts as volts"][0](eeg(51)), tmp_path / "loud_raw.fif")),
        Case("good", save(eeg(52), tmp_path / "good_raw.fif")),
    ]
    found = wb.evaluate("meg_gpt", cases, weights=str(net), out=tmp_path / "report", **LIGHT)
    assert "almost nothing" in found.failures["bad"]
    assert any(n.startswith("loud: amplitude: ") for n in found.notes)
    for name in ("report.html", "scores.json"):
        assert "given as V" in (tmp_path / "report" / name).read_text(encoding="utf-8")
    forced = wb.evaluate("meg_gpt", cases[:1], weights=str(net), force=True, **LIGHT)
    assert any("forced although spectrum" in n for n in forced.notes)


def test_one_network_learns_one_kind(tmp_path):
    cases = [
        Case("a", save(eeg(1), tmp_path / "a_raw.fif"), None, "a"),
        Case("b", save(dataclasses.replace(eeg(2), kinds=("mag",) * 8), tmp_path / "b_raw.fif"), None, "b"),
    ]
    with pytest.raises(MismatchError, match="case 'b'.*mag channels, but 'a' has eeg"):
        wb.train("meg_gpt", cases, out=tmp_path / "w.safetensors", **QUICK)


# --- weights of parcels, and weights that do not say


def test_parcels_and_sensors_are_not_each_other(tmp_path):
    names = tuple(f"E{i}" for i in range(12))
    sensors = Eeg(np.vstack([eeg(1).data, eeg(2).data[:4]]), names, ("eeg",) * 12)
    path = save(sensors, tmp_path / "a_raw.fif")
    with pytest.raises(MismatchError, match=r"channel kinds: 12 eeg, the weights learnt 12 misc \(parcels\)"):
        predict(path, demo_weights()["meg_gpt"])
    unsaid = wb.predict("meg_gpt", path, weights="demo", device="cpu", reduce="pca", force=True, surprisal=False)
    assert any("channel kinds" in n for n in unsaid.provenance.notes)


def test_the_demo_weights_take_the_samples_without_a_word():
    for name in ("recording_9201_raw", "recording_9202"):
        result = wb.predict("meg_gpt", sample_files()[name], device="cpu", surprisal=False, reconstruction=False)
        assert result.provenance.details["agreement"] == []
        assert all(n.startswith(("variance", "these weights")) for n in result.provenance.notes)


def without(net: Path, out: Path, *keys: str) -> Path:
    found = weights.find(str(net), "meg_gpt")
    return weights.save(out, weights.load_tensors(found), {k: v for k, v in found.meta.items() if k not in keys})


def test_weights_that_say_nothing_are_compared_with_what_their_recipe_implies(net, tmp_path):
    old = without(net, tmp_path / "old.safetensors", "taught", "seen")
    path = save(eeg(), tmp_path / "a_raw.fif")
    assert [n for n in predict(path, old).provenance.notes if "do not say" in n]
    with pytest.raises(MismatchError, match="100 Hz, less than half of the 250 Hz"):
        predict(save(eeg(50, 30.0, 100.0), tmp_path / "b_raw.fif"), old)
    odd = save(ROWS["microvolts as volts"][0](eeg()), tmp_path / "c_raw.fif")
    assert any("is usual: microV given as V" in n for n in predict(odd, old).provenance.notes)


def test_a_tokeniser_alone_notes_what_a_transformer_refuses(tmp_path, net):
    found = weights.find(str(net), "meg_gpt")
    tensors = {k: v for k, v in weights.load_tensors(found).items() if not k.startswith("gpt.")}
    recipe = {**found.meta["recipe"], "channels": None, "n_channels": None}
    record = {**found.meta, "net": {**found.meta["net"], "gpt": None}, "recipe": recipe}
    alone = weights.save(tmp_path / "t.safetensors", tensors, record)
    path = save(ROWS["magnetometers"][0](eeg()), tmp_path / "a_raw.fif")
    result = predict(path, alone)
    assert any(n.startswith("channel kinds: 8 mag") for n in result.provenance.notes)


def test_a_broken_entry_is_an_error_of_the_weights_and_later_ones_are_read(net, tmp_path):
    found = weights.find(str(net), "meg_gpt")
    path = save(eeg(), tmp_path / "a_raw.fif")
    tensors = weights.load_tensors(found)
    for key, value in (("kinds", ["eeg"]), ("shares", [[1, 2]]), ("sampling_rate", "fast"), ("standardised", 1)):
        taught = {**found.meta["taught"], key: value}
        broken = weights.save(tmp_path / "b.safetensors", tensors, {**found.meta, "taught": taught})
        with pytest.raises(WeightsError, match=r"b\.safetensors: what it was taught on cannot be understood"):
            predict(path, broken)
    later = weights.save(
        tmp_path / "l.safetensors", tensors, {**found.meta, "taught": {**found.meta["taught"], "mood": "calm"}}
    )
    assert predict(path, later, surprisal=False)


def test_facts_survive_the_weight_file_and_ranges_grow():
    data = eeg()
    recipe = RecordingRecipe()
    found = []
    for factor in (1.0, 4.0):
        recording = open_recording(image_of(factor * data.data, NAMES, 250.0, kinds=("eeg",) * 8))
        found.append(measure(recording, choose_channels(recording, recipe), recipe))
    one, both = gather(found[:1], 250.0), gather(found, 250.0)
    again = Taught.of({"taught": json.loads(json.dumps(both.to_json()))})
    assert again.to_json() == both.to_json()
    assert joined(one, gather(found[1:], 250.0)).spread["eeg"] == both.spread["eeg"]
    assert both.spread["eeg"][1] == pytest.approx(4 * both.spread["eeg"][0])
    assert sum(s[1] for s in both.shares if s) == pytest.approx(1, abs=0.05)
    assert 0.05 < both.typical_above(50) < 0.5


def test_names_of_channels_are_compared_as_programs_agree_on_them():
    pairs = {
        "MEG 0113": "MEG0113",
        "EEG Fp1-Ref": "FP1",
        "Fc5.": "FC5",
        "MLC11-2908": "MLC11-3305",
        "EEG 001": "eeg001",
    }
    assert all(plain_name(a) == plain_name(b) for a, b in pairs.items())
    assert plain_name("EEG 001") != plain_name("MEG 001")
    assert plain_name("T7") != plain_name("T8")


def test_real_sessions_of_other_people_pass(shared_data):
    """Eighteen sessions of nine people on one amplifier: nothing is said of one whose neighbours taught."""
    recipe, found = RecordingRecipe(), {}
    for path in sorted((shared_data / "eeg_ssvep").glob("*_raw.fif")):
        recording = open_recording(formats.read(path))
        found[path.name] = agree(recording, recipe, None).measured, choose_channels(recording, recipe)
    assert len(found) == 18
    for name, (own, choice) in found.items():
        taught = gather([m for n, (m, _) in found.items() if n[:6] != name[:6]], 250.0)
        assert compare(taught, own, choice, recipe, whole=True) == []
        alone = [gather([m], 250.0) for n, (m, _) in found.items() if n != name]
        levels = {f.level for t in alone for f in compare(t, own, choice, recipe, whole=True)}
        assert levels <= {"noted"}


def test_more_components_than_directions_are_refused(tmp_path, net):
    few = np.random.default_rng(0).normal(size=(30, 6)) @ eeg().data[:6]
    names = tuple(f"E{i}" for i in range(30))
    path = save(Eeg(few, names, ("eeg",) * 30), tmp_path / "a_raw.fif")
    with pytest.raises(InputError, match="30 channels have rank 6.*8 components were asked for, 2 of them"):
        predict(path, net, reduce="pca", force=True)


def test_the_case_of_rank_8(shared_data):
    from workbench.recording.data.prepare import prepare

    path = shared_data.parent / "cases" / "recordings" / "rank8_of_30_raw.fif"
    if not path.is_file():
        pytest.skip("case not here")
    with pytest.raises(InputError, match="have rank 8.*12 components were asked for"):
        prepare(formats.read(path), RecordingRecipe(reduce="pca", n_channels=12))
    assert prepare(formats.read(path), RecordingRecipe(reduce="pca", n_channels=8)).data.shape[0] == 8


# --- what taught the weights is known again


def test_keys_find_copies_crops_and_joined_recordings():
    random = np.random.default_rng(0)
    whole = random.standard_normal((2, 30000)).astype(np.float32)
    keys = set(content_keys(whole, 250.0))
    assert len(keys) > 30
    for a, b in ((0, 15000), (1, 9000), (777, 6000), (12345, 29999)):
        part = content_keys(whole[:, a:b], 250.0)
        assert part
        assert set(part) <= keys
    other = random.standard_normal((2, 30000)).astype(np.float32)
    assert not set(content_keys(other, 250.0)) & keys
    half = set(content_keys(np.concatenate([other[:, :15000], whole[:, :15000]], axis=1), 250.0))
    assert 0.3 < len(half & keys) / len(half) < 0.6
    assert not set(content_keys(np.zeros((2, 30000), np.float32), 250.0)), "silence is the same everywhere"
    assert len(content_keys(whole[:, :100], 250.0)) == 1
    flat = whole.copy()
    flat[:, 5000:12000] = 0
    assert len(set(content_keys(flat, 250.0)) & keys) > 0.6 * len(keys), "what is beside silence is still known"


def test_long_recordings_are_looked_at_in_pieces(monkeypatch):
    from workbench.recording.data import content_keys as module

    rows = np.random.default_rng(1).standard_normal((1, 20000)).astype(np.float32)
    whole = content_keys(rows, 250.0)
    monkeypatch.setattr(module, "_PIECE", 3000)
    assert set(content_keys(rows, 250.0)) == set(whole)


@pytest.fixture(scope="module")
def taught_cases(net, tmp_path_factory):
    """Rows of a study: what taught, copies of it under other names, parts, and what is new."""
    folder, home = tmp_path_factory.mktemp("study"), net.parent
    record = weights.read_meta(net)["training"]
    learnt, chosen = record["trained_on"][0], record["validated_on"][0]
    data = eeg(int(learnt[-1])).data
    shutil.copy(home / f"{learnt}_raw.fif", folder / "copy_raw.fif")
    np.save(folder / "array.npy", data)
    beside = {"sampling_rate": RATE, "channels": list(NAMES), "kinds": ["eeg"] * 8}
    (folder / "array.json").write_text(json.dumps(beside), encoding="utf-8")
    half = np.concatenate([data[:, :3750], eeg(77).data[:, :3750]], axis=1)
    rows = {
        "itself": (home / f"{learnt}_raw.fif", "x", "learnt"),
        "renamed": (folder / "copy_raw.fif", "", "learnt"),
        "array": (folder / "array.npy", "", "learnt"),
        "other names": (save(Eeg(data, tuple("abcdefgh")), folder / "names_raw.fif"), "", "learnt"),
        "crop": (save(Eeg(data[:, 1111:6111]), folder / "crop_raw.fif"), "", "learnt"),
        "half": (save(Eeg(half), folder / "half_raw.fif"), "", "in part"),
        "kept": (home / f"{chosen}_raw.fif", "", "chosen by"),
        "later": (save(eeg(78), folder / "later_raw.fif"), f"person {learnt[-1]}", "same group"),
        learnt: (save(eeg(79), folder / "same_raw.fif"), "", "same name"),
        "new": (save(eeg(80), folder / "new_raw.fif"), "", "no"),
        "newer": (save(eeg(81), folder / "newer_raw.fif"), "", "no"),
    }
    return [Case(i, p, None, g or None) for i, (p, g, _) in rows.items()], [m for *_, m in rows.values()]


@pytest.mark.slow
def test_rows_that_taught_the_weights_are_marked_whatever_they_are_called(net, taught_cases, tmp_path):
    cases, wanted = taught_cases
    found = wb.evaluate("meg_gpt", cases, weights=str(net), out=tmp_path / "r", **LIGHT)
    assert [row["seen"] for row in found.rows] == wanted
    note = next(n for n in found.notes if "show fit" in n)
    assert "5 of 11 recording(s) taught the weights" in note
    assert "1 of 11 recording(s) taught the weights in part (half)" in note
    assert any("has the name of a recording that taught" in n for n in found.notes)
    by_measure = {r["measure"]: r for r in found.summary_unseen}
    assert by_measure["cross-entropy [nats]"]["recordings"] == 2
    new = [r["cross-entropy [nats]"] for r in found.rows if r["seen"] == "no"]
    assert by_measure["cross-entropy [nats]"]["mean"] == pytest.approx(np.mean(new))
    assert "did not teach the weights" in found.text()
    assert "did not teach the weights" in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_table_of_an_evaluation_carries_the_marks(net, taught_cases, tmp_path):
    """Generated signals, decoded events and similarities, not only tokens."""
    cases, wanted = taught_cases
    chosen = [i for i, m in enumerate(wanted) if cases[i].id in ("renamed", "crop", "new", "newer")]
    marked = {}
    for i in chosen:
        raw = mne.io.read_raw_fif(cases[i].image, preload=True, verbose="ERROR")
        onsets = 1 + 0.8 * np.arange(int((raw.times[-1] - 2) / 0.8))
        raw.set_annotations(mne.Annotations(onsets, 0.0, [("a", "b")[k % 2] for k in range(len(onsets))]))
        path = tmp_path / f"{cases[i].id}_raw.fif"
        raw.save(path, fmt="double", verbose="ERROR")
        marked[cases[i].id] = (Case(cases[i].id, path, None, cases[i].id), wanted[i])
    study = [c for c, _ in marked.values()]
    found = wb.evaluate(
        "meg_gpt",
        study,
        weights=str(net),
        out=tmp_path / "r",
        device="cpu",
        seconds=2.0,
        bursts=False,
        splits="subject",
    )
    assert not found.failures
    tables = json.loads((tmp_path / "r" / "scores.json").read_text(encoding="utf-8"))
    for name in ("generation", "generation_channels", "similarity_recordings"):
        assert {r["recording"]: r["seen"] for r in tables[name]} == {k: m for k, (_, m) in marked.items()}, name
    assert {r["held out"]: r["seen"] for r in tables["decode_folds"]} == {k: m for k, (_, m) in marked.items()}
    assert {r["seen"] for r in tables["decode"]} == {"in part", "no"}
    unseen = [r for r in tables["decode"] if r["seen"] == "no"]
    assert all(r["folds"] == 2 for r in unseen)


@pytest.mark.slow
def test_weights_that_go_on_from_others_remember_what_taught_those(net, taught_cases, tmp_path):
    cases, _ = taught_cases
    new = next(c for c in cases if c.id == "new")
    for more in ({}, {"lora_rank": 2}):
        out = tmp_path / f"w{len(more)}.safetensors"
        wb.train("meg_gpt", [new], out=out, weights=str(net), **{**QUICK, "val_fraction": 0}, **more)
        found = wb.evaluate("meg_gpt", [*cases[:2], new], weights=str(out), **LIGHT)
        assert [row["seen"] for row in found.rows] == ["learnt", "learnt", "learnt"]
        assert weights.read_meta(out)["taught"]["recordings"] == 3


@pytest.mark.slow
def test_weights_that_go_on_from_ones_that_remember_names_do_not_claim_to_know(net, taught_cases, tmp_path):
    cases, _ = taught_cases
    by_id = {c.id: c for c in cases}
    old = without(net, tmp_path / "old.safetensors", "taught", "seen")
    out = tmp_path / "w.safetensors"
    wb.train("meg_gpt", [by_id["new"]], out=out, weights=str(old), **{**QUICK, "val_fraction": 0})
    name = weights.read_meta(net)["training"]["trained_on"][0]
    rows = wb.evaluate("meg_gpt", [by_id[name], by_id["new"], by_id["newer"]], weights=str(out), **LIGHT).rows
    assert [row["seen"] for row in rows] == ["same name", "learnt", "not known"]


@pytest.mark.slow
def test_the_demo_weights_know_their_recordings(tmp_path):
    import runpy

    made = runpy.run_path(str(Path(__file__).parents[3] / "sample_data" / "make_recordings.py"))
    study = []
    for subject in (1, 91):
        path = made["write_recording"](made["simulate"](subject, 1, 90.0, 0), tmp_path / f"r{subject}_raw.fif")
        study.append(Case(f"r{subject}", path))
    found = wb.evaluate("meg_gpt", study, weights="demo", **LIGHT)
    assert [row["seen"] for row in found.rows] == ["learnt", "no"]
