"""The state of an interrupted training in one safetensors file: plain tensors and JSON, written atomically.

Nothing random is stored: every step seeds its own random numbers from (seed, step), so the step number is enough.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from workbench.core.atomic import replacing
from workbench.core.errors import WeightsError


@dataclass(frozen=True)
class Checkpoint:
    """What `save` wrote: tensors by role, and plain values (step, best score, history...)."""

    model: dict[str, Tensor]
    ema: dict[str, Tensor]
    best: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    values: dict[str, Any]


def save(
    path: Path,
    model: nn.Module,
    ema: Mapping[str, Tensor],
    best: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    values: Mapping[str, Any],
) -> None:
    """Write everything that continuing needs."""
    tensors = {f"model/{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"ema/{k}": v for k, v in ema.items()}
    tensors |= {f"best/{k}": v for k, v in best.items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": torch.as_tensor(v) for name, v in slots.items()}
    plain = {k: v.detach().to("cpu").contiguous().clone() for k, v in tensors.items()}
    with replacing(path) as part:
        save_file(plain, part, metadata={"values": json.dumps(dict(values))})


def load(path: Path) -> Checkpoint:
    """Read a state back; `WeightsError` if it is not one."""
    roles: dict[str, dict[str, Tensor]] = {"model": {}, "ema": {}, "best": {}, "optimizer": {}}
    try:
        with safe_open(path, framework="pt") as f:
            values = json.loads((f.metadata() or {})["values"])
            for key in f.keys():  # noqa: SIM118 - not a dict
                role, _, name = key.partition("/")
                roles[role][name] = f.get_tensor(key)
    except (SafetensorError, KeyError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path}: not the state of a training ({type(error).__name__}); delete it to start again"
        ) from error
    return Checkpoint(**roles, values=values)


def restore_optimizer(optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    """Put saved moments and step counts back; parameter groups (rates) are set by the loop."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in saved.items():
        index, _, name = key.partition("/")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
