"""Train SegFormer3D on volumes with label maps: from scratch, from given weights, or low-rank adapters only."""

from __future__ import annotations

import dataclasses
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from workbench import __version__, weights
from workbench.core import device
from workbench.core.class_match import adapting_note
from workbench.core.class_merge import ClassMerge
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError, UsageError, WeightsError
from workbench.core.types import Case, Labels
from workbench.data.cases import naming, open_case
from workbench.data.readable import left_out, readable
from workbench.training import output
from workbench.training.loop import Event, FitResult, LoopSettings, fit
from workbench.training.split import OwnSplit, own_split, split_groups
from workbench.volume.data import rtstruct
from workbench.volume.data.checks import require_volume
from workbench.volume.data.label_names import LabelReader, read_named
from workbench.volume.data.recipe import VolumeRecipe
from workbench.volume.net.segformer3d import SegFormer3D, load_state, require_config
from workbench.volume.train.data import Validation, VolumeData, loss_function, require_batch, require_cases
from workbench.volume.train.memory import require_memory
from workbench.volume.train.report import write_report
from workbench.volume.train.settings import TrainConfig
from workbench.volume.train.survey import Survey, copies_on_both_sides

BACKEND = "segformer3d"
_WINDOW = 80  # largest default window of a training: larger ones take seconds per step on a CPU
_NOT_IDENTITY = ("resume", "overwrite", "device", "force")  # may differ when a training is continued
# Small: 1.5 M parameters. Logits of the attention divided by the width of a head, as in the current official code.
_SIZES: dict[str, dict[str, Any]] = {
    "small": {
        "embed_dims": [32, 64, 80, 128],
        "num_heads": [1, 2, 5, 8],
        "decoder_head_embedding_dim": 128,
        "attention_scale": "head_dim",
    },
    "default": {"attention_scale": "head_dim"},
}


@dataclass(frozen=True)
class VolumeTrainReport:
    """What a training made.

    Parameters
    ----------
    weights, log, report
        The weight file, the CSV log and the HTML report with the curve.
    score, scores
        Mean validation Dice of the saved weights, and Dice per class.
    history
        One row per validation: step, seconds, lr, loss, score, Dice per class.
    stopped
        Why it ended.
    copied
        Classes whose output rows were taken over from the starting weights.
    validation
        In words: on which cases the score was computed.
    measure, test
        Name of the score; no measures on other cases.
    notes
        In what volumes differ from those that taught the starting weights, and other things worth knowing.
    failures
        Cases that could not be read and taught nothing: id -> why.

    It is a `workbench.core.reports.TrainReport`.
    """

    weights: Path
    log: Path
    report: Path
    score: float | None
    scores: dict[str, float]
    history: list[dict[str, float]]
    stopped: str
    seconds: float
    copied: tuple[str, ...]
    validation: str
    measure: str = "Dice"
    test: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)


def train_volumes(
    cases: Sequence[Case],
    config: TrainConfig,
    out: Path,
    on_event: Callable[[Event], None] | None = None,
) -> VolumeTrainReport:
    """Train and write ``out`` (``.safetensors``), and beside it the log, the curve and the report.

    Parameters
    ----------
    cases
        Images with label maps on the same grid. Split by ``group``; with a single group the score is computed on the
        training cases, and the record says so.
    config
        The settings; ``weights`` is where the training starts.
    out
        File to write. ``out`` without suffix plus ``_training/`` holds the state for resuming, log and report. What is
        there already is only touched with ``resume`` or ``overwrite``.
    on_event
        Called after every step; raise `Cancelled` in it to stop and keep the best so far.

    Raises
    ------
    InputError
        A case without labels, a label map on another grid, differing channels, or a class that no case shows.
    MismatchError
        A volume that is not what the starting weights were taught on, and `TrainConfig.force` is not set.
    UsageError, WeightsError
        Settings that cannot work, an output that exists, starting weights that do not fit.
    """
    output.check(out, resume=config.resume, overwrite=config.overwrite)
    missing = [c.id for c in cases if c.labels is None]
    if missing or not cases:
        raise InputError(f"training needs cases with labels; without labels: {', '.join(missing) or 'all (no case)'}")
    chosen, reason = device.choose(config.device)
    start = _start(config)
    if start is not None:
        output.refuse_start(out, start.path)
    cases, failures = readable(cases, require_volume)
    own = own_split(cases, config.fold) if config.val_fraction else None
    train_index, val_index, judged, said = _split(cases, config, own)
    recipe = _recipe(config, start)
    # Predicting may use larger windows than training: the network takes any size.
    x, y, z = config.roi or (min(n, _WINDOW) for n in recipe.roi)
    require_batch(config, (x, y, z))
    channels = require_cases(cases, len(recipe.channels) if start else None, resample_labels=config.resample_labels)
    if start is None and len(channels) > 1:
        recipe = dataclasses.replace(recipe, channels=channels)
    windows = dataclasses.replace(recipe, roi=(x, y, z))
    survey = Survey(recipe, start, force=config.force, nan=config.nan)
    survey.check_headers(cases)
    merge, table, notes = _classes(cases, config, start)
    notes += [*said, *left_out(failures)]
    read = LabelReader(config.names, config.resample_labels, survey.tell)
    torch.manual_seed(config.seed)
    net, copied = _network(config, start, table, len(recipe.channels))
    taught, judging = [cases[i] for i in train_index], [cases[i] for i in val_index]
    require_memory(taught, judging, config, recipe, net, (x, y, z), on_cpu=chosen.type != "cuda")
    data = VolumeData(taught, windows, merge, config, survey.look, read)
    data.require_all_classes(table)
    validation = Validation(judging, recipe, merge, table, chosen, read, config.nan)
    validation.require_readable(survey.look)
    settings = _loop_settings(config, len(train_index))
    folder = output.clean(out, resume=config.resume)
    net.to(chosen)
    result = fit(
        net,
        data.draw,
        loss_function(config, net, windows, chosen),
        settings,
        validate=validation.scores,
        folder=folder,
        resume=config.resume,
        fingerprint={
            "config": _identity(config),
            "cases": [c.id for c in cases],
            "start": start.sha256 if start else None,
            # A split of the data set itself may change while the cases stay the same.
            **({"validated": [c.id for c in judging]} if own is not None else {}),
        },
        on_event=on_event,
    )
    seen = survey.seen(taught, judging)
    notes += copies_on_both_sides(seen, [c.id for c in (*taught, *judging)])
    meta = {
        "backend": BACKEND,
        "net": net.config,
        "classes": table.to_json(),
        "recipe": recipe.to_json(),
        "taught": survey.taught(config, (x, y, z)).to_json(),
        "seen": seen,
        "training": {
            "cases": [c.id for c in cases],
            "trained_on": [cases[i].id for i in train_index],
            "validated_on": [cases[i].id for i in val_index],
            "validation": judged,
            "settings": dataclasses.asdict(config),
            "steps": result.step,
            "best_step": result.best_step,
            "stopped": result.stopped,
            "seconds": round(result.seconds, 1),
            "device": f"{chosen} ({reason})",
            "started_from": None if start is None else {"name": start.name, "sha256": start.sha256},
            "classes_copied": list(copied),
            "notes": [*survey.notes, *notes],
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "version": __version__,
            "torch": torch.__version__,
        },
        "scores": {"dice": result.score, "per_class": {k: v for k, v in result.scores.items() if k != "score"}},
    }
    _save(out, net, result, meta, config, start)
    report = write_report(folder / "report.html", out, result.history, meta, validation.pictures(net))
    return VolumeTrainReport(
        out, folder / "log.csv", report, result.score,
        {k: v for k, v in result.scores.items() if k != "score"},
        result.history, result.stopped, result.seconds, copied, judged, notes=(*survey.notes, *notes),
        failures=failures,
    )  # fmt: skip


def _identity(config: TrainConfig) -> dict[str, Any]:
    """The settings that decide what is learnt. Later ones count where they are set: trainings of 0.1 go on."""
    plain = {k: v for k, v in dataclasses.asdict(config).items() if k not in _NOT_IDENTITY}
    later = {"names": "", "match": "name", "resample_labels": False, "nan": "refuse", "fold": 0}
    return {k: v for k, v in plain.items() if k not in later or v != later[k]}


def _start(config: TrainConfig) -> weights.WeightsFile | None:
    """The starting weights, found and their record read once, so that what is wrong with it is said first."""
    if config.weights == "none":
        return None
    start = weights.find(config.weights, BACKEND)
    if start.meta:
        with weights.blaming(start.path):
            VolumeRecipe.from_json(start.meta["recipe"])
            ClassTable.from_json(start.meta["classes"])
    return start


def _split(
    cases: Sequence[Case], config: TrainConfig, own: OwnSplit | None
) -> tuple[list[int], list[int], str, tuple[str, ...]]:
    """Training and validation cases, the sentence that says what the score means, and what to know of the split."""
    everything = list(range(len(cases)))
    if config.val_fraction == 0:
        why = "val_fraction=0"
    elif own is not None:
        return list(own.train), list(own.val), f"on {len(own.val)} held-out case(s), {own.said}", own.notes
    elif len({c.group or c.id for c in cases}) < 2:
        why = "one group only"
    else:
        train, val = split_groups([c.group or c.id for c in cases], config.val_fraction, config.seed)
        groups = len({cases[i].group or cases[i].id for i in val})
        return train, val, f"on {len(val)} held-out case(s) of {groups} group(s)", ()
    return everything, everything, f"on the training cases themselves ({why}): shows fit, not generalisation", ()


def _classes(
    cases: Sequence[Case], config: TrainConfig, start: weights.WeightsFile | None
) -> tuple[ClassMerge, ClassTable, list[str]]:
    """What to learn: as asked for, else what the label files hold, by name; and what a person should know about it."""
    like = ClassTable.from_json(start.meta["classes"]) if start and start.meta.get("classes") else None
    if config.classes:
        merge = ClassMerge.parse(config.classes)
    else:
        merge = ClassMerge.keep(_labels(c, config.names) for c in cases)
        nameless = [n for n in merge.names if re.fullmatch(r"class \d+", n)]
        fresh = [n for n in nameless if like is not None and n not in like.names]
        if fresh and like is not None:
            known = ", ".join(f"{c.name} ({c.value})" for c in like)
            if config.match == "number":
                merge = merge.renamed({f"class {c.value}": c.name for c in like})
                return merge, merge.table(like), [f"labels without names were taken by number for {known}, as asked"]
            note = (
                f"the label files do not name {', '.join(fresh)}: learnt as new classes, not as those of the weights "
                f"({known}); name them by --names or --classes, or take them by --match number"
            )
            return merge, merge.table(like), [note]
    table = merge.table(like)
    note = "" if like is None else adapting_note(like, table)
    return merge, table, [note] if note else []


def _labels(case: Case, names: str = "") -> Labels:
    assert case.labels is not None
    with naming(case):
        reference = open_case(case).geometry if rtstruct.is_contours(case.labels) else None
        return read_named(case.labels, reference=reference, names=names)


def _recipe(config: TrainConfig, start: weights.WeightsFile | None) -> VolumeRecipe:
    """How volumes are prepared: as for the starting weights, else as set. Classes always exclude each other here."""
    if config.roi and any(n % 4 for n in config.roi):
        raise UsageError(
            f"roi={config.roi}: the network works in blocks of 4 voxels; choose multiples of 4, best of 32"
        )
    if start is not None and start.meta.get("recipe"):
        known = VolumeRecipe.from_json(dict(start.meta["recipe"]))
        return dataclasses.replace(
            known, spacing_mm=config.spacing or known.spacing_mm,
            activation="softmax", merge="none",
        )  # fmt: skip
    if start is not None:
        raise WeightsError(f"{start.path}: no record of how images are prepared; start from weights of this workbench")
    ct = config.intensity == "window"
    return VolumeRecipe(
        channels=("CT",) if ct else ("MR",), spacing_mm=config.spacing or (3.0, 3.0, 3.0), intensity=config.intensity,
        window=config.window, crop="body" if ct else "nonzero", roi=config.roi or (64, 64, 64),
    )  # fmt: skip


def _network(
    config: TrainConfig, start: weights.WeightsFile | None, table: ClassTable, channels: int
) -> tuple[SegFormer3D, tuple[str, ...]]:
    """The network to train, and the classes whose output rows were copied from the starting weights."""
    if start is None:
        if config.lora_rank or config.freeze != "none":
            raise UsageError("lora_rank and freeze keep trained weights as they are, but weights=none has none")
        return SegFormer3D(in_channels=channels, num_classes=len(table) + 1, **_SIZES[config.net]), ()
    if start.is_lora:
        raise WeightsError(f"{start.path}: an adapter cannot be trained further; start from its base weights")
    tensors = weights.load_tensors(start)
    with weights.blaming(start.path):
        require_config(start.meta["net"], tensors)
        return _fresh_head(config, start, table, tensors)


def _fresh_head(
    config: TrainConfig, start: weights.WeightsFile, table: ClassTable, tensors: dict[str, torch.Tensor]
) -> tuple[SegFormer3D, tuple[str, ...]]:
    """The network of `tensors` with an output row per class of `table`; rows of known classes are taken over."""
    net = SegFormer3D(**{**start.meta["net"], "num_classes": len(table) + 1})
    head = [k for k in tensors if "linear_pred" in k]
    old = ClassTable.from_json(start.meta["classes"])
    exclusive = start.meta["recipe"].get("activation", "softmax") == "softmax"
    rows = {c.name: c.value for c in old} if exclusive else {}
    copied = tuple(c.name for c in table if c.name in rows)
    with torch.no_grad():
        fresh = net.state_dict()
        for key in head:
            new = fresh[key].clone()
            if exclusive:
                new[0] = tensors[key][0]
            for c in table:
                if c.name in rows:
                    new[c.value] = tensors[key][rows[c.name]]
            tensors[key] = new
    load_state(net, {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
    if config.freeze == "encoder":
        net.segformer_encoder.requires_grad_(False)
    if config.lora_rank:
        from workbench.nets.lora import add_lora

        add_lora(net, rank=config.lora_rank)  # the class head stays trainable in full
    return net, copied


def _loop_settings(config: TrainConfig, cases: int) -> LoopSettings:
    steps = config.steps if not config.epochs else config.epochs * math.ceil(cases / config.batch)
    return LoopSettings(
        steps=steps, lr=config.lr, weight_decay=config.weight_decay, warmup=config.warmup, ema=config.ema,
        validate_every=config.validate_every or max(1, math.ceil(steps / 20)), patience=config.patience,
        max_minutes=config.max_minutes, seed=config.seed, precision=config.precision,
    )  # fmt: skip


def _save(
    out: Path, net: SegFormer3D, result: FitResult, meta: dict[str, Any], config: TrainConfig,
    start: weights.WeightsFile | None,
) -> None:  # fmt: skip
    """All weights, or the adapters and whatever else was trained; `net` holds the best state afterwards."""
    from workbench.nets.lora import lora_state

    net.load_state_dict(result.state)
    if config.lora_rank:
        assert start is not None
        state = lora_state(net)
        base = weights.base_record(start, out)
        record = {"kind": "lora", **base, "lora": {"rank": config.lora_rank}}
    else:
        state = net.state_dict()
        record = {"kind": "full"}
    if config.save_as == "float16":
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    weights.save(out, state, {**meta, **record})
