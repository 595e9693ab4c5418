"""SegFormer3D: organs and lesions in CT and MR volumes.

S. Perera, P. Navard, A. Yilmaz, CVPR 2024 workshop DEF-AI-MIA, arXiv:2404.10156. Research use only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core import memory
from workbench.core.agreement import Finding, settle
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError, UsageError, WeightsError
from workbench.core.layers import count_labels
from workbench.core.types import Case, Heatmap, Image, Labels, Progress, Result, Scores
from workbench.volume.data.agreement import (
    Expectation,
    conformed,
    expectation,
    flip_axes,
    header_findings,
    settings_findings,
    value_findings,
)
from workbench.volume.data.nan_values import filled
from workbench.volume.data.recipe import VolumeRecipe
from workbench.volume.data.taught import facts_of, facts_of_header
from workbench.volume.segformer3d_presets import PRESETS
from workbench.volume.settings import Config, EvaluateConfig, TrainConfig
from workbench.weights import WeightsFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import torch

    from workbench.core.memory import Need
    from workbench.core.reports import EvaluationReport, TrainReport
    from workbench.training.loop import Event
    from workbench.volume.net.segformer3d import SegFormer3D
    from workbench.volume.predict.windows import WindowSettings

__all__ = ["Config", "EvaluateConfig", "TrainConfig", "evaluate", "load", "predict", "train"]

NAME = "segformer3d"
_LESS = "Free memory, use a machine with more, or give a volume of fewer voxels."


@dataclass(frozen=True)
class Model:
    """A loaded network with everything that belongs to its weights."""

    net: SegFormer3D
    weights: WeightsFile
    recipe: VolumeRecipe
    classes: ClassTable
    device: torch.device
    reason: str
    expects: Expectation


def describe_checkpoint(preset: str | None) -> tuple[tuple[str, ...], str]:
    """Input channels of a checkpoint without a record of ours, prepared as `preset` says, and a line for people."""
    if preset in PRESETS:
        return PRESETS[preset].recipe.channels, f"A checkpoint, prepared as for {preset}"
    return (), "A checkpoint without a record of ours: choose its preset under Advanced settings"


def weights_hash(config: Config) -> str:
    """Hash of the weights that `load` would take, without loading them: whether a result is of them is known by it."""
    from workbench import weights

    return weights.find(config.weights, NAME).sha256


def load(config: Config, device: torch.device) -> Model:
    """Find, check and load the weights.

    Raises
    ------
    WeightsError
        Not found, made for another backend, not plain data, or of another shape; every key that does not fit is named.
    """
    from workbench import weights
    from workbench.core import device as devices

    found = weights.find(config.weights, NAME)
    if found.meta and config.preset != "none":
        raise UsageError(f"{found.path}: these weights say themselves how images are prepared; remove --preset")
    net, recipe, classes = build_network(found, config.preset, config.attention_scale)
    with weights.blaming(found.path):
        expects = expectation(found.meta, recipe, found.name, config.preset)
    _, reason = devices.choose(config.device)
    return Model(net.eval().to(device), found, recipe, classes, device, reason, expects)


def build_network(
    found: WeightsFile, preset: str = "none", attention_scale: str = "weights"
) -> tuple[SegFormer3D, VolumeRecipe, ClassTable]:
    """Network with its weights on the CPU in float32, how to prepare images for it, and its classes.

    Checkpoints without a record of ours get their shape from the tensors and the rest from `preset`. Whatever the file
    says that no network can be built from, or that its own tensors contradict, is a `WeightsError` naming the file.
    """
    from workbench import weights

    with weights.blaming(found.path):
        net, recipe, classes = _build(found, preset, attention_scale)
        _require_consistent(net, recipe, classes)
    return net, recipe, classes


def _build(found: WeightsFile, preset: str, attention_scale: str) -> tuple[SegFormer3D, VolumeRecipe, ClassTable]:
    from workbench import weights
    from workbench.volume.net import segformer3d as nets

    if found.meta:
        recipe, classes = VolumeRecipe.from_json(found.meta["recipe"]), ClassTable.from_json(found.meta["classes"])
    if found.is_lora:
        return _with_adapter(found), recipe, classes
    state = nets.unwrap_checkpoint(weights.load_tensors(found))
    if found.meta:
        arguments = dict(found.meta["net"])
    elif preset == "none":
        raise WeightsError(
            f"{found.path}: this checkpoint does not say how images must be prepared; "
            f"add --preset {'|'.join(PRESETS)}, or train with the workbench"
        )
    else:
        arguments = {**nets.infer_config(state), "attention_scale": "num_heads", **PRESETS[preset].net}
        recipe, classes = PRESETS[preset].recipe, PRESETS[preset].classes
    if attention_scale != "weights":
        arguments["attention_scale"] = attention_scale
    return _network(arguments, state), recipe, classes


def _with_adapter(found: WeightsFile) -> SegFormer3D:
    """The network of the adapter's base weights with the adapter merged into it."""
    from workbench import weights
    from workbench.nets import lora
    from workbench.volume.net import segformer3d as nets

    base, adapter = weights.find_base(found), weights.load_tensors(found)
    state = nets.unwrap_checkpoint(weights.load_tensors(base))
    # An adapter for other classes brings its own head; everything else comes from the base.
    net = _network(found.meta["net"], {**state, **{k: v for k, v in adapter.items() if k in state}})
    lora.load_lora(net, {k: v.float() if v.is_floating_point() else v for k, v in adapter.items()})
    lora.merge_lora(net)
    return net


def _network(arguments: Mapping[str, Any], state: dict[str, torch.Tensor]) -> SegFormer3D:
    """The filled network; nothing is allocated, nor any block made, that `state` does not hold."""
    from workbench.volume.net import segformer3d as nets

    nets.require_config(arguments, state)
    net = nets.SegFormer3D(**arguments)
    nets.load_state(net, {k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    return net


def _require_consistent(net: SegFormer3D, recipe: VolumeRecipe, classes: ClassTable) -> None:
    """What the record says in two places must agree, or predicting would fail with every image."""
    inputs, outputs = net.config["in_channels"], net.config["num_classes"]
    if len(recipe.channels) != inputs:
        raise WeightsError(f"its recipe names {len(recipe.channels)} channel(s), its network takes {inputs}")
    highest = max((c.value for c in classes), default=0)
    if recipe.activation == "softmax" and highest >= outputs:
        raise WeightsError(f"its classes go up to {highest}, its network has {outputs} outputs with the background")


def predict(model: Model, image: Image, config: Config, progress: Progress | None = None) -> Result:
    """Segment one volume on its own voxel grid.

    Parameters
    ----------
    image
        A volume with the channels that the weights expect; CT in HU.
    progress
        Called per window with (done, total).

    Returns
    -------
    Result
        ``labels``: label map; ``volumes``: mL per class, from the true affine; ``uncertainty`` if asked for.

    Raises
    ------
    InputError
        Not a volume, wrong number of channels, or voxels that are not numbers.
    MismatchError
        The volume is not what the weights were taught on, and `Config.force` is not set.
    OutOfMemory
        Even the smallest window did not fit.
    """
    from workbench.core.provenance import Recorder
    from workbench.volume.data.grid import Grid
    from workbench.volume.data.preprocess import crop_box, prepare
    from workbench.volume.predict.segment import segment

    recorder = Recorder(NAME, config, model.weights, image, model.device, model.reason)
    recipe = model.recipe if config.crop == "recipe" else replace(model.recipe, crop=config.crop)
    given, found = _agreed(model, image, config)
    grid = Grid.plan(image.geometry, recipe.orientation, recipe.spacing_mm)
    need = _require_memory(model, image, config, recipe)
    with memory.guarding(image.source or image.name, need, _LESS):
        # Nobody needs the samples later: they make room for what the network needs, unless somebody holds them.
        samples, changed = filled(given.samples(), model.recipe, config.nan, image.source or image.name)
        for note in changed:
            recorder.note(note)
        found += value_findings(model.expects, facts_of(given, recipe, samples))
        for note in settle(found, subject=image.source or image.name, weights=model.expects.name, force=config.force):
            recorder.note(note)
        recorder.details["agreement"] = [f.to_json() for f in found]
        raw = grid.resample(grid.orient(samples))
        del samples
        volume = prepare(raw, recipe, name=str(image.source or image.name))
        box = crop_box(raw, recipe, grid.spacing)
        del raw
    segmented = segment(
        model.net.forward_low,
        volume,
        _windows(config, recipe, flip_axes(model.expects, force=config.force) if config.flips else ()),
        device=model.device,
        activation=recipe.activation,
        merge=merge_brats if recipe.merge == "brats" else None,
        box=box,
        output_shape=grid.oriented_shape,
        uncertainty=config.uncertainty,
        progress=progress,
    )
    del volume
    for note in segmented.report.notes:
        recorder.note(note)
    ran = segmented.report
    recorder.details |= {"windows": ran.windows, "windows_skipped": ran.skipped, "roi": list(ran.roi)}
    recorder.details |= {"batch": ran.batch, "precision": ran.precision, "mode": ran.mode}
    labels = Labels(
        np.ascontiguousarray(grid.unorient(segmented.labels)),
        image.geometry,
        model.classes,
        origin="automatic",
        algorithm=f"SegFormer3D, weights {model.weights.name}",
    )
    parts: dict[str, Labels | Heatmap | Scores] = {"labels": labels, "volumes": volumes(labels)}
    if config.statistics:
        from workbench.volume.statistics import class_statistics

        parts["statistics"] = class_statistics(labels, image)
    if segmented.uncertainty is not None:
        doubt = np.ascontiguousarray(grid.unorient(segmented.uncertainty))
        parts["uncertainty"] = Heatmap(doubt, image.geometry, "uncertainty", limits=(0.0, 1.0))
    return Result(parts, image, recorder.finish())


def need_of(image: Image, config: Config, recipe: VolumeRecipe, net: Mapping[str, Any], device: torch.device) -> Need:
    """What `predict` takes of memory on top of the loaded network, from the header of the image.

    Parameters
    ----------
    recipe, net
        Of the weights: the preparation (with ``crop`` as the settings want it), and the arguments of the network.
    """
    from workbench.volume.data.grid import Grid
    from workbench.volume.predict.memory import estimate
    from workbench.volume.predict.windows import choose_precision

    settings = _windows(config, recipe, (0, 1, 2) if config.flips else ())
    reading = image.loading()
    return estimate(
        Grid.plan(image.geometry, recipe.orientation, recipe.spacing_mm),
        len(image.channels),
        image.dtype.itemsize,
        recipe,
        net,
        settings,
        reading=reading.parts.get("reading", 0),
        loaded=image.is_loaded,
        uncertainty=config.uncertainty,
        batch=settings.batch or (2 if device.type == "cpu" else 4),
        on_cpu=device.type != "cuda",
        half=choose_precision(settings, device) == "bfloat16",
    )


def need(model: Model, image: Image, config: Config) -> Need:
    """What `predict` takes of memory, from the header of the image; see `need_of`."""
    recipe = model.recipe if config.crop == "recipe" else replace(model.recipe, crop=config.crop)
    return need_of(image, config, recipe, model.net.config, model.device)


def _require_memory(model: Model, image: Image, config: Config, recipe: VolumeRecipe) -> Need:
    """Refuse before voxels are loaded; gives what is expected to be needed.

    Another batch, window or blending changes the last bits of the logits, so none of them is chosen here.
    """
    from workbench.volume.predict.windows import smaller_window

    roi = smaller_window(config.roi or recipe.roi)
    others: dict[str, dict[str, Any]] = {
        "--batch 1": {"batch": 1},
        "--mode fast": {"mode": "fast"},
        f"--batch 1 --roi {' '.join(map(str, roi))}": {"batch": 1, "roi": roi},
        "--batch 1 --mode fast": {"batch": 1, "mode": "fast"},
    }
    if config.uncertainty:
        others["no --uncertainty"] = {"uncertainty": False}

    def need(values: Mapping[str, Any]) -> Need:
        return need_of(image, replace(config, **values), recipe, model.net.config, model.device)

    expected = need({})
    ways = {flag: partial(need, values) for flag, values in others.items()}
    memory.require(expected, image.source or image.name, _LESS, ways=ways)
    return expected


def _require_channels(image: Image, recipe: VolumeRecipe) -> None:
    """Say so from the header, before pixels are loaded."""
    if len(image.channels) != len(recipe.channels):
        raise InputError(
            f"{image.source or image.name}: has {len(image.channels)} channel(s), the weights expect "
            f"{len(recipe.channels)} ({', '.join(recipe.channels)}); choose weights for this kind of image"
        )


def look_ahead(image: Image, config: Config, samples: npt.NDArray[Any] | None = None) -> tuple[Finding, ...]:
    """What `predict` would refuse, convert or note, from what the files say: no tensor and no voxel is read for it.

    Parameters
    ----------
    samples
        ``(1, X, Y, Z)``, whole planes of an image of one channel, where they are in memory anyhow: they are compared.
    """
    from workbench import weights

    found = weights.find(config.weights, NAME)
    if found.meta:
        recipe = VolumeRecipe.from_json(found.meta["recipe"])
    elif config.preset in PRESETS:
        recipe = PRESETS[config.preset].recipe
    else:
        return ()
    with weights.blaming(found.path):
        e = expectation(found.meta, recipe, found.name, config.preset)
    if image.geometry.affine is None or len(image.channels) != len(recipe.channels):
        return ()  # an error of its own, said where layers are chosen
    said = settings_findings(e, flips=config.flips, roi=config.roi, crop=config.crop)
    said += header_findings(e, image, facts_of_header(image, recipe))
    if samples is not None and len(recipe.channels) == 1:
        facts = facts_of(image, recipe, samples)
        if not facts.finite and config.nan == "refuse":
            way = "Choose 'background' for Nan under Settings, or replace them by the value of air."
            said.append(Finding("refused", "values", "some voxels are NaN or infinite, no numbers", way))
        said += value_findings(e, facts)
    return tuple(said)


def _agreed(model: Model, image: Image, config: Config) -> tuple[Image, list[Finding]]:
    """The image as the weights take it, and what its header and the settings say; refuses before samples load."""
    from workbench.volume.data.checks import require_volume

    e = model.expects
    require_volume(image)
    _require_channels(image, model.recipe)
    found = settings_findings(e, flips=config.flips, roi=config.roi, crop=config.crop)
    found += header_findings(e, image, facts_of_header(image, e.recipe))
    settle(found, subject=image.source or image.name, weights=e.name, force=config.force)
    return conformed(image, model.recipe), found


def _windows(config: Config, recipe: VolumeRecipe, flips: tuple[int, ...]) -> WindowSettings:
    from workbench.volume.predict.windows import WindowSettings

    return WindowSettings(
        roi=config.roi or recipe.roi,
        stride=4,
        mode=config.mode,
        overlap=config.overlap,
        batch=config.batch,
        precision=config.precision,
        axis_order=recipe.axis_order,
        flips=flips,
    )


def merge_brats(regions: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Overlapping regions TC, WT, ET (3, a, b, c) -> labels 1 edema, 2 non-enhancing, 3 enhancing tumour.

    The regions are nested by definition (ET in TC in WT); where a network contradicts that, the inner one wins.
    """
    core, whole, enhancing = regions
    return np.where(enhancing, 3, np.where(core, 2, np.where(whole, 1, 0))).astype(np.uint8)


def volumes(labels: Labels) -> Scores:
    """Voxels and millilitres of each class; no millilitres where the image has no spacing."""
    counts, voxel = count_labels(labels.data), labels.geometry.sample_volume
    rows = []
    for c in labels.classes:
        voxels = counts.get(c.value, 0)
        rows.append((c.name, c.value, round(float(voxels) * voxel / 1000, 3) if voxel else None, voxels))
    return Scores(("class", "value", "volume [mL]", "voxels"), tuple(rows), "volumes")


def train(
    cases: Sequence[Case], config: TrainConfig, out: Path, on_step: Callable[[Event], None] | None = None
) -> TrainReport:
    """Teach the network with labelled volumes; see `workbench.volume.train.train.train_volumes`."""
    from workbench.volume.train.train import train_volumes

    return train_volumes(cases, config, out, on_step)


def evaluate(
    cases: Sequence[Case], config: EvaluateConfig, out: Path | None = None, progress: Progress | None = None
) -> EvaluationReport:
    """Predict and score labelled volumes; tables and a report with the worst cases go to `out`."""
    from workbench.core import device as devices
    from workbench.core import provenance
    from workbench.core.seen import Seen
    from workbench.volume.data.label_names import LabelReader
    from workbench.volume.evaluate.report import evaluate_cases

    device, reason = devices.choose(config.device)
    model = load(config, device)
    weights = model.weights
    asked = settings_findings(model.expects, flips=config.flips, roi=config.roi, crop=config.crop)
    settle(asked, subject="the settings", weights=weights.name, force=config.force)
    facts = provenance.facts_of(
        config, weights=str(weights.path), weights_sha256=weights.sha256, device=f"{device} ({reason})"
    )
    return evaluate_cases(
        cases,
        lambda image, step: predict(model, image, config, step),
        out=out,
        classes=config.classes,
        match=config.match,
        labels=LabelReader(config.names, config.resample_labels),
        seen=Seen.of(weights.meta),
        wanted=model.classes,
        tolerance_mm=config.tolerance_mm,
        worst=config.worst,
        title=f"SegFormer3D, weights {weights.name}",
        provenance=facts,
        progress=progress,
    )
