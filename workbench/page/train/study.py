"""Pages with corrected lines, opened to learn from: flat, with what they teach, split by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import InputError, NothingFound, UsageError, WorkbenchError
from workbench.core.failures import Failure
from workbench.core.seen import SeenCase, content_key
from workbench.core.types import Case
from workbench.data.cases import naming, open_case
from workbench.page.data.cases import others_beside
from workbench.page.lines_files import SUFFIXES, lines_for
from workbench.page.train.settings import PageTrainConfig
from workbench.page.train.taught import TaughtPage, teach
from workbench.training.split import own_split, split_groups

FEWEST = 4
"""Groups from which on some are kept apart to judge by."""
_WITHOUT = 0.2
"""Share of what the network takes for traces and no line goes along, above which lines seem to be missing."""


@dataclass(frozen=True, eq=False)
class PageStudy:
    """Pages to learn from and to validate on.

    Parameters
    ----------
    seen
        The pages by their content, for the record of the weights.
    validation
        In words, what is validated on.
    """

    train: tuple[TaughtPage, ...]
    val: tuple[TaughtPage, ...]
    seen: tuple[SeenCase, ...]
    validation: str
    notes: tuple[str, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Opened:
    case: Case
    page: TaughtPage
    key: str


def open_pages(cases: Sequence[Case], config: PageTrainConfig, net: Any, device: Any) -> PageStudy:
    """Open pictures and their lines; one that cannot be used is left out and named.

    Parameters
    ----------
    net
        The network that learns, in evaluation mode: what it says of pulses, words and names is kept.

    Raises
    ------
    InputError, NothingFound
        No page has lines, or none can be used; the error is that of the first.
    UsageError
        The same picture would teach and judge.
    """
    lined = [c for c in cases if c.labels is not None]
    if not lined:
        beside = cases[0].image if cases else Path("no page")
        raise InputError(
            f"{beside}: has no corrected lines, and without them nothing is learnt.{others_beside(beside)} Put them "
            "beside it under its name (page.geojson), or give --labels or a column 'labels'."
        )
    opened: list[_Opened] = []
    notes: list[str] = []
    failures: dict[str, str] = {
        c.id: f"{c.image}: has no lines, and teaches nothing.{others_beside(c.image)}"
        for c in cases
        if c.labels is None
    }
    first: WorkbenchError | None = None
    for case in lined:
        try:
            with naming(case):
                one, said = _opened(case, net, device)
        except (InputError, NothingFound) as error:
            first = first or error
            failures[case.id] = Failure.of(error, case)
            continue
        opened.append(one)
        notes += [f"{case.id}: {note}" for note in said]
    if not opened:
        assert first is not None
        raise first
    opened, said_of_copies = _grouped(opened)
    notes += said_of_copies
    train, val, said_of_split, more = _split(opened, config)
    _require_apart([opened[i] for i in train], [opened[i] for i in val])
    learnt = set(train)
    seen = tuple(
        SeenCase(o.case.id, (o.key,), "learnt" if i in learnt else "chosen by", o.case.group or "")
        for i, o in enumerate(opened)
    )
    return PageStudy(
        tuple(opened[i].page for i in train), tuple(opened[i].page for i in val), seen, said_of_split,
        (*notes, *more), failures,
    )  # fmt: skip


def key_of(pixels: Any) -> str:
    """What a picture is known again by: `workbench.core.seen.content_key` of its ``(3, rows, columns)`` pixels."""
    return content_key(np.asarray(pixels))


def _opened(case: Case, net: Any, device: Any) -> tuple[_Opened, list[str]]:
    image = open_case(case)
    assert case.labels is not None
    if case.labels.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{case.labels}: corrected lines of the page (GeoJSON) were expected to learn from, and this is "
            f"'{case.labels.suffix}'. A record says what the leads are, not where they lie; it can score: evaluate."
        )
    told = lines_for(case.labels, image)
    pixels = image.samples()
    page = teach(np.ascontiguousarray(np.moveaxis(pixels, 0, 2)), told.lines, net, device, str(case.image))
    notes = list(told.notes)
    if told.corrected is False:
        notes.append("its lines are as the weights read them, nobody corrected them: they teach what is known already")
    if page.without > _WITHOUT:
        notes.append(
            f"{page.without:.0%} of what the weights take for traces has no line, and is taught to be none: give every "
            "lead on the page its line"
        )
    return _Opened(case, page, key_of(pixels)), notes


def _grouped(opened: Sequence[_Opened]) -> tuple[list[_Opened], list[str]]:
    """The pages, those of equal pixels in one group; and what their lines say of each other."""
    first: dict[str, _Opened] = {}
    found, notes = [], []
    for one in opened:
        same = first.setdefault(one.key, one)
        if same is not one:
            one = replace(one, case=replace(one.case, group=same.case.group or same.case.id))
            also = "" if _alike(same.page, one.page) else ", and their lines contradict each other: correct one"
            notes.append(f"{same.case.id} and {one.case.id} are the same picture{also}")
        found.append(one)
    return found, notes


def _alike(one: TaughtPage, other: TaughtPage) -> bool:
    return np.array_equal(one.trace, other.trace) and np.array_equal(one.names, other.names)


def _split(opened: Sequence[_Opened], config: PageTrainConfig) -> tuple[list[int], list[int], str, list[str]]:
    cases = [o.case for o in opened]
    own = own_split(cases, 0) if config.val_fraction else None
    if own is not None:
        return list(own.train), list(own.val), f"on {len(own.val)} page(s): {own.said}", list(own.notes)
    groups = [c.group or c.id for c in cases]
    everything = list(range(len(cases)))
    if not config.val_fraction:
        return everything, [], "on nothing: nothing was kept apart (val_fraction=0)", []
    if len(set(groups)) < FEWEST:
        said = (
            f"nothing was kept apart to judge by: {len(set(groups))} group(s) of pages, and {FEWEST} are needed; "
            "evaluate on other pages"
        )
        return everything, [], "on nothing: too few pages to keep one apart", [said]
    train, val = split_groups(groups, config.val_fraction, config.seed)
    return train, val, f"on {len(val)} held-out page(s) of {len({groups[i] for i in val})} group(s)", []


def _require_apart(train: Sequence[_Opened], val: Sequence[_Opened]) -> None:
    by_key = {o.key: o.case for o in train}
    for o in val:
        if o.key in by_key:
            raise UsageError(
                f"{o.case.image} and {by_key[o.key].image} are the same picture: one would teach and the other judge. "
                "Leave one out, or give both one group"
            )
