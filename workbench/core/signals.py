"""Time courses and annotations: what a recording and its results are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.core.geometry import Geometry


@dataclass(frozen=True, eq=False)
class Signals:
    """Time courses, or anything with one value per channel and sample (tokens, surprisal).

    Parameters
    ----------
    data
        ``(channels, samples)``; float32 for signals and maps, unsigned integers for tokens.
    channels
        One name per row of `data`.
    geometry
        The time base: ``shape == (samples,)``, axes ``("time",)``, unit ``"s"``; see `time_base`.
    name
        Short name, used for files and layers.
    unit
        Unit of the values (``"T"``, ``"z"``, ``"nats"``) or ``None``.
    role
        ``"signal"`` for time courses, ``"tokens"`` for token numbers (0 is unseen), ``"map"`` for other values.
    kinds
        MNE channel type of each channel (``"mag"``, ``"grad"``, ``"eeg"``, ``"misc"``), or empty.
    native
        The reader's own header object (`mne.Info`), with positions, where there is one.
    """

    data: npt.NDArray[Any]
    channels: tuple[str, ...]
    geometry: Geometry
    name: str
    unit: str | None = None
    role: Literal["signal", "tokens", "map"] = "signal"
    kinds: tuple[str, ...] = ()
    native: Any = None

    def __post_init__(self) -> None:
        expected = (len(self.channels), *self.geometry.shape)
        if self.data.shape != expected:
            raise ValueError(f"signals '{self.name}' have shape {self.data.shape}, expected {expected}")

    @property
    def sampling_rate(self) -> float:
        """Samples per second [Hz]."""
        return sampling_rate_of(self.geometry)

    @property
    def start(self) -> float:
        """Time of the first sample [s]."""
        return 0.0 if self.geometry.affine is None else float(self.geometry.affine[0, 1])


def time_base(samples: int, sampling_rate: float, start: float = 0.0) -> Geometry:
    """Geometry of a recording: sample n lies at ``start + n / sampling_rate`` seconds."""
    affine = np.array([[1.0 / sampling_rate, start], [0.0, 1.0]])
    return Geometry((samples,), affine, ("time",), "s")


def sampling_rate_of(geometry: Geometry) -> float:
    """Samples per second [Hz] of a time base."""
    if geometry.affine is None:
        raise ValueError("this time base has no sampling rate")
    return float(1.0 / geometry.affine[0, 0])


@dataclass(frozen=True)
class Mark:
    """One stretch of time with a name, as an MNE annotation: onset and duration in seconds of the recording's clock.

    `channels` is empty where the mark concerns all of them.
    """

    onset: float
    duration: float
    label: str
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Marks:
    """Annotations of a recording, in the order of their onsets."""

    marks: tuple[Mark, ...]
    name: str = "annotations"

    def __iter__(self) -> Iterator[Mark]:
        return iter(self.marks)

    def __len__(self) -> int:
        return len(self.marks)
