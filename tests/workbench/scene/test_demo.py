"""The demo's scene: 20 painted pixels per class are enough for a map."""

from contextlib import nullcontext

import pytest

from workbench.report.demo import Demo
from workbench.report.html import Links, Picture, Table
from workbench.scene.demo import map_sample


@pytest.mark.slow
def test_the_sample_scene_is_learnt_and_mapped(tmp_path) -> None:
    said = []
    section = map_sample(Demo(tmp_path, "cpu", lambda *_, **__: nullcontext(lambda done, total: None), said.append))
    scores = next(p for p in section.parts if isinstance(p, Table))
    ours, svm = (dict(zip(scores.columns, row, strict=True)) for row in scores.rows)
    assert ours["OA"] > 0.9
    assert ours["OA"] > svm["OA"] - 0.03
    assert any(isinstance(p, Picture) for p in section.parts)
    assert (tmp_path / "scene_model.safetensors").is_file()
    assert (tmp_path / "predictions" / "scene_9101" / "provenance.json").is_file()
    (links,) = (p for p in section.parts if isinstance(p, Links))
    assert "scene_model.safetensors" in links.values
    assert "120 painted pixels" in "".join(said)
