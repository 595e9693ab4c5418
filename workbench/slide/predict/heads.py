"""What was taught on top of embeddings: classes of tiles (a probe), or a label of the slide (gated attention)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import UsageError, WeightsError
from workbench.core.types import Heatmap, Image, Part, Scores, plain_name
from workbench.slide.data.tiles import Lattice
from workbench.slide.few_shot import AUROC, HEADS, Head
from workbench.slide.layers import ATTENTION, CLASSES
from workbench.slide.linear import LinearClasses
from workbench.slide.predict.found import Found
from workbench.slide.tile_grid import TileGrid

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.slide.net.attention import GatedAttention
    from workbench.slide.settings import Config
    from workbench.weights import WeightsFile

PROBE, SLIDE = "tile classes", "slide classes"
"""Kinds of such weights, as their record says it."""
CLASS_AREAS, SLIDE_CLASS = "class_areas", "slide_class"
PROBABILITY, EVIDENCE = "probability", "evidence"
"""So begin the maps of each class: of a tile, and of what a tile says of its slide."""
Floats = npt.NDArray[np.float32]
_LARGEST = 1e12
_FAR = 2.5
"""Deviations of the tiles of a slide from those that taught (root mean square over embeddings; 1 for those themselves);
of other patients of a study 0.8 to 1.3, of another scanner, stain and tissue 7."""
_LONGEST = 200
"""Letters of the name of a class."""


@dataclass(frozen=True, eq=False)
class ProbeHead:
    """Classes of tiles."""

    head: Head

    def parts(self, slide: Image, tiles: Lattice, found: Found) -> dict[str, Part]:
        """The class of each tile, how probable each class is, and what each covers."""
        grid = TileGrid.of_lattice(tiles, found.numbers)
        return class_parts(self.head.classes, self.head.probabilities(found.features), slide, grid)

    def unlike(self, features: Floats) -> str:
        """What to say of a slide whose tiles are unlike those that taught; "" for others, and for neighbours."""
        head = self.head
        return _unlike(features, head.mean, head.scale) if isinstance(head, LinearClasses) else ""


@dataclass(frozen=True, eq=False)
class SlideHead:
    """A label of the slide.

    Parameters
    ----------
    temperature
        By which logits are divided, so that probabilities are as often right as they say.
    """

    net: GatedAttention
    classes: ClassTable
    temperature: float

    def parts(self, slide: Image, tiles: Lattice, found: Found) -> dict[str, Part]:
        """How probable each label of the slide is, which tiles that rests on, and what each speaks for."""
        import torch

        if not len(found.numbers):
            raise UsageError(f"{slide.source or slide.name}: has no tile that a label could rest on")
        bag = torch.from_numpy(np.ascontiguousarray(found.features))
        with torch.inference_mode():
            logits, attention = self.net(bag)
            each = torch.softmax(self.net.evidence(bag) / self.temperature, 1).numpy()
        odds = torch.softmax(logits / self.temperature, 0).numpy()
        names = self.classes.names
        best = int(odds.argmax())
        rows = tuple(
            (n, round(float(p), 4), "x" if i == best else "") for i, (n, p) in enumerate(zip(names, odds, strict=True))
        )
        grid = TileGrid.of_lattice(tiles, found.numbers)
        # The mean of all tiles is 1: a tile of 5 counts five times as much as one would by chance.
        weight = attention.numpy() * len(found.numbers)
        parts: dict[str, Part] = {
            SLIDE_CLASS: Scores(("class", "probability", "label"), rows, SLIDE_CLASS),
            ATTENTION: replace(grid.heat(slide, weight, ATTENTION), colormap="inferno"),
        }
        for name, key, column in zip(names, _keys(EVIDENCE, names), each.T, strict=True):
            parts[key] = _share(f"{EVIDENCE} {name}", column, slide, grid)
        return parts

    def unlike(self, features: Floats) -> str:
        """What to say of a slide whose tiles are unlike those that taught; "" for others."""
        return _unlike(features, self.net.mean.numpy(), self.net.scale.numpy())


def _unlike(features: Floats, mean: Floats, scale: Floats) -> str:
    if not len(features):
        return ""
    far = float(np.sqrt(np.mean(np.square((features.astype(np.float64) - mean) / scale))))
    return (
        f"its tiles lie {far:.1f} deviations from those that taught these classes, where about 1 is usual: another "
        "stain, scanner or tissue? What is said of them means little then"
    ) if far > _FAR else ""  # fmt: skip


def said_of(parts: Mapping[str, Part], scores: object = None) -> str:
    """The label of a slide in a line, with how often its weights were right; nothing where it has none.

    Parameters
    ----------
    scores
        Of the weights on patients that did not teach, as their record has them.
    """
    table = parts.get(SLIDE_CLASS)
    if not isinstance(table, Scores):
        return ""
    name, odds, _ = max(table.rows, key=lambda row: float(row[1]))
    score = scores.get(AUROC) if isinstance(scores, Mapping) else None
    known = f"; AUROC of the weights {score:.2f}" if isinstance(score, float) and 0 <= score <= 1 else ""
    return f"the slide is taken for '{name}' (probability {odds:.2f}{known})"


def with_classes(parts: Mapping[str, Part]) -> Scores:
    """The table of areas with those of classes of tiles, so that a study has them side by side."""
    areas, own = parts["areas"], parts.get(CLASS_AREAS)
    assert isinstance(areas, Scores)
    behind = next((i for i, row in enumerate(areas.rows, 1) if row[0] == "tiles"), len(areas.rows))
    rows = own.rows if isinstance(own, Scores) else ()
    return replace(areas, rows=(*areas.rows[:behind], *((name, size, count) for name, count, _, size in rows)))


AnyHead: TypeAlias = ProbeHead | SlideHead


def class_parts(classes: ClassTable, odds: Floats, slide: Image, grid: TileGrid) -> dict[str, Part]:
    """Parts of a result by probabilities ``(N, C)`` of classes of its tiles.

    Returns
    -------
    dict
        `CLASSES`: the most probable of each tile; `CLASS_AREAS`: what each covers; ``probability_CLASS``: maps.
    """
    assert slide.pyramid is not None
    assert slide.pyramid.mpp is not None
    values = np.array([c.value for c in classes], np.int32)[odds.argmax(1)] if len(odds) else np.zeros(0, np.int32)
    # Where tiles overlap, each counts for its own step of the lattice: no place counts twice.
    each = grid.area * slide.pyramid.mpp[0] * slide.pyramid.mpp[1] * 1e-6
    counts = [int((values == c.value).sum()) for c in classes]
    rows = [
        (c.name, n, round(n / len(values), 4) if len(values) else "", round(n * each, 6))
        for c, n in zip(classes, counts, strict=True)
    ]
    parts: dict[str, Part] = {
        CLASSES: grid.labels(slide, values, classes, CLASSES),
        CLASS_AREAS: Scores(("class", "tiles", "share of tiles", "area [mm2]"), tuple(rows), CLASS_AREAS),
    }
    for c, key, column in zip(classes, _keys(PROBABILITY, classes.names), odds.T, strict=True):
        parts[key] = _share(f"{PROBABILITY} {c.name}", column, slide, grid)
    return parts


def is_tissue(key: str) -> bool:
    """Whether a part of a result is one of `class_parts`."""
    return key in (CLASSES, CLASS_AREAS) or key.startswith(f"{PROBABILITY}_")


def _keys(what: str, names: Sequence[str]) -> list[str]:
    """Names of the maps of classes: of two that make one file name the second has a number behind."""
    taken: set[str] = set()
    found = []
    for name in names:
        plain = plain_name(name)[:_LONGEST] or "class"
        free, number = plain, 1
        while free.casefold() in taken:
            number += 1
            free = f"{plain}_{number}"
        taken.add(free.casefold())
        found.append(f"{what}_{free}")
    return found


def _share(name: str, odds: Floats, slide: Image, grid: TileGrid) -> Heatmap:
    return replace(grid.heat(slide, odds, name), limits=(0.0, 1.0))


def head_record(
    base: WeightsFile, out: Path, kind: str, classes: ClassTable, *, facts: Mapping[str, Any], net: Mapping[str, Any],
    training: Mapping[str, Any], scores: Mapping[str, float],
) -> dict[str, Any]:  # fmt: skip
    """The record of weights on top of an encoder, as `load_head` reads it.

    Parameters
    ----------
    base
        The weights of the encoder.
    facts
        The recipe: what is said of the tiles.
    net
        ``features`` (length of an embedding), and what else it takes to make the head.
    """
    from workbench import weights

    return {
        "backend": "stainnet", "kind": kind, **weights.base_record(base, out), "classes": classes.to_json(),
        "recipe": dict(facts), "net": dict(net), "training": dict(training),
        "scores": {k: round(float(v), 6) for k, v in scores.items()},
    }  # fmt: skip


def load_head(found: WeightsFile, dim: int) -> AnyHead:
    """The head of a weight file of kind `PROBE` or `SLIDE`, for embeddings of `dim` numbers.

    Raises
    ------
    WeightsError
        Its parts do not fit together, or not to the encoder.
    """
    from workbench import weights

    stored = weights.load_tensors(found)
    about = found.meta.get("net") or {}
    with weights.blaming(found.path):
        if about.get("features") != dim:
            raise WeightsError(f"classes by {about.get('features')} numbers of a tile; its encoder gives {dim}")
        classes = ClassTable.from_json(found.meta.get("classes") or [])
        require_names(classes)
        return (_probe if found.meta["kind"] == PROBE else _slide)(about, classes, stored, dim)


def require_names(classes: ClassTable) -> None:
    """Refuse classes without a name, of one name, or with values that no map holds."""
    names = list(classes.names)
    good = all(isinstance(n, str) and n.strip() and len(n) <= _LONGEST for n in names)
    if not good or len(set(names)) < len(names) or not all(0 < c.value < 1 << 16 for c in classes):
        raise WeightsError(f"its classes make no sense: {str(names)[:80]}")


def _probe(about: dict[str, Any], classes: ClassTable, stored: dict[str, Any], dim: int) -> ProbeHead:
    how = str(about.get("how"))
    if how not in HEADS:
        raise WeightsError(f"a probe of the kind '{how}'; {' or '.join(HEADS)} was expected")
    head = HEADS[how].of(stored, classes)
    width = next(iter(head.tensors().values())).shape[-1]
    if width != dim:
        raise WeightsError(f"classes by {width} numbers of a tile; its encoder gives {dim}")
    return ProbeHead(head)


def _slide(about: dict[str, Any], classes: ClassTable, stored: dict[str, Any], dim: int) -> SlideHead:
    from workbench.nets.checkpoints import load_state, require_fit
    from workbench.slide.net.attention import GatedAttention

    temperature = float(about.get("temperature", 1.0))
    if not math.isfinite(temperature) or temperature <= 0 or len(classes) != about.get("classes"):
        raise WeightsError(f"{len(classes)} classes and a temperature of {temperature:g} do not fit to its network")
    sizes = {k: int(about[k]) for k in ("hidden", "attention")}
    make: Callable[[], GatedAttention] = lambda: GatedAttention(dim, len(classes), **sizes)  # noqa: E731
    require_fit(make, stored)
    if not all(bool((v.float().abs() < _LARGEST).all()) for v in stored.values()) or not bool(
        (stored["scale"] > 0).all()
    ):
        raise WeightsError("some of its numbers are none, or too large")
    net = make()
    load_state(net, stored)
    return SlideHead(net.eval(), classes, temperature)


def require_same_tiles(recipe: dict[str, Any], config: Config) -> None:
    """Refuse tiles of another scale or size than classes were taught on.

    Raises
    ------
    UsageError
        One line says what to set.
    """
    for key, own, flag in (("mpp", config.target_mpp, "--target-mpp"), ("tile", config.tile, "--tile")):
        taught = recipe.get(key)
        if isinstance(taught, bool) or not isinstance(taught, int | float) or not 1e-3 < taught < 1e6:
            raise WeightsError(f"do not say of which tiles they are: their recipe has the {key} {str(taught)[:40]}")
        if abs(own / taught - 1) > 0.02:
            unit = "um per pixel" if key == "mpp" else "pixels"
            raise UsageError(
                f"the classes were taught on tiles of {taught:g} {unit}, these have {own:g}: they would mean nothing. "
                f"Take {flag} {taught:g}."
            )
    how = recipe.get("pooling") or "cls"
    if config.pooling not in ("auto", how):
        raise UsageError(f"the classes were taught with pooling '{how}', not '{config.pooling}': leave that out.")
