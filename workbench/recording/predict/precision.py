"""Where and in which numbers MEG-GPT runs."""

from __future__ import annotations

import copy
from typing import Literal, TypeAlias, TypeVar

import torch
from torch import nn

from workbench.core.errors import UsageError

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]

Net = TypeVar("Net", bound=nn.Module)


def in_precision(net: Net, device: torch.device | str | None, precision: Precision) -> tuple[Net, torch.device]:
    """The network in evaluation mode on `device` with weights of `precision`; a copy unless it is so already.

    ``"auto"`` is bfloat16 on devices built for it (CUDA from Ampere on, processors with AVX-512 BF16), else float32.
    """
    weight = next(net.parameters())
    where = weight.device if device is None else torch.device(device)
    wanted = {"float32": torch.float32, "bfloat16": torch.bfloat16}.get(chosen_precision(precision, where))
    if where == weight.device and wanted == weight.dtype and not net.training:
        return net, where
    return copy.deepcopy(net).to(where, wanted).eval(), where


def chosen_precision(precision: Precision, device: torch.device | str) -> Literal["float32", "bfloat16"]:
    """What ``"auto"`` means on a device."""
    if precision in ("float32", "bfloat16"):
        return precision
    if precision != "auto":
        raise UsageError(f"precision {precision!r}: expected 'auto', 'float32' or 'bfloat16'")
    kind = torch.device(device).type
    if kind == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        ask = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        native = kind == "cpu" and ask is not None and ask()
    return "bfloat16" if native else "float32"
