"""Jobs belong to the viewer: they wait in order, every end frees the next, and no result is lost with its dock."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from workbench_napari.launch import GENERAL, open_files
from workbench_napari.shared.delivery import Delivery, NotNow
from workbench_napari.shared.job import Job, join_all
from workbench_napari.shared.opening import PLUGIN
from workbench_napari.shared.worker import runner_of

from workbench.core.errors import UsageError

pytestmark = pytest.mark.gui


class Gate:
    """Work that goes on until it is let through; it stops at a cancel as real work does."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, progress):
        self.begun.set()
        while not self.go.wait(0.005):
            progress(0, 0)
        return "answer"


@pytest.fixture
def gate():
    made = Gate()
    yield made
    made.go.set()


def dock(viewer, title):
    return viewer.window.add_plugin_dock_widget(PLUGIN, title, tabify=False)[1]


def texts(tool):
    return [row.text for row in tool.jobs.rows]


def close_dock(tool):
    """What the x in the title of a dock does."""
    found = tool.parentWidget()
    while not hasattr(found, "destroyOnClose"):
        found = found.parentWidget()
    found.destroyOnClose()


@pytest.fixture
def notes():
    """What napari shows as notifications."""
    from napari.utils.notifications import notification_manager

    said = []
    notification_manager.notification_ready.connect(lambda note: said.append(note.message))
    return said


def test_jobs_of_several_tools_run_one_after_the_other(window, wait, gate):
    viewer = window()
    volume, general = dock(viewer, "Volume tool"), dock(viewer, GENERAL)
    order = []
    volume._keep, general._keep = order.append, order.append
    assert volume.start("First", gate, order.append)
    assert general.start("Second", lambda progress: "second", order.append)
    runner = runner_of(viewer)
    assert [job.title for job in runner.waiting] == ["Second"]
    assert general.run_button.text() == volume.run_button.text() == "Cancel"
    assert general.status.text() == "Second waits until 'First' has ended."
    assert texts(volume) == ["waiting: Second"]
    assert texts(general) == ["running: First", "waiting: Second"]
    assert not volume.start("Third", gate, order.append), "one job per tool"
    assert volume.status.text() == "First is still running; wait for it or cancel it."
    wait(gate.begun.is_set)
    gate.go.set()
    wait(lambda: not runner.is_busy)
    assert order == ["answer", "second"]
    assert volume.run_button.text() == general.run_button.text() == "Run"
    assert (volume.jobs.isHidden(), general.jobs.isHidden()) == (True, True)


def test_a_job_that_waits_can_be_cancelled_and_the_others_keep_their_order(window, wait, gate):
    viewer = window()
    runner = runner_of(viewer)
    tools = [dock(viewer, title) for title in ("Volume tool", GENERAL, "Spectra tool")]
    order = []
    for tool, name in zip(tools, "abc", strict=True):
        assert tool.start(name, gate if name == "a" else lambda progress, name=name: name, order.append)
    assert texts(tools[0]) == ["waiting: b", "waiting: c"]
    tools[0].jobs.rows[0].buttons["Cancel"].click()
    assert [job.title for job in runner.waiting] == ["c"]
    assert tools[1].run_button.text() == "Run"
    assert tools[1].status.text() == "b: cancelled"
    gate.go.set()
    wait(lambda: not runner.is_busy)
    assert order == ["answer", "c"]


def test_every_end_frees_the_next_job(window, wait, monkeypatch):
    """An answer, an error, an interruption of the thread, a cancel, and an answer that cannot be shown."""
    viewer = window()
    runner = runner_of(viewer)
    monkeypatch.setattr("workbench_napari.shared.worker.report", lambda error: type(error).__name__)
    ends = []
    runner.finished.connect(lambda how, text: ends.append((runner.ended.title, how, text)))

    def raises(error):
        def work(progress):
            raise error

        return work

    def cannot(_answer):
        raise RuntimeError("wrapped C/C++ object of type QLabel has been deleted")

    gate = Gate()
    runner.start("returns", lambda progress: 1, lambda answer: None)
    runner.start("fails", raises(UsageError("no")), lambda answer: None)
    runner.start("exits", raises(SystemExit(1)), lambda answer: None)
    runner.start("not shown", lambda progress: 1, cannot)
    runner.start("stops", gate, lambda answer: None)
    runner.start("last", lambda progress: 1, lambda answer: None)
    wait(gate.begun.is_set)
    runner.cancel()
    wait(lambda: not runner.is_busy)
    assert ends == [
        ("returns", "done", "returns: done"),
        ("fails", "failed", "UsageError"),
        ("exits", "failed", "SystemExit"),
        ("not shown", "failed", "RuntimeError"),
        ("stops", "cancelled", "stops: cancelled"),
        ("last", "done", "last: done"),
    ]


def test_an_answer_is_shown_in_steps_between_which_the_window_goes_on(window, wait):
    from qtpy.QtCore import QTimer

    viewer = window()
    tool = dock(viewer, "Volume tool")
    runner, seen = tool.runner, []

    def show(answer):
        for n in range(3):
            QTimer.singleShot(0, lambda n=n: seen.append((f"event {n}", runner.is_busy)))
            seen.append(f"step {n}")
            yield

    assert tool.start("Working", lambda progress: 1, show)
    wait(lambda: not runner.is_busy)
    names = [s if isinstance(s, str) else s[0] for s in seen]
    assert [n for n in names if n.startswith("step")] == ["step 0", "step 1", "step 2"]
    assert names.index("event 0") < names.index("step 2"), names
    assert seen[names.index("event 0")][1], "busy until the last step"
    assert tool.status.text() == "Working: done"

    def breaks(answer):
        yield
        raise UsageError("a step that cannot be done")

    assert tool.start("Working", lambda progress: 1, breaks)
    wait(lambda: not runner.is_busy)
    assert tool.status.text() == "a step that cannot be done"

    def closes(answer):
        close_dock(tool)
        yield
        raise AssertionError("the tool is gone")

    assert tool.start("Working", lambda progress: "answer", closes)
    wait(lambda: not runner.is_busy)
    assert isinstance(runner.error, UsageError)
    assert "the tool was closed before it ended" in str(runner.error)


def test_another_window_that_is_closed_does_not_hang_a_job(window, wait, gate):
    """napari stops the workers of every window when one of them closes, and those never say that they ended."""
    viewer = window()
    tool = dock(viewer, "Volume tool")
    other = window()  # the latest window is the one whose workers napari takes all workers for
    answers = []
    assert tool.start("Long", gate, answers.append)
    wait(gate.begun.is_set)
    other.close()
    QTest.qWait(100)
    assert tool.runner.is_busy, "it is not stopped"
    gate.go.set()
    wait(lambda: not tool.runner.is_busy)
    assert answers == ["answer"]
    assert (tool.run_button.text(), tool.status.text()) == ("Run", "Long: done")


def test_a_dock_closed_during_a_run_loses_nothing(window, wait, ct_file, tiny_weights, notes):
    """Its result waits, that is said, and the next tool of the kind offers and shows it."""
    viewer = window()
    tool = open_files(viewer, [ct_file])
    tool.model.weights.choose_file(tiny_weights)
    tool.model.device.setCurrentText("cpu")
    other, runner = dock(viewer, GENERAL), tool.runner
    tool.run_button.click()
    close_dock(tool)
    wait(lambda: not runner.is_busy, 120)
    line = "Segmenting ct: done. Its tool was closed, so the result waits, and is offered where it is docked."
    assert notes == [line]
    assert len(viewer.layers) == 1
    assert (other.run_button.text(), other.jobs.isHidden()) == ("Run", True), "not a result of that tool"
    again = open_files(viewer, [])
    assert type(again) is type(tool)
    assert again is not tool
    assert texts(again) == ["A result waits: Segmenting ct"]
    again.jobs.rows[0].buttons["Show"].click()
    assert [layer._type_string for layer in viewer.layers] == ["image", "labels"]
    assert again.labels_layer is viewer.layers[1]
    assert again.keeping.table.label_values() == [1, 2]
    assert again.status.text().startswith("Done in "), again.status.text()
    assert (again.jobs.isHidden(), runner.held) == (True, [])


def test_a_result_that_waits_can_be_thrown_away(window, wait, gate):
    viewer = window()
    tool = dock(viewer, "Volume tool")
    tool.start("Segmenting", gate, tool.segmenting._show)
    close_dock(tool)
    gate.go.set()
    wait(lambda: not runner_of(viewer).is_busy)
    again = dock(viewer, "Volume tool")
    assert texts(again) == ["A result waits: Segmenting"]
    again.jobs.rows[0].buttons["Discard"].click()
    assert (again.jobs.isHidden(), runner_of(viewer).held) == (True, [])


def test_a_dock_closed_during_a_save_counts_the_layers_as_saved(window, wait, ct_file, tmp_path, notes):
    viewer = window()
    tool = open_files(viewer, [ct_file])
    image = viewer.layers["ct"]
    layer = viewer.add_labels(np.zeros(image.data.shape, np.uint8), scale=image.scale, units=image.units, name="drawn")
    layer.paint((3, 3, 3), 1)
    tool.folder.setText(str(tmp_path / "out"))
    journal, runner = tool.journal, tool.runner
    assert journal.is_unsaved(layer)
    assert tool.save()
    close_dock(tool)
    wait(lambda: not runner.is_busy)
    assert [note for note in notes if note.startswith("Saved labels.nii.gz")]
    assert list((tmp_path / "out").rglob("labels.nii.gz"))
    assert not journal.is_unsaved(layer)
    assert runner.held == []


@pytest.mark.parametrize("strokes", [0, 1])
def test_a_layer_that_is_deleted_during_its_save_is_kept_only_with_later_edits(
    window, wait, ct_file, tmp_path, strokes
):
    viewer = window()
    tool = open_files(viewer, [ct_file])
    image = viewer.layers["ct"]
    layer = viewer.add_labels(np.zeros(image.data.shape, np.uint8), scale=image.scale, units=image.units, name="drawn")
    layer.paint((3, 3, 3), 1)
    tool.folder.setText(str(tmp_path / "out"))
    journal, runner = tool.journal, tool.runner
    assert tool.save()
    for _ in range(strokes):
        layer.paint((9, 9, 9), 2)
    viewer.layers.remove(layer)
    wait(lambda: not runner.is_busy)
    journal.flush()
    assert list((tmp_path / "out").rglob("labels.nii.gz"))
    assert [entry.name for entry in journal.offers()] == ["drawn"] * strokes


def test_a_double_click_starts_and_does_not_cancel(window, wait, ct_file, gate, monkeypatch):
    viewer = window()
    tool = open_files(viewer, [ct_file])
    monkeypatch.setattr(tool, "main_action", lambda: tool.start("Long", gate, lambda answer: None))
    place = QPoint(20, tool.run_button.height() // 2)
    QTest.mouseClick(tool.run_button, Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseDClick(tool.run_button, Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseClick(tool.run_button, Qt.MouseButton.LeftButton, pos=place)  # a slow second click
    job = tool.runner.job
    assert job is not None
    assert not job.is_cancelling
    assert (tool.run_button.text(), tool.run_button.isEnabled()) == ("Cancel", True)
    wait(lambda: not tool._guard.isActive(), 5)
    assert tool._guard.interval() == QApplication.doubleClickInterval()
    QTest.mouseClick(tool.run_button, Qt.MouseButton.LeftButton, pos=place)
    assert tool.run_button.text() == "Cancelling..."
    wait(lambda: not tool.runner.is_busy)
    assert tool.status.text() == "Long: cancelled"


def test_a_run_before_the_engines_are_loaded_says_so_and_can_be_cancelled(window, wait, monkeypatch):
    from workbench_napari.shared import engines

    loaded = threading.Event()
    thread = threading.Thread(target=loaded.wait, daemon=True)
    thread.start()
    monkeypatch.setattr(engines, "_thread", thread)
    monkeypatch.setattr(engines, "_tried", set())
    tool = dock(window(), "Volume tool")
    try:
        assert tool.start("Segmenting ct", lambda progress: 1, lambda answer: None)
        wait(lambda: tool.progress.format() == "loading the engine")
        assert tool.status.text() == "Segmenting ct: loading the engine..."
        tool.cancel()
        wait(lambda: not tool.runner.is_busy, 5)
        assert thread.is_alive(), "cancelled while the engine still loads"
        assert tool.start("Segmenting ct", lambda progress: 1, lambda answer: None)
    finally:
        loaded.set()
    wait(lambda: not tool.runner.is_busy, 5)
    assert tool.status.text() == "Segmenting ct: done"


@pytest.mark.parametrize("title", ["Volume tool", "Spectra tool", "MEG tool", GENERAL])
def test_engines_are_loaded_however_a_tool_is_docked(window, wait, monkeypatch, title):
    from workbench_napari.shared import engines

    asked = []
    monkeypatch.setenv("WORKBENCH_PRELOAD", "1")
    monkeypatch.setattr(engines, "preload", lambda first="": asked.append(first))
    tool = dock(window(), title)
    wait(lambda: asked, 5)
    assert asked == ["" if tool.kind is None else tool.kind.name]


def test_a_closed_window_takes_no_jobs_and_stops_those_it_has(window, wait, gate):
    viewer = window()
    runner = runner_of(viewer)
    waiting = Gate()
    jobs = [Job("runs", gate, lambda answer: None), Job("waits", waiting, lambda answer: None)]
    for job in jobs:
        assert runner.submit(job)
    wait(gate.begun.is_set)
    viewer.close()
    wait(lambda: runner.is_closed, 5)
    assert join_all(jobs, 5) == []
    assert [job.outcome for job in jobs] == [("cancelled", None)] * 2
    assert not waiting.begun.is_set()
    assert not runner.start("late", gate, lambda answer: None)


def test_an_answer_is_addressed_to_a_part_of_any_tool_of_the_class():
    from functools import partial

    class Part:
        def __init__(self):
            self.got = []

        def show(self, first, answer, more=0):
            self.got.append((first, answer, more))

    class Tool:
        def __init__(self):
            self.part, self.is_docked = Part(), True

        def objectName(self):
            return ""

    one, two = Tool(), Tool()
    delivery = Delivery(one, "x", partial(partial(one.part.show, 1), more=2))
    delivery("a")
    delivery.to(two, "b")
    assert (one.part.got, two.part.got) == ([(1, "a", 2)], [(1, "b", 2)])
    one.is_docked = False
    with pytest.raises(NotNow):
        delivery("c")
    with pytest.raises(UsageError, match="closed before it ended"):
        Delivery(one, "x", print)("c")
