"""The settings of a prediction on a volume: arguments, flags and form are made from this declaration. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.core.agreement import force_setting
from workbench.core.settings import setting

NAN_HELP = "Voxels that are NaN: refuse the volume, or take them as background (air in CT, 0 in MR); it is noted."


@dataclass(frozen=True)
class Config:
    """Settings of `predict`."""

    weights: str = setting("demo", "Weights: demo, a known name, or a file or folder.")
    device: str = setting("auto", "Where to compute: auto, cpu, cuda, cuda:N or mps.")
    mode: Literal["exact", "fast"] = setting(
        "exact", "How windows are blended: exact (full resolution) or fast (at a quarter, upsampled once)."
    )
    overlap: float = setting(0.5, "Overlap of neighbouring windows, as a share of the window.", low=0.0, high=0.9)
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "Number type: auto is float32 in exact mode, bfloat16 in fast mode where the device computes in it."
    )
    crop: Literal["recipe", "none", "body", "nonzero"] = setting(
        "recipe", "Lay windows only in this box: as the weights say, nowhere, the body (CT), or voxels that are not 0."
    )
    flips: bool = setting(
        False, "Average over flips along the axes that training mirrored (up to 8 times slower); refused without any."
    )
    statistics: bool = setting(
        False, "Also give a table per class: volume, mean, median and sd of the values, surface, longest diameter."
    )
    uncertainty: bool = setting(False, "Also give a map of uncertainty (entropy: 0 sure, 1 undecided).")
    nan: Literal["refuse", "background"] = setting("refuse", NAN_HELP)
    force: bool = force_setting()
    preset: Literal["none", "brats", "synapse", "acdc"] = setting(
        "none", "Preparation for a checkpoint without a record of ours (official BraTS weights: brats).", advanced=True
    )
    roi: tuple[int, int, int] | None = setting(
        None, "Window size along R, A, S; by default that of the weights.", unit="voxels", low=16, advanced=True
    )
    batch: int | None = setting(None, "Windows at once; by default what suits the device.", low=1, advanced=True)
    attention_scale: Literal["weights", "num_heads", "head_dim"] = setting(
        "weights", "Scale of the attention for foreign checkpoints; official ones need num_heads.", advanced=True
    )
