"""Recordings opened for an evaluation: prepared, tokenised, with the events on their clock; and how far the work is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from workbench.core.types import Case, Mark, Progress
from workbench.data.cases import naming, open_case
from workbench.recording.data.agree import agree
from workbench.recording.data.channels import only_named
from workbench.recording.data.events import events_of, left_out
from workbench.recording.data.prepare import prepare
from workbench.recording.data.read import with_triggers
from workbench.recording.data.recording import open_recording
from workbench.recording.data.triggers import Triggers
from workbench.recording.evaluate.settings import MEGEvaluateConfig
from workbench.recording.predict.surprisal import surprisal
from workbench.recording.train.data import Floats, Integers, Session, session_of
from workbench.recording.train.weights import Parts


@dataclass(frozen=True, eq=False)
class Opened:
    """One recording: prepared signals, tokens, and what lies on its clock."""

    session: Session
    labels: Integers
    start: float
    events: tuple[tuple[float, str], ...]
    marks: tuple[Mark, ...]
    positions: npt.NDArray[np.float64] | None
    surprisal: Floats | None = None

    @property
    def name(self) -> str:
        return self.session.name

    @property
    def good(self) -> Floats:
        """Signals (C, n) without bad segments."""
        return self.session.data if self.session.good.all() else self.session.data[:, self.session.good]


def open_one(case: Case, parts: Parts, config: MEGEvaluateConfig, course: Course, scored: bool) -> Opened:
    """Open, prepare and tokenise a recording; with `scored` also its surprisal.

    Raises
    ------
    InputError
        It cannot be read or prepared for these weights; the message names the case.
    """
    with naming(case):
        image = open_case(case)
        recording, chosen = only_named(with_triggers(open_recording(image), triggers_of(config)), config.channels)
        recipe = parts.recipe_for(config.kinds, config.reduce)
        agreement = agree(recording, recipe, parts.contract, force=config.force)
        prepared = prepare(
            recording, recipe, allow_resample=config.allow_resample, progress=course.within("open", 0.0, 0.3)
        )
        # Nothing is carried over a break in the recording, be it of epochs or of the acquisition.
        runs = prepared.segments or ((0, prepared.data.shape[1]),)
        labels = parts.codec.encode(prepared.data, course.within("open", 0.3, 0.5), runs=runs)
        surprise = np.full(labels.shape, np.nan, np.float32) if scored and parts.gpt is not None else None
        for a, b in runs:
            low, high = a / runs[-1][1], b / runs[-1][1]
            if surprise is not None and parts.gpt is not None:
                surprise[:, a:b] = surprisal(
                    parts.gpt, labels[:, a:b], session=vector_of(case.id, parts, config),
                    progress=course.within("open", 0.5 + 0.5 * low, 0.5 + 0.5 * high),
                )  # fmt: skip
        if surprise is not None:
            surprise[:, ~prepared.good] = np.nan
        events = tuple(events_of(recording, config.events))
    notes = (*image.notes, *chosen, *recording.event_notes, *left_out(recording, config.events))
    session = session_of(case, prepared, recipe.sampling_rate, agreement, notes)
    places = None
    if prepared.info is not None and prepared.mixing is None:
        places = np.array([ch["loc"][:3] for ch in prepared.info["chs"]], np.float64)
        places[~np.isfinite(places).all(1) | (places == 0).all(1)] = np.nan
    return Opened(session, labels, recording.start, events, tuple(recording.marks), places, surprise)


def triggers_of(config: MEGEvaluateConfig) -> Triggers:
    """How events are read from stimulus channels."""
    return Triggers(config.stim_channel, config.trigger_mask, config.trigger_unsigned, config.trigger_shortest)


def vector_of(name: str, parts: Parts, config: MEGEvaluateConfig) -> int | Literal["mean"] | None:
    """The session vector for a recording."""
    if parts.gpt is None or not parts.gpt.n_sessions or config.session == "none":
        return None
    if config.session == "auto" and name in parts.sessions:
        return parts.sessions.index(name)
    return "mean"


class Course:
    """Progress over everything in thousandths: parts of known weight, done one after the other."""

    def __init__(self, progress: Progress | None, cases: int, tasks: Sequence[str], config: MEGEvaluateConfig) -> None:
        self.progress = progress
        self.weights = {"open": 1.0}
        if "generation" in tasks or "similarity" in tasks:
            self.weights["generation"] = config.seconds / 20
        if "generation" in tasks:
            self.weights["comparison"] = 0.5
        self.total = cases * sum(self.weights.values())
        if "decode" in tasks:
            self.weights["decode"] = cases * (3.0 if config.fine_tune else 0.5)
            self.total += self.weights["decode"]
        self.done, self.now = 0.0, 0.0

    def within(self, name: str, low: float = 0.0, high: float = 1.0) -> Progress | None:
        """Progress of one piece of a part."""
        if self.progress is None:
            return None

        def tell(done: int, total: int) -> None:
            share = low + (high - low) * done / max(1, total)
            self.now = self.done + self.weights[name] * share
            self.tick()

        return tell

    def finish(self, name: str) -> None:
        """One piece of that part is done."""
        self.done += self.weights[name]
        self.now = self.done
        self.tick()

    def tick(self) -> None:
        """Say where we are; the place to cancel."""
        if self.progress:
            self.progress(min(999, int(1000 * self.now / self.total)), 1000)

    def end(self) -> None:
        """Everything is done."""
        if self.progress:
            self.progress(1000, 1000)
