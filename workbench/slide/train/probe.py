"""Classes of tissue from a few marked regions, as weights of a few kB that ``predict stainnet`` applies to slides."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.atomic import write_text
from workbench.core.classes import ClassTable
from workbench.core.csv_text import table_text
from workbench.core.errors import InputError
from workbench.core.types import Case, Image
from workbench.data.cases import naming
from workbench.report import html
from workbench.slide.annotations.place import SlidePlace
from workbench.slide.annotations.read import read_annotations
from workbench.slide.annotations.types import Annotations
from workbench.slide.data.heat_maps import read_labels
from workbench.slide.data.placing import place_of
from workbench.slide.few_shot import BALANCED, Examples, Taught, learn_tiles
from workbench.slide.marked import Marked, marked_by, marked_on
from workbench.slide.predict.heads import PROBE
from workbench.slide.tile_learning import grid_of
from workbench.slide.train.bags import Bag, Bags, open_bags
from workbench.slide.train.on_top import as_step, finish, require_output
from workbench.slide.train.settings import SlideTrainConfig
from workbench.slide.train.train import SlideTrainReport

_MASKS = (".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class Told:
    """Marked tiles of a study, and what there is to say of them."""

    examples: Examples
    classes: ClassTable
    notes: tuple[str, ...]


def train_probe(
    cases: Sequence[Case], config: SlideTrainConfig, out: Path, on_step: Callable[[Any], None] | None = None
) -> SlideTrainReport:
    """Learn classes of tiles and write ``out``, a small file beside the weights of the encoder.

    Parameters
    ----------
    cases
        Slides, or files of their embeddings, with regions as labels: outlines and points with a class (GeoJSON of
        QuPath, NDPA, ASAP, ImageScope), or a painted mask with classes (OME-TIFF, as the workbench writes it).
        `Case.group` is the patient.

    Raises
    ------
    InputError
        No slide can be read, or none has regions with a class.
    UsageError
        Fewer than two classes are marked; an output that exists.
    """
    require_output(out, config)
    began = time.monotonic()
    bags = open_bags(cases, config, as_step(on_step))
    told = marked_tiles(bags, config.min_marked)
    taught = learn_tiles(told.examples, told.classes, config.probe)
    net = {"features": told.examples.features.shape[1], "how": config.probe}
    learnt = {
        "objective": f"classes of tiles by {'logistic regression' if config.probe == 'logistic' else 'nearest tiles'}",
        "tiles": taught.tiles, "regions": taught.regions, "validation": taught.validation,
        "confusion": taught.confusion.tolist(),
    }  # fmt: skip
    rows = class_rows(taught)
    report = finish(
        out, bags, config, kind=PROBE, tensors=taught.head.tensors(), classes=taught.classes, net=net, learnt=learnt,
        scores=taught.scores, measure=BALANCED, rows=rows, notes=told.notes, began=began,
        more=[html.Section("What was taken for what", [confusion_table(taught)])] if taught.scores else [],
    )  # fmt: skip
    write_text(report.log.with_name("tiles.csv"), tile_rows(bags, told, taught))
    return report


def tile_rows(bags: Bags, told: Told, taught: Taught) -> str:
    """A row per marked tile: whose it is, what was marked, the region, the fold in which it judged, and what was said
    of it then.
    """
    own, names = told.examples, taught.classes.names
    marked = {c.value: c.name for c in told.classes}
    rows = []
    for i in np.flatnonzero(own.values > 0).tolist():
        bag = bags.items[int(own.slides[i])]
        row = {
            "slide": bag.case.id, "patient": bag.group, "x": own.corners[i, 0], "y": own.corners[i, 1],
            "region": int(own.regions[i]), "marked": marked[int(own.values[i])],
        }  # fmt: skip
        if len(taught.odds):
            odds = taught.odds[i]
            row |= {"fold": int(taught.fold[i]), "said": names[int(odds.argmax())]}
            row |= {f"probability {n}": round(float(p), 5) for n, p in zip(names, odds, strict=True)}
        rows.append(row)
    return table_text(list(rows[0]), rows)


def class_rows(taught: Taught) -> list[dict[str, Any]]:
    """A row per class for people: what was marked of it, and how much of that was found again."""
    return [
        {"class": c.name, "regions": taught.regions.get(c.name, 0), "tiles": taught.tiles.get(c.name, 0),
         "recall": round(taught.scores.get(f"recall of {c.name}", float("nan")), 4)}
        for c in taught.classes
    ]  # fmt: skip


def confusion_table(taught: Taught) -> html.Table:
    """Tiles by class (rows) and by what they were taken for."""
    names = list(taught.classes.names)
    rows = [[name, *row] for name, row in zip(names, taught.confusion.tolist(), strict=True)]
    return html.Table(["marked as", *names], rows, "Tiles by what they were taken for, cross-validated.")


def marked_tiles(bags: Bags, least: float) -> Told:
    """The tiles of all slides, with what was marked on them.

    Raises
    ------
    InputError
        Nothing has a class.
    """
    marked: list[Marked] = []
    notes: list[str] = []
    for bag in bags.items:
        with naming(bag.case):
            one = _marked(bag, least)
        notes += [f"{bag.case.id}: {note}" for note in one.notes]
        marked.append(one)
    names = list(dict.fromkeys(c.name for one in marked for c in one.classes))
    if not names:
        raise InputError(
            f"{bags.items[0].case.image}: no region has a class: give --labels or a column 'labels' with outlines, "
            "points or a mask that have one"
        )
    colors = {c.name: c.color for one in reversed(marked) for c in one.classes}
    table = ClassTable.from_names(names)
    classes = ClassTable(tuple(replace(c, color=colors[c.name]) for c in table))
    offset, regions = 0, []
    for one in marked:
        regions.append(np.where(one.regions >= 0, one.regions + offset, -1))
        offset += int(one.regions.max(initial=-1)) + 1
    counts = [len(bag.tiles.features) for bag in bags.items]
    examples = Examples(
        np.concatenate([np.asarray(bag.tiles.features, np.float32) for bag in bags.items]),
        np.concatenate([one.in_classes(classes) for one in marked]), np.concatenate(regions),
        np.repeat(np.arange(len(counts)), counts),
        np.concatenate([bag.tiles.coords.astype(np.float64) for bag in bags.items]),
        np.repeat([bag.side for bag in bags.items], counts), tuple(bag.group for bag in bags.items),
    )  # fmt: skip
    return Told(examples, classes, tuple(notes))


def _marked(bag: Bag, least: float) -> Marked:
    corners, labels = bag.tiles.coords.astype(np.float64), bag.case.labels
    if labels is None:
        return marked_by(corners, bag.side, Annotations())
    if labels.suffix.lower() in _MASKS:
        mask = read_labels(labels)
        return marked_on(corners, bag.side, mask, grid_of(mask, bag.mpp), least)
    found = read_annotations(labels, slide=_place(bag)).classes_from_names()
    return marked_by(corners, bag.side, found, least)


def _place(bag: Bag) -> SlidePlace:
    image: Image | None = bag.image
    if image is not None:
        return place_of(image)
    rows, columns = (int(bag.tiles.facts.get(k, 0)) for k in ("level0_height", "level0_width"))
    return SlidePlace.of({}, (rows, columns), bag.mpp, None)
