"""The settings of an evaluation on recordings: keyword arguments and flags are made from this one declaration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.core.agreement import force_setting
from workbench.core.settings import setting


@dataclass(frozen=True)
class MEGEvaluateConfig:
    """What to find out about a MEG-GPT on recordings."""

    weights: str = setting("demo", "weights to evaluate: demo, a known name, or a file or folder")
    device: str = setting("auto", "where to compute: auto, cpu, cuda, cuda:N or mps")
    task: Literal["all", "tokens", "generation", "decode", "similarity"] = setting(
        "all",
        "tokens: variance explained and cross-entropy; generation: new signals beside the real ones; decode: kinds of "
        "events from features; similarity: whether generated sessions are like their own; all: whatever can be done",
    )
    seconds: float = setting(30.0, "signal to generate for every recording", unit="s", low=2.0)
    mode: Literal["anchored", "sliding", "full"] = setting(
        "anchored",
        "how to generate: with a cache renewed every 16 samples, exactly as published, or slowly (reference)",
    )
    top_p: float = setting(
        1.0, "generate from the likeliest tokens of this share; 1: from all, as learnt; the authors used 0.99",
        low=0.01, high=1.0,
    )  # fmt: skip
    top_k: int = setting(0, "generate from so many of the likeliest tokens; 0: no limit", low=0, advanced=True)
    temperature: float = setting(1.0, "below 1 sharper, above 1 wilder", low=0.01, high=10.0, advanced=True)
    typical: float = setting(0.0, "locally typical sampling of this share; 0: off", low=0.0, high=1.0, advanced=True)
    session: Literal["auto", "mean", "none"] = setting(
        "auto", "vector of a recording: its own where the weights have one, else the mean; always the mean; none"
    )
    events: tuple[str, ...] = setting(
        (), "kinds of events to tell apart; by default all events, or all annotations without a duration"
    )
    stim_channel: str = setting(
        "", "stimulus channel to read events from; empty: STI101 or STI 014, else all of them together"
    )
    trigger_mask: int = setting(0, "only these bits of a trigger code count; 0: all", low=0, high=2**31 - 1)
    trigger_unsigned: Literal["auto", "yes", "no"] = setting(
        "auto", "read trigger codes as 16 bits without a sign; auto: where there are negative ones"
    )
    trigger_shortest: int = setting(
        1, "samples that a trigger code must last; 2 leaves out codes on the way to another", low=1
    )
    tmin: float = setting(0.0, "begin of a trial after its event", unit="s", low=-10.0, high=10.0)
    tmax: float | None = setting(
        None, "end of a trial after its event; by default as long as the network's context", unit="s", high=60.0
    )
    splits: Literal["both", "session", "subject", "trials"] = setting(
        "both", "hold out sessions, subjects, both in turn, or stretches of trials of the same recordings (easier)"
    )
    fine_tune: int = setting(
        0, "steps of next-token training on the training recordings of each fold before decoding; 0: off", low=0
    )
    fine_tune_lr: float = setting(1e-4, "highest learning rate of that", low=1e-9, high=1.0)
    fine_tune_batch: int = setting(8, "windows per step of that", low=1, advanced=True)
    allow_resample: bool = setting(True, "resample recordings of another rate; without it they fail")
    kinds: str = setting("", "channel types to use, e.g. 'mag' or 'mag,grad'; empty: as the weights say")
    channels: tuple[str, ...] = setting(
        (), "names of the channels to use, in this order (one each, or with commas); by default all of the kind"
    )
    reduce: Literal["none", "pca"] = setting(
        "none", "pca: reduce more sensors than the weights know to as many components, a stated change of the data"
    )
    bursts: bool = setting(True, "count bursts of real and generated signals: about a second per channel and minute")
    force: bool = force_setting()
    seed: int = setting(0, "decides what is generated, and the fine-tuning", low=0)
