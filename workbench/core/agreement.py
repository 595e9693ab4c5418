"""Weights meet data: what weights were taught on is compared with what they are given, before anything is computed.

A weight file says in its record (``taught``) what it learnt from; each kind of data says in its ``data.taught`` module
how images are described and compared. What that finds is a list of `Finding`, and `settle` decides the same way for all
kinds and verbs: what cannot be right is refused, what can be converted is converted, the rest is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from workbench.core.errors import MismatchError
from workbench.core.settings import Setting, setting

Level = Literal["refused", "converted", "noted"]

KNOW_BETTER = "Where you know better: --force (in Python force=True, in the window 'Use anyway')."
"""The end of every refusal: how a person goes on all the same."""

FORCED = "forced although"
"""How a note begins that would have been a refusal."""

_FORCE = "Go on although the data are not what the weights were taught on; it is noted."


@dataclass(frozen=True)
class Finding:
    """One way in which data differ from what weights were taught on.

    Parameters
    ----------
    level
        ``"refused"``: the result cannot be right; ``"converted"``: the data were changed so that they agree;
        ``"noted"``: the result may be worse, and whoever reads it should know.
    fact
        What was compared, a word or two (``"modality"``, ``"wavelengths"``, ``"sampling rate"``).
    said
        What was found and what the weights were taught on, or what was done about it; part of a sentence.
    advice
        For refusals: what a person can do about it, a sentence.
    """

    level: Level
    fact: str
    said: str
    advice: str = ""

    @property
    def line(self) -> str:
        return f"{self.fact}: {self.said}"

    def to_json(self) -> dict[str, str]:
        return {"fact": self.fact, "level": self.level, "said": self.said}


def settle(findings: Iterable[Finding], *, subject: Any, weights: str, force: bool = False) -> tuple[str, ...]:
    """The notes that a result must carry; data that cannot be right are refused unless `force`.

    Parameters
    ----------
    subject
        File or name of the data, for the message.
    weights
        Name of the weights.
    force
        Whether a person said that they know better: then refusals become notes.

    Raises
    ------
    MismatchError
        One line with all that does not agree, what the weights were taught on, and what to do.
    """
    found = list(findings)
    refused = [f for f in found if f.level == "refused"]
    if refused and not force:
        advice = " ".join(dict.fromkeys(f.advice for f in refused if f.advice))
        raise MismatchError(
            f"{subject}: not what weights {weights} were taught on: {'; '.join(f.line for f in refused)}."
            f"{f' {advice}' if advice else ''} {KNOW_BETTER}",
            tuple(found),
        )
    return tuple(f"{FORCED} {f.line}" if f.level == "refused" else f.line for f in found)


def force_setting() -> Any:
    """The setting `force` of every backend that compares."""
    return setting(False, _FORCE)


def is_force(known: Setting | None) -> bool:
    """Whether a setting was made by `force_setting`: windows offer it only once something was refused."""
    return known is not None and known.type is bool and known.help == _FORCE


def untold(what: str, weights: str) -> Finding:
    """Weights that do not say what they were taught on (of version 0.1, or of others): nothing could be compared."""
    return Finding("noted", "contract", f"weights {weights} do not say {what} they were taught on: it was not compared")
