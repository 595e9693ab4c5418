"""Where a recording was interrupted: said by its annotations, or only by the times in its header."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.core.types import Marks

_SKIPPED = ("BAD_ACQ_SKIP", "BAD BOUNDARY", "EDGE")
"""Beginnings of MNE's own labels: the stretch that they cover holds no samples of the acquisition."""
_PAUSED = "NEW SEGMENT"
"""Of BrainVision, also where samples were lost."""
_CUT = "BOUNDARY"
"""Of EEGLAB; its duration is that of what was cut out, which is not there any more."""
EDGE = "EDGE boundary"
"""What MNE calls a place where two stretches were joined."""


def is_break(label: str) -> bool:
    """Whether an annotation says that what follows it was not recorded right after what comes before."""
    text = label.strip().upper()
    return text.startswith((*_SKIPPED, _PAUSED)) or text == _CUT


def is_no_event(label: str) -> bool:
    """Whether an annotation is about the recording and nothing that was shown or done."""
    return label.strip().upper().startswith(("BAD", "EDGE")) or is_break(label)


def runs(marks: Marks, rate: float, n_samples: int, breaks: Sequence[int] = ()) -> tuple[tuple[int, int], ...]:
    """Stretches ``(start, stop)`` of samples without an interruption; none where the whole recording is one.

    Parameters
    ----------
    marks
        Annotations; onsets count from the first sample [s].
    rate
        Samples per second [Hz].
    breaks
        Samples before which there was an interruption that no annotation tells of.
    """
    cuts = [(b, b) for b in breaks if 0 < b < n_samples]
    for mark in marks:
        if is_break(mark.label):
            first = min(max(round(mark.onset * rate), 0), n_samples)
            wide = mark.label.strip().upper().startswith(_SKIPPED)
            cuts.append((first, min(first + (round(mark.duration * rate) if wide else 0), n_samples)))
    found, begin = [], 0
    for first, last in sorted(cuts):
        if first > begin:
            found.append((begin, first))
        begin = max(begin, last)
    if begin < n_samples:
        found.append((begin, n_samples))
    return () if found == [(0, n_samples)] else tuple(found)


def with_edges(raw: Any, breaks: Sequence[int]) -> Any:
    """MNE's object with an annotation at each break, so that its filters do not reach over it; changed in place."""
    if breaks:
        onsets = [float(raw.first_time) + b / float(raw.info["sfreq"]) for b in breaks]
        raw.annotations.append(onsets, [0.0] * len(onsets), [EDGE] * len(onsets))
    return raw
