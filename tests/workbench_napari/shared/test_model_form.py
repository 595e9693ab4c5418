"""The form of a kind's backends: which one, and what that one declares; nothing else is asked for or handed on."""

from __future__ import annotations

import gc
import weakref

import pytest
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QApplication, QLabel, QWidget
from workbench_napari.shared.form import SettingsForm
from workbench_napari.shared.model_form import ModelForm
from workbench_napari.shared.weights_choice import WeightsChoice

from tests.tiny import make_volume
from tests.workbench_napari.shared import threshold
from workbench.core import registry
from workbench.core.errors import UsageError
from workbench.core.settings import build, describe
from workbench.testing import check_backend
from workbench.volume.segformer3d import Config

pytestmark = pytest.mark.gui


@pytest.fixture
def two(monkeypatch, only_ours):
    """A second backend for volumes is installed."""
    rows = {**registry.backends(), "threshold": threshold.ROW}
    monkeypatch.setattr(registry, "backends", lambda: rows)


@pytest.fixture
def make(qtbot, display, only_ours):
    """Makes the form that the Volume tool has."""
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")

    def form() -> ModelForm:
        made = ModelForm(registry.of_kind("volume"))
        qtbot.addWidget(made)
        return made

    return form


@pytest.fixture
def form(two, make):
    return make()


def texts(form):
    """What is written in the form, without what waits for its end."""
    return {label.text() for label in form.findChildren(QLabel) if label.isVisibleTo(form)}


def bury():
    """Let Qt delete what was left to it, and Python too."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()


def test_the_second_backend_is_a_real_one(two, tmp_path):
    result = check_backend("threshold", make_volume(tmp_path / "ct.nii.gz"))
    assert result.labels.data.any()


def test_one_backend_leaves_no_choice(make):
    form = make()
    assert [row.name for row in form.backends] == ["segformer3d"]
    assert "Backend" not in texts(form)
    assert not form.choice.isVisibleTo(form)


def test_two_backends_can_be_chosen_and_the_built_in_one_is_first(form):
    assert "Backend" in texts(form)
    assert form.choice.isVisibleTo(form)
    assert [form.choice.itemText(i) for i in range(form.choice.count())] == ["SegFormer3D", "Threshold"]
    assert form.backend.name == "segformer3d"
    assert threshold.ROW.task in form.choice.itemData(1, 3)


def test_another_backend_gets_a_form_of_its_own(form):
    assert {"Weights", "Device", "Mode"} <= texts(form)
    before = form.form
    form.choose("threshold")
    assert form.backend is threshold.ROW
    assert form.form is not before
    assert form.form.config is threshold.Config
    assert not before.isVisibleTo(form)
    assert "Level" in texts(form)
    assert not {"Weights", "Device", "Mode"} & texts(form)
    assert form.weights is None
    assert form.device is None
    assert form.describe() == ()
    assert form.weights_info.text() == "Tell bright voxels from dark ones"
    assert form.weights_info.isVisibleTo(form)
    form.choose("segformer3d")
    assert {"Weights", "Device", "Mode"} <= texts(form)
    assert form.form.config is Config


def test_values_are_what_the_backend_declares_and_nothing_else(form):
    known = set(describe(Config))
    assert {"weights", "device"} <= known
    assert set(form.values()) == known - {"force"}, "a tool asks for that once something was refused"
    form.device.setCurrentText(" cpu ")
    values = form.values()
    assert (values["weights"], values["device"]) == ("demo", "cpu")
    build(Config, values)
    form.choose("threshold")
    assert form.values() == {"level": 50.0, "inverse": False}
    form.form.set_values({"level": -20.0, "inverse": True})
    assert build(threshold.Config, form.values()) == threshold.Config(-20.0, True)
    with pytest.raises(KeyError):
        form.form.set_values({"overlap": 0.5})
    # Each comes back as it is declared, not as another one was left.
    form.choose("segformer3d")
    assert form.values()["device"] == "auto"
    form.form.widgets["roi"].value = "many"
    with pytest.raises(UsageError, match="roi"):
        form.values()


def test_changed_tells_of_backends_and_weights_once_each(form, tmp_path):
    told = []
    form.changed.connect(lambda: told.append(form.backend.name))
    form.choose("threshold")
    assert told == ["threshold"]
    form.choose("threshold")
    form.form.set_values({"level": 3.0})
    assert told == ["threshold"], "neither another backend nor other weights"
    form.choose("segformer3d")
    assert told == ["threshold", "segformer3d"]
    form.weights.changed.emit()
    assert told == ["threshold", "segformer3d", "segformer3d"], "weights of the new form are listened to, once"


@pytest.mark.slow
def test_switching_leaks_nothing(form):
    form.choose("threshold")
    form.choose("segformer3d")
    bury()
    inside, windows = len(form.findChildren(QWidget)), len(QApplication.topLevelWidgets())
    gone = []
    for name in ("threshold", "segformer3d") * 5:
        gone.append(weakref.ref(form.form))
        form.choose(name)
        bury()
    assert len(form.findChildren(SettingsForm)) == 1
    assert len(form.findChildren(WeightsChoice)) == 1
    assert len(form.findChildren(QWidget)) == inside
    assert len(QApplication.topLevelWidgets()) == windows
    assert form.column.count() == 2, "the choice and one form"
    assert [reference() for reference in gone] == [None] * len(gone)


def test_a_backend_that_cannot_be_used_takes_no_other_with_it(qtbot, display, tmp_path, monkeypatch):
    from tests import strangers
    from workbench.core import registry

    row = strangers.install("volume", tmp_path, monkeypatch, "raise RuntimeError('boom')")
    said = []
    monkeypatch.setattr("workbench_napari.shared.worker.report", lambda error: said.append(str(error)) or str(error))
    form = ModelForm([row, registry.SEGFORMER3D])
    qtbot.addWidget(form)
    assert [b.name for b in form.backends] == ["segformer3d"]
    assert "boom" in said[0]
    assert form.weights is not None
    # One that breaks later, when it is chosen: the form of the backend before stays and works.
    late = ModelForm([registry.SEGFORMER3D, registry.LOLA_SPECVIT])
    qtbot.addWidget(late)
    monkeypatch.setattr(ModelForm, "_make", _refuse)
    late.choose("lola_specvit")
    assert late.backend.name == "segformer3d"
    assert "overlap" in late.values()


def _refuse(_form):
    from workbench.core.errors import FaultyExtension

    raise FaultyExtension("it cannot be used any more")
