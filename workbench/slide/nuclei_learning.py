"""Classes of nuclei learnt from those that a person named: for all others of a slide, and as a file for others."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import UsageError
from workbench.core.objects import Objects
from workbench.core.types import Embeddings
from workbench.slide.data.embedding_files import read_hdf5
from workbench.slide.linear import Floats
from workbench.slide.nuclei_edits import NucleiEdits
from workbench.slide.predict.cell_classes import KIND, CellClasses, learn

_MOVED = 1.5
"""How far, in pixels, a centre may lie from its place in the file, which has whole pixels."""
_SHAPE = ("area [um2]", "eccentricity", "haematoxylin [OD]", "eosin [OD]")


@dataclass(frozen=True, eq=False)
class Learnt:
    """What was learnt.

    Parameters
    ----------
    head
        The classifier; its classes are numbered from 1 on.
    values, odds
        ``(total,)``: the class that it gives to each nucleus, as `NucleiEdits` numbers classes (0: nothing), and how
        probable that is.
    scores
        Cross-validated on the examples; empty where a class has one only.
    examples
        How many of each class.
    """

    head: CellClasses
    values: npt.NDArray[np.int32]
    odds: Floats
    scores: dict[str, float]
    examples: dict[str, int]
    seconds: float


def learn_classes(edits: NucleiEdits, embeddings: Embeddings) -> Learnt:
    """Learn from the nuclei whose class a person gave.

    Parameters
    ----------
    embeddings
        What the encoder saw of each nucleus, by its id.

    Raises
    ------
    UsageError
        Fewer than two classes have examples, or nothing is known of any.
    """
    began = time.monotonic()
    base, n = edits.base, len(edits.base)
    rows = rows_of(base, embeddings)
    if not len(rows):
        raise UsageError("What the encoder saw of these nuclei is not known: run again with 'embeddings' ticked.")
    features = np.concatenate([embeddings.data, _shape(base, rows)], 1).astype(np.float32)
    given = (edits.taught & edits.is_there)[:n][rows]
    named = {c.value: c for c in edits.classes}
    kinds = sorted(set(edits.values[:n][rows][given].tolist()) - {0})
    if len(kinds) < 2:
        known = f"'{named[kinds[0]].name}' only" if kinds else "none yet"
        raise UsageError(
            f"Give examples of two classes or more: choose some nuclei and their class (of {known}), then learn."
        )
    classes = ClassTable(tuple(ClassInfo(i, named[k].name, named[k].color) for i, k in enumerate(kinds, 1)))
    place = np.zeros(max(named, default=0) + 1, np.int64)
    place[kinds] = np.arange(1, len(kinds) + 1)
    own = np.where(given, place[edits.values[:n][rows]], 0)
    head, scores = learn(features, own, classes)
    found = head.probabilities(features)
    values, odds = np.zeros(edits.total, np.int32), np.full(edits.total, np.nan, np.float32)
    values[rows], odds[rows] = np.array(kinds, np.int32)[found.argmax(1)], found.max(1)
    counts = {c.name: int((own == c.value).sum()) for c in classes}
    return Learnt(head, values, odds, scores, counts, time.monotonic() - began)


def rows_of(objects: Objects, embeddings: Embeddings) -> npt.NDArray[np.int64]:
    """The object that each embedding is of.

    Raises
    ------
    UsageError
        Some is of none: they were made by another run.
    """
    ids = objects.ids.astype(np.str_)
    wanted = np.array(embeddings.ids, np.str_)
    if len(ids) >= len(wanted) and (ids[: len(wanted)] == wanted).all():
        return np.arange(len(wanted))
    order = np.argsort(ids)
    at = np.searchsorted(ids[order], wanted).clip(max=max(0, len(ids) - 1))
    if not len(ids) or (ids[order][at] != wanted).any():
        raise UsageError("What the encoder saw belongs to other nuclei: run again.")
    return np.asarray(order[at])


def read_seen(path: Path, objects: Objects, weights_sha256: str | None) -> tuple[Embeddings | None, str]:
    """What the encoder saw of nuclei, from the ``embeddings.h5`` beside their outlines.

    Parameters
    ----------
    objects
        The nuclei, as they are read from the file beside it.
    weights_sha256
        Of the weights that found them, as the record beside it says; ``None``: it is not known.

    Returns
    -------
    seen, note
        Of the nuclei that are there with this id at this place still (to a pixel), or ``None``; and what there is to
        say of it, or nothing.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    tiles = read_hdf5(path)
    if not tiles.ids:
        return (
            None,
            f"{path.name} beside it names no nuclei (an older version wrote it); to learn classes, run again",
        )
    own = str(tiles.facts.get("weights_sha256", ""))
    if weights_sha256 is not None and own != weights_sha256:
        return None, f"{path.name} beside it was made by other weights than these nuclei: it is not taken along"
    where = {str(name): i for i, name in enumerate(objects.ids.tolist())}
    at = np.array([where.get(name, -1) for name in tiles.ids], np.int64)
    centres = objects.centroids() / np.asarray(objects.frame.pixel_size) if len(objects) else np.zeros((1, 2))
    moved = np.abs(centres[at] - tiles.coords).max(1, initial=0.0)
    kept = (at >= 0) & (moved <= _MOVED)
    if not kept.any():
        return None, f"{path.name} beside it is of other nuclei: it is not taken along"
    rows = np.flatnonzero(kept)
    seen = Embeddings(
        tiles.features[rows], tuple(tiles.ids[i] for i in rows.tolist()), places=tiles.coords[rows].astype(np.float64),
        about=tiles.facts,
    )  # fmt: skip
    lost = len(kept) - len(rows)
    return seen, f"{path.name} holds {lost:,} nuclei more, which are not there (or not so) any more" if lost else ""


def _shape(objects: Objects, rows: npt.NDArray[np.int64]) -> Floats:
    """Size, eccentricity and stains as `workbench.slide.predict.cell_classes.features_of` has them."""
    missing = [name for name in _SHAPE if name not in objects.measurements]
    if missing:
        raise UsageError(
            f"These nuclei have no measurement '{missing[0]}': classes are learnt from {', '.join(_SHAPE)} and what an "
            "encoder sees, as CellVTA gives them."
        )
    area, *others = (np.asarray(objects.measurements[name], np.float64)[rows] for name in _SHAPE)
    return np.stack([np.log(np.maximum(area, 1e-3)), *others], 1).astype(np.float32)


def classes_record(
    head: CellClasses, base: Any, out: Path, *, mpp: float, examples: Mapping[str, int], scores: Mapping[str, float],
    training: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """The record of a weight file of classes; `base` is the file of the weights that find the nuclei."""
    from workbench import weights

    return {
        "backend": "cellvta", "kind": KIND, **weights.base_record(base, out), "classes": head.classes.to_json(),
        "recipe": {"mpp": mpp}, "net": {"features": int(head.mean.shape[0]), "base": base.name},
        "training": {
            "objective": "logistic regression on embeddings of nuclei", "examples": dict(examples),
            "nuclei": int(sum(examples.values())), "validation": "cross-validated on the examples", **training,
        },
        "scores": {k: round(v, 6) for k, v in scores.items()},
    }  # fmt: skip


def save_classes(learnt: Learnt, base: Any, out: Path, *, mpp: float) -> Path:
    """Write what was learnt as weights of a few kB: ``predict cellvta --weights FILE`` names nuclei of other slides.

    Parameters
    ----------
    base
        The file of the weights that found the nuclei (`workbench.weights.find`).
    mpp
        Micrometres per pixel that they see.
    """
    import torch

    from workbench import __version__, weights

    training = {"notes": [], "seconds": round(learnt.seconds, 1), "device": "cpu", "version": __version__}
    meta = classes_record(
        learnt.head, base, out, mpp=mpp, examples=learnt.examples, scores=learnt.scores, training=training
    )
    tensors = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in learnt.head.tensors().items()}
    return weights.save(out, tensors, meta)
