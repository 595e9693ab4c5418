"""Labelled pages, read as `predict` reads them, in folds by group: nothing of a page judges what it taught."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, WorkbenchError
from workbench.core.failures import Failure
from workbench.core.seen import SeenCase
from workbench.core.types import Case
from workbench.data.cases import naming
from workbench.page.data.labelled import labelled
from workbench.page.diagnose.inputs import Inputs, inputs_of, reading
from workbench.page.errors import NotAPage
from workbench.page.predict.model import Model
from workbench.page.train.copies import fingerprint, joined
from workbench.page.train.examples import Examples
from workbench.page.train.settings import PageTrainConfig
from workbench.training.loop import Event
from workbench.training.split import grouped_folds

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DiagnosisStudy:
    """Pages with their labels.

    Parameters
    ----------
    inputs
        What networks take of each.
    truth
        ``(pages,)`` number of the class.
    fold
        ``(pages,)`` in which each is judged.
    """

    ids: tuple[str, ...]
    inputs: tuple[Inputs, ...]
    truth: Integers
    classes: tuple[str, ...]
    groups: tuple[str, ...]
    fold: Integers
    seen: tuple[SeenCase, ...]
    notes: tuple[str, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def folds(self) -> int:
        return int(self.fold.max()) + 1

    @property
    def layouts(self) -> tuple[str, ...]:
        return tuple(one.layout for one in self.inputs)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(one.key for one in self.inputs)

    @property
    def validation(self) -> str:
        return f"on {len(self)} page(s) of {len(set(self.groups))} group(s), {self.folds} folds by group"

    def there(self, path: str) -> npt.NDArray[np.bool_]:
        """Which pages have what a path takes: ``(pages,)``."""
        return np.array([(one.picture if path == "image" else one.leads) is not None for one in self.inputs])

    def examples(self, path: str) -> Examples:
        """Those pages as examples.

        Raises
        ------
        InputError
            There are none.
        """
        found = [one.picture if path == "image" else one.leads for one in self.inputs]
        kept = [one for one in found if one is not None]
        if not kept:
            what = "pictures of pages" if path == "image" else "leads"
            raise InputError(f"{self.ids[0]}: of none of the {len(self)} cases there are {what} to learn from")
        return Examples(np.stack(kept), self.truth[self.there(path)])


def open_labelled(
    cases: Sequence[Case], config: PageTrainConfig, reader: Model, size: tuple[int, int] | None,
    on_step: Callable[[Event], None] | None,
) -> DiagnosisStudy:  # fmt: skip
    """Read labelled pages; one that cannot be read is left out and named.

    Raises
    ------
    InputError
        Fewer than two classes can be read, or a class is of one group only.
    """
    told = labelled(cases, config.label_column)
    how = reading(config.weights, config.device)
    opened: list[tuple[Case, str, Inputs]] = []
    failures: dict[str, str] = {}
    first: WorkbenchError | None = None
    for n, (case, label) in enumerate(zip(told.cases, told.labels, strict=True)):
        if on_step is not None:
            on_step(_Reading(n, len(told.cases), float("nan"), 0.0, 0.0, 0.0))
        try:
            with naming(case):
                opened.append((case, label, inputs_of(reader, case, how, size)))
        except (InputError, NotAPage) as error:
            first = first or error
            failures[case.id] = Failure.of(error, case)
    if not opened:
        assert first is not None
        raise first
    if len({label for _, label, _ in opened}) < 2:
        raise InputError(f"{opened[0][0].image}: pages of one class only could be read ({len(failures)} could not)")
    notes = list(told.notes)
    numbers = [told.classes.index(label) for _, label, _ in opened]
    classes = tuple(c for n, c in enumerate(told.classes) if n in numbers)
    truth = np.array([classes.index(label) for _, label, _ in opened])
    groups = [case.group or case.id for case, _, _ in opened]
    zero = np.zeros(64 * 128, np.float32)
    prints = np.stack([zero if one.picture is None else fingerprint(one.picture) for _, _, one in opened])
    groups, moved = joined(groups, prints)
    if moved:
        notes.append(f"{moved} page(s) are nearly the same picture as another and share its group")
    fold = grouped_folds(truth, np.unique(groups, return_inverse=True)[1], config.folds, config.seed)
    if fold is None:
        raise InputError(
            f"{opened[0][0].image}: a class has pages of one group only, so that nothing could judge what they teach. "
            "Give pages of at least two groups (patients) of each class."
        )
    seen = tuple(SeenCase(case.id, (one.key,), "learnt", g) for (case, _, one), g in zip(opened, groups, strict=True))
    return DiagnosisStudy(
        tuple(case.id for case, _, _ in opened), tuple(one for _, _, one in opened), truth, classes, tuple(groups),
        fold, seen, tuple(notes), failures,
    )  # fmt: skip


class _Reading(Event):
    """A page that is read, before anything is learnt."""

    def line(self) -> str:
        return f"reading page {self.step + 1} of {self.steps}"
