"""The text header of ENVI files: parsed into fields, checked, and written.

The format is ``key = value`` after a first line ``ENVI``; braces hold lists and may run over several lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import InputError

DATA_TYPES: dict[int, str] = {
    1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 6: "c8", 9: "c16", 12: "u2", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
INTERLEAVES = ("bsq", "bil", "bip")
SUFFIXES = (".dat", ".img", ".raw", ".bsq", ".bil", ".bip", ".bin", ".sli")
"""Usual suffixes of the file with the samples; it may also have none, or any other."""

UNUSED_CLASS = "unused {}"
"""Name of a value between the classes that no class has; ENVI numbers classes without gaps."""

MAX_HEADER = 16 * 1024**2
_TO_NM = {
    "nanometers": 1.0, "nanometer": 1.0, "nm": 1.0,
    "micrometers": 1e3, "micrometer": 1e3, "microns": 1e3, "micron": 1e3, "um": 1e3, "µm": 1e3, "μm": 1e3,
    "millimeters": 1e6, "mm": 1e6, "centimeters": 1e7, "cm": 1e7, "meters": 1e9, "m": 1e9,
    "angstroms": 0.1,
}  # fmt: skip
_FIELD = re.compile(r"^\s*([^={}]+?)\s*=\s*(.*)$")


def parse(path: Path) -> dict[str, str]:
    """Fields of a header, keys in lower case, braces kept.

    Raises
    ------
    InputError
        If the file is not an ENVI header, or a brace is never closed.
    """
    size = path.stat().st_size
    if size > MAX_HEADER:
        raise InputError(f"{path}: {size} bytes, an ENVI header is a short text. Is this the file with the samples?")
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Give yourself read permission.") from error
    lines = text.splitlines()
    if not lines or lines[0].strip().upper() != "ENVI":
        raise InputError(f"{path}: the first line is {(lines or [''])[0][:40]!r}, an ENVI header begins with 'ENVI'.")
    fields: dict[str, str] = {}
    at = 1
    while at < len(lines):
        line, at = lines[at], at + 1
        match = None if line.lstrip().startswith(";") else _FIELD.match(line)
        if match is None:
            continue
        key, value = " ".join(match[1].lower().split()), match[2].strip()
        if value.startswith("{"):
            first = at
            while "}" not in value:
                if at >= len(lines):
                    raise InputError(f"{path}: line {first}: the brace of '{key}' is never closed. Add '}}'.")
                value, at = f"{value}\n{lines[at].strip()}", at + 1
            value = value[: value.index("}") + 1]
        fields[key] = value
    return fields


def is_header(path: Path) -> bool:
    """Whether a file begins like an ENVI header."""
    try:
        with path.open("rb") as f:
            return f.read(8).lstrip(b"\xef\xbb\xbf").split(b"\n")[0].strip().upper() == b"ENVI"
    except OSError:
        return False


def items(value: str) -> tuple[str, ...]:
    """Elements of ``{a, b, c}`` (or of a bare ``a, b``), without line breaks."""
    inner = value.strip().removeprefix("{").removesuffix("}")
    return tuple(v for v in (" ".join(part.split()) for part in inner.split(",")) if v)


def numbers(fields: Mapping[str, str], key: str, path: Path) -> list[float] | None:
    """The list of numbers in a field, or ``None`` if there is no such field."""
    if key not in fields or not items(fields[key]):
        return None
    try:
        return [float(v) for v in items(fields[key])]
    except ValueError as error:
        raise InputError(f"{path}: field '{key}': {error}, expected numbers. Correct or remove it.") from error


def whole(fields: Mapping[str, str], key: str, path: Path, *, default: int | None = None) -> int:
    """A whole number; an error that names the field if it is missing or something else."""
    text = fields.get(key)
    if text is None:
        if default is None:
            raise InputError(f"{path}: the field '{key}' is missing. Add the line '{key} = <number>'.")
        return default
    try:
        value = int(text.strip("{} "))
    except ValueError as error:
        found = " ".join(text.split())[:40]
        raise InputError(f"{path}: field '{key}' is '{found}', expected a whole number.") from error
    low = 0 if key in ("header offset", "byte order") else 1
    if value < low:
        raise InputError(f"{path}: field '{key}' is {value}, expected a number of at least {low}.")
    return value


def wavelengths_nm(fields: Mapping[str, str], path: Path) -> tuple[list[float] | None, list[float] | None, str | None]:
    """Centre wavelengths and widths in nm, and a note where the unit had to be inferred."""
    values, widths = numbers(fields, "wavelength", path), numbers(fields, "fwhm", path)
    if values is None:
        return None, None, None
    unit = fields.get("wavelength units", "").strip("{} ").lower()
    if unit in ("wavenumber", "1/cm", "cm-1"):
        centres = [1e7 / v if v > 0 else float("nan") for v in values]
        bandwidths = None if widths is None else [1e7 * w / v**2 for w, v in zip(widths, values, strict=False)]
        return centres, bandwidths, None
    if unit in ("index", "ghz", "mhz"):
        return None, None, f"wavelength units are '{unit}', no wavelengths were taken"
    note = None
    factor = _TO_NM.get(unit)
    if factor is None:
        # Optical bands lie between 0.1 and 100 um; the same numbers in nm would be X-rays.
        factor = 1e3 if max(values) < 100 else 1.0
        note = f"wavelength units are '{unit or 'missing'}', taken as {'micrometers' if factor > 1 else 'nanometers'}"
    return [v * factor for v in values], None if widths is None else [w * factor for w in widths], note


def stored_type(fields: Mapping[str, str], path: Path) -> np.dtype[Any]:
    """Type of the stored samples with its byte order.

    Raises
    ------
    InputError
        If the data type is unknown or complex, or the byte order is neither 0 nor 1.
    """
    number = whole(fields, "data type", path)
    if number not in DATA_TYPES:
        raise InputError(f"{path}: data type = {number} is unknown, expected one of {', '.join(map(str, DATA_TYPES))}.")
    dtype = np.dtype(DATA_TYPES[number])
    if dtype.kind == "c":
        raise InputError(
            f"{path}: data type = {number} means complex samples, real ones were expected. Export magnitude or phase."
        )
    order = whole(fields, "byte order", path, default=0 if dtype.itemsize == 1 else -1)
    if order == -1:
        raise InputError(
            f"{path}: the field 'byte order' is missing, and {dtype.itemsize}-byte samples can be stored either way."
            " Add 'byte order = 0' (written on a PC) or 'byte order = 1' (network order)."
        )
    if order not in (0, 1):
        raise InputError(f"{path}: byte order = {order}, expected 0 (little endian) or 1 (big endian).")
    return dtype.newbyteorder(">" if order else "<")


def type_number(dtype: np.dtype[Any]) -> int:
    """ENVI's number for a type; an error for those it does not have."""
    code = f"{dtype.kind}{dtype.itemsize}"
    for number, name in DATA_TYPES.items():
        if name == code:
            return number
    raise InputError(f"ENVI has no data type for {dtype}; convert to float32 or a whole-number type first.")


def render(fields: Mapping[str, Any]) -> str:
    """Text of a header; sequences become lists in braces."""
    lines = ["ENVI"]
    for key, value in fields.items():
        if value is None:
            continue
        if isinstance(value, Sequence) and not isinstance(value, str):
            lines.append(f"{key} = {{{', '.join(str(v) for v in value)}}}")
        elif "\n" in str(value):
            raise InputError(f"field '{key}' of an ENVI header cannot hold a line break.")
        else:
            lines.append(f"{key} = {value}")
    return "\n".join(lines) + "\n"
