"""Weights of CellVTA as a network, with what they were taught on: scale and classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import WeightsError

if TYPE_CHECKING:
    import torch

    from workbench.slide.predict.model import Model
    from workbench.weights import WeightsFile

NAME = "cellvta"

_COLORS = ((255, 0, 0), (34, 221, 77), (35, 92, 236), (254, 255, 0), (255, 159, 68), (35, 255, 255))
PUBLISHED: Mapping[int, tuple[str, tuple[str, ...]]] = {
    6: ("PanNuke", ("Neoplastic", "Inflammatory", "Connective", "Dead", "Epithelial")),
    7: ("CoNIC", ("neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective")),
}
"""What the classes of published weights are called, by how many there are with "none"."""


def load_model(name: str, device: torch.device, reason: str) -> Model:
    """Find, check and load weights; see `workbench.slide.cellvta.load`."""
    import torch

    from workbench import weights
    from workbench.slide.predict.model import Model

    found = weights.find(name, NAME)
    net, recipe = build_network(found)
    net = net.eval().to(device=device, memory_format=torch.channels_last)
    return Model(net, found, device, reason, recipe)


def build_network(found: WeightsFile) -> tuple[Any, dict[str, Any]]:
    """The network with its weights on the CPU in float32, and what it was taught on: scale and classes.

    Of classes that were taught by examples the network is that of their base.
    """
    from workbench import weights
    from workbench.slide.predict.cell_classes import KIND, CellClasses

    if found.meta.get("kind") == KIND:
        net, recipe = build_network(weights.find_base(found))
        with weights.blaming(found.path):
            classes = ClassTable.from_json(found.meta.get("classes") or [])
            head = CellClasses.of(weights.load_tensors(found), classes)
            given = net.encoder.dim + 4
            if len(head.mean) != given:
                raise WeightsError(f"classes by {len(head.mean)} numbers of a nucleus; its base gives {given}")
        return net, {**recipe, "classes": classes, "classes_from": "examples", "cell_classes": head}
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
    return {"mpp": 0.25, **own, "classes": table, "classes_from": known, "net_classes": classes}
