"""How a recording must be prepared for a network, as plain data that travels inside the weight file."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from workbench.core.errors import WeightsError


@dataclass(frozen=True)
class RecordingRecipe:
    """Preparation of a recording, applied in this order.

    Parameters
    ----------
    kinds
        MNE channel types to take; empty: MEG if there is any, else EEG, else whatever carries data (parcels).
    sampling_rate
        Samples per second [Hz] after resampling.
    notch
        Frequencies [Hz] to remove with their harmonics; ``"auto"``: the line frequency that the file names, if any.
    band
        Lower and upper edge of the band-pass [Hz], either may be ``None``; ``None``: no band-pass.
    bad_segments
        Whether to look for bad stretches (amplitude and derivative); annotations that begin with ``bad`` always count.
    ica
        Remove what goes with eye (``"eog"``) and heart (``"ecg"``) channels by independent component analysis.
    channels
        Names of the channels in the order of the network; ``None``: any.
    reduce
        ``"pca"``: reduce standardised sensors to `n_channels` principal components.
    n_channels
        Number of channels that the network takes; ``None``: any number.
    standardise
        Subtract the mean and divide by the standard deviation of each channel over the good samples of the recording.
    """

    kinds: tuple[str, ...] = ()
    sampling_rate: float = 250.0
    notch: tuple[float, ...] | Literal["auto"] | None = None
    band: tuple[float | None, float | None] | None = None
    bad_segments: bool = False
    ica: tuple[str, ...] = ()
    channels: tuple[str, ...] | None = None
    reduce: Literal["none", "pca"] = "none"
    n_channels: int | None = None
    standardise: bool = True

    def __post_init__(self) -> None:
        for key in ("kinds", "ica", "channels", "notch", "band"):
            value = getattr(self, key)
            if isinstance(value, list):
                object.__setattr__(self, key, tuple(value))
        if isinstance(self.notch, int | float) and not isinstance(self.notch, bool):
            object.__setattr__(self, "notch", (float(self.notch),))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RecordingRecipe:
        """Inverse of `to_json`; unknown keys or impossible values mean another version, or a broken file."""
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise WeightsError(
                f"the weight file's recipe has unknown entries {sorted(unknown)}; update napari-workbench"
            )
        recipe = cls(**values)
        recipe._check()
        return recipe

    def _check(self) -> None:
        def number(value: Any, low: float = 0.0) -> bool:
            plain = isinstance(value, int | float) and not isinstance(value, bool)
            return plain and math.isfinite(value) and value > low

        def names(value: Any) -> bool:
            return isinstance(value, tuple) and all(isinstance(v, str) for v in value)

        band, notch = self.band, self.notch
        bands = band is None or (
            isinstance(band, tuple) and len(band) == 2 and all(b is None or number(b) for b in band)
        )
        if bands and band is not None and band[0] is not None and band[1] is not None:
            bands = band[0] < band[1]
        fine = {
            "kinds": names(self.kinds),
            "sampling_rate": number(self.sampling_rate),
            "notch": notch is None or notch == "auto" or (isinstance(notch, tuple) and all(number(f) for f in notch)),
            "band": bands,
            "ica": names(self.ica) and set(self.ica) <= {"eog", "ecg"},
            "channels": self.channels is None or (names(self.channels) and len(self.channels) > 0),
            "reduce": self.reduce in ("none", "pca"),
            "n_channels": self.n_channels is None or (isinstance(self.n_channels, int) and self.n_channels > 0),
            "standardise": isinstance(self.standardise, bool),
            "bad_segments": isinstance(self.bad_segments, bool),
        }
        for key, valid in fine.items():
            if not valid:
                raise WeightsError(f"the recipe's {key} is {getattr(self, key)!r}, which cannot be used")
