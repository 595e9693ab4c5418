"""The settings of a prediction on a recording: arguments, flags and form are made from this declaration. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.core.agreement import force_setting
from workbench.core.settings import setting


@dataclass(frozen=True)
class Config:
    """Settings of `predict`."""

    weights: str = setting("demo", "Weights: demo, a known name, or a file or folder.")
    device: str = setting("auto", "Where to compute: auto, cpu, cuda, cuda:N or mps.")
    allow_resample: bool = setting(
        True, "Resample a recording of another rate than the weights expect; without it such a recording is refused."
    )
    reduce: Literal["none", "pca"] = setting(
        "none", "pca: reduce more sensors than the weights know to as many components, a stated change of the data."
    )
    kinds: str = setting("", "Channel types to use, e.g. 'mag' or 'mag,grad'; empty: as the weights say.")
    channels: tuple[str, ...] = setting(
        (), "Names of the channels to use, in this order (one each, or with commas); empty: all of the kind."
    )
    bad_channels: tuple[str, ...] = setting(
        (), "Names of the bad channels (one each, or with commas), instead of those that the file calls bad; none: no "
        "channel is bad; empty: as the file says.",
    )  # fmt: skip
    session: str = setting(
        "mean",
        "Session vector, for weights that have them: mean, none, or the name of a session they learnt (its number, for "
        "weights that name none).",
    )
    surprisal: bool = setting(True, "Map how unexpected each sample is (nats), and mark its peaks.")
    reconstruction: bool = setting(True, "Also give the signals that the tokens stand for.")
    generate: float = setting(0.0, "Also generate signals of this length, and compare them.", unit="s", low=0.0)
    mode: Literal["anchored", "sliding", "full"] = setting(
        "anchored",
        "How to generate: anchored keeps what it computed between anchors (fast); sliding: exact, always the whole "
        "context; full: the same computed in the plain way (slow).",
    )
    top_p: float = setting(
        1.0, "Draw from the likeliest tokens that hold this probability; 1: from all, as learnt. The authors' 0.99 "
        "cuts the tails, and with them variance and weak rhythms.", low=0.01, high=1.0,
    )  # fmt: skip
    top_k: int = setting(0, "Draw from this many likeliest tokens; 0: no limit.", low=0)
    temperature: float = setting(1.0, "Above 1: more variety than learnt; below: less.", low=0.01, high=10.0)
    typical: float = setting(
        0.0, "Draw from the tokens of typical surprise that hold this probability; 0: off.", low=0.0, high=1.0
    )
    seed: int = setting(0, "Of what is generated.", low=0)
    threshold: float = setting(
        4.0, "How far above the usual surprisal a peak must be, in robust deviations over time.", low=0.5
    )
    min_gap: float = setting(0.25, "Peaks closer than this become one.", unit="s", low=0.0, advanced=True)
    bad_segments: bool = setting(
        False, "Look for bad segments and leave them out of the statistics; annotated ones always are.", advanced=True
    )
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "Number type: auto is bfloat16 where it is faster (GPUs, and CPUs made for it).", advanced=True
    )
    force: bool = force_setting()
