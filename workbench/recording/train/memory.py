"""What weights remember of the recordings that taught them, and how a recording stands to that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.core.seen import Seen, SeenCase, joined, summary_note
from workbench.recording.train.data import Session, Split

SAME_NAME = "same name"
_UNNAMED = "what taught the weights that these started from"


@dataclass(frozen=True)
class Memory:
    """What taught some weights.

    Parameters
    ----------
    seen
        By content; cases without keys are known by name only.
    names
        Of what taught weights that remember no content (of version 0.1).
    """

    seen: Seen = field(default_factory=Seen)
    names: frozenset[str] = frozenset()

    def mark(self, session: Session) -> str:
        """As `workbench.core.seen.Seen.mark`; ``"same name"``: another content under the name of one that taught.

        Weights that remember names alone say ``"learnt"`` by these.
        """
        if not self.seen.told:
            return "learnt" if session.name in self.names else "not known"
        found = self.seen.mark(session.keys, group=session.group)
        if found not in ("no", "same group"):
            return found
        if any(case.id == session.name for case in self.seen.cases):
            return SAME_NAME
        partly = any(not case.keys for case in self.seen.cases)
        return "not known" if found == "no" and (partly or not session.keys) else found

    def notes(self, marks: Mapping[str, str]) -> list[str]:
        """Lines for people about a table of scores."""
        known = [name for name, mark in marks.items() if mark == "learnt"]
        if not self.seen.told and known:
            return [
                f"the weights were trained on {', '.join(known[:5])} (by name, they remember nothing else): scores on "
                "them show fit, not generalisation"
            ]
        found = [summary_note(marks, "recording(s)")]
        same = [name for name, mark in marks.items() if mark == SAME_NAME]
        if same:
            found.append(
                f"{', '.join(same[:5])} {'has' if len(same) == 1 else 'have'} the name of a recording that taught the "
                "weights, but other samples: whether it is a filtered or resampled copy is not known"
            )
        return [n for n in found if n]


def memory_of(record: Mapping[str, Any]) -> Memory:
    """From the record of a weight file."""
    training = record.get("training") or {}
    return Memory(Seen.of(record), frozenset(str(n) for n in training.get("trained_on") or ()))


def remembered(start: Sequence[Mapping[str, Any]], sessions: Sequence[Session], split: Split) -> list[dict[str, Any]]:
    """The entry ``seen``: what taught the weights and the tokeniser that were gone on from, and these sessions.

    `start` are the records of those weights. Where they remember no content, what they name is kept without keys.
    """
    before: list[SeenCase] = []
    for record in start:
        memory = memory_of(record)
        before += memory.seen.cases
        if not memory.seen.told:
            before += [SeenCase(name, ()) for name in sorted(memory.names)] or [SeenCase(_UNNAMED, ())]
    trained = {s.session for s in split.train}
    chosen = {s.session for s in split.val}
    now = [
        SeenCase(s.name, s.keys, "learnt" if i in trained else "chosen by", s.subject)
        for i, s in enumerate(sessions)
        if i in trained | chosen
    ]
    return joined(before, now)
