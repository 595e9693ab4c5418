"""The ECG tool in a real window: open, read, correct with the mouse, set the scale, save, and open again."""

from __future__ import annotations

import json

import numpy as np
import pytest

import workbench as wb
from tests.workbench_napari.contract_window import press, until
from tests.workbench_napari.mouse import at_rest, canvas_place, drag, pause
from tests.workbench_napari.one_window import press as keys
from workbench.core.layers import KEY
from workbench.page import ORIGIN, Sheet, channels_of

pytestmark = pytest.mark.gui


def saved(tool):
    """Press Save, and give the folder."""
    press(tool.save_button)
    until(lambda: not tool.is_busy)
    assert tool.last_folder is not None, tool.status.text()
    return tool.last_folder


def strip(tool, name="II strip"):
    """The samples of a lead as the tool shows them now."""
    leads = tool.leads.leads
    return leads.data[leads.channels.index(name)].copy()


def settled(tool):
    """Everything that follows an edit has been shown."""
    pause(0.7)
    until(lambda: not tool.shown._timer.isActive() and not tool.shown._counting.is_busy)


def places(viewer, tool, name, first, last, above=0.0):
    """Places on the canvas along a lead, from one second to another, so many mm above its middle."""
    lines = tool.correcting.lines()
    sheet = Sheet.of(lines)
    row = channels_of(lines).index(name)
    mm = sheet.to_mm(lines.line(row))
    x = float(lines.feature(ORIGIN)[row]) + np.array([first, last]) * sheet.speed
    level = float(np.median(mm[:, 1])) - above
    points = sheet.from_mm(np.column_stack([x, [level, level]]))[:, ::-1] - 0.5
    return [canvas_place(viewer, tool.layer, p) for p in points]


def test_a_page_is_opened_read_and_its_leads_are_shown(opened):
    viewer, tool = opened
    press(tool.run_button)
    until(lambda: not tool.is_busy)
    until(lambda: tool.leads.leads is not None)
    assert type(tool).__name__ == "EcgTool"
    assert [x.name for x in viewer.layers] == ["page", "page traces"]
    assert len(tool.leads.leads.channels) == 13
    until(tool.leads.isVisible)
    text = tool.result.summary.text()
    assert "13 leads, 10.0 s, layout 3x4+1" in text
    assert "heart rate" in text
    assert "pixels a millimetre" in tool.scale_group.found.text()


def test_a_stretch_is_drawn_again_with_the_mouse_and_taken_back(shown):
    viewer, tool = shown
    before = strip(tool)
    tool.correct_group.lead.setCurrentText("II strip")
    tool.correct_group.lead.activated.emit(tool.correct_group.lead.currentIndex())
    tool.pages.turn_to(tool.correct_group)
    tool.correct_group.snap.setChecked(False)
    at_rest(viewer)
    press(tool.correct_group.draw)
    layer = tool.correcting.layer
    assert tool.correcting.is_drawing
    drag(viewer, *places(viewer, tool, "II strip", 4.0, 6.0, above=8.0), steps=20)
    settled(tool)
    after = strip(tool)
    rate = tool.leads.leads.sampling_rate
    inside = slice(round(4.1 * rate), round(5.9 * rate))
    assert np.nanstd(after[inside]) < 0.03, "a straight line was drawn"
    assert abs(np.nanmedian(after[inside]) - 0.8) < 0.15
    outside = np.r_[0 : round(3.8 * rate), round(6.2 * rate) : min(len(before), len(after))]
    same = (before[outside] == after[outside]) | (np.isnan(before[outside]) & np.isnan(after[outside]))
    assert same.all()
    for name in ("I", "V3"):
        made = tool.shown.made["leads"]
        assert np.array_equal(strip(tool, name), made.data[made.channels.index(name)], equal_nan=True)
    assert tool.journal.is_unsaved(layer)
    keys(viewer, "Ctrl+Z")
    settled(tool)
    assert np.array_equal(strip(tool)[: len(before)], before, equal_nan=True)
    keys(viewer, "Ctrl+Shift+Z")
    settled(tool)
    assert np.array_equal(strip(tool), after, equal_nan=True)


def test_a_rough_stroke_goes_onto_the_ink(shown):
    viewer, tool = shown
    before = strip(tool)
    tool.correct_group.lead.setCurrentText("II strip")
    tool.correct_group.lead.activated.emit(0)
    tool.pages.turn_to(tool.correct_group)
    at_rest(viewer)
    press(tool.correct_group.draw)
    beat = int(np.nanargmax(before[500:1500])) + 500
    rate = tool.leads.leads.sampling_rate
    # Between two beats the line is nearly flat: a straight stroke a little above it is rough enough.
    first = beat / rate + 0.35
    drag(viewer, *places(viewer, tool, "II strip", first, first + 0.15, above=0.5), steps=10)
    settled(tool)
    after = strip(tool)
    part = slice(round((first + 0.03) * rate), round((first + 0.12) * rate))
    assert np.nanmax(np.abs(after[part] - before[part])) < 0.06


def test_a_stretch_that_is_taken_away_is_a_gap(shown):
    viewer, tool = shown
    tool.correct_group.lead.setCurrentText("II strip")
    tool.correct_group.lead.activated.emit(0)
    tool.pages.turn_to(tool.correct_group)
    at_rest(viewer)
    press(tool.correct_group.gap)
    drag(viewer, *places(viewer, tool, "II strip", 2.0, 3.0), steps=40)
    settled(tool)
    rate = tool.leads.leads.sampling_rate
    assert np.isnan(strip(tool)[round(2.05 * rate) : round(2.95 * rate)]).all()
    assert "is a gap now" in tool.status.text()
    folder = saved(tool)
    again = wb.read(folder / "leads.hea")
    gap = again.data[again.channels.index("II strip")] if "II strip" in again.channels else again.data[-1]
    assert np.isnan(gap[round(2.05 * rate) : round(2.95 * rate)]).all()


def test_a_lead_with_a_wrong_name_changes_it_with_the_other(shown):
    _, tool = shown
    v2, v3 = strip(tool, "V2"), strip(tool, "V3")
    lines = tool.correcting.lines()
    tool.correcting.layer.selected_data = {channels_of(lines).index("V2")}
    assert tool.correct_group.lead.currentText() == "V2"
    tool.correct_group.lead.setCurrentText("V3")
    tool.correct_group.lead.activated.emit(0)
    settled(tool)
    assert "V2 is V3 now, and V3 is V2" in tool.status.text()
    n = min(len(v2), tool.leads.leads.data.shape[1])
    # Each keeps its own 0 mV: another one shifted both by millivolts.
    assert np.nanmedian(np.abs(strip(tool, "V3")[:n] - v2[:n])) < 0.02
    assert np.nanmedian(np.abs(strip(tool, "V2")[:n] - v3[:n])) < 0.02
    tool.correct_group.lead.setCurrentText("V77")
    tool.correct_group.lead.activated.emit(0)
    assert "No lead is called 'V77'" in tool.status.text()


def test_two_clicks_set_the_scale_and_it_goes_back(shown):
    viewer, tool = shown
    seconds = tool.leads.leads.data.shape[1]
    tool.pages.turn_to(tool.scale_group)
    at_rest(viewer)
    press(tool.scale_group.click)
    for place in places(viewer, tool, "II strip", 1.0, 9.0):
        drag(viewer, place, place, steps=1)
    until(lambda: tool.scale_group.row.isVisible())
    assert "by the grid beside each other" in tool.scale_group.said.text()
    assert abs(tool.scale_group.distance.value() - 200) <= 2
    tool.scale_group.distance.setValue(100.0)
    press(tool.scale_group.apply)
    settled(tool)
    assert abs(tool.leads.leads.data.shape[1] / seconds - 0.5) < 0.02
    assert "set by hand" in tool.scale_group.found.text()
    record = json.loads((saved(tool) / "provenance.json").read_text())
    assert record["edited_by_hand"]
    press(tool.scale_group.reset)
    settled(tool)
    assert abs(tool.leads.leads.data.shape[1] - seconds) <= 1


def test_without_a_result_two_clicks_give_the_run_its_scale(opened):
    viewer, tool = opened
    at_rest(viewer)
    tool.pages.turn_to(tool.scale_group)
    press(tool.scale_group.click)
    tool.scaling.take_click(100.0, 50.0)
    tool.scaling.take_click(572.4, 52.0)
    tool.scale_group.distance.setValue(100.0)
    press(tool.scale_group.apply)
    assert "4.72 pixels a millimetre" in tool.status.text()
    assert abs(float(tool.input.model.values()["pixels_per_mm"]) - 4.724) < 0.001


def test_what_is_corrected_is_saved_and_opened_again(shown, page_file):
    viewer, tool = shown
    lines = tool.correcting.lines()
    rows = [n for n, name in enumerate(channels_of(lines)) if name != "aVL"]
    tool.correcting.show(lines.subset(rows))
    settled(tool)
    folder = saved(tool)
    again = wb.read(folder / "leads.hea")
    assert "aVL" not in again.channels
    stored = wb.read_lines(folder / "traces.geojson")
    assert "aVL" not in channels_of(stored)
    record = json.loads((folder / "provenance.json").read_text())
    assert record["edited_by_hand"]
    assert any("aVL taken away" in note for note in record["notes"])
    # Another day: the page, and the lines that were saved.
    viewer.layers.clear()
    until(lambda: tool.layer is None)
    tool.opening.open_path(page_file, "page")
    until(lambda: tool.layer is not None and not tool.opening.is_busy)
    assert tool.open_lines(folder / "traces.geojson")
    until(lambda: not tool.is_busy and tool.leads.leads is not None)
    assert "aVL" not in tool.leads.leads.channels
    error = tool.leads.leads.data[0] - again.data[0][: tool.leads.leads.data.shape[1]]
    assert np.nanstd(error) < 0.02


def test_lines_of_another_picture_are_refused(shown, tmp_path):
    _, tool = shown
    lines = tool.correcting.lines()
    about = {**lines.about, "shape": [10, 10]}
    from dataclasses import replace

    from workbench.data.lines import write_lines

    write_lines(replace(lines, about=about), tmp_path / "other.geojson")
    assert not tool.open_lines(tmp_path / "other.geojson")
    assert "10 x 10" in tool.status.text()


def test_the_grid_and_a_place_are_shown_and_never_saved(shown):
    viewer, tool = shown
    tool.pages.turn_to(tool.scale_group)
    press(tool.scale_group.grid)
    tool.go_to("V2", 6.0)
    names = [x.name for x in viewer.layers]
    assert names == ["page", "page traces", "page grid", "place"]
    mark = viewer.layers["place"].data[0]
    lines = tool.correcting.lines()
    row = channels_of(lines).index("V2")
    assert np.abs(lines.line(row)[:, ::-1] - 0.5 - mark).sum(axis=1).min() < 20
    assert viewer.layers.selection.active is tool.correcting.layer
    tool.pages.turn_to(tool.show_group)
    press(tool.show_group.flat)
    assert "page laid flat" in [x.name for x in viewer.layers]
    written = {p.name for p in saved(tool).iterdir()}
    assert not {"page grid.geojson", "place.geojson"} & written
    assert {"page.png", "report.html", "traces.geojson", "leads.hea"} <= written
    assert "Research use only" in (tool.last_folder / "report.html").read_text(encoding="utf-8")
    press(tool.show_group.flat)
    assert "page laid flat" not in [x.name for x in viewer.layers]
    tool.pages.turn_to(tool.scale_group)
    press(tool.scale_group.grid)
    assert "page grid" not in [x.name for x in viewer.layers]


def test_calipers_say_time_rate_and_height(shown):
    _, tool = shown
    tool.leads.choice.setCurrentText("II strip")
    press(tool.leads.calipers_button)
    tool.leads.calipers.setRegion((2.0, 2.75))
    assert tool.leads.info.text().startswith("750 ms · 80 /min")
    difference = tool.leads.value("II strip", 2.75) - tool.leads.value("II strip", 2.0)
    assert f"{difference:+.2f} mV in II strip" in tool.leads.info.text()


def test_after_a_crash_the_numbers_come_from_the_lines(shown):
    from workbench_napari.general.restored import outline_of, read_image, restored

    _, tool = shown
    layer = tool.correcting.layer
    data, attributes, _ = layer.as_layer_data_tuple()
    record = layer.metadata[KEY]
    outline, missing = outline_of(read_image(record), [(data, attributes)])
    assert "leads" in missing
    now = restored(outline, [(data, attributes)])
    assert now["leads"].channels == tool.leads.leads.channels
    assert {r[0]: r[1] for r in now["measurements"].rows}["heart rate"]


def test_the_tool_goes_while_its_leads_are_shown(shown):
    viewer, tool = shown
    viewer.window.remove_dock_widget(tool)
    pause(0.3)
    assert "Leads" not in viewer.window.dock_widgets
    assert [x.name for x in viewer.layers] == ["page", "page traces"]


def test_a_stroke_along_another_lead_than_the_chosen_one_is_refused(shown):
    viewer, tool = shown
    before = tool.correcting.lines()
    tool.correct_group.lead.setCurrentText("I")
    tool.correct_group.lead.activated.emit(0)
    tool.pages.turn_to(tool.correct_group)
    at_rest(viewer)
    press(tool.correct_group.draw)
    drag(viewer, *places(viewer, tool, "V2", 5.5, 6.5), steps=12)
    settled(tool)
    assert "lies along V2, and lead I is chosen" in tool.status.text()
    after = tool.correcting.lines()
    assert channels_of(after) == channels_of(before)
    assert np.allclose(after.coordinates, before.coordinates)


def test_a_shape_that_is_no_line_is_said_and_breaks_nothing(shown):
    _, tool = shown
    layer = tool.correcting.layer
    layer.add_rectangles([[[10, 10], [60, 60]]])
    settled(tool)
    assert "rectangle was drawn among the lines" in tool.status.text() + tool.result.summary.text()
    tool.scale_group.grid.click()
    tool.correct_group.lead.setCurrentText("V4")
    tool.correct_group.lead.activated.emit(0)
    layer.selected_data = {len(layer.data) - 1}
    layer.remove_selected()
    settled(tool)
    assert tool.correcting.readable() is not None
    layer.selected_data = set(range(len(layer.data)))
    layer.remove_selected()
    tool.correcting._take_stroke(tool.correcting.lines(), np.array([[10.0, 10.0], [90.0, 10.0]]))
    assert "No line is left" in tool.status.text()


def test_lines_belong_to_their_own_picture_whichever_page_is_chosen(opened, read, tmp_path):
    """A page that was opened while another was read lent its name to the grid, and its ink to the lines."""
    from PIL import Image as Pillow

    viewer, tool = opened
    own = tool.layer
    Pillow.fromarray(255 - own.data[::2, ::2, :3]).save(tmp_path / "other.png")
    tool.opening.open_path(tmp_path / "other.png", "page")
    until(lambda: tool.layer is not own and not tool.opening.is_busy)
    tool.start("Paper ECG", lambda _progress: read, tool._shower(own))
    until(lambda: not tool.is_busy and tool.leads.leads is not None)
    assert tool.layer.name == "other"
    assert tool.correcting.layer.name == "page traces"
    assert tool._picture().shape == own.data[..., :3].shape
    tool.scaling.show_grid(True)
    assert {x.name for x in viewer.layers if x.name.endswith(" grid")} == {"page grid"}
    del viewer.layers["page"]
    settled(tool)
    assert tool._picture() is None  # never that of another page
