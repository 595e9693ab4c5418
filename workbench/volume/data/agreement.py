"""Volumes are held against what taught the weights: settings and header first, then the values. See `core.agreement`.

The thresholds are wide, so that other scanners, contrast, crops and voxel sizes pass: only what no volume of that kind
can be is refused. Each says its reason where it stands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench.core.agreement import Finding, untold
from workbench.core.types import Image
from workbench.volume.data.recipe import VolumeRecipe
from workbench.volume.data.sequences import modality_of, order_for, sequence_of, sequences_of
from workbench.volume.data.taught import AXES, Range, Taught, VolumeFacts

# Modalities that say nothing: other, secondary capture, presentation, derived objects.
_VAGUE = ("OT", "SC", "PR", "REG", "")
# The field of view is wrong by its unit, not by the examination, beyond these two together: cm, m or um taken for mm
# change its volume a thousandfold and more, and the voxel at least tenfold; crops and whole bodies stay within.
_FIELD_RATIO, _VOXEL_RATIO = 100.0, 4.0
_BODY_MM, _VOXEL_MM = (2.0, 4000.0), (0.005, 60.0)  # without a record: what a volume of a person or a specimen can be
_WORDS = {"LR": "left-right", "PA": "front-back", "IS": "head-foot"}
_OTHER_WEIGHTS = "Choose weights for this kind of image."


@dataclass(frozen=True)
class Expectation:
    """What weights expect of data: what taught them, and how they prepare images.

    Parameters
    ----------
    name
        Of the weights, for messages.
    """

    taught: Taught
    recipe: VolumeRecipe
    name: str

    @property
    def is_hu(self) -> bool:
        return self.taught.unit == "HU"


def expectation(meta: Mapping[str, Any], recipe: VolumeRecipe, name: str, preset: str = "none") -> Expectation:
    """From the record of a weight file, else from what its recipe implies.

    Raises
    ------
    WeightsError
        The record of what taught them is damaged.
    """
    record = meta.get("taught")
    taught = Taught.from_json(record) if record else _implied(meta, recipe, preset)
    return Expectation(taught, recipe, name)


def _implied(meta: Mapping[str, Any], recipe: VolumeRecipe, preset: str) -> Taught:
    """Weights of version 0.1 say the settings of their training; checkpoints of others only have a recipe."""
    named = {m for m in map(modality_of, recipe.channels) if m}
    settings = (meta.get("training") or {}).get("settings") or {}
    mirrored: tuple[str, ...] | None = None
    if "flip" in settings:
        mirrored = ("LR",) if settings["flip"] else ()
    elif preset == "brats":
        mirrored = ("PA",)  # the published training mirrors its second spatial axis only
    ct = named == {"CT"} and recipe.intensity == "window"
    sequences = tuple((s,) if (s := sequence_of(c)) else () for c in recipe.channels)
    return Taught(
        modality=tuple(sorted(named)), unit="HU" if ct else None, mirrored=mirrored,
        sequences=sequences if len(recipe.channels) > 1 else (),
    )  # fmt: skip


def settings_findings(
    e: Expectation, *, flips: bool = False, roi: tuple[int, int, int] | None = None, crop: str = "recipe"
) -> list[Finding]:
    """What the settings of a prediction ask for, against what the weights learnt; looked at once, before any image."""
    found = []
    if not e.taught.recorded:
        found.append(untold("with which values, voxel sizes and fields of view", e.name))
    elif e.taught.partly:
        found.append(untold("in part (those they went on from)", e.name))
    if flips:
        found += _flips(e)
    usual = e.taught.roi or e.recipe.roi
    if roi is not None and roi not in (usual, e.recipe.roi):
        found.append(Finding("noted", "window", f"{_by(roi)} voxels, taught on {_by(usual)}"))
    if crop == "body" and not e.is_hu:
        found.append(
            Finding("noted", "crop", "'body' looks for voxels above -500 HU, and these weights are not for HU")
        )
    if crop == "nonzero" and e.is_hu:
        found.append(Finding("noted", "crop", "'nonzero' leaves out what is exactly 0, which is water in HU"))
    return found


def _flips(e: Expectation) -> list[Finding]:
    mirrored = e.taught.mirrored
    if mirrored is None:
        return [Finding("noted", "flips", "whether the weights ever saw a mirrored volume is not known")]
    if set(mirrored) == set(AXES):
        return []
    if not mirrored:
        said = "the weights never saw a mirrored volume, and sides matter to them"
        return [Finding("refused", "flips", said, "Leave out --flips.")]
    words = " and ".join(_WORDS[a] for a in mirrored)
    return [Finding("converted", "flips", f"averaged over {words} only, the mirroring that the weights were taught on")]


def flip_axes(e: Expectation, *, force: bool = False) -> tuple[int, ...]:
    """The axes of the recipe's orientation that `flips` averages over."""
    mirrored = e.taught.mirrored
    if force or mirrored is None:
        return (0, 1, 2)
    return tuple(i for i, code in enumerate(e.recipe.orientation) if any(code in axis for axis in mirrored))


def conformed(image: Image, recipe: VolumeRecipe) -> Image:
    """The image with its channels in the order of the recipe, where the names of both say it; else the same image."""
    order = order_for(recipe.channels, image) if len(recipe.channels) > 1 else None
    if order is None or order == tuple(range(len(order))):
        return image
    channels = tuple(image.channels[i] for i in order)
    return replace(image, channels=channels, loader=lambda: image.samples()[list(order)])


def header_findings(e: Expectation, image: Image, facts: VolumeFacts) -> list[Finding]:
    """What the header says against what taught the weights; no samples are needed.

    Parameters
    ----------
    image
        As it was opened, before `conformed`.
    facts
        `facts_of_header` of it.
    """
    return [*_kind(e, image), *_channels(e, image), *_geometry(e, facts)]


def _kind(e: Expectation, image: Image) -> list[Finding]:
    found, wanted = image.modality or "", e.taught.modality
    if image.modality == "SEG" or image.classes is not None:
        return [Finding("refused", "kind", "this is a label map, not an image", "Give the image it was drawn on.")]
    if wanted and found and found not in wanted:
        if found in _VAGUE:
            return [Finding("noted", "modality", f"{found}, taught on {' and '.join(wanted)}")]
        return [Finding("refused", "modality", f"{found}, taught on {' and '.join(wanted)}", _OTHER_WEIGHTS)]
    if e.is_hu and image.value_unit not in (None, "", "HU"):
        said = f"values are in {image.value_unit}, taught on HU"
        return [Finding("refused", "unit", said, "Give the reconstruction in HU.")]
    return []


def _channels(e: Expectation, image: Image) -> list[Finding]:
    names = e.recipe.channels
    if len(names) != len(image.channels):
        return []  # an error of its own, which nothing can force
    found = sequences_of(image)
    if len(names) == 1:
        known = set(e.taught.sequences[0]) if e.taught.sequences else set()
        known |= {sequence_of(names[0])} if sequence_of(names[0]) not in ("", "MR") else set()
        modality = modality_of(found[0]) if found[0] else ""
        if found[0] and not image.modality and e.taught.modality and modality not in e.taught.modality:
            said = f"its name says {found[0]}, taught on {' and '.join(e.taught.modality)}"
            return [Finding("noted", "modality", said)]
        if found[0] not in ("", "MR", *known) and known and modality in e.taught.modality:
            return [Finding("noted", "sequence", f"{found[0]}, taught on {' and '.join(sorted(known))}")]
        return []
    wanted = tuple(sequence_of(n) or n for n in names)
    order = order_for(names, image)
    if order is None:
        if all(found) and all(sequence_of(n) for n in names):
            said = f"{', '.join(found)}, taught on {', '.join(wanted)}"
            return [Finding("refused", "channels", said, "Stack the channels that the weights name.")]
        if names == image.channels:
            return []
        said = f"they have no names that say what they are; taken for {', '.join(names)} in this order"
        return [Finding("noted", "channels", said)]
    if order != tuple(range(len(order))):
        said = f"put in the order of the weights by their names: {', '.join(wanted)} (were {', '.join(found)})"
        return [Finding("converted", "channels", said)]
    return []


def _geometry(e: Expectation, facts: VolumeFacts) -> list[Finding]:
    spacing, extent = facts.spacing_mm, facts.extent_mm
    step, field = math.prod(spacing) ** (1 / 3), math.prod(extent)
    advice = "Is the voxel size in mm? Correct it in the header (metres, centimetres and micrometres look like this)."
    seen = f"voxels of {_mm(spacing)}, field of view {_mm(extent)}"
    if not (e.taught.spacing_mm and e.taught.extent_mm):
        inside = _VOXEL_MM[0] <= step <= _VOXEL_MM[1] and _BODY_MM[0] <= field ** (1 / 3) <= _BODY_MM[1]
        return [] if inside else [Finding("refused", "voxel size", seen, advice)]
    taught = f"taught on {_ranges(e.taught.spacing_mm)}, {_ranges(e.taught.extent_mm)}"
    steps = [math.prod(r[i] for r in e.taught.spacing_mm) ** (1 / 3) for i in (0, 1)]
    fields = [math.prod(r[i] for r in e.taught.extent_mm) for i in (0, 1)]
    small = field * _FIELD_RATIO < fields[0] and step * _VOXEL_RATIO < steps[0]
    large = field > _FIELD_RATIO * fields[1] and step > _VOXEL_RATIO * steps[1]
    one = any(s > 10 * r[1] or s < r[0] / 200 for s, r in zip(spacing, e.taught.spacing_mm, strict=True))
    if small or large or one:
        return [Finding("refused", "voxel size", f"{seen}, {taught}", advice)]
    found = []
    # Averaging takes care of finer voxels; coarser ones lack what the network looks for.
    if any(s > 2 * r[1] for s, r in zip(spacing, e.taught.spacing_mm, strict=True)):
        found.append(Finding("noted", "voxel size", f"{_mm(spacing)}, taught on {_ranges(e.taught.spacing_mm)}"))
    if any(x < 0.6 * r[0] or x > 1.6 * r[1] for x, r in zip(extent, e.taught.extent_mm, strict=True)):
        found.append(Finding("noted", "field of view", f"{_mm(extent)}, taught on {_ranges(e.taught.extent_mm)}"))
    return found


def value_findings(e: Expectation, facts: VolumeFacts, *, fresh: bool = False) -> list[Finding]:
    """What the samples say, against what taught the weights. At most one refusal per channel, the clearest.

    `fresh`: weights that start from nothing learn values as they come; only what holds nothing to learn is refused.
    """
    found = []
    for number, values in enumerate(facts.values):
        if not values:
            continue  # no finite voxel: an error of its own
        one = _Channel(e, number, values, facts.whole, facts.finite)
        name = "values" if len(facts.values) == 1 else f"values of channel {e.recipe.channels[number]}"
        refused = next(filter(None, (rule(one) for rule in _REFUSED)), None)
        if refused is not None:
            learnable = fresh and _constant(one) is None and _label_map(one) is None
            found.append(replace(refused, fact=name, level="noted" if learnable else "refused"))
            continue
        found += [replace(f, fact=name) for f in _noted(one)]
    return found


@dataclass(frozen=True)
class _Channel:
    """The values of one channel beside those that taught the weights."""

    e: Expectation
    number: int
    values: Mapping[str, float]
    whole: bool
    finite: bool

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    def taught(self, name: str, default: Range) -> Range:
        return self.e.taught.range_of(name, self.number) or default

    @property
    def spread(self) -> float:
        return self["q99.5"] - self["q0.5"]

    @property
    def is_like_hu(self) -> bool:
        return self["air"] > 0.02 and -1100 < self["q0.5"] < -900


def _constant(c: _Channel) -> Finding | None:
    if c["lowest"] < c["highest"] or not c.finite:  # what is no number is told where values are prepared
        return None
    return _refused(f"every voxel is {c['lowest']:g}", "There is nothing to see in this volume: give the right file.")


def _label_map(c: _Channel) -> Finding | None:
    # Neighbours in an image differ by noise (at most 5 % are alike in smooth 8-bit ones), those in a label map do not.
    if c.whole and c["alike"] > max(0.4, 1.2 * c.taught("alike", (0.0, 0.0))[1]) and c["lowest"] >= 0:
        said = f"{c['alike']:.0%} of the voxels equal their neighbours: this is a label map, not an image"
        return _refused(said, "Give the image it was drawn on.")
    return None


def _no_negatives(c: _Channel) -> Finding | None:
    """Every CT has fat (-100) or air in it: where nothing lies below 0, the values are something else."""
    low = c.taught("q0.5", (-1024.0, -100.0))
    if not c.e.is_hu or c["q0.5"] < -10 or low[1] >= -40:
        return None
    middle = c.taught("q50", (-1000.0, 150.0))
    for offset in (1024, 1000):
        shifted = {q: c[q] - offset for q in ("q0.5", "q50", "q99.5")}
        if (
            -1100 < shifted["q0.5"] < -900
            and shifted["q99.5"] > 0
            and middle[0] - 300 < shifted["q50"] < middle[1] + 300
        ):
            said = f"{_span(c)}, no HU: they look like CT as stored, {offset} above HU"
            return _refused(said, f"Subtract {offset} (rescale intercept -{offset}) and save the volume in HU.")
    return _refused(f"{_span(c)}, hardly anything below 0: no HU (air is -1000, fat -100)", _GIVE_HU)


def _spread(c: _Channel) -> Finding | None:
    """Contrast, metal, crops and kernels change the spread twofold at most; a factor of 4 is another scale."""
    if c.e.recipe.intensity not in ("window", "none"):
        return None  # these are scaled by their own values
    default = (-1024.0, -150.0), (100.0, 2000.0)
    if c.e.taught.range_of("q0.5", c.number) is None and not c.e.is_hu:
        return None
    low, high = c.taught("q0.5", default[0]), c.taught("q99.5", default[1])
    narrowest, widest = max(high[0] - low[1], 1e-12), high[1] - low[0]
    if narrowest / 4 <= c.spread <= 4 * widest and (not c.e.is_hu or c["q5"] > -1500 or low[0] < -1500):
        return None
    unit = " HU" if c.e.is_hu else ""
    said = f"{_span(c)}, taught on {low[0]:.4g} to {high[1]:.4g}{unit}: another scale"
    return _refused(said, _GIVE_HU if c.e.is_hu else "Bring the values to the scale of the training.")


def _filled_with_water(c: _Channel) -> Finding | None:
    """Tools that resample or mask fill with 0, which is water in HU; noise spreads real tissue over many values: hardly
    3 % of the voxels are exactly 0."""
    if not c.e.is_hu or c["lowest"] > -50 or c["at zero"] < max(0.1, 2 * c.taught("at zero", (0.0, 0.0))[1]):
        return None
    said = f"{c['at zero']:.0%} of the voxels are exactly 0, which is water in HU: filled outside of what was measured"
    return _refused(said, "Fill with -1024 (air) instead.")


def _gap(c: _Channel) -> Finding | None:
    """Hardly any tissue lies from -550 to -150 HU (3 % of the voxels at partial volume): much there, and no air, means
    that the values were clipped or scaled."""
    if not c.e.is_hu or c["gap"] < 0.15 or c["air"] > 0.01 or c.taught("gap", (0.0, 0.05))[1] > 0.1:
        return None
    said = f"{c['gap']:.0%} of the voxels lie between -550 and -150 and none at air ({_span(c)}): clipped or scaled HU"
    return _refused(said, _GIVE_HU)


def _below_zero(c: _Channel) -> Finding | None:
    """Preparation for MR takes what is above 0 for the object: CT, and values that were standardised before, lose most
    of it."""
    mr = c.e.recipe.intensity in ("zscore", "slice_minmax") and not c.e.is_hu
    if not mr or c["negative"] < 0.2 or c.taught("negative", (0.0, 0.01))[1] > 0.05:
        return None
    what = "this looks like CT in HU" if c.is_like_hu else "they were standardised before, or are no MR"
    said = f"{c['negative']:.0%} of the voxels are below 0 ({_span(c)}): {what}"
    return _refused(said, "Give MR as it was reconstructed, or weights for this kind of image.")


def _elsewhere(c: _Channel) -> Finding | None:
    """Values that all lie outside of the window of the recipe become one grey."""
    low, high = c.e.recipe.window
    if c.e.recipe.intensity != "window" or (c["q99.5"] > low and c["q0.5"] < high):
        return None
    return _refused(f"{_span(c)}, all outside of the window {low:g} to {high:g} of the weights", _OTHER_WEIGHTS)


_REFUSED = (_constant, _label_map, _spread, _no_negatives, _filled_with_water, _gap, _below_zero, _elsewhere)
_GIVE_HU = "Give CT in HU, or choose weights for this kind of image."


def _noted(c: _Channel) -> list[Finding]:
    found = []
    low, high = c.e.recipe.window
    clip_low = c["at lowest"] > 0.01 and c["lowest"] > max(low + 0.05 * (high - low), c.taught("q0.5", (low, low))[1])
    clip_high = c["at highest"] > 0.002 and c["highest"] < min(high, c.taught("highest", (high, high))[0])
    if c.e.recipe.intensity == "window" and (clip_low or clip_high):
        ends = [f"{c['at lowest']:.1%} at {c['lowest']:g}"] if clip_low else []
        ends += [f"{c['at highest']:.1%} at {c['highest']:g}"] if clip_high else []
        found.append(Finding("noted", "values", f"clipped ({' and '.join(ends)}), the weights use {low:g} to {high:g}"))
    if c.e.is_hu and c["lowest"] < -50 and c["at zero"] > max(0.04, 2 * c.taught("at zero", (0.0, 0.0))[1]):
        said = f"{c['at zero']:.1%} of the voxels are exactly 0, which is water in HU: filled with 0 somewhere?"
        found.append(Finding("noted", "values", said))
    air = c.taught("air", (0.0, 0.0))
    if c.e.is_hu and air[0] > 0.03 and c["air"] < 0.1 * air[0]:
        said = f"{c['air']:.1%} air, taught on {air[0]:.0%} to {air[1]:.0%}: cropped or masked"
        found.append(Finding("noted", "values", said))
    empty = c.taught("at lowest", (0.0, 1.0))
    if not c.e.is_hu and c["at lowest"] > max(0.4, 2 * empty[1]):
        said = f"{c['at lowest']:.0%} of the voxels hold the lowest value, taught on at most {empty[1]:.0%}: masked?"
        found.append(Finding("noted", "values", said))
    return found


def _refused(said: str, advice: str) -> Finding:
    return Finding("refused", "values", said, advice)


def _span(c: _Channel) -> str:
    return f"{c['q0.5']:.4g} to {c['q99.5']:.4g}"


def _mm(values: tuple[float, float, float]) -> str:
    return " x ".join(f"{v:.3g}" for v in values) + " mm"


def _ranges(ranges: tuple[Range, ...]) -> str:
    return " x ".join(f"{a:.3g}" if f"{a:.3g}" == f"{b:.3g}" else f"{a:.3g}-{b:.3g}" for a, b in ranges) + " mm"


def _by(values: tuple[int, int, int]) -> str:
    return "x".join(map(str, values))
