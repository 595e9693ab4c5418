"""What trainings on top of an encoder have in common: they write a small file of weights, a log and a report."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench import __version__, weights
from workbench.core.atomic import write_text
from workbench.core.classes import ClassTable
from workbench.core.csv_text import table_text
from workbench.data.readable import left_out
from workbench.report import html
from workbench.report.training import how_it_was_made
from workbench.slide.predict.heads import head_record
from workbench.slide.train.bags import Bags, Tell
from workbench.slide.train.settings import SlideTrainConfig
from workbench.slide.train.train import SlideTrainReport
from workbench.training import output
from workbench.training.loop import Event

_OF_BOTH = (
    "device", "objective", "mpp", "tile", "stride", "min_tissue", "given_mpp", "allow_upsample", "stain_profile",
    "pooling", "seed",
)  # fmt: skip
_OF = {"probe": ("probe", "min_marked"), "mil": ("label_column", "folds", "bag_epochs", "bag_lr")}


def _shown(config: SlideTrainConfig, bags: Bags) -> dict[str, Any]:
    """The settings that such a training has, of all that StainNet's have."""
    own = dataclasses.asdict(config)
    return {"weights": bags.encoder.name} | {k: own[k] for k in (*_OF_BOTH, *_OF[config.objective])}


def require_output(out: Path, config: SlideTrainConfig) -> None:
    """Refuse an output that exists; such a training is short, and begins anew every time."""
    output.check(out, resume=False, overwrite=config.overwrite)
    output.refuse_start(out, weights.find("demo" if config.weights == "none" else config.weights, "stainnet").path)


def as_step(on_step: Callable[[Any], None] | None) -> Tell | None:
    """Slides that are embedded, as steps."""
    if on_step is None:
        return None
    began = time.monotonic()

    def tell(_: str, done: int, total: int) -> None:
        seconds = time.monotonic() - began
        left = seconds / done * (total - done) if done else 0.0
        on_step(Event(done, total, 0.0, 0.0, seconds, left, measure="slides embedded"))

    return tell


def finish(
    out: Path, bags: Bags, config: SlideTrainConfig, *, kind: str, tensors: Mapping[str, npt.NDArray[Any]],
    classes: ClassTable, net: Mapping[str, Any], learnt: Mapping[str, Any], scores: Mapping[str, float], measure: str,
    rows: Sequence[Mapping[str, Any]], notes: Sequence[str], began: float, more: Sequence[html.Section] = (),
) -> SlideTrainReport:  # fmt: skip
    """Write weights, log and report.

    Parameters
    ----------
    kind
        Of the weights; see `workbench.slide.predict.heads`.
    tensors, classes, net
        What they hold, and what `workbench.slide.predict.heads.load_head` needs to read it.
    learnt
        What the record says of the training, with ``validation`` in words.
    rows
        Of the log, and of the first table of the report.
    more
        Further sections of the report.
    """
    import torch

    folder = output.clean(out, resume=False)
    folder.mkdir(parents=True, exist_ok=True)
    seconds = time.monotonic() - began
    notes = (*notes, *left_out(bags.failures))
    training = {
        **learnt, "slides": [bag.case.id for bag in bags.items], "groups": sorted({b.group for b in bags.items}),
        "notes": list(notes), "settings": _shown(config, bags), "seconds": round(seconds, 1), "device": "cpu",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S"), "version": __version__,
    }  # fmt: skip
    record = head_record(bags.encoder, out, kind, classes, facts=bags.recipe, net=net, training=training, scores=scores)
    weights.save(out, {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in tensors.items()}, record)
    heads = list(rows[0])
    log = write_text(folder / "log.csv", table_text(heads, [dict(row) for row in rows]))
    shown = {k: v for k, v in scores.items() if not k.startswith("recall")}
    parts: list[html.Part] = [
        html.Tiles(shown), html.Text(f"{learnt['validation'][:1].upper()}{learnt['validation'][1:]}."),
        *(html.Text(f"{n}.", "warning") for n in notes), html.Table(heads, [[row[h] for h in heads] for row in rows]),
    ]  # fmt: skip
    how = how_it_was_made(out, record, ("Scale and tile", "recipe"), ("notes", "confusion"))
    report = html.write(
        folder / "report.html", f"Training of {out.stem}", [html.Section("Result", parts), *more, how],
        subtitle="Research use only.",
    )  # fmt: skip
    return SlideTrainReport(
        out, log, report, scores.get(measure), measure, dict(scores), [], "finished", seconds,
        str(learnt["validation"]), notes, bags.failures,
    )  # fmt: skip
