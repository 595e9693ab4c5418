"""Decode events from what a MEG-GPT makes of the trials, frozen or taught a little on the training recordings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from workbench.core.errors import InputError, UsageError, nearest
from workbench.recording.evaluate.decode import BASELINE, Decoding, Fold, Split, Trials, cut_trials, decode
from workbench.recording.evaluate.settings import MEGEvaluateConfig
from workbench.recording.predict.features import features
from workbench.recording.train.fine_tune import fine_tune
from workbench.recording.train.opened import Course, Opened
from workbench.recording.train.weights import Parts

ZERO_SHOT, FINE_TUNED = "MEG-GPT, zero-shot", "MEG-GPT, fine-tuned"
SIMPLE = "mean and deviation of channels"
"""Two numbers per channel that, like the features, do not know when in the trial something happened: what a network
must beat to be worth its while."""
_SPLITS: dict[str, tuple[Split, ...]] = {
    "both": (), "session": ("new session",), "subject": ("new subject",), "trials": ("new trials",),
}  # fmt: skip


def decode_events(
    opened: Sequence[Opened], parts: Parts, device: torch.device, config: MEGEvaluateConfig, course: Course,
    marks: Mapping[str, str] | None = None,
) -> Decoding:  # fmt: skip
    """Accuracies of baselines, of the frozen network's features, and of the fine-tuned one's.

    `marks` says of each recording whether it taught the weights.

    Raises
    ------
    InputError, UsageError
        See `trials_of` and `workbench.recording.evaluate.decode.decode`.
    """
    gpt = parts.gpt
    assert gpt is not None
    trials, windows = trials_of(opened, gpt.sequence_length, config)
    samples = trials.signals.shape[2]
    given: dict[str, Any] = {
        BASELINE: trials.signals,
        SIMPLE: np.concatenate([trials.signals.mean(2), trials.signals.std(2)], axis=1),
        ZERO_SHOT: features(gpt, windows, samples=samples, device=device, progress=course.within("decode", 0.0, 0.2)),
    }
    if config.fine_tune:
        by_name = {o.name: o for o in opened}

        def tuned(fold: Fold) -> npt.NDArray[np.float32]:
            seen = [by_name[str(n)] for n in dict.fromkeys(trials.sessions[fold.train])]
            held = set(trials.sessions[fold.test])
            # A recording of which only a part is held out must not be learnt from as a whole.
            seen = [o for o in seen if o.name not in held]
            if not seen:
                raise InputError("fine-tuning needs whole recordings to learn from; hold out sessions or subjects")
            net = fine_tune(
                gpt, [o.session for o in seen], [o.labels for o in seen], steps=config.fine_tune,
                lr=config.fine_tune_lr, batch=config.fine_tune_batch, seed=config.seed,
                on_event=lambda _: course.tick(),
            )  # fmt: skip
            return features(net, windows, samples=samples, device=device)

        given[FINE_TUNED] = tuned
    found = decode(
        given, trials.labels, trials.sessions, trials.subjects, splits=_SPLITS[config.splits], marks=marks or {},
        step=course.tick,
    )  # fmt: skip
    course.finish("decode")
    return dataclasses.replace(found, notes=(*trials.notes, *found.notes))


def trials_of(
    opened: Sequence[Opened], context: int, config: MEGEvaluateConfig
) -> tuple[Trials, npt.NDArray[np.integer[Any]]]:
    """Trials of all recordings, and the tokens (N, C, context) that end with them.

    Raises
    ------
    UsageError
        A trial longer than the network's context, or that ends before it begins.
    InputError
        See `cut_trials`.
    """
    fs = opened[0].session.sampling_rate
    samples = context if config.tmax is None else round((config.tmax - config.tmin) * fs)
    if not 2 <= samples <= context:
        raise UsageError(
            f"tmin={config.tmin:g} to tmax={config.tmax} s are {samples} samples; expected 2 to {context}, the context "
            "of these weights"
        )
    # Shorter trials bring their past along, so that the network always has its whole context.
    lead = context - samples
    known = {k for o in opened for _, k in o.events}
    if missing := [k for k in config.events if k not in known]:
        raise InputError(f"none of the recordings has an event '{missing[0]}'.{nearest(missing[0], known)}")
    parts, tokens, empty = [], [], []
    for o in opened:
        if known and not any(not config.events or k in config.events for _, k in o.events):
            empty.append(f"{o.name}: no events{' of these kinds' if o.events else ''} in it, left out")
            continue
        cut_one = cut_trials(
            o.session.data, fs, o.events, tmin=config.tmin - lead / fs, samples=context, kinds=config.events,
            start=o.start, good=o.session.good, runs=o.session.segments, session=o.name, subject=o.session.subject,
        )  # fmt: skip
        parts.append(dataclasses.replace(cut_one, signals=cut_one.signals[:, :, lead:], begins=cut_one.begins + lead))
        tokens += [o.labels[:, b : b + context] for b in cut_one.begins]
    trials = Trials.join(parts)
    trials = dataclasses.replace(trials, notes=(*empty, *trials.notes))
    if not len(trials):
        past = f" (of the network's context, {lead} samples lie before a trial: choose a later tmax)" if lead else ""
        raise InputError(f"no trial lies inside of its recording; {trials.notes[0] if trials.notes else ''}{past}")
    return trials, np.stack(tokens)
