"""The settings of embedding a slide: arguments, flags and form are made from this declaration. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.core.settings import setting


@dataclass(frozen=True)
class Config:
    """Settings of `predict`."""

    weights: str = setting("demo", "Weights: demo, a known name (stainnet-small, stainnet-base), or a file or folder.")
    encoder: str = setting(
        "",
        "Instead of weights of StainNet, an encoder of another group by timm (extra timm): hf_hub:OWNER/NAME (first: "
        "workbench weights get hf_hub:OWNER/NAME --allow-download), or a folder with config.json and its weights.",
        advanced=True,
    )
    pooling: Literal["auto", "cls", "mean", "both"] = setting(
        "auto",
        "What stands for a tile: the class token (as published), the mean of the tokens of its patches, or both one "
        "after the other; auto is what the weights say, else the class token.",
        advanced=True,
    )
    device: str = setting("auto", "Where to compute: auto, cpu, cuda, cuda:N or mps.")
    mpp: float | None = setting(
        None,
        "Size of a pixel of the slide's finest level, where its file does not say or is wrong; by default as it says.",
        unit="um per pixel", low=0.02, high=20.0,
    )  # fmt: skip
    target_mpp: float = setting(
        0.5, "Scale of the tiles: micrometres per pixel, 0.5 is 20x.", unit="um per pixel", low=0.05, high=20.0
    )
    tile: int = setting(256, "Side of a tile, at the scale of the tiles.", unit="pixels", low=16, high=8192)
    stride: int | None = setting(
        None, "From one tile to the next; by default side by side. Smaller: they overlap.", unit="pixels", low=1,
        high=8192,
    )  # fmt: skip
    tissue: float = setting(
        0.5, "Least share of a tile that must be tissue; 0 takes all tiles of the slide, glass too.", low=0.0, high=1.0
    )
    roi: str = setting(
        "",
        "Only tiles in the outlines of this file (GeoJSON of QuPath, NDPA, ASAP or ImageScope XML), or in this mask "
        "(OME-TIFF, as the workbench writes tissue); of a folder the file that is called as the slide. Tissue is not "
        "looked for then, unless tissue_in_roi is set.",
        names_file=True,
    )
    roi_classes: str = setting("", "Of the outlines of roi only those of these classes, separated by commas.")
    tissue_in_roi: bool = setting(False, "Within the outlines of roi, take only tiles with tissue.")
    frame: Literal["file", "bounds"] = setting(
        "file",
        "What outlines in files of slides with marked bounds (MRXS) count from: the whole file, or the corner of the "
        "bounds as QuPath does.",
    )
    allow_upsample: bool = setting(False, "Enlarge slides that are coarser than target_mpp by more than 5 %.")
    icc: bool = setting(False, "Convert colours by the profile of the slide to sRGB.")
    stain_profile: str = setting(
        "",
        "File of 'workbench stains': slides are brought to these colours before the network sees them.",
        names_file=True,
    )
    keep_pen: bool = setting(False, "Take pen marks for tissue, too.", advanced=True)
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "Number type: auto is bfloat16 on a GPU and float32 on a CPU."
    )
    batch: int | None = setting(None, "Tiles at once; by default what suits the device.", low=1, advanced=True)
    reading_threads: int | None = setting(
        None, "Threads that read tiles; by default one for each processor, at most eight.", low=1, high=64,
        advanced=True,
    )  # fmt: skip
    parquet: bool = setting(False, "Also write the embeddings as Parquet (extra slides).", advanced=True)
    anndata: bool = setting(False, "Also write the embeddings as AnnData, .h5ad (extra slides).", advanced=True)
    most_tiles: int = setting(
        2_000_000, "Refuse slides with more tiles: a wrong scale makes millions.", low=1, advanced=True
    )
