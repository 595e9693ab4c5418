"""The box "Use anyway", the notes of a result, and text of any length."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from workbench_napari.shared.agreement_box import AgreementBox, ResultNotes
from workbench_napari.shared.plain_text import WrappedLabel

from tests.workbench_napari.contract_window import press
from workbench.core.agreement import force_setting, is_force
from workbench.core.settings import describe, setting

pytestmark = pytest.mark.gui


@dataclass(frozen=True)
class Comparing:
    force: bool = force_setting()


@dataclass(frozen=True)
class Pushing:
    """A stranger's setting of that name means something else."""

    force: bool = setting(False, "push harder")


@dataclass(frozen=True)
class Weighing:
    force: float = setting(1.0, "force on the plate", unit="N")


def test_only_the_setting_of_the_contract_is_meant():
    assert is_force(describe(Comparing)["force"])
    assert not is_force(describe(Pushing)["force"])
    assert not is_force(describe(Weighing)["force"])
    assert not is_force(None)


def refused(box: AgreementBox, config: type, asked: tuple) -> None:
    box.asking(config, asked)
    box.ended("no", refused=True)


def test_the_box_is_good_for_what_was_refused_only(display, qtbot):
    box = AgreementBox()
    qtbot.addWidget(box)
    gone = []
    box.outdated.connect(gone.append)
    refused(box, Comparing, ("net", "w", 1))
    assert not box.isHidden()
    assert box.values(Comparing, ("net", "w", 1)) == {}
    box.show()
    press(box.anyway)
    assert box.values(Comparing, ("net", "w", 1)) == {"force": True}
    assert box.values(Comparing, ("net", "w", 2)) == {}
    assert box.values(Weighing, ("net", "w", 1)) == {}
    box.asking(Comparing, ("net", "w", 1))
    box.ended("done")
    assert box.values(Comparing, ("net", "w", 1)) == {"force": True}, "once more, after painting more"
    box.follow(("net", "w", 1), ("other", "", 1))
    assert not box.isHidden()
    box.follow(("net", "v", 1))
    assert box.isHidden()
    assert gone == ["done"]
    assert box.values(Comparing, ("net", "w", 1)) == {}
    box.ended("a job that compared nothing", refused=True)
    assert box.isHidden()


@pytest.mark.parametrize("config", [Pushing, Weighing])
def test_backends_that_cannot_be_forced_get_no_box(display, qtbot, config):
    box = AgreementBox()
    qtbot.addWidget(box)
    refused(box, config, ("net", "w", 1))
    assert box.isHidden()


def test_what_was_forced_stands_first(display, qtbot):
    notes = ResultNotes()
    qtbot.addWidget(notes)
    assert notes.isHidden()
    notes.show_notes(["rank: 4 of 8.", "forced although drift: <1 Hz", "rank: 4 of 8."])
    assert notes.text == "• Forced although drift: <1 Hz.\n• Rank: 4 of 8."
    assert not notes.isHidden()
    notes.show_notes(())
    assert notes.isHidden()
    assert notes.text == ""


def test_a_name_that_cannot_be_broken_does_not_widen_the_dock(display, qtbot):
    from qtpy.QtWidgets import QVBoxLayout, QWidget

    outer = QWidget()
    qtbot.addWidget(outer)
    column = QVBoxLayout(outer)
    label = WrappedLabel()
    column.addWidget(label)
    label.setText(f"/data/{'scan_of_a_patient_' * 12}.nii.gz: <not> what the weights were taught on")
    assert outer.minimumSizeHint().width() < 100
    assert "scan_of_a_patient" in label.toolTip()
    assert "&lt;not&gt;" in label.toolTip()
    outer.resize(300, 400)
    outer.show()
    assert label.heightForWidth(280) > 2 * label.fontMetrics().lineSpacing()
