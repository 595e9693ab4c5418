"""What became of the cases of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one case: plain values alone, so that it can be sent from process to process as JSON.

    Parameters
    ----------
    status
        ``"done"``, ``"skipped"`` (it was there already, and its record is true) or ``"failed"``.
    files, table, notes
        What was written (the record last), the table of sizes, and what a person should know.
    stage, error, message, hint
        Of a failure: ``"read"``, ``"predict"`` or ``"write"``; the class of the error; why; what to do.
    exit_code
        Of a failure: that of its error.
    samples
        How many samples its image has.
    trace
        The traceback of what nobody foresaw, or what a process said last before it died.
    stops
        Why no other case can be done either: there is no room to write in, say. Such a case is not failed.
    lost
        Another run has taken the case over meanwhile: nothing was written.
    """

    case: str
    status: Status
    source: str
    seconds: float = 0.0
    peak_memory_mb: float | None = None
    files: tuple[str, ...] = ()
    table: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    stage: str = ""
    error: str = ""
    message: str = ""
    hint: str = ""
    exit_code: int = 0
    samples: int = 0
    trace: str = ""
    stops: str = ""
    lost: bool = False

    def to_json(self) -> dict[str, Any]:
        """All that says something."""
        return {k: v for k, v in vars(self).items() if v not in ("", (), {}, 0, None, False)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Outcome:
        """What `to_json` gave, or a stored failure, again."""
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items() if k in known}
        return cls(**values)


@dataclass
class RunReport:
    """Outcomes of a run, in the order of the cases.

    Parameters
    ----------
    interrupted
        Name of the signal that ended it (``"SIGINT"``), or "".
    stopped
        Why nothing more could be written, or "".
    unfinished
        How many cases were neither done nor tried: the run was stopped before.
    wanted
        What would be computed for any case (`workbench.batch.record.Wanted`), once that is known.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    interrupted: str = ""
    stopped: str = ""
    unfinished: int = 0
    wanted: Any = None

    @property
    def failures(self) -> list[Outcome]:
        return [o for o in self.outcomes if o.status == "failed"]

    def count(self, status: Status) -> int:
        """How many cases ended so."""
        return sum(o.status == status for o in self.outcomes)

    @property
    def exit_code(self) -> int:
        """0 if all are done; 2 if nothing more could be written; 130 if it was interrupted; 6 if memory was the only
        problem; 3 if a case failed for another reason."""
        if self.stopped:
            return 2
        if self.interrupted:
            return 130
        codes = {o.exit_code for o in self.failures}
        if not codes:
            return 0
        return 6 if codes == {6} else codes.pop() if len(self.outcomes) == 1 else 3
