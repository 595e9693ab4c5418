"""State dicts of any network: found inside a checkpoint object, loaded strictly with a clear report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workbench.core.errors import WeightsError


def unwrap_checkpoint(obj: Any) -> dict[str, Tensor]:
    """The flat state dict inside a checkpoint object.

    Accepts a bare state dict, one inside ``state_dict``, ``model_state_dict`` or ``model``, and keys with the prefix
    ``module.`` (left by data-parallel training). Raises `WeightsError` for anything else.
    """
    for _ in range(3):
        if isinstance(obj, Mapping):
            inner = next((obj[k] for k in ("state_dict", "model_state_dict", "model") if k in obj), None)
            if isinstance(inner, Mapping):
                obj = inner
    if not isinstance(obj, Mapping) or not obj:
        raise WeightsError(f"expected a state dict of tensors, found {type(obj).__name__}; save model.state_dict()")
    wrong = next((k for k, v in obj.items() if not isinstance(k, str) or not isinstance(v, Tensor)), None)
    if wrong is not None:
        raise WeightsError(f"expected a state dict of tensors, entry {wrong!r} holds a {type(obj[wrong]).__name__}")
    state = dict(obj)
    while state and all(k.startswith("module.") for k in state):
        state = {k.removeprefix("module."): v for k, v in state.items()}
    return state


def load_state(net: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state dict strictly; `WeightsError` lists keys that are missing, unexpected or of another shape.

    Half-precision values are widened to the parameter's type. The counters ``num_batches_tracked``, which inference
    does not use, may be missing.
    """
    _require_same(net, state)
    net.load_state_dict(dict(state), strict=False)


def require_fit(construct: Callable[[], nn.Module], state: Mapping[str, Tensor]) -> None:
    """Refuse a network whose entries are not those of `state`, before memory is taken for it.

    What `construct` is told comes from a file, which may ask for more than any machine has: it runs without storage.

    Raises
    ------
    WeightsError
        As `load_state`; errors of `construct` itself pass through.
    """
    with torch.device("meta"):
        net = construct()
    _require_same(net, state)


def _require_same(net: nn.Module, state: Mapping[str, Tensor]) -> None:
    own = net.state_dict()
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in state if k not in own]
    shapes = [
        f"{k} is {tuple(state[k].shape)}, expected {tuple(v.shape)}"
        for k, v in own.items()
        if k in state and state[k].shape != v.shape
    ]
    problems = [
        f"{len(found)} {what}: {', '.join(found[:4])}{', ...' if len(found) > 4 else ''}"
        for what, found in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if found
    ]
    if problems:
        raise WeightsError(
            f"the weights do not fit {type(net).__name__} ({len(own)} entries): {'; '.join(problems)}; "
            "check the configuration they were saved with"
        )
