"""The text header of ENVI files: parsed into fields, checked, and written.

The format is ``key = value`` after a first line ``ENVI``; braces hold lists and may run over several lines.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import InputError
from workbench.data.companion import require_regular

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
    "nanometers": 1.0, "nanometer": 1.0, "nanometres": 1.0, "nanometre": 1.0, "nm": 1.0,
    "micrometers": 1e3, "micrometer": 1e3, "micrometres": 1e3, "micrometre": 1e3,
    "microns": 1e3, "micron": 1e3, "um": 1e3, "µm": 1e3, "μm": 1e3,
    "millimeters": 1e6, "mm": 1e6, "centimeters": 1e7, "cm": 1e7, "meters": 1e9, "m": 1e9,
    "angstroms": 0.1, "angstrom": 0.1,
}  # fmt: skip
_UNSAID = ("", "unknown", "none")
_OPTICAL_NM = (100.0, 1e5)  # between X-rays and terahertz waves
_READ = {
    "samples", "lines", "bands", "header offset", "file type", "data type", "interleave", "byte order",
    "file compression", "major frame offsets", "minor frame offsets", "wavelength", "wavelength units", "fwhm", "bbl",
    "data ignore value", "data gain values", "data offset values", "reflectance scale factor", "data scale factor",
    "scale factor", "map info", "coordinate system string", "classes", "class names", "class lookup", "band names",
    "default bands", "spectra names", "sensor type",
}  # fmt: skip
_FIRST = re.compile(rb"(?:\xef\xbb\xbf)?\s*ENVI(?!\w)", re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)  # fits 64 bits, and is read in no time


def parse(path: Path) -> dict[str, str]:
    """Fields of a header, keys in lower case, braces kept.

    Raises
    ------
    InputError
        If the file is not an ENVI header, a brace is never closed, or a field that is read is there twice and differs.
    """
    require_regular(path)
    try:
        size = path.stat().st_size
        if size > MAX_HEADER:
            raise InputError(
                f"{path}: {size} bytes, an ENVI header is a short text. Is this the file with the samples?"
            )
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Give yourself read permission.") from error
    lines = content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not _FIRST.match(content):
        require_no_volume(path)
        raise InputError(f"{path}: the first line is {lines[0][:40]!r}, an ENVI header begins with 'ENVI'.")
    fields: dict[str, str] = {}
    at = 1
    while at < len(lines):
        line, at = lines[at], at + 1
        before, equals, after = line.partition("=")
        key, value = " ".join(before.lower().split()), after.strip()
        if not key or not equals or key.startswith(";") or "{" in key or "}" in key:
            continue
        if value.startswith("{"):
            # Each line is looked at once: a brace that is never closed takes no longer than one that is.
            first, parts = at, [value]
            while "}" not in parts[-1]:
                if at >= len(lines):
                    raise InputError(f"{path}: line {first}: the brace of '{key[:60]}' is never closed. Add '}}'.")
                parts.append(lines[at].strip())
                at += 1
            value = "\n".join(parts).partition("}")[0] + "}"
        if key in _READ and key in fields and _plain(fields[key]) != _plain(value):
            raise InputError(
                f"{path}: field '{key}' is there twice, as {shortened(fields[key])} and as {shortened(value)}. Remove"
                " the wrong one."
            )
        fields[key] = value
    return fields


def _plain(value: str) -> str:
    return "".join(value.lower().split())


def require_no_volume(path: Path) -> None:
    """Say of a header of a NIfTI pair or of Analyze, which has the same suffix, what it is."""
    try:
        with path.open("rb") as f:
            start = f.read(348)
    except OSError:
        return
    if start[:4] in [n.to_bytes(4, order) for n in (348, 540) for order in ("little", "big")]:
        pair = start[344:347] == b"ni1" or start[4:7] == b"ni2"
        raise InputError(
            f"{path}: the header of {'a NIfTI pair' if pair else 'an Analyze volume'} (.hdr with .img), a scene was"
            " expected. Read it as a volume: --kind volume (in Python kind='volume')."
        )


def oddities(path: Path) -> list[str]:
    """What is unusual about the text of a header that `parse` reads, in words."""
    content = path.read_bytes()
    first = re.split(rb"[\r\n]", content.removeprefix(b"\xef\xbb\xbf").lstrip(), maxsplit=1)[0].strip()
    found = []
    if first != b"ENVI":
        said = shortened(first.decode("utf-8", errors="replace"))
        found.append(f"the first line of the header is {said}, taken as ENVI")
    if re.search(rb"\r(?!\n)", content):
        found.append("lines of the header end in CR alone, taken as line ends")
    return found


def is_header(path: Path) -> bool:
    """Whether a file begins like an ENVI header."""
    try:
        if not path.is_file():  # a pipe would wait for ever
            return False
        with path.open("rb") as f:
            return _FIRST.match(f.read(16)) is not None
    except OSError:
        return False


def items(value: str) -> tuple[str, ...]:
    """Elements of ``{a, b, c}`` (or of a bare ``a, b``), without line breaks."""
    return tuple(v for v in elements(value) if v)


def elements(value: str) -> list[str]:
    """Elements of ``{a, , c}`` with the empty ones, whose place counts."""
    inner = value.strip().removeprefix("{").removesuffix("}")
    return [" ".join(part.split()) for part in inner.split(",")]


def without_tail(found: list[str]) -> list[str]:
    """Elements without the empty ones at the end: many writers put a comma after the last one."""
    count = len(found)
    while count and not found[count - 1]:
        count -= 1
    return found[:count]


def numbers(fields: Mapping[str, str], key: str, path: Path, *, finite: bool = True) -> list[float] | None:
    """The list of numbers in a field, or ``None`` if there is no such field."""
    if key not in fields or not items(fields[key]):
        return None
    found: list[float] = []
    for place, text in enumerate(without_tail(elements(fields[key])), 1):
        if not text:  # left out, those behind it would stand for others
            raise InputError(
                f"{path}: field '{key}' holds nothing at place {place}. Give the number, or remove the field."
            )
        try:
            found.append(float(text))
        except ValueError:
            raise InputError(
                f"{path}: field '{key}' holds {shortened(text)}, expected numbers. Correct or remove it."
            ) from None
        if finite and not math.isfinite(found[-1]):
            raise InputError(
                f"{path}: field '{key}' holds {shortened(text)}, expected finite numbers. Correct or remove it."
            )
    return found


def whole_numbers(fields: Mapping[str, str], key: str, path: Path, low: int, high: int) -> list[int] | None:
    """The list of whole numbers in a field; each one from `low` to `high`."""
    found = numbers(fields, key, path)
    for value in found or ():
        if value % 1 or not low <= value <= high:
            raise InputError(
                f"{path}: field '{key}' holds {value:g}, expected whole numbers from {low} to {high}. Correct or remove"
                " it."
            )
    return None if found is None else [int(v) for v in found]


def shortened(text: str, longest: int = 40) -> str:
    """A text as it would be typed in Python, its end left out where it is long."""
    text = " ".join(text.split())
    return repr(text) if len(text) <= longest else f"{text[:longest]!r}... ({len(text)} characters)"


def whole(fields: Mapping[str, str], key: str, path: Path, *, default: int | None = None) -> int:
    """A whole number; an error that names the field if it is missing or something else."""
    text = fields.get(key)
    if text is None:
        if default is None:
            raise InputError(f"{path}: the field '{key}' is missing. Add the line '{key} = <number>'.")
        return default
    plain = text.strip("{} ")
    if not _WHOLE.fullmatch(plain):
        raise InputError(f"{path}: field '{key}' is {shortened(text)}, expected a whole number. Correct it.")
    value = int(plain)
    low = 0 if key in ("header offset", "byte order") else 1
    if value < low:
        raise InputError(f"{path}: field '{key}' is {value}, expected a number of at least {low}.")
    return value


def to_nm(unit: str, values: Sequence[float]) -> tuple[float | None, str | None]:
    """The factor that makes wavelengths nm, and what a person must know: of a unit that is none, or cannot be meant.

    Numbers without a unit below 100 are micrometres. So are those that are said to be nm: these would be X-rays; and
    400 are nanometres, whatever the unit.
    """
    inferred = 1e3 if max(values) < 100 else 1.0
    if unit.strip("{} ").lower() in _UNSAID:
        return inferred, None
    factor = _TO_NM.get(unit.strip("{} ").lower())
    if factor is None:
        return None, f"wavelength units are {shortened(unit)}, which is no known unit: no wavelengths were taken"
    low, high = _OPTICAL_NM
    if not low <= max(values) * factor <= high and low <= max(values) * inferred <= high:
        word = "micrometers" if inferred > 1 else "nanometers"
        span = f"from {min(values):g} to {max(values):g}"
        return inferred, f"wavelength units are {shortened(unit)}, which the numbers {span} cannot be: read as {word}"
    return factor, None


def wavelengths_nm(
    fields: Mapping[str, str], path: Path
) -> tuple[list[float] | None, list[float] | None, str | None, tuple[str, ...]]:
    """Centre wavelengths and widths in nm, a note where the unit had to be inferred, and what a person must know.

    Raises
    ------
    InputError
        A list holds no numbers, or a wavelength that is not above 0 (unless all are 0: then none is known).
    """
    values, widths = numbers(fields, "wavelength", path), numbers(fields, "fwhm", path)
    if values is None:
        return None, None, None, ()
    unit = fields.get("wavelength units", "").strip("{} ").lower()
    if unit in ("index", "ghz", "mhz"):
        return None, None, f"wavelength units are '{unit}', no wavelengths were taken", ()
    if not any(values):
        return None, None, None, ("all wavelengths of the header are 0: taken as not given",)
    if unit in ("wavenumber", "1/cm", "cm-1"):
        if any(not 1e-3 < v < 1e12 for v in values):
            raise InputError(f"{path}: field 'wavelength' holds a wavenumber that is none. Correct or remove it.")
        centres = [1e7 / v for v in values]
        # A width of each band, whatever their number: a list of another length is refused where the bands are known.
        at = values + values[-1:] * (0 if widths is None else len(widths))
        bandwidths = None if widths is None else [1e7 * w / v**2 for w, v in zip(widths, at, strict=False)]
        return centres, bandwidths, None, ()
    if min(values) <= 0:
        raise InputError(f"{path}: field 'wavelength' holds {min(values):g}, expected numbers above 0. Correct it.")
    factor, said = to_nm(unit, values)
    notes = () if said is None else (said,)
    if factor is None:
        return None, None, None, notes
    note = None
    if unit in _UNSAID:
        note = f"wavelength units are '{unit or 'missing'}', taken as {'micrometers' if factor > 1 else 'nanometers'}"
    return [v * factor for v in values], None if widths is None else [w * factor for w in widths], note, notes


def stored_type(fields: Mapping[str, str], path: Path) -> np.dtype[Any]:
    """Type of the stored samples with its byte order; without one little endian, as ENVI and GDAL take it.

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
    order = whole(fields, "byte order", path, default=0)
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
