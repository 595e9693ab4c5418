"""Electrocardiograms made for tests: samples that are known, and files of formats that no library writes."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from workbench.page.leads import STANDARD

EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


def heart(leads: int = 12, samples: int = 2500, rate: float = 500.0, seed: int = 0) -> np.ndarray:
    """``(leads, samples)`` float64 [mV]: beats of different sizes with noise, no lead like another."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / rate
    phase = (time * 1.2) % 1.0
    shape = np.exp(-(((phase - 0.4) / 0.015) ** 2)) + 0.2 * np.exp(-(((phase - 0.65) / 0.05) ** 2))
    sizes = np.linspace(-1.0, 2.0, leads)[:, None]
    return sizes * shape + rng.normal(0, 0.01, (leads, samples))


def whole_leads(samples: int = 2500, seed: int = 0) -> dict[str, np.ndarray]:
    """Eight leads as whole steps of 16 bits."""
    rows = np.round(heart(8, samples, seed=seed) * 1000 / 4.88).astype(np.int16)
    return dict(zip(EIGHT, rows, strict=True))


def muse_xml(leads: dict[str, np.ndarray], *, change: dict[str, str] | None = None, crc: bool = True) -> str:
    """A MUSE file of those leads, with a median beat before the rhythm; `change` replaces text of the rhythm."""

    def lead(name: str, row: np.ndarray) -> str:
        raw = row.astype("<i2").tobytes()
        return (
            f"<LeadData><LeadByteCountTotal>{len(raw)}</LeadByteCountTotal>"
            f"<LeadSampleCountTotal>{len(row)}</LeadSampleCountTotal>"
            "<LeadAmplitudeUnitsPerBit>4.88</LeadAmplitudeUnitsPerBit>"
            f"<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadID>{name}</LeadID>"
            "<LeadSampleSize>2</LeadSampleSize><LeadOff>FALSE</LeadOff>"
            f"<LeadDataCRC32>{zlib.crc32(raw) if crc else 12345}</LeadDataCRC32>"
            f"<WaveFormData>\n{base64.encodebytes(raw).decode()}</WaveFormData></LeadData>"
        )

    head = "<SampleType>CONTINUOUS_SAMPLES</SampleType><SampleBase>500</SampleBase><SampleExponent>0</SampleExponent>"
    median = "".join(lead(n, r[:600] // 2) for n, r in leads.items())
    rhythm = f"<Waveform><WaveformType>Rhythm</WaveformType>{head}{''.join(lead(n, r) for n, r in leads.items())}"
    for old, new in (change or {}).items():
        assert old in rhythm
        rhythm = rhythm.replace(old, new)
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<!DOCTYPE RestingECG SYSTEM "restecg.dtd">\n<RestingECG>'
        "<PatientDemographics><PatientAge>61</PatientAge><AgeUnits>YEARS</AgeUnits><Gender>FEMALE</Gender>"
        "<PatientLastName>M\u00fcller</PatientLastName></PatientDemographics>"
        "<TestDemographics><AcquisitionDevice>MAC55</AcquisitionDevice></TestDemographics>"
        "<RestingECGMeasurements><VentricularRate>72</VentricularRate><PRInterval>160</PRInterval>"
        "<QRSDuration>92</QRSDuration><QTInterval>384</QTInterval><QTCorrected>420</QTCorrected><PAxis>45</PAxis>"
        "<RAxis>-12</RAxis><TAxis>33</TAxis></RestingECGMeasurements><Diagnosis>"
        "<DiagnosisStatement><StmtText>Normal sinus rhythm</StmtText></DiagnosisStatement>"
        "<DiagnosisStatement><StmtText>Confirmed by M\u00fcller, ANNA (12)</StmtText></DiagnosisStatement></Diagnosis>"
        f"<Waveform><WaveformType>Median</WaveformType>{head}{median}</Waveform>{rhythm}</Waveform></RestingECG>"
    )


def aecg_xml(
    sets: list[tuple[str, dict[str, list[int]]]],
    *,
    step: str = 'value="2" unit="ms"',
    scale: str = 'value="5" unit="uV"',
    origin: str = 'value="0" unit="uV"',
    code: str = "RHYTHM",
    prefix: str = "",
) -> str:
    """An aECG file of sets of leads: the moment that each begins, and the digits of its leads."""
    p = prefix
    parts = []
    for moment, leads in sets:
        rows = (
            f'<{p}component><{p}sequence><{p}code code="TIME_ABSOLUTE"/><{p}value xsi:type="GLIST_TS">'
            f'<{p}head value="{moment}"/><{p}increment {step}/></{p}value></{p}sequence></{p}component>'
        )
        for name, digits in leads.items():
            rows += (
                f'<{p}component><{p}sequence><{p}code code="MDC_ECG_LEAD_{name}"/><{p}value xsi:type="SLIST_PQ">'
                f"<{p}origin {origin}/><{p}scale {scale}/><{p}digits>{' '.join(map(str, digits))}</{p}digits>"
                f"</{p}value></{p}sequence></{p}component>"
            )
        parts.append(f"<{p}component><{p}sequenceSet>{rows}</{p}sequenceSet></{p}component>")
    space = f"xmlns{':' + p[:-1] if p else ''}"
    root = f'<{p}AnnotatedECG {space}="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    return (
        f'<?xml version="1.0"?>{root}'
        f'<{p}component><{p}series><{p}code code="{code}"/>{"".join(parts)}</{p}series></{p}component>'
        f"</{p}AnnotatedECG>"
    )


def philips_xml(
    rows: np.ndarray, *, version: str = "1.03", labels: str = " ".join(STANDARD), rate: str = "500", raw: bytes = b"",
    packing: str = "",
) -> str:  # fmt: skip
    """A Philips file of ``(leads, samples)`` whole steps of 5 uV, not packed unless `raw` is given."""
    text = base64.b64encode(raw or rows.astype("<i2").tobytes()).decode()
    milliseconds = rows.shape[1] * 1000 / float(rate) if float(rate) else 1000
    named = f'leadlabels="{labels}" numberofleads="{len(rows)}"' if labels else f'numberofleads="{len(rows)}"'
    return (
        '<?xml version="1.0" encoding="UTF-8"?><restingecgdata xmlns="http://www3.medical.philips.com"><documentinfo>'
        f"<documenttype>SierraECG</documenttype><documentversion>{version}</documentversion></documentinfo>"
        f"<dataacquisition><signalcharacteristics><samplingrate>{rate}</samplingrate><resolution>5</resolution>"
        "<signaloffset>0</signaloffset><signalsigned>True</signalsigned><bitspersample>16</bitspersample>"
        f"<acquisitiontype>STD-12</acquisitiontype><numberchannelsallocated>{len(rows)}</numberchannelsallocated>"
        "</signalcharacteristics></dataacquisition><waveforms>"
        f'<parsedwaveforms dataencoding="Base64" {packing} durationperchannel="{milliseconds:g}" {named}>{text}'
        "</parsedwaveforms></waveforms></restingecgdata>"
    )


def xli(rows: np.ndarray) -> bytes:
    """Rows of whole steps packed as XLI, with codes of single bytes only: plain, but what a decoder must read."""
    out = b""
    for row in np.asarray(rows, np.int64):
        # d[n-1] = 2 x[n-1] - x[n-2] - x[n]; the first goes into the header, code n holds d[n] + 64.
        codes = np.full(len(row), 64, np.int64)
        codes[:2] = row[:2]
        wanted = 2 * row[1:-1] - row[:-2] - row[2:]
        codes[2 : 1 + len(wanted)] = wanted[1:] + 64
        words = (codes & 0xFFFF).astype(np.uint16)
        raw = (words >> 8).astype(np.uint8).tobytes() + (words & 255).astype(np.uint8).tobytes()
        bits = "".join(f"{byte:010b}" for byte in raw)
        bits += "0" * (-len(bits) % 8)
        chunk = int(bits, 2).to_bytes(len(bits) // 8, "big")
        out += (
            len(chunk).to_bytes(4, "little") + b"\x01\x00" + int(wanted[0]).to_bytes(2, "little", signed=True) + chunk
        )
    return out


def dicom_ecg(groups: list[dict[str, Any]], *, annotations: list[Any] | None = None, **changes: Any) -> Any:
    """A DICOM electrocardiogram of groups: ``raw`` ``(channels, samples)``, ``channels`` of settings, and more."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = changes.pop("sop", "1.2.840.10008.5.1.4.1.1.9.1.1")
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3.4"
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    items = []
    for group in groups:
        raw, item = group["raw"], Dataset()
        item.WaveformOriginality = group.get("originality", "ORIGINAL")
        item.MultiplexGroupTimeOffset = group.get("offset", 0)
        item.NumberOfWaveformChannels, item.NumberOfWaveformSamples = raw.shape
        item.SamplingFrequency = group.get("rate", 500)
        item.MultiplexGroupLabel = group.get("label", "RHYTHM")
        item.ChannelDefinitionSequence = [_channel(**channel) for channel in group["channels"]]
        item.WaveformBitsAllocated = 8 * raw.dtype.itemsize
        item.WaveformSampleInterpretation = {"i1": "SB", "i2": "SS", "u2": "US", "i4": "SL"}[raw.dtype.str[1:]]
        if "padding" in group:
            item.add_new("WaveformPaddingValue", "OW", raw.dtype.type(group["padding"]).tobytes())
        item.add_new("WaveformData", "OW", raw.T.tobytes())
        items.append(item)
    data.WaveformSequence = items
    if annotations:
        data.WaveformAnnotationSequence = annotations
    for name, value in changes.items():
        setattr(data, name, value)
    return data


def _channel(
    code: str = "5.6.3-9-1", scheme: str = "SCPECG", meaning: str = "Lead", unit: str = "uV", sensitivity: Any = 2.5,
    factor: Any = 1, baseline: Any = 0, skew: Any = 0, label: str = "",
) -> Any:  # fmt: skip
    from pydicom.dataset import Dataset

    channel, source, units = Dataset(), Dataset(), Dataset()
    source.CodeValue, source.CodingSchemeDesignator, source.CodeMeaning = code, scheme, meaning
    units.CodeValue, units.CodingSchemeDesignator, units.CodeMeaning = unit, "UCUM", unit
    channel.ChannelSourceSequence = [source]
    channel.ChannelSensitivityUnitsSequence = [units]
    if sensitivity is not None:
        channel.ChannelSensitivity = sensitivity
    channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = factor, baseline
    channel.ChannelSampleSkew = skew
    if label:
        channel.ChannelLabel = label
    return channel


def numeric(code: str, scheme: str, value: Any, unit: str) -> Any:
    """One annotation of a DICOM file with a number."""
    from pydicom.dataset import Dataset

    item, name, units = Dataset(), Dataset(), Dataset()
    name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = code, scheme, "measured"
    units.CodeValue, units.CodingSchemeDesignator, units.CodeMeaning = unit, "UCUM", unit
    item.ConceptNameCodeSequence, item.MeasurementUnitsCodeSequence = [name], [units]
    item.NumericValue = value
    return item


def wfdb_record(folder: Path, name: str, raw: np.ndarray, lines: list[str], head: str = "", comments: str = "") -> Path:
    """A WFDB record of format 16: ``(signals, samples)`` int16 and what stands in a line behind the format."""
    (folder / f"{name}.dat").write_bytes(raw.T.astype("<i2").tobytes())
    text = [head or f"{name} {len(raw)} 500 {raw.shape[1]}", *(f"{name}.dat 16 {line}" for line in lines)]
    path = folder / f"{name}.hea"
    path.write_text("\n".join(text) + "\n" + comments, encoding="utf-8")
    return path
