"""An environment with nothing but ``napari[all]`` and our wheel, as a person has it: every tool can be docked."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.display import display  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "plugins" / "workbench_napari"
BINDINGS = {"pyqt5", "pyqt6", "pyside2", "pyside6"}
DOCK = """
import json
import napari
from qtpy.QtWidgets import QApplication

viewer = napari.Viewer()
found = {}
for title in ("Volume tool", "Spectra tool", "MEG tool"):
    _, tool = viewer.window.add_plugin_dock_widget("napari-workbench", title)
    tool.open_sample()
    QApplication.processEvents()
    found[title] = [tool.empty.isHidden(), len(viewer.layers)]
    viewer.layers.clear()
print(json.dumps(found))
viewer.close()
"""


def _dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {re.split(r"[^\w-]", row)[0].lower() for row in project["dependencies"]}


def test_what_the_plugin_imports_is_a_plain_dependency():
    needed = set()
    for path in PLUGIN.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                needed |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                needed.add(node.module.split(".")[0])
    # napari is there where a plugin is, and with it npe2 and dask, which it is made of; mne-qt-browser is asked for by
    # name, with its command.
    needed -= {*sys.stdlib_module_names, "workbench", "workbench_napari", "napari", "npe2", "dask", "mne_qt_browser"}
    owners = packages_distributions()
    unknown = {n for n in needed if not {o.lower() for o in owners.get(n, [n])} & _dependencies()}
    assert not unknown
    assert "pyqtgraph" in {n.lower() for n in needed}, "else this test looks in the wrong place"
    assert not BINDINGS & _dependencies(), "napari[all] has a Qt binding; a second one would break it"


@pytest.mark.slow
@pytest.mark.gui
def test_all_tools_in_an_existing_napari(tmp_path, display):  # noqa: F811
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    folder = tmp_path / "env"
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", "napari[all]", wheel]
    done = subprocess.run(install, capture_output=True, text=True)
    if "No matching distribution" in done.stderr or "Could not find a version" in done.stderr:
        pytest.skip("the packages cannot be had here")
    assert done.returncode == 0, done.stderr
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"WORKBENCH_HOME": str(tmp_path / "home")}
    seen = subprocess.run([python, "-c", DOCK], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600)
    assert seen.returncode == 0, seen.stderr
    assert '"MEG tool": [true, 2]' in seen.stdout.splitlines()[-1], seen.stdout + seen.stderr
