"""BIDS data sets through MNE-BIDS: recordings with what their side files say (channel types, bad channels, events)."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError
from workbench.data.companion import require_regular
from workbench.recording.data import foreign

_MARK = "dataset_description.json"
_NAME = re.compile(r"^sub-[A-Za-z0-9]+(_[a-z]+-[A-Za-z0-9]+)*_(meg|eeg|ieeg)(\.|$)")
_LONGEST = 64 << 20  # bytes of a side file
_SUFFIXES = (".fif", ".ds", ".con", ".sqd", ".edf", ".bdf", ".vhdr", ".set")


def is_dataset(path: Path) -> bool:
    """Whether a folder is the top of a BIDS data set with MEG or EEG recordings in it."""
    return (path / _MARK).is_file() and next(_found(path), None) is not None


def root_of(path: Path) -> Path | None:
    """The top folder of the BIDS data set that a file lies in."""
    return next((p for p in list(path.resolve().parents)[:6] if (p / _MARK).is_file()), None)


def is_member(path: Path) -> bool:
    """Whether a file is named as BIDS wants it, inside a BIDS data set."""
    return _NAME.match(path.name) is not None and root_of(path) is not None


def recordings(root: Path) -> list[Path]:
    """The recordings of a data set, sorted; later parts of split files and derivatives are left out."""
    return sorted(_found(root))


def _found(root: Path) -> Iterator[Path]:
    for pattern in ("sub-*/*/*", "sub-*/ses-*/*/*"):
        for path in root.glob(pattern):
            if _NAME.match(path.name) and path.parent.name in ("meg", "eeg", "ieeg") and _is_recording(path):
                yield path


def _is_recording(path: Path) -> bool:
    if path.is_dir() and (path / "config").is_file():
        return True
    if foreign.known(path) is not None:  # is said by its name when it is opened, and does not vanish
        return True
    return path.name.lower().endswith(_SUFFIXES) and not re.search(r"_split-0*([2-9]|1\d)", path.name)


@cache
def available() -> bool:
    """Whether MNE-BIDS is installed."""
    return importlib.util.find_spec("mne_bids") is not None


def open_raw(path: Path, said: list[str]) -> Any | None:
    """MNE's raw object with the side files applied; ``None`` if MNE-BIDS is not installed.

    Channels that it takes out without a warning are named in `said`.
    """
    if not available():
        return None
    import mne

    mne_bids: Any = importlib.import_module("mne_bids")
    place = mne_bids.get_bids_path_from_fname(path, verbose="ERROR")
    with mne.utils.catch_logging(verbose="INFO") as log:
        found = mne_bids.read_raw_bids(place, on_ch_mismatch="reorder", verbose="INFO")
    lines = log.getvalue().splitlines()
    said += [" ".join(line.split()) for line in lines if "Removing the channel" in line]
    if any("Channel mismatch between" in line for line in lines):
        said.append(
            "channels.tsv lists the channels in another order than the recording: they were put into that order"
        )
    return found


def check_side_files(path: Path) -> None:
    """Refuse side files that are no regular files, or longer than any table: a reader would wait or fill the memory.

    Links are followed, as data sets under DataLad or git-annex are made of them.
    """
    root = root_of(path)
    if root is None:
        return
    subject = root / path.name.split("_")[0]
    for place in (root.iterdir(), subject.rglob("*"), path.parent.iterdir()):
        for entry in place:
            if entry.suffix.lower() in (".tsv", ".json") and not entry.is_dir():
                require_regular(entry)
                if entry.is_file() and entry.stat().st_size > _LONGEST:
                    raise InputError(f"{entry}: {entry.stat().st_size} bytes, at most {_LONGEST} were expected.")


def entities(path: Path) -> dict[str, str]:
    """``subject``, ``session``, ``task`` and ``run`` of a BIDS name, those that are there."""
    names = {"sub": "subject", "ses": "session", "task": "task", "run": "run"}
    found = dict(re.findall(r"([a-z]+)-([A-Za-z0-9]+)", path.name))
    return {names[k]: v for k, v in found.items() if k in names}
