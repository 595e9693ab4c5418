"""What every tool says when a run has ended."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.core.agreement import FORCED
from workbench.core.types import Provenance
from workbench_napari.shared.window_words import sentence


def describe_run(made: Provenance, more: str = "", notes: Sequence[str] | None = None) -> str:
    """How long it took, where and why there, and what is to be known of it, in a line.

    Parameters
    ----------
    more
        A sentence of the tool's own, with a space before it.
    notes
        What is to be known; by default the notes of the record. What was forced stands first.
    """
    where = f"{made.device} ({made.device_reason})" if made.device_reason else made.device
    told = sorted(made.notes if notes is None else notes, key=lambda n: not n.startswith(FORCED))
    known = "".join(f" {sentence(n)}" for n in told)
    return f"Done in {made.seconds:.1f} s on {where}.{more}{known}"
