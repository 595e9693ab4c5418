"""Before a network gets a recording: is it what its weights were taught on? Header first, then a minute of samples."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.core.agreement import Finding, settle, untold
from workbench.recording.data.channels import Choice, choose_channels
from workbench.recording.data.compare import compare
from workbench.recording.data.measured import Measured, measure
from workbench.recording.data.recipe import RecordingRecipe
from workbench.recording.data.recording import Recording
from workbench.recording.data.taught import Taught


@dataclass(frozen=True)
class Contract:
    """What some weights ask of recordings: their name, what taught them, and whether they hold a transformer."""

    weights: str
    taught: Taught | None
    whole: bool


@dataclass(frozen=True)
class Agreement:
    """What a comparison found: all of it, and the lines for people."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    measured: Measured

    @property
    def record(self) -> list[dict[str, str]]:
        """Plain values for the provenance."""
        return [f.to_json() for f in self.findings]


def agree(
    recording: Recording, recipe: RecordingRecipe, contract: Contract | None, *, force: bool = False
) -> Agreement:
    """Compare a recording with what taught some weights; without weights it is only measured.

    Raises
    ------
    MismatchError
        The result could not be right, and `force` is not set. Where the header says so, no samples are read.
    InputError
        Its channels do not fit.
    """
    choice = choose_channels(recording, recipe)
    if contract is None:
        return Agreement((), (), measure(recording, choice, recipe))
    header = measure(recording, choice, recipe, samples=False)
    subject = recording.name

    def found_in(found: Measured) -> list[Finding]:
        return compare(contract.taught, found, choice, recipe, whole=contract.whole)

    settle(found_in(header), subject=subject, weights=contract.weights, force=force)
    measured = measure(recording, choice, recipe)
    findings = found_in(measured)
    if contract.taught is None:
        findings.append(untold("which recordings", contract.weights))
    notes = settle(findings, subject=subject, weights=contract.weights, force=force)
    return Agreement((*findings, *_said_by_preparing(recording, recipe, choice)), notes, measured)


def _said_by_preparing(recording: Recording, recipe: RecordingRecipe, choice: Choice) -> list[Finding]:
    """What is converted or tolerated while a recording is prepared, whose notes say so."""
    findings = []
    if abs(recording.rate / recipe.sampling_rate - 1) > 1e-6:
        said = f"resampled from {recording.rate:.6g} to {recipe.sampling_rate:g} Hz"
        findings.append(Finding("converted", "sampling rate", said))
    if not choice.is_by_name and recipe.channels is not None and choice.reduce_to is None:
        findings.append(Finding("noted", "channel names", "other names than the weights know, their order was trusted"))
    return findings
