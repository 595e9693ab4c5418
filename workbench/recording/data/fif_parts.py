"""The samples and the parts of a continuous FIF recording, counted from its tags before a library reads them."""

from __future__ import annotations

import html
import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from workbench.core.errors import InputError
from workbench.data.companion import beside
from workbench.data.header_text import whole_number
from workbench.recording.data import fif_file, fif_tags
from workbench.recording.data.extent import ADVICE, ASK, Checked, incomplete
from workbench.recording.data.fif_tags import Tags, damaged, truncated

_NEXT, _PREVIOUS = 2, 1
_LONGEST_GAP_S = 24 * 3600.0


@dataclass(frozen=True)
class _Span:
    """The samples of one file: the numbers of the first and of the one behind the last, on the recorder's clock.

    Attributes
    ----------
    end
        The byte at which the last buffer ends.
    """

    count: int = 0
    begin: int = 0
    stop: int = 0
    end: int = 0

    @property
    def restarts(self) -> bool:
        """Whether its numbers begin at 0, without a gap, whose place readers take from them."""
        return self.begin == 0 and self.stop == self.count


@dataclass(frozen=True)
class _Reference:
    """What a file says of another part; one of no role is its next part, as MNE has it."""

    role: int = _NEXT
    name: str | None = None
    number: int | None = None


def check(path: Path, what: str, allow_truncated: bool) -> Checked:
    """Count the samples of every part, and find the parts.

    Parameters
    ----------
    what
        ``"raw"``; of ``"epochs"`` and ``"evoked"`` only the parts are looked at, because their reader compares numbers.

    Raises
    ------
    InputError
        A part is missing, cut off, damaged, named outside the folder, or does not follow the one before.
    """
    notes: list[str] = []
    breaks, others = list[int](), list[Path]()
    part, seen, total, copy = path, {path.resolve()}, 0, None
    before: tuple[Path, Tags, _Span] | None = None
    while True:
        file = fif_file.plain(part)
        tags = fif_tags.walk(file, part)
        span = _samples(part, tags) if what == "raw" else _Span()
        samples, end = span.count, span.end
        references = _references(file, part, tags)
        if before is not None and not _follows(path, before, (part, tags, span), references):
            breaks.append(total)
            notes.append(
                f"the samples of {part.name} are counted from 0 again; it names {before[0].name} as the part before it:"
                " taken as the next part, and not joined to it"
            )
        if tags.rest:
            notes.append(f"{tags.rest} bytes behind the last tag of {part.name} were left out")
        if tags.cut:
            # Checksums of a packed file, and the numbers of epochs, say that it was whole once.
            if what != "raw" or file != part or part != path:
                raise truncated(part, tags.cut)
            if not allow_truncated:
                raise truncated(part, tags.cut, ASK)
            copy = fif_file.first_bytes(part, end)
            notes += incomplete(path, f"a FIF file that is cut off ({tags.cut})", samples, allowed=True)
            break
        if what == "raw" and samples < 1:
            raise damaged(part, "no samples in it")
        if what == "raw" and tags.scaled_to_nothing:
            raise damaged(part, tags.scaled_to_nothing)
        total += samples
        following = _following(part, references)
        if part == path and any(r.role == _PREVIOUS for r in references):
            notes.append("a later part of a split recording: what came before it lies in another file")
        if what == "evoked" or following is None:
            break
        if file != part:
            raise InputError(
                f"{path}: a packed part of a split recording, which goes on in {following.name}. Unpack it."
            )
        if not following.is_file():
            said = f"it goes on in {following.name}, which is not beside it"
            if what != "raw":
                raise InputError(f"{path}: split recording: {said}. {ADVICE}")
            notes += incomplete(path, f"split recording: {said}", total, allowed=allow_truncated)
            break
        if following.resolve() in seen:
            raise damaged(part, f"it goes on in {following.name}, which it follows")
        seen.add(following.resolve())
        others.append(following)
        before, part = (part, tags, span), following
    return Checked(tuple(notes), copy=copy, breaks=tuple(breaks), files=tuple(others))


def _samples(path: Path, tags: Tags) -> _Span:
    """Samples in the buffers of a file, and which numbers they have, gaps counted."""
    channels = whole_number(path, "the number of channels", str(tags.channels()), 1, 65535)
    inside, count, gap, waiting, end = False, 0, 0, 0, 0
    begin, last = tags.value(fif_tags.FIRST_SAMPLE, 0), 0
    depth = 0
    blocks, skips = iter(tags.blocks), iter(tags.values.get(fif_tags.SKIP, ()))
    for kind, sort, length, position in tags.tags:
        if kind == fif_tags.BLOCK_START:
            opened, _ = next(blocks)
            inside, depth = (True, 0) if opened in fif_tags.CONTINUOUS else (inside, depth + 1)
        elif kind == fif_tags.BLOCK_END:
            inside, depth = inside and depth > 0, depth - 1
        elif kind == fif_tags.SKIP:
            waiting = next(skips)
        width = channels * fif_tags.SAMPLE_BYTES.get(sort, 0)
        if kind == fif_tags.BUFFER:
            if not width or length % width:
                raise damaged(
                    path,
                    f"a buffer of {length} bytes of type {sort}, no whole number of samples of {channels} channels",
                )
            last = length // width
            if not count:
                begin += max(waiting, 0) * last
            count += last
            gap += max(waiting, 0) * last
            waiting, end = 0, position + 16 + length
        elif inside and width and length > 4 and length >= width and length % width == 0:
            raise damaged(path, f"samples under the tag {kind} at byte {position}, expected {fif_tags.BUFFER}")
    rate = tags.rate
    if not (math.isfinite(rate) and rate > 0):
        raise damaged(path, f"a sampling rate of {rate:g} Hz")
    if gap > _LONGEST_GAP_S * rate:
        raise damaged(path, f"gaps of {gap / rate:g} s between its samples")
    stop = tags.value(fif_tags.FIRST_SAMPLE, 0) + count + gap + max(waiting, 0) * last
    return _Span(count, begin, stop, end)


def _follows(
    path: Path, before: tuple[Path, Tags, _Span], after: tuple[Path, Tags, _Span], references: Sequence[_Reference]
) -> bool:
    """Whether a part goes on at the sample where the one before ends.

    Recorders and MNE count on from part to part. One that counts from 0 again may be the next part all the same, if it
    names the one before: a copy of another part does not.

    Raises
    ------
    InputError
        It does not follow, or is of another recording.
    """
    (first, tags, span), (second, others, later) = before, after
    if tags.date != others.date:
        found = "was measured at another time"
    elif tags.names != others.names:
        found = "has other channels"
    elif later.begin == span.stop:
        return True
    elif later.restarts and any(_is_previous(first, r) for r in references):
        return False
    else:
        found = f"begins at sample {later.begin}, expected {span.stop}"
    raise InputError(
        f"{path}: split recording: {second.name} does not follow {first.name}: it {found}. Put the parts of one"
        " recording beside each other, under the names that they were given."
    )


def _references(file: Path, path: Path, tags: Tags) -> list[_Reference]:
    """What a file says of the parts before and behind it."""
    first = {position: number for number, (_, _, _, position) in enumerate(tags.tags)}
    found = []
    with file.open("rb") as f:
        for block, place in tags.blocks:
            if block != fif_tags.REFERENCE:
                continue
            numbers: dict[int, int] = {}
            name = None
            for kind, _, length, position in tags.tags[first[place] + 1 :]:
                if kind == fif_tags.BLOCK_END:
                    break
                if kind not in (fif_tags.REF_ROLE, fif_tags.REF_NUMBER, fif_tags.REF_NAME):
                    continue
                f.seek(position + 16)
                raw = f.read(min(length, 4096))
                if kind == fif_tags.REF_NAME:
                    name = _text(raw)
                elif len(raw) != 4:
                    raise damaged(path, f"a reference of {length} bytes at byte {position}")
                else:
                    (numbers[kind],) = struct.unpack(">i", raw)
            found.append(_Reference(numbers.get(fif_tags.REF_ROLE, _NEXT), name, numbers.get(fif_tags.REF_NUMBER)))
    return found


def _following(path: Path, references: Sequence[_Reference]) -> Path | None:
    """The file that a part names as its next, found as MNE finds it."""
    for reference in references:
        if reference.role == _NEXT and reference.name is not None:
            return beside(path, "the name of its next part", reference.name)
        if reference.role == _NEXT and reference.number is not None:
            return path.parent / _numbered(path.name, reference.number)
    return None


def _is_previous(path: Path, reference: _Reference) -> bool:
    """Whether it names this file as the part before, by its name, or by its number where it gives no name."""
    if reference.role != _PREVIOUS:
        return False
    if reference.name is not None:
        return PureWindowsPath(reference.name).name == path.name  # MNE writes the folder before it
    _, dash, digits = path.name.partition(".")[0].rpartition("-")
    return reference.number == (int(digits) if dash and digits.isdecimal() else 0)


def _text(raw: bytes) -> str:
    text = raw.decode("latin1", "ignore")
    return html.unescape(text) if re.search(r"&#[0-9a-fA-F]{6};", text) else text


def _numbered(name: str, number: int) -> str:
    """The name of a part by its number, where the file gives no name."""
    stem, dot, suffix = name.partition(".")
    head, dash, digits = stem.rpartition("-")
    if not (dash and digits.isdigit()):
        if number == 1:
            return f"{stem}-1{dot}{suffix}"
        head = name[:-1]  # MNE looks there
    return f"{head}-{number}{dot}{suffix}"
