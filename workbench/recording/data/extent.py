"""How many samples a header promises, and how many lie in its files: the same, or an error.

Most acquisition programs write samples as they come and the numbers of the header last, so a crash leaves a file that
is right up to its end. Only such files can be read in part, and only if a person asks for it. What carries a checksum
(``.gz``), what stores channel after channel, and what keeps its header at the end never can.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.core.errors import InputError

ADVICE = "Copy or export it again."
ASK = "Copy or export it again, or read what is there with --allow-truncated (in Python allow_truncated=True)."


@dataclass(frozen=True)
class Checked:
    """What a look at the files of a recording found, before a library reads them.

    Attributes
    ----------
    notes
        What was tolerated, a line each.
    n_samples
        Samples to read, where the reader would give others that are not there.
    in_files
        Samples that the files hold, where the reader may leave some out.
    copy
        File or folder to read instead, which holds only what is whole.
    breaks
        Samples before which the acquisition was interrupted, which no annotation tells of.
    files
        Files that decide what is read besides the one that was named: parts, lists of markers, configurations.
    """

    notes: tuple[str, ...] = ()
    n_samples: int | None = None
    in_files: int | None = None
    copy: Path | None = None
    breaks: tuple[int, ...] = ()
    files: tuple[Path, ...] = ()


def compare(
    path: Path, promised: int, found: int, rest: str = "", *, allowed: bool | None, read: int | None = None
) -> tuple[str, ...]:
    """The note to make of the two numbers of samples: none if they agree.

    Parameters
    ----------
    rest
        What lies behind the last whole sample, in words.
    allowed
        Whether a person asked for what is there; ``None`` where it could not be read.
    read
        Samples that are read then: those promised that are there, by default.

    Raises
    ------
    InputError
        They differ, and nobody asked.
    """
    if promised == found and not rest:
        return ()
    more = f" and {rest}" if rest else ""
    said = f"its header promises {promised} samples, its files hold {found}{more}"
    return incomplete(path, said, min(promised, found) if read is None else read, allowed=allowed)


def incomplete(path: Path, said: str, read: int, *, allowed: bool | None) -> tuple[str, ...]:
    """The note on a file of which only so many samples are read, or the error if nobody asked for them."""
    if not allowed:
        raise InputError(f"{path}: cut off, or never closed: {said}. {ADVICE if allowed is None else ASK}")
    if read < 1:
        raise InputError(f"{path}: cut off, or never closed: {said}; there is nothing to read. {ADVICE}")
    return (f"read in part, as asked for: {said}; {read} samples were read",)
