"""The page part of the demo: leads, measurements, and a diagnosis that says what it is worth."""

from __future__ import annotations

from contextlib import contextmanager

from workbench.report import html
from workbench.report.demo import Demo


@contextmanager
def bar(label, *, unit):
    yield lambda *_: None


def shown(folder):
    from workbench.page.demo import read_sample

    said = []
    (folder / "predictions").mkdir()
    section = read_sample(Demo(folder, "cpu", bar, said.append))
    return html.render("demo", [section]), said


def test_the_demo_shows_leads_and_a_diagnosis_with_both_opinions(tmp_path):
    page, said = shown(tmp_path)
    assert "simulated hearts alone" in page
    assert "how much of that lies on each lead" in page.lower()
    assert "heart rate" in page
    assert page.count("<img") >= 2
    assert any("simulated hearts" in line for line in said)
    assert (tmp_path / "predictions" / "page_9401_attribution.png").exists() or list(tmp_path.rglob("*attribution.png"))


def test_without_transformers_the_demo_says_what_to_install(tmp_path, monkeypatch):
    from workbench.core.errors import MissingExtra
    from workbench.page.net import classifiers

    def lacking():
        raise MissingExtra("diagnosing pictures of pages", "diagnosis")

    monkeypatch.setattr(classifiers, "library", lacking)
    page, said = shown(tmp_path)
    assert "napari-workbench[diagnosis]" in page
    assert any("pip install" in line for line in said)
    assert "heart rate" in page
