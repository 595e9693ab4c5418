"""Text as it is: names from files, weights and other people's packages are never taken for HTML.

Qt guesses, for every label and every tooltip, whether a text is HTML: "<1 mm" vanishes and "<i>E. coli</i>" leans.
"""

from __future__ import annotations

import html

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget


def plain_label(text: str = "", parent: QWidget | None = None) -> QLabel:
    """A label that shows every character of whatever text it is given."""
    label = QLabel(parent)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(text)
    return label


class WrappedLabel(QLabel):
    """Plain text of any length in the width that there is: a name without a place to break must not widen the dock.

    Such a name is cut off at the right; the tooltip has all of it.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def setText(self, text: str) -> None:
        super().setText(text)
        self.setToolTip(plain_tip(text))


def plain_tip(text: str) -> str:
    """The text for a tooltip or a notification, which have no plain format: escaped where Qt might see HTML in it."""
    if "<" not in text and "&lt;" not in text:
        return text
    return "<qt>" + html.escape(text, quote=False).replace("\n", "<br>") + "</qt>"
