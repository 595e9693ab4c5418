"""In what a recording differs from what some weights were taught on, and how bad that is. Pure functions.

Thresholds are named here with their reasons. A network without a transformer (a tokeniser alone) takes any channels and
is judged by the variance it explains, so what would be refused for a transformer is noted for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from workbench.core.agreement import Finding
from workbench.recording.data.channels import Choice, families
from workbench.recording.data.measured import EDGES, LINES, Measured
from workbench.recording.data.recipe import RecordingRecipe
from workbench.recording.data.taught import Taught

LOST = 0.01
"""Share of the learnt variance that may be missing. Measured with the demo weights: recordings that lack 1 % (those of
125 Hz) come out 0.2 to 0.35 nats less surprising than they are, more than recordings differ from each other (0.2)."""
GONE = 100.0
"""A band is gone if its share is so many times (20 dB) below the lowest that taught: the quietest of 18 sessions of EEG
had at most 13 times less than the loudest in any band, and a filter takes 40 dB and more."""
UNLIKE = 10.0
"""So many times outside of what taught, a band is said to differ."""
DRIFT = 0.9
"""Share of the variance below 1 Hz above which a recording is mostly drift, if what taught was not."""
AMPLITUDE = 300.0
"""Amplitudes of scanners, caps and people differ by ten times; units by a thousand."""
LINE_DB = 10.0
CLIPPED = 0.02
USUAL = {"eeg": (1e-7, 2e-3), "seeg": (1e-7, 2e-2), "ecog": (1e-7, 2e-2), "mag": (1e-15, 1e-10), "grad": (1e-14, 1e-8)}
"""Robust deviations of recordings [V, T, T/m]: from quiet and filtered to unfiltered with drifts."""


def compare(
    taught: Taught | None, found: Measured, choice: Choice, recipe: RecordingRecipe, *, whole: bool
) -> list[Finding]:
    """All ways in which a recording differs from what taught; those that preparing says itself are left to it.

    Parameters
    ----------
    taught
        ``None`` for weights that do not say: then what their recipe implies is compared.
    found
        The recording, perhaps by its header only.
    choice, recipe
        Which channels the network gets, and how they are prepared.
    whole
        Whether the weights hold a transformer.
    """
    findings = [*_kinds(taught, found, choice, recipe), *_names(choice), *_rate(taught, found, recipe)]
    findings += _channels(found, choice)
    findings += _amplitude(taught, found, recipe)
    if taught is not None:
        findings += [*_spectrum(taught, found), *_lines(taught, found), *_made(taught, found, choice)]
    if whole:
        return findings
    kept = ("channels",)  # nothing is left of a recording without signals
    return [f if f.fact in kept or f.level != "refused" else Finding("noted", f.fact, f.said) for f in findings]


def _kinds(taught: Taught | None, found: Measured, choice: Choice, recipe: RecordingRecipe) -> list[Finding]:
    if taught is not None:
        wanted: Mapping[str, int] = taught.kinds
    elif recipe.kinds == ("misc",) and recipe.channels is not None:
        wanted = {"misc": len(recipe.channels)}
    else:
        return []
    components = recipe.reduce == "pca"
    if components and families(wanted) == families(found.kinds):
        return []
    if set(wanted) == set(found.kinds) and (choice.is_by_name or dict(wanted) == dict(found.kinds)):
        return []
    said = f"{_counted(found.kinds)}, the weights learnt {_counted(wanted)}"
    if choice.is_by_name and ("misc" in wanted or "misc" in found.kinds):  # one of them does not say what it is
        return [Finding("noted", "channel kinds", f"{said} of the same names")]
    if (components and taught is None) or (components and taught is not None and not taught.reduced):
        return [Finding("noted", "channel kinds", f"{said}: components mean something else to them")]
    advice = "Take weights for such channels, or train some (workbench train meg_gpt)."
    if "misc" in found.kinds:
        advice += ' If the file does not say what its channels are: "kinds" in the JSON file beside it.'
    return [Finding("refused", "channel kinds", said, advice)]


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {k}{' (parcels)' if k == 'misc' else ''}" for k, n in sorted(kinds.items()))


def _names(choice: Choice) -> list[Finding]:
    if choice.is_by_name and list(choice.numbers) != sorted(choice.numbers):
        return [Finding("converted", "channel order", "put into the order of the weights, by name")]
    if not choice.moved:
        return []
    few = ", ".join(choice.moved[:5]) + ("..." if len(choice.moved) > 5 else "")
    return [Finding(
        "refused", "channel order", f"{few} lie at other places than the weights learnt them, and not all "
        "channels that they know are there", "Give the channels that they know, or bring these into their order.",
    )]  # fmt: skip


def _rate(taught: Taught | None, found: Measured, recipe: RecordingRecipe) -> list[Finding]:
    wanted, rate = recipe.sampling_rate, found.rate
    advice = "Record or export it at a higher rate, or train weights for this rate."
    for factor in (1e3, 1e6):
        for slow, fast in ((rate, wanted), (wanted, rate)):
            if abs(fast / slow / factor - 1) < 0.05:
                unit = {1e3: "milliseconds", 1e6: "microseconds"}[factor] if slow == rate else "another unit"
                way = "below" if slow == rate else "above"
                said = f"{rate:g} Hz, {factor:g} times {way} the {wanted:g} Hz of the weights"
                said += f", as if the time axis were in {unit}"
                return [Finding("refused", "sampling rate", said, "Write the right rate into it.")]
    if rate >= wanted * (1 - 1e-6):
        return []
    lost = None if taught is None else taught.typical_above(rate / 2)
    if lost is not None and lost > LOST:
        said = (
            f"{rate:g} Hz holds nothing above {rate / 2:g} Hz, where {100 * lost:.1f} % of the variance lies that the "
            f"weights learnt, at {wanted:g} Hz"
        )
        return [Finding("refused", "sampling rate", said, advice)]
    top = recipe.band[1] if recipe.band else None
    if lost is None and rate < wanted / 2 and (top is None or top > rate / 2):
        said = f"{rate:g} Hz, less than half of the {wanted:g} Hz that the weights take"
        return [Finding("refused", "sampling rate", said, advice)]
    return []


def _channels(found: Measured, choice: Choice) -> list[Finding]:
    count = len(choice.names)
    if len(found.flat) == count:
        return [Finding("refused", "channels", f"all {count} are flat", "Look at the recording: nothing was recorded.")]
    findings = []
    if 2 * len(found.flat) > count:
        said = f"{len(found.flat)} of {count} are flat ({', '.join(found.flat[:5])}...)"
        findings.append(Finding("refused", "flat channels", said, "Leave them out, or record again."))
    if found.stepped:
        said = f"{', '.join(found.stepped[:5])} jump between a few values, as triggers do"
        findings.append(Finding("refused", "trigger channels", said, "Leave them out, or give them the kind stim."))
    if found.clipped > CLIPPED:
        said = f"{100 * found.clipped:.0f} % of the samples of a channel lie at its highest or lowest value (clipped)"
        findings.append(Finding("noted", "amplitude range", said))
    return findings


def _amplitude(taught: Taught | None, found: Measured, recipe: RecordingRecipe) -> list[Finding]:
    if found.standardised:
        if taught is not None and not taught.standardised:
            said = "channels have mean 0 and deviation 1 already: results are not in a unit either"
            return [Finding("noted", "amplitude", said)]
        return []
    for kind, spread in found.spread.items():
        if kind not in USUAL or not spread > 0:
            continue
        low, high = USUAL[kind] if taught is None or kind not in taught.spread else taught.spread[kind]
        margin = 1.0 if taught is None or kind not in taught.spread else AMPLITUDE
        if low / margin <= spread <= high * margin:
            continue
        middle = math.sqrt(low * high)
        power = round(math.log10(spread / middle) / 3) * 3
        unit = {"eeg": "V", "seeg": "V", "ecog": "V", "mag": "T", "grad": "T/m"}[kind]
        given = {6: f"micro{unit}", 9: f"nano{unit}", 12: f"pico{unit}", 15: f"femto{unit}", 3: f"milli{unit}"}
        guess = f": {given[power]} given as {unit}?" if power in given else ""
        usual = "is usual" if margin == 1.0 else "taught the weights"
        said = f"{kind} has a deviation of {spread:.2g} {unit}, {low:.2g} to {high:.2g} {usual}{guess}"
        if recipe.standardise:  # every channel is: the network sees the same numbers whatever the unit
            rest = "tokens and surprisal do not depend on it, the reconstruction is in the unit of the file"
            return [Finding("noted", "amplitude", f"{said} ({rest})")]
        return [Finding("refused", "amplitude", said, "Write the right unit into the file.")]
    return []


def _spectrum(taught: Taught, found: Measured) -> list[Finding]:
    if taught.edges != EDGES or not found.shares or not taught.shares:
        return []
    gone, unlike, lost = [], [], 0.0
    for band, share, learnt in zip(pairwise(EDGES), found.shares, taught.shares, strict=False):
        if share is None or learnt is None or band[0] >= found.rate / 2:
            continue
        low, typical, high = learnt
        if share * GONE < low:
            gone.append(band)
            lost += typical
        elif max(share, typical) > LOST and not low / UNLIKE <= share <= high * UNLIKE:
            unlike.append(f"{band[0]:g}-{band[1]:g} Hz {_percent(share)} (learnt: {_percent(low)} to {_percent(high)})")
    slow, learnt = found.shares[0], taught.shares[0]
    if slow is not None and learnt is not None and slow > DRIFT and 1 - slow < (1 - learnt[2]) / UNLIKE:
        said = f"{_percent(slow)} of the variance lie below 1 Hz, the weights learnt at most {_percent(learnt[2])}"
        return [Finding("refused", "drift", said, "High-pass the recording as those were that taught them.")]
    findings = []
    if lost > LOST:
        top = min(gone[-1][1], taught.sampling_rate / 2)
        said = (
            f"almost nothing at {gone[0][0]:g}-{top:g} Hz, where {_percent(lost)} of the variance lies that the "
            f"weights learnt (filtered, or an envelope{_limits(found)})"
        )
        findings.append(Finding("refused", "spectrum", said, "Use the recording as it was before."))
    if unlike:
        findings.append(Finding("noted", "spectrum", f"share of the variance at {', '.join(unlike[:3])}"))
    return findings


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.1f} %"


def _limits(found: Measured) -> str:
    top = found.limits[1]
    return f"; its header says: low-pass {top:g} Hz" if top is not None and top < 0.45 * found.rate else ""


def _lines(taught: Taught, found: Measured) -> list[Finding]:
    said = []
    for line, height, learnt in zip(LINES, found.lines, taught.lines, strict=True):
        if height is not None and learnt is not None and height > max(LINE_DB, learnt[1] + LINE_DB):
            said.append(f"{line:g} Hz stands {height:.0f} dB above what is beside it (learnt: {learnt[1]:.0f} at most)")
    return [Finding("noted", "line noise", "; ".join(said))] if said else []


def _made(taught: Taught, found: Measured, choice: Choice) -> list[Finding]:
    """How the recording was made before: envelopes, reference, what was taken out."""
    findings = []
    if found.envelope and not taught.envelope:
        said = "no channel goes below zero (envelopes, or power), the weights learnt signals"
        findings.append(Finding("refused", "signals", said, "Use the signals that they were made of."))
    if found.common is not None and taught.common is not None:
        average, learnt = found.common < 1e-4, taught.common[1] < 1e-4
        if average != learnt and (average or found.common > 1e-2) and (learnt or taught.common[0] > 1e-2):
            ways = {True: "the average of all electrodes", False: "another one"}
            findings.append(Finding("noted", "reference", f"{ways[average]}, the weights learnt {ways[learnt]}"))
    count = len(choice.names)
    if found.rank is not None and taught.rank is not None and found.rank + 1 < min(count, 0.8 * taught.rank[0]):
        said = f"{found.rank} of {count} channels, the weights learnt {taught.rank[0]:.0f} at least (taken out before)"
        findings.append(Finding("noted", "rank", said))
    return findings
