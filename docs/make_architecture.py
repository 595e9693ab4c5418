"""Measure the imports between packages and write them into docs/architecture.md; print the sizes of the house.

``python docs/make_architecture.py``; a test checks that the page is current.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import import_graph as graphs

PAGE = Path(__file__).with_name("architecture.md")
BEGIN = "<!-- made by docs/make_architecture.py: do not edit by hand -->"
END = "<!-- end of what is made -->"


def render() -> str:
    """Floors, the table of imports, and what it shows, as Markdown."""
    files = graphs.arrows(graphs.modules())
    packages = graphs.between_packages(files)
    floors = graphs.floors(packages)
    together = " Those on a circle share a line." if graphs.circles(packages) else ""
    lines = [f"Each line imports only from lines below it.{together}", ""]
    lines += ["```text", *("   ".join(floor) for floor in reversed(floors)), "```", ""]
    lines += ["| package | imports of the house |", "|---|---|"]
    for name in (n for floor in reversed(floors) for n in floor):
        below = [t for floor in reversed(floors) for t in floor if t in packages[name]]
        lines.append(f"| `{name}` | {', '.join(below) or 'nothing'} |")
    lines += ["", *claims(files, packages)]
    return "\n".join(lines)


def claims(files: graphs.Graph, packages: graphs.Graph) -> list[str]:
    """What the rules forbid, and what of it is there."""
    rows = {
        "Circles between files": [" - ".join(c) for c in graphs.circles(files)],
        "Circles between packages": [" - ".join(c) for c in graphs.circles(packages)],
        "Arrows between kinds": [f"{a} to {b}" for a, b in graphs.between_kinds(packages)],
        "Imports of `core`": sorted(packages["core"]),
    }
    return [f"- {rule}: {'; '.join(found) or 'none'}." for rule, found in rows.items()]


def page() -> str:
    """The whole page with the part between the markers made anew."""
    text = PAGE.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE}: the markers '{BEGIN}' and '{END}' are missing; put them where the table belongs")
    return f"{head}{BEGIN}\n\n{render()}\n\n{END}{tail}"


def sizes() -> str:
    """How large the house is: files, classes, the longest of each."""
    files = {str(p.relative_to(graphs.ROOT)): p.read_text(encoding="utf-8") for p in graphs.modules().values()}
    defined = [(name, node) for name, text in files.items() for node in _definitions(ast.parse(text))]
    classes = [(name, node) for name, node in defined if isinstance(node, ast.ClassDef)]
    functions = [(name, node) for name, node in defined if not isinstance(node, ast.ClassDef)]
    lines = {name: text.count("\n") for name, text in files.items()}
    longest = max(lines, key=lines.__getitem__)
    most, where = max((sum(not isinstance(m, ast.ClassDef) for m in _members(c)), f"{c.name}, {n}") for n, c in classes)
    return "\n".join(
        [
            f"files            {len(files)}, {sum(lines.values())} lines",
            f"classes          {len(classes)}",
            f"functions        {len(functions)}",
            f"longest file     {lines[longest]} lines: {longest}",
            f"longest class    {_longest(classes)}",
            f"most methods     {most}: {where}",
            f"longest function {_longest(functions)}",
        ]
    )


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _definitions(tree: ast.AST) -> Iterator[Definition]:
    return (node for node in ast.walk(tree) if isinstance(node, Definition))


def _members(node: ast.ClassDef) -> list[Definition]:
    return [m for m in node.body if isinstance(m, Definition)]


def _longest(found: list[tuple[str, Definition]]) -> str:
    def length(item: tuple[str, Definition]) -> int:
        return (item[1].end_lineno or 0) - item[1].lineno + 1

    name, node = max(found, key=length)
    return f"{length((name, node))} lines: {node.name}, {name}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(sizes())
