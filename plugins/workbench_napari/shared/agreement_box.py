"""What weights and data must agree on, in a window: the box for who knows better, and notes that stay with a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from workbench.core.agreement import FORCED, is_force
from workbench.core.layers import KEY
from workbench.core.settings import describe
from workbench_napari.shared.plain_text import WrappedLabel, plain_tip
from workbench_napari.shared.window_words import sentence

Asked = tuple[Any, ...]
"""What was compared: backend, weights and data. Another answer to one of them is another question."""


class AgreementBox(QWidget):
    """The check box "Use anyway": there once data were refused, and good only for these data and these weights.

    Who starts a run asks for `values`, and says with `asking` what it runs on. The tool says with `ended` how it went,
    and with `follow` what could be run now whenever something else may be chosen.

    Signals
    -------
    outdated
        This line is about something that is not chosen any more: whoever still shows it must take it away.
    """

    outdated = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self.anyway = QCheckBox("Use anyway")
        column.addWidget(self.anyway)
        self._asking: Asked = ()
        self._can_force = self._is_running = False
        self._last: tuple[Asked, str] = ((), "")
        self._refused: Asked = ()
        self.hide()

    def values(self, config: type, asked: Asked) -> dict[str, Any]:
        """The setting `force` for a run on `asked`, where a person has ticked the box for just that."""
        ticked = self.anyway.isChecked() and bool(self._refused) and asked == self._refused
        return {"force": True} if ticked and is_force(describe(config).get("force")) else {}

    def asking(self, config: type, asked: Asked) -> None:
        """A run on `asked` has started; a refusal of anything else is no matter any more."""
        if asked != self._refused:
            self.withdraw()
        self._asking, self._is_running = asked, True
        self._can_force = is_force(describe(config).get("force"))

    def ended(self, text: str, *, refused: bool = False) -> None:
        """The run that was started last has ended with this line; of a refusal, offer the way around it."""
        if not self._is_running:
            return
        self._is_running, self._last = False, (self._asking, text)
        if refused and self._can_force:
            self._refused = self._asking
            self.anyway.setChecked(False)
            self.anyway.setToolTip(plain_tip(f"Run again with these data all the same; the result says so.\n{text}"))
            self.show()
        elif not self.anyway.isChecked():
            self.withdraw()

    def follow(self, *chosen: Asked) -> None:
        """What could be run now: what was refused or said of anything else goes."""
        if self._refused and self._refused not in chosen:
            self.withdraw()
        asked, text = self._last
        if text and asked not in chosen:
            self._last = ((), "")
            self.outdated.emit(text)

    def withdraw(self) -> None:
        """Offer nothing: with other settings it is another question."""
        self._refused = ()
        self.anyway.setChecked(False)
        self.hide()


class ResultNotes(QWidget):
    """What a person must know of the result that is shown, a line each; hidden where there is nothing to know.

    What was refused and done all the same stands first, in bold.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self.forced, self.others = WrappedLabel(), WrappedLabel()
        self.forced.setStyleSheet("font-weight: bold;")
        for label in (self.forced, self.others):
            column.addWidget(label)
        self.show_notes(())

    def show_notes(self, notes: Sequence[str]) -> None:
        """Show these notes instead of those before."""
        told = [n for n in dict.fromkeys(str(note).strip() for note in notes) if n]
        forced = [n for n in told if n.startswith(FORCED)]
        for label, lines in ((self.forced, forced), (self.others, [n for n in told if n not in forced])):
            label.setText("\n".join(f"• {sentence(n)}" for n in lines))
            label.setVisible(bool(lines))
        self.setVisible(bool(told))

    @property
    def text(self) -> str:
        """What is shown, a line per note."""
        return "\n".join(label.text() for label in (self.forced, self.others) if label.text())


def notes_in(layer: Any) -> tuple[str, ...]:
    """The notes that the record of a layer has of the run that made it."""
    record = {} if layer is None else layer.metadata.get(KEY)
    made = record.get("provenance") if isinstance(record, Mapping) else None
    return tuple(str(n) for n in (made.get("notes") or ())) if isinstance(made, Mapping) else ()
