"""The settings of counting positive nuclei: arguments, flags and form are made from this declaration. No torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from workbench.core.settings import setting


@dataclass(frozen=True)
class _Finding:
    """How nuclei are found and named, whatever is done with them then."""

    mpp: float | None = setting(
        None,
        "Size of a pixel of the slide's finest level, where its file does not say or is wrong; by default as it says.",
        unit="um per pixel", low=0.02, high=20.0,
    )  # fmt: skip
    target_mpp: float = setting(
        0.5, "Scale at which nuclei are looked for: 0.5 is 20x.", unit="um per pixel", low=0.2, high=1.0
    )
    stains: str = setting(
        "h-dab",
        "Colours of the stains: h-dab, h-aec, estimate (from the slide itself), or six numbers: red, green and blue of "
        "haematoxylin, then those of the other stain.",
    )
    glass: str = setting(
        "auto",
        "Colour of glass without tissue: auto (what is found on the slide; white where there is none), or R,G,B.",
        advanced=True,
    )
    positive: float = setting(
        0.2, "Mean density of the chromogen in a nucleus from which it is positive (1+).", unit="OD", low=0.01, high=3.0
    )
    moderate: float = setting(0.4, "The same for 2+.", unit="OD", low=0.01, high=3.0)
    strong: float = setting(0.6, "The same for 3+.", unit="OD", low=0.01, high=3.0)
    haematoxylin: float | None = setting(
        None,
        "Density of haematoxylin from which something is a nucleus; by default found on the slide (Otsu).",
        unit="OD", low=0.01, high=3.0,
    )  # fmt: skip
    smoothing: float = setting(
        0.75, "Deviation of the smoothing before nuclei are cut.", unit="um", low=0.1, high=5.0, advanced=True
    )
    smallest: float = setting(10.0, "Smaller pieces are no nuclei.", unit="um2", low=1.0, high=1000.0)
    largest: float = setting(400.0, "Larger pieces are no nuclei.", unit="um2", low=10.0, high=10_000.0)
    allow_upsample: bool = setting(False, "Enlarge slides that are coarser than target_mpp by more than 5 %.")


@dataclass(frozen=True)
class Config(_Finding):
    """Settings of `predict`."""

    tma: float | None = setting(
        None,
        "Diameter of the cores of a tissue microarray: they are found, numbered (A-1, A-2, ...), and counted one by "
        "one; by default there are none.",
        unit="mm", low=0.2, high=5.0,
    )  # fmt: skip
    roi: str = setting(
        "",
        "Only nuclei in the outlines of this file (GeoJSON of QuPath, NDPA, ASAP or ImageScope XML), or in this mask "
        "(OME-TIFF, as the workbench writes tissue); of a folder the file that is called as the slide. Tissue is not "
        "looked for then, unless tissue_in_roi is set.",
        names_file=True,
    )
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
    icc: bool = setting(False, "Convert colours by the profile of the slide to sRGB.")
    keep_pen: bool = setting(False, "Take pen marks for tissue, too.", advanced=True)
    reading_threads: int | None = setting(
        None, "Threads that read and work on tiles; by default one for each processor, at most eight.", low=1, high=64,
        advanced=True,
    )  # fmt: skip
    most_tiles: int = setting(
        500_000, "Refuse slides with more tiles: a wrong scale makes millions.", low=1, advanced=True
    )


@dataclass(frozen=True)
class EvaluateConfig(_Finding):
    """Settings of `evaluate`: how nuclei are found (a list may give a column mpp), and how they are scored."""

    radius: float = setting(
        3.0, "Two centres within this distance are one nucleus (detection).", unit="um", low=0.1, high=50.0
    )
    bins: bool = setting(False, "Score 1+, 2+ and 3+ one by one; without, Positive against Negative.")
    classes: str = setting(
        "",
        "Which class of the labels is which of ours, where names do not say it: 'Positive:2,Negative:1', our name, "
        "then name or number of the labels.",
    )
    match: Literal["name", "number"] = setting(
        "name", "Labels without names: name refuses them, number takes equal numbers for the same class."
    )
    classical: bool = setting(
        True, "Also score the way for other stains (Otsu of haematoxylin, watershed of the distance to the edge)."
    )
    worst: int = setting(3, "How many of the worst pictures to show.", low=0, high=50)

    def of_predict(self) -> Config:
        """How nuclei are found: everywhere on the picture, for its labels say where there are none."""
        return Config(tissue=False, **{f.name: getattr(self, f.name) for f in fields(_Finding)})
