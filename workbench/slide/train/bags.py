"""The embeddings of the slides of a study: read from files, or made by an encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.core.errors import InputError, NothingFound, UsageError
from workbench.core.failures import Failure
from workbench.core.types import Case, Embeddings, Image
from workbench.data.cases import naming, open_case
from workbench.slide.data.embedding_files import (
    TileEmbeddings,
    read_hdf5,
    recipe_of,
    require_comparable,
    require_sense,
    side_of,
)
from workbench.slide.predict.heads import PROBE, SLIDE
from workbench.slide.predict.model import Model
from workbench.slide.settings import Config
from workbench.slide.train.label_list import EMBEDDED, patient_of
from workbench.slide.train.settings import SlideTrainConfig
from workbench.slide.train.tiles_of import stated_area
from workbench.weights import WeightsFile

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Bag:
    """The tiles of a slide; `image` is the slide itself where it was opened."""

    case: Case
    tiles: TileEmbeddings
    image: Image | None = None

    @property
    def side(self) -> float:
        """Of a tile, in pixels of level 0."""
        return side_of(self.tiles.facts)

    @property
    def mpp(self) -> tuple[float, float] | None:
        """Micrometres per pixel of the slide, along x and y, where its file of embeddings says it."""
        x, y = (float(self.tiles.facts.get(k, 0)) for k in ("mpp_x", "mpp_y"))
        return (x, y) if min(x, y) > 0 else None

    @property
    def group(self) -> str:
        """What is kept apart as a whole."""
        return patient_of(self.case)


@dataclass(frozen=True, eq=False)
class Bags:
    """The slides of a study.

    Parameters
    ----------
    encoder
        The weights that embedded them.
    recipe
        What all tiles have in common; see `workbench.slide.data.embedding_files.recipe_of`.
    failures
        Slides that could not be read: id -> why.
    """

    items: tuple[Bag, ...]
    encoder: WeightsFile
    recipe: dict[str, Any]
    failures: dict[str, str]


def open_bags(cases: Sequence[Case], config: SlideTrainConfig, tell: Tell | None = None) -> Bags:
    """Read the embeddings of cases (``embeddings.h5`` of a result), or embed their slides.

    Parameters
    ----------
    tell
        Called with the id of a case, and how many are done of how many.

    Raises
    ------
    InputError
        None can be read; or they were embedded by other weights, at other scales, or by no weights that are known.
    UsageError
        The weights were taught on top of an encoder themselves.
    """
    from workbench import weights

    name = "demo" if config.weights == "none" else config.weights
    encoder = weights.find(name, "stainnet")
    if encoder.meta.get("kind") in (PROBE, SLIDE):
        raise UsageError(
            f"weights {encoder.name} are classes on top of an encoder; give that: {encoder.meta.get('base')}"
        )
    model: Model | None = None
    found: list[Bag] = []
    failures: dict[str, str] = {}
    problem: Exception | None = None
    about: dict[str, Any] = {}
    first = ""
    for number, case in enumerate(cases):
        if tell is not None:
            tell(case.id, number, len(cases))
        try:
            with naming(case):
                if case.problem:
                    raise InputError(case.problem)
                if case.image.suffix.lower() in EMBEDDED:
                    bag = Bag(case, _read(case, encoder, config))
                else:
                    model = model or _loaded(name, config)
                    bag = _embedded(case, model, config)
                about = require_comparable(bag.tiles, str(case.image), about, first)
                first = first or str(case.image)
                found.append(_limited(bag))
        except (InputError, NothingFound) as error:
            failures[case.id] = Failure.of(error, case)
            problem = problem or error
    if not found:
        raise problem or UsageError("there are no slides to learn from")
    _require_apart(found)
    return Bags(tuple(found), encoder, recipe_of(found[0].tiles.facts), failures)


def _read(case: Case, encoder: WeightsFile, config: SlideTrainConfig) -> TileEmbeddings:
    tiles = read_hdf5(case.image)
    facts = tiles.facts
    require_sense(tiles, case.image)
    if tiles.ids or not facts.get("patch_size_level0") or "target_mpp" not in facts:
        raise InputError(f"{case.image}: is no file of the embeddings of tiles that 'predict stainnet' writes")
    if facts.get("weights_sha256") != encoder.sha256:
        raise InputError(
            f"{case.image}: was made by the weights '{facts.get('encoder')}', not by '{encoder.name}': give those "
            "(--weights), or embed the slides again."
        )
    if config.stain_profile:
        raise InputError(
            f"{case.image}: stain_profile changes what an encoder sees of a slide; embeddings are made already. Give "
            "the slide, or leave it out."
        )
    own = facts.get("pooling", "cls")
    if config.pooling not in ("auto", own):
        raise InputError(f"{case.image}: was made with pooling '{own}', not '{config.pooling}': leave that out.")
    return replace(tiles, features=np.asarray(tiles.features, np.float32))


def _loaded(name: str, config: SlideTrainConfig) -> Model:
    from workbench.core import device
    from workbench.slide.predict.load import load_model

    chosen, _ = device.choose(config.device)
    return load_model(Config(weights=name, device=config.device, pooling=config.pooling), chosen)


def _embedded(case: Case, model: Model, config: SlideTrainConfig) -> Bag:
    from workbench.slide.predict.slide import embed_slide

    image = open_case(case)
    if image.pyramid is None:
        raise InputError(f"{case.image}: is no slide: it has no levels")
    given = config.given_mpp if image.pyramid.mpp is None else None
    own = Config(
        mpp=given, target_mpp=config.mpp, tile=config.tile, stride=config.stride or None, tissue=config.min_tissue,
        allow_upsample=config.allow_upsample, pooling=config.pooling, stain_profile=config.stain_profile,
    )  # fmt: skip
    made = embed_slide(model, image, own)
    part = made["embeddings"]
    assert isinstance(part, Embeddings)
    return Bag(case, replace(TileEmbeddings.of(part), ids=()), made.image)


def _limited(bag: Bag) -> Bag:
    """Without the tiles beside the area that a list limits a case to."""
    tiles = bag.tiles
    rows, columns = (int(tiles.facts.get(k, 0)) for k in ("level0_height", "level0_width"))
    area = stated_area(bag.case, rows, columns)
    if area is None:
        return bag
    row, column, height, width = area
    low, high = np.array([column, row]) - 0.5, np.array([column + width, row + height]) - bag.side + 0.5
    inside = ((tiles.coords >= low) & (tiles.coords <= high)).all(1)
    return replace(bag, tiles=replace(tiles, features=tiles.features[inside], coords=tiles.coords[inside], scores={}))


def _require_apart(bags: Sequence[Bag]) -> None:
    """Refuse the same slide under two patients: one would teach and the other judge."""
    seen: dict[bytes, Bag] = {}
    for bag in bags:
        if not len(bag.tiles.features):
            continue
        # In half precision: a copy in other numbers is the same slide.
        key = hashlib.sha256(np.clip(bag.tiles.features, -6e4, 6e4).astype(np.float16).tobytes()).digest()
        other = seen.setdefault(key, bag)
        if other.group != bag.group:
            raise UsageError(
                f"{bag.case.image} and {other.case.image} are the same slide in two groups ({bag.group}, "
                f"{other.group}): one would teach and the other judge. Leave one out, or give both the same group."
            )
