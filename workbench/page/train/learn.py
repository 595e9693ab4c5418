"""What the network of pages is asked for, as a loss and as scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.page.net.page_net import PageMaps, PageNet

Batch = dict[str, Tensor]


def batch_of(crops: dict[str, npt.NDArray[np.uint8]]) -> Batch:
    """Crops, stacked by name (see `workbench.page.train.crops.Crop`), as the loss takes them: float, 0 to 1."""
    out = {name: torch.from_numpy(np.ascontiguousarray(a)).float() / 255 for name, a in crops.items()}
    out["pixels"] = out["pixels"].permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    return out


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    """Cross entropy against what is covered, and overlap (Dice) of thin lines, which cross entropy alone makes wide."""
    return loss_of_maps(model(batch["pixels"]), batch)


def loss_of_maps(maps: PageMaps, batch: Batch) -> Tensor:
    """The same of what the network said already."""
    total = _entropy(maps.trace, batch["trace"], 2.0) + 0.5 * _overlap(maps.trace, batch["trace"])
    total = total + 0.3 * _entropy(maps.pulse, batch["pulse"], 2.0) + 0.1 * _overlap(maps.pulse, batch["pulse"])
    total = total + 0.2 * _entropy(maps.words, batch["words"], 1.0)
    return total + 3.0 * _entropy(maps.names, batch["names"], 10.0)


def loss_of_taught(maps: PageMaps, batch: Batch) -> Tensor:
    """Of pieces of corrected pages: traces as the lines say where that is known, all else as the network said before.

    `batch` holds ``known`` besides, and shares of the network as ``pulse``, ``words`` and ``names``: of plain cross
    entropy they are the least.
    """
    known = batch["known"]
    positive = torch.tensor(2.0, device=known.device)
    each = F.binary_cross_entropy_with_logits(maps.trace.float(), batch["trace"], pos_weight=positive, reduction="none")
    total = (each * known).sum() / known.sum().clamp(min=1)
    total = total + 0.5 * _overlap(maps.trace, batch["trace"], known)
    total = total + 0.3 * F.binary_cross_entropy_with_logits(maps.pulse.float(), batch["pulse"])
    total = total + 0.2 * F.binary_cross_entropy_with_logits(maps.words.float(), batch["words"])
    return total + 3.0 * F.binary_cross_entropy_with_logits(maps.names.float(), batch["names"])


def _entropy(logits: Tensor, target: Tensor, weight: float) -> Tensor:
    positive = torch.tensor(weight, dtype=torch.float32, device=logits.device)
    return F.binary_cross_entropy_with_logits(logits.float(), target, pos_weight=positive)


def _overlap(logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
    share = torch.sigmoid(logits.float())
    if known is not None:
        share, target = share * known, target * known
    both = (share * target).sum(dim=(1, 2))
    return 1 - ((2 * both + 10) / (share.square().sum(dim=(1, 2)) + target.square().sum(dim=(1, 2)) + 10)).mean()


def scores_of(model: PageNet, batches: list[Batch]) -> dict[str, float]:
    """Dice of traces and pulses, intersection over union of words, and the share of names called right.

    ``"score"`` is the mean of the Dice of traces and of the share of names.
    """
    hits: dict[str, list[float]] = {"trace": [], "pulse": [], "words": [], "names": []}
    with torch.inference_mode():
        for batch in batches:
            maps = model(batch["pixels"])
            for name, logits in (("trace", maps.trace), ("pulse", maps.pulse), ("words", maps.words)):
                found, true = logits > 0, batch[name] > 0.5
                both = float((found & true).sum())
                total = float(found.sum() + true.sum())
                hits[name].append((2 * both + 1e-6) / (total + 1e-6) if name != "words" else _share(both, total - both))
            hits["names"] += _names(torch.sigmoid(maps.names), batch["names"])
    means = {name: float(np.mean(values)) for name, values in hits.items()}
    return {"score": (means["trace"] + means["names"]) / 2, **means}


def _share(part: float, whole: float) -> float:
    return (part + 1e-6) / (whole + 1e-6)


def _names(found: Tensor, true: Tensor) -> list[float]:
    """For every name that is there: whether its own channel is the highest at its place, and above a half."""
    out: list[float] = []
    for maps, names in zip(found, true, strict=True):
        for k, y, x in torch.nonzero(names > 0.85).tolist():
            near = maps[:, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].amax(dim=(1, 2))
            out.append(float(near.argmax() == k and near[k] > 0.5))
    return out


def as_meta(config: Any) -> dict[str, Any]:
    """What a file of weights says of the network."""
    return {"name": "page_net", **config.to_json()}
