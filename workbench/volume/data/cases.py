"""What volumes add to the cases of a study: series of DICOM files, and sequences that are channels of one image."""

from __future__ import annotations

import re

from workbench.volume.data.dicom_index import is_dicom_file as takes
from workbench.volume.data.dicom_tree import cases_of_files
from workbench.volume.data.sequences import sequence_of

__all__ = ["CHANNELS", "cases_of_files", "channel_of", "takes"]

CHANNELS = ("T1", "T1ce", "T2", "FLAIR", "PD", "DWI", "ADC")
"""Sequences whose files are one image where they have one name otherwise, in the order of the channels."""

_LAST = re.compile(r"^(?:(.*)[_\-. ])?([A-Za-z0-9]+)$")


def channel_of(name: str) -> tuple[str, int, str] | None:
    """``BraTS_001_t1ce`` as (``BraTS_001``, 1, ``T1ce``), 1 being its place among the channels; else ``None``."""
    match = _LAST.match(name)
    if match is None or (sequence := sequence_of(match[2])) not in CHANNELS:
        return None
    return match[1] or "", CHANNELS.index(sequence), sequence
