"""Choice of weights: the demo, installed ones, or a file; never another one than shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from workbench.core.errors import WorkbenchError

_SUFFIXES = "Weights (*.safetensors *.pt *.pth *.bin);;All files (*)"


class WeightsChoice(QWidget):
    """Combo box of the weights on this machine for one backend, and a button for any file.

    Signals
    -------
    changed
        Other weights are chosen.
    picked
        A person chose them.
    """

    changed = Signal()
    picked = Signal()

    def __init__(self, backend: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.backend = backend
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self.combo = QComboBox()
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setMinimumContentsLength(8)
        self.combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.combo.setToolTip("Weights on this machine; nothing is fetched")
        layout.addWidget(self.combo)
        button = QPushButton("...")
        button.setFixedWidth(30)
        button.setToolTip("Choose a weight file (.safetensors, or a plain .pt checkpoint)")
        button.clicked.connect(self._browse)
        layout.addWidget(button)
        for name, path in _here(backend):
            self.combo.addItem(name, path)
        self.combo.currentIndexChanged.connect(self._on_index)
        self.combo.activated.connect(self._on_activated)

    def _on_index(self, _index: int) -> None:
        self.changed.emit()

    def _on_activated(self, _index: int) -> None:
        self.picked.emit()

    @property
    def value(self) -> str:
        """What to give as ``weights``: ``"demo"``, a name or a path."""
        data = self.combo.currentData()
        return str(data) if data else self.combo.currentText()

    def choose_file(self, path: str | Path) -> None:
        """Add a file and choose it."""
        found = self.combo.findData(str(path))
        if found < 0:
            self.combo.addItem(Path(path).name, str(path))
            found = self.combo.count() - 1
        self.combo.setCurrentIndex(found)
        self.changed.emit()

    def describe(self, preset: str | None = None) -> tuple[tuple[str, ...], str]:
        """Input channels of the chosen weights and a line about them; reads the header only."""
        from workbench import weights
        from workbench.core import registry

        try:
            found = weights.find(self.value, self.backend)
        except WorkbenchError as error:
            # The message speaks to the shell as well; here the button beside it is the way.
            reason = str(error).split("; give a weight file")[0]
            return (), f"{reason[:1].upper()}{reason[1:]}. Choose a weight file with the button [...]"
        if not found.meta:
            own = getattr(registry.find(self.backend).load_module(), "describe_checkpoint", None)
            return own(preset) if own is not None else ((), "A checkpoint without a record of ours")
        words = getattr(registry.find(self.backend).load_module(), "describe_weights", None)
        if words is not None:
            return (), str(words(found.meta))
        recipe: dict[str, Any] = found.meta.get("recipe", {})
        names = [c["name"] for c in found.meta.get("classes", [])]
        listed = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        title = found.meta.get("title")
        text = f"{title}: {listed}" if title else f"Finds {listed}"
        return tuple(recipe.get("channels", ())), text

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Choose weights", "", _SUFFIXES)
        if path:
            self.choose_file(path)
            self.picked.emit()


def _here(backend: str) -> list[tuple[str, str | None]]:
    """Name and path of the weights on this machine; the demo goes by its name."""
    from workbench import weights

    rows = [r for r in weights.listing() if r["state"] == "here" and r["backend"] in (backend, "?")]
    found = [(r["name"], None if r["name"] == "demo" else r["path"]) for r in rows]
    return found or [("demo", None)]
