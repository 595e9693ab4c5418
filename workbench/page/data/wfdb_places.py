"""The files of samples that a WFDB header names: where they lie, and whether they hold what the header counts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, reading
from workbench.data.header_text import shortened

ADVICE = "Copy or export the record again."
BYTES = {
    "8": Fraction(1), "16": Fraction(2), "24": Fraction(3), "32": Fraction(4), "61": Fraction(2), "80": Fraction(1),
    "160": Fraction(2), "212": Fraction(3, 2), "310": Fraction(4, 3), "311": Fraction(4, 3),
}  # fmt: skip
"""Bytes of a sample in each format that has a fixed number of them."""
PACKED = ("508", "516", "524")


def require_plain(path: Path, name: str) -> None:
    """Refuse a name that leads out of the folder of the header, or to another machine."""
    if name in ("", ".", "..", "~", "-", "record.hea") or any(c in name for c in "/\\:*?\0"):
        raise InputError(
            f"{path}: names the file {shortened(name)}, expected a file of its own folder. Put the files side by side."
        )


def place_of(path: Path, record: Any, name: str, notes: list[str]) -> Path:
    """The file of samples that the header names; or the only one that must be meant."""
    named = path.parent / name
    if named.is_file():
        return named
    lone = path.with_suffix(Path(name).suffix)
    same_name = next((p for p in _siblings(path) if p.name.lower() == name.lower()), None)
    if same_name is not None:
        notes.append(f"the header names {name}; the file is called {same_name.name}")
        return same_name
    all_names = list(dict.fromkeys(record.file_name))
    stems = {Path(n).stem for n in all_names}
    size = _needed(record, name, record.sig_len) if record.sig_len else None
    fits = [p for p in _siblings(path) if p.stem == path.stem and p.suffix.lower() == Path(name).suffix.lower()]
    if len(fits) == 1 and len(stems) == 1 and size is not None and fits[0].stat().st_size == size:
        notes.append(f"the header names {name}, which is missing; {fits[0].name} beside it holds as many bytes as it"
                     " counts and was read")  # fmt: skip
        return fits[0]
    hint = f" {lone.name} lies beside it but does not hold the {size} bytes that it counts." if lone.is_file() else ""
    raise InputError(
        f"{path}: names the file {shortened(name)}, which is missing.{hint} Put that file beside the header, or correct"
        " its name in the header."
    )


def _siblings(path: Path) -> list[Path]:
    return sorted(p for p in path.parent.iterdir() if p.is_file() and p != path and not p.name.startswith("."))


def _needed(record: Any, name: str, frames: int) -> int | None:
    """Bytes that the samples of a file need up to their end; ``None`` for packed formats."""
    own = [n for n, other in enumerate(record.file_name) if other == name]
    if record.fmt[own[0]] in PACKED:
        return None
    count = sum(record.samps_per_frame[n] or 1 for n in own) * frames
    wide = count * BYTES[record.fmt[own[0]]]
    return (record.byte_offset[own[0]] or 0) + -(-wide.numerator // wide.denominator)


def frames_of(path: Path, record: Any, places: dict[str, Path], notes: list[str]) -> int:
    """Frames of the record; refused where a file holds fewer than the header counts."""
    counted = record.sig_len
    sizes = {name: place.stat().st_size for name, place in places.items()}
    for name in places:
        own = [n for n, other in enumerate(record.file_name) if other == name]
        if len({record.fmt[n] for n in own}) > 1 or len({record.byte_offset[n] or 0 for n in own}) > 1:
            raise InputError(f"{path}: gives several formats or offsets for {name}, expected one. {ADVICE}")
    if counted is None or counted == 0:
        lengths = []
        for name in places:
            own = [n for n, other in enumerate(record.file_name) if other == name]
            if record.fmt[own[0]] in PACKED:
                raise InputError(
                    f"{path}: counts no samples, which packed files need. Write the length into the header."
                )
            spf = sum(record.samps_per_frame[n] or 1 for n in own)
            lengths.append(int((sizes[name] - (record.byte_offset[own[0]] or 0)) / (BYTES[record.fmt[own[0]]] * spf)))
        if min(lengths) < 1:
            raise InputError(f"{path}: counts no samples, and its files hold none. {ADVICE}")
        notes.append(f"the header counts no samples; the files hold {min(lengths)} per signal")
        if len(set(lengths)) > 1:
            notes.append(f"its files hold {min(lengths)} to {max(lengths)} samples per signal: the shortest counts")
        return min(lengths)
    if counted < 0:
        raise InputError(f"{path}: counts {counted} samples, expected 1 or more. {ADVICE}")
    for name, size in sizes.items():
        needed = _needed(record, name, counted)
        if needed is None:
            _require_packed(path, record, name, places[name], int(counted))
            continue
        if size < needed:
            raise InputError(
                f"{path}: counts {counted} samples per signal, for which {places[name].name} needs {needed} bytes; it"
                f" has {size}. The file was cut off or belongs to another header: copy it again."
            )
        frame = _needed(record, name, counted + 1) or needed
        if size >= frame:
            notes.append(f"{places[name].name} holds {size - needed} bytes behind the samples that the header counts")
    return int(counted)


def _require_packed(path: Path, record: Any, name: str, place: Path, counted: int) -> None:
    """Refuse a packed file (FLAC) that says that it holds fewer samples than the header counts."""
    import soundfile

    with reading(place, "no packed samples (FLAC) that can be read", ADVICE):
        held = soundfile.info(str(place)).frames
    own = next(n for n, other in enumerate(record.file_name) if other == name)
    wanted = counted * (record.samps_per_frame[own] or 1)
    if held < wanted:
        raise InputError(f"{path}: counts {wanted} samples per signal, and {place.name} holds {held}: copy it again.")
