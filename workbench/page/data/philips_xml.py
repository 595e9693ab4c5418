"""Philips Sierra electrocardiograms (``restingecgdata``, versions 1.03, 1.04 and 1.04.01): XML, base64, XLI packed.

XLI as it is publicly described by its readers (sierraecg, MIT): one chunk for each lead, a header of eight bytes, LZW
with codes of ten bits, high bytes before low bytes, second differences. In packed files III, aVR, aVL and aVF are what
is left of them when they are computed from I and II in whole steps, halves rounded down.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.core.types import Image
from workbench.data.header_text import shortened
from workbench.page.data import plausible, xml_tree
from workbench.page.data.ecg_image import MOST_LEADS, ecg_image, lead_names, require_rate, statements_of
from workbench.page.data.measured import measured
from workbench.page.data.xml_tree import base64_bytes, number_of, text_of
from workbench.page.leads import STANDARD

ROOT = "restingecgdata"
VERSIONS = ("1.03", "1.04", "1.04.01", "1.04.02")
_FIELDS = {
    "heartrate": ("heart_rate", "1/min"), "atrialrate": ("atrial_rate", "1/min"), "rrint": ("RR", "ms"),
    "pdur": ("P", "ms"), "print": ("PR", "ms"), "qrsdur": ("QRS", "ms"), "qtint": ("QT", "ms"), "qtcb": ("QTcB", "ms"),
    "qtcf": ("QTcF", "ms"), "pfrontaxis": ("P_axis", "deg"), "qrsfrontaxis": ("QRS_axis", "deg"),
    "tfrontaxis": ("T_axis", "deg"),
}  # fmt: skip
_MOST_SAMPLES = 1_000_000
_MOST_OF_ALL = 8_000_000
_CODE_BITS = 10
_LAST_CODE = (1 << _CODE_BITS) - 2
_ADVICE = "Export or copy the file again."


def is_ecg(path: Path) -> bool:
    """Whether it is an XML file whose first element is ``restingecgdata``."""
    return xml_tree.root_of(path) == ROOT


def read(path: Path) -> Image:
    """Open a Philips file.

    Returns
    -------
    workbench.core.types.Image
        Kind ``page``: ``(leads, samples)`` float32 [mV], leads in the order of the file. What the device measured is in
        ``header["measurements"]``.

    Raises
    ------
    InputError
        It is no file of these versions, is damaged, or states no rate or resolution.
    """
    root = xml_tree.parse(path)
    if root.tag != ROOT:
        raise InputError(f"{path}: its first element is <{shortened(root.tag)}>, expected <{ROOT}>.")
    kind, version = text_of(root, "documentinfo/documenttype"), text_of(root, "documentinfo/documentversion")
    if kind not in ("SierraECG", "PhilipsECG") or version not in VERSIONS:
        raise InputError(f"{path}: is {shortened(kind, 30)} of version {shortened(version, 20)}, expected SierraECG or"
                         f" PhilipsECG of {', '.join(VERSIONS)}. Export it in another format.")  # fmt: skip
    waves = next(root.iter("parsedwaveforms"), None)
    signal = next(root.iter("signalcharacteristics"), None)
    if waves is None or signal is None:
        raise InputError(f"{path}: has no parsedwaveforms or signalcharacteristics, expected both. {_ADVICE}")
    notes: list[str] = []
    rate = require_rate(path, _agreed(path, waves, signal, "samplespersecond", ("samplingrate",), "Hz"))
    step = _agreed(path, waves, signal, "resolution", ("resolution", "signalresolution"), "uV of one step")
    offset = number_of(waves.get("signaloffset") or text_of(signal, "signaloffset") or "0")
    bits = number_of(waves.get("bitspersample") or text_of(signal, "bitspersample") or "16")
    signed = (waves.get("signalsigned") or text_of(signal, "signalsigned") or "True").lower()
    if not 0 < step < 1e4 or offset is None or abs(offset) > 65536 or bits != 16 or signed != "true":
        raise InputError(f"{path}: has samples of {bits} bits (signed: {signed}), {step} uV a step, offset {offset};"
                         f" expected signed 16 bits. {_ADVICE}")  # fmt: skip
    labels = _labels(path, waves, signal)
    rows = _rows(path, waves, labels, rate, notes)
    names, odd = lead_names(labels[: len(rows)])
    whole = np.stack(rows)
    if (pulse := _alike_at_end(whole)) > rate / 5:
        notes.append(f"the last {pulse / rate:g} s are the same in all leads: a calibration pulse, not the heart")
    data = ((whole - offset) * (step / 1000.0)).astype(np.float32)
    notes += plausible.odd(path, names, data[:, : len(data[0]) - pulse] if pulse > rate / 5 else data)
    return ecg_image(
        path, names, data.shape[1], rate, lambda: data, format="philips", header=_header(root, notes),
        notes=(*notes, *odd),
    )  # fmt: skip


def _agreed(
    path: Path,
    waves: ElementTree.Element,
    signal: ElementTree.Element,
    attribute: str,
    tags: tuple[str, ...],
    unit: str,
) -> float:
    """A number that the file states at the samples, in its head, or in both places alike."""
    stated = [number_of(t) for t in (waves.get(attribute), *(text_of(signal, tag) for tag in tags)) if t]
    if not stated or any(n is None for n in stated) or len(set(stated)) > 1:
        raise InputError(f"{path}: states {tags[0]} as {stated or 'nothing'}, expected one number of {unit}. {_ADVICE}")
    return float(stated[0] or 0)


def _labels(path: Path, waves: ElementTree.Element, signal: ElementTree.Element) -> list[str]:
    named = (waves.get("leadlabels") or "").split()
    count = number_of(waves.get("numberofleads") or text_of(signal, "numberchannelsallocated"))
    if count is None or not 1 <= count <= MOST_LEADS or count != int(count):
        raise InputError(f"{path}: counts {count} leads, expected 1 to {MOST_LEADS}. {_ADVICE}")
    if named:
        if len(named) < count:
            raise InputError(f"{path}: names {len(named)} of {int(count)} leads, expected all. {_ADVICE}")
        return named[: int(count)]
    how = text_of(signal, "acquisitiontype")
    if how not in ("STD-12", "10-WIRE"):
        raise InputError(f"{path}: names no leads, and its acquisition is {shortened(how, 20)}, expected"
                         f" STD-12 or 10-WIRE."
                         f" {_ADVICE}")  # fmt: skip
    return [*STANDARD, *(f"Channel {n}" for n in range(13, int(count) + 1))][: int(count)]


def _rows(
    path: Path, waves: ElementTree.Element, labels: list[str], rate: float, notes: list[str]
) -> list[npt.NDArray[np.int64]]:
    """One row of whole steps for each lead."""
    encoding = waves.get("dataencoding") or ""
    packing = waves.get("compressmethod") or waves.get("compression") or "Uncompressed"
    packed = packing.upper() not in ("UNCOMPRESSED", "NONE")
    text = text_of(waves)
    duration = number_of(waves.get("durationperchannel"))
    if duration is None or not 0 < duration * rate / 1000 <= _MOST_SAMPLES:
        raise InputError(f"{path}: lasts {waves.get('durationperchannel')} ms, expected up to {_MOST_SAMPLES} samples."
                         f" {_ADVICE}")  # fmt: skip
    count = round(duration * rate / 1000)
    if count * len(labels) > _MOST_OF_ALL:
        raise InputError(
            f"{path}: states {count} samples of {len(labels)} leads, expected up to {_MOST_OF_ALL}. {_ADVICE}"
        )
    if encoding == "Base64":
        raw = base64_bytes(path, text, "its waveform")
    elif encoding == "Plain" and not packed:
        numbers = [number_of(word) for word in text.replace(",", " ").split()]
        if not all(n is not None and abs(n) < 1 << 31 and n == int(n) for n in numbers):
            raise InputError(f"{path}: its plain samples hold what is no whole number. {_ADVICE}")
        return _split(path, np.array(numbers, np.float64).astype(np.int64), labels, count)
    else:
        raise InputError(f"{path}: its samples are {shortened(encoding, 20)}, expected Base64. {_ADVICE}")
    if not packed:
        if len(raw) % 2:
            raise InputError(f"{path}: holds {len(raw)} bytes, expected 2 for each sample. {_ADVICE}")
        return _split(path, np.frombuffer(raw, "<i2").astype(np.int64), labels, count)
    if packing.upper() != "XLI":
        raise InputError(f"{path}: is packed as {shortened(packing, 20)}, expected XLI. {_ADVICE}")
    rows, rest = xli_decode(path, raw, count, len(labels))
    if rest:
        notes.append(f"{rest} bytes of further packed channels, which the file does not name, were left out")
    if len(rows) != len(labels):
        raise InputError(f"{path}: holds {len(rows)} packed leads, expected {len(labels)}. {_ADVICE}")
    if tuple(labels[:6]) == STANDARD[:6]:
        _add_predicted(rows)
    else:
        raise InputError(f"{path}: packs its leads as {' '.join(labels[:6])}, expected I to aVF first. {_ADVICE}")
    if any(np.abs(row).max() >= 1 << 15 for row in rows):
        notes.append("some samples do not fit 16 bits after unpacking: the file may be damaged")
    return rows


def _alike_at_end(rows: npt.NDArray[np.int64]) -> int:
    """Samples at the end in which all leads hold the same value, none of them constant throughout."""
    if len(rows) < 3:
        return 0
    differ = np.flatnonzero(np.any(rows != rows[0], axis=0))
    at = int(differ[-1]) + 1 if len(differ) else 0
    tail = rows[0, at:]
    return len(tail) if len(tail) and np.ptp(tail) > 0 else 0


def _split(path: Path, values: npt.NDArray[np.int64], labels: list[str], count: int) -> list[npt.NDArray[np.int64]]:
    if len(values) != count * len(labels):
        raise InputError(f"{path}: holds {len(values)} samples, expected {count} of each of its {len(labels)} leads."
                         f" {_ADVICE}")  # fmt: skip
    return list(values.reshape(len(labels), count))


def xli_decode(path: Path, raw: bytes, count: int, most: int) -> tuple[list[npt.NDArray[np.int64]], int]:
    """Rows of `count` whole steps from XLI chunks, at most so many; and the number of bytes behind them.

    Raises
    ------
    InputError
        A chunk is cut off, or holds another number of samples.
    """
    rows: list[npt.NDArray[np.int64]] = []
    at = 0
    while at < len(raw) and len(rows) < most:
        size = int.from_bytes(raw[at : at + 4], "little", signed=True)
        first = int.from_bytes(raw[at + 6 : at + 8], "little", signed=True)
        if len(raw) - at < 8 or not 0 < size <= len(raw) - at - 8:
            raise InputError(
                f"{path}: packed lead {len(rows) + 1} says {size} bytes, {len(raw) - at - 8} are left. {_ADVICE}"
            )
        unpacked = _lzw(path, raw[at + 8 : at + 8 + size], 2 * count + 2)
        at += 8 + size
        half = -(-len(unpacked) // 2)
        if half < count:
            raise InputError(f"{path}: packed lead {len(rows) + 1} holds {half} samples, expected {count}. {_ADVICE}")
        codes = np.frombuffer(unpacked.ljust(2 * half, b"\0"), np.uint8).astype(np.int64)
        words = (codes[:half] << 8) | codes[half:]
        rows.append(_undo_differences(np.where(words >= 1 << 15, words - (1 << 16), words)[:count], first))
    return rows, len(raw) - at


def _lzw(path: Path, packed: bytes, most: int) -> bytes:
    """Bytes of an LZW stream with codes of ten bits, the first bit of a byte first."""
    table: list[bytes] = [bytes([n]) for n in range(256)]
    out = bytearray()
    before = b""
    held, width = 0, 0
    for byte in packed:
        held, width = (held << 8) | byte, width + 8
        if width < _CODE_BITS:
            continue
        width -= _CODE_BITS
        code = held >> width
        held &= (1 << width) - 1
        if code > _LAST_CODE:
            break
        if code < len(table):
            now = table[code]
        elif code == len(table) and before:
            now = before + before[:1]
        else:
            raise InputError(f"{path}: its packed samples name code {code} of {len(table)}: damaged. {_ADVICE}")
        if before and len(table) <= _LAST_CODE:
            table.append(before + now[:1])
        out += now
        before = now
        if len(out) > most + 4096:
            raise InputError(f"{path}: a packed lead grows beyond its {most} bytes: damaged. {_ADVICE}")
    return bytes(out)


def _undo_differences(codes: npt.NDArray[np.int64], first: int) -> npt.NDArray[np.int64]:
    """Samples of second differences: ``x[n] = 2 x[n-1] - x[n-2] - d[n-1]``, d the codes less 64, first as stated."""
    values = codes.tolist()
    if len(values) < 3:
        return codes
    older, old, last = values[0], values[1], first
    out = [older, old]
    for code in values[2:]:
        new = 2 * old - older - last
        last = code - 64
        out.append(new)
        older, old = old, new
        if not -(1 << 40) < new < 1 << 40:
            break
    out += [0] * (len(values) - len(out))
    return np.array(out, np.int64)


def _add_predicted(rows: list[npt.NDArray[np.int64]]) -> None:
    one, two = rows[0], rows[1]
    rows[2] = two - one - rows[2]
    rows[3] = -rows[3] - (one + two) // 2
    rows[4] = (one - rows[2]) // 2 - rows[4]
    rows[5] = (two + rows[2]) // 2 - rows[5]


def _header(root: ElementTree.Element, notes: list[str]) -> dict[str, Any]:
    globals_ = next(root.iter("globalmeasurements"), None)
    measurements: dict[str, Any] = {}
    for tag, (name, unit) in _FIELDS.items():
        number, note = measured(name, number_of(text_of(globals_, tag)), unit)
        if number is not None:
            measurements[name] = number
        if note:
            notes.append(note)
    person = root.find("patient/generalpatientdata")
    age = number_of(text_of(person, "age/years"))
    sex = text_of(person, "sex")
    statements = [text_of(s, "leftstatement") for s in root.iter("statement")]
    machine = root.find("dataacquisition/machine")
    return {
        "measurements": measurements,
        "age": int(age) if age is not None and 0 <= age <= 130 else None,
        "sex": sex.lower() if sex.lower() in ("male", "female") else None,
        "statements": statements_of(statements),
        "device": "" if machine is None else (machine.get("detaildescription") or text_of(machine))[:60],
    }
