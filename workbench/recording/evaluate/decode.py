"""Which kind of event a trial belongs to: logistic regression on features, tested on new sessions and new subjects.

Huang et al., arXiv:2510.18080: features are standardised on the training trials, a multinomial logistic regression
learns from them, and whole sessions or subjects are held out. The same regression on the signals is the baseline.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, nearest
from workbench.core.types import Scores
from workbench.recording.evaluate.permutation import permutation_test

Array = npt.NDArray[np.float64]
Split = Literal["new session", "new subject", "new trials"]
CHANCE = "chance (most frequent kind)"
BASELINE = "signals (baseline)"
_FEWEST = 5  # trials of a kind


@dataclass(frozen=True, eq=False)
class Trials:
    """Windows around events, of one recording or of several.

    Parameters
    ----------
    signals
        (N, C, L) float32, standardised per channel and recording.
    labels, sessions, subjects
        (N,) text: kind of the event, recording, and whose it is.
    begins
        (N,) first sample of each window in its recording.
    notes
        What was left out.
    """

    signals: npt.NDArray[np.float32]
    labels: npt.NDArray[np.str_]
    sessions: npt.NDArray[np.str_]
    subjects: npt.NDArray[np.str_]
    begins: npt.NDArray[np.int64]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @staticmethod
    def join(parts: Sequence[Trials]) -> Trials:
        """All trials of several recordings, in order."""
        return Trials(
            np.concatenate([p.signals for p in parts]),
            np.concatenate([p.labels for p in parts]),
            np.concatenate([p.sessions for p in parts]),
            np.concatenate([p.subjects for p in parts]),
            np.concatenate([p.begins for p in parts]),
            tuple(n for p in parts for n in p.notes),
        )


def cut_trials(
    data: npt.NDArray[Any],
    fs: float,
    events: Sequence[tuple[float, str]],
    *,
    tmin: float,
    samples: int,
    kinds: Sequence[str] = (),
    start: float = 0.0,
    good: npt.NDArray[np.bool_] | None = None,
    runs: Sequence[tuple[int, int]] = (),
    session: str = "session",
    subject: str = "subject",
) -> Trials:
    """Windows around the events of one recording.

    Parameters
    ----------
    data
        (C, T) signals.
    fs, start
        Sampling rate [Hz] and time of the first sample [s].
    events
        (time [s], kind) on the same clock as `start`.
    tmin
        Where a window begins, relative to its event [s].
    samples
        Length of a window.
    kinds
        Kinds of events to tell apart; all if empty.
    good
        (T,) False where a trial must not lie.
    runs
        Samples (start, stop) that follow each other without a break, such as epochs; empty for one run of all.

    Raises
    ------
    InputError
        No events, none of the kinds, or events outside of the recording.
    """
    found = [(float(t), str(k)) for t, k in events if not kinds or str(k) in kinds]
    known = sorted({str(k) for _, k in events})
    if not found:
        if not known:
            raise InputError(f"{session}: no events in it; decoding needs annotations or a stimulus channel")
        missing = next(k for k in kinds if k not in known)
        raise InputError(f"{session}: no event '{missing}'.{nearest(missing, known)}")
    total = data.shape[1]
    last = start + total / fs
    outside = [t for t, _ in found if not start - 0.5 / fs <= t < last]
    if outside:
        raise InputError(
            f"{session}: {len(outside)} of {len(found)} events lie outside of the data ({start:g} to {last:g} s), "
            f"first at {outside[0]:g} s; do the events count from the start of this recording?"
        )
    once = {(round((t - start) * fs), k): (t, k) for t, k in reversed(found)}
    twice = len(found) - len(once)
    found = sorted(once.values())
    begins = np.array([round((t - start + tmin) * fs) for t, _ in found])
    labels = np.array([k for _, k in found])
    fits = (begins >= 0) & (begins + samples <= total)
    if len(runs) > 1:
        inside = [any(a <= b and b + samples <= stop for a, stop in runs) for b in begins]
        broken = fits & ~np.array(inside)
        fits &= np.array(inside)
    else:
        broken = np.zeros(len(fits), bool)
    clean = fits.copy()
    if good is not None:
        clean[fits] = [bool(good[b : b + samples].all()) for b in begins[fits]]
    notes = []
    if twice:
        notes.append(f"{session}: {twice} events are listed twice, at the same sample; each is one trial")
    if broken.any():
        notes.append(f"{session}: {int(broken.sum())} trials, with their past, reach over a break and are left out")
    if (~fits & ~broken).any():
        notes.append(
            f"{session}: {int((~fits & ~broken).sum())} trials reach over an end of the recording and are left out"
        )
    if (fits & ~clean).any():
        notes.append(f"{session}: {int((fits & ~clean).sum())} trials in bad segments are left out")
    begins, labels = begins[clean], labels[clean]
    windows = np.empty((len(begins), len(data), samples), np.float32)
    for i, b in enumerate(begins):
        windows[i] = data[:, b : b + samples]
    return Trials(
        windows,
        labels,
        np.full(len(begins), session),
        np.full(len(begins), subject),
        begins.astype(np.int64),
        tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class Fold:
    """One way to hold trials out: `train` and `test` are trial numbers, `name` says what is held out."""

    split: Split
    name: str
    train: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]


Features: TypeAlias = npt.ArrayLike | Callable[[Fold], npt.ArrayLike]
"""(N, ...) numbers per trial, or a function that makes them for a fold (a network taught on its training sessions)."""


@dataclass(frozen=True, eq=False)
class Decoding:
    """What was decoded how well.

    Parameters
    ----------
    scores
        Per split and method: accuracy with its 95 % interval, number of folds and of tested trials, and the probability
        of so large a difference to the baseline if there were none (sign permutations over folds).
    folds
        Per split, fold and method: accuracy.
    confusion
        (split, method) -> (K, K) counts, rows: what it was, columns: what was said.
    kinds
        The K kinds of events.
    notes
        What a reader should know.
    """

    scores: Scores
    folds: Scores
    confusion: dict[tuple[str, str], npt.NDArray[np.int64]]
    kinds: tuple[str, ...]
    notes: tuple[str, ...] = ()


def make_folds(
    sessions: Sequence[str] | npt.NDArray[Any],
    subjects: Sequence[str] | npt.NDArray[Any],
    splits: Sequence[Split] = (),
    *,
    parts: int = 5,
) -> tuple[list[Fold], list[str]]:
    """Folds that hold out whole sessions or subjects, and notes on splits that cannot be made.

    Parameters
    ----------
    sessions, subjects
        (N,) names.
    splits
        ``"new session"``: the first, second ... session of every subject that has several, the others being trained
        on; ``"new subject"``: all of one subject; ``"new trials"``: a stretch of consecutive trials of every session.
        Empty: the first two where they can be made, else the third.
    parts
        Stretches of ``"new trials"``.
    """
    of_session, of_subject = np.asarray(sessions), np.asarray(subjects)
    rows = np.arange(len(of_session))
    by_subject = {s: sorted(set(of_session[of_subject == s])) for s in sorted(set(of_subject))}
    folds: list[Fold] = []
    notes: list[str] = []
    for split in splits or ("new session", "new subject"):
        before = len(folds)
        if split == "new session":
            for k in range(max(len(s) for s in by_subject.values())):
                held = [s[k] for s in by_subject.values() if len(s) > 1 and k < len(s)]
                test = np.isin(of_session, held)
                if test.any():
                    folds.append(Fold(split, f"session {k + 1}", rows[~test], rows[test]))
        elif split == "new subject" and len(by_subject) > 1:
            for subject in by_subject:
                test = of_subject == subject
                folds.append(Fold(split, str(subject), rows[~test], rows[test]))
        elif split == "new trials":
            place = np.empty(len(rows))
            for s in set(of_session):
                own = rows[of_session == s]
                place[own] = np.arange(len(own)) / len(own)
            for k in range(parts):
                test = (place >= k / parts) & (place < (k + 1) / parts)
                if test.any():
                    folds.append(Fold(split, f"part {k + 1}", rows[~test], rows[test]))
        if len(folds) == before:
            notes.append(f"'{split}' cannot be tested: there is only one {split.removeprefix('new ')}")
    if not folds and not splits:
        return make_folds(of_session, of_subject, ("new trials",), parts=parts)[0], notes
    return folds, notes


def decode(
    features: Mapping[str, Features],
    labels: Sequence[str] | npt.NDArray[Any],
    sessions: Sequence[str] | npt.NDArray[Any],
    subjects: Sequence[str] | npt.NDArray[Any],
    *,
    splits: Sequence[Split] = (),
    baseline: str = BASELINE,
    marks: Mapping[str, str] | None = None,
    step: Callable[[], None] | None = None,
) -> Decoding:
    """Teach and test a multinomial logistic regression on each fold with each kind of features.

    Parameters
    ----------
    features
        Name -> features of all N trials, or a function of the fold. The rest of their shape is flattened.
    labels, sessions, subjects
        (N,) names.
    splits
        See `make_folds`.
    baseline
        Name of the features that the others are compared with.
    marks
        Session -> whether it taught the network that the features come from (`workbench.core.seen`). Then the tables
        have a column ``seen``, and where some folds test on what did and others do not, means of those besides.
    step
        Called after every fit; may raise to stop.

    Raises
    ------
    InputError
        Fewer than two kinds of events with five trials each, no fold can be made, or features that are not finite.

    Notes
    -----
    Kinds with fewer trials are left out, with a note.
    """
    truth = np.asarray(labels).astype(str)
    kinds, counts = np.unique(truth, return_counts=True)
    if len(kinds) < 2:
        raise InputError(f"all {len(truth)} trials are '{kinds[0] if len(kinds) else ''}'; decoding needs two kinds")
    rare = [(str(k), int(n)) for k, n in zip(kinds, counts, strict=True) if n < _FEWEST]
    kinds, counts = kinds[counts >= _FEWEST], counts[counts >= _FEWEST]
    left_out = ", ".join(f"{n} trials of '{k}'" for k, n in rare)
    if len(kinds) < 2:
        raise InputError(f"only {left_out}; decoding needs two kinds with at least {_FEWEST} trials each")
    kept = np.flatnonzero(np.isin(truth, kinds))
    folds, notes = make_folds(np.asarray(sessions)[kept], np.asarray(subjects)[kept], splits)
    folds = [replace(f, train=kept[f.train], test=kept[f.test]) for f in folds]
    if rare:
        notes.append(f"left out: {left_out}; at least {_FEWEST} of a kind are needed")
    usable = []
    for fold in folds:
        absent = set(kinds) - set(truth[fold.train])
        if absent or not len(fold.train):
            notes.append(f"{fold.split}, {fold.name}: left out, nothing to learn {', '.join(sorted(absent))} from")
        else:
            usable.append(fold)
    if not usable:
        raise InputError(f"no fold can be made: {'; '.join(notes)}. Give recordings of several sessions or subjects.")
    # Of all trials, not of those of the training: with few folds these are many where the test has few.
    usual = str(kinds[counts.argmax()])
    rows: list[tuple[Any, ...]] = []
    confusion: dict[tuple[str, str], npt.NDArray[np.int64]] = {}
    tested = np.asarray(sessions).astype(str)
    for fold in usable:
        seen = [_seen([marks.get(s, "not known") for s in dict.fromkeys(tested[fold.test])])] if marks else []
        said = {CHANCE: np.full(len(fold.test), usual)}
        for name, given in features.items():
            values = np.asarray(given(fold) if callable(given) else given, np.float64).reshape(len(truth), -1)
            said[name] = _predict(values, truth, fold, name, notes)
            if step:
                step()
        for name, found in said.items():
            rows.append((fold.split, fold.name, name, float((found == truth[fold.test]).mean()), len(fold.test),
                         *seen))  # fmt: skip
            table = confusion.setdefault((fold.split, name), np.zeros((len(kinds), len(kinds)), np.int64))
            np.add.at(table, (np.searchsorted(kinds, truth[fold.test]), np.searchsorted(kinds, found)), 1)
    columns = ("split", "held out", "features", "accuracy", "trials", *(["seen"] if marks else []))
    folded = Scores(columns, tuple(rows), "decode_folds")
    return Decoding(_summary(folded, baseline), folded, confusion, tuple(kinds), tuple(dict.fromkeys(notes)))


def _predict(values: Array, truth: npt.NDArray[Any], fold: Fold, name: str, notes: list[str]) -> npt.NDArray[Any]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not np.isfinite(values).all():
        raise InputError(f"features '{name}' hold NaN or infinity; leave out bad segments")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(values[fold.train], truth[fold.train])
    if any(issubclass(w.category, ConvergenceWarning) for w in caught):
        notes.append(f"{name}: the regression did not converge in 1000 iterations in some folds")
    return np.asarray(model.predict(values[fold.test])).astype(str)


def _summary(folded: Scores, baseline: str) -> Scores:
    """Mean over folds with a 95 % interval; where only some folds test on what taught, also over the others."""
    rows = folded.as_dicts()
    columns = ("split", "features", "accuracy", "95 % from", "95 % to", "folds", "trials", "p against baseline")
    if "seen" not in folded.columns:
        return Scores(columns, tuple(_means(rows, baseline)), "decode")
    found: list[tuple[Any, ...]] = []
    for split in dict.fromkeys(r["split"] for r in rows):
        same = [r for r in rows if r["split"] == split]
        unseen = [r for r in same if r["seen"] == "no"]
        found += [(*row, _seen([r["seen"] for r in same])) for row in _means(same, baseline)]
        if 0 < len(unseen) < len(same):
            found += [(*row, "no") for row in _means(unseen, baseline)]
    return Scores((*columns, "seen"), tuple(found), "decode")


def _seen(marks: Sequence[str]) -> str:
    """One mark for several recordings."""
    return marks[0] if len(set(marks)) == 1 else "in part"


def _means(rows: Sequence[Mapping[str, Any]], baseline: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for split in dict.fromkeys(r["split"] for r in rows):
        same = [r for r in rows if r["split"] == split]
        base = np.array([r["accuracy"] for r in same if r["features"] == baseline])
        for name in dict.fromkeys(r["features"] for r in same):
            values = np.array([r["accuracy"] for r in same if r["features"] == name])
            trials = sum(r["trials"] for r in same if r["features"] == name)
            p = None
            if len(base) == len(values) >= 3 and name not in (baseline, CHANCE):
                p = float(permutation_test(values[:, None], base[:, None], paired=True).p[0])
            found.append((split, name, float(values.mean()), *interval(values, trials), len(values), trials, p))
    return found


def interval(values: npt.ArrayLike, trials: int) -> tuple[float, float]:
    """95 % interval of the mean of fold accuracies: Student's t over folds; Wilson's over trials below three folds.

    Also over trials where all folds agree, which does not make their mean certain.
    """
    from scipy import stats

    v = np.asarray(values, np.float64)
    if len(v) >= 3 and np.ptp(v) > 0:
        half = float(stats.t.ppf(0.975, len(v) - 1) * v.std(ddof=1) / np.sqrt(len(v)))
        return max(0.0, float(v.mean()) - half), min(1.0, float(v.mean()) + half)
    found = stats.binomtest(round(float(v.mean()) * trials), trials).proportion_ci(method="wilson")
    return float(found.low), float(found.high)
