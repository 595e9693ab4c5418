"""The plugin, like any stranger, uses public names only: of `workbench`, of its kinds, and of the ground floor."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
from import_graph import sources

PLUGIN = Path(__file__).resolve().parents[2] / "plugins" / "workbench_napari"
PUBLIC = (
    "workbench",
    "workbench.volume",
    "workbench.scene",
    "workbench.recording",
    "workbench.slide",
    "workbench.page",
    "workbench.training",
)
GROUND = "workbench.core"


def _used():
    for path in sources(PLUGIN):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "workbench":
                yield from ((path.name, node.module, alias.name) for alias in node.names)
            elif isinstance(node, ast.Import):
                yield from ((path.name, "", a.name) for a in node.names if a.name.split(".")[0] == "workbench")


def test_the_plugin_uses_public_names_only():
    for file, module, name in _used():
        if not module:
            assert name == "workbench", f"{file} imports {name}"
        elif module == GROUND or module.startswith(f"{GROUND}."):
            assert not name.startswith("_"), f"{file} uses {module}.{name}"
        else:
            assert module in PUBLIC, f"{file} imports from {module}, which is not public"
            assert name in importlib.import_module(module).__all__, f"{module} does not offer {name} to {file}"


@pytest.mark.parametrize("package", PUBLIC[1:])
def test_every_public_name_leads_somewhere(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        module.nonsense  # noqa: B018
