"""The settings of finding nuclei: arguments, flags and form are made from this declaration. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.core.settings import setting


@dataclass(frozen=True)
class CellConfig:
    """Settings of `predict`."""

    weights: str = setting("demo", "Weights: demo, a known name, or a file or folder.")
    device: str = setting("auto", "Where to compute: auto, cpu, cuda, cuda:N or mps.")
    mpp: float | None = setting(
        None,
        "Size of a pixel of the slide's finest level, where its file does not say or is wrong; by default as it says.",
        unit="um per pixel", low=0.02, high=20.0,
    )  # fmt: skip
    target_mpp: float | None = setting(
        None,
        "Scale at which nuclei are looked for: micrometres per pixel, 0.25 is 40x; by default that of the weights.",
        unit="um per pixel", low=0.2, high=1.0,
    )  # fmt: skip
    roi: str = setting(
        "",
        "Only nuclei in the outlines of this file (GeoJSON of QuPath, NDPA, ASAP or ImageScope XML), or in this mask "
        "(OME-TIFF, as the workbench writes tissue); of a folder the file that is called as the slide. Tissue is not "
        "looked for then, unless tissue_in_roi is set.",
        names_file=True,
    )
    tma: float | None = setting(
        None,
        "Diameter of the cores of a tissue microarray: they are found, numbered (A-1, A-2, ...), and counted one by "
        "one; by default there are none.",
        unit="mm", low=0.2, high=5.0,
    )  # fmt: skip
    roi_classes: str = setting("", "Of the outlines of roi only those of these classes, separated by commas.")
    tissue_in_roi: bool = setting(False, "Within the outlines of roi, look for tissue, too.")
    frame: Literal["file", "bounds"] = setting(
        "file",
        "What outlines in files of slides with marked bounds (MRXS) count from: the whole file, or the corner of the "
        "bounds as QuPath does.",
    )
    tissue: bool = setting(True, "Look in tissue only; without, everywhere, on glass too.", advanced=True)
    near: float = setting(
        25.0, "Radius within which neighbours of a nucleus are counted.", unit="um", low=1.0, high=500
    )
    embeddings: bool = setting(False, "Also write the embedding of every nucleus: what the encoder saw there.")
    flips: bool = setting(False, "Look four times, mirrored, and take the mean: better, and four times as long.")
    normalise: Literal["fixed", "exact"] = setting(
        "fixed",
        "Where one nucleus ends: fixed takes one scale for all tiles; exact the published rule, the steepest slope of "
        "each tile with what lies around it: what else a tile holds then changes what is found.",
        advanced=True,
    )
    allow_upsample: bool = setting(False, "Enlarge slides that are coarser than target_mpp by more than 5 %.")
    icc: bool = setting(False, "Convert colours by the profile of the slide to sRGB.")
    stain_profile: str = setting(
        "",
        "File of 'workbench stains': slides are brought to these colours before the network sees them.",
        names_file=True,
    )
    keep_pen: bool = setting(False, "Take pen marks for tissue, too.", advanced=True)
    tile: int = setting(
        512,
        "Side of what is read and put together at once; the network looks through windows of 512 at the same places "
        "whatever it is, so that it does not change what is found.",
        unit="pixels", low=256, high=4096, advanced=True,
    )  # fmt: skip
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "Number type: auto is bfloat16 on a GPU and float32 on a CPU.", advanced=True
    )
    batch: int | None = setting(None, "Tiles at once; by default what suits the device.", low=1, advanced=True)
    reading_threads: int | None = setting(
        None, "Threads that read tiles; by default one for each processor, at most eight.", low=1, high=64,
        advanced=True,
    )  # fmt: skip
    most_tiles: int = setting(
        500_000, "Refuse slides with more tiles: a wrong scale makes millions.", low=1, advanced=True
    )
