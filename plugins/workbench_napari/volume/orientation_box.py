"""The box that says which orientation was taken where no file gives one, and offers others."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QEvent, QObject, Signal
from qtpy.QtWidgets import QFrame, QVBoxLayout

from workbench.volume import ORIENTATIONS, WORDS, Taken, flipped
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.panel_base import button, button_row, combo_box
from workbench_napari.shared.plain_text import WrappedLabel


class OrientationBox(QFrame):
    """Says that an orientation was taken, by whom, and offers others; hidden where the file gives one.

    Signals
    -------
    chosen
        The letters that a person wants the axes to have, and whether that is one of a row of choices by the keyboard.
    """

    chosen = Signal(str, bool)

    def __init__(self) -> None:
        super().__init__()
        self._taken: Taken | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self.told = WrappedLabel()
        column.addWidget(self.told)
        self.codes = combo_box(
            "Which way the three axes of the file run: R right, L left, A front, P back, S head, I feet"
        )
        for code in ORIENTATIONS:
            self.codes.addItem(f"{code}: {', '.join(WORDS[c] for c in code)}", code)
        form = form_layout()
        add_row(form, "Axes to", self.codes)
        column.addLayout(form)
        self.flips = {
            letter: button(text, f"{words} are the wrong way round: exchange them")
            for letter, text, words in (("L", "L ↔ R", "Left and right"), ("P", "A ↔ P", "Front and back"),
                                        ("S", "H ↔ F", "Head and feet"))
        }  # fmt: skip
        self.reset = button("As read", "The orientation as it was taken when the image was opened")
        for made in (*self.flips.values(), self.reset):
            made.setMinimumWidth(40)
        column.addLayout(button_row(*self.flips.values(), self.reset))
        self._by_keys = self._goes_on = False
        self.codes.installEventFilter(self)
        self.codes.activated.connect(self._on_code)
        for letter, made in self.flips.items():
            made.clicked.connect(partial(self._flip, letter))
        self.reset.clicked.connect(lambda: self._taken and self._choose(self._taken.read))
        self.hide()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Arrows go through the list one by one: together they are one step for Undo."""
        if event is not None and event.type() in (QEvent.Type.KeyPress, QEvent.Type.MouseButtonPress):
            self._by_keys = event.type() == QEvent.Type.KeyPress
        if event is not None and event.type() == QEvent.Type.FocusOut:
            self._goes_on = False
        return super().eventFilter(watched, event)

    def show_taken(self, found: Taken | None) -> None:
        """Show this orientation; with ``None`` nothing."""
        self._taken = found
        self.setVisible(found is not None)
        if found is None:
            return
        if found.is_set:
            text = f"Orientation set by hand: {found.now}. As read it was {found.read}, which was assumed: {found.why}."
        else:
            text = f"Orientation {found.now} is assumed: {found.why}. Look at the letters; change it if they are wrong."
        self.told.setText(text)
        self.codes.setCurrentIndex(self.codes.findData(found.now))
        self.reset.setEnabled(found.is_set)

    def _flip(self, letter: str, _checked: bool = False) -> None:
        if self._taken is not None:
            self._choose(flipped(self._taken.now, letter))

    def _on_code(self, _index: int) -> None:
        goes_on, self._goes_on = self._goes_on and self._by_keys, self._by_keys
        self.chosen.emit(str(self.codes.currentData()), goes_on)

    def _choose(self, code: str) -> None:
        self._goes_on = False
        self.chosen.emit(code, False)
