"""What is done again, and what is not: decided by sizes and times, by hashes where these differ or are asked for."""

import json
import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests import strangers
from tests.poison import volumes
from workbench.batch import record
from workbench.batch.inputs import expand
from workbench.batch.run import run
from workbench.core.atomic import sha256_of

CODE = (
    strangers.CONFIG
    + """
COMPUTED = []
BROKEN = set()

def predict(model, image, config, progress=None):
    COMPUTED.append(image.name)
    if image.name in BROKEN:
        raise ValueError("broken today")
    recorder = Recorder("stranger", config, None, image)
    values = image.data[0]
    labels = Labels((values > np.quantile(values, config.level)).astype(np.uint8), image.geometry,
                    ClassTable.from_names(["bright"]))
    return Result({"labels": labels}, image, recorder.finish())
"""
)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Three volumes, and a call that runs a backend over them and gives what was computed."""
    folder = volumes(tmp_path / "in", "a", "b", "c")
    row = strangers.install("volume", tmp_path, monkeypatch, CODE)
    module = row.load_module()

    class Study:
        images, out = folder, tmp_path / "out"
        report = None
        backend = module

        def go(self, source=None, *, level=0.5, **options):
            module.COMPUTED.clear()
            self.report = run(row, expand([str(source or folder)]), self.out, module.Config(level), **options)
            return sorted(module.COMPUTED)

        def keep_times(self, path, change):
            """Change a file and set its time back, as a tool that copies times does."""
            at = path.stat()
            change(path)
            os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))

    return Study()


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[-8] ^= 1
    path.write_bytes(bytes(data))


def change_a_voxel(path):
    image = nib.load(path)
    values = np.asarray(image.dataobj).copy()
    values[0, 0, 0] += 100
    nib.save(nib.Nifti1Image(values, image.affine), path)


def test_what_is_complete_is_not_computed_nor_written(study):
    assert study.go() == ["a", "b", "c"]
    before = {p: p.stat().st_mtime_ns for p in study.out.rglob("*") if p.is_file()}
    assert study.go() == []
    assert [o.status for o in study.report.outcomes] == ["skipped"] * 3
    assert {p: p.stat().st_mtime_ns for p in study.out.rglob("*") if p.is_file()} == before


def test_the_model_is_not_even_loaded_for_it(study, monkeypatch):
    study.go()
    monkeypatch.setattr(study.backend, "weights_hash", lambda config: None, raising=False)
    monkeypatch.setattr(study.backend, "load", lambda config, device: pytest.fail("loaded"))
    assert study.go() == []


def test_a_touched_input_is_not_done_again_and_the_next_look_is_quick(study, monkeypatch):
    study.go()
    os.utime(study.images / "b.nii.gz", (1e9, 1e9))
    assert study.go() == []
    assert [o.status for o in study.report.outcomes] == ["skipped"] * 3
    monkeypatch.setattr("workbench.batch.record.input_hash", lambda image: pytest.fail("hashed again"))
    assert study.go() == []


def test_one_changed_bit_is_done_again_and_nothing_else(study):
    study.go()
    change_a_voxel(study.images / "b.nii.gz")
    assert study.go() == ["b"]
    assert any("was changed since" in n for o in study.report.outcomes for n in o.notes)
    assert study.go() == []


def test_another_file_of_the_same_name_is_another_patient(study, tmp_path):
    study.go()
    other = volumes(tmp_path / "other", "x", "a")  # "a" of other values
    before = (study.out / "a" / "labels.nii.gz").read_bytes()
    study.go(other)
    (failed,) = study.report.failures
    assert (failed.case, "input differ" in failed.message) == ("a", True)
    assert (study.out / "a" / "labels.nii.gz").read_bytes() == before
    assert study.go(other, overwrite=True) == ["a", "x"]


def test_a_changed_input_is_seen_though_its_time_was_set_back(study):
    """Nobody can set back the time of the last change of anything about a file."""
    study.go()
    study.keep_times(study.images / "b.nii.gz", change_a_voxel)
    assert study.go() == ["b"]


def test_a_result_cut_short_is_done_again(study):
    study.go()
    labels = study.out / "b" / "labels.nii.gz"
    labels.write_bytes(labels.read_bytes()[:-3])
    assert study.go() == ["b"]


def test_a_result_changed_behind_its_time_is_found_when_asked_for(study):
    study.go()
    study.keep_times(study.out / "b" / "labels.nii.gz", flip_a_bit)
    assert study.go() == []
    assert study.go(verify=True) == ["b"]
    assert study.go(verify=True) == []


def test_a_result_that_was_copied_is_still_complete(study, tmp_path):
    study.go()
    shutil.copytree(study.out, tmp_path / "copy")  # with new times
    shutil.rmtree(study.out)
    (tmp_path / "copy").rename(study.out)
    for path in study.out.rglob("*"):
        os.utime(path)
    assert study.go() == []
    assert [o.status for o in study.report.outcomes] == ["skipped"] * 3


def test_another_setting_is_another_result(study):
    study.go()
    assert study.go(level=0.25) == []
    assert all("level differ" in o.message for o in study.report.failures)


def test_how_a_list_says_that_a_case_is_read_belongs_to_it(study, tmp_path):
    table = tmp_path / "list.csv"
    table.write_text("image,id,regularise\nin/a.nii.gz,a,no\n", encoding="utf-8")
    assert study.go(table) == ["a"]
    assert study.go(table) == []
    table.write_text("image,id,regularise\nin/a.nii.gz,a,yes\n", encoding="utf-8")
    assert study.go(table) == []
    assert "column 'regularise' differ" in study.report.failures[0].message
    for more, value in (("group", "anna"), ("age", "60"), ("age", "61"), ("reader", "bert")):
        table.write_text(f"image,id,regularise,{more}\nin/a.nii.gz,a,no,{value}\n", encoding="utf-8")
        assert study.go(table) == []
        assert study.report.failures == []  # whose it is, and what else is known of it, changes nothing about it


def test_what_another_method_made_with_the_same_settings_is_not_complete(study):
    """Two methods without weights may have settings of the same names and values."""
    assert study.go() == ["a", "b", "c"]
    path = study.out / "b" / "provenance.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**told, "backend": "another"}), encoding="utf-8")
    assert study.go() == []
    (failure,) = study.report.failures
    assert "holds another result (backend differ)" in failure.message


def test_a_kind_that_does_not_say_which_columns_it_reads_may_read_any(monkeypatch):
    from dataclasses import replace

    from workbench.core import kinds
    from workbench.core.types import Case

    case = Case("a", Path("a"), options={"age": "61"})
    then = {"run": {"options": {"age": "60"}}}
    assert record._other_options(then, case, "recording") == []
    stranger = replace(kinds.find("recording"), name="strange", cases="json")
    monkeypatch.setattr(kinds, "find", lambda name: stranger)
    assert record._other_options(then, case, "strange") == ["column 'age'"]


def test_what_a_person_corrected_is_complete_as_long_as_its_image_is_the_same(study):
    study.go()
    path = study.out / "a" / "provenance.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"edited_by_hand": false', '"edited_by_hand": true'))
    assert study.go() == []
    assert study.report.failures == []
    (outcome,) = [o for o in study.report.outcomes if o.case == "a"]
    assert "corrected by hand, and stays as it is" in outcome.notes[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("notes", 5),
        ("notes", [1]),
        ("files", 7),
        ("files", {"a\0b": {}}),
        ("files", {"labels.nii.gz": 3}),
        ("times", "x"),
        ("run", []),
        ("settings", []),
        ("details", 1),
    ],
)
def test_a_record_that_somebody_broke_is_none_and_its_case_is_done_again(study, key, value):
    study.go()
    path = study.out / "a" / "provenance.json"
    broken = json.loads(path.read_text(encoding="utf-8")) | {key: value}
    path.write_text(json.dumps(broken), encoding="utf-8")
    assert study.go() == ["a"]
    assert study.report.failures == []
    assert study.go() == []


def test_a_record_is_written_last_and_names_inputs_and_results(study):
    study.go()
    record = json.loads((study.out / "a" / "provenance.json").read_text(encoding="utf-8"))
    assert record["files"]["labels.nii.gz"]["sha256"] == sha256_of(study.out / "a" / "labels.nii.gz")
    assert record["input_sha256"] == sha256_of(study.images / "a.nii.gz")
    (path, size, *_times), *others = record["run"]["inputs"]
    assert (path, size, others) == (str(study.images / "a.nii.gz"), (study.images / "a.nii.gz").stat().st_size, [])


# --- what failed


def test_what_nobody_foresaw_is_tried_again(study):
    study.backend.BROKEN.add("b")
    assert study.go() == ["a", "b", "c"]
    assert study.go() == ["b"]
    study.backend.BROKEN.clear()
    assert study.go() == ["b"]
    assert study.report.failures == []
    assert not (study.out / "failures.jsonl").exists()
    assert [p.name for p in study.out.iterdir() if p.name.startswith(".")] == []


def test_what_was_refused_is_refused_again_without_trying_until_something_changes(study, monkeypatch):
    good = (study.images / "b.nii.gz").read_bytes()
    (study.images / "b.nii.gz").write_bytes(b"no image at all")
    study.go()
    (first,) = study.report.failures
    opened = []
    import workbench.data.cases as cases

    real = cases.open_case
    monkeypatch.setattr(cases, "open_case", lambda case: (opened.append(case.id), real(case))[1])
    study.go()
    (second,) = study.report.failures
    assert (second.message, second.exit_code) == (first.message, first.exit_code)
    assert any("--retry-failed" in note for note in second.notes)
    assert opened == []
    study.go(retry_failed=True)
    assert opened == ["b"]
    (study.images / "b.nii.gz").write_bytes(good)
    assert study.go() == ["b"]
    assert study.report.failures == []


def test_only_what_failed(study):
    study.backend.BROKEN.add("b")
    study.go()
    shutil.rmtree(study.out / "c")
    study.backend.BROKEN.clear()
    assert study.go(only_failed=True) == ["b"]
    assert study.go(only_failed=True) == []
    assert study.go() == ["c"]


def test_failures_are_listed_of_all_runs(study):
    study.backend.BROKEN.update("ab")
    study.go(fail_fast=True)
    study.go()
    lines = (study.out / "failures.jsonl").read_text(encoding="utf-8").splitlines()
    told = [json.loads(line) for line in lines]
    assert [t["case"] for t in told] == ["a", "b"]
    assert all({"stage", "error", "message"} <= set(t) for t in told)
