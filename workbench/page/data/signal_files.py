"""From a path to an electrocardiogram: which module reads it, and in plain words what it is where none does."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, UsageError
from workbench.core.kinds import Verdict
from workbench.core.types import Image
from workbench.data.header_text import shortened

_HERE = "workbench.page.data."
_MODULES = {
    "wfdb": _HERE + "wfdb_files",
    "csv": _HERE + "csv_files",
    "dicom-ecg": _HERE + "dicom_ecg",
    "aecg": _HERE + "aecg_xml",
    "muse": _HERE + "muse_xml",
    "philips": _HERE + "philips_xml",
    "scp": _HERE + "scp_files",
    "edf": _HERE + "edf_leads",
}
_TITLES = {
    "wfdb": "a WFDB header", "csv": "a table of leads", "dicom-ecg": "a DICOM electrocardiogram", "aecg": "HL7 aECG",
    "muse": "GE MUSE", "philips": "Philips Sierra", "scp": "SCP-ECG", "edf": "an EDF file of leads",
}  # fmt: skip
_BY_SUFFIX = {
    ".hea": ("wfdb",), ".csv": ("csv",), ".tsv": ("csv",), ".dcm": ("dicom-ecg",), ".xml": ("aecg", "muse", "philips"),
    ".scp": ("scp",), ".edf": ("edf",),
}  # fmt: skip
_XML = {"AnnotatedECG": "aecg", "RestingECG": "muse", "restingecgdata": "philips"}
SUFFIXES = tuple(_BY_SUFFIX)
"""Suffixes of files that may be electrocardiograms."""


def module_of(path: Path) -> str | None:
    """Name of the format of a file by its suffix and its content; ``None`` where it is none of those that are read.

    A suffix only says which contents to look for; a file without one is asked for all that have a sign of their own.
    """
    named = _BY_SUFFIX.get(path.suffix.lower())
    names = named or (("dicom-ecg", "scp", "aecg") if _says_nothing(path.suffix) else ())
    if any(name in _XML.values() for name in names):
        from workbench.page.data import xml_tree

        if found := _XML.get(xml_tree.root_of(path)):
            return found
    return next((n for n in names if n not in _XML.values() and _module(n).is_ecg(path)), None)


def _says_nothing(suffix: str) -> bool:
    """Whether a name has no suffix, or is a UID, whose last number looks like one."""
    return suffix[1:].isdigit() or not suffix


def sniff(path: Path) -> Verdict:
    """Whether a file is an electrocardiogram: ``"sure"`` by its content, ``"no"`` otherwise.

    Every format has a sign of its own, so that "maybe" is never needed: a table needs three leads in its first row, and
    an EDF file three leads and nothing else, or else it is a recording until somebody says otherwise.
    """
    if not path.is_file():
        return "no"
    return "sure" if module_of(path) is not None else "no"


def read(path: Path, key: str | None = None) -> Image:
    """Open an electrocardiogram of any format that is read.

    Parameters
    ----------
    path
        A file. Of a WFDB record the header; a file of its samples is led to the header beside it.
    key
        These files hold no named arrays: must be left out.

    Returns
    -------
    workbench.core.types.Image
        Kind ``page``: ``(leads, samples)`` float32 [mV], NaN where there is no sample.

    Raises
    ------
    InputError
        It is none of these formats, or is damaged; the message says what it is where that is known.
    MissingExtra
        It is SCP-ECG, and the package for it is not installed.
    """
    if key is not None:
        raise UsageError(f"{path}: an electrocardiogram holds no arrays to choose from; leave out '{key}'")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected one file of an electrocardiogram. Name the file.")
    if not path.is_file():
        raise InputError(f"{path}: no such file. Check its name.")
    name = module_of(path)
    if name is None and (header := path.with_suffix(".hea")) != path and header.is_file():
        name, path = ("wfdb", header) if _module("wfdb").is_ecg(header) else (None, path)
    if name is None and path.suffix.lower() == ".edf":
        name = "edf"  # somebody says that it is an electrocardiogram; the reader says where it holds no lead
    if name is None:
        raise InputError(_explained(path))
    image: Image = _module(name).read(path)
    return image


def is_companion(path: Path) -> bool:
    """Whether a file belongs to a record beside it: samples and marks of a WFDB header, the unit of a table."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        table = path.with_suffix(".csv")
        return os.path.isfile(table) and _module("csv").is_ecg(table)  # a name may be too long for the system
    header = path.with_suffix(".hea")
    return suffix not in SUFFIXES and os.path.isfile(header) and _module("wfdb").is_ecg(header)


def reading_bytes(image: Image) -> int:
    """Memory that reading the samples takes besides the samples themselves, from the opened image."""
    if image.format == "wfdb":  # whole numbers of 32 bits of all signals, and one signal in float64
        return 4 * image.geometry.shape[0] * len(image.channels) + 24 * image.geometry.shape[0]
    if image.format == "dicom-ecg":
        return sum(file.stat().st_size for file in image.files if file.is_file()) + 24 * image.geometry.shape[0]
    return 0  # parsed whole when it was opened


def _module(name: str) -> Any:
    return importlib.import_module(_MODULES[name])


def _explained(path: Path) -> str:
    """What a file is not, and what it seems to be."""
    from workbench.page.data import xml_tree

    suffix = path.suffix.lower()
    with path.open("rb") as file:
        head = file.read(1 << 14)
    expected = " or ".join(_TITLES[n] for n in _BY_SUFFIX.get(suffix, ()))
    if not head:
        return f"{path}: is empty, expected {expected or 'an electrocardiogram'}. Copy or export it again."
    if head[128:132] == b"DICM":
        return (
            f"{path}: is DICOM, but no waveform of an electrocardiogram. Open it as an image, or choose another file."
        )
    if suffix == ".xml":
        root = xml_tree.first_tag(head)
        found = f"its first element is <{root}>" if root else "no XML that can be read"
        return (
            f"{path}: {found}, expected <AnnotatedECG>"
            " (HL7), <RestingECG> (GE MUSE) or <restingecgdata> (Philips). Export it in one of these."
        )
    if expected:
        return f"{path}: is not {expected}: it begins with {shortened(head[:24].decode('latin-1'))}. Export it again."
    if suffix in (".dat", ".xyz", ".mat"):
        return f"{path}: holds samples without their header. Open the .hea file of the record; put it beside."
    return (
        f"{path}: no electrocardiogram that is read here: its suffix is '{path.suffix}', expected one of"
        f" {', '.join(SUFFIXES)}. Export it as one of these."
    )
