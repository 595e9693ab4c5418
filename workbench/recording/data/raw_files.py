"""Continuous recordings on disk: their files are compared with what the headers promise, then MNE opens them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError
from workbench.recording.data import (
    bids,
    bids_tables,
    brainvision_files,
    bti_files,
    ctf_files,
    edf_files,
    edf_times,
    fif_file,
    fif_parts,
    kit_files,
)
from workbench.recording.data.extent import Checked
from workbench.recording.data.recording import as_annotations, mne_call

READERS: dict[str, tuple[str, str]] = {
    ".fif": ("fif", "read_raw_fif"),
    ".fif.gz": ("fif", "read_raw_fif"),
    ".edf": ("edf", "read_raw_edf"),
    ".bdf": ("bdf", "read_raw_bdf"),
    ".gdf": ("gdf", "read_raw_gdf"),
    ".vhdr": ("brainvision", "read_raw_brainvision"),
    ".con": ("kit", "read_raw_kit"),
    ".sqd": ("kit", "read_raw_kit"),
    ".ds": ("ctf", "read_raw_ctf"),
}
"""Suffix -> name of the format and of MNE's reader. ``.ds`` is a folder; so is a BTi recording, which has no suffix."""


_GDF_RUN = str(0x7FFE)


def is_ctf(path: Path) -> bool:
    """Whether a folder is a CTF recording."""
    return path.name.lower().endswith(".ds") and path.is_dir() and any(path.glob("*.res4"))


def bti_file(folder: Path) -> Path | None:
    """The file with the samples of a BTi folder (``c,rfDC`` and the like beside ``config``), if it is one."""
    if not (folder / "config").is_file():
        return None
    found = sorted(p for p in folder.iterdir() if re.match(r"^[a-z]{1,2},rf", p.name) and p.is_file())
    return found[0] if found else None


def check(path: Path, name: str, allow_truncated: bool) -> Checked:
    """Compare the headers of a recording with its files.

    Raises
    ------
    InputError
        A number cannot be, a name leads elsewhere, or samples are missing or too many and nobody asked for what is
        there.
    """
    if name == "fif":
        return fif_parts.check(path, "raw", allow_truncated)
    if name == "brainvision":
        return brainvision_files.check(path, allow_truncated)
    if name in ("edf", "bdf"):
        return edf_files.check(path, allow_truncated)
    if name == "gdf":
        return edf_files.check_gdf(path)
    if name == "kit":
        return kit_files.check(path, allow_truncated)
    if name == "ctf":
        return ctf_files.check(path, allow_truncated)
    return bti_files.check(samples_of_bti(path))


def samples_of_bti(path: Path) -> Path:
    """The file with the samples of a BTi recording, given as that file or as its folder."""
    return path if path.is_file() else bti_file(path) or path


@dataclass(frozen=True)
class Opened:
    """MNE's raw object with what its header and side files say besides.

    Attributes
    ----------
    breaks
        Samples before which there was an interruption that none of its annotations tells.
    has_table
        Whether its annotations are the events of a table beside it, which stand in place of those of its channels.
    files
        Files that decide what is read besides the one that was named and those of `raw`.
    """

    raw: Any
    breaks: tuple[int, ...] = ()
    has_table: bool = False
    files: tuple[Path, ...] = ()


def open_raw(path: Path, name: str, warned: list[str], *, allow_truncated: bool = False) -> Opened:
    """MNE's raw object, samples left on disk; what was tolerated goes into `warned`.

    Raises
    ------
    InputError
        As `check`, or MNE cannot read it.
    """
    checked = check(path, name, allow_truncated)
    warned += checked.notes
    raw: Any = _through_bids(path, warned) if checked.copy is None and bids.is_member(path) else None
    has_table = raw is not None and "events" in bids_tables.tables(path)
    if raw is None:
        raw = _through_mne(checked.copy or path, path, name, warned, allow_truncated)
        has_table = bids_tables.apply(raw, path, warned)
    last = checked.n_samples
    if last is not None and last < raw.n_times:
        mne_call(path, lambda: raw.crop(0, (last - 1) / raw.info["sfreq"], verbose="ERROR"), [])
    if checked.in_files is not None and raw.n_times < checked.in_files:
        warned.append(
            f"the system clock stops after {raw.n_times} of {checked.in_files} samples; the others were left out"
        )
    if raw.info.get("maxshield"):
        warned.append("recorded with internal active shielding, which Maxwell filtering must undo first")
    breaks = checked.breaks
    if name in ("edf", "bdf"):
        layout = edf_files.layout(path)
        times = edf_times.read_times(path, layout, raw.ch_names)
        if layout.discontinuous and not layout.annotations:
            warned.append("discontinuous, and nothing in it says when its records began: read as one stretch")
        if times is not None:
            breaks, annotations = times.breaks, as_annotations(times.marks)
            # What MNE says of annotations that it put behind the end.
            warned[:] = [*(text for text in warned if not text.startswith("Omitted")), *times.notes]
            if not has_table:
                mne_call(path, lambda: raw.set_annotations(annotations, verbose="ERROR"), [])
    elif name == "gdf":  # the code of its standard for the start of a new run
        rate, marks = float(raw.info["sfreq"]), raw.annotations
        starts = [o for o, code in zip(marks.onset, marks.description, strict=True) if str(code) == _GDF_RUN]
        breaks = tuple(sorted({round((o - raw.first_time) * rate) for o in starts}))
    files = (*checked.files, *bids_tables.side_files(path))
    return Opened(raw, tuple(b for b in breaks if 0 < b < raw.n_times), has_table, files)


def _through_bids(path: Path, warned: list[str]) -> Any | None:
    """MNE's raw object with the side files of a data set; ``None``, with the reason in `warned`, where they cannot."""
    try:
        bids.check_side_files(path)
        found = mne_call(path, partial(bids.open_raw, path, warned), warned)
    except InputError as error:  # a data set with a fault elsewhere still has its recordings
        warned.append(f"BIDS side files could not be used: {error}")
        return None
    if found is None:
        warned.append("BIDS side files were not used; install the extra: pip install 'napari-workbench[bids]'")
    return found


def _through_mne(file: Path, path: Path, name: str, warned: list[str], allow_truncated: bool) -> Any:
    import mne

    options: dict[str, Any] = {}
    if name == "bti":
        head = file if file.is_dir() else file.parent
        shape = head / "hs_file"
        file = samples_of_bti(file)
        options = {"config_fname": str(head / "config"), "head_shape_fname": str(shape) if shape.is_file() else None}
        function = mne.io.read_raw_bti
    else:
        function = getattr(mne.io, next(f for n, f in READERS.values() if n == name))
    if name == "fif":
        file = fif_file.plain(file)
        options = {"allow_maxshield": "yes", "on_split_missing": "ignore" if allow_truncated else "raise"}
    said: list[str] = []
    raw = mne_call(path, partial(function, str(file), **options, preload=False, verbose="WARNING"), said)
    # Of a copy up to the place where a file is cut off, MNE says that it ends there.
    warned += [text for text in said if file == path or not text.startswith(("Invalid tag", "FIF tag directory"))]
    return raw
