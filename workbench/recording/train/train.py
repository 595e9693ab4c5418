"""Train MEG-GPT on recordings: the tokeniser, its vocabulary, then the transformer; from scratch or from weights."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench import __version__, weights
from workbench.core import device
from workbench.core.errors import Cancelled, UsageError, WeightsError
from workbench.core.types import Case
from workbench.data.readable import left_out, readable
from workbench.recording.data.prepare import RecordingRecipe
from workbench.recording.data.recording import open_recording
from workbench.recording.data.taught import Taught, gather, joined
from workbench.recording.predict.tokens import Codec, variance_explained
from workbench.recording.train import model as meg_model
from workbench.recording.train import tokenizer as meg_tokenizer
from workbench.recording.train.data import Session, Split, Tell, load_sessions, split_sessions
from workbench.recording.train.memory import remembered
from workbench.recording.train.settings import MEGTrainConfig
from workbench.recording.train.weights import BACKEND, Parts, load_parts, rounded, save_parts
from workbench.training import output
from workbench.training.loop import Event, FitResult
from workbench.weights import WeightsFile

_STAGES = ("tokenizer", "model")
_NOT_IDENTITY = ("resume", "overwrite", "device", "force")  # may differ when a training is continued
_MADE = ("learn", "mulaw", "quantile")
_RATE = MEGTrainConfig.sampling_rate
OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class MEGTrainReport:
    """What a training made.

    Parameters
    ----------
    weights, log, report
        The weight file, the CSV log of the last stage and the HTML report.
    score, measure
        Cross-entropy in nats (of a tokeniser alone: percentage of variance explained).
    scores
        Everything that was measured on the validation windows.
    history
        Rows of the log, by stage.
    validation
        In words: on what the scores were computed.
    test
        Empty: what was measured is of the validation windows.
    failures
        Recordings that could not be read and taught nothing: name -> why.

    It is a `workbench.core.reports.TrainReport`.
    """

    weights: Path
    log: Path
    report: Path
    score: float | None
    measure: str
    scores: dict[str, float]
    history: dict[str, list[dict[str, float]]]
    stopped: str
    seconds: float
    validation: str
    notes: tuple[str, ...] = ()
    copied: tuple[str, ...] = ()
    test: dict[str, float] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MEGEvent(Event):
    """Where a training stands; its line names the stage and the measures of that stage."""

    stage: str = ""

    def line(self) -> str:
        """One line for people."""
        if self.stage not in _STAGES:
            return self.stage
        minutes, seconds = divmod(int(self.seconds_left), 60)
        name = "tokeniser" if self.stage == "tokenizer" else "MEG-GPT"
        return f"{name} step {self.step}/{self.steps}  loss {self.loss:.3f}{_measures(self.scores)}  " + (
            f"{minutes}:{seconds:02d} left"
        )


def _measures(scores: Any) -> str:
    if "cross-entropy" in scores:
        return (
            f"  cross-entropy {scores['cross-entropy']:.3f} (unigram entropy {scores['unigram entropy']:.3f})"
            f"  top-1 {scores['top-1']:.3f}  top-5 {scores['top-5']:.3f}"
        )
    if "variance explained" in scores:
        return f"  variance explained {scores['variance explained']:.2f} %  {int(scores['tokens used'])} tokens"
    return ""


@dataclass
class _Course:
    """What the stages leave behind."""

    results: dict[str, FitResult] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def train_meg(
    cases: Sequence[Case], config: MEGTrainConfig, out: Path, on_event: OnEvent | None = None
) -> MEGTrainReport:
    """Train and write ``out`` (``.safetensors``), and beside it logs, states for resuming and the report.

    Parameters
    ----------
    cases
        Recordings; no labels are needed. `Case.group` is the subject.
    config
        The settings.
    out
        File to write; ``<out>_training/`` holds the rest.
    on_event
        Called after every step, and while recordings are prepared; raise `Cancelled` in it to stop. While the last
        stage trains, the best so far is written; before, `Cancelled` passes through, and ``resume`` goes on from there.

    Raises
    ------
    InputError
        A recording that cannot be prepared, is too short, or has other channels.
    UsageError, WeightsError
        Settings that cannot work, an output that exists, weights that do not fit.
    """
    from workbench.recording.train.report import write_report

    output.check(out, resume=config.resume, overwrite=config.overwrite, stages=_STAGES)
    _require_sense(config)
    began = time.monotonic()
    chosen, reason = device.choose(config.device)
    start = None if config.weights == "none" else weights.find(config.weights, BACKEND)
    if start is not None:
        output.refuse_start(out, start.path)
        if start.is_lora:
            raise WeightsError(f"{start.path}: an adapter cannot be trained further; start from its base weights")
    known = None if start is None else load_parts(start)
    coder = None if known is not None or config.tokenizer in _MADE else weights.find(config.tokenizer, BACKEND)
    given = known if known is not None else None if coder is None else load_parts(coder)
    recipe = _recipe(config, known, given)
    tell = _teller(on_event)
    cases, failures = readable(cases, open_recording)
    contract = None if given is None else known.contract if known is not None else given.as_tokenizer
    sessions = load_sessions(
        cases, recipe, allow_resample=config.allow_resample, contract=contract, force=config.force,
        tell=tell("preparing"),
    )  # fmt: skip
    split = split_sessions(
        sessions, _longest(config, known), by=config.validation, fraction=config.val_fraction, seed=config.seed
    )
    folder = output.clean(out, resume=config.resume, stages=_STAGES)
    identity = {
        "config": {k: v for k, v in dataclasses.asdict(config).items() if k not in _NOT_IDENTITY},
        "cases": [[s.name, int(s.good.sum())] for s in sessions],
        "start": start.sha256 if start else None,
    }
    course = _Course()
    codec = given.codec if given else _tokenizer(sessions, split, config, chosen, folder, identity, course, on_event)
    codec.to(chosen)
    course.scores |= _reconstruction(codec, sessions, split)
    gpt = None
    if config.stage != "tokenizer":
        labels = meg_model.encode_sessions(codec, sessions, tell("tokenising"))
        if codec.counts is None:
            codec.counts = meg_model.count_labels(labels, split, codec.n_tokens)[1:].astype(np.int64)
        trained = sorted({s.session for s in split.train})
        if "tokenizer" not in course.results:  # learning one has set the seed
            torch.manual_seed(config.seed)
        gpt = meg_model.make_network(config, known, codec, sessions, trained)
        result = meg_model.learn_model(
            gpt, codec, labels, split, config, chosen, folder=folder / "model", fingerprint=identity,
            vectors=meg_model.session_vectors(gpt, known, labels, sessions, split),
            on_event=_staged(on_event, "model"),
        )  # fmt: skip
        course.results["model"] = result
        course.scores |= {k: v for k, v in result.scores.items() if k != "score"}
    meta = _record(config, recipe, sessions, split, course, gpt, (chosen, reason, time.monotonic() - began), start)
    meta["training"]["notes"] = left_out(failures)
    meta |= _taught_by(recipe, sessions, split, given, [f.meta for f in (start, coder) if f is not None])
    if known is not None:
        meta["sessions"] = list(known.sessions)
    if config.lora_rank:
        assert start is not None
        meta |= {"kind": "lora", **weights.base_record(start, out), "lora": {"rank": config.lora_rank}}
    save_parts(out, codec, gpt, meta, half=config.save_as == "float16", adapter=bool(config.lora_rank))
    report = write_report(folder / "report.html", out, weights.read_meta(out), course.results, codec)
    last = list(course.results)[-1] if course.results else "tokenizer"
    measure = "cross-entropy [nats]" if gpt is not None else "variance explained [%]"
    return MEGTrainReport(
        out, folder / last / "log.csv", report,
        course.scores.get("cross-entropy" if gpt is not None else "variance explained"), measure, course.scores,
        {k: r.history for k, r in course.results.items()},
        course.results[last].stopped if course.results else "finished", time.monotonic() - began,
        meta["training"]["validation"],
        tuple(dict.fromkeys([*left_out(failures), *(n for s in sessions for n in s.notes)])), failures=failures,
    )  # fmt: skip


def _require_sense(config: MEGTrainConfig) -> None:
    """Refuse combinations of settings that leave nothing to do."""
    if config.stage == "tokenizer" and (config.tokenizer != "learn" or config.weights != "none"):
        raise UsageError("stage=tokenizer learns a tokeniser from scratch: leave out tokenizer and weights")
    if config.stage == "model" and config.tokenizer == "learn" and config.weights == "none":
        raise UsageError("stage=model needs a tokeniser: --tokenizer mulaw, quantile or FILE, or --weights FILE")
    if config.weights != "none" and config.tokenizer != "learn":
        raise UsageError("the weights to go on from have their own tokeniser; leave out tokenizer, or weights")
    if config.lora_rank and config.weights == "none":
        raise UsageError("lora_rank adapts trained weights, but weights=none has none; give --weights")
    if config.margin * 2 >= config.window:
        raise UsageError(f"margin={config.margin}: expected less than half of the window ({config.window} samples)")


def facts_of_sessions(recipe: RecordingRecipe, sessions: Sequence[Session], split: Split) -> Taught:
    """What the sessions that are trained on are like."""
    trained = sorted({s.session for s in split.train})
    found = [m for m in (sessions[i].measured for i in trained) if m is not None]
    return gather(found, recipe.sampling_rate, reduced=recipe.reduce == "pca")


def _taught_by(
    recipe: RecordingRecipe, sessions: Sequence[Session], split: Split, given: Parts | None,
    records: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """What the weight file says of what taught it: these sessions, and what taught the weights it goes on from."""
    now = facts_of_sessions(recipe, sessions, split)
    before = None if given is None else given.taught
    return {
        "taught": (now if before is None else joined(before, now)).to_json(),
        "seen": remembered(records, sessions, split),
    }


def _recipe(config: MEGTrainConfig, known: Parts | None, given: Parts | None) -> RecordingRecipe:
    """How recordings are prepared: as for the starting weights or the given tokeniser, with what was set otherwise."""
    base = None if given is None else given.recipe
    if base is None:
        base = RecordingRecipe(sampling_rate=config.sampling_rate)
    elif config.sampling_rate not in (_RATE, base.sampling_rate):
        raise UsageError(
            f"sampling_rate={config.sampling_rate:g} Hz, but the tokens given are of {base.sampling_rate:g} Hz"
        )
    changes: dict[str, Any] = {}
    if config.kinds:
        changes |= {"kinds": tuple(k.strip() for k in config.kinds.split(",") if k.strip()), "channels": None}
    if config.notch is not None:
        changes["notch"] = (config.notch,)
    if config.band is not None:
        changes["band"] = config.band
    if config.reduce != "none":
        changes |= {"reduce": config.reduce, "channels": None}
    if config.n_channels:
        changes["n_channels"] = config.n_channels
    elif known is not None and known.n_channels is not None:
        changes["n_channels"] = known.n_channels
    return dataclasses.replace(base, **changes)


def _longest(config: MEGTrainConfig, known: Parts | None) -> int:
    """Samples of the longest window that any stage draws."""
    from workbench.recording.net.gpt import PRESETS

    longest = 0
    if config.stage != "model" and config.tokenizer == "learn" and known is None:
        longest = config.window
    if config.stage != "tokenizer":
        gpt = known.gpt if known is not None else None
        context = gpt.sequence_length if gpt is not None else PRESETS[config.net]["sequence_length"]
        longest = max(longest, int(context) + 1)
    return longest


def _tokenizer(
    sessions: Sequence[Session], split: Split, config: MEGTrainConfig, chosen: torch.device, folder: Path,
    identity: dict[str, Any], course: _Course, on_event: OnEvent | None,
) -> Codec:  # fmt: skip
    """Stage one: fit or learn, or take what an interrupted training had finished."""
    if config.tokenizer in ("mulaw", "quantile"):
        return meg_tokenizer.fit_fixed(config.tokenizer, sessions, split, config)
    place = folder / "tokenizer"
    net, result = meg_tokenizer.learn_tokenizer(
        sessions, split, config, chosen, folder=place, fingerprint=identity, on_event=_staged(on_event, "tokenizer")
    )
    cancelled = result.stopped == "cancelled"
    if cancelled and config.stage != "tokenizer":
        raise Cancelled  # half a tokeniser is nothing to build on; its state lies there for resuming
    course.results["tokenizer"] = result
    course.scores["tokens used"] = result.scores.get("tokens used", float("nan"))
    if config.save_as == "float16":
        rounded(net)
    tell = _teller(None if cancelled else on_event)
    return meg_tokenizer.count_vocabulary(net, sessions, split, margin=config.margin, tell=tell("counting tokens"))


def _reconstruction(codec: Codec, sessions: Sequence[Session], split: Split) -> dict[str, float]:
    """Percentage of variance explained over validation stretches, mean over channels, in a minute of each recording.

    What lies around the stretches is tokenised with them, as it will be later, but not counted.
    """
    found = []
    for number in sorted({s.session for s in split.val}):
        session, places = sessions[number], [s for s in split.val if s.session == number]
        first = min(s.start for s in places)
        last = min(max(s.stop for s in places), first + round(60 * session.sampling_rate))
        part = np.array(session.data[:, first:last])
        runs = [(max(a, first) - first, min(b, last) - first) for a, b in session.segments if a < last and b > first]
        decoded = codec.decode(codec.encode(part, runs=runs), runs=runs)
        counted = np.zeros(last - first, bool)
        for s in places:
            counted[max(0, s.start - first) : max(0, s.stop - first)] = True
        part[:, ~counted] = np.nan
        found.append(variance_explained(part, decoded))
    return {"variance explained": float(np.nanmean(found))}


def _record(
    config: MEGTrainConfig, recipe: RecordingRecipe, sessions: Sequence[Session], split: Split, course: _Course,
    gpt: Any, computed: tuple[torch.device, str, float], start: WeightsFile | None,
) -> dict[str, Any]:  # fmt: skip
    """What the weight file says about itself."""
    chosen, reason, seconds = computed
    trained = sorted({s.session for s in split.train})
    stages = {
        name: {"steps": r.step, "best_step": r.best_step, "stopped": r.stopped, "seconds": round(r.seconds, 1)}
        for name, r in course.results.items()
    }
    channels = sessions[0].channels
    if gpt is not None:  # a tokeniser alone takes any channels
        named = None if recipe.reduce == "pca" else channels
        recipe = dataclasses.replace(recipe, channels=named, n_channels=len(channels))
    return {
        "kind": "full",
        "recipe": recipe.to_json(),
        "channels": list(channels),
        "sessions": [sessions[i].name for i in trained] if gpt is not None and gpt.n_sessions == len(trained) else [],
        "training": {
            "trained_on": [sessions[i].name for i in trained],
            "validated_on": sorted({sessions[s.session].name for s in split.val}),
            "seconds_of_data": round(sum(s.stop - s.start for s in split.train) / recipe.sampling_rate, 1),
            "validation": split.text,
            "stages": stages,
            "settings": dataclasses.asdict(config),
            "seconds": round(seconds, 1),
            "device": f"{chosen} ({reason})",
            "started_from": None if start is None else {"name": start.name, "sha256": start.sha256},
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "version": __version__,
            "torch": torch.__version__,
        },
        "scores": {k: None if v != v else round(v, 4) for k, v in course.scores.items()},
    }


def _teller(on_event: OnEvent | None) -> Callable[[str], Tell | None]:
    """Makes progress callables for the work around the stages; they also let a cancel through."""

    def teller(what: str) -> Tell | None:
        if on_event is None:
            return None

        def tell(name: str, done: int, total: int) -> None:
            on_event(MEGEvent(done, total, float("nan"), 0.0, 0.0, 0.0, stage=f"{what} {name}"))

        return tell

    return teller


def _staged(on_event: OnEvent | None, stage: str) -> OnEvent | None:
    if on_event is None:
        return None

    def tell(event: Event) -> None:
        on_event(MEGEvent(**{f.name: getattr(event, f.name) for f in dataclasses.fields(Event)}, stage=stage))

    return tell
