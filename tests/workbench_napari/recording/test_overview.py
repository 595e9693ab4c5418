"""The overview of the whole recording and the butterfly, with real mouse and keys; their numbers are those of MNE."""

from __future__ import annotations

import time

import mne
import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from workbench_napari.launch import open_files
from workbench_napari.recording.blocks import Block
from workbench_napari.recording.butterfly import crossed, picture, rows_by_kind, wings_of
from workbench_napari.recording.field_power import field_power, powers
from workbench_napari.shared.theme import contrast

from tests.workbench_napari.contract_window import press
from tests.workbench_napari.mouse import at_rest, canvas_of

BADS = ("MEG 0005",)

pytestmark = pytest.mark.gui


@pytest.fixture
def seen(window, sensor_file, wait):
    viewer = window(show=True)
    viewer.window.resize(1300, 850)
    tool = open_files(viewer, [sensor_file])
    wait(lambda: tool.annotating.editor.layer is not None and tool.traces.isVisible())
    at_rest(viewer)
    wait(lambda: not tool.overviewing.is_busy and len(tool.traces.overview.powers) == 1)
    return viewer, tool


def at(bar, seconds):
    return QPoint(round(bar.x_of(seconds)), bar.height() // 2)


def wheel(bar, seconds, up=120, keys=Qt.KeyboardModifier.NoModifier):
    place = at(bar, seconds)
    event = QWheelEvent(
        QPointF(place), QPointF(bar.mapToGlobal(place)), QPoint(0, 0), QPoint(0, up), Qt.MouseButton.NoButton, keys,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(bar, event)


def blocky(data, rate=100.0, kinds=None):
    kinds = kinds or ["mag"] * len(data)
    names = [f"c{n}" for n in range(len(data))]
    return Block("x", "X", names, ["fT"] * len(data), rate, 0.0, data.shape[1],
                 lambda a, b, rows: data[rows if rows is not None else slice(None), a:b], kinds=kinds)  # fmt: skip


# --- numbers


@pytest.mark.parametrize("samples", [700, 1000, 2501])
def test_field_power_of_every_step_is_the_largest_of_its_samples(samples, monkeypatch):
    from workbench_napari.recording import field_power as module

    rng = np.random.default_rng(0)
    data = rng.normal(size=(5, samples))
    block = blocky(data, kinds=["mag", "eeg", "mag", "eeg", "mag"])
    whole = list(powers(block, ["mag", "eeg"], bads=["c4"]))
    monkeypatch.setattr(module, "_PIECE", 300)
    pieces = list(powers(block, ["mag", "eeg"], bads=["c4"]))
    assert len(pieces) > len(whole) == 1
    assert np.isnan(pieces[0][0].values).any()
    step = round(whole[-1][0].step * 100)
    for mag, eeg in (whole[-1], pieces[-1]):
        for found, expected in ((mag, np.sqrt((data[[0, 2]] ** 2).mean(0))), (eeg, data[[1, 3]].std(0))):
            bins = [expected[a : a + step].max() for a in range(0, samples, step)]
            assert np.allclose(found.values, bins)
    assert whole[-1][0].at(-1.0) is None
    # A long one is looked into: a part of every step, none left out.
    monkeypatch.setattr(module, "_MOST_READ", 4 * samples - 1)
    monkeypatch.setattr(module, "BINS", 50)
    *_, (looked, _) = powers(block, ["mag", "eeg"], bads=["c4"])
    assert np.isfinite(looked.values).all()


def test_the_overview_says_what_mne_says(seen, sensor_file, wait):
    _, tool = seen
    bar = tool.traces.overview
    (power,) = bar.powers
    raw = mne.io.read_raw_fif(sensor_file, verbose="ERROR")
    data = raw.get_data(picks=mne.pick_types(raw.info, meg="mag", exclude="bads")) * 1e15
    expected = np.sqrt((data**2).mean(axis=0))
    step = round(power.step * 500)
    first = int(3.3 // power.step) * step
    assert (power.title, power.unit) == ("magnetometers", "fT")
    assert power.at(3.3) == pytest.approx(expected[first : first + step].max(), rel=1e-4)
    # Spoken, for what is in sight.
    tool.stack.set_range(4.0, 5.0)
    low, high = round(4.0 * 500) // step * step, (round(5.0 * 500) // step + 1) * step
    assert bar.accessibleName() == "Overview of the recording"
    said = bar.accessibleDescription()
    assert said.startswith("4.0 to 5.0 s of 0.0 to 12.0 s are in sight; magnetometers: field power up to ")
    value, unit = said.split("up to ")[1].split()
    assert (float(value), unit) == (pytest.approx(expected[low:high].max(), rel=0.01), "fT")
    # A channel that is marked bad does not count any more.
    before = power.values.copy()
    tool.bad_channels.toggle(BADS[0])
    wait(lambda: not tool.overviewing.is_busy)
    fewer = np.delete(data, 3, axis=0)  # the file's own bad one is not in it
    now = bar.powers[0]
    assert now.at(3.3) == pytest.approx(np.sqrt((fewer**2).mean(0))[first : first + step].max(), rel=1e-4)
    assert not np.allclose(before, now.values)


# --- the bar


def test_click_drag_wheel_and_keys_move_the_view(seen, qtbot):
    _, tool = seen
    bar, stack = tool.traces.overview, tool.stack
    stack.set_range(0.0, 2.0)
    left = tool.traces.plot.mapTo(bar.parentWidget(), QPoint(0, 0)).x()
    assert bar.isVisible()
    assert bar.x_of(0.0) + bar.x() == pytest.approx(tool.traces.pixels()[0], abs=1), left
    QTest.mouseClick(bar, Qt.MouseButton.LeftButton, pos=at(bar, 8.0))
    assert stack.span == pytest.approx((7.0, 9.0), abs=0.05)
    QTest.mousePress(bar, Qt.MouseButton.LeftButton, pos=at(bar, 8.0))
    for seconds in (7.0, 6.0, 5.0):
        QTest.mouseMove(bar, at(bar, seconds))
    QTest.mouseRelease(bar, Qt.MouseButton.LeftButton, pos=at(bar, 5.0))
    assert stack.span == pytest.approx((4.0, 6.0), abs=0.05)
    # The right edge makes it wider.
    QTest.mousePress(bar, Qt.MouseButton.LeftButton, pos=QPoint(round(bar.frame.right()), bar.height() // 2))
    for seconds in (7.0, 8.0):
        QTest.mouseMove(bar, at(bar, seconds))
    QTest.mouseRelease(bar, Qt.MouseButton.LeftButton, pos=at(bar, 8.0))
    assert stack.span == pytest.approx((4.0, 8.0), abs=0.05)
    wheel(bar, 6.0)
    assert stack.span == pytest.approx((4.4, 7.6), abs=0.05)
    wheel(bar, 6.0, up=-120, keys=Qt.KeyboardModifier.ShiftModifier)
    assert stack.span == pytest.approx((5.2, 8.4), abs=0.06)
    stack.set_range(4.0, 6.0)
    bar.setFocus()
    for key, span in (
        (Qt.Key.Key_Right, (4.5, 6.5)), (Qt.Key.Key_PageDown, (6.5, 8.5)), (Qt.Key.Key_Home, (0.0, 2.0)),
        (Qt.Key.Key_Left, (0.0, 2.0)), (Qt.Key.Key_End, (10.0, 12.0)), (Qt.Key.Key_PageUp, (8.0, 10.0)),
        (Qt.Key.Key_Plus, (8.2, 9.8)), (Qt.Key.Key_Minus, (8.0, 10.0)),
    ):  # fmt: skip
        qtbot.keyClick(bar, key)
        assert stack.span == pytest.approx(span, abs=1e-6), key
    assert bar.accessibleDescription().startswith("8.0 to 10.0 s")


def test_annotations_are_seen_in_it_in_both_themes(seen, wait):
    viewer, tool = seen
    bar = tool.traces.overview
    tool.stack.set_range(9.0, 11.0)
    assert [m.label for m in bar.marks] == ["BAD_jump", "movement", "spike"]
    for theme in ("dark", "light"):
        viewer.theme = theme
        wait(lambda: bar.colors.is_dark == (viewer.theme == "dark"))
        image = bar.grab().toImage()
        back = image.pixelColor(round(bar.x_of(3.0)), 4).name()
        for seconds in (1.25, 6.5):
            seen_there = image.pixelColor(round(bar.x_of(seconds)), 4).name()
            assert contrast(seen_there, back) >= 3.0, (theme, seconds, seen_there, back)
        frame = image.pixelColor(round(bar.frame.left()), bar.height() // 2).name()
        assert contrast(frame, back) >= 3.0, theme


def test_reading_stops_with_the_tool_and_with_another_recording(seen, parcel_file, monkeypatch, wait):
    from workbench_napari.recording import field_power as module

    viewer, tool = seen
    monkeypatch.setattr(module, "_PIECE", 20)
    tool.overviewing._begin()
    pieces = tool.overviewing._pieces
    open_files(viewer, [parcel_file])
    wait(lambda: tool.opened.name == "rest_raw")
    assert tool.overviewing._pieces is not pieces
    assert tool.traces.overview.extent == pytest.approx((0.0, 12.0))
    overviewing = tool.overviewing
    assert overviewing.is_busy
    tool.viewer.window.remove_dock_widget(tool)
    assert not overviewing.is_busy
    assert overviewing.reader._running is None


# --- butterfly


def test_no_extreme_is_lost_and_lines_are_counted():
    rng = np.random.default_rng(1)
    data = rng.normal(size=(6, 5000))
    data[2, 3210] = 60.0
    data[4, 100] = -300.0
    block = blocky(data, kinds=["mag"] * 6)
    kinds = rows_by_kind(block, ["mag"], ["c4"])
    assert kinds == {"mag": ([0, 1, 2, 3, 5], [4])}
    (wing,) = wings_of(block, kinds, 0.0, 50.0, (101, 400))
    middle = block.spread()[0]
    good = (data - middle)[[0, 1, 2, 3, 5]]
    assert wing.high.max() == pytest.approx(good.max(), rel=1e-6)
    assert wing.low.min() == pytest.approx(good.min(), rel=1e-6)
    column = int(32.1 / 50 * 400)
    assert abs(int(wing.high.argmax()) - column) <= 2
    assert wing.height < 60, "one spike does not make all else flat"
    assert (wing.good.sum(axis=0) >= 5).all(), "every channel is in every column"
    assert wing.count == (5, 1)
    shown = picture(wing, (255, 0, 0), (9, 9, 9))
    assert set(map(tuple, shown[..., :3].reshape(-1, 3))) <= {(255, 0, 0), (9, 9, 9), (0, 0, 0)}
    # Close up there is less than a sample per pixel: the course between them.
    (near,) = wings_of(block, kinds, 32.05, 32.15, (101, 400))
    assert near.high.max() == pytest.approx(good[:, 3205:3217].max(), rel=1e-6)
    assert np.abs(np.diff(near.high)).max() < 60 / 8, "a slope, no steps"


def test_a_line_crosses_what_lies_between_its_ends():
    low, high = np.array([[-1.0, 0.0, 9.0]]), np.array([[1.0, 0.0, 9.0]])
    found = crossed(low, high, 4.0, 8)
    assert found[:, 0].tolist() == [0, 0, 1, 1, 1, 1, 1, 0]
    assert found[:, 1].tolist() == [0, 0, 0, 0, 1, 0, 0, 0]
    assert found[:, 2].tolist() == [0] * 7 + [1], "what is higher stays at the edge"


def test_the_key_shows_all_channels_in_their_units_and_back(seen, wait, qtbot, sensor_file):
    viewer, tool = seen
    tool.stack.set_range(2.0, 4.0)
    qtbot.keyClick(canvas_of(viewer), Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    wait(lambda: len(tool.traces.wings) == 1)
    assert tool.traces.butterfly_button.isChecked()
    (wing,) = tool.traces.wings
    text = tool.traces.info.text()
    assert text == f"Butterfly: 7 mag ±{wing.height / 2:g} fT (1 bad)"
    before = tool.traces.minimumSizeHint().width()
    tool.traces.info.setText(10 * text)
    assert tool.traces.minimumSizeHint().width() == before, "a long line widens nothing"
    raw = mne.io.read_raw_fif(sensor_file, verbose="ERROR")
    data = raw.get_data(picks=mne.pick_types(raw.info, meg="mag", exclude="bads")) * 1e15
    inside = data[:, round(wing.start * 500) : round(wing.stop * 500) + 1]
    inside = inside - np.median(data, axis=1, keepdims=True)
    assert wing.high.max() == pytest.approx(inside.max(), rel=0.01)
    assert wing.low.min() == pytest.approx(inside.min(), rel=0.01)
    assert wing.start <= 2.0 < 4.0 <= wing.stop
    tool.bad_channels.toggle(BADS[0])
    wait(lambda: tool.traces.wings and tool.traces.wings[0].count == (6, 2))
    press(tool.traces.butterfly_button)
    wait(lambda: not tool.traces.wings and len(tool.traces.traces) == 8)
    assert not tool.traces._pictures


def test_three_hundred_channels_cost_the_window_little(seen):
    _, tool = seen
    rng = np.random.default_rng(2)
    data = rng.normal(size=(306, 10_000)).astype(np.float32)
    block = blocky(data, rate=1000.0, kinds=["mag"] * 102 + ["grad"] * 204)
    wings = wings_of(block, rows_by_kind(block, ["mag", "grad"], []), 0.0, 10.0, (130, 1800))
    tool.traces.set_wings(wings)
    tool.traces.plot.grab()  # the first picture of a process also loads what draws it
    begin = time.thread_time()
    tool.traces.set_wings(wings)
    tool.traces.plot.grab()
    assert time.thread_time() - begin < 0.25
    assert field_power(data[:102], "mag").shape == (10_000,)
