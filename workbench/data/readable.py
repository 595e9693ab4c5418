"""Which cases of a training can be read at all: it goes on without the others, and says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from workbench.core.errors import InputError, NothingFound, WorkbenchError
from workbench.core.failures import Failure
from workbench.core.types import Case, Image
from workbench.data import formats
from workbench.data.cases import naming, open_case


def readable(
    cases: Sequence[Case], require: Callable[[Image], object] = lambda image: None
) -> tuple[list[Case], dict[str, str]]:
    """Cases whose files are there with headers that can be read, and why the others are left out, by id.

    Parameters
    ----------
    require
        Raises an `InputError` for an image of another kind than is wanted.

    Raises
    ------
    InputError, NothingFound
        No case is left; the error is that of the first.
    """
    found: list[Case] = []
    bad: dict[str, WorkbenchError] = {}
    for case in cases:
        try:
            with naming(case):
                require(open_case(case))
                if case.labels is not None:
                    formats.read(case.labels)
            found.append(case)
        except (InputError, NothingFound) as error:
            bad[case.id] = error
    if bad and not found:
        raise next(iter(bad.values()))
    return found, {case: Failure.of(error, case) for case, error in bad.items()}


def left_out(failures: Mapping[str, str]) -> list[str]:
    """A line for the report of a training about cases that it went on without."""
    if not failures:
        return []
    names = ", ".join(list(failures)[:5]) + (f" and {len(failures) - 5} more" if len(failures) > 5 else "")
    return [f"{len(failures)} case(s) could not be read and taught nothing: {names}"]
