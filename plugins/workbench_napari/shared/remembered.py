"""What a person chose in a tool is there again in the next session: folder, format, backend, weights, device, settings.

Kept is only what was changed by hand: what a script sets, or a program on its own, is nobody's habit. Nothing is kept
that depends on the image. What is not there any more falls back to the default, and that is said.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QWidget

from workbench_napari.shared.form import SettingsForm
from workbench_napari.shared.memory import forget, keep, recall
from workbench_napari.shared.model_form import ModelForm
from workbench_napari.shared.weights_choice import WeightsChoice

_OF_ONE_IMAGE = ("mpp",)
"""Settings that are true of one image: those of another must never be taken for it."""
_MOST = 4096
"""Characters of one kept value that are looked at."""


class Remembered(QObject):
    """Brings back what a person chose in a tool the last time, and keeps what is chosen now.

    Parameters
    ----------
    tool
        The tool; its forms are found in it.
    owner
        Under which name its habits are kept.

    Attributes
    ----------
    problems
        A line for each thing that was kept and is not there any more.
    """

    def __init__(self, tool: QWidget, owner: str) -> None:
        super().__init__(tool)
        self._tool, self._owner = tool, owner
        self._known: set[int] = set()
        self._fields: dict[str, QWidget] = {}
        self._choices: dict[str, WeightsChoice] = {}
        self._models: list[ModelForm] = []
        self.problems: list[str] = []

    def begin(self, fields: dict[str, QWidget]) -> None:
        """Bring back and follow these fields, and all forms that are in the tool."""
        for name, field in fields.items():
            self._field(name, field)
        self._models = models = self._tool.findChildren(ModelForm)
        for model in models:
            if len(model.backends) > 1:
                self._backend(model)
            model.changed.connect(partial(self._model, model))
            self._model(model)
        for weights in self._tool.findChildren(WeightsChoice):
            if not _is_in(weights, models):
                self._weights("own", weights)
        for form in self._tool.findChildren(SettingsForm):
            if not _is_in(form, models):
                self._settings(form)

    # --- for a session

    def snapshot(self) -> dict[str, Any]:
        """All that is chosen now, whoever chose it, by its key."""
        backends = {f"{model.verb}/backend": model.backend.name for model in self._models}
        weights = {f"{key}/weights": choice.value for key, choice in self._here(self._choices).items()}
        return backends | weights | {key: value_of(field) for key, field in self._here(self._fields).items()}

    def apply(self, values: Mapping[str, Any]) -> list[str]:
        """Choose all of that again; returns a line for each thing that is not there any more."""
        self.problems = []
        for model in self._models:
            name = values.get(f"{model.verb}/backend")
            if isinstance(name, str) and model.choice.findData(name) >= 0:
                model.choose(name)
        for key, choice in self._here(self._choices).items():
            self._choose_weights(choice, values.get(f"{key}/weights"))
        for key, field in self._here(self._fields).items():
            self._show(key, field, values.get(key))
        return self.problems

    def _here(self, widgets: dict[str, Any]) -> dict[str, Any]:
        """Without those of a form that was replaced."""
        return {key: widget for key, widget in widgets.items() if _is_alive(widget)}

    # --- forms

    def _backend(self, model: ModelForm) -> None:
        key = f"{model.verb}/backend"
        name = self._recall(key)
        if isinstance(name, str) and model.choice.findData(name) >= 0:
            model.choose(name)
        model.choice.activated.connect(lambda _index: self._keep(key, model.backend.name, ""))

    def _model(self, model: ModelForm) -> None:
        """The form of a backend: it is made anew when another one is chosen."""
        form = model.form
        if id(form) in self._known:
            return
        self._known.add(id(form))
        form.destroyed.connect(partial(self._known.discard, id(form)))
        where = f"{model.verb}/{model.backend.name}"
        if model.weights is not None:
            self._weights(where, model.weights)
        if model.device is not None:
            self._field(f"{where}/device", model.device)
        self._settings(form)

    def _weights(self, where: str, weights: WeightsChoice) -> None:
        key, default = f"{where}/weights", weights.value
        self._choices[where] = weights
        if not self._choose_weights(weights, self._recall(key)):
            forget(f"{self._owner}/chosen/{key}")
        weights.picked.connect(lambda: self._keep(key, weights.value, default))

    def _choose_weights(self, weights: WeightsChoice, value: Any) -> bool:
        """Choose weights, if they are still there."""
        if not isinstance(value, str) or value == weights.value:
            return True
        index = max(weights.combo.findData(value), weights.combo.findText(value))
        if index >= 0:
            weights.combo.setCurrentIndex(index)
        elif Path(value).is_absolute() and Path(value).is_file():
            weights.choose_file(value)
        else:
            self.problems.append(f"The weights {value} are not there any more; {weights.value} is chosen.")
            return False
        return True

    def _settings(self, form: SettingsForm) -> None:
        where = f"{form.config.__module__}.{form.config.__qualname__}"
        for name, widget in form.widgets.items():
            if name in _OF_ONE_IMAGE:
                continue
            self._field(f"{where}/{name}", widget.native)

    # --- one field

    def _field(self, key: str, field: QWidget) -> None:
        self._fields[key] = field
        default = value_of(field)
        if not self._show(key, field, self._recall(key)):
            forget(f"{self._owner}/chosen/{key}")
        follow_hand(field, lambda: self._keep(key, value_of(field), default))

    def _show(self, key: str, field: QWidget, value: Any) -> bool:
        """Show a value, if what it means is still there."""
        now = value_of(field)
        if value is None or value == now or type(value) is not type(now):
            return True
        problem = _GONE[name](str(value)) if (name := key.rpartition("/")[2]) in _GONE else ""
        if problem:
            self.problems.append(f"{problem}; {now} is chosen.")
            return False
        with suppress(ValueError, OverflowError):
            set_value(field, value)
        return True

    def _recall(self, key: str) -> Any:
        text = recall(f"{self._owner}/chosen/{key}")
        with suppress(ValueError, RecursionError):
            return json.loads(text) if 0 < len(text) <= _MOST else None
        return None

    def _keep(self, key: str, value: Any, default: Any) -> None:
        """What is chosen again as it is by default is no habit: it follows the default of later versions."""
        where = f"{self._owner}/chosen/{key}"
        if value == default:
            forget(where)
        else:
            keep(where, json.dumps(value))


def follow_hand(field: QWidget, told: Callable[[], None]) -> None:
    """Call this when a person changes a field; a script that sets it is not heard."""
    if isinstance(field, QComboBox):
        field.activated.connect(lambda _index: told())
        if field.isEditable() and (line := field.lineEdit()) is not None:
            line.textEdited.connect(lambda _text: told())
    elif isinstance(field, QLineEdit):
        field.textEdited.connect(lambda _text: told())
    elif isinstance(field, QAbstractButton):
        field.clicked.connect(lambda _checked: told())
    elif isinstance(field, QAbstractSpinBox):
        # A click on its arrows, the wheel and the keyboard give it the focus.
        field.valueChanged.connect(lambda _value: told() if field.hasFocus() else None)  # type: ignore[attr-defined]


def value_of(field: Any) -> Any:
    """What a field shows: a text, a number, or whether it is ticked."""
    if isinstance(field, QComboBox):
        return field.currentText()
    if isinstance(field, QLineEdit):
        return field.text()
    return field.isChecked() if isinstance(field, QAbstractButton) else field.value()


def set_value(field: Any, value: Any) -> None:
    """Show a value; of a list only what is in it."""
    if isinstance(field, QComboBox):
        if field.isEditable():
            field.setCurrentText(value)
        elif (index := field.findText(value)) >= 0:
            field.setCurrentIndex(index)
    elif isinstance(field, QLineEdit):
        field.setText(value)
    elif isinstance(field, QAbstractButton):
        field.setChecked(value)
    else:
        field.setValue(value)


def _is_in(widget: QWidget, above: list[ModelForm]) -> bool:
    return any(model.isAncestorOf(widget) for model in above)


def _is_alive(widget: QWidget) -> bool:
    try:
        widget.objectName()
    except RuntimeError:  # what the binding says of a widget that Qt has deleted
        return False
    return True


def _gone_folder(value: str) -> str:
    return "" if Path(value).expanduser().is_dir() else f"The folder {value} is not there any more"


def gone_device(name: str) -> str:
    """Why a device cannot be chosen, or "". PyTorch is not loaded for it: that takes longer than docking a tool."""
    missing = f"The device {name} is not there any more"
    kind, _, number = name.partition(":")
    if kind == "cuda":
        index = int(number) if number.isdigit() else 0
        return "" if index < _cuda_devices() else missing
    if kind == "mps":
        return "" if sys.platform == "darwin" else missing
    return "" if name in ("auto", "cpu") else missing


def _cuda_devices() -> int:
    """How many the driver knows; 0 without one."""
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "cuda"):
        return int(torch.cuda.device_count())
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
        return 0 if failed else count.value
    except (OSError, AttributeError):
        return 0


_GONE: dict[str, Callable[[str], str]] = {"folder": _gone_folder, "device": gone_device}
