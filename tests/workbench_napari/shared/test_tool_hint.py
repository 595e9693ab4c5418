"""A file that napari opened with our reader, and no tool: one line says where the tool is, once for its kind."""

from __future__ import annotations

import pytest
from workbench_napari.launch import open_files
from workbench_napari.shared import tool_hint

from tests.recording_maker import save_raw
from tests.scene_maker import save_envi
from tests.tiny import make_tiny_slide

pytestmark = pytest.mark.gui


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch):
    monkeypatch.setattr(tool_hint, "_told", set())


@pytest.fixture
def lines():
    """What napari was told to say."""
    from napari.utils.notifications import notification_manager

    told: list[str] = []

    def hear(notification):
        told.append(notification.message)

    notification_manager.notification_ready.connect(hear)
    yield told
    notification_manager.notification_ready.disconnect(hear)


def wfdb_record(folder):
    import numpy as np

    from workbench.page.data.write_signals import wfdb_texts

    header, body = wfdb_texts(np.zeros((2, 500)), ("I", "II"), 500.0, "r")
    (folder / "r.dat").write_bytes(body)
    (folder / "r.hea").write_bytes(header.encode("ascii"))
    return folder / "r.hea"


def files_of(tmp_path, ct_file):
    import numpy as np

    cube = save_envi(tmp_path, np.random.default_rng(0).random((6, 8, 9), np.float32), name="cube")
    return {
        "recording": save_raw(tmp_path / "a_raw.fif"),
        "volume": ct_file,
        "scene": cube,
        "slide": make_tiny_slide(tmp_path / "s.ome.tif"),
        "page": wfdb_record(tmp_path),
    }


TITLES = {
    "recording": "MEG tool", "volume": "Volume tool", "scene": "Spectra tool", "slide": "Slides tool",
    "page": "ECG tool",
}  # fmt: skip


@pytest.mark.parametrize("kind", list(TITLES))
def test_without_a_tool_one_line_says_where_it_is_once(window, tmp_path, ct_file, lines, wait, qtbot, kind):
    viewer, path = window(), files_of(tmp_path, ct_file)[kind]
    viewer.open(str(path), plugin="napari-workbench")
    wait(lambda: any("dock its tool" in line for line in lines))
    (line,) = [line for line in lines if "dock its tool" in line]
    assert f"Plugins > Workbench > {TITLES[kind]}" in line
    assert "\n" not in line
    # The line is right: the menu has it.
    from napari._app_model import get_app_model

    menu = [
        item.command.title
        for name, items in get_app_model().menus._menu_items.items()
        if "plugins" in str(name) and "workbench" in str(name)
        for item in items
        if hasattr(item, "command")
    ]
    assert any(TITLES[kind] in title for title in menu), menu
    viewer.open(str(path), plugin="napari-workbench")
    qtbot.wait(2 * tool_hint._DELAY_MS)
    assert sum("dock its tool" in line for line in lines) == 1


def test_with_the_tool_nothing_is_said(window, tmp_path, ct_file, lines, qtbot):
    viewer = window()
    open_files(viewer, [files_of(tmp_path, ct_file)["recording"]])
    qtbot.wait(2 * tool_hint._DELAY_MS)
    assert not [line for line in lines if "dock its tool" in line]
    viewer.open(str(ct_file), plugin="napari-workbench")
    qtbot.wait(2 * tool_hint._DELAY_MS)
    assert [line for line in lines if "Volume tool" in line], "another kind, whose tool is not docked"
