"""A job ends whatever happens to its answer, and the next one can start."""

from __future__ import annotations

import pytest
from workbench_napari.shared.worker import runner_of


@pytest.mark.gui
def test_an_answer_that_cannot_be_shown_frees_the_runner(window, qtbot, monkeypatch):
    monkeypatch.setattr("workbench_napari.shared.worker.report", lambda error: f"{type(error).__name__}: {error}")
    runner = runner_of(window())

    def show(_answer):
        raise AttributeError("'NoneType' object has no attribute 'to_json'")

    with qtbot.waitSignal(runner.finished, timeout=20_000) as ended:
        assert runner.start("Working", lambda progress: 1, show)
    assert ended.args == ["failed", "AttributeError: 'NoneType' object has no attribute 'to_json'"]
    assert not runner.is_busy
    with qtbot.waitSignal(runner.finished, timeout=20_000) as ended:
        assert runner.start("Again", lambda progress: 2, lambda answer: None)
    assert ended.args[0] == "done"
