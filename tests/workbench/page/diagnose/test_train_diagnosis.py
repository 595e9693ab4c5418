"""Labelled pages and records teach a diagnosis: from the shell's verbs to weights that predict and are scored."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Pillow

import workbench as wb
from workbench.core.errors import Cancelled, InputError, UsageError, WorkbenchError
from workbench.core.signals import Signals
from workbench.core.types import Case
from workbench.data.cases import load_cases
from workbench.page.data.labelled import labelled
from workbench.page.draw.diagnoses import DIAGNOSES, FINER, finer, patient, raised
from workbench.page.draw.render import render
from workbench.page.draw.simulate import simulate
from workbench.page.draw.styles import random_style
from workbench.page.train.copies import fingerprint, joined

FOLDERS = {
    "normal": "Normal Person ECG Images (284x12=3408)",
    "abnormal rhythm": "ECG Images of Patient that have abnormal heartbeat (233x12=2796)",
    "acute MI": "ECG Images of Myocardial Infarction Patients (240x12=2880)",
    "old MI": "ECG Images of Patient that have History of MI (172x12=2064)",
}
"""As the four-class data set names them."""


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """A folder of CSV records for each class."""
    root = tmp_path_factory.mktemp("records")
    for name in ("normal", "abnormal rhythm"):
        (root / name).mkdir()
        for n in range(8):
            data = patient(name, 300 + n, sampling_rate=250.0).data
            head = ",".join(["time [s]", *(f"{lead} [mV]" for lead in simulate(0, seconds=1).channels)])
            rows = np.column_stack([np.arange(data.shape[1]) / 250, data.T])
            np.savetxt(root / name / f"r{n}.csv", rows, "%.4f", ",", header=head, comments="")
    return root


def cases(root):
    """What the shell finds in a folder."""
    return load_cases(root, kind="page")


def test_records_teach_a_diagnosis_that_predicts_and_is_scored(records, tmp_path):
    out = tmp_path / "mine.safetensors"
    found = wb.train(
        "ecg_image", cases(records), out=out, learn="diagnosis", pictures="none", epochs=6.0, folds=2,
        device="cpu",
    )  # fmt: skip
    assert out.is_file()
    assert found.report.is_file()
    assert {row["opinion"] for row in found.table} == {"signal"}
    assert any("shuffled labels" in note for note in found.notes)
    assert "8" in (out.with_name("mine_training") / "pages.csv").read_text()
    image = wb.read(next(iter(records.glob("normal/*.csv"))), kind="page")
    result = wb.predict("ecg_image", image, diagnosis=str(out), device="cpu")
    detail = result.provenance.details["diagnosis"]
    assert detail["said"] or detail["reason"]
    assert {row["diagnosis"] for row in result["diagnosis"].as_dicts()} == {"normal", "abnormal rhythm"}
    report = wb.evaluate("ecg_image", cases(records), diagnosis=str(out), device="cpu", out=tmp_path / "report")
    assert {row["seen"] for row in report.rows} == {"learnt"}
    assert (tmp_path / "report" / "report.html").is_file()
    with pytest.raises(WorkbenchError, match="do not read pages"):
        wb.predict("ecg_image", image, weights=str(out))
    with pytest.raises(WorkbenchError, match="not of a diagnosis"):
        wb.predict("ecg_image", image, diagnosis=str(wb.weights.find("demo", "ecg_image").path))


def test_a_training_that_is_stopped_writes_no_weights(records, tmp_path):
    def stop(event):
        if event.step > 1 and "signal" in event.line():
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        wb.train(
            "ecg_image", cases(records), out=tmp_path / "mine.safetensors", on_step=stop, learn="diagnosis",
            pictures="none", folds=2, device="cpu",
        )  # fmt: skip
    assert not (tmp_path / "mine.safetensors").exists()
    with pytest.raises(UsageError, match="multiple of 64"):
        wb.train("ecg_image", cases(records), out=tmp_path / "m.safetensors", learn="diagnosis", width=500)


@pytest.mark.parametrize(
    ("given", "told"),
    [({"learn": "diagnosis", "steps": 7}, "steps=7 .* Give epochs"), ({"folds": 3}, "folds=3 does nothing"),
     ({"learn": "diagnosis", "old_pages": 3}, "Leave it out")],
)  # fmt: skip
def test_settings_that_would_do_nothing_are_refused(records, tmp_path, given, told):
    with pytest.raises(UsageError, match=told):
        wb.train("ecg_image", cases(records), out=tmp_path / "m.safetensors", **given)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["vit", "beit", "swin"])
def test_the_four_class_folders_teach_each_architecture(architecture, tmp_path):
    pytest.importorskip("transformers")
    for name, folder in FOLDERS.items():
        (tmp_path / "set" / folder).mkdir(parents=True)
        for n in range(3):
            style = random_style(np.random.default_rng([n, 1]), layout="3x4+1", clean=True)
            page = render(patient(name, 900 + n), style, dpi=110, seed=n)
            Pillow.fromarray(page.pixels).save(tmp_path / "set" / folder / f"{folder[:3]}({n}).jpg", quality=90)
    found = wb.train(
        "ecg_image", cases(tmp_path / "set"), out=tmp_path / "four.safetensors", learn="diagnosis", folds=3,
        architecture=architecture, epochs=1.0, width=256, device="cpu",
    )  # fmt: skip
    text = found.report.read_text()
    assert "Kilimci" in text
    assert "hold-out of 1/3" in text
    assert {row["opinion"] for row in found.table} == {"image", "signal", "together"}
    page = next((tmp_path / "set").glob("*/*.jpg"))
    result = wb.predict("ecg_image", wb.read(page, kind="page"), diagnosis=str(tmp_path / "four.safetensors"))
    assert "diagnosis" in result.parts


def test_folders_are_classes_and_no_patients(tmp_path):
    told = labelled(
        [Case(f"{c}_{n}", tmp_path / c / f"{n}.jpg", None, c) for c in ("sick", "Normal") for n in range(2)]
    )
    assert told.classes == ("Normal", "sick")
    assert len({case.group for case in told.cases}) == 4
    listed = [Case("a", tmp_path / "a.jpg", None, "p", {"label": "x"}), Case("b", tmp_path / "b.jpg", None, "p", {})]
    with pytest.raises(InputError, match="one class only"):
        labelled(listed)


def test_copies_of_a_page_share_its_group():
    def picture(seed):
        style = random_style(np.random.default_rng(2), layout="3x4+1", clean=True)
        return render(simulate(seed), style, dpi=60, seed=1).pixels

    first, other = picture(1), picture(2)
    copy = np.clip(first * 0.8 + 20, 0, 255).astype(np.uint8)
    groups, moved = joined(["a", "b", "c"], np.stack([fingerprint(p) for p in (first, other, copy)]))
    assert groups[0] == groups[2] != groups[1]
    assert moved == 1


def test_simulated_patients_show_what_they_are_called_after():
    assert set(DIAGNOSES) == {"normal", "abnormal rhythm", "acute MI", "old MI"}
    assert {finer("abnormal rhythm", n) for n in range(60)} <= set(FINER)
    plain = simulate(4, noise=0)
    lifted = raised(plain, ("V1", "V2"), 0.3)
    assert isinstance(lifted, Signals)
    change = np.abs(lifted.data - plain.data).max(axis=1)
    assert (change > 0.2).sum() == 2
    assert np.array_equal(patient("acute MI", 5).data, patient("acute MI", 5).data)


def test_spellings_of_a_label_are_one_class(tmp_path):
    names = ["AF", "af", "AF", "normal", " Normal", "normal"]
    listed = [
        Case(f"p{n}", tmp_path / f"p{n}.png", None, group=f"p{n}", options={"label": name})
        for n, name in enumerate(names)
    ]
    found = labelled(listed)
    assert found.classes == ("normal", "AF")
    assert found.labels == ("AF", "AF", "AF", "normal", "normal", "normal")
    assert any("'af' are taken for one class, 'AF'" in note for note in found.notes)
