"""Save what the Spectra tool made: maps, painted pixels, areas, spectra and the network, in one folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtWidgets import QCheckBox, QHBoxLayout

from workbench.core.errors import GeometryError
from workbench.core.identity import identity_of
from workbench.core.layers import KEY
from workbench.core.types import Heatmap, Image, Labels, Part, Progress, Provenance, Result
from workbench.scene import ClassSpectrum, areas, labels_from_layer
from workbench.training import Version
from workbench_napari.scene.spectrum_plot import SpectrumPlot
from workbench_napari.shared.case import Saved, is_edited, save_result
from workbench_napari.shared.saving import stored_provenance

FORMATS = {"ENVI (.dat + .hdr)": "envi", "GeoTIFF (.tif)": "geotiff", "NumPy (.npy)": "npy"}
"""Names in the form and formats of `workbench.api.write` for class maps."""

State = tuple[npt.NDArray[Any], Mapping[str, Any], str]
"""Array, metadata and name of a layer, of the moment Save was pressed."""


class SaveTicks(QHBoxLayout):
    """Whether spectra and model are saved too."""

    def __init__(self) -> None:
        super().__init__()
        self.spectra = QCheckBox("Spectra")
        self.spectra.setToolTip("Mean and deviation per class and the pins: CSV and ENVI spectral library")
        self.model = QCheckBox("Model")
        self.model.setToolTip("The network as .safetensors: use it for other scenes, here or in the shell")
        for tick in (self.spectra, self.model):
            tick.setChecked(True)
            self.addWidget(tick)
        self.addStretch(1)


@dataclass(frozen=True, eq=False)
class Saving:
    """What to save; see `save`."""

    image: Image
    layers: Mapping[str, State]
    folder: Path
    format: str
    spectra: tuple[ClassSpectrum, ...] | None = None
    pins: tuple[Any, ...] = ()
    model: Version | None = None


def job_of(
    image: Image,
    layers: Mapping[str, Any],
    folder: Path,
    format: str,
    ticks: SaveTicks,
    plot: SpectrumPlot,
    model: Version | None,
) -> Saving:
    """What to save of these layers, as they are now: people go on while it is written."""
    return Saving(
        image,
        {k: (np.array(v.data), dict(v.metadata), v.name) for k, v in layers.items()},
        folder,
        format,
        spectra=tuple(plot.classes) if ticks.spectra.isChecked() else None,
        pins=tuple(plot.pins),
        model=model if ticks.model.isChecked() else None,
    )


def save(job: Saving, progress: Progress | None = None) -> Saved:
    """Write everything into the folder of the scene inside ``job.folder``, as one state.

    Raises
    ------
    GeometryError
        A layer does not lie on the grid of the scene: nothing is written.
    UsageError
        The folder cannot be written to.
    """
    result = result_of(job)
    identity = identity_of(job.image, result.provenance.input_sha256)
    return save_result(result, job.folder, identity, format=job.format, beside=partial(_save_beside, job))


def _save_beside(job: Saving, folder: Path) -> list[Path]:
    """Spectra and network belong to the state that they were saved with: an earlier one keeps its own."""
    written: list[Path] = []
    if job.spectra is not None and (job.spectra or job.pins):
        written += _save_spectra(job, folder)
    if job.model is not None and job.model.model.exists():
        written.append(job.model.save(folder / "model.safetensors"))
    return written


def result_of(job: Saving) -> Result:
    """The result that the layers show now: maps as corrected by hand, areas recomputed."""
    parts: dict[str, Part] = {}
    geometry = job.image.geometry
    for key, (data, metadata, name) in job.layers.items():
        record = metadata.get(KEY) or {}
        if tuple(data.shape) != tuple(geometry.shape):
            raise GeometryError(f"layer '{name}' has {data.shape} pixels, the scene {geometry.shape}; nothing saved")
        if record.get("role") == "heatmap":
            parts[key] = Heatmap(data, geometry, key, record.get("value_unit"), (0.0, 1.0))
        else:
            labels = labels_from_layer(data, metadata, key)
            parts[key] = Labels(labels.data, geometry, labels.classes, key)
    shown = parts.get("labels") or parts.get("painted")
    if isinstance(shown, Labels) and len(shown.classes):
        parts["areas"] = areas(shown)
    main = next(job.layers[k] for k in ("labels", "painted", *job.layers) if k in job.layers)
    return Result(parts, job.image, _provenance(job, main[1].get(KEY) or {}))


def _save_spectra(job: Saving, folder: Path) -> list[Path]:
    from workbench.scene import Spectra
    from workbench.scene import write_spectra as write

    classes, pins = job.spectra or (), job.pins
    names = [c.name for c in classes] + [f"pixel {p.row} {p.column}" for p in pins]
    values = np.array([c.mean for c in classes] + [np.asarray(p.spectrum, np.float64) for p in pins])
    none = np.full(values.shape[1], np.nan)
    deviation = np.array([c.deviation for c in classes] + [none for _ in pins])
    wavelengths = job.image.header.get("wavelengths_nm")
    spectra = Spectra(
        tuple(names),
        values,
        None if wavelengths is None else tuple(wavelengths),
        deviation if classes else None,
        job.image.value_unit,
    )
    return write(spectra, folder, format="csv", name="spectra") + write(spectra, folder, format="envi", name="spectra")


def _provenance(job: Saving, record: Mapping[str, Any]) -> Provenance:
    made = stored_provenance(record, job.image.source)
    # Painted pixels are hand work also where the map that was learnt of them is as the network made it.
    parts = [key for key, (_, metadata, _) in job.layers.items() if is_edited(metadata.get(KEY) or {})]
    details = {**made.details, "edited by hand": parts} if parts else made.details
    return replace(made, edited_by_hand=bool(parts) or made.edited_by_hand, details=details)
