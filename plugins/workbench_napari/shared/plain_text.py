"""Text as it is: names from files, weights and other people's packages are never taken for HTML.

Qt guesses, for every label and every tooltip, whether a text is HTML: "<1 mm" vanishes and "<i>E. coli</i>" leans.
"""

from __future__ import annotations

import html

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget


def plain_label(text: str = "", parent: QWidget | None = None) -> QLabel:
    """A label that shows every character of whatever text it is given."""
    label = QLabel(parent)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(text)
    return label


def plain_tip(text: str) -> str:
    """The text for a tooltip or a notification, which have no plain format: escaped where Qt might see HTML in it."""
    if "<" not in text and "&lt;" not in text:
        return text
    return "<qt>" + html.escape(text, quote=False).replace("\n", "<br>") + "</qt>"
