"""Recordings of formats that are not read: told by what is in them, and named with the way to one that is.

What cannot be read must not look like something else (a scene without a header), nor vanish from a folder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from workbench.core.errors import InputError
from workbench.data import mat_files

_FIELDTRIP = ({"label", "trial", "time"}, {"label", "avg", "time"}, {"label", "dimord"})
_WAY = "Save it as FIF, e.g. with MNE: mne.io.{reader}({name!r}).save('{stem}_raw.fif')."


def refuse(path: Path) -> None:
    """Say what a recording is that is not read.

    Raises
    ------
    InputError
        Names the format and the way out.
    """
    found = known(path)
    if found is not None:
        title, reader = found
        way = _WAY.format(reader=reader, name=path.name, stem=path.name.partition(".")[0])
        raise InputError(f"{path}: {title}, which is not read here. {way}")


def known(path: Path) -> tuple[str, str] | None:
    """The format of a recording that is not read, with MNE's reader of it; ``None`` for everything else."""
    look = _LOOKS.get(path.suffix.lower())
    try:
        return None if look is None else look(path)
    except OSError:
        return None


def _mff(path: Path) -> tuple[str, str] | None:
    inside = path.is_dir() and ((path / "info.xml").is_file() or (path / "signal1.bin").is_file())
    return ("an EGI recording (.mff)", "read_raw_egi") if inside else None


def _nihon(path: Path) -> tuple[str, str] | None:
    made = _start(path, 16).startswith((b"EEG-1", b"EEG-2", b"EEG-9", b"QI-40", b"DAE-2"))
    return ("a Nihon Kohden recording (.eeg)", "read_raw_nihon") if made else None


def _cnt(path: Path) -> tuple[str, str] | None:
    head = _start(path, 4)
    return ("an ANT Neuro recording (.cnt)", "read_raw_ant") if head in (b"RIFF", b"RF64") else None


def _persyst(path: Path) -> tuple[str, str] | None:
    return ("a Persyst recording (.lay)", "read_raw_persyst") if b"[FileInfo]" in _start(path, 4096) else None


def _curry(path: Path) -> tuple[str, str] | None:
    beside = any(path.with_name(path.name + end).is_file() for end in (".dpo", ".dpa"))
    return ("a Curry recording (.cdt)", "read_raw_curry") if beside else None


def _snirf(path: Path) -> tuple[str, str] | None:
    return ("a recording of near-infrared light (.snirf)", "read_raw_snirf")


_LOOKS: dict[str, Callable[[Path], tuple[str, str] | None]] = {
    ".mff": _mff, ".eeg": _nihon, ".cnt": _cnt, ".lay": _persyst, ".cdt": _curry,
    ".snirf": _snirf,
}  # fmt: skip


def _start(path: Path, size: int) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as f:
        return f.read(size)


def fieldtrip(path: Path) -> str | None:
    """The name of the structure of FieldTrip that a MATLAB file holds; ``None`` if it holds none."""
    try:
        found = mat_files.open_store(path).structures
    except InputError:
        return None
    return next((name for name, has in found.items() if any(wanted <= has for wanted in _FIELDTRIP)), None)


def refuse_fieldtrip(path: Path, name: str) -> None:
    """Name a structure of FieldTrip and the way out.

    Raises
    ------
    InputError
        Always.
    """
    raise InputError(
        f"{path}: '{name}' is a FieldTrip structure, which is not read here. Save it as FIF: in MATLAB"
        f" fieldtrip2fiff('{path.stem}_raw.fif', {name}), or in Python with mne.io.read_raw_fieldtrip. Or save its"
        " array (channels x samples) and its sampling rate as plain variables."
    )
