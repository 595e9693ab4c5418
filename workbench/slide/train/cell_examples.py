"""Classes of nuclei from a few examples: points or outlines with a class on a slide, or labels with classes."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from workbench import __version__, weights
from workbench.core import device
from workbench.core.atomic import write_text
from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.csv_text import table_text
from workbench.core.errors import InputError, UsageError
from workbench.core.objects import ACCEPTED, EDITED
from workbench.core.types import Case, Image
from workbench.data.cases import naming, open_case
from workbench.report import html
from workbench.report.training import how_it_was_made
from workbench.slide.annotations.read import read_annotations
from workbench.slide.data.nuclei_labels import OUTLINES, read_reference
from workbench.slide.data.placing import place_of
from workbench.slide.data.resample import ratio
from workbench.slide.data.scaled import scaled
from workbench.slide.nuclei_learning import classes_record
from workbench.slide.predict.cell_classes import KIND, features_of, learn
from workbench.slide.predict.cell_settings import CellConfig
from workbench.slide.predict.cell_weights import load_model
from workbench.slide.predict.cells import MARGIN, WINDOW, Finder, rules_at
from workbench.slide.predict.mosaic import Cells, cell_lattice
from workbench.slide.predict.traced import traced
from workbench.slide.train.cell_settings import CellTrainConfig
from workbench.slide.train.cells import CellTrainReport
from workbench.slide.train.looked_at import reviewed
from workbench.training import output

_NEAR_UM = 4.0
"""How far a point may lie from the middle of the nucleus that it means."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Example:
    """A point, or an area whose nuclei are all of one class; pixels of level 0."""

    name: str
    color: tuple[int, int, int] | None
    points: Floats
    area: Any = None  # of shapely


@dataclass(frozen=True, eq=False)
class _Told:
    """Nuclei around the examples of a slide."""

    features: npt.NDArray[np.float32]
    names: list[str]
    examples: int
    lost: int
    both: int


def train_classes(
    cases: Sequence[Case], config: CellTrainConfig, out: Path, on_step: Callable[[Any], None] | None = None
) -> CellTrainReport:
    """Learn classes from examples and write ``out``: a small file that names the nuclei which its base weights find.

    Parameters
    ----------
    cases
        Slides or pictures whose labels are examples: points and outlines with a class (GeoJSON of QuPath and the other
        formats of annotations), or labels with classes (`workbench.slide.data.nuclei_labels`). Nuclei are looked for
        around them only.

    Raises
    ------
    InputError
        No examples, or none of them lies on a nucleus.
    UsageError
        Fewer than two classes; no starting weights; an output that exists.
    """
    if config.weights == "none":
        raise UsageError("adapt=classes names nuclei that given weights find: weights=none finds none")
    output.check(out, resume=False, overwrite=config.overwrite)
    began = time.monotonic()
    chosen, reason = device.choose(config.device)
    model = load_model(config.weights, chosen, reason)
    if model.weights.meta.get("kind") == KIND:
        raise UsageError(f"weights {model.weights.name} name nuclei by examples already; start from their base")
    told: list[_Told] = []
    table: dict[str, tuple[int, int, int] | None] = {}
    given = [c for c in cases if c.labels is not None]
    if not given:
        raise InputError("there are no examples: give --labels or a column 'labels' with points or outlines")
    for case in given:
        with naming(case):
            told.append(_looked_at(case, config, model, table))
    every, lost = sum(t.examples for t in told), sum(t.lost for t in told)
    if lost == every:
        raise InputError(
            f"{given[0].labels}: none of {every} example(s) lies on a nucleus that was found. Are they of these "
            "slides, and in pixels of the whole file?"
        )
    notes = [f"{lost} of {every} examples lie on no nucleus that was found, and teach nothing"] if lost else []
    if both := sum(t.both for t in told):
        notes.append(f"{both} nuclei hold examples of two classes, and teach nothing")
    names = sorted({n for t in told for n in t.names if n})
    classes = ClassTable(
        tuple(ClassInfo(c.value, c.name, table[c.name] or c.color) for c in ClassTable.from_names(names))
    )
    place = {name: i for i, name in enumerate(names, 1)} | {"": 0}
    values = np.array([place[n] for t in told for n in t.names], np.int64)
    head, scores = learn(np.concatenate([t.features for t in told]), values, classes)
    counts = {c.name: int((values == c.value).sum()) for c in classes}
    if not scores:
        notes.append("a class has one example only: nothing was cross-validated")
    folder = output.clean(out, resume=False)
    folder.mkdir(parents=True, exist_ok=True)
    seconds = time.monotonic() - began
    training = {
        "notes": notes, "settings": dataclasses.asdict(config), "seconds": round(seconds, 1), "device": str(chosen),
        "chosen": reason, "version": __version__,
    }  # fmt: skip
    meta = classes_record(
        head, model.weights, out, mpp=model.recipe["mpp"], examples=counts, scores=scores, training=training
    )
    weights.save(out, {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in head.tensors().items()}, meta)
    rows = [{"class": n, "examples": counts[n], "recall": scores.get(f"recall of {n}", math.nan)} for n in names]
    log = write_text(folder / "log.csv", table_text(["class", "examples", "recall"], rows))
    return CellTrainReport(
        out, log, _report(folder / "report.html", out, meta, rows, notes), scores.get("balanced accuracy"),
        "balanced accuracy", scores, [], "finished", seconds, "cross-validated on the examples", tuple(notes),
    )  # fmt: skip


def _report(path: Path, out: Path, meta: dict[str, Any], rows: list[dict[str, Any]], notes: Sequence[str]) -> Path:
    heads = list(rows[0])
    parts: list[html.Part] = [
        html.Tiles({k: v for k, v in meta["scores"].items() if k == "balanced accuracy"} | {"examples": sum(
            r["examples"] for r in rows)}),
        html.Table(heads, [[r[h] for h in heads] for r in rows], "Recall is cross-validated on the examples."),
        *(html.Text(f"{n}.", "warning") for n in notes),
    ]  # fmt: skip
    sections = [html.Section("Result", parts), how_it_was_made(out, meta, ("Scale", "recipe"), ("notes",))]
    return html.write(path, f"Classes of {out.stem}", sections, subtitle="Research use only.")


def _looked_at(case: Case, config: CellTrainConfig, model: Any, table: dict[str, tuple[int, int, int] | None]) -> _Told:
    """Nuclei in the windows that hold the examples, and which class a person gave to each ("": none)."""
    slide = scaled(open_case(case), config.mpp)
    if slide.pyramid is None:
        raise InputError(f"{case.image}: is no slide: it has no levels")
    own = float(model.recipe["mpp"])
    factor = ratio(slide.pyramid, own, allow_upsample=config.allow_upsample, name=case.image)
    assert case.labels is not None
    examples = read_examples(case.labels, slide)
    tiles = cell_lattice(slide.pyramid.levels[0].shape, factor, WINDOW, MARGIN)
    step = tiles.stride * factor
    chosen = set()
    for example in examples:
        low, high = example.points.min(0) // step, example.points.max(0) // step
        chosen |= {
            r * tiles.count[1] + c
            for r in range(max(0, int(low[1])), min(tiles.count[0], int(high[1]) + 1))
            for c in range(max(0, int(low[0])), min(tiles.count[1], int(high[0]) + 1))
        }
    settings = CellConfig(weights=config.weights, embeddings=True)
    found, _ = Finder(model, slide, tiles, settings, rules_at(own), None).run(np.array(sorted(chosen), np.int64), None)
    names, lost, both = matched(found, examples, factor, _NEAR_UM / own)
    for example in examples:
        table.setdefault(example.name, None)
        table[example.name] = table[example.name] or example.color
    return _Told(features_of(found, own), names, len(examples), lost, both)


def read_examples(path: Path, slide: Image) -> list[Example]:
    """Points and areas with their classes.

    Raises
    ------
    InputError
        None has a class.
    """
    import shapely

    if path.suffix.lower() not in (*OUTLINES, ".xml", ".ndpa"):
        assert slide.pyramid is not None
        rows, columns = slide.pyramid.levels[0].shape
        reference = read_reference(path, (rows, columns))
        if reference.types is None:
            raise InputError(f"{path}: tells no classes; examples are nuclei with a class")
        middle = traced(reference.labels)
        ids, first = np.unique(reference.labels, return_index=True)
        kinds = dict(zip(ids.tolist(), reference.types.ravel()[first].tolist(), strict=True))
        names = {c.value: c for c in reference.classes}
        return [
            Example(names[kinds[i]].name, None, middle.centroids[n : n + 1])
            for n, i in enumerate(middle.ids.tolist()) if kinds[i] in names
        ]  # fmt: skip
    found: list[Example] = []
    # Files of points and annotations are no nuclei: they are not asked.
    states = path.suffix.lower() in OUTLINES and (path.suffix.lower() == ".parquet" or b'"review"' in path.read_bytes())
    if states and (seen := reviewed(path)) is not None:
        # A saved result: classes that a model gave are no examples, those that a person gave or accepted are.
        assert seen.review is not None
        names = {c.value: c for c in seen.classes}
        for i in np.flatnonzero(np.isin(seen.review, (ACCEPTED, EDITED)) & (seen.class_values != 0)).tolist():
            own = names[int(seen.class_values[i])]
            for outer, *holes in seen.polygon(i):
                found.append(Example(own.name, own.color, np.asarray(outer, float), shapely.Polygon(outer, holes)))
        if not found:
            raise InputError(f"{path}: nobody named or accepted a nucleus of it: those teach, not what a model says")
        return found
    for one in read_annotations(path, slide=place_of(slide)):
        if not one.class_name:
            continue
        color = one.class_color or one.color
        for part in one.shape.parts:
            if one.shape.kind == "areas":
                found.append(Example(one.class_name, color, part[0], shapely.Polygon(part[0], part[1:])))
            elif one.shape.kind == "points":
                found += [Example(one.class_name, color, point[None]) for point in part[0]]
    if not found:
        raise InputError(f"{path}: no point or outline has a class; give some one")
    return found


def matched(cells: Cells, examples: Sequence[Example], factor: float, near: float) -> tuple[list[str], int, int]:
    """The class that was given to each nucleus, "" for none; how many examples lie on none; how many nuclei hold
    examples of two classes, and are given none.

    A point means the nucleus whose outline holds it; where none does, the nearest that no other example means.

    Parameters
    ----------
    factor
        Pixels of level 0 along one of the nuclei's.
    near
        How far a point may lie from the middle of a nucleus, in pixels of the nuclei.
    """
    import shapely

    names = [""] * len(cells)
    beside: list[tuple[Example, npt.NDArray[np.float64]]] = []
    rings = [cells.coordinates[a:b] for a, b in zip(cells.offsets[:-1], cells.offsets[1:], strict=True)]
    outlines = shapely.STRtree([shapely.Polygon(ring) for ring in rings])

    both: set[int] = set()

    def give(i: int, example: Example) -> None:
        if names[i] not in ("", example.name):
            both.add(i)
        names[i] = example.name

    for example in examples:
        if example.area is not None:
            x, y = cells.centroids.T * factor
            hit = np.flatnonzero(shapely.contains_xy(example.area, x, y)).tolist()
            middle = np.array(example.area.centroid.coords[0]) / factor
        else:
            middle = example.points[0] / factor
            hit = outlines.query(shapely.Point(middle), predicate="within").tolist()
        for i in hit:
            give(i, example)
        if not hit:
            beside.append((example, middle))
    lost = 0
    for example, middle in beside:
        away = np.hypot(*(cells.centroids - middle).T) if len(cells) else np.zeros(0)
        nearest = int(away.argmin()) if len(away) else -1
        if nearest < 0 or away[nearest] > near or names[nearest]:
            lost += 1
        else:
            names[nearest] = example.name
    for i in both:
        names[i] = ""
    return names, lost, len(both)
