"""``--series all``: of a file that holds several images (pages of a document) each is a case of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from workbench.core import kinds
from workbench.core.errors import InputError, NothingFound
from workbench.core.kinds import Kind
from workbench.core.study import Study
from workbench.core.types import Case
from workbench.data import formats

ALL = "all"


def are_asked(series: str | None, kind: str | None) -> bool:
    """Whether all images of each file are wanted, of a kind that has several in one; by default of any."""
    wanted = series is not None and series.strip().lower() == ALL
    return wanted and (kind is None or kinds.find(kind).hook("files", "series_in") is not None)


def spread(study: Study, kind: str | None) -> Study:
    """The study with a case for each image of its files: ``name_p1``, ``name_p2``; a file with one stays as it is."""
    return replace(study, cases=tuple(one for case in study.cases for one in _each(case, kind)))


def _each(case: Case, kind: str | None) -> Iterator[Case]:
    names = () if case.problem or case.files or case.options.get("series") else _series_in(case, kind)
    if not names:
        yield case
    for name in names:
        # Of which of them the labels beside a file are, nothing tells.
        yield replace(case, id=f"{case.id}_p{name}", labels=None, options={**case.options, "series": name})


def _series_in(case: Case, kind: str | None) -> tuple[str, ...]:
    """Which images the file of a case holds, where there are several; of one that cannot be read the reader says so."""
    file, key = formats.split_address(case.image)
    if key is not None or not file.is_file():
        return ()
    try:
        row = _row_of(case, kind)
        own = None if row is None else row.hook("files", "series_in")
        return () if own is None else tuple(own(file))
    except (InputError, NothingFound, OSError):
        return ()


def _row_of(case: Case, kind: str | None) -> Kind | None:
    told = case.options.get("kind") or kind
    return kinds.find(told) if told else formats.kind_of(case.image)
