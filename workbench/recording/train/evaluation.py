"""Evaluate a MEG-GPT on recordings: tokens, generated signals, decoding of events, similarity of sessions.

What is measured lives in `workbench.recording.evaluate`; here networks are run, and taught a little where that is asked
for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.core.errors import Cancelled, InputError, UsageError
from workbench.core.failures import none_left, note_failure
from workbench.core.output import require_folder
from workbench.core.types import Case, Mark, Progress
from workbench.recording.evaluate.report import Excerpt, MEGEvaluation, Row, write_report
from workbench.recording.evaluate.settings import MEGEvaluateConfig
from workbench.recording.evaluate.signals import Comparison, compare
from workbench.recording.evaluate.similarity import FEATURES, Similarity, describe_session, similarity
from workbench.recording.predict.generate import Sampling, generate
from workbench.recording.predict.tokens import variance_explained
from workbench.recording.train.data import Floats, Windows, cut, stretches
from workbench.recording.train.decoding import decode_events
from workbench.recording.train.memory import Memory
from workbench.recording.train.opened import Course, Opened, open_one, vector_of
from workbench.recording.train.weights import Parts

_SHOWN = 30.0  # seconds of surprisal in the report
_SCORED = 64  # windows for top-1 and top-5
_BATCH = 8


def evaluate_cases(
    cases: Sequence[Case],
    parts: Parts,
    device: torch.device,
    config: MEGEvaluateConfig,
    *,
    memory: Memory | None = None,
    facts: Mapping[str, Any] | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
) -> MEGEvaluation:
    """Evaluate loaded weights on recordings; one that fails is listed and does not stop the others.

    Parameters
    ----------
    cases
        Recordings; `Case.group` is the subject. No labels are needed.
    parts
        The weights, already on `device`.
    memory
        What the weights remember of what taught them: rows of recordings that did are marked.
    facts
        Plain values for the end of the report.
    out
        Folder for the report; nothing is written if None.
    progress
        Called with thousandths; what it raises stops the work.

    Raises
    ------
    InputError
        No recording could be used, or what was explicitly asked for cannot be done with these recordings.
    UsageError
        A task that needs a transformer, with weights that hold a tokeniser only; an `out` that cannot be written to.
    """
    if out is not None:
        require_folder(out)
    tasks = _tasks(config, parts)
    course = Course(progress, len(cases), tasks, config)
    failures: dict[str, str] = {}
    traces: dict[str, str] = {}
    opened: list[Opened] = []
    notes: list[str] = []
    for case in cases:
        with _kept(case, failures, traces):
            opened.append(open_one(case, parts, config, course, "tokens" in tasks))
        course.finish("open")
    if not opened:
        raise none_left("no recording could be evaluated", failures)
    memory = memory or Memory()
    marks = {o.name: memory.mark(o.session) for o in opened}
    notes += memory.notes(marks)
    rows = [
        {"case": o.name, "subject": o.session.subject, "seen": marks[o.name], "seconds": round(o.session.seconds, 2)}
        for o in opened
    ]
    found = MEGEvaluation(
        rows, opened[0].session.channels, positions=opened[0].positions, failures=failures, traces=traces
    )
    if "tokens" in tasks:
        found = _tokens(found, opened, parts, config)
    generated: dict[str, Floats] = {}
    if "generation" in tasks or "similarity" in tasks:
        generated = _generate(opened, parts, device, config, course)
    if "generation" in tasks:
        found = dataclasses.replace(found, comparisons=_compare(rows, opened, generated, config, course, notes))
    if "decode" in tasks:
        with _optional("nothing decoded", config.task == "decode", notes):
            found = dataclasses.replace(found, decoding=decode_events(opened, parts, device, config, course, marks))
    if "similarity" in tasks:
        with _optional("sessions not compared", config.task == "similarity", notes):
            found = dataclasses.replace(found, similarities=_similarities(opened, generated, parts, config, notes))
    notes += _gathered(opened)
    found = dataclasses.replace(found, notes=tuple(dict.fromkeys(notes)))
    course.end()
    if out is None:
        return found
    return write_report(found, facts or {}, out, title="Evaluation of MEG-GPT")


def _gathered(opened: Sequence[Opened]) -> list[str]:
    """Notes on recordings: what is said of several is said once, with their names."""
    told: dict[str, list[str]] = {}
    for o in opened:
        for note in o.session.notes:
            told.setdefault(note, []).append(o.name)
    if len(opened) == 1:
        return list(told)
    return [
        note if len(names) == len(opened) else
        f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}: {note}"
        for note, names in told.items()
    ]  # fmt: skip


def _tasks(config: MEGEvaluateConfig, parts: Parts) -> tuple[str, ...]:
    if config.task == "tokens" or (config.task == "all" and parts.gpt is None):
        return ("tokens",)
    if parts.gpt is None:
        raise UsageError(
            f"task={config.task} needs a transformer, these weights hold a tokeniser only; use task=tokens"
        )
    return ("tokens", "generation", "decode", "similarity") if config.task == "all" else (config.task,)


@contextmanager
def _kept(case: Case, failures: dict[str, str], traces: dict[str, str]) -> Iterator[None]:
    """Failures of one recording are written down; a cancel passes through."""
    try:
        yield
    except Cancelled:
        raise
    except Exception as error:
        note_failure(error, case.id, case.image, failures, traces)


@contextmanager
def _optional(what: str, asked: bool, notes: list[str]) -> Iterator[None]:
    """What recordings do not allow becomes a note, unless it is the one thing that was asked for."""
    try:
        yield
    except InputError as error:
        if asked:
            raise
        notes.append(f"{what}: {error}")


def _tokens(found: MEGEvaluation, opened: Sequence[Opened], parts: Parts, config: MEGEvaluateConfig) -> MEGEvaluation:
    """Variance explained, and how well the next token is guessed; into the rows."""
    variance = []
    counts = np.zeros(parts.codec.n_tokens)
    for row, o in zip(found.rows, opened, strict=True):
        real = o.session.data if o.session.good.all() else np.where(o.session.good, o.session.data, np.nan)
        explained = variance_explained(real, parts.codec.decode(o.labels, runs=o.session.segments))
        variance.append(explained)
        used = np.bincount(o.labels[:, o.session.good].ravel(), minlength=parts.codec.n_tokens)
        counts += used
        row["variance explained [%]"] = float(np.nanmean(explained))
        row["lowest channel [%]"] = float(np.nanmin(explained))
        row["unseen tokens [%]"] = 100.0 * float(used[0] / used.sum())
        if o.surprisal is not None:
            row |= _likelihood(o, parts, config)
    same = all(len(v) == len(variance[0]) for v in variance)
    shown = opened[0]
    excerpt = None
    if shown.surprisal is not None:
        samples = min(shown.surprisal.shape[1], round(_SHOWN * shown.session.sampling_rate))
        excerpt = Excerpt(
            shown.name, shown.surprisal[:, :samples], shown.start, shown.session.sampling_rate,
            shown.marks or tuple(Mark(t, 0.0, k) for t, k in shown.events),
        )  # fmt: skip
    return dataclasses.replace(
        found, variance=np.stack(variance) if same else None, shares=counts / counts.sum(),
        shares_training=parts.codec.unigram, excerpt=excerpt,
    )  # fmt: skip


def _likelihood(o: Opened, parts: Parts, config: MEGEvaluateConfig) -> Row:
    """Cross-entropy of all samples and the unigram entropy of the same ones; top-1 and top-5 on some windows."""
    gpt, codec = parts.gpt, parts.codec
    assert gpt is not None
    assert o.surprisal is not None
    known = np.isfinite(o.surprisal)
    row: Row = {"cross-entropy [nats]": float(o.surprisal[known].mean()) if known.any() else None}
    if codec.counts is not None and known.any():
        counts = np.concatenate([[0], codec.counts]).astype(float)
        shares = (counts + 1) / (counts.sum() + counts.size)
        row["unigram entropy [nats]"] = float(-np.log(shares)[o.labels[known]].mean())
        row["below unigram [nats]"] = row["unigram entropy [nats]"] - row["cross-entropy [nats]"]
    length = gpt.sequence_length + 1
    places = Windows(stretches([o.session], length), length).spread(_SCORED)
    session = vector_of(o.name, parts, config)
    hits, total = {"top1": 0.0, "top5": 0.0}, 0
    device = next(gpt.parameters()).device
    with torch.inference_mode():
        for first in range(0, len(places), _BATCH):
            tokens = torch.from_numpy(cut([o.labels], places[first : first + _BATCH], length).astype(np.int64))
            who = torch.full((len(tokens),), session, device=device) if isinstance(session, int) else session
            scores = gpt.loss(tokens.to(device), who)
            for key in hits:
                hits[key] += float(scores[key]) * len(tokens)
            total += len(tokens)
    if total:
        row |= {"top-1": hits["top1"] / total, "top-5": hits["top5"] / total}
    return row


def _generate(
    opened: Sequence[Opened], parts: Parts, device: torch.device, config: MEGEvaluateConfig, course: Course
) -> dict[str, Floats]:
    """New signals (C, n) for every recording, standardised as the recordings are."""
    gpt, codec = parts.gpt, parts.codec
    assert gpt is not None
    sampling = Sampling(config.top_p, config.top_k, config.temperature, config.typical)
    found = {}
    for number, o in enumerate(opened):
        session = vector_of(o.name, parts, config)
        labels = generate(
            gpt, round(config.seconds * o.session.sampling_rate),
            sessions=[session] if isinstance(session, int) else session, sampling=sampling, seed=config.seed + number,
            mode=config.mode, unigram=codec.unigram, device=device, progress=course.within("generation"),
        )  # fmt: skip
        found[o.name] = codec.decode(labels[0])
        course.finish("generation")
    return found


def _compare(
    rows: Sequence[Row], opened: Sequence[Opened], generated: Mapping[str, Floats], config: MEGEvaluateConfig,
    course: Course, notes: list[str],
) -> dict[str, Comparison]:  # fmt: skip
    """Real beside generated signals of each recording; the main figures go into the rows."""
    found = {}
    for row, o in zip(rows, opened, strict=True):
        with _optional(f"{o.name} not compared", config.task == "generation" and len(opened) == 1, notes):
            c = compare(
                o.good, generated[o.name], o.session.sampling_rate, channels=o.session.channels,
                with_bursts=config.bursts, step=course.tick,
            )  # fmt: skip
            found[o.name] = c
            a, b = (p.frequency for p in c.strongest["alpha"])
            row |= {"alpha peak real [Hz]": a, "alpha peak generated [Hz]": b, "alpha peak error [Hz]": c.alpha_error}
            for r in c.scores.as_dicts():
                name = r["measure"].split(",")[0]
                if name.startswith(("burst", "time in bursts")):
                    row |= {f"{name}, real": r["real"], f"{name}, generated": r["generated"]}
                elif r["correlation"] is not None:
                    row[f"correlation of {name}"] = r["correlation"]
        course.finish("comparison")
    return found


def _similarities(
    opened: Sequence[Opened], generated: Mapping[str, Floats], parts: Parts, config: MEGEvaluateConfig,
    notes: list[str],
) -> tuple[Similarity, ...]:  # fmt: skip
    """Generated against real sessions; and, as what could be reached, first against second halves of real ones."""
    names = [o.name for o in opened]
    own = [n for n in names if isinstance(vector_of(n, parts, config), int)]
    if len(own) < len(names):
        notes.append(
            f"{len(names) - len(own)} of {len(names)} recordings have no vector of their own in these weights: what is "
            "generated for them cannot be like them more than like others"
        )
    fs = opened[0].session.sampling_rate
    usable = [f for f in FEATURES if f != "covariance" or len(opened[0].session.channels) > 2]
    made, halves = [], []
    for feature in usable:
        real = [describe_session(o.good, fs, feature) for o in opened]
        described = [describe_session(generated[n], fs, feature) for n in names]
        made.append(similarity(real, described, names, feature))
        split = [[describe_session(h, fs, feature) for h in np.array_split(o.good, 2, axis=1)] for o in opened]
        halves.append(similarity([s[0] for s in split], [s[1] for s in split], names, f"{feature}, halves of real"))
    return (*made, *halves)
