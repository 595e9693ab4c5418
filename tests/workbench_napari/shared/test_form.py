"""The form is the declaration: every setting, its range, unit, choices and default, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
from workbench_napari.shared.form import SettingsForm

from workbench.core.errors import UsageError
from workbench.core.settings import build, describe, setting
from workbench.volume.segformer3d import Config

pytestmark = pytest.mark.gui


@dataclass(frozen=True)
class Sample:
    count: int = setting(3, "How many.", unit="voxels", low=1, high=9)
    share: float = setting(0.25, "Which part.", low=0.0, high=1.0)
    on: bool = setting(True, "Whether.")
    kind: Literal["a", "b"] = setting("b", "Which.")
    name: str = setting("x", "Name.")
    roi: tuple[int, int, int] | None = setting(None, "Window.", unit="voxels", low=16, advanced=True)
    width_mm: float | None = setting(None, "Width.", unit="mm", low=0.5, advanced=True)


@pytest.fixture
def form(qtbot, display):
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    made = SettingsForm(Sample)
    qtbot.addWidget(made)
    return made


def test_defaults_come_back(form):
    assert build(Sample, form.values()) == Sample()


def test_values_go_both_ways(form):
    wanted = {"count": 5, "share": 0.5, "on": False, "kind": "a", "name": "y", "roi": (32, 48, 64), "width_mm": 2.5}
    form.set_values(wanted)
    assert build(Sample, form.values()) == Sample(**wanted)


def test_ranges_units_and_help(form):
    count = form.widgets["count"]
    assert (count.min, count.max) == (1, 9)
    assert count.label == "Count [voxels]"
    assert form.widgets["width_mm"].label == "Width [mm]"
    assert "How many." in count.tooltip
    assert "From 1 to 9 voxels" in count.tooltip
    assert "--count" in count.tooltip
    assert tuple(form.widgets["kind"].choices) == ("a", "b")


def test_text_that_is_no_number_is_named(form):
    form.widgets["roi"].value = "32, many, 64"
    with pytest.raises(UsageError, match="roi"):
        form.values()
    form.widgets["roi"].value = "8, 8, 8"
    with pytest.raises(UsageError, match="below the lowest"):
        form.values()


def test_advanced_settings_are_folded(form):
    assert not form.fold.isExpanded()


def test_the_backend_has_a_whole_form(qtbot, display):
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    made = SettingsForm(Config)
    qtbot.addWidget(made)
    assert set(made.widgets) == set(describe(Config))
    assert build(Config, made.values()) == Config()
