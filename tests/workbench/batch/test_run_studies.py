"""Runs over trees and archives: every patient has a result of their own, with a record that is true."""

import json

import numpy as np
import pytest

from tests.study_maker import uids, write_ct, write_page, zipped
from tests.tiny import make_tiny_weights
from workbench.batch.inputs import find
from workbench.batch.run import check_output, run
from workbench.core import settings
from workbench.core.atomic import sha256_of
from workbench.core.errors import UsageError
from workbench.core.registry import find as backend
from workbench.data.cases import load_cases, open_case
from workbench.volume import segformer3d
from workbench.volume.data.agreement import conformed
from workbench.volume.data.recipe import VolumeRecipe


@pytest.fixture
def go(tmp_path):
    weights = make_tiny_weights(tmp_path / "tiny.safetensors")

    def call(source, **options):
        config = settings.build(segformer3d.Config, {"weights": str(weights), "device": "cpu", "force": True})
        study = find([str(source)], kind="volume")
        return run(
            backend("segformer3d"), list(study.cases), tmp_path / "out", config, skipped=study.skipped, **options
        )

    return call


def test_a_tree_and_its_archive_give_the_same_results(go, tmp_path):
    for name in ("P1", "P2"):
        write_ct(tmp_path / "in" / name / "study" / "ct", name, n=8)
    write_page(tmp_path / "in" / "P1" / "study" / "page.dcm", "P1")
    zipped(tmp_path / "in", tmp_path / "sent.zip")
    report = go(tmp_path / "in")
    assert [(o.case, o.status) for o in report.outcomes] == [("P1_study_ct", "done"), ("P2_study_ct", "done")]
    record = json.loads((tmp_path / "out" / "P1_study_ct" / "provenance.json").read_text(encoding="utf-8"))
    files = sorted((tmp_path / "in" / "P1" / "study" / "ct").iterdir())
    assert record["input_sha256"] == sha256_of(*files)
    assert "a page or screenshot" in record["details"]["skipped beside the image"][0]
    assert record["series"] == uids("P1")["uid"]
    # The same files in an archive are the same input: nothing is left to do.
    assert [o.status for o in go(tmp_path / "sent.zip").outcomes] == ["skipped", "skipped"]
    again = go(tmp_path / "sent.zip", overwrite=True)
    assert [o.status for o in again.outcomes] == ["done", "done"]
    record = json.loads((tmp_path / "out" / "P1_study_ct" / "provenance.json").read_text(encoding="utf-8"))
    assert record["source"] == str(tmp_path / "sent.zip" / "P1" / "study" / "ct")


def test_a_result_never_lands_in_a_patients_folder(tmp_path):
    write_ct(tmp_path / "in" / "P1", "P1")
    write_ct(tmp_path / "in" / "P2" / "a", "P2")
    cases = list(find([str(tmp_path / "in")]).cases)
    for output in (tmp_path / "in", tmp_path / "in" / "P1", tmp_path / "in" / "P2" / "a" / "out"):
        with pytest.raises(UsageError, match="lies with the input"):
            check_output(output, cases)
    check_output(tmp_path / "in" / "out", cases)


def test_channels_of_files_meet_the_channels_of_weights(tmp_path):
    from tests.study_maker import save_nifti

    for number, ending in enumerate(("t1", "t1ce", "t2", "flair")):
        save_nifti(tmp_path / "B_1" / f"B_1_{ending}.nii.gz", value=number)
    recipe = VolumeRecipe(channels=("FLAIR", "T1", "T1ce", "T2"), spacing_mm=(1.0, 1.0, 1.0))
    image = conformed(open_case(load_cases(tmp_path)[0]), recipe)
    assert image.channels == ("FLAIR", "T1", "T1ce", "T2")
    assert [float(c.mean()) for c in np.asarray(image.data)] == [3, 0, 1, 2]
