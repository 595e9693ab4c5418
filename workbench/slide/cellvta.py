"""CellVTA: every nucleus of a slide outlined and classified, by an adapted vision transformer.

Y. Yang, J. Zheng et al., "CellVTA", arXiv 2504.00784. Its published weights are theirs and hold those of an encoder
that may not be passed on: whoever has them loads them here, and none come with the workbench.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import WeightsError
from workbench.core.types import Case, Image, Progress, Result
from workbench.slide.cell_settings import Config, EvaluateConfig
from workbench.slide.predict.model import Model

if TYPE_CHECKING:
    import torch

    from workbench.core.contract import PiecesOf
    from workbench.slide.evaluate.cells import CellEvaluation
    from workbench.weights import WeightsFile

__all__ = ["Config", "EvaluateConfig", "evaluate", "load", "predict"]

NAME = "cellvta"
_COLORS = ((255, 0, 0), (34, 221, 77), (35, 92, 236), (254, 255, 0), (255, 159, 68), (35, 255, 255))
PUBLISHED: Mapping[int, tuple[str, tuple[str, ...]]] = {
    6: ("PanNuke", ("Neoplastic", "Inflammatory", "Connective", "Dead", "Epithelial")),
    7: ("CoNIC", ("neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective")),
}
"""What the classes of published weights are called, by how many there are with "none"."""


def describe_weights(meta: Mapping[str, Any]) -> str:
    """What weights find, in a line, from their record."""
    names = [str(c.get("name")) for c in meta.get("classes") or ()]
    recipe = meta.get("recipe") or {}
    parts = [f"nuclei: {', '.join(names)}" if names else "nuclei"]
    if recipe.get("mpp"):
        parts.append(f"taught at {recipe['mpp']:g} um per pixel")
    title = f"{meta['title']}: " if meta.get("title") else ""
    return title + ", ".join(parts)


def weights_hash(config: Config) -> str:
    """Hash of the weights that `load` would take, without loading them."""
    from workbench import weights

    return weights.find(config.weights, NAME).sha256


def load(config: Config, device: torch.device) -> Model:
    """Find, check and load the weights.

    Raises
    ------
    WeightsError
        Not found, made for another backend (CellViT, say), not plain data, or of no form that is known.
    """
    import torch

    from workbench import weights
    from workbench.core import device as devices

    found = weights.find(config.weights, NAME)
    _, reason = devices.choose(config.device)
    net, recipe = build_network(found)
    net = net.eval().to(device=device, memory_format=torch.channels_last)
    return Model(net, found, device, reason, recipe)


def build_network(found: WeightsFile) -> tuple[Any, dict[str, Any]]:
    """The network with its weights on the CPU in float32, and what it was taught on: scale and classes."""
    from workbench import weights
    from workbench.nets.checkpoints import load_state, require_fit, unwrap_checkpoint
    from workbench.slide.net.cellvta import CellVTA, infer_config

    stored = weights.load_tensors(found)
    with weights.blaming(found.path):
        state = unwrap_checkpoint(stored)
        config = infer_config(state, found.meta.get("net", {}).get("num_heads"))
        require_fit(lambda: CellVTA(**config), state)
        net = CellVTA(**config)
        load_state(net, state)
        return net, _recipe(found, config["num_classes"])


def _recipe(found: WeightsFile, classes: int) -> dict[str, Any]:
    own = dict(found.meta.get("recipe", {}))
    names = found.meta.get("classes")
    if names:
        table = ClassTable.from_json(names)
        known = "its record"
    elif classes in PUBLISHED:
        known, listed = PUBLISHED[classes]
        table = ClassTable(tuple(ClassInfo(i, n, _COLORS[i - 1]) for i, n in enumerate(listed, 1)))
    else:
        raise WeightsError(f"{classes - 1} classes of nuclei without names: neither PanNuke's 5 nor CoNIC's 6")
    if [c.value for c in table] != list(range(1, classes)):
        raise WeightsError(f"its record names {len(table)} classes of nuclei, its network has {classes - 1}")
    return {"mpp": 0.25, **own, "classes": table, "classes_from": known}


def predict(
    model: Model, image: Image, config: Config, progress: Progress | None = None, pieces: PiecesOf | None = None
) -> Result:
    """Find the nuclei of a slide; see `workbench.slide.predict.cells.find_cells`."""
    from workbench.slide.predict.cells import find_cells

    return find_cells(model, image, config, progress, pieces)


def evaluate(
    cases: Sequence[Case], config: EvaluateConfig, out: Path | None = None, progress: Progress | None = None
) -> CellEvaluation:
    """Find the nuclei of pictures and score them; see `workbench.slide.evaluate.cells.evaluate_cells`."""
    from workbench.core import device as devices
    from workbench.core import provenance
    from workbench.core.seen import Seen
    from workbench.slide.evaluate.cells import evaluate_cells

    device, reason = devices.choose(config.device)
    own = config.of_predict()
    model = load(own, device)
    found = model.weights
    facts = provenance.facts_of(
        config, weights=str(found.path), weights_sha256=found.sha256, device=f"{device} ({reason})"
    )
    return evaluate_cells(
        cases, lambda image: predict(model, image, own), config, model.recipe["classes"], out=out,
        seen=Seen.of(found.meta), title=f"CellVTA, weights {found.name}", provenance=facts, progress=progress,
    )  # fmt: skip
