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


@pytest.mark.gui
def test_a_dock_closed_during_a_run_leaves_the_other_tools_working(window, qtbot, ct_file, tiny_weights, monkeypatch):
    """Its result cannot be shown any more; that is said in words, and the job ends for everybody."""
    from workbench_napari.launch import GENERAL, open_files
    from workbench_napari.shared.opening import PLUGIN

    said = []
    monkeypatch.setattr("workbench_napari.shared.worker.report", lambda error: said.append(str(error)) or str(error))
    viewer = window()
    tool = open_files(viewer, [ct_file])
    tool.model.weights.choose_file(tiny_weights)
    tool.model.device.setCurrentText("cpu")
    _, other = viewer.window.add_plugin_dock_widget(PLUGIN, GENERAL, tabify=False)
    with qtbot.waitSignal(tool.runner.finished, timeout=120_000) as ended:
        tool.run_button.click()
        for found in list(viewer.window.dock_widgets):
            if viewer.window.dock_widgets[found] is tool:
                viewer.window.remove_dock_widget(tool)
    assert ended.args[0] == "failed"
    assert said == ["Segmenting ct: the tool was closed before it ended, so its result is not shown. Run it again."]
    assert other.run_button.text() == "Run"
    assert not other.runner.is_busy
