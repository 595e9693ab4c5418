"""What a run would refuse or note is said beside the image before anybody presses Run, with the way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, QTimer

from workbench.core.agreement import Finding
from workbench.core.errors import WorkbenchError
from workbench.core.levels import at_level
from workbench.core.settings import build
from workbench.volume import geometry_from_layer, image_from_layers
from workbench_napari.shared.latest_work import LatestWork
from workbench_napari.shared.model_form import ModelForm
from workbench_napari.shared.plain_text import WrappedLabel
from workbench_napari.volume.drawing import attributes_of

_DELAY_MS = 150
_SAMPLE = 1 << 19
"""Voxels that are compared: enough to tell MR from CT, few enough that nobody notices."""
_MOST = 1 << 28
"""Voxels of a level of which planes are read; of a larger one only the header counts."""


class Beforehand(QObject):
    """Compares what is chosen with what the weights were taught on, whenever something else is chosen.

    Parameters
    ----------
    layers
        Gives the chosen layers, one per channel.
    pixel_is_mm
        Whether a pixel counts as a millimetre where a layer says nothing.
    level
        Which level of a multiscale layer is computed.
    """

    def __init__(
        self,
        form: ModelForm,
        layers: Callable[[], list[Any]],
        pixel_is_mm: Callable[[], bool],
        level: Callable[[], int],
        label: WrappedLabel,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._level = level
        self._reading = LatestWork(self)
        self._reading.arrived.connect(lambda _what, findings: self._say(findings))
        self._reading.failed.connect(lambda _error: self._say(()))  # said where it was chosen, or by the run
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
        self._reading.close()

    def look(self) -> None:
        """Say what is known now; of samples that have to be read (levels, dask) once they are, in the background."""
        self._reading.forget()
        try:
            work = self._work()
            findings = () if work is None else work(lambda: False)
        except WorkbenchError:
            findings = ()  # what cannot be placed or read is said where it was chosen
        self._say(findings)

    def _say(self, findings: tuple[Finding, ...]) -> None:
        refused = [f for f in findings if f.level == "refused"]
        lines = [f"• {f.line[:1].upper()}{f.line[1:].rstrip('.')}. {f.advice}".rstrip() for f in refused]
        if lines:
            lines = ["Run would refuse this:", *lines, "Where you know better: Run, then tick 'Use anyway'."]
        others = [f for f in findings if f.level != "refused" and f.fact != "contract"]
        lines += [f"• {f.line[:1].upper()}{f.line[1:].rstrip('.')}." for f in others]
        self._label.setText("\n".join(lines))
        self._label.setStyleSheet("font-weight: bold;" if refused else "")
        self._label.setVisible(bool(lines))

    def _work(self) -> Callable[[Callable[[], bool]], tuple[Finding, ...]] | None:
        """What gives the findings; ``None`` where there are none, or they come later."""
        ask = getattr(self._form.backend.load_module(), "look_ahead", None)
        layers, level, pixel_is_mm = self._layers(), self._level(), self._pixel_is_mm()
        if ask is None or not layers:
            return None
        states = [(layer.data, attributes_of(layer)) for layer in layers]
        config = build(self._form.config, self._form.values())

        def work(stop: Callable[[], bool]) -> tuple[Finding, ...]:
            own = [at_level(data, attributes, level) for data, attributes in states]
            image, _ = image_from_layers(own, pixel_is_mm=pixel_is_mm)
            found: tuple[Finding, ...] = ask(image, config, _samples(*own[0], stop) if len(own) == 1 else None)
            return found

        if all(isinstance(data, np.ndarray) for data, _ in states):
            return work
        self._reading.ask(object(), work)
        return None


def _samples(data: Any, attributes: dict[str, Any], stop: Callable[[], bool]) -> npt.NDArray[Any] | None:
    """Whole planes in file order; ``None`` of what has channels, or is too much to be read before anybody wants it."""
    if data.ndim != 3 or data.size > _MOST:
        return None
    _, spot, _ = geometry_from_layer(data.shape, attributes)
    step = max(1, data.size // _SAMPLE)
    if isinstance(data, np.ndarray):
        return spot.to_file(data)[None, ..., ::step]
    # Plane by plane, so that another choice need not wait for the rest.
    axis = spot.order.index(2)
    last = data.shape[axis] - 1 if spot.flips[axis] else 0
    planes = []
    for at in range(0, data.shape[axis], step):
        if stop():
            return None
        planes.append(np.asarray(data[(*[slice(None)] * axis, abs(last - at))]))
    stacked = np.stack(planes, axis=axis)
    back = stacked[tuple(slice(None, None, -1 if f and d != axis else 1) for d, f in enumerate(spot.flips))]
    return back.transpose(np.argsort(spot.order))[None]
