"""MEG-GPT: tokens, reconstruction, surprisal and generated signals of MEG, EEG and parcel time courses.

R. Huang et al., "MEG-GPT", arXiv:2510.18080 (2025), in the form of the authors' PyTorch release.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core.errors import InputError, UsageError, nearest
from workbench.core.types import Case, Image, Part, Progress, Result, Scores, Signals
from workbench.recording.settings import Config, EvaluateConfig, TrainConfig
from workbench.weights import WeightsFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import torch

    from workbench.core.memory import Need
    from workbench.core.reports import EvaluationReport, TrainReport
    from workbench.recording.data.prepare import Prepared
    from workbench.recording.train.weights import Parts
    from workbench.training.loop import Event

__all__ = ["Config", "EvaluateConfig", "TrainConfig", "evaluate", "load", "predict", "train"]

NAME = "meg_gpt"


@dataclass(frozen=True)
class Model:
    """Loaded weights: tokens, transformer (or none), preparation."""

    parts: Parts
    weights: WeightsFile
    device: torch.device
    reason: str


def describe_weights(meta: Mapping[str, Any]) -> str:
    """What weights expect and hold, in a line, from their record."""
    net, recipe = meta.get("net") or {}, meta.get("recipe") or {}
    tokens = (net.get("gpt") or {}).get("n_tokens")
    count = len(meta.get("channels") or ()) or recipe.get("n_channels")
    parts = [f"{count} channels" if count else "any number of channels"]
    if recipe.get("sampling_rate"):
        parts.append(f"{recipe['sampling_rate']:g} Hz")
    parts.append(f"{tokens} tokens" if tokens else "a tokeniser only: no surprisal, nothing to generate")
    sessions = len(meta.get("sessions") or ())
    if sessions:
        parts.append(f"{sessions} sessions")
    title = f"{meta['title']}: " if meta.get("title") else ""
    return title + ", ".join(parts)


def describe_checkpoint(preset: str | None) -> tuple[tuple[str, ...], str]:
    """Channels that weights without a record of ours need (none in particular), and a line for people."""
    return (), "A checkpoint of the authors, or one without a record of ours."


def weights_hash(config: Config) -> str:
    """Hash of the weights that `load` would take, without loading them: whether a result is of them is known by it."""
    from workbench import weights

    return weights.find(config.weights, NAME).sha256


def load(config: Config, device: torch.device) -> Model:
    """Find, check and load weights: ours, or the authors' tokeniser or transformer.

    Raises
    ------
    WeightsError
        Not found, made for another backend, not plain data, or of another shape.
    """
    from workbench import weights
    from workbench.core import device as devices
    from workbench.recording.train.weights import load_parts

    found = weights.find(config.weights, NAME)
    parts = load_parts(found)
    _, reason = devices.choose(config.device)
    parts.codec.to(device)
    if parts.gpt is not None:
        parts.gpt.to(device).eval()
    return Model(parts, found, device, reason)


def need(model: Model, image: Image, config: Config) -> Need:
    """What `predict` takes of memory, from the header of the recording."""
    from workbench.recording.predict.memory import need_of

    return need_of(model, image, config)


def predict(model: Model, image: Image, config: Config, progress: Progress | None = None) -> Result:
    """Tokenise a recording, reconstruct it, and say where it surprises.

    Parameters
    ----------
    image
        A recording.
    progress
        Called with thousandths of the work.

    Returns
    -------
    Result
        ``tokens`` (0: unseen) and ``surprisal`` [nats] on the time base of the weights (250 Hz); ``reconstruction`` in
        the unit of the recording; ``variance``: percentage of variance explained per channel; ``annotations``: peaks of
        the surprisal; with ``generate`` also ``generated`` and ``comparison``.

    Raises
    ------
    InputError
        No recording, channels that do not fit, another rate with resampling forbidden, or samples without numbers.
    MismatchError
        It is not what the weights were taught on (see `workbench.recording.data.compare`).
    UsageError
        A session that the weights do not know, or generating without a transformer.
    """
    from workbench.core.provenance import Recorder
    from workbench.recording.data.agree import agree
    from workbench.recording.data.bads import with_bads
    from workbench.recording.data.channels import only_named
    from workbench.recording.data.prepare import prepare
    from workbench.recording.data.recording import open_recording
    from workbench.recording.predict import peaks as meg_peaks
    from workbench.recording.predict.memory import require_memory
    from workbench.recording.predict.tokens import variance_explained

    recorder = Recorder(NAME, config, model.weights, image, model.device, model.reason)
    if image.kind != "recording":
        raise InputError(f"{image.source or image.name}: is a {image.kind}, a recording was expected")
    parts = model.parts
    session = _session(parts, config.session)
    if config.generate and parts.gpt is None:
        raise UsageError("these weights hold a tokeniser only, which cannot generate; leave out --generate")
    steps = _Steps(progress, config, parts.gpt is not None)
    recipe = parts.recipe_for(config.kinds, config.reduce)
    if config.bad_segments:
        recipe = replace(recipe, bad_segments=True)
    require_memory(model, image, config)
    recording, given = with_bads(open_recording(image), config.bad_channels)
    recording, chosen = only_named(recording, config.channels)
    agreement = agree(recording, recipe, parts.contract, force=config.force)
    prepared = prepare(recording, recipe, allow_resample=config.allow_resample, progress=steps.part("prepare"))
    for note in (*given, *chosen, *agreement.notes, *prepared.notes):
        recorder.note(note)
    recorder.details["agreement"] = agreement.record
    recorder.details["preparation"] = list(prepared.records)
    rate = 1.0 / float(prepared.geometry.affine[0, 0])  # type: ignore[index]
    runs = prepared.segments or ((0, prepared.data.shape[1]),)
    labels = _encode(model, prepared, runs, recorder, steps.part("tokens"))
    tokens = Signals(labels, prepared.channels, prepared.geometry, "tokens", None, "tokens", prepared.kinds)
    found: dict[str, Part] = {"tokens": tokens}
    decoded = _decode(parts, labels, runs)
    steps.part("decode", last=True)
    whole = prepared.good.all()
    explained = [  # one by one, as recordings may be large; no name is left that keeps all of `decoded`
        float(variance_explained((real if whole else np.where(prepared.good, real, np.nan))[None], row[None])[0])
        for real, row in zip(prepared.data, decoded, strict=True)
    ]
    rows = tuple((name, round(v, 3)) for name, v in zip(prepared.channels, explained, strict=True))
    alive = [row for row in rows if np.isfinite(row[1])]  # flat channels have no variance
    if alive:
        name, least = min(alive, key=lambda row: row[1])
        mean = sum(v for _, v in alive) / len(alive)
        recorder.note(f"variance explained: {mean:.2f} % in the mean, {least:.2f} % at least ({name})")
    found["variance"] = Scores(("channel", "variance explained [%]"), rows, "variance")
    if config.reconstruction:
        found["reconstruction"] = _restored(prepared, decoded, image)
    del decoded
    if config.surprisal and parts.gpt is None:
        recorder.note("these weights hold a tokeniser only: no surprisal, which needs a transformer")
    elif config.surprisal:
        surprise = _surprisal(model, labels, runs, session, config, recorder, steps.part("surprisal"))
        if surprise is not None:
            found["surprisal"] = Signals(
                surprise, prepared.channels, prepared.geometry, "surprisal", "nats", "map", prepared.kinds
            )
            found["annotations"] = meg_peaks.peaks(
                surprise, rate, threshold=config.threshold, gap=config.min_gap,
                channels=prepared.channels if prepared.mixing is None else (),
                start=float(prepared.geometry.affine[0, 1]),  # type: ignore[index]
            )  # fmt: skip
    if config.generate:
        found |= _generate(model, prepared, image, session, config, recorder, steps)
    steps.finish()
    return Result(found, image, recorder.finish(config.seed if config.generate else None))


def _session(parts: Parts, name: str) -> Any:
    """What the transformer takes as session: a number, ``"mean"`` or nothing."""
    if parts.gpt is None or not parts.gpt.n_sessions:
        if name not in ("mean", "none"):
            raise UsageError(f"session '{name}': these weights have no session vectors; leave out --session")
        return None
    if name in ("mean", "none"):
        return "mean" if name == "mean" else None
    if name in parts.sessions:
        return parts.sessions.index(name)
    if name.isdecimal() and not parts.sessions:  # the released weights number theirs
        if int(name) < parts.gpt.n_sessions:
            return int(name)
        raise UsageError(f"session {name}: these weights have sessions 0 to {parts.gpt.n_sessions - 1}")
    raise UsageError(
        f"session '{name}' is not one the weights learnt.{nearest(name, ['mean', 'none', *parts.sessions])}"
    )


def _encode(model: Model, prepared: Prepared, runs: Any, recorder: Any, progress: Progress | None) -> Any:
    """Labels of all runs; the encoder starts anew in each."""
    codec, data = model.parts.codec, prepared.data
    if codec.tokenizer is not None:
        window = codec.tokenizer.sequence_length
        short = [b - a for a, b in runs if b - a < window]
        if short:
            recorder.note(
                f"{len(short)} of {len(runs)} stretch(es) are shorter than the tokeniser's window of {window} samples "
                f"(shortest: {min(short)}): they were tokenised as they are"
            )
    return codec.encode(data, progress, runs=runs)


def _decode(parts: Parts, labels: Any, runs: Any) -> Any:
    """Standardised signals of labels, in memory or, when large, in a temporary file; some channels at a time."""
    from workbench.recording.data.pieces import scratch

    out = scratch(labels.shape)
    step = max(1, (1 << 22) // max(1, labels.shape[1]))
    for first in range(0, labels.shape[0], step):
        out[first : first + step] = parts.codec.decode(labels[first : first + step], runs=runs)
    return out


def _restored(prepared: Prepared, decoded: Any, image: Image) -> Signals:
    """The reconstruction in the unit of the recording; reduced channels become sensors again."""
    from workbench.recording.data.pieces import scratch
    from workbench.recording.data.prepare import restore, restored_signals

    first = restored_signals(prepared, decoded[:, :1], "reconstruction")
    data = scratch((len(first.channels), decoded.shape[1]))
    for a in range(0, decoded.shape[1], 1 << 15):
        data[:, a : a + (1 << 15)] = restore(prepared, decoded[:, a : a + (1 << 15)])
    unit = _unit(first, image)
    return Signals(
        data, first.channels, prepared.geometry, "reconstruction", unit, "signal", first.kinds, prepared.info
    )


def _unit(signals: Signals, image: Image) -> str | None:
    """The unit of restored signals: that of their kinds, or what an array says of itself.

    The unit of a recording of sensors is not that of its other channels (``"misc"``).
    """
    return signals.unit or (None if image.header.get("units") else image.value_unit)


def _surprisal(
    model: Model, labels: Any, runs: Any, session: Any, config: Config, recorder: Any, progress: Progress | None
) -> Any:
    """(C, T) nats, NaN without context; ``None`` if the recording is too short for any."""
    from workbench.recording.predict.precision import chosen_precision
    from workbench.recording.predict.surprisal import context_lengths, surprisal

    gpt = model.parts.gpt
    assert gpt is not None
    needed = gpt.sequence_length + 1
    long = [(a, b) for a, b in runs if b - a >= needed]
    if len(long) < len(runs):
        recorder.note(
            f"{len(runs) - len(long)} of {len(runs)} stretch(es) are shorter than the {needed} samples "
            "that the transformer needs: no surprisal there"
        )
    if not long:
        return None
    contexts = context_lengths(gpt, max(b - a for a, b in long))
    recorder.details["surprisal"] = {
        "context [samples]": [int(contexts[contexts > 0].min()), int(contexts.max())],
        "precision": chosen_precision(config.precision, model.device),
    }
    if len(runs) == 1:
        return surprisal(
            gpt, labels, session=session, device=model.device, precision=config.precision, progress=progress
        )
    out = np.full(labels.shape, np.nan, np.float32)
    for a, b in long:
        out[:, a:b] = surprisal(
            gpt, labels[:, a:b], session=session, device=model.device, precision=config.precision,
            progress=_within(progress, a, b, labels.shape),
        )  # fmt: skip
    return out


def _within(progress: Progress | None, a: int, b: int, shape: tuple[int, ...]) -> Progress | None:
    """Progress of samples `a` to `b`, as progress of the whole."""
    if progress is None:
        return None
    return lambda done, total: progress(round(a + (b - a) * done / max(1, total)), shape[1])


def _generate(
    model: Model, prepared: Prepared, image: Image, session: Any, config: Config, recorder: Any, steps: _Steps
) -> dict[str, Part]:
    """Generated signals in the unit of the recording, and how they compare with the real ones."""
    from workbench.recording.data.prepare import restored_signals
    from workbench.recording.evaluate.signals import compare
    from workbench.recording.predict.generate import Sampling, generate

    gpt, codec = model.parts.gpt, model.parts.codec
    assert gpt is not None
    rate = 1.0 / float(prepared.geometry.affine[0, 0])  # type: ignore[index]
    labels = generate(
        gpt, round(config.generate * rate), sessions=session if session in (None, "mean") else [session],
        sampling=Sampling(config.top_p, config.top_k, config.temperature, config.typical), seed=config.seed,
        mode=config.mode, precision=config.precision, unigram=codec.unigram, device=model.device,
        progress=steps.part("generate"),
    )[0]  # fmt: skip
    signals = codec.decode(labels)
    made = restored_signals(prepared, signals, "generated", start=0.0)
    made = replace(made, unit=_unit(made, image))
    parts: dict[str, Part] = {"generated": made}
    # Two minutes at most, without a copy of all the others.
    real = prepared.data[:, np.flatnonzero(prepared.good)[: round(120 * rate)]]
    try:
        found = compare(
            real, signals, rate, channels=prepared.channels, step=_counted(steps.part("compare"), 3 * len(real))
        )
    except InputError as error:
        recorder.note(f"real and generated signals were not compared: {error}")
        return parts
    for note in found.notes:
        recorder.note(note)
    return {**parts, "comparison": found.scores, "comparison_channels": found.per_channel}


def _counted(progress: Progress | None, total: int) -> Callable[[], None] | None:
    """A callable for every step of `total`; bursts take a second per channel, in which a cancel must be heard."""
    if progress is None:
        return None
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    return step


class _Steps:
    """One progress from several parts of the work, in thousandths; parts that are not asked for take no share."""

    _SHARES = {"prepare": 1.0, "tokens": 4.0, "decode": 0.5, "surprisal": 10.0, "generate": 20.0, "compare": 10.0}  # noqa: RUF012

    def __init__(self, progress: Progress | None, config: Config, transformer: bool) -> None:
        shares = dict(self._SHARES)
        if not (config.surprisal and transformer):
            del shares["surprisal"]
        if not config.generate:
            del shares["generate"], shares["compare"]
        self.progress, self.shares = progress, shares

    def part(self, name: str, *, last: bool = False) -> Progress | None:
        """The progress of one part; `last` says that it is done at once."""
        if self.progress is None or name not in self.shares:
            return None
        names, whole, tell = list(self.shares), sum(self.shares.values()), self.progress
        before = sum(self.shares[n] for n in names[: names.index(name)])

        def report(done: int, total: int) -> None:
            share = self.shares[name] * min(1.0, done / max(1, total))
            tell(min(999, int(1000 * (before + share) / whole)), 1000)

        if last:
            report(1, 1)
        return report

    def finish(self) -> None:
        if self.progress is not None:
            self.progress(1000, 1000)


def train(
    cases: Sequence[Case], config: TrainConfig, out: Path, on_step: Callable[[Event], None] | None = None
) -> TrainReport:
    """Teach a tokeniser and a transformer from recordings; see `workbench.recording.train.train.train_meg`."""
    from workbench.recording.train.train import train_meg

    return train_meg(cases, config, out, on_step)


def evaluate(
    cases: Sequence[Case], config: EvaluateConfig, out: Path | None = None, progress: Progress | None = None
) -> EvaluationReport:
    """Reconstruction, generation, decoding and similarity; see `workbench.recording.train.evaluation`."""
    from workbench.core import device as devices
    from workbench.core.provenance import facts_of
    from workbench.recording.train.evaluation import evaluate_cases
    from workbench.recording.train.memory import memory_of

    chosen, reason = devices.choose(config.device)
    model = load(Config(weights=config.weights, device=config.device), chosen)
    weights = model.weights
    facts = facts_of(config, weights=weights.name, weights_sha256=weights.sha256, device=f"{chosen} ({reason})")
    return evaluate_cases(
        cases, model.parts, chosen, config, memory=memory_of(weights.meta), facts=facts, out=out, progress=progress
    )
