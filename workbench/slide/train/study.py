"""The slides of a training: opened, split by group, with what their regions say of the tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, NothingFound, UsageError
from workbench.core.failures import Failure
from workbench.core.frame import PIXELS
from workbench.core.types import Case, Progress
from workbench.data.cases import naming
from workbench.data.objects import read_objects
from workbench.data.readable import left_out
from workbench.slide.train.knn import labels_of_tiles
from workbench.slide.train.settings import SlideTrainConfig
from workbench.slide.train.tiles_of import SlideTiles, require_apart, tiles_of
from workbench.training.split import own_split, split_groups

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Study:
    """Slides to learn from and to validate on.

    Parameters
    ----------
    train, val
        Their tiles; `val` is empty where nothing was kept apart.
    train_labels, val_labels
        For each slide the class of each tile: 0 unknown, else 1 + the place of its name in `names`.
    names
        Of the regions that the cases have.
    validation
        In words, what is validated on.
    notes, failures
        What a person should know; cases that could not be read: id -> why.
    """

    train: tuple[SlideTiles, ...]
    val: tuple[SlideTiles, ...]
    train_labels: tuple[Integers, ...]
    val_labels: tuple[Integers, ...]
    names: tuple[str, ...]
    validation: str
    notes: tuple[str, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def has_labels(self) -> bool:
        """Whether regions tell enough to score: labelled tiles on both sides, of two classes at least."""
        sides = [np.concatenate([np.zeros(0, np.int64), *side]) for side in (self.train_labels, self.val_labels)]
        return all(len(np.unique(labels[labels > 0])) > 1 for labels in sides)


def open_study(cases: Sequence[Case], config: SlideTrainConfig, tell: Progress | None = None) -> Study:
    """Open slides, draw their tiles, and keep some groups apart.

    A slide that cannot be read is left out and named; the training goes on without it.

    Parameters
    ----------
    tell
        Called with (slides looked at, slides in all); may raise `Cancelled`.

    Raises
    ------
    InputError, NothingFound
        No slide is left; the error is that of the first.
    UsageError
        One group only, or pixels that would be on both sides of the split.
    """
    opened, failures = _open_all(cases, config, tell or (lambda done, total: None))
    kept = [s.case for s in opened]
    try:
        train, val, said, notes = _split(kept, config)
    except UsageError as error:
        if not failures:
            raise
        raise UsageError(f"{error}; {left_out(failures)[0]}: {next(iter(failures.values()))}") from error
    require_apart([opened[i] for i in train], [opened[i] for i in val])
    labels, names = _labels(opened)
    notes += [f"{s.case.id}: {note}" for s in opened for note in s.notes]
    few = [opened[i].case.id for i in train if opened[i].on_tissue > len(opened[i].chosen)]
    if few:
        notes.append(
            f"{len(few)} slide(s) have more tiles than tiles_per_slide={config.tiles_per_slide}: some were drawn"
        )
    return Study(
        tuple(opened[i] for i in train), tuple(opened[i] for i in val), tuple(labels[i] for i in train),
        tuple(labels[i] for i in val), names, said, tuple(notes), failures,
    )  # fmt: skip


def _open_all(
    cases: Sequence[Case], config: SlideTrainConfig, tell: Callable[[int, int], None]
) -> tuple[list[SlideTiles], dict[str, str]]:
    if not cases:
        raise UsageError("there are no slides to learn from")
    opened: list[SlideTiles] = []
    bad: dict[str, str] = {}
    first: Exception | None = None
    for number, case in enumerate(cases):
        tell(number, len(cases))
        try:
            with naming(case):
                if case.problem:
                    raise InputError(case.problem)
                if not case.image.exists():
                    raise NothingFound(f"{case.image}: no such file. Check the path.")
                opened.append(tiles_of(case, config, number))
        except (InputError, NothingFound) as error:
            first = first or error
            bad[case.id] = Failure.of(error, case)
    if not opened:
        assert first is not None
        raise first
    tell(len(cases), len(cases))
    return opened, bad


def _split(cases: Sequence[Case], config: SlideTrainConfig) -> tuple[list[int], list[int], str, list[str]]:
    """Indices of the cases to learn from and to validate on, in words, and notes."""
    own = own_split(cases, 0) if config.val_fraction else None
    if own is not None:
        return list(own.train), list(own.val), f"on {len(own.val)} case(s): {own.said}", list(own.notes)
    groups = [c.group or c.id for c in cases]
    train, val = split_groups(groups, config.val_fraction, config.seed)
    if not val:
        return train, [], "on nothing: nothing was kept apart (val_fraction=0)", []
    held = {groups[i] for i in val}
    return train, val, f"on {len(val)} held-out slide(s) of {len(held)} group(s)", []


def _labels(opened: Sequence[SlideTiles]) -> tuple[list[Integers], tuple[str, ...]]:
    """For each slide the classes of its tiles, numbered alike by name in all of them; and the names."""
    found = []
    for slide in opened:
        if slide.case.labels is None:
            found.append((np.zeros(len(slide.chosen), np.int64), dict[int, str]()))
            continue
        with naming(slide.case):
            regions = read_objects(slide.case.labels).in_frame(PIXELS)
        found.append((labels_of_tiles(slide, regions), {c.value: c.name for c in regions.classes}))
    names = tuple(sorted({names[int(v)] for values, names in found for v in np.unique(values) if v in names}))
    place = {name: i + 1 for i, name in enumerate(names)}
    out: list[Integers] = []
    for values, own in found:
        lookup = np.zeros(int(values.max(initial=0)) + 1, np.int64)
        for value, name in own.items():
            if value < len(lookup):
                lookup[value] = place.get(name, 0)
        out.append(lookup[values])
    return out, names
