"""A form for the settings of a backend, made from their one declaration (`workbench.core.settings`)."""

from __future__ import annotations

import re
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, LineEdit, SpinBox, Widget
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFormLayout, QLayout, QVBoxLayout, QWidget

from workbench.core.settings import Setting, build, describe
from workbench_napari.shared.plain_text import plain_label, plain_tip
from workbench_napari.shared.section import Fold
from workbench_napari.shared.spoken import name_fields
from workbench_napari.shared.window_words import label_of

_INT_LIMIT = 2**31 - 1


class SettingsForm(QWidget):
    """Form for a config class: common settings shown, advanced ones folded away.

    Parameters
    ----------
    config
        Frozen dataclass whose fields are made with `workbench.core.settings.setting`.
    skip
        Names that the tool asks for in its own way (weights, say).
    above
        Rows of the tool's own, to be aligned with the settings: label (or none, for the whole width) and widget.

    Signals
    -------
    edited
        A setting has another value.
    """

    edited = Signal()

    def __init__(
        self,
        config: type,
        skip: tuple[str, ...] = (),
        above: tuple[tuple[str, QWidget], ...] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.config = config
        self._settings = {n: s for n, s in describe(config).items() if n not in skip}
        self.widgets: dict[str, Widget] = {n: make_widget(s) for n, s in self._settings.items()}
        for widget in self.widgets.values():
            widget.changed.connect(self._on_edit)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        top = form_layout()
        for label, widget in above:
            add_row(top, label, widget)
        layout.addLayout(top)
        self.settings_fold = self._fold("Settings", advanced=False)
        self.fold = self._fold("Advanced settings", advanced=True)
        self.settings_fold.begin(is_open=True)
        for fold in (self.settings_fold, self.fold):
            if fold.content().layout().count():
                layout.addWidget(fold)
            else:  # without a parent it would outlive the form, and all that the form knows
                fold.setParent(self)
                fold.hide()

    def _fold(self, title: str, *, advanced: bool) -> Fold:
        fold = Fold(title, f"settings/{self.config.__module__}/{title}")
        fold.layout().setContentsMargins(0, 0, 0, 0)
        fold.content().layout().setContentsMargins(0, 0, 0, 0)
        content = QWidget()
        rows = form_layout(content)
        rows.setContentsMargins(0, 4, 0, 4)
        if self._add(rows, advanced=advanced):
            fold.addWidget(content)
        fold.begin(is_open=False)
        return fold

    def _add(self, layout: QFormLayout, *, advanced: bool) -> int:
        chosen = [n for n, s in self._settings.items() if s.advanced == advanced]
        for name in chosen:
            widget = self.widgets[name]
            add_row(layout, widget.label, widget.native)
        return len(chosen)

    def _on_edit(self, _value: Any = None) -> None:
        self.edited.emit()

    def values(self) -> dict[str, Any]:
        """All settings by name, checked.

        Raises
        ------
        UsageError
            A text that is no number, or a value out of range: one line that names it.
        """
        values = {n: read_widget(w, self._settings[n]) for n, w in self.widgets.items()}
        build(self.config, values)
        return values

    def set_values(self, values: dict[str, Any]) -> None:
        """Show these values."""
        for name, value in values.items():
            write_widget(self.widgets[name], self._settings[name], value)


LABEL_WIDTH = 92
"""One width for the labels of all groups, so that their fields stand in one line."""


def form_layout(parent: QWidget | None = None) -> QFormLayout:
    """Form with fields that use the width and labels of one width."""
    form = QFormLayout(parent) if parent is not None else QFormLayout()
    form.setSpacing(6)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return form


def add_row(form: QFormLayout, label: str, field: QWidget | QLayout) -> None:
    """Add a row; without a label the field takes the whole width."""
    if not label:
        form.addRow(field)
        return
    text = plain_label(label)
    text.setWordWrap(True)
    text.setFixedWidth(LABEL_WIDTH)
    if isinstance(field, QWidget):
        text.setToolTip(field.toolTip())
        text.setBuddy(field)
        name_fields(label, field)
    else:
        for number in range(field.count()):
            if (inner := field.itemAt(number).widget()) is not None:
                name_fields(label, inner)
    form.addRow(text, field)


def make_widget(s: Setting) -> Widget:
    """The widget that fits a setting: its range, choices, unit and help."""
    label = label_of(s.name)
    unit = s.unit
    if unit and label.lower().endswith(f" {unit.lower()}"):
        label = label[: -len(unit) - 1]
    options = {"name": s.name, "label": f"{label} [{unit}]" if unit else label, "tooltip": plain_tip(tooltip(s))}
    if s.size or s.optional:
        widget: Widget = LineEdit(**options)
        widget.native.setPlaceholderText("automatic" if s.optional else "")
        widget.native.setAlignment(Qt.AlignmentFlag.AlignRight)
    elif s.choices:
        widget = ComboBox(choices=list(s.choices), **options)
    elif s.type is bool:
        widget = CheckBox(**options)
        widget.native.setText("")  # the label stands in its own column
    elif s.type is int:
        low = -_INT_LIMIT if s.low is None else int(s.low)
        high = _INT_LIMIT if s.high is None else int(s.high)
        widget = SpinBox(min=low, max=high, **options)
    elif s.type is float:
        low = -1e9 if s.low is None else s.low
        high = 1e9 if s.high is None else s.high
        step = 0.05 if high - low <= 2 else 1.0
        widget = FloatSpinBox(min=low, max=high, step=step, **options)
        widget.native.setDecimals(3)
    else:
        widget = LineEdit(**options)
    write_widget(widget, s, s.default)
    return widget


def tooltip(s: Setting) -> str:
    """Help, range, default and the name to use in Python and in the shell."""
    parts = [s.help.rstrip(".") + "."]
    unit = f" {s.unit}" if s.unit else ""
    if s.low is not None and s.high is not None:
        parts.append(f"From {s.low:g} to {s.high:g}{unit}.")
    elif s.low is not None:
        parts.append(f"At least {s.low:g}{unit}.")
    elif s.high is not None:
        parts.append(f"At most {s.high:g}{unit}.")
    default = "automatic" if s.default is None else f"{_text(s.default)}{unit}"
    parts.append(f"Default: {default}. In the shell: {s.flag}")
    return "\n".join(parts)


def read_widget(widget: Widget, s: Setting) -> Any:
    """Value of a widget in the type that `workbench.core.settings.build` checks."""
    value = widget.value
    if not (s.size or s.optional):
        return value
    text = str(value).strip()
    if s.optional and text.lower() in ("", "automatic", "none"):
        return None
    if s.size:
        return text.replace(",", " ").split()
    # Half of Europe writes 0,5; there is no other way to read it.
    return text.replace(",", ".") if s.type is float and re.fullmatch(r"[+-]?\d*,\d+", text) else text


def write_widget(widget: Widget, s: Setting, value: Any) -> None:
    """Show a value."""
    if s.size or s.optional:
        widget.value = "" if value is None else _text(value)
    else:
        widget.value = value


def _text(value: Any) -> str:
    return (
        ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in value)
        if isinstance(value, tuple | list)
        else (f"{value:g}" if isinstance(value, float) else str(value))
    )
