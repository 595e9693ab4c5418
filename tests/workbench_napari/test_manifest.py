"""The manifest: valid, complete, and every name in it leads somewhere."""

from __future__ import annotations

import importlib
from importlib.metadata import distribution

import pytest
from npe2 import PluginManifest


@pytest.fixture(scope="module")
def manifest():
    return PluginManifest.from_distribution("napari-workbench")


def test_manifest_is_found_and_valid(manifest):
    assert manifest.name == distribution("napari-workbench").metadata["Name"]
    manifest.validate_imports()


def test_every_command_is_used_and_leads_to_a_callable(manifest):
    used = set()
    c = manifest.contributions
    for group in (c.readers, c.writers, c.widgets, c.sample_data):
        used |= {item.command for item in group}
    used |= {item.command for items in c.menus.values() for item in items}
    for command in c.commands:
        module, name = command.python_name.split(":")
        assert callable(getattr(importlib.import_module(module), name))
        assert command.id in used


@pytest.mark.parametrize(
    ("menu", "tools"),
    [
        ("segment", ["volume_tool"]),
        ("classify", ["scene_tool"]),
        ("annotate", ["recording_tool", "slide_tool", "page_tool"]),
    ],
)
def test_each_tool_stands_in_the_menu_of_its_task(manifest, menu, tools):
    items = manifest.contributions.menus[f"napari/layers/{menu}"]
    assert [item.command for item in items] == [f"napari-workbench.{tool}" for tool in tools]


@pytest.mark.gui
def test_menus_of_a_real_window_show_the_tools(window):
    viewer = window()
    from app_model.types import MenuItem
    from napari._app_model import get_app_model

    menus = get_app_model().menus
    volume, spectra, meg = (f"napari-workbench.{name}_tool" for name in ("volume", "scene", "recording"))
    # A plugin of several widgets has a submenu of its own.
    expected = {
        "napari/file/io_utilities": {f"napari-workbench.{name}" for name in ("save_session_as", "open_session")},
        "napari/layers/segment": {volume},
        "napari/layers/classify": {spectra},
        "napari/layers/annotate": {meg},
        "napari/plugins/napari-workbench": {volume, spectra, meg},
    }
    for menu, tools in expected.items():
        ids = [i.command.id for i in menus.get_menu(menu) if isinstance(i, MenuItem)]
        assert tools <= set(ids), menu
    samples = viewer.window.file_menu
    assert samples is not None
