"""An export of 12 patients in six shapes of folders: every verb and the window see the same, and nothing is lost."""

from collections import Counter

import pytest

import workbench as wb
from tests.export_table import PATIENTS, VERBS, cases_by_verb, patient_of, unspoken
from tests.study_maker import write_export
from workbench.core.layers import KEY


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    return write_export(tmp_path_factory.mktemp("export"), tmp_path_factory.mktemp("scratch"))


def test_every_patient_is_one_case_for_every_verb_and_the_window(export, tmp_path):
    verbs = cases_by_verb(export, tmp_path)
    study = wb.study(export, kind="volume")
    assert set(verbs) == set(VERBS)
    for verb, ids in verbs.items():
        assert ids == [c.id for c in study.cases], verb
    assert Counter(patient_of(c.group, c.id) for c in study.cases) == Counter(PATIENTS)


def test_every_file_is_in_one_case_or_named_as_skipped(export):
    study = wb.study(export, kind="volume")
    assert unspoken(export, study) == set()
    assert (len(study.skipped), sum(s.count for s in study.skipped)) == (17, 17)


def test_the_check_above_would_notice_a_lost_file(export):
    study = wb.study(export, kind="volume")
    fewer = type(study)(study.cases[1:], study.skipped[1:])
    assert study.skipped[0].path in unspoken(export, fewer)
    assert len(unspoken(export, fewer)) > 1


@pytest.mark.gui
def test_the_window_offers_all_patients_and_opens_the_chosen_one(export, window, monkeypatch):
    from qtpy.QtWidgets import QInputDialog

    offered: list[str] = []

    def answer(parent, title, text, names, *rest):
        assert "12 images, 17 skipped" in text
        offered.extend(names)
        return next(n for n in names if "P11" in n), True

    viewer = window()
    monkeypatch.setattr(QInputDialog, "getItem", answer)
    (layer,) = viewer.open(str(export), plugin="napari-workbench")
    assert offered == [c.id for c in wb.study(export).cases]
    assert layer.metadata[KEY]["source"].endswith("P11.zip/CT")
