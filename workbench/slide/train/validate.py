"""What a pre-training is validated by, on slides that it does not learn from.

Without labels: how often a tile is found again by another view of it, and how much embeddings differ at all. Where
slides have regions: how often the nearest labelled tiles of the training slides tell the region. Labels score; they
never teach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from workbench.slide.predict.view import SIZE, to_input
from workbench.slide.train.augment import Recipe, as_tensor, crop
from workbench.slide.train.knn import KnnScore, colour_histogram, knn_score, own_view_found, spread
from workbench.slide.train.settings import SlideTrainConfig
from workbench.slide.train.study import Study
from workbench.slide.train.tiles_of import TileSource

FOUND, SPREAD, KNN = "own view found", "spread", "k-NN balanced accuracy"
_MOST_REFERENCES = 1024
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(eq=False)
class Validation:
    """Scores of a network on held-out tiles, always the same ones.

    Parameters
    ----------
    study, train, val
        The slides, and the sources of the tiles of both sides.
    config, device
        As for the training.
    """

    study: Study
    train: TileSource
    val: TileSource
    config: SlideTrainConfig
    device: torch.device

    def __post_init__(self) -> None:
        config = self.config
        self.shown = _some(np.arange(len(self.val)), config.val_tiles, config.seed, 31)
        none = np.zeros(0, np.int64)
        train, val = (np.concatenate([none, *side]) for side in (self.study.train_labels, self.study.val_labels))
        self.references = _some(np.flatnonzero(train > 0), _MOST_REFERENCES, config.seed, 32)
        self.queries = _some(np.flatnonzero(val > 0), 4 * config.val_tiles, config.seed, 33)
        self.reference_labels, self.truth = train[self.references], val[self.queries]

    @property
    def measure(self) -> str:
        """Name of the score."""
        return KNN if self.study.has_labels else FOUND

    def scores(self, model: nn.Module) -> dict[str, float]:
        """``score`` and what it is made of; `model` gives ``(B, D)`` for ``(B, 3, 224, 224)``."""
        first, second = (self._views(model, number) for number in (1, 2))
        found = {FOUND: own_view_found(first, second), SPREAD: spread(first)}
        if self.study.has_labels:
            found[KNN] = self.knn(model).balanced
        return {"score": found[self.measure], **found}

    def knn(self, model: nn.Module) -> KnnScore:
        """The vote of labelled tiles of the training slides on those of the held-out slides."""
        return knn_score(
            self._plain(model, self.train, self.references), self.reference_labels,
            self._plain(model, self.val, self.queries), self.truth,
        )  # fmt: skip

    def knn_of_colours(self) -> KnnScore:
        """The same by histograms of colour, which no network made."""
        sides = ((self.train, self.references), (self.val, self.queries))
        reference, query = (colour_histogram(source.read(numbers)) for source, numbers in sides)
        return knn_score(reference, self.reference_labels, query, self.truth)

    def _views(self, model: nn.Module, number: int) -> Floats:
        config = self.config
        recipe = Recipe(SIZE, (0.4, 1.0), config.hue, config.stain, blur=0.5)

        def crops(part: Integers, at: int) -> Tensor:
            generator = torch.Generator().manual_seed(config.seed * 1_000_003 + 17 * at + number)
            return crop(as_tensor(self.val.read(part)).to(self.device), recipe, generator)

        return self._embedded(model, self.shown, crops)

    def _plain(self, model: nn.Module, source: TileSource, numbers: Integers) -> Floats:
        def tiles(part: Integers, at: int) -> Tensor:
            return torch.from_numpy(np.stack([to_input(tile) for tile in source.read(part)])).to(self.device)

        return self._embedded(model, numbers, tiles)

    def _embedded(self, model: nn.Module, numbers: Integers, inputs: Callable[[Integers, int], Tensor]) -> Floats:
        found = [model(inputs(part, at)).float().cpu().numpy() for at, part in _parts(numbers, 32)]
        return np.concatenate(found)


def _parts(numbers: Integers, size: int) -> Iterator[tuple[int, Integers]]:
    for at in range(0, len(numbers), size):
        yield at, numbers[at : at + size]


def _some(numbers: npt.NDArray[np.integer], most: int, seed: int, what: int) -> Integers:
    if len(numbers) > most:
        numbers = np.sort(np.random.default_rng([seed, what]).choice(numbers, most, replace=False))
    return numbers.astype(np.int64)
