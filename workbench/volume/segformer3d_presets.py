"""Preparation and classes for the data sets of the SegFormer3D paper, for checkpoints that carry no record of ours.

BraTS is exact: it repeats what the released weights were trained with. For Synapse and ACDC the authors released
neither code nor weights; their rows give the shapes that others train with and are meant for own training.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from workbench.core.classes import ClassInfo, ClassTable
from workbench.volume.data.recipe import VolumeRecipe


@dataclass(frozen=True)
class Preset:
    """A recipe, the classes of the label map, and the network arguments that shapes cannot tell."""

    recipe: VolumeRecipe
    classes: ClassTable
    net: dict[str, Any] = field(default_factory=dict)


_BRATS = Preset(
    recipe=VolumeRecipe(
        channels=("FLAIR", "T1w", "T1gd", "T2w"),
        orientation="RAS",
        spacing_mm=None,  # trained on 1 mm data as it is
        axis_order="zyx",
        intensity="slice_minmax",
        crop="nonzero",
        roi=(128, 128, 128),
        activation="sigmoid",
        merge="brats",
    ),
    classes=ClassTable(
        (
            ClassInfo(1, "edema", (240, 228, 66)),
            ClassInfo(2, "non-enhancing tumour", (86, 180, 233)),
            ClassInfo(3, "enhancing tumour", (213, 94, 0)),
        )
    ),
    # The weights were trained before the official code changed its attention scale (see nets/segformer3d.py).
    net={"in_channels": 4, "num_classes": 3, "attention_scale": "num_heads"},
)

_SYNAPSE_ORGANS = (
    "spleen", "right kidney", "left kidney", "gallbladder", "oesophagus", "liver", "stomach", "aorta",
    "inferior vena cava", "portal and splenic veins", "pancreas", "right adrenal gland", "left adrenal gland",
)  # fmt: skip

_SYNAPSE = Preset(
    recipe=VolumeRecipe(
        channels=("CT",),
        spacing_mm=(0.76, 0.76, 3.0),
        axis_order="zyx",
        intensity="window",
        window=(-175.0, 250.0),
        crop="body",
        roi=(128, 128, 64),
    ),
    classes=ClassTable.from_names(_SYNAPSE_ORGANS),
    net={"in_channels": 1, "num_classes": 14},
)

_ACDC = Preset(
    recipe=VolumeRecipe(
        channels=("cine MR",),
        spacing_mm=(1.52, 1.52, 6.35),
        axis_order="zyx",
        intensity="zscore",
        crop="none",
        roi=(160, 160, 16),
    ),
    classes=ClassTable.from_names(("right ventricle", "myocardium", "left ventricle")),
    net={"in_channels": 1, "num_classes": 4},
)

PRESETS: dict[str, Preset] = {"brats": _BRATS, "synapse": _SYNAPSE, "acdc": _ACDC}
