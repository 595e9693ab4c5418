"""Electrocardiograms to files that others read: WFDB, DICOM, CSV and EDF+.

All four take ``(leads, samples)`` [mV] with NaN where there is no sample. Three store whole steps of 16 bits: the step
of each lead is the finest of `STEPS_UV` that holds it, so that a sample comes back within half a step; up to 1 uV for
any heart, up to 100 uV for electrodes that drift (`coarse` says so). What the formats say of gaps: WFDB and DICOM have
a value for "no sample" (-32768); CSV leaves the cell empty; EDF has none, so a gap lies at the physical minimum of its
lead, which no sample of ours takes, and an annotation names each.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.atomic import replacing
from workbench.core.csv_text import safe_cell
from workbench.core.errors import UsageError, visible
from workbench.page.data.dicom_ecg import LEAD_CODES
from workbench.page.data.edf_leads import AFTER_THE_END, NO_SIGNAL
from workbench.page.data.stored import GAP, TOP, eight, require_writable, stored
from workbench.page.leads import STRIP


def write_wfdb(
    signals: npt.NDArray[np.floating[Any]],
    leads: Sequence[str],
    sampling_rate: float,
    path: Path,
    *,
    start: datetime | None = None,
    comments: Sequence[str] = (),
) -> tuple[Path, ...]:
    """Write a WFDB record of format 16; returns the header and the file of samples.

    Gain and baseline are stated for every lead, so that no reader has to find them, and a lead without a sample is
    written like any other (`wfdb.wrsamp` fails on one).

    Parameters
    ----------
    signals
        ``(leads, samples)`` float [mV], NaN where there is no sample.
    leads
        One name for each row.
    sampling_rate
        Samples per second [Hz].
    path
        The ``.hea`` file; the samples go into the ``.dat`` beside it. Its name may hold letters, digits, hyphens
        and underscores.
    start
        Moment of the first sample; without one the header has no date.
    comments
        Lines for the header.

    Raises
    ------
    UsageError
        Shape, names, rate or values cannot be written; nothing is.
    """
    require_writable(signals, leads, sampling_rate)
    path = path.with_suffix(".hea")
    header, body = wfdb_texts(signals, leads, sampling_rate, path.stem, start=start, comments=comments)
    beside = path.with_suffix(".dat")
    with replacing(beside) as part:
        part.write_bytes(body)
    with replacing(path) as part:
        part.write_text(header, encoding="ascii")
    return path, beside


def wfdb_name(name: str) -> str:
    """A name as one of a WFDB record: what is no ASCII letter, digit, hyphen or underscore becomes an underscore."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name) or "record"


def wfdb_texts(
    signals: npt.NDArray[np.floating[Any]],
    leads: Sequence[str],
    sampling_rate: float,
    name: str,
    *,
    start: datetime | None = None,
    comments: Sequence[str] = (),
) -> tuple[str, bytes]:
    """Header and samples of a WFDB record of that name; see `write_wfdb`."""
    require_writable(signals, leads, sampling_rate)
    if name != wfdb_name(name):
        raise UsageError(
            f"'{visible(name)}' cannot name a WFDB record: use letters, digits, - and _, as in {wfdb_name(name)}"
        )
    whole = stored(signals, leads)
    when = "" if start is None else start.strftime(" %H:%M:%S.%f")[:-3] + start.strftime(" %d/%m/%Y")
    lines = [f"{name} {len(leads)} {_number(sampling_rate)} {signals.shape[1]}{when}"]
    for n, lead in enumerate(leads):
        row = whole.data[n]
        gain = f"{_number(1 / whole.steps[n])}({-round(whole.middles[n] / whole.steps[n])})/mV"
        total = int(row.sum(dtype=np.int64)) & 0xFFFF
        lines.append(f"{name}.dat 16 {gain} 16 0 {int(row[0])} {total} 0 {_ascii(lead)}")
    lines += [f"# {_ascii(line)}" for line in comments]
    return "\n".join(lines) + "\n", whole.data.T.astype("<i2").tobytes()


def write_csv(
    signals: npt.NDArray[np.floating[Any]],
    leads: Sequence[str],
    sampling_rate: float,
    path: Path,
    *,
    start: datetime | None = None,
    comments: Sequence[str] = (),
) -> tuple[Path, ...]:
    """Write a table: ``time [s],I [mV],...``, a row for each sample, empty cells where there is none.

    Voltages have five decimals (0.01 uV). Comments, and the moment of the first sample, are lines that begin with
    ``#``.
    The parameters are those of `write_wfdb`.
    """
    with replacing(path) as part:
        part.write_text(csv_text(signals, leads, sampling_rate, start=start, comments=comments), encoding="utf-8")
    return (path,)


def csv_text(
    signals: npt.NDArray[np.floating[Any]],
    leads: Sequence[str],
    sampling_rate: float,
    *,
    start: datetime | None = None,
    comments: Sequence[str] = (),
) -> str:
    """The table that `write_csv` writes. No cell is a formula to a spreadsheet."""
    require_writable(signals, leads, sampling_rate)
    text = io.StringIO()
    for line in (*comments, *([f"start: {start.isoformat()}"] if start is not None else [])):
        text.write(f"# {visible(line)}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time [s]", *(safe_cell(f"{visible(lead)} [mV]") for lead in leads)])
    for n, row in enumerate(np.asarray(signals, np.float64).T.tolist()):
        text.write(f"{n / sampling_rate:.12g}," + ",".join("" if v != v else _plain(v) for v in row) + "\n")
    return text.getvalue()


def _plain(value: float) -> str:
    text = f"{value:.5f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def write_dicom(
    signals: npt.NDArray[np.floating[Any]],
    leads: Sequence[str],
    sampling_rate: float,
    path: Path,
    *,
    start: datetime | None = None,
    comments: Sequence[str] = (),
) -> tuple[Path, ...]:
    """Write a DICOM electrocardiogram without data of a patient.

    The class is the first that its limits allow (PS3.3 A.34): 12-lead ECG (up to 13 leads of 16384 samples, 200 to
    1000 Hz), general ECG (up to 24 leads, 200 to 1000 Hz), ambulatory ECG (up to 12 leads, 50 to 1000 Hz). Leads have
    MDC codes (PS3.16 CID 3001); the padding value -32768 stands for gaps; the step of each lead is its sensitivity in
    uV. Identifiers are made of the content: equal signals give equal bytes. Without `start` the dates, which the
    standard demands, are 1 January 1900, and the comment says so. The parameters are those of `write_wfdb`.

    Raises
    ------
    UsageError
        Shape, names, rate or values cannot be written; nothing is.
    """
    body = dicom_bytes(signals, leads, sampling_rate, start=start, comments=comments)
    with replacing(path) as part:
        part.write_bytes(body)
    return (path,)


def dicom_bytes(
    signals: npt.NDArray[np.floating[Any]],
    leads: Sequence[str],
    sampling_rate: float,
    *,
    start: datetime | None = None,
    comments: Sequence[str] = (),
) -> bytes:
    """The file that `write_dicom` writes."""
    data = _dataset(signals, leads, sampling_rate, start, comments)
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pydicom warns of values that the standard does not allow
        data.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _class_for(leads: int, samples: int, rate: float) -> str:
    stem = "1.2.840.10008.5.1.4.1.1.9.1."
    if leads <= 13 and samples <= 16384 and 200 <= rate <= 1000:
        return stem + "1"
    if leads <= 24 and 200 <= rate <= 1000:
        return stem + "2"
    if leads <= 12 and 50 <= rate <= 1000:
        return stem + "3"
    raise UsageError(
        f"{leads} leads at {rate:g} Hz fit no class of DICOM electrocardiograms (50 to 1000 Hz, up to 12 leads below"
        " 200 Hz, up to 24 above). Resample them, or write WFDB, CSV or EDF."
    )


def _dataset(
    signals: npt.NDArray[np.floating[Any]],
    leads: Sequence[str],
    rate: float,
    start: datetime | None,
    comments: Sequence[str],
) -> Any:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

    require_writable(signals, leads, rate)
    uid = _class_for(len(leads), signals.shape[1], rate)
    whole = stored(signals, leads)
    about = repr((list(leads), rate, str(start), whole.steps, list(comments)))
    digest = hashlib.sha256(whole.data.tobytes() + about.encode()).hexdigest()
    made = [generate_uid(entropy_srcs=[digest, what]) for what in ("instance", "series", "study")]
    when = start or datetime(1900, 1, 1)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = UID(uid)
    data.file_meta.MediaStorageSOPInstanceUID = made[0]
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.ImplementationClassUID = UID("1.2.826.0.1.3680043.8.498.1")
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID, data.SOPInstanceUID, data.SeriesInstanceUID, data.StudyInstanceUID = uid, *made
    data.Modality = "ECG"
    data.StudyDate = data.ContentDate = when.strftime("%Y%m%d")
    data.StudyTime = data.ContentTime = when.strftime("%H%M%S.%f")
    data.AcquisitionDateTime = when.strftime("%Y%m%d%H%M%S.%f")
    for name in ("AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID", "PatientBirthDate",
                 "PatientSex", "StudyID"):  # fmt: skip
        setattr(data, name, "")
    data.Manufacturer = "napari-workbench"
    data.ManufacturerModelName, data.DeviceSerialNumber, data.SoftwareVersions = "napari-workbench", "none", "none"
    data.SeriesNumber, data.InstanceNumber = 1, 1
    data.AcquisitionContextSequence = []
    steps = sorted({round(1000 * s, 4) for s in whole.steps})
    said = [*comments, f"one step is {' or '.join(f'{s:g}' for s in steps)} uV"]
    if start is None:
        said.append("the date is not known: 1 January 1900 stands for it")
    data.ImageComments = "; ".join(visible(line) for line in said)[:10240]
    group = Dataset()
    group.MultiplexGroupTimeOffset = 0
    group.WaveformOriginality = "DERIVED"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = len(leads), signals.shape[1]
    group.SamplingFrequency = _number(rate)
    group.MultiplexGroupLabel = "RHYTHM"
    group.ChannelDefinitionSequence = [
        _channel(lead, whole.steps[n], whole.middles[n], rate) for n, lead in enumerate(leads)
    ]
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.add_new("WaveformPaddingValue", "OW", int(GAP).to_bytes(2, "little", signed=True))
    group.add_new("WaveformData", "OW", whole.data.T.astype("<i2").tobytes())
    data.WaveformSequence = [group]
    return data


def _channel(lead: str, step: float, middle: float, rate: float) -> Any:
    from pydicom.dataset import Dataset

    codes = {name: code for code, name in LEAD_CODES.items()}
    own = lead.removesuffix(STRIP)  # the label alone tells a strip from the short piece of its lead
    channel, source, unit = Dataset(), Dataset(), Dataset()
    source.CodeValue, source.CodingSchemeDesignator = f"2:{codes.get(own, 0)}", "MDC"
    source.CodeMeaning = f"Lead {visible(own)}"[:64] if own in codes else "Unspecified lead"
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodingSchemeVersion = "uV", "UCUM", "1.4"
    unit.CodeMeaning = "microvolt"
    channel.ChannelLabel = visible(lead)[:16].strip() or "lead"
    channel.ChannelSourceSequence, channel.ChannelSensitivityUnitsSequence = [source], [unit]
    channel.ChannelSensitivity = _number(1000 * step)
    channel.ChannelSensitivityCorrectionFactor = "1"
    channel.ChannelBaseline = _number(1000 * middle)
    channel.ChannelSampleSkew = "0"
    channel.WaveformBitsStored = 16
    return channel


def write_edf(
    signals: npt.NDArray[np.floating[Any]],
    leads: Sequence[str],
    sampling_rate: float,
    path: Path,
    *,
    start: datetime | None = None,
    comments: Sequence[str] = (),
) -> tuple[Path, ...]:
    """Write an EDF+ file (Kemp and Olivan 2003, doi:10.1016/S1388-2457(03)00123-8) of continuous records.

    EDF has no value for "no sample": a gap lies at the physical minimum of its lead, one step below anything that was
    measured, and an annotation ``no signal: V1`` with its onset and duration names it. Records last a whole number of
    seconds, so the last one may be filled up in the same way (``no signal: after the end``). Nothing of a patient is
    written; without `start` the date is 1 January 1985, which EDF writes for an unknown one. The parameters are those
    of `write_wfdb`.

    Raises
    ------
    UsageError
        Shape, names, rate or values cannot be written; nothing is.
    """
    body = edf_bytes(signals, leads, sampling_rate, start=start, comments=comments)
    with replacing(path) as part:
        part.write_bytes(body)
    return (path,)


def edf_bytes(
    signals: npt.NDArray[np.floating[Any]],
    leads: Sequence[str],
    sampling_rate: float,
    *,
    start: datetime | None = None,
    comments: Sequence[str] = (),
) -> bytes:
    """The file that `write_edf` writes."""
    require_writable(signals, leads, sampling_rate)
    seconds, per_record = _record(sampling_rate, signals.shape[1])
    samples = signals.shape[1]
    records = -(-samples // per_record)
    whole = stored(signals, leads)
    data = np.full((len(leads), records * per_record), GAP, np.int16)
    data[:, :samples] = whole.data
    notes = [(0.0, 0.0, visible(line)) for line in comments]
    notes += _gaps(whole.data == GAP, leads, sampling_rate)
    if records * per_record > samples:
        at = samples / sampling_rate
        notes.append((at, records * seconds - at, NO_SIGNAL + AFTER_THE_END))
    texts = _annotations(notes, records, seconds)
    width = max(len(t) for t in texts)
    width += width % 2
    when = start or datetime(1985, 1, 1)
    months = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
    day = "X" if start is None else f"{when.day:02d}-{months[when.month - 1]}-{when.year}"
    count = len(leads) + 1
    low = [m + GAP * s for m, s in zip(whole.middles, whole.steps, strict=True)]
    high = [m + TOP * s for m, s in zip(whole.middles, whole.steps, strict=True)]
    fields: list[tuple[int, list[str]]] = [
        (16, [*(_ascii(f"ECG {lead}") for lead in leads), "EDF Annotations"]),
        (80, [""] * count),
        (8, [*(["mV"] * len(leads)), ""]),
        (8, [*(eight(v) for v in low), "-1"]),
        (8, [*(eight(v) for v in high), "1"]),
        (8, ["-32768"] * count),
        (8, ["32767"] * count),
        (80, [""] * count),
        (8, [*([str(per_record)] * len(leads)), str(width // 2)]),
        (32, [""] * count),
    ]
    head = [
        ("0", 8), ("X X X X", 80), (f"Startdate {day} X X X", 80), (when.strftime("%d.%m.%y"), 8),
        (when.strftime("%H.%M.%S"), 8), (str(256 * (count + 1)), 8), ("EDF+C", 44), (str(records), 8),
        (_number(seconds), 8), (str(count), 4),
    ]  # fmt: skip
    text = "".join(value.ljust(size)[:size] for value, size in head)
    text += "".join(value.ljust(size)[:size] for size, values in fields for value in values)
    parts = [text.encode("ascii")]
    for n in range(records):
        parts.append(data[:, n * per_record : (n + 1) * per_record].astype("<i2").tobytes())
        parts.append(texts[n].ljust(width, b"\0"))
    return b"".join(parts)


def _record(rate: float, samples: int) -> tuple[float, int]:
    """Seconds and samples of one record: whole numbers of both."""
    for seconds in range(1, 101):
        count = rate * seconds
        if abs(count - round(count)) < 1e-9 * count and round(count) >= 1:
            return float(seconds), round(count)
    raise UsageError(
        f"{rate:g} Hz gives no whole number of samples in 1 to 100 s, which EDF needs. Resample, or write"
        f" another format."
    )


def _gaps(lost: npt.NDArray[np.bool_], leads: Sequence[str], rate: float) -> list[tuple[float, float, str]]:
    """Onset [s], duration [s] and text of every run without samples, in the order of their onsets."""
    found = []
    for n, lead in enumerate(leads):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], lost[n].astype(np.int8), [0]))))
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            found.append((begin / rate, (end - begin) / rate, f"{NO_SIGNAL}{visible(lead)}"))
    return sorted(found)


def _annotations(notes: list[tuple[float, float, str]], records: int, seconds: float) -> list[bytes]:
    """Lists of annotations (TAL), one for each record; each begins with the moment of its record."""
    texts = [f"+{_number(n * seconds)}\x14\x14\0".encode("ascii") for n in range(records)]
    for onset, duration, text in notes:
        place = min(int(onset // seconds), records - 1)
        lasting = f"\x15{_number(duration)}" if duration else ""
        texts[place] += f"+{_number(onset)}{lasting}\x14{text}\x14\0".encode()
    return texts


def _number(value: float) -> str:
    """A number in as few characters as give it back, up to twelve digits."""
    return f"{value:.12g}" if abs(value) < 1e12 else repr(value)


def _ascii(text: str) -> str:
    """One line of ASCII; other letters become question marks."""
    return " ".join(visible(text).encode("ascii", "replace").decode("ascii").split())
