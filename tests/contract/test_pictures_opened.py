"""Pillow opens files only as the formats that are asked for: some of its others run programs on them."""

import ast
from pathlib import Path

import pytest
from import_graph import sources

ROOT = Path(__file__).resolve().parents[2]


def opens_without_formats(code):
    """Lines of a source that open a picture by Pillow without saying as what."""
    tree = ast.parse(code)
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "PIL"
        for alias in node.names
        if alias.name == "Image"
    }
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "open"
        and _is_pillow(node.func.value, names)
        and not any(k.arg == "formats" for k in node.keywords)
    ]


def _is_pillow(value, names):
    if isinstance(value, ast.Attribute):
        return value.attr == "Image" and isinstance(value.value, ast.Name) and value.value.id == "PIL"
    return isinstance(value, ast.Name) and value.id in names


@pytest.mark.parametrize("folder", ["workbench", "plugins"])
def test_every_picture_is_opened_as_known_formats(folder):
    for path in sources(ROOT / folder):
        lines = opens_without_formats(path.read_text(encoding="utf-8"))
        assert not lines, f"{path.relative_to(ROOT)}: lines {lines} open a picture without formats="


def test_an_open_without_formats_is_seen():
    assert opens_without_formats("from PIL import Image as P\nP.open(x)") == [2]
    assert opens_without_formats("import PIL.Image\nPIL.Image.open(x)") == [2]
    assert not opens_without_formats("from PIL import Image\nImage.open(x, formats=('PNG',))")
