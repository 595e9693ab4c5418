"""Every volume of a training is looked at once, when it is loaded: held against what taught the starting weights, and
remembered for the record of those to come."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from workbench import weights
from workbench.core.agreement import Finding, settle
from workbench.core.errors import MismatchError
from workbench.core.seen import Role, Seen, SeenCase, joined
from workbench.core.types import Case, Image
from workbench.data.cases import naming, open_case
from workbench.volume.data import taught
from workbench.volume.data.agreement import (
    Expectation,
    conformed,
    expectation,
    header_findings,
    settings_findings,
    value_findings,
)
from workbench.volume.data.content import keys_of, runs_of
from workbench.volume.data.nan_values import Nan, filled
from workbench.volume.data.recipe import VolumeRecipe
from workbench.volume.data.taught import Taught, VolumeFacts, facts_of, facts_of_header
from workbench.volume.train.settings import TrainConfig


class Survey:
    """What the volumes of a training are, gathered while they are loaded.

    Parameters
    ----------
    recipe
        How volumes are prepared.
    start
        Weights that the training goes on from; None from scratch.
    force
        Volumes that cannot be right for these weights are noted, not refused.
    nan
        What becomes of voxels that are NaN.
    """

    def __init__(
        self, recipe: VolumeRecipe, start: weights.WeightsFile | None, *, force: bool = False, nan: Nan = "refuse"
    ) -> None:
        self.recipe, self.start, self.force, self.nan = recipe, start, force, nan
        self.expects: Expectation | None = None
        if start is not None:
            with weights.blaming(start.path):
                self.expects = expectation(start.meta, recipe, start.name)
        self._facts: dict[str, VolumeFacts] = {}
        self._keys: dict[str, tuple[str, ...]] = {}
        self._notes: dict[str, list[str]] = {}

    def check_headers(self, cases: Sequence[Case]) -> None:
        """Refuse what headers already say cannot be right, before any samples are loaded.

        Raises
        ------
        MismatchError
            Of the first such case.
        """
        if self.expects is not None:
            self._settle("all cases", self.start_name, settings_findings(self.expects))
        for case in cases:
            with naming(case):
                image = open_case(case)
                e = self.expects or Expectation(Taught(), self.recipe, "none")
                self._settle(case.id, case.image, header_findings(e, image, facts_of_header(image, self.recipe)))

    def look(self, case: Case, image: Image) -> None:
        """Called with every volume whose samples are loaded, channels in the order of the recipe.

        Raises
        ------
        MismatchError
            Its values cannot be right for the starting weights, or for any (a constant volume, a label map).
        """
        if case.id in self._facts:
            return
        samples, changed = filled(image.data, self.recipe, self.nan, case.image)
        self.tell(case, changed)
        facts = facts_of(image, self.recipe, samples)
        e = self.expects or Expectation(Taught(), self.recipe, "none")
        self._settle(case.id, case.image, value_findings(e, facts, fresh=self.expects is None))
        self._facts[case.id], self._keys[case.id] = facts, (*keys_of(image), *runs_of(image))

    def tell(self, case: Case, notes: tuple[str, ...]) -> None:
        """Note what was done to a case before it was learnt from."""
        self._notes.setdefault(case.id, []).extend(notes)

    @property
    def start_name(self) -> str:
        return "none" if self.start is None else self.start.name

    def _settle(self, case: str, subject: Any, findings: Iterable[Finding]) -> None:
        found = list(findings)
        refused = [f for f in found if f.level == "refused"]
        if self.expects is None and refused and not self.force:
            advice = " ".join(dict.fromkeys(f.advice for f in refused if f.advice))
            said = "; ".join(f.line for f in refused)
            raise MismatchError(f"{subject}: cannot teach anything: {said}. {advice} To use it all the same: --force")
        self._notes.setdefault(case, []).extend(
            settle(found, subject=subject, weights=self.start_name, force=self.force)
        )

    @property
    def notes(self) -> list[str]:
        """What was noted, a line each, with the cases it was noted of."""
        found: dict[str, list[str]] = {}
        for case, notes in self._notes.items():
            for note in dict.fromkeys(notes):
                found.setdefault(note, []).append(case)
        modalities = sorted({f.modality for f in self._facts.values() if f.modality})
        lines = [f"{note} ({_some(cases)})" if cases != ["all cases"] else note for note, cases in found.items()]
        return lines + ([f"{' and '.join(modalities)} are taught together"] if len(modalities) > 1 else [])

    def taught(self, config: TrainConfig, roi: Sequence[int]) -> Taught:
        """The record entry ``taught``: of these volumes, joined with what taught the starting weights."""
        new = taught.gather(list(self._facts.values()), self.recipe, mirrored=("LR",) if config.flip else (), roi=roi)
        return taught.joined(None if self.expects is None else self.expects.taught, new)

    def seen(self, learnt: Sequence[Case], chosen_by: Sequence[Case]) -> list[dict[str, Any]]:
        """The record entry ``seen``: these cases, and those that the starting weights remember."""
        roles: dict[str, tuple[Case, Role]] = {c.id: (c, "chosen by") for c in chosen_by}
        roles |= {c.id: (c, "learnt") for c in learnt}
        new = [
            SeenCase(c.id, self._keys[c.id], role, c.group or c.id) for c, role in roles.values() if c.id in self._keys
        ]
        return joined(() if self.start is None else Seen.of(self.start.meta).cases, new)


def copies_on_both_sides(entries: Iterable[Mapping[str, Any]], own: Collection[str]) -> list[str]:
    """A note on cases that were held out and are the same scan as one that was learnt from.

    Parameters
    ----------
    entries
        The record entry ``seen`` (see `Survey.seen`).
    own
        Ids of the cases of this training; those that the starting weights remember are not its split.
    """
    mine = [e for e in entries if e["id"] in own]
    learnt = {frozenset(e["keys"]): str(e["id"]) for e in mine if e["role"] == "learnt" and e["keys"]}
    pairs = [
        f"{e['id']} is {learnt[frozenset(e['keys'])]}"
        for e in mine
        if e["role"] != "learnt" and frozenset(e["keys"]) in learnt
    ]
    if not pairs:
        return []
    return [f"{len(pairs)} held-out case(s) are the same scan as one that was learnt from ({_some(pairs)}): the score"
            " is not of data that were never seen"]  # fmt: skip


def _some(cases: Sequence[str]) -> str:
    return ", ".join(cases[:3]) + (f" and {len(cases) - 3} more" if len(cases) > 3 else "")


def survey_cases(cases: Iterable[Case], survey: Survey, progress: Callable[[Case], None] | None = None) -> None:
    """Load every volume once, only to look at it: to write the record of weights anew around the same numbers."""
    for case in cases:
        with naming(case):
            survey.look(case, conformed(open_case(case), survey.recipe))
        if progress is not None:
            progress(case)
