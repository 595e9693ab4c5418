"""The demo's scene: 20 painted pixels per class are enough for a map."""

import pytest

from workbench.cli.demo_scene import map_sample_scene
from workbench.report.html import Picture, Table


@pytest.mark.slow
def test_the_sample_scene_is_learnt_and_mapped(tmp_path, capsys) -> None:
    section = map_sample_scene(tmp_path, "cpu", quiet=True)
    scores = next(p for p in section.parts if isinstance(p, Table))
    ours, svm = (dict(zip(scores.columns, row, strict=True)) for row in scores.rows)
    assert ours["OA"] > 0.9
    assert ours["OA"] > svm["OA"] - 0.03
    assert any(isinstance(p, Picture) for p in section.parts)
    assert (tmp_path / "scene_model.safetensors").is_file()
    assert (tmp_path / "predictions" / "scene_9101" / "provenance.json").is_file()
    assert "120 painted pixels" in capsys.readouterr().out
