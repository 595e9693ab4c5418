"""Read pages and score their leads against records or corrected lines, by both public definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import Cancelled, InputError, one_line
from workbench.core.failures import none_left, note_failure
from workbench.core.output import require_folder
from workbench.core.seen import Seen, content_key, summary_note
from workbench.core.signals import Signals
from workbench.core.types import Case, Image, Progress, Result
from workbench.data.cases import open_case
from workbench.page.data.cases import others_beside
from workbench.page.data.pictures import AXES
from workbench.page.errors import NotAPage
from workbench.page.evaluate.evaluation import Floats, Judged, PageEvaluation, summarise
from workbench.page.evaluate.reference import at_rate, due, reference_of
from workbench.page.evaluate.scores import PageScore, likest, score

_OTHER_GAIN, _OTHER_RATE = 0.25, 0.6
"""Share and per cent beyond which gain and time of a whole page differ from its reference, and somebody should know."""
_FITS = 2.0
"""Decibels below which a lead fits none of a reference."""
_AS_GOOD = 0.5
"""Decibels by which another lead may fit better without a name being called wrong: leads can be alike."""


def evaluate_pages(
    cases: Sequence[Case],
    read: Callable[[Image], Result],
    *,
    layout: str = "",
    worst: int = 3,
    out: Path | None = None,
    seen: Seen | None = None,
    title: str = "Pages",
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> PageEvaluation:
    """Read pages and score them; one that fails is listed and does not stop the others.

    Parameters
    ----------
    read
        The result of a page, as the backend reads it, with ``leads``.
    layout
        The layout of all pages, where a person said it.
    out
        Folder for ``scores.csv`` (pages), ``leads.csv``, ``scores.json`` and ``report.html``; ``None`` writes nothing.
    seen
        What taught the weights: marks the rows of pages that did.

    Raises
    ------
    UsageError
        `out` cannot be written; said before anything is read.
    InputError
        No page has a reference, or every one failed.
    """
    if out is not None:
        require_folder(out)
    referred = [c for c in cases if c.labels is not None or c.options.get("reference")]
    if not referred:
        first = cases[0].image if cases else Path("no page")
        raise InputError(
            f"{first}: has no reference to be scored against.{others_beside(first)} Put its record (.hea, .csv, "
            ".dcm...) or its corrected lines (.geojson) beside it under its name, or give --labels."
        )
    failures: dict[str, str] = {}
    traces: dict[str, str] = {}
    judged: list[Judged] = []
    said: dict[str, list[str]] = {}
    for number, case in enumerate(referred):
        if progress is not None:
            progress(number, len(referred))
        try:
            one, more = _judge(case, read, layout, seen)
        except Cancelled:
            raise
        except Exception as error:
            note_failure(error, case.id, case.image, failures, traces)
            continue
        judged.append(one)
        for note in more:
            said.setdefault(note, []).append(case.id)
    if progress is not None:
        progress(len(referred), len(referred))
    if not judged:
        raise none_left("no page could be scored", failures)
    notes = [n for n in (summary_note({j.case: j.seen for j in judged}, "page(s)") if seen is not None else "",) if n]
    if failures:
        notes.append(f"{len(failures)} page(s) could not be scored, and are in no mean")
    notes += [f"{note}{_whose(ids, len(judged))}" for note, ids in said.items()]
    for case in cases:
        if case not in referred:
            why = f"has no reference, and is not scored.{others_beside(case.image)}"
            failures[case.id] = f"{case.image}: {why} Give one, or leave it out."
    report = PageEvaluation(
        [j.row() for j in judged], [row for j in judged for row in j.lead_rows()], summarise(judged), failures, traces,
        tuple(notes),
    )  # fmt: skip
    if out is None:
        return report
    from workbench.page.evaluate.report import write_report

    shown = sorted(judged, key=lambda j: j.score.physionet)[:worst]
    return replace(report, files=write_report(report, out, shown, title, provenance or {}))


def _judge(
    case: Case, read: Callable[[Image], Result], layout: str, seen: Seen | None
) -> tuple[Judged, tuple[str, ...]]:
    image = open_case(case)
    if image.geometry.axes != AXES:
        raise InputError(
            f"{case.image}: is a digital electrocardiogram, a picture of a page was expected to be read and scored. "
            "Give the picture as the image, and this as its reference."
        )
    reference = reference_of(case, image)
    mark = "" if seen is None else seen.mark([content_key(np.asarray(image.samples()))], group=case.group or "")
    try:
        result = read(image)
    except NotAPage as error:
        empty = dict.fromkeys(reference.leads, "not found")
        scored = score(reference.leads, {}, reference.rate)
        return Judged(case.id, scored, empty, reference.what, mark, reference.leads, {}, reference.rate), (
            *reference.notes,
            f"refused, and counts as empty: {one_line(error).removeprefix(f'{case.image}: ')}",
        )
    leads = result.parts["leads"]
    assert isinstance(leads, Signals)
    rate = leads.sampling_rate
    found = {name: row.astype(np.float64) for name, row in zip(leads.channels, leads.data, strict=True)}
    wanted, notes = due(reference, leads.channels, result.provenance.details, rate, layout)
    whole = at_rate(reference.leads, reference.rate, rate)
    scored, named = score(wanted, found, rate), _named(wanted, whole, found, rate)
    one = Judged(case.id, scored, named, reference.what, mark, wanted, found, rate)
    return one, (*reference.notes, *notes, *_doubts(scored, named))


def _doubts(scored: PageScore, named: Mapping[str, str]) -> list[str]:
    """What all leads together say of a reference that cannot be the record of the page, or not in this unit or rate."""
    there = [lead for lead in named.values() if lead != "not found"]
    if there and there.count("yes") < 0.5 * len(there):
        return [
            f"only {there.count('yes')} of {len(there)} leads fit their leads in the reference: is it the record of "
            "this page, at its sampling rate?"
        ]
    gain, stretch = (
        float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")
        for values in (np.array([getattr(s, key) for s in scored.leads.values()]) for key in ("gain", "stretch"))
    )
    notes = []
    if abs(gain - 1) > _OTHER_GAIN:
        notes.append(
            f"leads are {gain:.3g} times as high as in the reference: check its unit and gain, and the gain of the page"
        )
    if abs(stretch) > _OTHER_RATE:
        notes.append(f"time runs {stretch:+.1f} % against the reference: check its sampling rate, and the speed")
    return notes


def _named(
    wanted: Mapping[str, Floats], whole: Mapping[str, Floats], found: Mapping[str, Floats], rate: float
) -> dict[str, str]:
    """Of each lead that is due whether what was found under its name is it: no other of the reference fits better."""
    out: dict[str, str] = {}
    for name in wanted:
        values = found.get(name)
        if values is None or not np.isfinite(values).any():
            out[name] = "not found"
            continue
        own = name.removesuffix(" strip")
        fits = likest({**whole, name: wanted[name]}, values, rate)
        mine = max((v for n, v in fits.items() if n.removesuffix(" strip") == own), default=None)
        best = max(fits.values(), default=0.0)
        if mine is None or best < _FITS:
            out[name] = "not known"
        else:
            out[name] = "yes" if mine > best - _AS_GOOD else "no"
    return out


def _whose(ids: Sequence[str], all_of: int) -> str:
    if len(ids) == all_of:
        return ""
    return f" ({', '.join(ids[:3])}{f' and {len(ids) - 3} more' if len(ids) > 3 else ''})"
