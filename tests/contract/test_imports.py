"""Imports go one way, and nothing heavy is paid for by a path that does not need it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from import_graph import arrows, between_kinds, between_packages, circles, imports, modules, sources

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "workbench"

# Each room may import the rooms named here, and itself; the kinds never import each other.
_SHARED = {"core", "data", "weights", "nets", "training", "report"}
ALLOWED = {
    "core": set(),
    "data": {"core"},
    "nets": {"core"},
    "weights": {"core", "nets"},
    "report": {"core"},
    "training": {"core"},
    "volume": _SHARED,
    "scene": _SHARED,
    "recording": _SHARED,
    "slide": _SHARED,
    "page": _SHARED,
    "batch": {"core", "data", "report"},
    "api": {"core", "data"},
}
HEAVY = {"torch", "monai", "napari", "qtpy", "matplotlib", "mne", "openslide", "highdicom", "itk"}


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_rooms_import_only_what_lies_below(room):
    named = modules()
    for name, targets in arrows(named).items():
        parts = name.split(".")
        if parts[0] != "workbench" or len(parts) < 2 or parts[1] != room:
            continue
        for target in targets:
            other = target.split(".")[1] if "." in target else ""
            fine = not other or other in ALLOWED[room] | {room}
            assert fine, f"{name} imports {target}"


def test_core_knows_no_toolkit_and_no_plugin():
    for path in sources(PACKAGE):
        tops = {name.split(".")[0] for name in imports(path)}
        forbidden = tops & {"napari", "qtpy", "PyQt6", "PySide6", "magicgui", "superqt", "workbench_napari"}
        assert not forbidden, f"{path.relative_to(ROOT)} imports {forbidden}"


def test_cli_and_plugin_do_not_know_each_other():
    for path in sources(ROOT / "plugins"):
        assert not any(n.startswith("workbench.cli") for n in imports(path)), path
    for path in sources(PACKAGE / "cli"):
        assert not any(n.startswith("workbench_napari") for n in imports(path)), path


def test_data_readers_load_no_torch_at_the_top():
    """Opening a file must not pay for torch or MONAI."""
    exempt = {"monai_reader.py", "transforms.py"}
    kinds = [
        path for kind in ("volume", "scene", "recording", "slide", "page") for path in sources(PACKAGE / kind / "data")
    ]
    for path in [*sources(PACKAGE / "data"), *kinds]:
        if path.name in exempt:
            continue
        body = ast.parse(path.read_text(encoding="utf-8")).body
        tops = [n for n in body if isinstance(n, ast.Import | ast.ImportFrom)]
        names = {a.name for n in tops if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module or "" for n in tops if isinstance(n, ast.ImportFrom)}
        assert not {n.split(".")[0] for n in names} & {"torch", "monai", "highdicom"}, path


_BLOCKED = """
import sys, importlib, pkgutil
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"napari", "qtpy", "PyQt6", "PySide6", "PyQt5", "magicgui", "superqt", "vispy"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
import warnings
warnings.simplefilter("ignore")
import workbench
for module in pkgutil.walk_packages(workbench.__path__, "workbench."):
    importlib.import_module(module.name)
for name in workbench.__all__:
    getattr(workbench, name)
print("all imported")
"""


def test_everything_imports_without_qt_and_napari():
    done = subprocess.run([sys.executable, "-c", _BLOCKED], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "all imported" in done.stdout


def test_the_package_itself_imports_nothing_heavy():
    code = "import sys, workbench, workbench.api, workbench.core.registry; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_verbs_survive_the_import_of_the_rooms_they_are_named_after():
    import importlib

    import workbench as wb

    importlib.import_module("workbench.volume.segformer3d")
    importlib.import_module("workbench.weights")
    assert "segformer3d" in wb.backends()
    assert isinstance(wb.weights(), list)


def test_no_module_can_be_reached_from_itself():
    assert circles(arrows(modules())) == []


def test_packages_make_no_circle_and_kinds_do_not_meet():
    packages = between_packages(arrows(modules()))
    assert circles(packages) == []
    assert between_kinds(packages) == []
    assert packages["core"] == set()
