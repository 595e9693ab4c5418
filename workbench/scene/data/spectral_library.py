"""Spectra of classes or pixels: a table (CSV) for spreadsheets, an ENVI spectral library for other software."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.atomic import replacing, write_text
from workbench.core.csv_text import cell_text, table_text
from workbench.core.errors import InputError, UsageError, reading, reason
from workbench.core.output import require_name
from workbench.data.companion import require_regular
from workbench.scene.data import envi_header as eh
from workbench.scene.data.envi_fit import check_file_size

FORMATS = ("csv", "envi")

_MAX_TABLE = 256 * 1024**2  # bytes; more is no table that anybody made of spectra


@dataclass(frozen=True, eq=False)
class Spectra:
    """A few named spectra on the same bands.

    Parameters
    ----------
    names
        One name per spectrum.
    values
        (n, bands) float.
    wavelengths_nm
        Centre of each band, or ``None``.
    deviation
        (n, bands) standard deviation around `values`, where a spectrum is a mean.
    value_unit
        ``"reflectance"``... or ``None``.
    """

    names: tuple[str, ...]
    values: npt.NDArray[np.floating[Any]]
    wavelengths_nm: tuple[float, ...] | None = None
    deviation: npt.NDArray[np.floating[Any]] | None = None
    value_unit: str | None = None

    def __post_init__(self) -> None:
        shape = (len(self.names), self.values.shape[-1])
        if self.values.ndim != 2 or self.values.shape != shape or not self.values.size:
            raise UsageError(f"{len(self.names)} names for spectra of shape {self.values.shape}, expected (n, bands).")
        if self.wavelengths_nm is not None and len(self.wavelengths_nm) != shape[1]:
            raise UsageError(f"{len(self.wavelengths_nm)} wavelengths for spectra of {shape[1]} bands.")
        if self.deviation is not None and self.deviation.shape != shape:
            raise UsageError(f"deviations of shape {self.deviation.shape} for spectra of shape {shape}.")


def write_spectra(spectra: Spectra, folder: str | Path, *, format: str = "csv", name: str = "spectra") -> list[Path]:
    """Write spectra atomically; returns the paths.

    ``"csv"``: one row per band, ``wavelength [nm]``, then one column per spectrum and, where known, one per standard
    deviation (``<name> sd``). ``"envi"``: ``<name>.sli`` and ``<name>.hdr``; it holds the spectra, not the deviations.
    """
    folder = Path(folder).expanduser()
    target = folder / require_name(name)
    if format == "csv":
        return [write_text(target.with_name(f"{target.name}.csv"), _table(spectra))]
    if format != "envi":
        raise UsageError(f"no format '{format}' for spectra, expected one of {', '.join(FORMATS)}.")
    header, data = target.with_name(f"{target.name}.hdr"), target.with_name(f"{target.name}.sli")
    values = np.asarray(spectra.values)
    stored = values.astype("<f4" if values.dtype.itemsize <= 4 else "<f8")
    fields: dict[str, Any] = {
        "samples": stored.shape[1],
        "lines": stored.shape[0],
        "bands": 1,
        "header offset": 0,
        "file type": "ENVI Spectral Library",
        "data type": eh.type_number(stored.dtype),
        "interleave": "bsq",
        "byte order": 0,
        "spectra names": [_listable(n) for n in spectra.names],
    }
    if spectra.wavelengths_nm is not None:
        fields["wavelength units"] = "Nanometers"
        fields["wavelength"] = [float(w) for w in spectra.wavelengths_nm]
    text = eh.render(fields)
    header.unlink(missing_ok=True)  # an old header must not describe the new file
    with replacing(data) as part:
        part.write_bytes(stored.tobytes())
    write_text(header, text)
    return [data, header]


def read(path: str | Path) -> Spectra:
    """Read an ENVI spectral library, by its ``.hdr`` or ``.sli``, or a CSV table as `write_spectra` makes it.

    Raises
    ------
    InputError
        If it is something else, or header and file do not fit.
    """
    from workbench.scene.data.envi import pair

    path = Path(path).expanduser()
    if path.suffix.lower() == ".csv":
        return _from_table(path)
    header, data = pair(path)
    fields = eh.parse(header)
    if "spectral library" not in fields.get("file type", "").lower():
        found = eh.shortened(fields.get("file type", ""))
        raise InputError(f"{header}: file type is {found}, expected ENVI Spectral Library.")
    shape = (1, eh.whole(fields, "lines", header), eh.whole(fields, "samples", header))
    stored = eh.stored_type(fields, header)
    offset = eh.whole(fields, "header offset", header, default=0)
    check_file_size(data, header, shape, stored, offset)
    with reading(data, "the spectra cannot be read", "Copy the file again."):
        values = np.fromfile(data, dtype=stored, count=shape[1] * shape[2], offset=offset).reshape(shape[1:])
    if stored.kind != "f":
        values = values.astype(np.float64)
    names = tuple(eh.elements(fields.get("spectra names", "")))
    if len(names) == shape[1] + 1 and not names[-1]:  # a comma after the last one
        names = names[:-1]
    if not any(names):
        names = tuple(f"spectrum {i + 1}" for i in range(shape[1]))
    if len(names) != shape[1]:
        raise InputError(f"{header}: 'spectra names' lists {len(names)} names, the file has {shape[1]} spectra.")
    wavelengths, _, _, _ = eh.wavelengths_nm(fields, header)
    if wavelengths is not None and len(wavelengths) != shape[2]:
        raise InputError(f"{header}: wavelength lists {len(wavelengths)} values, the spectra have {shape[2]} bands.")
    return Spectra(names, values.astype(stored.newbyteorder("=")), None if wavelengths is None else tuple(wavelengths))


def _table(spectra: Spectra) -> str:
    first = "band" if spectra.wavelengths_nm is None else "wavelength [nm]"
    axis = range(1, spectra.values.shape[1] + 1) if spectra.wavelengths_nm is None else spectra.wavelengths_nm
    names = list(spectra.names)
    columns = [np.asarray(row).tolist() for row in spectra.values]
    if spectra.deviation is not None:
        names += [f"{n} sd" for n in spectra.names]
        columns += [np.asarray(row).tolist() for row in spectra.deviation]
    return table_text([first, *names], zip(axis, *columns, strict=True))


def _from_table(path: Path) -> Spectra:
    require_regular(path)
    what = "not a table of spectra"
    with reading(path, what, "The first row holds names, then numbers.", kinds=(OSError, UnicodeError, csv.Error)):
        if path.stat().st_size > _MAX_TABLE:
            raise InputError(f"{path}: {path.stat().st_size} bytes, a table of spectra is a text of a few megabytes.")
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    columns = len(rows[0]) if rows else 0
    wrong = next((i + 1 for i, row in enumerate(rows) if len(row) != columns), None)
    if len(rows) < 2 or columns < 2 or wrong is not None:
        found = f"row {wrong} has {len(rows[wrong - 1])} cells, row 1 has {columns}" if wrong else "no numbers in it"
        raise InputError(f"{path}: {what} ({found}). The first row holds names, then numbers.")
    try:
        header, values = rows[0], np.array([[float(v) for v in row] for row in rows[1:]], dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{path}: {what} ({reason(error)}). The first row holds names, then numbers.") from error
    axis, body = values[:, 0], values[:, 1:].T
    if not np.isfinite(axis).all():
        raise InputError(f"{path}: {what} (its first column holds NaN or infinity). Correct it.")
    names = [cell_text(name) for name in header[1:]]
    plain = [i for i, n in enumerate(names) if not (n.endswith(" sd") and n[:-3] in names)]
    deviations = [names.index(f"{names[i]} sd") for i in plain if f"{names[i]} sd" in names]
    return Spectra(
        tuple(names[i] for i in plain),
        body[plain],
        tuple(axis.tolist()) if header[0].startswith("wavelength") else None,
        body[deviations] if len(deviations) == len(plain) else None,
    )


def _listable(name: str) -> str:
    return " ".join(name.split()).replace(",", ";").replace("{", "(").replace("}", ")") or "-"
