"""Which bands a scene is shown in: presets by wavelength, principal components, or three sliders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from workbench.scene import PRESETS, preset_bands, spread_bands
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.plain_text import plain_label, plain_tip

PCA = "Principal components"
OWN = "Bands"
_DELAY_MS = 60


class BandsPanel(QWidget):
    """Preset, three sliders from short to long wavelengths, and the stretch.

    Signals
    -------
    changed
        Another picture is wanted.
    """

    changed = Signal()

    def __init__(self, combo: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.preset = combo
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        form = form_layout()
        add_row(form, "Colours", self.preset)
        layout.addLayout(form)
        rows = form_layout()
        self.sliders: list[QSlider] = []
        self.texts: list[QLabel] = []
        for name, color in (("Red", "#e5484d"), ("Green", "#46a758"), ("Blue", "#3e8ed0")):
            slider = QSlider(Qt.Orientation.Horizontal)
            slider.setToolTip(plain_tip(f"Band shown as {name.lower()}; arrow keys go band by band"))
            slider.setStyleSheet(f"QSlider::handle:horizontal {{ background: {color}; }}")
            slider.valueChanged.connect(self._on_slider)
            text = plain_label()
            text.setFixedWidth(104)
            line = QHBoxLayout()
            line.setSpacing(6)
            line.addWidget(slider)
            line.addWidget(text)
            add_row(rows, name, line)
            self.sliders.append(slider)
            self.texts.append(text)
        self.clip = QDoubleSpinBox()
        self.clip.setRange(0.0, 25.0)
        self.clip.setSingleStep(0.5)
        self.clip.setDecimals(1)
        self.clip.setValue(2.0)
        self.clip.setSuffix(" %")
        self.clip.setToolTip("Percent of the pixels cut off at the dark and at the bright end of every band")
        add_row(rows, "Stretch", self.clip)
        layout.addLayout(rows)
        self._wavelengths: Sequence[float] | None = None
        self._good: Sequence[bool] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self.changed.emit)
        self.preset.currentTextChanged.connect(self._on_preset)
        self.clip.valueChanged.connect(self._on_clip)

    def set_scene(
        self,
        wavelengths_nm: Sequence[float] | None,
        good: Sequence[bool] | None,
        n_bands: int,
        preset: str,
        bands: Sequence[int],
    ) -> None:
        """Another cube: presets that its wavelengths allow, and what is shown now."""
        self._wavelengths, self._good = wavelengths_nm, good
        names = [p for p in PRESETS if preset_bands(p, wavelengths_nm, good) is not None]
        self.preset.blockSignals(True)
        self.preset.clear()
        self.preset.addItems([*names, PCA, OWN])
        self.preset.setCurrentText(preset)
        self.preset.blockSignals(False)
        for slider in self.sliders:
            slider.blockSignals(True)
            slider.setRange(0, n_bands - 1)
            slider.setPageStep(max(1, n_bands // 20))
            slider.blockSignals(False)
        self._show(bands)

    @property
    def bands(self) -> tuple[int, int, int]:
        """Band numbers (from 0) of red, green and blue."""
        red, green, blue = (s.value() for s in self.sliders)
        return red, green, blue

    @property
    def is_pca(self) -> bool:
        return bool(self.preset.currentText() == PCA)

    def _show(self, bands: Sequence[int]) -> None:
        for slider, band in zip(self.sliders, bands, strict=True):
            slider.blockSignals(True)
            slider.setValue(int(band))
            slider.blockSignals(False)
        self._describe()

    def _describe(self) -> None:
        for slider, text in zip(self.sliders, self.texts, strict=True):
            text.setText(band_text(slider.value(), self._wavelengths))
            slider.setEnabled(not self.is_pca)

    def _on_slider(self, _value: int) -> None:
        self.preset.blockSignals(True)
        self.preset.setCurrentText(OWN)
        self.preset.blockSignals(False)
        self._describe()
        self._timer.start()

    def _on_preset(self, name: str) -> None:
        if name in PRESETS:
            found = preset_bands(name, self._wavelengths, self._good)
            if found is not None:
                self._show(found)
        elif name == OWN and len({*self.bands}) == 1:
            self._show(spread_bands(self.sliders[0].maximum() + 1, self._good))
        self._describe()
        self._timer.start()

    def _on_clip(self, _value: float) -> None:
        self._timer.start()


def band_text(band: int, wavelengths_nm: Sequence[float] | None) -> str:
    """``640.1 nm (29)``, or ``band 29`` where there are no wavelengths; people count bands from 1."""
    if wavelengths_nm is None or not np.isfinite(wavelengths_nm[band]):
        return f"band {band + 1}"
    return f"{wavelengths_nm[band]:.0f}\u00a0nm ({band + 1})"
