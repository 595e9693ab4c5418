"""Which series of a study to take, as a person writes it once for a whole batch.

A rule is a list of conditions, all of which must hold: ``description=*arterial*,modality=CT,slices>40``. Text is
compared as file names are (``*``, ``?``, ``[abc]``), whatever its case; numbers by ``=``, ``!=``, ``<``, ``<=``, ``>``,
``>=``. A value that holds a comma stands in quotes.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from workbench.core.errors import UsageError, nearest

TEXTS = ("description", "modality", "kernel", "protocol", "uid", "study", "patient")
NUMBERS = ("slices", "thickness", "number")

_TERM = re.compile(r"\s*([A-Za-z]+)\s*(!=|>=|<=|=|<|>)\s*(?:\"([^\"]*)\"|([^,\"]*))\s*(?:,|$)")
_RELATIONS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@dataclass(frozen=True)
class SeriesFacts:
    """What a rule can ask of a series.

    Parameters
    ----------
    slices
        Images in it, frames of multi-frame files included.
    thickness
        Of the slices [mm], as the header says; not a number where it does not.
    number
        SeriesNumber; not a number where there is none.
    patient
        A pseudonym (`pseudonym`), never what the header holds.
    """

    description: str = ""
    modality: str = ""
    kernel: str = ""
    protocol: str = ""
    uid: str = ""
    study: str = ""
    patient: str = ""
    slices: float = float("nan")
    thickness: float = float("nan")
    number: float = float("nan")


@dataclass(frozen=True)
class SeriesRule:
    """Conditions on a series, from `parse`."""

    text: str
    terms: tuple[tuple[str, str, str], ...]

    def failing(self, facts: SeriesFacts) -> str:
        """The first condition that does not hold, with what was found; "" where all do."""
        for key, relation, wanted in self.terms:
            found = getattr(facts, key)
            if key in NUMBERS:
                holds = _RELATIONS[relation](found, float(wanted))
            else:
                alike = fnmatchcase(found.casefold(), wanted.casefold())
                if key in ("uid", "study") and not alike:  # the end of a UID is enough
                    alike = bool(wanted) and found.endswith(wanted)
                holds = alike if relation == "=" else not alike
            if not holds:
                shown = f"{found:g}" if isinstance(found, float) else repr(found)
                return f"{key} is {shown}, asked for {relation} {wanted}"
        return ""


def parse(text: str) -> SeriesRule | None:
    """The rule that a text is; ``None`` for a plain number, a UID or the end of one.

    Raises
    ------
    UsageError
        It looks like a rule and is none.
    """
    plain = text.strip()
    if not re.search(r"[=<>*?]", plain):
        return None
    if not re.search(r"[=<>]", plain):
        return SeriesRule(plain, (("description", "=", plain),))
    terms = []
    at = 0
    while at < len(plain):
        match = _TERM.match(plain, at)
        if match is None:
            raise UsageError(
                f"--series {text}: cannot be read from {plain[at : at + 20]!r} on. Write conditions with commas between"
                ' them, e.g. --series "description=*arterial*,modality=CT,slices>40".'
            )
        terms.append(_checked(text, match[1].lower(), match[2], match[3] if match[3] is not None else match[4].strip()))
        at = match.end()
    return SeriesRule(plain, tuple(terms))


def _checked(text: str, key: str, relation: str, value: str) -> tuple[str, str, str]:
    if key not in (*TEXTS, *NUMBERS):
        raise UsageError(f"--series {text}: no series has '{key}'.{nearest(key, (*TEXTS, *NUMBERS))}")
    if key in TEXTS and relation not in ("=", "!="):
        raise UsageError(f"--series {text}: '{key}' is text, compare it by = or != (with * and ?), not by {relation}.")
    if key in NUMBERS:
        try:
            float(value)
        except ValueError as error:
            raise UsageError(f"--series {text}: '{key}' is a number, found {value!r}.") from error
    return key, relation, value
