"""Which backend, which weights, where, and with what settings: one form for every tool, made from the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from workbench.core.agreement import is_force
from workbench.core.errors import FaultyExtension, WorkbenchError
from workbench.core.registry import Backend
from workbench.core.settings import describe
from workbench_napari.shared.form import SettingsForm, add_row, form_layout
from workbench_napari.shared.plain_text import plain_label, plain_tip
from workbench_napari.shared.weights_choice import WeightsChoice


class ModelForm(QWidget):
    """A form for the settings of one of several backends; what a backend does not declare is not asked for.

    Parameters
    ----------
    backends
        The backends to choose from; with one of them there is no choice to show.
    verb
        ``"predict"`` or ``"train"``: whose settings are asked for.
    skip
        Settings that the tool asks for in its own way.
    folded
        Whether the settings are folded away at first.
    """

    changed = Signal()
    """Another backend or other weights were chosen."""
    edited = Signal()
    """A setting has another value."""

    def __init__(
        self,
        backends: Sequence[Backend],
        verb: str = "predict",
        skip: tuple[str, ...] = (),
        folded: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.verb, self.skip, self._folded = verb, skip, folded
        self.backends = [row for row in backends if row.is_built_in or not self._blame(row)]
        self.weights: WeightsChoice | None = None
        self.device: QComboBox | None = None
        self.weights_info = plain_label()
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(6)
        self.choice = _combo("Which method to run")
        for row in self.backends:
            self.choice.addItem(row.title, row.name)
            self.choice.setItemData(self.choice.count() - 1, plain_tip(f"{row.task} ({row.name})"), 3)
        if len(self.backends) > 1:
            top = form_layout()
            add_row(top, "Backend", self.choice)
            self.column.addLayout(top)
        else:  # without a parent it would outlive the form, and all that the form knows
            self.choice.setParent(self)
            self.choice.hide()
        self._shown = max(self.choice.currentIndex(), 0)
        self.form = self._make()
        self.choice.currentIndexChanged.connect(self._on_backend)

    @staticmethod
    def _blame(row: Backend) -> bool:
        """Whether a stranger's backend cannot be used; then it is said, and the others are offered without it."""
        from workbench_napari.shared.worker import report

        problems = row.problems()
        if problems:
            report(FaultyExtension(problems[0]))
        return bool(problems)

    @property
    def backend(self) -> Backend:
        """The backend that is chosen."""
        return self.backends[max(self.choice.currentIndex(), 0)]

    def choose(self, name: str) -> None:
        """Choose a backend by its name."""
        self.choice.setCurrentIndex(self.choice.findData(name))

    def asks_for(self, name: str) -> bool:
        """Whether the chosen backend has a setting of that name."""
        return name in describe(self.form.config)

    @property
    def config(self) -> type:
        """The settings of the chosen backend, as a class."""
        return self.form.config

    @property
    def asked(self) -> tuple[str, ...]:
        """Backend and weights: what data are compared with."""
        return (self.backend.name, "" if self.weights is None else self.weights.value)

    def values(self) -> dict[str, Any]:
        """All settings by name, checked.

        Raises
        ------
        UsageError
            A text that is no number, or a value out of range: one line that names it.
        """
        values = self.form.values()
        if self.weights is not None:
            values["weights"] = self.weights.value
        if self.device is not None:
            values["device"] = self.device.currentText().strip()
        return values

    def describe(self) -> tuple[str, ...]:
        """Say what the chosen weights are; returns the input channels that they need."""
        if self.weights is None:
            self.weights_info.setText(self.backend.task[:1].upper() + self.backend.task[1:])
            return ()
        preset = self.form.widgets.get("preset")
        channels, text = self.weights.describe(None if preset is None else preset.value)
        self.weights_info.setText(text)
        return channels

    def _make(self) -> SettingsForm:
        row = self.backend
        config = row.settings_of(self.verb)
        known = describe(config)
        above: list[tuple[str, QWidget]] = []
        self.weights_info = plain_label()
        self.weights_info.setWordWrap(True)
        self.weights = WeightsChoice(row.name) if "weights" in known else None
        if self.weights is not None:
            above.append(("Weights", self.weights))
            self.weights.changed.connect(self.changed)
        above.append(("", self.weights_info))
        self.device = _device_box() if "device" in known else None
        if self.device is not None:
            above.append(("Device", self.device))
        own = [n for n in ("weights", "device") if n in known]
        own += ["force"] * is_force(known.get("force"))  # tools offer it once something was refused
        form = SettingsForm(config, skip=(*own, *self.skip), above=tuple(above))
        form.edited.connect(self.edited)
        preset = form.widgets.get("preset")
        if preset is not None:
            preset.changed.connect(self._on_preset)
        if self._folded:
            form.settings_fold.begin(is_open=False)
        self.column.addWidget(form)
        return form

    def _on_preset(self, _value: Any) -> None:
        self.changed.emit()

    def _on_backend(self, _index: int) -> None:
        from workbench_napari.shared.worker import report

        kept = self.form, self.weights, self.weights_info, self.device
        try:
            self.form = self._make()
        except WorkbenchError as error:
            # A stranger's backend that cannot be used must not take the others with it: go back to the one before.
            self.form, self.weights, self.weights_info, self.device = kept
            report(error)
            self.choice.blockSignals(True)
            self.choice.setCurrentIndex(self._shown)
            self.choice.blockSignals(False)
            return
        self._shown = self.choice.currentIndex()
        before = kept[0]
        self.column.removeWidget(before)
        before.hide()
        before.deleteLater()
        self.changed.emit()


def _device_box() -> QComboBox:
    box = _combo("Where to compute; auto says what it chose")
    box.setEditable(True)
    box.addItems(["auto", "cpu", "cuda", "mps"])
    return box


def _combo(tooltip: str) -> QComboBox:
    from workbench_napari.shared.panel_base import combo_box

    return combo_box(tooltip)
