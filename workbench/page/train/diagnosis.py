"""Teach a diagnosis with labelled pages: two networks, judged by what they did not see, and calibrated by it."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax

from workbench import __version__, weights
from workbench.core import device as devices
from workbench.core.atomic import sha256_of, write_text
from workbench.core.csv_text import table_text
from workbench.core.errors import Cancelled, UsageError, WeightsError
from workbench.core.types import Case
from workbench.data.readable import left_out
from workbench.page.diagnose import model as diagnosing
from workbench.page.diagnose import published
from workbench.page.diagnose.leads import RECIPE
from workbench.page.diagnose.model import PATHS, TASK, TOGETHER, Typical, tensors_of
from workbench.page.diagnose.picture import RECIPE as OF_PICTURES
from workbench.page.net.classifiers import PictureNet, small
from workbench.page.net.lead_net import LeadNet, LeadNetConfig
from workbench.page.net.run import features_and_logits, head_of
from workbench.page.predict.model import NAME, load_model
from workbench.page.train.classify import ClassifySettings, teach
from workbench.page.train.diagnosis_study import DiagnosisStudy, open_labelled
from workbench.page.train.diagnosis_table import scored, temperature_together
from workbench.page.train.settings import PageTrainConfig
from workbench.training import output
from workbench.training.calibration import temperature_of
from workbench.training.loop import Event, FitResult

Floats = npt.NDArray[np.float64]
MEASURE = "macro F1"
_FINE, _FRESH = 5e-5, 6e-4
"""Highest learning rate of published weights, and of those that begin at random."""
_MULTIPLE = 64
"""Pixels that the width of a picture is a multiple of: patches of all networks fit then."""
_NOT_IDENTITY = ("resume", "overwrite", "device")


@dataclass(frozen=True)
class DiagnosisTrainReport:
    """What a training made; a `workbench.core.reports.TrainReport`.

    Parameters
    ----------
    score
        Macro F1 of both opinions together (or of the only one) on pages that did not teach, over all folds.
    scores
        The same by name.
    table
        A row for each opinion and protocol; see `workbench.page.train.diagnosis_table.scored`.
    """

    weights: Path
    log: Path
    report: Path
    score: float | None
    scores: dict[str, float]
    history: list[dict[str, float]]
    stopped: str
    seconds: float
    validation: str
    notes: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    measure: str = MEASURE
    copied: tuple[str, ...] = ()
    test: dict[str, float] = field(default_factory=dict)
    table: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Start:
    """How a network begins: what makes it, how fast it learns, and where it comes from."""

    make: Callable[[], Any]
    is_fresh: bool
    origin: str
    path: Path | None = None


@dataclass(frozen=True, eq=False)
class _Taught:
    """What the trainings of one path gave."""

    net: Any
    logits: Floats
    temperature: float
    typical: Typical
    stopped: str
    history: list[dict[str, float]]


def train_diagnosis(
    cases: Sequence[Case], config: PageTrainConfig, out: Path, on_step: Callable[[Event], None] | None = None
) -> DiagnosisTrainReport:
    """Train and write ``out`` (``.safetensors``); tables, log, state and report go to ``<out>_training/``.

    Every page is read as `predict` reads it, once. Each of the folds is judged by networks that its groups did not
    teach; the weights that are written were taught with all pages, and their temperature comes from the folds.

    Parameters
    ----------
    cases
        Pages or records with labels; see `workbench.page.data.labelled.labelled`.
    on_step
        Called as pages are read and after every step; raise `Cancelled` in it to stop.

    Raises
    ------
    Cancelled
        It was stopped: weights that folds did not judge to the end are not written. ``resume`` goes on from there.
    InputError
        Fewer than two classes, or pages that can be read.
    UsageError, WeightsError
        Settings that cannot work, an output that exists, starting weights that do not fit.
    """
    from workbench.page.train.diagnosis_report import write_report

    began = time.monotonic()
    if config.pictures == "none" and config.leads == "none":
        raise UsageError("pictures and leads are both 'none': nothing is left to learn")
    if config.width % _MULTIPLE:
        raise UsageError(f"width={config.width}: expected a multiple of {_MULTIPLE} pixels")
    stages = tuple(f"{path}_{n}" for path in PATHS for n in (*range(config.folds), "all"))
    output.check(out, resume=config.resume, overwrite=config.overwrite, stages=stages)
    device, reason = devices.choose(config.device)
    reader = load_model(config.weights, device, reason)
    output.refuse_start(out, reader.weights.path)
    size = (config.width // 2, config.width)
    study = open_labelled(cases, config, reader, None if config.pictures == "none" else size, on_step)
    folder = output.clean(out, resume=config.resume, stages=stages)
    starts = _starts(config, size, len(study.classes))
    for start in starts.values():
        if start.path is not None:
            output.refuse_start(out, start.path)
    tell = _Progress(len(starts) * (study.folds + 1), on_step)
    taught: dict[str, _Taught] = {}
    for path, start in starts.items():
        taught[path] = _teach(path, start, study, config, device, folder, tell)
    table = scored(study, {p: t.logits for p, t in taught.items()})
    control = _control(study, taught, device)
    notes = [*study.notes, *left_out(study.failures)]
    main = next(row for row in table if row["protocol"].endswith("folds") and row["opinion"] in (TOGETHER, *PATHS))
    meta = _record(study, config, starts, taught, table, control, notes, (str(device), reason), reader.weights,
                   time.monotonic() - began)  # fmt: skip
    nets = {path: one.net for path, one in taught.items()}
    half = config.save_as == "float16"
    weights.save(out, tensors_of(nets, {p: t.typical for p, t in taught.items()}, half=half), meta)
    columns = list(dict.fromkeys(k for row in table for k in row))
    write_text(folder / "scores.csv", table_text(columns, table))
    history = [{"network": n, **row} for n, one in enumerate(taught.values()) for row in one.history]
    write_text(folder / "log.csv", table_text(list(dict.fromkeys(k for row in history for k in row)), history))
    write_text(folder / "pages.csv", _pages_csv(study, taught))
    report = write_report(folder / "report.html", out, meta, table, control, study)
    score = float(main[MEASURE])
    return DiagnosisTrainReport(
        out, folder / "log.csv", report, score, {MEASURE: score}, history, "finished", time.monotonic() - began,
        study.validation, (*notes, *_table_lines(table, control)), study.failures, table=table,
    )  # fmt: skip


def _starts(config: PageTrainConfig, size: tuple[int, int], classes: int) -> dict[str, _Start]:
    """How each path begins; what it starts from is checked before any page is read twice."""
    found: dict[str, _Start] = {}
    if config.pictures == "small":
        found["image"] = _Start(
            partial(_fresh, partial(PictureNet, small(config.architecture, size, classes)), config.seed), True, "small"
        )
    elif published.is_published(config.pictures):
        _, file, _ = published.load(config.pictures, size, classes)

        def again() -> Any:
            torch.manual_seed(config.seed)
            return published.load(config.pictures, size, classes)[0]

        found["image"] = _Start(again, False, config.pictures, file.path)
    elif config.pictures != "none":
        found["image"] = _from_weights(config.pictures, "image", classes, config.seed, size)
    if config.leads == "small":
        found["signal"] = _Start(partial(_fresh, partial(LeadNet, LeadNetConfig(classes)), config.seed), True, "small")
    elif config.leads != "none":
        found["signal"] = _from_weights(config.leads, "signal", classes, config.seed, size)
    return found


def _fresh(make: Callable[[], Any], seed: int) -> Any:
    torch.manual_seed(seed)
    return make()


def _from_weights(name: str, path: str, classes: int, seed: int, size: tuple[int, int]) -> _Start:
    """The network of weights of a diagnosis, with another last layer where classes are others."""
    found = diagnosing.load(name, torch.device("cpu"))
    if path not in found.nets:
        raise WeightsError(f"{name}: holds no network for {diagnosing.TASK} by {path}")
    if path == "image" and found.nets["image"].config.size != size:
        own = found.nets["image"].config.size
        raise UsageError(f"{name}: sees pictures of {own[1]} pixels across, width={size[1]} was asked for")

    def make() -> Any:
        net = diagnosing.load(name, torch.device("cpu")).nets[path]
        torch.manual_seed(seed)
        old = head_of(net)
        if old.out_features != classes:
            fresh = torch.nn.Linear(old.in_features, classes)
            if path == "image":
                net.net.classifier = fresh
                net.config = dataclasses.replace(net.config, classes=classes)
            else:
                net.head = fresh
                net.config = dataclasses.replace(net.config, classes=classes)
        return net

    return _Start(make, False, name, found.weights.path)


def _teach(
    path: str, start: _Start, study: DiagnosisStudy, config: PageTrainConfig, device: torch.device, folder: Path,
    tell: _Progress,
) -> _Taught:  # fmt: skip
    """Every fold, and then all."""
    examples, there = study.examples(path), study.there(path)
    settings = ClassifySettings(
        epochs=config.epochs, batch=config.batch, seed=config.seed,
        lr=config.diagnosis_lr or (_FRESH if start.is_fresh else _FINE),
        max_minutes=config.max_minutes / tell.trainings,
        adapt="head" if config.adapt == "last" else "all",
    )  # fmt: skip
    identity = {
        "config": {k: v for k, v in dataclasses.asdict(config).items() if k not in _NOT_IDENTITY},
        "pages": [k for k, seen in zip(study.keys, there, strict=True) if seen], "path": path,
        "classes": list(study.classes), "truth": study.truth[there].tolist(), "fold": study.fold[there].tolist(),
        "start": None if start.path is None else sha256_of(start.path),
    }  # fmt: skip

    def run(chosen: npt.NDArray[np.int64], stage: str) -> tuple[Any, FitResult | None]:
        net = start.make()
        if len(np.unique(examples.truth[chosen])) < 2:
            raise UsageError(f"{path}: the pages of a fold hold one class only; give more pages of each")
        found = teach(
            net, examples.some(chosen), None, settings, device=device, folder=folder / f"{path}_{stage}",
            resume=config.resume, fingerprint=identity, on_event=tell.of(f"{path} {stage}"),
            fit_head=not start.is_fresh,
        )  # fmt: skip
        if found is not None and found.stopped == "cancelled":
            raise Cancelled("the training was stopped before all folds were judged: no weights are written")
        tell.done()
        return net, found

    logits = np.full((len(study), len(study.classes)), np.nan)
    far: list[float] = []
    for fold in range(study.folds):
        held = study.fold[there] == fold
        if not held.any() or held.all():
            tell.done()
            continue
        net, _ = run(np.flatnonzero(~held), str(fold))
        seen, _ = features_and_logits(net, examples.inputs[~held], device)
        away, given = features_and_logits(net, examples.inputs[held], device)
        far.append(Typical.of(seen, examples.truth[~held], away, len(study.classes)).farthest)
        logits[np.flatnonzero(there)[held]] = given
    net, last = run(np.arange(len(examples)), "all")
    seen, _ = features_and_logits(net, examples.inputs, device)
    typical = Typical.of(seen, examples.truth, seen, len(study.classes))
    if far:
        typical = dataclasses.replace(typical, farthest=max(float(np.median(far)), typical.farthest))
    good = np.isfinite(logits).all(axis=1)
    temperature = temperature_of(logits[good], study.truth[good]) if good.any() else 1.0
    return _Taught(
        net, logits, temperature, typical, "finished" if last is None else last.stopped,
        [] if last is None else last.history,
    )  # fmt: skip


def _control(study: DiagnosisStudy, taught: Mapping[str, _Taught], device: torch.device) -> dict[str, float]:
    """Accuracy of last layers that were fitted to shuffled labels, on folds that did not teach them: chance, or a leak.

    Labels are shuffled between groups, so that copies of a page keep sharing theirs.
    """
    from sklearn.linear_model import LogisticRegression

    out = {}
    for path, one in taught.items():
        there, examples = study.there(path), study.examples(path)
        seen, _ = features_and_logits(one.net, examples.inputs, device)
        seen = (seen - seen.mean(0)) / (seen.std(0) + 1e-6)
        groups = np.asarray(study.groups)[there]
        names, number = np.unique(groups, return_inverse=True)
        right, count = 0, 0
        for seed in range(5):
            order = np.random.default_rng([seed, 99]).permutation(len(names))
            of_group = np.array([examples.truth[number == n][0] for n in range(len(names))])[order]
            wrong = of_group[number]
            fold = study.fold[there]
            for k in range(study.folds):
                held = fold == k
                if held.any() and len(np.unique(wrong[~held])) > 1:
                    found = LogisticRegression(C=0.1, class_weight="balanced", max_iter=300)
                    right += int((found.fit(seen[~held], wrong[~held]).predict(seen[held]) == wrong[held]).sum())
                    count += int(held.sum())
        out[path] = right / count if count else math.nan
    return out


def _record(
    study: DiagnosisStudy, config: PageTrainConfig, starts: Mapping[str, _Start], taught: Mapping[str, _Taught],
    table: Sequence[Mapping[str, Any]], control: Mapping[str, float], notes: Sequence[str], where: tuple[str, str],
    reader: weights.WeightsFile, seconds: float,
) -> dict[str, Any]:  # fmt: skip
    return {
        "backend": NAME,
        "task": TASK,
        "net": {path: one.net.config.to_json() for path, one in taught.items()},
        "diagnoses": list(study.classes),
        "temperature": {
            **{path: round(one.temperature, 5) for path, one in taught.items()},
            TOGETHER: round(
                temperature_together(study, [softmax(t.logits / t.temperature, axis=1) for t in taught.values()]), 5
            ),
        },
        "farthest": {path: one.typical.farthest for path, one in taught.items()},
        "layouts": sorted({layout for layout in study.layouts if layout}),
        "recipe": {"leads": RECIPE, "picture": OF_PICTURES},
        "seen": [s.to_json() for s in study.seen],
        "training": {
            "objective": "cross-entropy, classes alike, labels smoothed",
            "pages": len(study),
            "of each class": {name: int((study.truth == n).sum()) for n, name in enumerate(study.classes)},
            "groups": len(set(study.groups)),
            "folds": study.folds,
            "validation": study.validation,
            "notes": list(notes),
            "settings": dataclasses.asdict(config),
            "read by": reader.name,
            "read by sha256": reader.sha256,
            "started_from": {path: start.origin for path, start in starts.items()},
            "stopped": {path: one.stopped for path, one in taught.items()},
            "seconds": round(seconds, 1),
            "device": where[0],
            "chosen": where[1],
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "version": __version__,
            "torch": torch.__version__,
        },
        "scores": {
            f"{row['opinion']}, {row['protocol']}: {k}": v
            for row in table
            for k, v in row.items()
            if isinstance(v, float) and math.isfinite(v)
        },
        "shuffled labels, accuracy": dict(control),
    }


def _pages_csv(study: DiagnosisStudy, taught: Mapping[str, _Taught]) -> str:
    """What was said of each page by networks that its group did not teach."""
    rows = []
    for n, case in enumerate(study.ids):
        row: dict[str, Any] = {
            "page": case, "group": study.groups[n], "fold": int(study.fold[n]), "label": study.classes[study.truth[n]],
            "layout": study.layouts[n],
        }  # fmt: skip
        for path, one in taught.items():
            odds = softmax(one.logits[n] / one.temperature)
            row |= {f"{path}: {name}": round(float(p), 4) for name, p in zip(study.classes, odds, strict=True)}
        rows.append(row)
    return table_text(list(dict.fromkeys(k for row in rows for k in row)), rows)


def _table_lines(table: Sequence[Mapping[str, Any]], control: Mapping[str, float]) -> list[str]:
    """The rows for the shell."""
    lines = []
    for row in table:
        told = ", ".join(
            f"{k} {v:.3f}" for k, v in row.items() if isinstance(v, float) and k in ("accuracy", MEASURE, "macro AUROC")
        )
        lines.append(f"{row['opinion']}, {row['protocol']}: {told} ({row['pages']} pages)")
    lines += [f"shuffled labels, {path}: accuracy {value:.3f}" for path, value in control.items()]
    return lines


class _Progress:
    """Steps of several trainings as those of one."""

    def __init__(self, trainings: int, on_step: Callable[[Event], None] | None) -> None:
        self.trainings, self.on_step = trainings, on_step
        self.finished, self.each = 0, 0

    def of(self, what: str) -> Callable[[Event], None] | None:
        on_step = self.on_step
        if on_step is None:
            return None

        def tell(event: Event) -> None:
            self.each = event.steps
            left = event.seconds_left + event.seconds / max(event.step, 1) * event.steps * (
                self.trainings - self.finished - 1
            )
            on_step(
                _Named(
                    **{
                        **{f.name: getattr(event, f.name) for f in dataclasses.fields(event)},
                        "step": self.finished * event.steps + event.step, "steps": self.trainings * event.steps,
                        "seconds_left": left,
                    }, what=what,
                )
            )  # fmt: skip

        return tell

    def done(self) -> None:
        self.finished += 1


@dataclass(frozen=True)
class _Named(Event):
    what: str = ""

    def line(self) -> str:
        return f"{self.what}: {super().line()}"
