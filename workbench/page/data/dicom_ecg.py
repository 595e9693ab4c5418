"""DICOM electrocardiograms (twelve leads, general, ambulatory), read with `pydicom`.

PS3.3 C.10.9 (Waveform): the value of a sample is ``raw x sensitivity x correction factor + baseline``, the baseline
in the units of the sensitivity (pydicom issue 1667 has the order). Leads by their codes: SCPECG ``5.6.3-9-N`` and MDC
``2:N`` number them alike (EN 1064, ISO 11073-10102).
"""

from __future__ import annotations

import io
import math
import warnings
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import PARSING, InputError, reading, visible
from workbench.core.types import Image
from workbench.data.header_text import shortened
from workbench.page.data import plausible
from workbench.page.data.ecg_image import (
    MOST_LEADS,
    ecg_image,
    lead_names,
    listed,
    millivolts_of,
    require_rate,
    statements_of,
)
from workbench.page.data.measured import measured
from workbench.page.leads import STRIP, standard_name

CLASSES = {
    "1.2.840.10008.5.1.4.1.1.9.1.1": "12-lead ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.2": "general ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.3": "ambulatory ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.4": "general 32-bit ECG",
}
"""SOP classes that are read."""

LEAD_CODES = (
    {1: "I", 2: "II", 3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6", 9: "V7", 10: "V2R", 11: "V3R", 12: "V4R",
     13: "V5R", 14: "V6R", 15: "V7R", 16: "X", 17: "Y", 18: "Z", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF",
     65: "-aVR", 66: "V8", 67: "V9", 68: "V8R", 69: "V9R"}
)  # fmt: skip
"""Leads by the last number of their SCPECG and MDC codes."""

_MEASURED = {
    "5.10.2.1-3": "RR", "5.10.2.1-5": "PP", "5.13.5-7": "PR", "5.13.5-9": "QRS", "5.13.5-11": "QT",
    "5.10.2.5-5": "QTc", "5.10.3-11": "P_axis", "5.10.3-13": "QRS_axis", "5.10.3-15": "T_axis",
    "2:16168": "RR", "2:16140": "PP", "2:16184": "P", "2:15872": "PR", "2:16156": "QRS", "2:16160": "QT",
    "2:15876": "QTc", "2:15880": "QTcB", "2:15892": "QTcF", "2:16128": "P_axis", "2:16132": "QRS_axis",
    "2:16136": "T_axis", "2:16016": "heart_rate", "2:16020": "atrial_rate",
}  # fmt: skip
"""Names of global measurements by SCPECG and MDC code (PS3.16 CID 3227 to 3229)."""

_TYPES = {"SB": "i1", "UB": "u1", "SS": "i2", "US": "u2", "SL": "i4", "UL": "u4"}
_LARGEST = 2 << 30
_CLASS, _SYNTAX = 0x0002, 0x0010
_DEFLATED = "1.2.840.10008.1.2.1.99"
_UNFOLDED = 512 << 20
_ADVICE = "Export or copy the file again."


@dataclass(frozen=True)
class _Group:
    """One multiplex group: samples of the same moments."""

    number: int
    label: str
    original: bool
    rate: float
    samples: int
    offset: float
    codes: tuple[str, ...]
    names: tuple[str, ...]
    item: Any

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    def __str__(self) -> str:
        return f"{self.label or 'without a label'} ({'original' if self.original else 'derived'}, {self.seconds:.3g} s)"


def is_ecg(path: Path) -> bool:
    """Whether a file is DICOM of one of the classes that are read; nothing but its head is looked at."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 14)
    except OSError:
        return False
    if head[128:132] != b"DICM":  # without a preamble: the class stands among the first elements
        return path.suffix.lower() == ".dcm" and any(uid.encode() in head for uid in CLASSES)
    return _meta(head).get(_CLASS, "") in CLASSES


def _meta(raw: bytes) -> dict[int, str]:
    """Elements of the file meta group, (0002,xxxx), as text; always explicit and little endian (PS3.10 7.1)."""
    found: dict[int, str] = {}
    at = 132
    while at + 8 <= len(raw) and raw[at : at + 2] == b"\x02\0":
        long = raw[at + 4 : at + 6] in (b"OB", b"UN", b"OW")
        size = int.from_bytes(raw[at + 8 : at + 12] if long else raw[at + 6 : at + 8], "little")
        begin = at + (12 if long else 8)
        found[int.from_bytes(raw[at + 2 : at + 4], "little")] = raw[begin : begin + size].decode("latin-1").strip("\0 ")
        at = begin + size
    return found


def read(path: Path) -> Image:
    """Open a DICOM electrocardiogram.

    Returns
    -------
    workbench.core.types.Image
        Kind ``page``: ``(leads, samples)`` float32 [mV], NaN for padding. The original rhythm is read and derived
        median beats are left out, with a note; original groups of different leads at one rate lie where their offsets
        say. What the device measured is in ``header["measurements"]`` (`workbench.page.data.measured.NAMES`).

    Raises
    ------
    InputError
        It is no such file, is damaged, holds fewer samples than it counts, or gives no voltage of a step.
    """
    data = _dataset(path)
    notes: list[str] = []
    groups = [g for n, item in enumerate(data.get("WaveformSequence") or [], 1) if (g := _group(path, n, item, notes))]
    if not groups:
        raise InputError(f"{path}: holds no group of leads, expected a Waveform Sequence. {_ADVICE}")
    chosen = _chosen(groups, notes)
    leads = tuple(dict.fromkeys(name for g in chosen for name in g.names))
    rate = chosen[0].rate
    begin = min(g.offset for g in chosen)
    places = [round((g.offset - begin) * rate) for g in chosen]
    total = max(place + g.samples for place, g in zip(places, chosen, strict=True))
    endian = ">" if data.original_encoding[1] is False else "<"
    if total > 20 * sum(g.samples for g in chosen):
        raise InputError(f"{path}: its groups lie {total / rate:g} s apart, expected one recording. {_ADVICE}")
    for group in chosen:  # looked at now, for what is to be said of them; kept are only the places
        notes += plausible.odd(path, group.names, _millivolts(path, group, endian, notes))
    chosen = [replace(group, item=None) for group in chosen]

    def load() -> npt.NDArray[np.float32]:
        again = _dataset(path).get("WaveformSequence") or []
        out = np.full((len(leads), total), np.nan, np.float32)
        for place, group in zip(places, chosen, strict=True):
            fresh = _group(path, group.number, again[group.number - 1], [])
            if fresh is None or fresh.names != group.names:
                raise InputError(f"{path}: was changed since it was opened; open it again")
            for lead, row in zip(group.names, _millivolts(path, fresh, endian, []), strict=True):
                out[leads.index(lead), place : place + group.samples] = row
        return out

    return ecg_image(
        path, leads, total, rate, load, format="dicom-ecg", header=_header(data, notes), notes=notes,
    )  # fmt: skip


def _dataset(path: Path) -> Any:
    """The file as pydicom reads it, after looking at what could hurt."""
    import pydicom

    size = path.stat().st_size
    if not 132 <= size <= _LARGEST:
        raise InputError(f"{path}: has {size} bytes, expected a DICOM electrocardiogram of up to {_LARGEST >> 30} GiB.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd UIDs and the like say nothing of the samples
        with reading(path, "no DICOM file that can be read", _ADVICE, kinds=_parsing()):
            # From memory: of a file, a length beyond its end would be taken of memory before it is read.
            raw = path.read_bytes()
            magic = raw[128:132] == b"DICM"
            if magic and _meta(raw[: 1 << 14]).get(_SYNTAX) == _DEFLATED:
                _require_small(path, raw)
            data = pydicom.dcmread(io.BytesIO(raw), force=not magic)
            uid = str(data.get("SOPClassUID", ""))
    if uid not in CLASSES:
        name = CLASSES.get(uid, uid) or "no class"
        raise InputError(f"{path}: is DICOM of the class {shortened(name)}, expected {', '.join(CLASSES.values())}.")
    return data


def _parsing() -> tuple[type[Exception], ...]:
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (*PARSING, InvalidDicomError, BytesLengthException)


def _require_small(path: Path, raw: bytes) -> None:
    """Refuse a deflated file that unfolds to more than files of this kind hold."""
    unfold = zlib.decompressobj(-zlib.MAX_WBITS)
    start = raw.find(b"DICM") + 4
    length = int.from_bytes(raw[start + 8 : start + 12], "little") + 12
    size, rest = 0, raw[start + length :]
    while rest and not unfold.eof and size < _UNFOLDED:
        size += len(unfold.decompress(rest, 1 << 20))
        rest = unfold.unconsumed_tail
    if size >= _UNFOLDED:
        raise InputError(f"{path}: unfolds to more than {_UNFOLDED >> 20} MiB. Export it without compression.")


def _text(value: Any) -> str:
    return "" if value is None else visible(str(value).replace("\0", "").strip())[:60]


def _number(path: Path, what: str, value: Any, default: float | None = None) -> float:
    """A finite number of an element, or what is wrong with it."""
    if value is None or value == "":
        if default is not None:
            return default
        raise InputError(f"{path}: {what} is missing, expected a number. {_ADVICE}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{path}: {what} is {shortened(str(value), 30)}, expected a number. {_ADVICE}")
    return number


def _group(path: Path, number: int, item: Any, notes: list[str]) -> _Group | None:
    """What a group says of itself; ``None`` for one without samples."""
    with reading(path, f"group {number} cannot be read", _ADVICE, kinds=_parsing()):
        stated = {k: item.get(k) for k in (
            "NumberOfWaveformChannels", "NumberOfWaveformSamples", "SamplingFrequency", "MultiplexGroupTimeOffset",
            "MultiplexGroupLabel", "WaveformOriginality")}  # fmt: skip
        channels = list(item.get("ChannelDefinitionSequence") or [])
    count = _number(path, f"the number of channels of group {number}", stated["NumberOfWaveformChannels"])
    samples = _number(path, f"the number of samples of group {number}", stated["NumberOfWaveformSamples"])
    rate = _number(path, f"the sampling rate of group {number}", stated["SamplingFrequency"])
    offset = _number(path, f"the time offset of group {number}", stated["MultiplexGroupTimeOffset"], 0.0) / 1000
    if samples == 0:
        return None
    if count != len(channels) or not 1 <= count <= MOST_LEADS:
        raise InputError(f"{path}: group {number} counts {count:g} channels and describes {len(channels)}, expected as"
                         f" many, up to {MOST_LEADS}. {_ADVICE}")  # fmt: skip
    require_rate(path, rate)
    codes, labels = [], []
    for place, channel in enumerate(channels, 1):
        with reading(path, f"channel {place} of group {number} cannot be read", _ADVICE, kinds=_parsing()):
            code, label = _lead(channel, place, notes)
        codes.append(code)
        labels.append(label)
    names, odd = lead_names(labels)
    notes.extend(odd)
    original = _text(stated["WaveformOriginality"]).upper() != "DERIVED"
    label = _text(stated["MultiplexGroupLabel"])
    return _Group(number, label, original, rate, int(samples), offset, tuple(codes), names, item)


def _lead(channel: Any, place: int, notes: list[str]) -> tuple[str, str]:
    """Code and name of a channel: by its code where it has one, else by its label, which is said."""
    source = next(iter(channel.get("ChannelSourceSequence") or []), None)
    code = scheme = meaning = ""
    if source is not None:
        code, scheme = _text(source.get("CodeValue")), _text(source.get("CodingSchemeDesignator")).upper()
        meaning = _text(source.get("CodeMeaning"))
    label = _text(channel.get("ChannelLabel"))
    name = _lead_of_code(code, scheme)
    said = meaning or label
    if name is None:
        if code and "5.6.3-9-0" not in code and code != "2:0":
            notes.append(f"channel {place} has the code {code} ({scheme or 'no scheme'}), which is no lead"
                         f" known here: named"
                         f" by its label {shortened(said or 'channel', 30)}")  # fmt: skip
        return code, label or meaning or f"channel {place}"
    base = label.removesuffix(STRIP)
    if base != label and name in (base, standard_name(base)):
        return code, f"{name}{STRIP}"
    other = standard_name(said)
    if other is not None and other != name:
        notes.append(
            f"channel {place} is {name} by its code {code}, and its label says {shortened(said, 30)}: the code counts"
        )
    return code, name


def _lead_of_code(code: str, scheme: str) -> str | None:
    """Name of a lead by its code; ``None`` where the code is none."""
    tail = ""
    if scheme == "SCPECG" and code.startswith("5.6.3-9-"):
        tail = code.removeprefix("5.6.3-9-")
    elif scheme == "MDC" and code.startswith("2:"):
        tail = code.removeprefix("2:")
    elif scheme == "MDC" and code.startswith("MDC_ECG_LEAD_"):
        return standard_name(code.removeprefix("MDC_ECG_LEAD_"))
    elif scheme == "MDC" and code.isdigit() and len(code) == 6:
        tail = str(int(code) - 131072)
    if not tail.isdigit():
        return None
    number = int(tail)
    return LEAD_CODES.get(number - 256 if 256 < number < 512 else number)  # 2:257 and up: the potential of that lead


def _chosen(groups: list[_Group], notes: list[str]) -> list[_Group]:
    """The groups that are read together: the longest original one, and others of the same rate with other leads."""
    first = max(groups, key=lambda g: (g.original, g.seconds, -g.number))
    chosen, left = [first], list[_Group]()
    for group in groups:
        if group is first:
            continue
        seen = {name for g in chosen for name in g.names}
        fits = group.original and group.rate == first.rate and not seen & set(group.names)
        (chosen if fits else left).append(group)
    if not first.original:
        notes.append(f"holds no original recording: {first} was read")
    if left:
        notes.append(f"{len(left)} more group(s) were left out: {listed(str(g) for g in left)}")
    if len(chosen) > 1:
        notes.append(f"{len(chosen)} groups of different leads lie where their offsets say; no signal elsewhere")
    return sorted(chosen, key=lambda g: g.number)


def _millivolts(path: Path, group: _Group, endian: str, notes: list[str]) -> npt.NDArray[np.float32]:
    """Samples of a group, ``(channels, samples)`` float32 [mV]."""
    item, number = group.item, group.number
    with reading(path, f"samples of group {number} cannot be read", _ADVICE, kinds=_parsing()):
        how = _text(item.get("WaveformSampleInterpretation")).upper()
        bits = item.get("WaveformBitsAllocated")
        raw = item.get("WaveformData")
        padding = item.get("WaveformPaddingValue")
        channels = list(item.ChannelDefinitionSequence)
    if how not in _TYPES:
        raise InputError(f"{path}: samples of group {number} are {shortened(how, 10)}, expected {', '.join(_TYPES)}.")
    kind = np.dtype(endian + _TYPES[how])
    if bits != 8 * kind.itemsize:
        raise InputError(f"{path}: group {number} has {bits} bits for {how}, expected {8 * kind.itemsize}. {_ADVICE}")
    if not isinstance(raw, bytes):
        raise InputError(f"{path}: group {number} holds no waveform data. {_ADVICE}")
    needed = group.samples * len(channels) * kind.itemsize
    if len(raw) < needed:
        raise InputError(f"{path}: group {number} counts {group.samples} samples of {len(channels)} channels, {needed}"
                         f" bytes, and holds {len(raw)}. It was cut off: copy it again.")  # fmt: skip
    if len(raw) > needed + 1:
        notes.append(f"group {number} holds {len(raw) - needed} bytes behind its samples")
    stored = np.frombuffer(raw[:needed], kind).reshape(group.samples, len(channels)).T
    lost = _padded(stored, _padding(padding, kind), number, notes)
    out = np.empty(stored.shape, np.float32)
    for n, channel in enumerate(channels):
        with reading(path, f"channel {n + 1} of group {number} cannot be read", _ADVICE, kinds=_parsing()):
            step, baseline, skew = _scale(path, channel, group, n)
        row = (stored[n].astype(np.float64) * step + baseline).astype(np.float32)
        row[lost[n]] = np.nan
        out[n] = _shifted(row, skew, group.names[n], notes)
    return out


def _scale(path: Path, channel: Any, group: _Group, n: int) -> tuple[float, float, float]:
    """Millivolts of one step, the baseline [mV], and the skew in samples of a channel."""
    what = f"channel {group.names[n]} of group {group.number}"
    units = next(iter(channel.get("ChannelSensitivityUnitsSequence") or []), None)
    unit = "" if units is None else _text(units.get("CodeValue"))
    sensitivity = channel.get("ChannelSensitivity")
    if sensitivity is None:
        raise InputError(f"{path}: {what} has no sensitivity: it is not calibrated, and no gain is guessed. {_ADVICE}")
    factor = millivolts_of(unit)
    if factor is None or unit == "MV":  # UCUM is case sensitive: MV is the megavolt
        raise InputError(f"{path}: {what} is in {unit or 'no unit'}, expected uV, mV or V. {_ADVICE}")
    step = _number(path, f"sensitivity of {what}", sensitivity)
    step *= _number(path, f"correction factor of {what}", channel.get("ChannelSensitivityCorrectionFactor"), 1.0)
    baseline = _number(path, f"baseline of {what}", channel.get("ChannelBaseline"), 0.0)
    if step == 0 or abs(step * factor) > 1e6 or abs(baseline * factor) > 1e9:
        raise InputError(f"{path}: one step of {what} is {step:g} {unit} and its baseline {baseline:g}. {_ADVICE}")
    skew = _number(path, f"sample skew of {what}", channel.get("ChannelSampleSkew"), 0.0)
    skew += _number(path, f"time skew of {what}", channel.get("ChannelTimeSkew"), 0.0) * group.rate
    if abs(skew) > group.rate:
        raise InputError(f"{path}: {what} is skewed by {skew:g} samples, expected less than a second. {_ADVICE}")
    return step * factor, baseline * factor, skew


def _padding(value: Any, kind: np.dtype[Any]) -> int | None:
    """The padding value as a number."""
    if isinstance(value, bytes) and len(value) >= kind.itemsize:
        return int(np.frombuffer(value[: kind.itemsize], kind)[0])
    return int(value) if isinstance(value, int) else None


def _padded(stored: npt.NDArray[Any], padding: int | None, number: int, notes: list[str]) -> npt.NDArray[np.bool_]:
    """Which samples are padding, ``(channels, samples)``.

    A padding value that the signal itself takes (hl7_example.dcm states 0) cannot be told from a sample: it counts
    where all channels hold it together up to an end of the group, and elsewhere the samples are taken as measured.
    """
    if padding is None:
        return np.zeros(stored.shape, bool)
    equal: npt.NDArray[np.bool_] = stored == padding
    if not equal.any():
        return equal
    others = stored[~equal]
    if others.size == 0 or padding <= int(others.min()) or padding >= int(others.max()):
        return equal
    together = np.logical_and.reduce(equal, axis=0) if len(stored) > 1 else np.zeros(stored.shape[1], bool)
    at_end = np.zeros(stored.shape[1], bool)
    for run in (slice(None), slice(None, None, -1)):
        length = int(np.argmin(together[run])) if not together.all() else len(together)
        if length > 1:
            at_end[run][:length] = True
    lost = np.broadcast_to(at_end, stored.shape).copy()
    measured_too = int(np.count_nonzero(equal & ~lost))
    notes.append(
        f"the padding value {padding} of group {number} is a value that the leads take too: {measured_too} such samples"
        f" were taken as measured, {int(np.count_nonzero(lost))} at the ends as padding"
    )
    return lost


def _shifted(row: npt.NDArray[np.float32], skew: float, name: str, notes: list[str]) -> npt.NDArray[np.float32]:
    """A channel at the moments of its group: its first sample lies `skew` samples behind the start."""
    whole = round(skew)
    if abs(skew - whole) > 1e-6:
        notes.append(f"{name} lies {skew - whole:+.3g} of a sample beside the other leads, which was not corrected")
    if whole == 0:
        return row
    notes.append(f"{name} was moved by its skew of {whole} samples")
    out = np.full_like(row, np.nan)
    if whole > 0:
        out[whole:] = row[:-whole]
    else:
        out[:whole] = row[-whole:]
    return out


def _header(data: Any, notes: list[str]) -> dict[str, Any]:
    """Age, sex, device, measurements and statements; no names, numbers or dates of people."""
    measurements: dict[str, Any] = {}
    statements: list[str] = []
    clash: set[str] = set()
    try:
        for item in data.get("WaveformAnnotationSequence") or []:
            concept = next(iter(item.get("ConceptNameCodeSequence") or []), None)
            if concept is None:
                statements.append(str(item.get("UnformattedTextValue") or ""))
                continue
            name = _MEASURED.get(_text(concept.get("CodeValue")))
            value = item.get("NumericValue")
            if name is None or value is None:
                continue
            units = next(iter(item.get("MeasurementUnitsCodeSequence") or []), None)
            number, note = measured(name, float(value), "" if units is None else _text(units.get("CodeValue")))
            if note:
                notes.append(note)
            if number is not None and measurements.setdefault(name, number) != number:
                clash.add(name)
        age = _text(data.get("PatientAge"))
        sex, device = _text(data.get("PatientSex")), _text(data.get("ManufacturerModelName"))
        maker = _text(data.get("Manufacturer"))
    except _parsing() as error:
        notes.append(f"what the device measured cannot be read ({type(error).__name__}) and was left out")
        return {}
    if clash:
        notes.append(
            f"the file measures {listed(sorted(clash))} more than once with different values: the first is given"
        )
    return {
        "measurements": measurements,
        "statements": statements_of(statements),
        "age": int(age[:3]) if age[:3].isdigit() and age[3:] == "Y" else None,
        "sex": sex if sex in ("F", "M", "O") else None,
        "device": device,
        "manufacturer": maker,
    }
