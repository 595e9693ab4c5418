"""Recordings as a training sees them: prepared sessions, where windows may lie in them, and which are kept apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.agreement import KNOW_BETTER
from workbench.core.errors import InputError, MismatchError, UsageError
from workbench.core.types import Case, Progress
from workbench.data.cases import naming, open_case
from workbench.recording.data.agree import Agreement, Contract, agree
from workbench.recording.data.channels import families
from workbench.recording.data.measured import Measured
from workbench.recording.data.prepare import Prepared, RecordingRecipe, prepare
from workbench.recording.data.recording import open_recording
from workbench.recording.train.settings import MEGTrainConfig, StageSchedule
from workbench.training.loop import LoopSettings
from workbench.training.split import split_groups

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.integer[Any]]
Tell = Callable[[str, int, int], None]
"""Called with (name of the recording, done, total) while work advances; may raise `Cancelled`."""


@dataclass(frozen=True, eq=False)
class Session:
    """One prepared recording.

    ``data`` (channels, samples) z-scored; ``good`` (samples,) False in bad stretches; ``segments``: samples ``(start,
    stop)`` that follow each other without a break (epochs), empty for one run of all. ``group`` is the subject where it
    was named, ``keys`` are those of the file's content, ``measured`` says what the file is like.
    """

    name: str
    subject: str
    data: Floats
    good: npt.NDArray[np.bool_]
    channels: tuple[str, ...]
    sampling_rate: float
    segments: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()
    group: str = ""
    keys: tuple[str, ...] = ()
    measured: Measured | None = None

    @property
    def seconds(self) -> float:
        return float(self.good.sum()) / self.sampling_rate


@dataclass(frozen=True)
class Stretch:
    """Samples `start` to `stop` (exclusive) of session number `session`, all of them good."""

    session: int
    start: int
    stop: int


@dataclass(frozen=True)
class Split:
    """Where to learn and where to validate; `text` says in words what the score means, `held_out` names subjects."""

    train: tuple[Stretch, ...]
    val: tuple[Stretch, ...]
    text: str
    held_out: tuple[str, ...] = ()


def load_sessions(
    cases: Sequence[Case],
    recipe: RecordingRecipe,
    *,
    allow_resample: bool,
    contract: Contract | None = None,
    force: bool = False,
    tell: Tell | None = None,
) -> list[Session]:
    """Open and prepare all recordings of a training.

    Parameters
    ----------
    cases
        Recordings; `Case.group` is the subject.
    recipe
        How to prepare them.
    allow_resample
        Whether recordings of another rate may be resampled.
    contract, force
        What the weights to go on from were taught on; whether recordings that differ are taken all the same.
    tell
        See `Tell`.

    Raises
    ------
    InputError
        A recording that cannot be prepared, or with other channels than the first; the message names the case.
    """
    if not cases:
        raise InputError("training needs recordings, none was given")
    found: list[Session] = []
    for case in cases:
        with naming(case):
            recording = open_recording(open_case(case))
            agreement = agree(recording, recipe, contract, force=force)
            if found and not force:
                _require_alike(case, agreement.measured, cases[0].id, found[0].measured)
            prepared = prepare(recording, recipe, allow_resample=allow_resample, progress=named(tell, case.id))
            found.append(session_of(case, prepared, recipe.sampling_rate, agreement))
            if len(found[-1].channels) != len(found[0].channels):
                raise InputError(
                    f"{case.image}: {len(found[-1].channels)} channels after preparation, but '{cases[0].id}' has "
                    f"{len(found[0].channels)}; give recordings of one system, name channels, or reduce them "
                    "(--reduce pca --n-channels N)"
                )
    return found


def session_of(case: Case, prepared: Prepared, rate: float, agreement: Agreement) -> Session:
    """A prepared recording with what was found in it before."""
    return Session(
        case.id, case.group or case.id, prepared.data, prepared.good, prepared.channels, rate, prepared.segments,
        (*agreement.notes, *prepared.notes), "" if case.group in (None, case.id) else case.group, prepared.keys,
        agreement.measured,
    )  # fmt: skip


def _require_alike(case: Case, found: Measured, first: str, wanted: Measured | None) -> None:
    """One network learns one kind of channels."""
    if wanted is not None and families(found.kinds) != families(wanted.kinds):
        here, there = ("/".join(sorted(m.kinds)) for m in (found, wanted))
        raise MismatchError(
            f"{case.image}: {here} channels, but '{first}' has {there}: one network learns one kind. Train one for "
            f"each, or choose --kinds. {KNOW_BETTER}"
        )


def named(tell: Tell | None, name: str) -> Progress | None:
    """A progress callable for the work on one recording."""
    return None if tell is None else lambda done, total: tell(name, done, total)


def stretches(sessions: Sequence[Session], length: int) -> tuple[Stretch, ...]:
    """All runs of good samples in which a window of `length` fits."""
    found = []
    for number, session in enumerate(sessions):
        for first, last in session.segments or ((0, len(session.good)),):
            good = np.concatenate([[False], session.good[first:last], [False]])
            runs = first + np.flatnonzero(np.diff(good.astype(np.int8))).reshape(-1, 2)
            found += [Stretch(number, int(a), int(b)) for a, b in runs if b - a >= length]
    return tuple(found)


def split_sessions(sessions: Sequence[Session], length: int, *, by: str, fraction: float, seed: int) -> Split:
    """Keep subjects or windows apart for validation.

    Parameters
    ----------
    length
        Samples of the longest window that will be drawn.
    by
        ``"subject"``, ``"windows"`` (as published: windows of every recording, so the score is of brains that were
        trained on), or ``"auto"``: subjects if there are at least two.
    fraction
        Share to keep apart; 0 validates on the training data, and says so.

    Raises
    ------
    InputError
        No recording is long enough.
    UsageError
        One subject only, and subjects are asked for.
    """
    every = stretches(sessions, length)
    if not every:
        longest = max(s.seconds for s in sessions)
        raise InputError(
            f"no recording has {length} good samples in a row ({length / sessions[0].sampling_rate:.2f} s); the "
            f"longest one has {longest:.2f} s of good data in all. Give longer recordings"
        )
    subjects = [s.subject for s in sessions]
    if fraction == 0:
        return Split(every, every, "on the training data themselves (val_fraction=0): shows fit, not generalisation")
    if by == "auto":
        by = "subject" if len(set(subjects)) > 1 else "windows"
    if by == "subject":
        _, held = split_groups(subjects, fraction, seed)
        names = tuple(sorted({subjects[i] for i in held}))
        train = tuple(s for s in every if s.session not in held)
        val = tuple(s for s in every if s.session in held)
        if not train or not val:
            raise UsageError(f"no window of {length} samples on one side of the split; choose another seed")
        return Split(train, val, f"on {len(held)} recording(s) of {len(names)} held-out subject(s)", names)
    return _split_windows(every, length, fraction, seed)


def _split_windows(every: Sequence[Stretch], length: int, fraction: float, seed: int) -> Split:
    """Windows at random places are kept apart, one out of every 1 / fraction in a row; training never overlaps them."""
    random = np.random.default_rng([seed, 5])
    windows = [(i, at) for i, s in enumerate(every) for at in range(s.start, s.stop - length + 1, length)]
    run = max(2, round(1 / fraction))
    chosen = [at + int(random.integers(run)) for at in range(0, len(windows) - run + 1, run)]
    if not chosen and len(windows) > 1:
        chosen = [int(random.integers(len(windows)))]
    held = sorted(windows[n] for n in chosen)
    val = tuple(Stretch(every[i].session, at, at + length) for i, at in held)
    train = []
    for i, stretch in enumerate(every):
        here = stretch.start
        for at in [at for number, at in held if number == i] + [stretch.stop]:
            if at - here >= length:
                train.append(Stretch(stretch.session, here, at))
            here = at + length
    if not val or not train:
        raise UsageError(
            f"the recordings are too short to keep windows of {length} samples apart; give longer ones, or "
            "val_fraction=0"
        )
    text = f"on {len(val)} held-out windows of the recordings that were trained on: other subjects score worse"
    return Split(tuple(train), val, text)


class Windows:
    """Windows of one length in some stretches: drawn at random for training, laid side by side for validation."""

    def __init__(self, places: Sequence[Stretch], length: int) -> None:
        self.places = [s for s in places if s.stop - s.start >= length]
        self.length = length
        self._starts = np.cumsum([0] + [s.stop - s.start - length + 1 for s in self.places])

    @property
    def per_epoch(self) -> int:
        """Windows that cover the stretches once."""
        return max(1, sum((s.stop - s.start) // self.length for s in self.places))

    def draw(self, count: int, random: np.random.Generator) -> list[tuple[int, int]]:
        """`count` windows as (session, first sample); every place is equally likely."""
        numbers = random.integers(self._starts[-1], size=count)
        index = np.searchsorted(self._starts, numbers, side="right") - 1
        return [
            (self.places[i].session, self.places[i].start + int(n - self._starts[i]))
            for i, n in zip(index, numbers, strict=True)
        ]

    def spread(self, count: int) -> list[tuple[int, int]]:
        """At most `count` windows that do not overlap, spread evenly over all of them."""
        every = [(s.session, at) for s in self.places for at in range(s.start, s.stop - self.length + 1, self.length)]
        if len(every) <= count:
            return every
        return [every[i] for i in np.linspace(0, len(every) - 1, count).round().astype(int)]


def cut(arrays: Sequence[npt.NDArray[Any]], windows: Sequence[tuple[int, int]], length: int) -> npt.NDArray[Any]:
    """Windows of (channels, samples) arrays as one array (windows, samples, channels)."""
    return np.stack([np.asarray(arrays[i][:, at : at + length]).T for i, at in windows])


def loop_settings(schedule: StageSchedule, config: MEGTrainConfig, steps: int, **more: Any) -> LoopSettings:
    """The settings of the loop for one stage; `more` says what that stage has besides."""
    tenth = max(1, math.ceil(steps / 10))
    return LoopSettings(
        steps=steps, lr=schedule.lr, betas=schedule.betas, eps=schedule.eps, weight_decay=schedule.weight_decay,
        warmup=schedule.warmup, floor=schedule.floor, ema=schedule.ema, clip=schedule.clip,
        validate_every=config.validate_every or tenth, save_every=tenth, max_minutes=config.max_minutes,
        seed=config.seed, **more,
    )  # fmt: skip
