"""Encoders of other groups, through timm: a folder with ``config.json`` and the weights, as its hub has them.

R. Wightman, "PyTorch Image Models", doi 10.5281/zenodo.4414861. The description says how tiles must be prepared; the
weights are read as plain tensors, and no code of theirs is executed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.atomic import sha256_of
from workbench.core.errors import WeightsError, one_line
from workbench.slide.predict.view import View
from workbench.weights import WeightsFile, hub

if TYPE_CHECKING:
    import torch

_FILTERS = ("bicubic", "bilinear", "lanczos")
_TIMM_CROP = 0.875
"""What timm takes where a description names no share."""
_MOST_CONFIG = 1 << 20
_MOST = 8192
"""No size of a network of today is larger."""
_NAME = re.compile(r"[A-Za-z0-9_.]+")
_NEVER = {"device", "dtype", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"}
"""Arguments by which a description could make timm fetch or load something else."""


def find(name: str) -> WeightsFile:
    """The weights of an encoder that is on this machine, with its description as their record.

    Parameters
    ----------
    name
        ``hf_hub:OWNER/NAME``, fetched before, or a folder.

    Raises
    ------
    WeightsError
        It is not here, or its description cannot be used.
    """
    folder = hub.here(name) if name.startswith(hub.HUB) else Path(name).expanduser()
    config = folder / hub.CONFIG
    files = [folder / one for one in hub.WEIGHTS if (folder / one).is_file()]
    if not config.is_file() or not files:
        raise WeightsError(
            f"{name}: no encoder; expected {hub.HUB}OWNER/NAME, or a folder with {hub.CONFIG} (as timm writes it) and "
            f"{' or '.join(hub.WEIGHTS)}"
        )
    described = _described(config)
    return WeightsFile(files[0], name, sha256_of(files[0]), {"timm": described, "backend": "stainnet"})


def build(found: WeightsFile) -> torch.nn.Module:
    """The network with its weights, on the CPU in float32; gives ``(B, dim)``, what timm calls its pooled features.

    Raises
    ------
    WeightsError
        timm knows no such network, or the weights are not those of it.
    """
    from workbench import weights

    timm = hub.library("timm")
    described: Mapping[str, Any] = found.meta["timm"]
    arguments = {"num_classes": 0, **dict(described.get("model_args") or {})}
    if described.get("global_pool"):
        arguments.setdefault("global_pool", described["global_pool"])
    with weights.blaming(found.path):
        try:
            net: torch.nn.Module = timm.create_model(described["architecture"], pretrained=False, **arguments)
        except Exception as error:  # whatever such arguments do to timm
            raise WeightsError(f"timm cannot make {described['architecture']!r} of it ({one_line(error)})") from error
        state = {k: v.float() if v.is_floating_point() else v for k, v in weights.load_tensors(found).items()}
        own = net.state_dict()
        heads = [k for k in state.keys() - own.keys() if k.startswith(("head.", "fc.", "classifier."))]
        state = {k: v for k, v in state.items() if k not in heads}
        wrong = sorted(k for k in own.keys() & state.keys() if own[k].shape != state[k].shape)
        for what, entries in (
            ("lacks", sorted(own.keys() - state.keys())), ("has too many", sorted(state.keys() - own.keys())),
            ("has of another shape", wrong),
        ):  # fmt: skip
            if entries:
                raise WeightsError(f"{what} {len(entries)} entries of {described['architecture']}, first {entries[0]}")
        net.load_state_dict(state)
    net.dim = int(net.num_features)  # type: ignore[assignment, arg-type]
    return net


def view_of(found: WeightsFile) -> View:
    """How tiles must be prepared, as the description says.

    Raises
    ------
    WeightsError
        It does not say, or asks for what is not done here.
    """
    described = found.meta["timm"]
    own = described.get("pretrained_cfg") or described
    size, mean, std = own.get("input_size"), own.get("mean"), own.get("std")
    filter_, crop = own.get("interpolation") or "bicubic", own.get("crop_pct", _TIMM_CROP)
    numbers = [n for some in (size, mean, std) if isinstance(some, list) and len(some) == 3 for n in some]
    if len(numbers) != 9 or not all(_is_number(n) for n in [*numbers, crop]):
        raise WeightsError(f"{found.path.parent / hub.CONFIG}: does not say input_size, mean and std of three colours")
    is_size = size[0] == 3 and size[1] == size[2] and 16 <= size[1] <= 4096 and int(size[1]) == size[1]
    if not is_size or not 0.1 <= crop <= 1 or not all(1e-3 <= s <= 10 for s in std) or max(map(abs, mean)) > 10:
        raise WeightsError(f"{found.path.parent / hub.CONFIG}: input_size {size}, crop_pct {crop}, std {std} cannot be")
    if filter_ not in _FILTERS or own.get("crop_mode", "center") != "center":
        raise WeightsError(
            f"{found.path.parent / hub.CONFIG}: interpolation {filter_}, crop {own.get('crop_mode')}; expected one of "
            f"{', '.join(_FILTERS)}, and the middle"
        )
    return View(int(size[1]), tuple(map(float, mean)), tuple(map(float, std)), filter_, float(crop))  # type: ignore[arg-type]


def _described(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MOST_CONFIG:
        raise WeightsError(f"{path}: larger than a description; expected that of timm")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: is no JSON ({one_line(error)})") from error
    name = found.get("architecture") if isinstance(found, dict) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):  # "hf-hub:..." would be fetched
        raise WeightsError(f"{path}: names no 'architecture'; expected the description that timm writes")
    if not isinstance(found.get("pretrained_cfg") or {}, dict) or not isinstance(found.get("model_args") or {}, dict):
        raise WeightsError(f"{path}: 'pretrained_cfg' and 'model_args' must be objects")
    if not _is_moderate(found.get("model_args") or {}):
        raise WeightsError(f"{path}: 'model_args' hold numbers of {_MOST:,} or more, or none at all (NaN)")
    if wrong := sorted(_NEVER & (found.get("model_args") or {}).keys()):
        raise WeightsError(f"{path}: 'model_args' must not hold {wrong[0]}")
    return dict(found)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_moderate(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(_is_moderate, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int | float) or isinstance(value, bool) or (_is_number(value) and abs(value) < _MOST)
