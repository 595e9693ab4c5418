"""What a run would refuse or note is said beside the image before anybody presses Run, with the way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, QTimer

from workbench.core.agreement import Finding
from workbench.core.errors import WorkbenchError
from workbench.core.settings import build
from workbench.volume import geometry_from_layer, image_from_layers
from workbench_napari.shared.model_form import ModelForm
from workbench_napari.shared.plain_text import WrappedLabel
from workbench_napari.volume.drawing import attributes_of

_DELAY_MS = 150
_SAMPLE = 1 << 19
"""Voxels that are compared: enough to tell MR from CT, few enough that nobody notices."""


class Beforehand(QObject):
    """Compares what is chosen with what the weights were taught on, whenever something else is chosen.

    Parameters
    ----------
    layers
        Gives the chosen layers, one per channel.
    pixel_is_mm
        Whether a pixel counts as a millimetre where a layer says nothing.
    """

    def __init__(
        self,
        form: ModelForm,
        layers: Callable[[], list[Any]],
        pixel_is_mm: Callable[[], bool],
        label: WrappedLabel,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._form, self._layers, self._pixel_is_mm, self._label = form, layers, pixel_is_mm, label
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self.look)

    def look_soon(self, _value: Any = None) -> None:
        """Something else may be chosen."""
        self._timer.start()

    def close(self) -> None:
        """Look no more."""
        self._timer.stop()

    def look(self) -> None:
        """Say what is known now."""
        try:
            findings = self._findings()
        except WorkbenchError:
            findings = ()  # what cannot be placed or read is said where it was chosen
        refused = [f for f in findings if f.level == "refused"]
        lines = [f"• {f.line[:1].upper()}{f.line[1:].rstrip('.')}. {f.advice}".rstrip() for f in refused]
        if lines:
            lines = ["Run would refuse this:", *lines, "Where you know better: Run, then tick 'Use anyway'."]
        others = [f for f in findings if f.level != "refused" and f.fact != "contract"]
        lines += [f"• {f.line[:1].upper()}{f.line[1:].rstrip('.')}." for f in others]
        self._label.setText("\n".join(lines))
        self._label.setStyleSheet("font-weight: bold;" if refused else "")
        self._label.setVisible(bool(lines))

    def _findings(self) -> tuple[Finding, ...]:
        ask = getattr(self._form.backend.load_module(), "look_ahead", None)
        layers = self._layers()
        if ask is None or not layers or any(getattr(layer, "multiscale", False) for layer in layers):
            return ()
        states = [(layer.data, attributes_of(layer)) for layer in layers]
        image, _ = image_from_layers(states, pixel_is_mm=self._pixel_is_mm())
        config = build(self._form.config, self._form.values())
        found: tuple[Finding, ...] = ask(image, config, _samples(*states[0]) if len(states) == 1 else None)
        return found


def _samples(data: Any, attributes: dict[str, Any]) -> npt.NDArray[Any] | None:
    """Whole planes of an array that is in memory, in file order; ``None`` where it would have to be read."""
    if not isinstance(data, np.ndarray) or data.ndim != 3:
        return None
    _, spot, _ = geometry_from_layer(data.shape, attributes)
    turned = spot.to_file(data)
    return turned[None, ..., :: max(1, data.size // _SAMPLE)]
