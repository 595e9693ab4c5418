"""Names for screen readers: every field and button says what it is, also where only its place or a sign tells it."""

from __future__ import annotations

import re

from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QProgressBar,
    QScrollBar,
    QTabBar,
    QWidget,
)

FIELDS = (
    QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit, QProgressBar, QTabBar,
)  # fmt: skip


def fields_of(root: QWidget) -> list[QWidget]:
    """All fields and buttons in a widget, without the inner parts of Qt's own."""
    return [w for kind in FIELDS for w in root.findChildren(kind) if not is_inner(w)]


def is_inner(widget: QWidget) -> bool:
    """Whether a widget is a part of a field: the line of a spin box, a scroll bar, the list of a combo box."""
    if isinstance(widget, QScrollBar) or widget.objectName().startswith("qt_"):
        return True
    above = widget.parentWidget()
    while above is not None:
        # Headers and corner buttons of tables, lines and lists of combo boxes.
        if isinstance(above, QComboBox | QAbstractSpinBox | QAbstractItemView | QTabBar | QLineEdit):
            return True
        above = above.parentWidget()
    return False


def name_all(root: QWidget) -> None:
    """Give every field and button a name that has none: its text, else what its tooltip says."""
    for widget in fields_of(root):
        if not spoken(widget) and (name := _words(widget)):
            widget.setAccessibleName(name)


def name_fields(label: str, field: QWidget) -> None:
    """Name the fields of a row by its label."""
    text = re.sub(r"\s*\[.*\]$", "", label)
    found = [field] if isinstance(field, FIELDS) else fields_of(field)
    for widget in found:
        if not spoken(widget):
            widget.setAccessibleName(text if not isinstance(widget, QAbstractButton) else f"{text}: {_words(widget)}")


def spoken(widget: QWidget) -> str:
    """What a screen reader says: the name given, or the text of a button if it has letters."""
    text = widget.text() if isinstance(widget, QAbstractButton) else ""
    return str(widget.accessibleName() or (text.replace("&", "") if re.search(r"\w", text) else ""))


def _words(widget: QWidget) -> str:
    text = widget.text() if isinstance(widget, QAbstractButton) else ""
    tip = re.sub(r"<[^>]+>", "", widget.toolTip())
    placeholder = widget.placeholderText() if isinstance(widget, QLineEdit) else ""
    if re.search(r"\w", text):
        return str(text)
    return str(placeholder or re.split(r"[.\n;:]", tip)[0].strip())
