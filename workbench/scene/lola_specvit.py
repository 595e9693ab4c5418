"""LoLA-SpecViT: class maps of hyperspectral scenes, learnt from a few labelled pixels.

"LoLA-SpecViT", Int. J. Applied Earth Observation and Geoinformation 144, 104924 (2025), doi 10.1016/j.jag.2025.104924.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.core import memory, settings
from workbench.core.agreement import Finding
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError, UsageError, WeightsError
from workbench.core.types import Case, Heatmap, Image, Labels, Progress, Result, Scores
from workbench.scene.data.spectra import FittedSpectra
from workbench.scene.data.taught import Taught
from workbench.scene.display import areas
from workbench.scene.settings import Config, EvaluateConfig, TrainConfig
from workbench.weights import WeightsFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import torch

    from workbench.core.memory import Need
    from workbench.core.reports import EvaluationReport, TrainReport
    from workbench.scene.data.agreed import Agreed
    from workbench.scene.net.lola_specvit import LolaSpecViT
    from workbench.scene.train.learnt import Learnt
    from workbench.training.loop import Event

__all__ = ["Config", "EvaluateConfig", "TrainConfig", "evaluate", "load", "predict", "train"]

NAME = "lola_specvit"


@dataclass(frozen=True)
class Model:
    """A loaded network with everything that belongs to its weights.

    ``known`` holds spectra and classes that it learnt from, ``taught`` what is known of the scenes they are from.
    """

    net: LolaSpecViT
    weights: WeightsFile
    fitted: FittedSpectra
    classes: ClassTable
    device: torch.device
    reason: str
    known: tuple[Any, Any] | None = None
    taught: Taught | None = None


def weights_hash(config: Config) -> str:
    """Hash of the weights that `load` would take, without loading them: whether a result is of them is known by it."""
    from workbench import weights

    return weights.find(config.weights, NAME).sha256


def load(config: Config, device: torch.device) -> Model:
    """Find, check and load the weights.

    Raises
    ------
    WeightsError
        Not found, made for another backend, not plain data, without a record of ours, or of another shape.
    """
    from workbench import weights
    from workbench.core import device as devices
    from workbench.scene.data.taught import taught_of

    found = weights.find(config.weights, NAME)
    net, fitted, classes = build_network(found)
    _, reason = devices.choose(config.device)
    tensors = weights.load_tensors(found)
    known = None
    if "spectra.known" in tensors:
        known = tensors["spectra.known"].float().numpy(), tensors["spectra.values"].numpy()
    with weights.blaming(found.path):
        taught = taught_of(found.meta, fitted)
    return Model(net.eval().to(device), found, fitted, classes, device, reason, known, taught)


def build_network(found: WeightsFile) -> tuple[LolaSpecViT, FittedSpectra, ClassTable]:
    """Network with its weights (adapters merged) on the CPU, how spectra are prepared, and the classes."""
    from workbench import weights
    from workbench.nets import lora
    from workbench.scene.net import lola_specvit as nets
    from workbench.scene.train.begin import fitted_of

    if "net" not in found.meta:
        raise WeightsError(
            f"{found.path}: no record of ours; a map needs to know the classes and how spectra are prepared. "
            "Train with the workbench (workbench train lola_specvit)"
        )
    tensors = weights.load_tensors(found)
    fitted = fitted_of(found, tensors)
    state = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items() if not k.startswith("spectra.")}
    net = nets.LolaSpecViT(**found.meta["net"])
    try:
        if found.is_lora:
            base = weights.load_tensors(weights.find_base(found))
            nets.load_except_head(net, {k: v.float() for k, v in base.items() if not k.startswith("spectra.")})
            lora.load_lora(net, state)
            lora.merge_lora(net)
        else:
            nets.load_state(net, state)
    except WeightsError as error:
        raise WeightsError(f"{found.path}: {error}") from None
    return net, fitted, ClassTable.from_json(found.meta["classes"])


def model_of(learnt: Learnt, name: str = "learnt") -> Model:
    """A model to predict with straight after a training in memory, without a file."""
    from pathlib import Path

    record = WeightsFile(Path(name), name, "", {"backend": NAME})
    known = learnt.spectra, learnt.values
    return Model(learnt.net, record, learnt.fitted, learnt.classes, learnt.device, "as trained", known, learnt.taught)


def predict(
    model: Model,
    image: Image,
    config: Config,
    progress: Progress | None = None,
    on_tile: Callable[[slice, slice, Any], None] | None = None,
) -> Result:
    """Classify every pixel of a scene on its own grid.

    Parameters
    ----------
    image
        A spectral cube with the bands that the weights expect.
    progress
        Called with (pixels done, pixels in all).
    on_tile
        Called with the place and the class values of every finished block, so that a map can grow on screen.

    Returns
    -------
    Result
        ``labels``: class map, 0 where a pixel holds no spectrum; ``confidence``: probability of the class, 0 to 1;
        ``areas``: pixels, share and area of each class, from the true pixel size; ``reference_labels`` if asked for.

    Raises
    ------
    MismatchError
        The scene is not what the weights were taught on (bands, wavelengths, unit, scale), and `force` is not set.
    InputError
        Not a cube, other bands than the model knows, or no pixel with a whole spectrum.
    """
    from workbench.core.provenance import Recorder
    from workbench.scene.data import spectra
    from workbench.scene.predict.map import SceneSettings
    from workbench.scene.train.begin import require_scene
    from workbench.scene.train.map import map_taught

    recorder = Recorder(NAME, config, model.weights, image, model.device, model.reason)
    require_scene(image)
    _require_memory(model, image, config)
    agreed = agree_on(model, image, config)
    for note in agreed.notes:
        recorder.note(note)
    if agreed.findings:
        recorder.details["agreement"] = [f.to_json() for f in agreed.findings]
    fitted = agreed.fitted
    lookup = np.array([0, *(c.value for c in model.classes)], _value_type(model.classes))
    valid = spectra.valid_map(agreed.image, fitted)
    if not valid.any():
        raise InputError(f"{image.source or image.name}: no pixel holds a whole spectrum; check its bands and bbl")
    found = map_taught(
        model.net,
        fitted,
        agreed.image,
        model.device,
        mode=config.mode,
        where=None if valid.all() else valid,
        settings=SceneSettings(config.tile, config.batch, "bfloat16" if _is_fast(config, model.device) else "float32"),
        on_tile=None if on_tile is None else lambda t: on_tile(t.rows, t.columns, lookup[t.labels]),
        progress=progress,
    )
    data = np.empty(found.labels.shape, lookup.dtype)
    for row, values in zip(data, found.labels, strict=True):  # at once, an index of 8 bytes per pixel would be made
        row[:] = lookup[values]
    if config.min_confidence > 0:
        data = np.where(found.confidence < config.min_confidence, 0, data).astype(data.dtype)
    labels = Labels(data, image.geometry, model.classes)
    parts: dict[str, Labels | Heatmap | Scores] = {
        "labels": labels,
        "confidence": Heatmap(found.confidence, image.geometry, "confidence", limits=(0.0, 1.0), colormap="viridis"),
        "areas": areas(labels),
    }
    if config.reference:
        reference = _reference(model, agreed, data.dtype)
        parts["reference_labels"] = Labels(reference, image.geometry, model.classes, "reference_labels")
    return Result(parts, image, recorder.finish())


def _is_fast(config: Config, device: torch.device) -> bool:
    return config.precision == "bfloat16" or (config.precision == "auto" and device.type == "cuda")


def need_of(model: Model, image: Image, config: Config) -> Need:
    """What `predict` takes of memory on top of the loaded network, from the header of the scene."""
    from workbench.scene.predict.memory import estimate

    net, fitted, on_cpu = model.net, model.fitted, model.device.type != "cuda"
    dense = net.dense and not fitted.recipe.patch and config.mode != "patches"
    reach = max(abs(v) for v in net.window_offsets)
    rows, columns = image.geometry.shape
    default = (256 if dense else 64) if model.device.type == "cpu" else (4096 if dense else 512)
    return estimate(
        (rows, columns),
        len(image.channels),
        image.dtype.itemsize,
        len(fitted.kept),
        net.config,
        tile=config.tile,
        batch=config.batch or default,
        margin=net.margin + reach if dense else net.patch_size // 2,
        window=len(net.window_offsets),
        dense=dense,
        fit=config.pca == "scene",
        on_cpu=on_cpu,
        half=_is_fast(config, model.device),
    )


need = need_of


def _require_memory(model: Model, image: Image, config: Config) -> None:
    """Refuse before the scene is read. Another tile or batch rounds differently, so none is chosen here."""
    smaller = sorted({max(8, config.tile // n) for n in (2, 4)} - {config.tile}, reverse=True)
    others = {f"--tile {tile}": {"tile": tile} for tile in smaller}

    def need(values: Mapping[str, Any]) -> Need:
        return need_of(model, image, replace(config, **values))

    ways = {flag: partial(need, values) for flag, values in others.items()}
    advice = "Free memory, use a machine with more, or cut the scene into parts."
    memory.require(need({}), image.source or image.name, advice, ways=ways)


def agree_on(model: Model, image: Image, config: Config) -> Agreed:
    """The scene as the weights must see it, with what differs from what taught them; see `Config.force`."""
    from workbench.scene.data import spectra
    from workbench.scene.data.agreed import Agreed, agree
    from workbench.scene.data.taught import implied

    if config.pca == "scene":
        text = "principal components fitted on this scene, not those of the weights"
        own = spectra.fit(image, model.fitted.recipe)
        return Agreed(image, image, own, (Finding("converted", "components", text),), (text,))
    taught = model.taught or implied(model.fitted, None, "")
    return agree(taught, model.fitted, image, weights=model.weights.name, force=config.force)


def _reference(model: Model, agreed: Agreed, dtype: Any) -> npt.NDArray[Any]:
    """Map of a support vector machine that learnt from the same pixels as the network, by their spectra alone."""
    from workbench.scene.evaluate.scores import fit_reference

    if model.known is None:
        raise WeightsError(f"{model.weights.path}: holds no spectra to teach a reference on; leave out --reference")
    found: npt.NDArray[Any] = fit_reference("svm", *model.known).map(agreed.image, agreed.fitted).astype(dtype)
    return found


def _value_type(classes: ClassTable) -> Any:
    return np.uint8 if max(c.value for c in classes) < 256 else np.uint16


def train(
    cases: Sequence[Case], config: TrainConfig, out: Path, on_step: Callable[[Event], None] | None = None
) -> TrainReport:
    """Teach the network with the labelled pixels of a scene; see `workbench.scene.train.train.train_pixels`."""
    from workbench.scene.train.train import train_pixels

    return train_pixels(cases, config, out, on_step)


def evaluate(
    cases: Sequence[Case], config: EvaluateConfig, out: Path | None = None, progress: Progress | None = None
) -> EvaluationReport:
    """Teach and test on random and on spatially disjoint pixels, with references; or score given weights."""
    from workbench import weights
    from workbench.core.provenance import facts_of
    from workbench.scene.evaluate.report import match_labels, score_weights
    from workbench.scene.train.comparison import compare_on_scene
    from workbench.scene.train.study import open_study

    study = open_study(cases, config)
    image, labels = study.image, study.labels
    facts = facts_of(config, scene=str(image.source)) | study.hashes
    protocol = config.protocol
    if protocol == "auto":
        protocol = "train" if config.weights == "none" or config.lora_rank else "score"
    if protocol == "score":
        from workbench.core import device as devices

        labels = labels if study.test is None else study.test
        chosen, reason = devices.choose(config.device)
        model = load(Config(weights=config.weights, device=config.device), chosen)
        matching = match_labels(
            model.classes, labels, classes=config.classes, match=config.match, source=cases[0].labels or "labels"
        )
        own = Config(device=config.device, force=config.force)
        result = predict(model, image, own, progress)
        facts |= {"weights sha256": model.weights.sha256, "device": f"{chosen} ({reason})"}
        with weights.blaming(model.weights.path):
            return score_weights(
                image, labels, matching, result, facts, out,
                record=model.weights.meta, agreed=agree_on(model, image, own), reach=model.net.patch_size,
                said=(*study.notes, *_without_effect(config)),
            )  # fmt: skip
    if config.classes:
        raise UsageError("classes: compares labels with given weights, and here networks are taught anew; leave it out")
    names: tuple[str, ...] = ("random", "disjoint") if config.split == "both" else (config.split,)
    if study.test is not None:
        names = ("fixed",)
    known = set(settings.describe(TrainConfig)) - {"split"}
    plain = {k: v for k, v in settings.as_dict(config).items() if k in known}
    base = settings.build(TrainConfig, plain)
    draws: dict[str, Literal["all", "random", "disjoint"]] = {"random": "random", "disjoint": "disjoint"}
    configs: dict[str, Sequence[TrainConfig]] = {
        n: [replace(base, split=draws.get(n, "all"), seed=base.seed + i) for i in range(config.seeds)] for n in names
    }
    return compare_on_scene(
        image, labels, configs, test=study.test, references=config.references, facts=facts, notes=study.notes, out=out,
        progress=progress,
    )  # fmt: skip


_SCORING = frozenset(("weights", "device", "names", "match", "test_labels", "force", "protocol", "classes"))


def _without_effect(config: EvaluateConfig) -> tuple[str, ...]:
    """Say which settings were given and do nothing where weights are scored as they are."""
    changed = [
        s.flag
        for s in settings.describe(EvaluateConfig).values()
        if s.name not in _SCORING and getattr(config, s.name) != s.default
    ]
    if not changed:
        return ()
    return (f"given weights are scored as they are, nothing is taught: {', '.join(changed)} had no effect",)
