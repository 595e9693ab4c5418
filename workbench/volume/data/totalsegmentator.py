"""Names of TotalSegmentator's classes by value, as its public class maps list them, for label files without names.

`v2` is its task ``total`` since version 2, `v1` the 104 classes of version 1, `mr` the task ``total_mr``.
"""

from __future__ import annotations


def _sides(name: str, order: str = "left right") -> list[str]:
    return [f"{name}_{side}" for side in order.split()]


def _spine(first: str) -> list[str]:
    levels = (
        [f"L{n}" for n in range(5, 0, -1)] + [f"T{n}" for n in range(12, 0, -1)] + [f"C{n}" for n in range(7, 0, -1)]
    )
    levels = ["S1", *levels] if first == "S1" else levels
    return [f"vertebrae_{level}" for level in levels]


def _numbered(names: list[str]) -> dict[int, str]:
    return dict(enumerate(names, start=1))


_RIBS = [f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 13)]
_LOBES = ["lung_upper_lobe_left", "lung_lower_lobe_left", "lung_upper_lobe_right", "lung_middle_lobe_right",
          "lung_lower_lobe_right"]  # fmt: skip
_HEAD = ["spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach"]
_ADRENALS = _sides("adrenal_gland", "right left")
_LIMBS = [*_sides("humerus"), *_sides("scapula"), *_sides("clavicula"), *_sides("femur"), *_sides("hip")]
_MUSCLES = [*_sides("gluteus_maximus"), *_sides("gluteus_medius"), *_sides("gluteus_minimus"), *_sides("autochthon"),
            *_sides("iliopsoas")]  # fmt: skip
_ILIAC = [*_sides("iliac_artery"), *_sides("iliac_vena")]

V1 = _numbered([
    *_HEAD, "aorta", "inferior_vena_cava", "portal_vein_and_splenic_vein", "pancreas", *_ADRENALS, *_LOBES,
    *_spine("L5"), "esophagus", "trachea", "heart_myocardium", "heart_atrium_left", "heart_ventricle_left",
    "heart_atrium_right", "heart_ventricle_right", "pulmonary_artery", "brain", *_ILIAC, "small_bowel", "duodenum",
    "colon", *_RIBS, *_LIMBS, "sacrum", "face", *_MUSCLES, "urinary_bladder",
])  # fmt: skip

V2 = _numbered([
    *_HEAD, "pancreas", *_ADRENALS, *_LOBES, "esophagus", "trachea", "thyroid_gland", "small_bowel", "duodenum",
    "colon", "urinary_bladder", "prostate", *_sides("kidney_cyst"), "sacrum", *_spine("S1"), "heart", "aorta",
    "pulmonary_vein",
    "brachiocephalic_trunk", *_sides("subclavian_artery", "right left"), *_sides("common_carotid_artery", "right left"),
    *_sides("brachiocephalic_vein"), "atrial_appendage_left", "superior_vena_cava", "inferior_vena_cava",
    "portal_vein_and_splenic_vein", *_ILIAC, *_LIMBS, "spinal_cord", *_MUSCLES, "brain", "skull", *_RIBS, "sternum",
    "costal_cartilages",
])  # fmt: skip

MR = _numbered([
    *_HEAD, "pancreas", *_ADRENALS, *_sides("lung"), "esophagus", "small_bowel", "duodenum", "colon", "urinary_bladder",
    "prostate", "sacrum", "vertebrae", "intervertebral_discs", "spinal_cord", "heart", "aorta", "inferior_vena_cava",
    "portal_vein_and_splenic_vein", *_ILIAC, *_LIMBS, *_MUSCLES, "brain",
])  # fmt: skip

LISTS = {"totalsegmentator": V2, "totalsegmentator_v1": V1, "totalsegmentator_mr": MR}
