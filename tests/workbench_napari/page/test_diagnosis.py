"""Diagnosis in the ECG tool in a real window: ask, look at what it rests on, disagree, save, and open again."""

from __future__ import annotations

import json

import pytest

import workbench as wb
from tests.workbench_napari.contract_window import press, until
from workbench.core.layers import KEY
from workbench.page import opinion_of

pytestmark = pytest.mark.gui
CLASSES = ["normal", "abnormal rhythm", "acute MI", "old MI"]


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Weights of a diagnosis that know nothing yet: both networks, real, as they begin."""
    pytest.importorskip("transformers")
    import torch

    from workbench.page.diagnose.model import tensors_of
    from workbench.page.net.classifiers import PictureNet, small
    from workbench.page.net.lead_net import LeadNet, LeadNetConfig

    torch.manual_seed(0)
    nets = {"image": PictureNet(small("vit", (128, 256), 4)), "signal": LeadNet(LeadNetConfig(4))}
    meta = {
        "backend": "ecg_image", "task": "diagnose", "diagnoses": CLASSES, "simulated": True,
        "net": {name: net.config.to_json() for name, net in nets.items()},
    }  # fmt: skip
    return wb.weights.save(tmp_path_factory.mktemp("weights") / "mine.safetensors", tensors_of(nets, {}), meta)


def test_a_page_is_diagnosed_doubted_saved_and_opened_again(opened, asked, page_file):
    viewer, tool = opened
    assert tool.ask_group.value == "none"
    tool.ask_group.weights.choose_file(asked)
    press(tool.run_button)
    until(lambda: not tool.is_busy)
    until(lambda: tool.leads.leads is not None)
    group = tool.diagnosis_group
    tool.pages.turn_to(group)
    assert "diagnosis" in group.said.text().lower() or any(name in group.said.text() for name in CLASSES)
    assert all(name in group.odds.text() for name in CLASSES)
    seen = next(x for x in viewer.layers if x.metadata[KEY].get("part") == "attribution")
    assert not seen.visible
    press(group.looked)
    assert seen.visible
    assert seen.data.shape == tool.layer.data.shape[:2]
    group.yours.setCurrentText("left bundle block")
    group.yours.lineEdit().editingFinished.emit()
    assert "left bundle block" in tool.status.text()
    assert tool.journal.is_unsaved(tool.correcting.layer)
    until(lambda: not tool.shown._timer.isActive() and not tool.shown._counting.is_busy)
    press(tool.save_button)
    until(lambda: not tool.is_busy)
    folder = tool.last_folder
    assert folder is not None, tool.status.text()
    record = json.loads((folder / "provenance.json").read_text())
    assert record["details"]["diagnosis by hand"] == "left bundle block"
    assert "left bundle block" in (folder / "report.html").read_text()
    assert {"attribution.png", "diagnosis.csv", "lead_attribution.csv"} <= {p.name for p in folder.iterdir()}
    assert opinion_of(wb.read_lines(folder / "traces.geojson")) == "left bundle block"
    assert not any("lines corrected by hand" in note for note in record["notes"]), "no line was touched"
    assert tool.open_lines(folder / "traces.geojson")
    until(lambda: not tool.is_busy)
    until(lambda: group.yours.currentText() == "left bundle block")
    viewer.screenshot(path=str(folder / "seen.png"), canvas_only=False)
