"""Pages and signals of electrocardiograms to files: signals as WFDB, DICOM, CSV or EDF+, pictures as PNG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import UsageError, visible
from workbench.core.types import Heatmap, Image, Labels, Signals
from workbench.data.parts import Job, json_job
from workbench.page.data import write_signals
from workbench.page.data.ecg_image import millivolts_of
from workbench.page.data.pictures import AXES
from workbench.page.data.stored import coarse

FORMATS = ("wfdb", "dicom-ecg", "csv", "edf")


def family(format: str, source: Image | None) -> str:
    """``"wfdb"`` for ``"auto"``, else the format itself; other formats hold no electrocardiograms."""
    if format == "auto":
        return "wfdb"
    if format not in FORMATS:
        raise UsageError(f"format {format} holds no electrocardiograms, and this is one: choose {', '.join(FORMATS)}.")
    return format


def jobs(part: Any, target: Path, family: str, source: Image | None) -> list[Job] | None:
    """Files to write for an image of a page or for signals of it, in order; ``None`` for what all kinds write alike.

    Parameters
    ----------
    part
        An `Image` of signals in mV; an `Image` of a picture, `Labels` or a `Heatmap` on one, with the axes
        ``("down", "across")``;
        `Signals` in a unit of voltage. Signals that are no voltage, or start at another moment than 0, are left to the
        common writer.
    target
        Folder and name, without suffix. A WFDB record gets a name that the format allows.
    family
        One of `FORMATS`, or ``"auto"`` for WFDB.

    Raises
    ------
    UsageError
        The signals or the picture cannot be written so; nothing is.
    """
    if isinstance(part, Image):
        if part.geometry.axes == AXES:
            _require_picture(part, part.dtype, (len(part.channels), *part.geometry.shape))
            return [(target.with_name(f"{target.name}.png"), lambda path: _write_png(path, picture(part)))]
        factor = millivolts_of(part.value_unit or "")
        if part.geometry.axes != ("time",) or factor is None:
            raise UsageError(
                f"{part.name}: axes {part.geometry.axes} in {part.value_unit or 'no unit'} are no electrocardiogram:"
                " expected (time) in mV, or a picture of (down, across)."
            )
        data = _data(part, factor)
        begins = float(part.geometry.affine[0, 1]) if part.geometry.affine is not None else 0.0
        said = [*part.notes, *([f"the first sample lies at {begins:g} s"] if begins else [])]
        return signal_jobs(data, part.channels, _rate(part), target, family, said)
    if isinstance(part, Labels) and part.geometry.axes == AXES:
        return [
            (target.with_name(f"{target.name}.png"), lambda path: _write_labels(path, part)),
            json_job({"classes": part.classes.to_json(), "origin": part.origin}, target),
        ]
    if isinstance(part, Heatmap) and part.geometry.axes == AXES:
        return [
            (target.with_name(f"{target.name}.png"), lambda path: _write_heatmap(path, part)),
            json_job({"unit": part.unit, "value of 65535": _highest(part), "axes": list(AXES)}, target),
        ]
    if isinstance(part, Signals) and part.role == "signal" and not part.start:
        factor = millivolts_of(part.unit or "")
        if factor is not None:
            return signal_jobs(_data(part, factor), part.channels, part.sampling_rate, target, family, [])
    return None


def notes(part: Any, family: str) -> list[str]:
    """What others cannot do with the file that is written for a part, a line each."""
    voltage = isinstance(part, Image | Signals) and part.geometry.axes == ("time",)
    if not voltage:
        return []
    found = []
    factor = millivolts_of((part.value_unit if isinstance(part, Image) else part.unit) or "")
    if family != "csv" and factor is not None and (said := coarse(_data(part, factor), part.channels)):
        found.append(said)
    if family == "edf":
        found.append("EDF has no value for 'no signal': gaps lie at the physical minimum, and annotations name them")
    if family == "dicom-ecg":
        found.append("DICOM demands a date: 1 January 1900 stands for the one that is not written")
    return found


def _data(part: Image | Signals, factor: float) -> npt.NDArray[np.float64]:
    """``(leads, samples)`` [mV]; `factor` is what one unit of the samples is."""
    return np.asarray(part.samples() if isinstance(part, Image) else part.data, np.float64) * factor


def signal_jobs(
    signals: npt.NDArray[np.floating[Any]],
    leads: Sequence[str],
    sampling_rate: float,
    target: Path,
    family: str,
    comments: Sequence[str],
) -> list[Job]:
    """Files to write for signals [mV] in a format, checked before anything is written."""
    form = "wfdb" if family == "auto" else family
    if form == "wfdb":
        name = write_signals.wfdb_name(target.name)
        header, body = write_signals.wfdb_texts(signals, leads, sampling_rate, name, comments=comments)
        return [
            (target.with_name(f"{name}.dat"), lambda path: _write_bytes(path, body)),
            (target.with_name(f"{name}.hea"), lambda path: _write_bytes(path, header.encode("ascii"))),
        ]
    if form == "csv":
        table = write_signals.csv_text(signals, leads, sampling_rate, comments=comments)
        return [(target.with_name(f"{target.name}.csv"), lambda path: _write_bytes(path, table.encode()))]
    if form == "edf":
        recording = write_signals.edf_bytes(signals, leads, sampling_rate, comments=comments)
        return [(target.with_name(f"{target.name}.edf"), lambda path: _write_bytes(path, recording))]
    if form == "dicom-ecg":
        data = write_signals.dicom_bytes(signals, leads, sampling_rate, comments=comments)
        return [(target.with_name(f"{target.name}.dcm"), lambda path: _write_bytes(path, data))]
    raise UsageError(f"format {visible(form)} holds no electrocardiograms: choose {', '.join(FORMATS)}.")


def _rate(image: Image) -> float:
    """Samples per second [Hz]; a whole number where it is one up to rounding."""
    if image.geometry.affine is None:
        raise UsageError(f"{image.name}: has no sampling rate, and none is guessed.")
    rate = 1.0 / float(image.geometry.affine[0, 0])
    return float(round(rate)) if math.isclose(rate, round(rate), rel_tol=1e-9) else rate


def _write_bytes(path: Path, body: bytes) -> None:
    path.write_bytes(body)


def _write_labels(path: Path, labels: Labels) -> None:
    """Numbers of classes as a PNG of 8 bits, each shown in its colour."""
    from PIL import Image as Pictures

    if labels.data.max(initial=0) > 255:
        raise UsageError(f"{labels.name}: has classes above 255, which a picture of 8 bits does not hold.")
    shown = Pictures.fromarray(labels.data.astype(np.uint8), mode="P")
    palette = np.zeros((256, 3), np.uint8)
    palette[0] = 255
    for one in labels.classes:
        palette[one.value] = one.color
    shown.putpalette(palette.tobytes())
    shown.save(path, format="PNG", transparency=0)


def _highest(part: Heatmap) -> float:
    return float(np.nanmax(part.data, initial=0.0))


def _write_heatmap(path: Path, part: Heatmap) -> None:
    """Values from 0 as a grey PNG of 16 bits."""
    from PIL import Image as Pictures

    scaled = np.nan_to_num(np.maximum(part.data, 0)) * (65535 / max(_highest(part), 1e-12))
    Pictures.fromarray(np.round(scaled).astype(np.uint16)).save(path, format="PNG")


def picture(image: Image) -> npt.NDArray[np.uint8]:
    """Pixels of a picture as ``(row, column)`` or ``(row, column, 3)``, 8 bits.

    Raises
    ------
    UsageError
        It has another type than 8 bits, or neither one nor three channels.
    """
    pixels = image.samples()
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    _require_picture(image, pixels.dtype, pixels.shape)
    return np.ascontiguousarray(pixels[0] if pixels.shape[0] == 1 else np.moveaxis(pixels, 0, -1))


def _require_picture(image: Image, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    if dtype not in (np.dtype(np.uint8), np.dtype(bool)) or len(shape) != 3 or shape[0] not in (1, 3) or 0 in shape:
        raise UsageError(
            f"{image.name}: pixels are {dtype} of shape {shape}, expected uint8 with one or three channels in front."
            " Convert it first."
        )


def _write_png(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    from PIL import Image as Pictures

    Pictures.fromarray(pixels).save(path, format="PNG")
