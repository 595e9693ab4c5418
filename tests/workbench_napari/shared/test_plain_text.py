"""Names of strangers are shown as they are: no label, tooltip or notification takes them for HTML."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import workbench_napari
from qtpy.QtCore import Qt
from qtpy.QtGui import QTextDocument
from qtpy.QtWidgets import QLabel
from workbench_napari.launch import open_files
from workbench_napari.shared.plain_text import plain_label, plain_tip

NAMES = ("<1 mm", "a<b\nsecond line", "<i>E. coli</i>", "R&D", "&lt;b&gt; & co", "10 µm", "<b>", "")

PLUGIN = Path(workbench_napari.__file__).parent
FIXED = {"shared/panel_base.py": "empty_state", "shared/recovery_panel.py": "__init__"}
"""Functions whose label has a text of our own with HTML in it."""


@pytest.mark.parametrize("name", NAMES)
def test_a_tooltip_shows_every_character(name, qapp):
    tip = plain_tip(name)
    shown = tip
    if Qt.mightBeRichText(tip):
        page = QTextDocument()
        page.setHtml(tip)
        shown = page.toPlainText()
    assert shown == name


def test_a_label_shows_every_character(qtbot):
    label = plain_label("<i>E. coli</i>")
    qtbot.addWidget(label)
    wide = label.sizeHint().width()
    label.setText("E. coli")
    assert wide > label.sizeHint().width()


def _calls():
    for path in sorted(PLUGIN.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for outer in ast.walk(tree):
            if isinstance(outer, ast.FunctionDef):
                for node in ast.walk(outer):
                    if isinstance(node, ast.Call):
                        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                        yield path.relative_to(PLUGIN).as_posix(), outer.name, name, node


def _is_safe(value: ast.expr) -> bool:
    """A text of our own, or one that went through `plain_tip`."""
    if isinstance(value, ast.IfExp):
        return _is_safe(value.body) and _is_safe(value.orelse)
    if isinstance(value, ast.BinOp):
        return _is_safe(value.left) and _is_safe(value.right)
    if isinstance(value, ast.Call):
        return getattr(value.func, "id", getattr(value.func, "attr", "")) in ("plain_tip", "toolTip")
    return isinstance(value, ast.Constant)


def test_no_label_of_the_plugin_guesses():
    for file, function, name, node in _calls():
        if name == "QLabel" and file != "shared/plain_text.py":
            assert FIXED.get(file) == function, f"{file}, line {node.lineno}: use plain_label"
        if name == "empty_state":
            assert isinstance(node.args[0], ast.Constant), f"{file}, line {node.lineno}: a text of our own is expected"


def test_no_tooltip_and_no_notification_of_the_plugin_guesses():
    asked = 0
    for file, _, name, node in _calls():
        if name in ("setToolTip", "show_warning", "show_info", "show_error") and node.args:
            asked += 1
            assert _is_safe(node.args[0]), f"{file}, line {node.lineno}: use plain_tip"
    assert asked > 20


@pytest.mark.gui
@pytest.mark.parametrize("kind", ["volume", "scene", "recording"])
def test_the_status_and_the_weights_of_a_tool_are_plain(window, kind):
    tool = open_files(window(), [], tool=kind)
    tool.say("<1 mm: a<b")
    assert tool.status.textFormat() == Qt.TextFormat.PlainText
    guessing = [x for x in tool.findChildren(QLabel) if x.textFormat() == Qt.TextFormat.AutoText]
    assert all("workbench_napari" not in type(x).__module__ for x in guessing)
    ours = [x.text() for x in guessing if x.text() and not x.text().startswith("<b>")]
    assert not ours, ours
