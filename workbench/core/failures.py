"""Cases of a study that failed: why, in one line, and with which exit code."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, MutableMapping
from typing import Self

from workbench.core import memory
from workbench.core.errors import InputError, MismatchError, OutOfMemory, WorkbenchError, one_line


class Failure(str):
    """Why a case failed, as text; `exit_code` is that of its error, `refused` whether weights cannot be right on it."""

    exit_code: int = 1
    refused: bool = False

    @classmethod
    def of(cls, error: Exception, subject: object) -> Self:
        """The one line for an error: its own, or what it is and which file it was about.

        Memory that ran out is said as such, whatever error a library made of it.
        """
        short = None if isinstance(error, OutOfMemory) else memory.exhausting(error)
        told = OutOfMemory(memory.ran_out(subject, short)) if short is not None else error
        known = isinstance(told, WorkbenchError)
        found = cls(one_line(told) if known else f"{subject}: {type(told).__name__}: {one_line(told)}")
        found.exit_code = told.exit_code if isinstance(told, WorkbenchError) else 1
        found.refused = isinstance(told, MismatchError)
        return found


def note_failure(
    error: Exception, case: str, subject: object, failures: MutableMapping[str, str], traces: MutableMapping[str, str]
) -> None:
    """Write down that a case failed; with its traceback where nobody foresaw that."""
    failures[case] = failure = Failure.of(error, subject)
    if failure.exit_code == 1:
        traces[case] = "".join(traceback.format_exception(error))


def exit_code(failures: Mapping[str, str]) -> int:
    """0 without any; 6 if memory was the only problem; else 3."""
    codes = {getattr(f, "exit_code", InputError.exit_code) for f in failures.values()}
    if not codes:
        return 0
    return OutOfMemory.exit_code if codes == {OutOfMemory.exit_code} else InputError.exit_code


def none_left(what: str, failures: Mapping[str, str]) -> WorkbenchError:
    """The error where every case failed: out of memory, or refused by the weights, if that was all; else bad input."""
    text = f"{what}; the first failure: {next(iter(failures.values()), 'none')}"
    if failures and all(getattr(f, "refused", False) for f in failures.values()):
        return MismatchError(text)
    return OutOfMemory(text) if exit_code(failures) == OutOfMemory.exit_code else InputError(text)
