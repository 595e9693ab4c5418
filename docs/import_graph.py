"""Who imports whom in the house, read from the source: for docs/architecture.md and for the tests that hold the rules.

Every ``import`` counts, also one inside a function. What is named by a string (the rows of `workbench.core.kinds` and
`workbench.core.registry`, the commands of the shell, the verbs of `workbench`) is no import: that is how a lower part
reaches a higher one without knowing it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOUSES = (ROOT / "workbench", ROOT / "plugins" / "workbench_napari")
PLUGIN, ROOT_PACKAGE = "plugin", "workbench"
KINDS = ("volume", "scene", "recording", "slide", "page")

Graph = dict[str, set[str]]


def sources(folder: Path) -> list[Path]:
    """All Python files under a folder."""
    return sorted(folder.rglob("*.py"))


@cache
def imports(path: Path) -> frozenset[str]:
    """Dotted names that a file imports, wherever in it; of ``from a import b`` the name ``a.b``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{a.name}" for a in node.names}
    return frozenset(names)


def modules() -> dict[str, Path]:
    """Every module of the house by its dotted name."""
    found = {}
    for base in HOUSES:
        for path in sources(base):
            parts = path.relative_to(base.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def arrows(named: Mapping[str, Path]) -> Graph:
    """Module -> modules of the house that it imports."""
    graph: Graph = {}
    for name, path in named.items():
        found = set()
        for target in imports(path):
            parts = target.split(".")
            while parts and ".".join(parts) not in named:
                parts.pop()
            found.add(".".join(parts))
        graph[name] = found - {name, ""}
    return graph


def package_of(module: str) -> str:
    """The top folder or file of a module: ``core``, ``api``, ``plugin/shared``; of other plugin files ``plugin``."""
    house, _, rest = module.partition(".")
    top = rest.partition(".")[0]
    if house == ROOT_PACKAGE:
        return top or ROOT_PACKAGE
    return f"{PLUGIN}/{top}" if (HOUSES[1] / top).is_dir() and top else PLUGIN


def between_packages(graph: Mapping[str, Iterable[str]]) -> Graph:
    """Package -> other packages that a file of it imports; without the root package, which imports nothing."""
    found: Graph = {package_of(name): set() for name in graph}
    for name, targets in graph.items():
        found[package_of(name)] |= {package_of(t) for t in targets} - {package_of(name), ROOT_PACKAGE}
    root = found.pop(ROOT_PACKAGE, set())
    if root:
        raise ValueError(f"workbench/__init__.py imports {', '.join(sorted(root))}; it should import nothing")
    return found


def reachable(graph: Mapping[str, Iterable[str]], start: str) -> set[str]:
    """Everything that an import of `start` can bring in; `start` itself only if it lies on a circle."""
    seen: set[str] = set()
    ahead = set(graph[start])
    while ahead:
        seen |= ahead
        ahead = {t for a in ahead for t in graph[a]} - seen
    return seen


def circles(graph: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Groups of names that can all be reached from each other."""
    ahead = {name: reachable(graph, name) for name in graph}
    groups = {tuple(sorted(m for m in graph if m in ahead[n] and n in ahead[m])) for n in graph if n in ahead[n]}
    return sorted(groups)


def floors(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Names by floor, the ground floor first: none imports its own floor or a higher one; a circle shares a floor."""
    ahead = {name: reachable(graph, name) for name in graph}
    height: dict[str, int] = {}

    def high(name: str) -> int:
        if name not in height:
            below = [t for t in graph[name] if name not in ahead[t]]
            together = [t for t in graph if t in ahead[name] and name in ahead[t]] or [name]
            below += [t for other in together for t in graph[other] if other not in ahead[t]]
            height[name] = max((high(t) + 1 for t in below), default=0)
        return height[name]

    top = max(map(high, graph), default=-1)
    return [sorted(n for n in graph if high(n) == floor) for floor in range(top + 1)]


def kind_of(package: str) -> str:
    """The kind that a package is of, or ""."""
    name = package.removeprefix(f"{PLUGIN}/")
    return name if name in KINDS else ""


def between_kinds(packages: Mapping[str, Iterable[str]]) -> list[tuple[str, str]]:
    """Arrows from a package of one kind to a package of another, of the plugin too."""
    return sorted(
        (name, target)
        for name, targets in packages.items()
        for target in targets
        if kind_of(name) and kind_of(target) and kind_of(name) != kind_of(target)
    )
