"""Diagnosis in the ECG tool: whom to ask, what both opinions say, what they looked at, and what a person says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from workbench.core.layers import KEY
from workbench.core.types import Result, Scores
from workbench.page import BY_PERSON, is_corrected
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.panel_base import button, button_row, combo_box, group_box, note
from workbench_napari.shared.plain_text import plain_label
from workbench_napari.shared.weights_choice import WeightsChoice

_NONE = "none"
_BACKEND = "ecg_image_diagnosis"
"""Under this name the demo weights of a diagnosis lie among those of all backends."""
_PART = "attribution"
_NOBODY = ""
_BEFORE = "Of the page as it was read, before lines were corrected. "


class AskGroup(QWidget):
    """Which weights to ask for a diagnosis when a page is read; none at first."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        group, column = group_box("Diagnosis")
        form = form_layout()
        self.weights = WeightsChoice(_BACKEND)
        self.weights.combo.insertItem(0, _NONE)
        self.weights.combo.setCurrentIndex(0)
        self.weights.combo.setToolTip("What is asked for a diagnosis when you press Run; nothing at first")
        add_row(form, "Ask", self.weights)
        column.addLayout(form)
        self.said = note("")
        column.addWidget(self.said)
        self.weights.changed.connect(self._say)
        self._say()
        outer.addWidget(group)

    @property
    def value(self) -> str:
        """What to give as ``diagnosis``."""
        return str(self.weights.value)

    def _say(self) -> None:
        self.said.setText(
            {
                _NONE: "No diagnosis: leads and measurements alone.",
                "demo": "Taught with drawn pages of simulated hearts alone: it shows how this works, and says nothing "
                "of a patient.",
            }.get(self.value, "Research use only. Both opinions must agree before one is said.")
        )


class DiagnosisGroup(QWidget):
    """What was said of the page that is shown, and what a person says."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        group, column = group_box("Diagnosis")
        self.said = plain_label()
        self.said.setWordWrap(True)
        self.odds = plain_label()
        self.odds.setWordWrap(True)
        column.addWidget(self.said)
        column.addWidget(self.odds)
        self.looked = button("What it looked at", "The attribution over the page (Ctrl+Shift+A)", checkable=True)
        column.addLayout(button_row(self.looked))
        form = form_layout()
        self.yours = combo_box("What you hold the page for: saved with the lines and in the report")
        self.yours.setEditable(True)
        self.yours.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.yours.lineEdit().setPlaceholderText("agree, or say another")
        add_row(form, "Yours", self.yours)
        column.addLayout(form)
        outer.addWidget(group)


class Diagnosing(QObject):
    """Shows the diagnosis of a result, and keeps what a person says with its lines.

    Parameters
    ----------
    group
        The widgets.
    layers
        Gives the layers of the result that is shown.
    lines_layer
        Gives the layer of its lines, or ``None``.
    touched
        Called with that layer after a person wrote something.
    """

    said = Signal(str)

    def __init__(
        self, group: DiagnosisGroup, layers: Callable[[], list[Any]], lines_layer: Callable[[], Any],
        touched: Callable[[Any], None], parent: QObject | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self.group, self._layers, self._lines_layer, self._touched = group, layers, lines_layer, touched
        self._classes: tuple[str, ...] = ()
        group.looked.toggled.connect(self.show_attribution)
        group.yours.activated.connect(self._on_written)
        group.yours.lineEdit().editingFinished.connect(self._on_written)
        self.show(None)

    def show(self, result: Result | None) -> None:
        """Show what a result says, or nothing."""
        table = None if result is None else result.parts.get("diagnosis")
        detail = {} if result is None else result.provenance.details.get("diagnosis") or {}
        lines = self._lines_layer()
        self.group.setVisible(result is not None and lines is not None)
        rows = table.as_dicts() if isinstance(table, Scores) else []
        before = bool(detail) and result is not None and is_corrected(result)
        self.group.said.setText(f"{_BEFORE if before else ''}{_sentence(detail)}")
        self.group.odds.setText("\n".join(_odds(row) for row in rows))
        self.group.odds.setVisible(bool(rows))
        classes = tuple(str(row["diagnosis"]) for row in rows)
        yours = self._written()
        box = self.group.yours
        box.blockSignals(True)
        if classes != self._classes:
            self._classes = classes
            box.clear()
            box.addItems([_NOBODY, *sorted(classes)])
        if not box.lineEdit().hasFocus():
            box.setCurrentText(yours)
        box.blockSignals(False)
        self.refresh()

    def refresh(self) -> None:
        """Layers came or went."""
        layer = self._attribution()
        self.group.looked.setEnabled(layer is not None)
        self.group.looked.blockSignals(True)
        self.group.looked.setChecked(layer is not None and bool(layer.visible))
        self.group.looked.blockSignals(False)

    def show_attribution(self, on: bool) -> None:
        """Show what was looked at, over the page, or not."""
        layer = self._attribution()
        if layer is not None:
            layer.visible = on

    def _attribution(self) -> Any:
        return next((x for x in self._layers() if (x.metadata.get(KEY) or {}).get("part") == _PART), None)

    def _written(self) -> str:
        layer = self._lines_layer()
        about = {} if layer is None else (layer.metadata.get(KEY) or {}).get("about") or {}
        return str(about.get(BY_PERSON) or "")

    def _on_written(self, _index: int = 0) -> None:
        layer, text = self._lines_layer(), self.group.yours.currentText().strip()
        if layer is None or text == self._written():
            return
        about = layer.metadata[KEY].setdefault("about", {})
        if text:
            about[BY_PERSON] = text
        else:
            about.pop(BY_PERSON, None)
        self._touched(layer)
        self.said.emit(f"You hold this page for: {text}. Save keeps it." if text else "Your diagnosis was taken back.")


def _sentence(detail: Any) -> str:
    if not detail:
        return "None was asked. Choose weights under Run > Diagnosis, and run again."
    said, reason = detail.get("said"), detail.get("reason")
    text = f"{said}: {reason}." if said else f"No diagnosis is said: {reason}."
    return (
        f"Of no meaning for a patient (taught with simulated hearts alone). {text}" if detail.get("simulated") else text
    )


def _odds(row: dict[str, Any]) -> str:
    told = [
        f"{word} {row[key]:.0%}" for word, key in (("picture", "image"), ("leads", "signal")) if row[key] is not None
    ]
    return f"{row['diagnosis']}: {', '.join(told) or 'not known'}"
