"""Labels that only explain, in a colour of the theme that is quieter than text and can still be read."""

from __future__ import annotations

from typing import ClassVar

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget

from workbench_napari.shared.theme import Colors


class QuietLabel(QLabel):
    """Plain text in a quiet colour; the tool says in which, as of all that has ``use_colors``.

    Each has a style of its own: one for the whole tool would make Qt go through all of its widgets again, which takes
    as long as what napari does for another theme.
    """

    STYLE: ClassVar[str] = ""
    """What else there is to say of its look."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("quiet", True)
        self._dress("")

    def use_colors(self, colors: Colors) -> None:
        """Write in these colours from now on."""
        self._dress(f"color: {colors.quiet};")

    def _dress(self, more: str) -> None:
        # Not its tooltip, which is a child of it.
        self.setStyleSheet(f'QLabel[quiet="true"] {{ {self.STYLE} {more} }}')
