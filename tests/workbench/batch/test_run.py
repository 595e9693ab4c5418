import json

import nibabel as nib
import numpy as np
import pytest

from tests.dicom_maker import write_series
from tests.tiny import make_volume
from workbench.batch.inputs import expand
from workbench.batch.run import run
from workbench.core import settings
from workbench.core.atomic import sha256_of
from workbench.core.errors import Cancelled, UsageError
from workbench.core.registry import find
from workbench.volume import segformer3d


@pytest.fixture
def study(tmp_path):
    for n in range(3):
        make_volume(tmp_path / "in" / f"case{n}.nii.gz", seed=n)
    return tmp_path


@pytest.fixture
def go(study, tiny_weights):
    def call(*, values=None, **options):
        config = settings.build(segformer3d.Config, {"weights": str(tiny_weights), **(values or {})})
        return run(find("segformer3d"), expand([str(study / "in")]), study / "out", config, **options)

    return call


def test_every_case_has_its_files_and_a_record_that_is_true(go, study):
    report = go()
    assert [o.status for o in report.outcomes] == ["done"] * 3
    assert report.exit_code == 0
    for n in range(3):
        folder = study / "out" / f"case{n}"
        record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        assert set(record["files"]) == {"labels.nii.gz", "volumes.csv"}
        for name, entry in record["files"].items():
            assert sha256_of(folder / name) == entry["sha256"]
        assert record["input_sha256"] == sha256_of(study / "in" / f"case{n}.nii.gz")
        source, mask = nib.load(study / "in" / f"case{n}.nii.gz"), nib.load(folder / "labels.nii.gz")
        assert mask.shape == source.shape
        assert np.array_equal(mask.affine, source.affine)


def test_complete_cases_are_skipped_and_damaged_ones_done_again(go, study):
    go()
    victim = study / "out" / "case1" / "labels.nii.gz"
    before = (study / "out" / "case0" / "labels.nii.gz").stat().st_mtime_ns
    victim.write_bytes(victim.read_bytes()[:-5])
    report = go()
    assert [o.status for o in report.outcomes] == ["skipped", "done", "skipped"]
    assert (study / "out" / "case0" / "labels.nii.gz").stat().st_mtime_ns == before
    nib.load(victim).get_fdata()
    assert [o.status for o in go(overwrite=True).outcomes] == ["done"] * 3


def test_other_settings_never_overwrite_silently(go):
    go()
    report = go(values={"overlap": 0.25})
    assert report.exit_code == 3
    assert "overlap differ" in report.failures[0].message
    assert "--overwrite" in report.failures[0].message
    assert go(values={"overlap": 0.25}, overwrite=True).exit_code == 0


def test_how_it_was_computed_does_not_make_another_result(go, tiny_weights, monkeypatch):
    go()
    monkeypatch.chdir(tiny_weights.parent)
    again = go(values={"device": "cpu", "batch": 1, "weights": f"./{tiny_weights.name}"})
    assert [o.status for o in again.outcomes] == ["skipped"] * 3


def test_hand_corrections_are_never_replaced(go, study):
    go()
    record = study / "out" / "case1" / "provenance.json"
    record.write_text(record.read_text(encoding="utf-8").replace('"edited_by_hand": false', '"edited_by_hand": true'))
    before = (study / "out" / "case1" / "labels.nii.gz").read_bytes()
    report = go(overwrite=True)
    assert [o.status for o in report.outcomes] == ["done", "failed", "done"]
    assert "corrected by hand" in report.failures[0].message
    assert (study / "out" / "case1" / "labels.nii.gz").read_bytes() == before


def test_what_another_program_changed_is_kept_and_said(go, study):
    """A person corrected the labels in a program of their own: our record knows nothing of it, but its hash does."""
    go()
    labels = study / "out" / "case1" / "labels.nii.gz"
    image = nib.load(labels)
    data = np.asarray(image.dataobj).copy()
    data[:5] = 2
    nib.save(nib.Nifti1Image(data, image.affine), labels)
    theirs = labels.read_bytes()
    report = go(overwrite=True)
    assert [o.status for o in report.outcomes] == ["done"] * 3
    (kept,) = (study / "out" / "case1" / "versions").iterdir()
    assert (kept / "labels.nii.gz").read_bytes() == theirs
    assert [n for n in report.outcomes[1].notes if f"they are kept in versions/{kept.name}" in n]
    assert not any("kept in" in n for o in (report.outcomes[0], report.outcomes[2]) for n in o.notes)
    assert [o.status for o in go().outcomes] == ["skipped"] * 3, "versions are no cases, and the newest is complete"


def test_files_of_an_earlier_result_do_not_stay_behind(go, study):
    go(values={"uncertainty": True})
    assert (study / "out" / "case0" / "uncertainty.nii.gz").exists()
    go(overwrite=True)
    assert not (study / "out" / "case0" / "uncertainty.nii.gz").exists()


def test_failures_of_an_earlier_run_do_not_stay_behind(go, study):
    good = (study / "in" / "case0.nii.gz").read_bytes()
    (study / "in" / "case0.nii.gz").write_text("broken")
    assert go().exit_code == 3
    assert (study / "out" / "failures.jsonl").exists()
    (study / "in" / "case0.nii.gz").write_bytes(good)
    assert go().exit_code == 0
    assert not (study / "out" / "failures.jsonl").exists()


def test_each_dicom_series_is_its_own_case(tmp_path, tiny_weights):
    write_series(tmp_path / "dcm", uid="1.2.3.10", prefix="a", n=8)
    write_series(tmp_path / "dcm", uid="1.2.3.99", SeriesNumber=2, prefix="b", n=8, seed=1)
    config = settings.build(segformer3d.Config, {"weights": str(tiny_weights)})
    hashes = set()
    for series in ("1", "2"):
        cases = expand([str(tmp_path / "dcm")], series=series)
        report = run(find("segformer3d"), cases, tmp_path / "out", config)
        assert [o.status for o in report.outcomes] == ["done"]
        record = json.loads((tmp_path / "out" / f"dcm_series-{series}" / "provenance.json").read_text(encoding="utf-8"))
        assert record["series"] == {"1": "1.2.3.10", "2": "1.2.3.99"}[series]
        hashes.add(record["input_sha256"])
    assert len(hashes) == 2


@pytest.mark.parametrize("output", ["in", "dcm/out"])
def test_results_never_go_into_the_source(study, tiny_weights, output):
    write_series(study / "dcm", n=6)
    config = settings.build(segformer3d.Config, {"weights": str(tiny_weights)})
    source = study / output.split("/")[0]
    with pytest.raises(UsageError, match="outside the data"):
        run(find("segformer3d"), expand([str(source)]), study / output, config)


def test_a_case_cut_short_is_done_again(go, study):
    """Files without a record (the run was killed while writing) do not count as done."""
    go()
    (study / "out" / "case2" / "provenance.json").unlink()
    assert [o.status for o in go().outcomes] == ["skipped", "skipped", "done"]


def test_fail_fast_stops(go, study):
    (study / "in" / "case0.nii.gz").write_text("broken")
    report = go(fail_fast=True)
    assert [o.status for o in report.outcomes] == ["failed"]


def test_cancel_goes_through_and_leaves_finished_cases(go, study):
    def on_start(case, number, count):
        def progress(done, total):
            if number == 1:
                raise Cancelled

        return progress

    with pytest.raises(Cancelled):
        go(on_start=on_start)
    assert (study / "out" / "case0" / "provenance.json").exists()
    assert not (study / "out" / "case1").exists()


def test_input_as_output_is_refused(study, tiny_weights):
    config = settings.build(segformer3d.Config, {"weights": str(tiny_weights)})
    cases = expand([str(study / "in" / "case0.nii.gz")])
    with pytest.raises(UsageError, match="is a file"):
        run(find("segformer3d"), cases, study / "in" / "case0.nii.gz", config)


def test_a_case_folder_that_leads_elsewhere_is_refused_and_the_others_are_done(go, study):
    (study / "away").mkdir()
    (study / "real").mkdir()
    (study / "out").symlink_to("real")
    (study / "real" / "case1").symlink_to("../away")
    (study / "real" / "case2").mkdir()
    (study / "real" / "case2" / "provenance.json").symlink_to("/dev/zero")
    report = go(overwrite=True)
    assert [o.status for o in report.outcomes] == ["done", "failed", "failed"]
    assert all("a link in it leads to" in o.message for o in report.failures)
    assert not list((study / "away").iterdir())


def test_what_cannot_be_written_names_the_file_that_it_is_of(go, monkeypatch):
    def refuse(*_, **__):
        raise UsageError("the leads are called A, A: expected different names")

    monkeypatch.setattr("workbench.data.write.write", refuse)
    messages = [o.message for o in go(jobs=0).outcomes]
    assert [m.endswith(f"case{n}.nii.gz: the leads are called A, A: expected different names")
            for n, m in enumerate(messages)] == [True] * 3  # fmt: skip
