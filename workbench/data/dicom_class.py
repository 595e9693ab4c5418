"""What a DICOM file is an object of, by its first bytes: slices, slides and waveforms all have the suffix ``.dcm``."""

from __future__ import annotations

from pathlib import Path

SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
"""SOP class of VL whole slide microscopy images."""
WAVEFORMS = "1.2.840.10008.5.1.4.1.1.9."
"""What the SOP classes of all waveforms begin with."""
_HEAD = 1024
_CLASS_TAG = b"\x02\x00\x02\x00UI"
"""MediaStorageSOPClassUID, in the order of bytes that the head of every DICOM file has."""


def sop_class(path: Path) -> str:
    """The SOP class that the head of a DICOM file names; "" of other files, and of those without that head."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return ""
    at = head.find(_CLASS_TAG)
    if head[128:132] != b"DICM" or at < 0:
        return ""
    begin = at + len(_CLASS_TAG) + 2
    length = int.from_bytes(head[begin - 2 : begin], "little")
    return head[begin : begin + length].rstrip(b"\0 ").decode("latin-1")
