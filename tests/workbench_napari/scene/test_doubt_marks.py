"""Where to paint next, marked on the canvas: seen over any picture, gone once painted, never kept or saved."""

from __future__ import annotations

import json

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from workbench_napari.scene.doubt_marks import BRIGHT, DARK
from workbench_napari.shared.theme import contrast
from workbench_napari.shared.views import camera_of

from tests.workbench_napari.contract_window import press
from tests.workbench_napari.mouse import at_rest, canvas_of, canvas_place, drag
from tests.workbench_napari.scene.window import finish, paint
from workbench.core.layers import KEY
from workbench.core.types import Heatmap, Labels, Provenance, Result

pytestmark = pytest.mark.gui


def show_map(tool, seed=0):
    """A map and how sure it is of each pixel, as a backend gives them; learning takes longer than what is tested."""
    image, rng = tool.looking.scene.image, np.random.default_rng(seed)
    classes = tool.painting.classes
    data = rng.integers(1, 4, image.geometry.shape).astype(np.uint16)
    parts = {
        "labels": Labels(data, image.geometry, classes, "labels"),
        "confidence": Heatmap(rng.random(data.shape, np.float32), image.geometry, "confidence", None, (0.0, 1.0)),
    }
    result = Result(parts, image, Provenance("lola_specvit", "none", None, {}))
    for _ in tool.maps.finish(result, f"token{seed}"):
        pass
    tool.learning.learnt.emit("Learnt.")


@pytest.fixture
def learnt(window, scene_file, tmp_path, wait):
    from workbench_napari.launch import open_files

    viewer = window(show=True)
    viewer.window.resize(1300, 850)
    tool = open_files(viewer, [scene_file])
    tool.folder.setText(str(tmp_path / "out"))
    paint(tool)
    show_map(tool)
    tool.bring_into_sight(tool.results)
    at_rest(viewer)
    return viewer, tool


def hints(viewer):
    return [la for la in viewer.layers if (la.metadata.get(KEY) or {}).get("role") == "hint"]


def test_spots_are_marked_listed_gone_to_and_gone_once_painted(learnt, wait):
    viewer, tool = learnt
    results, painted, scene = tool.results, tool.painting.layer, tool.looking.scene
    viewer.layers.selection.active = painted
    for _ in range(3):
        press(results.next_button)
    spots = list(results._told)
    assert len(spots) == len(set(spots)) == 3, tool.status.text()
    (layer,) = hints(viewer)
    assert np.allclose(layer.data, [scene.world_of(*s) for s in (*spots, *spots)])
    assert viewer.layers.selection.active is painted, "the brush stays in hand"
    assert not results.spots.isHidden()
    assert [results.spots.item(n).text().split(";")[0].split(":")[0] for n in range(3)] == [
        f"row {r}, column {c}" for r, c in spots
    ]
    # A click in the list goes there.
    box = results.spots.visualItemRect(results.spots.item(0))
    QTest.mouseClick(results.spots.viewport(), Qt.MouseButton.LeftButton, pos=box.center())
    assert np.allclose(camera_of(viewer).center[-2:], scene.world_of(*spots[0]))
    assert tool.status.text().endswith("Paint what it is.")
    # It is seen on the canvas, bright within dark, whatever the theme.
    for theme in ("light", "dark"):
        viewer.theme = theme
        at_rest(viewer)
        shown = viewer.screenshot(canvas_only=True, flash=False)[..., :3].reshape(-1, 3).astype(int)
        for color in (BRIGHT, DARK):
            wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
            assert (np.abs(shown - wanted).max(axis=1) < 12).sum() > 20, (theme, color)
    assert contrast(BRIGHT, DARK) > 12
    # A real stroke over it takes its mark away, and no other.
    value = int(painted.selected_label) or 1
    painted.selected_label, painted.mode, painted.brush_size = value, "paint", 1
    x, y = canvas_place(viewer, painted, spots[0])
    drag(viewer, (x, y), (x + 1, y))
    wait(lambda: spots[0] not in results._told)
    assert painted.data[spots[0]] == value
    assert list(results._told) == spots[1:]
    (layer,) = hints(viewer)
    assert np.allclose(layer.data[:2], [scene.world_of(*s) for s in spots[1:]])
    assert results.spots.count() == 2
    # A map that was learnt anew has other doubts.
    show_map(tool, seed=1)
    assert hints(viewer) == []
    assert results.spots.isHidden()
    assert canvas_of(viewer) is not None


def test_marks_are_neither_kept_nor_saved_nor_left_behind(learnt, wait):
    viewer, tool = learnt
    press(tool.results.next_button)
    (layer,) = hints(viewer)
    assert layer not in tool.journal.layers()
    assert not layer.editable
    layer.data = layer.data + 1.0
    assert not tool.journal.is_unsaved(layer)
    tool.journal.flush()
    assert all("paint next" not in e.name for e in tool.journal.store.entries())
    press(tool.save_button)
    finish(tool, wait)
    record = json.loads((tool.last_folder / "provenance.json").read_text(encoding="utf-8"))
    assert record["details"]["edited by hand"] == ["painted"]
    assert not [p for p in tool.last_folder.iterdir() if "next" in p.name or "point" in p.name]
    # Taken away by hand, the next press marks all spots again.
    viewer.layers.remove(layer)
    press(tool.results.next_button)
    (layer,) = hints(viewer)
    assert len(layer.data) == 4
    viewer.window.remove_dock_widget(tool)
    assert hints(viewer) == []
