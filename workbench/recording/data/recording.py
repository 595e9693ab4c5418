"""A recording opened for reading in pieces: channels, clock, annotations and events, with the samples left on disk."""

from __future__ import annotations

import configparser
import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.core.errors import PARSING, InputError, reading, reason
from workbench.core.types import Image, Marks, Signals, time_base

What = Literal["raw", "epochs", "evoked", "array"]
EventsFrom = Literal["", "triggers", "annotations", "file"]
Reader = Callable[[int, int, Sequence[int] | None], npt.NDArray[Any]]
Event = tuple[float, str]

BLOCK_BYTES = 64 * 1024**2


@dataclass(frozen=True, eq=False)
class Recording:
    """Time courses of named channels on one clock; `read` fetches a stretch of them.

    Parameters
    ----------
    channels, kinds
        Name and MNE channel type (``"mag"``, ``"grad"``, ``"eeg"``, ``"stim"``, ``"misc"``...) of each channel.
    sampling_rate
        Samples per second [Hz]; ``None`` where the file gives none: never a made-up number.
    n_samples
        Number of samples; of epochs the sum over all of them.
    start
        Time of the first sample [s].
    what
        ``"raw"``, ``"epochs"``, ``"evoked"`` or ``"array"``.
    reader
        ``reader(start, stop, channel numbers or None)`` gives ``(channels, stop - start)``.
    marks
        Annotations, on the recording's clock.
    bads
        Names of the channels that the file calls bad.
    info
        `mne.Info`, or ``None`` for bare arrays.
    segments
        Stretches ``(start, stop)`` of samples that follow each other without a break (the epochs, one by one).
    files
        The files that decide what is read, where that is not `source` alone: parts of a split recording, headers,
        lists of markers, side files.
    events_reader
        Finds the events; stimulus channels may have to be read whole, so it is asked once and only on demand.
    raw_opener
        Gives the MNE object, lazily where MNE can.
    first_time
        Time of the first sample on the clock of the file [s] (`mne.io.Raw.first_time`), which side files may go by.
    events_from
        Where `events` come from: stimulus channels, annotations, or a file beside the recording.
    event_notes
        What there is to say of `events`, once they were looked for.
    """

    channels: tuple[str, ...]
    kinds: tuple[str, ...]
    sampling_rate: float | None
    n_samples: int
    start: float
    what: What
    reader: Reader
    source: Path | None = None
    marks: Marks = field(default_factory=lambda: Marks(()))
    bads: tuple[str, ...] = ()
    info: Any = None
    segments: tuple[tuple[int, int], ...] = ()
    files: tuple[Path, ...] = ()
    events_reader: Callable[[], list[Event]] | None = None
    raw_opener: Callable[[], Any] | None = None
    first_time: float = 0.0
    events_from: EventsFrom = ""
    event_notes: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Samples per second [Hz]; an error that says where to write it if the file gives none."""
        if self.sampling_rate is None:
            raise InputError(
                f'{self.name}: no sampling rate is known. Write it as {{"sampling_rate": 250}} into a JSON file of'
                " the same name beside it, or add it to the path: file.npy:250Hz"
            )
        return self.sampling_rate

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.rate

    @property
    def name(self) -> str:
        return "recording" if self.source is None else str(self.source)

    @cached_property
    def events(self) -> list[Event]:
        """(time [s], code or name) of every event, in order of time."""
        return [] if self.events_reader is None else self.events_reader()

    @property
    def positions(self) -> npt.NDArray[np.float64] | None:
        """Sensor positions ``(C, 3)`` [m] (MEG: device coordinates, EEG: head coordinates), NaN where unknown."""
        if self.info is None:
            return None
        found = np.array([ch["loc"][:3] for ch in self.info["chs"]], dtype=np.float64)
        found[~np.isfinite(found).all(axis=1) | (found == 0).all(axis=1)] = np.nan
        return None if np.isnan(found).all() else found

    def read(
        self, start: int = 0, stop: int | None = None, channels: Sequence[int | str] | None = None
    ) -> npt.NDArray[np.float32]:
        """Samples `start` to `stop` (exclusive) as float32 ``(channels, stop - start)``, in SI units (T, T/m, V).

        Parameters
        ----------
        channels
            Names or numbers of channels, in the order wanted; all of them by default.

        Raises
        ------
        InputError
            If the stretch or a channel does not exist, or the file cannot be read there.
        """
        stop = self.n_samples if stop is None else stop
        if not 0 <= start <= stop <= self.n_samples:
            raise InputError(
                f"{self.name}: samples {start} to {stop} were asked for, the recording has 0 to {self.n_samples}."
            )
        picks = None if channels is None else self.numbers(channels)
        if start == stop:
            return np.empty((len(self.channels if picks is None else picks), 0), np.float32)
        found = np.asarray(self.reader(start, stop, picks), dtype=np.float32)
        expected = (len(self.channels) if picks is None else len(picks), stop - start)
        if found.shape != expected:
            raise InputError(f"{self.name}: samples {start} to {stop} came as {found.shape}, expected {expected}.")
        return found

    def numbers(self, channels: Sequence[int | str]) -> list[int]:
        """Channel numbers of names (or numbers)."""
        from workbench.core.errors import nearest

        rows = {name: i for i, name in enumerate(self.channels)}
        found = []
        for channel in channels:
            number = rows.get(channel) if isinstance(channel, str) else int(channel)
            if number is None or not 0 <= number < len(self.channels):
                raise InputError(f"{self.name}: no channel '{channel}'.{nearest(str(channel), self.channels)}")
            found.append(number)
        return found

    def blocks(self, seconds: float | None = None) -> Iterator[tuple[int, int]]:
        """Stretches of samples that cover the recording; of `seconds`, or so many that they fit `BLOCK_BYTES`."""
        step = BLOCK_BYTES // (8 * max(1, len(self.channels))) if seconds is None else round(seconds * self.rate)
        for start in range(0, self.n_samples, max(1, step)):
            yield start, min(start + max(1, step), self.n_samples)

    @property
    def continuous(self) -> tuple[tuple[int, int], ...]:
        """`segments`, or the whole recording as one."""
        return self.segments or ((0, self.n_samples),)

    def raw(self) -> Any:
        """The recording as `mne.io.Raw`: MNE's own reader where the file is continuous, else an array in memory.

        Raises
        ------
        InputError
            If there is no sampling rate.
        """
        if self.raw_opener is not None:
            return self.raw_opener()
        import mne

        info = self.info if self.info is not None else made_info(self.channels, self.rate, self.kinds)
        with mne_quiet():
            raw = mne.io.RawArray(np.asarray(self.read(), dtype=np.float64), info.copy(), verbose="ERROR")
            # MNE's clock of an array starts at 0, ours at `start`.
            raw.set_annotations(as_annotations(self.marks, self.start))
        return raw


@dataclass(frozen=True, eq=False)
class RecordingNative:
    """What the image of a recording keeps for later: how to open it, and the files that it was read from."""

    open: Callable[[], Recording]
    files: tuple[Path, ...] = ()


def open_recording(image: Image | Signals | Recording) -> Recording:
    """Open a recording for reading in pieces; no samples are loaded.

    An image made in memory gives its samples from memory.

    Raises
    ------
    InputError
        If the image is no recording.
    """
    if isinstance(image, Recording):
        return image
    if isinstance(image, Signals):
        kinds = image.kinds or ("misc",) * len(image.channels)
        known = image.native is not None and tuple(image.native["ch_names"]) == image.channels
        return array_recording(
            image.data, image.channels, image.sampling_rate, start=image.start, kinds=kinds,
            info=image.native if known else None,
        )  # fmt: skip
    if image.kind != "recording":
        raise InputError(f"{image.source or image.name}: this is a {image.kind}, a recording was expected.")
    if isinstance(image.native, RecordingNative):
        return image.native.open()
    rate = None if image.geometry.affine is None else 1.0 / float(image.geometry.affine[0, 0])
    start = 0.0 if image.geometry.affine is None else float(image.geometry.affine[0, 1])
    kinds = tuple(image.header.get("kinds") or ("misc",) * len(image.channels))
    return array_recording(image.data, image.channels, rate, start=start, kinds=kinds, source=image.source)


def array_recording(
    data: npt.NDArray[Any],
    channels: Sequence[str],
    sampling_rate: float | None,
    *,
    start: float = 0.0,
    kinds: Sequence[str] = (),
    marks: Marks | None = None,
    events: Sequence[Event] = (),
    bads: Sequence[str] = (),
    info: Any = None,
    source: Path | None = None,
) -> Recording:
    """A recording of an array ``(channels, samples)``, which may be a memory map."""

    def reader(first: int, last: int, picks: Sequence[int] | None) -> npt.NDArray[Any]:
        part = data[:, first:last]
        return part if picks is None else part[list(picks)]

    return Recording(
        channels=tuple(channels),
        kinds=tuple(kinds) or ("misc",) * len(channels),
        sampling_rate=sampling_rate,
        n_samples=int(data.shape[1]),
        start=start,
        what="array",
        reader=reader,
        source=source,
        marks=marks or Marks(()),
        bads=tuple(bads),
        info=info,
        events_reader=lambda: list(events),
    )


def image_of(data: npt.NDArray[Any], channels: Sequence[str], sampling_rate: float, **more: Any) -> Image:
    """An `Image` of kind ``"recording"`` from an array ``(channels, samples)``; `more` as in `array_recording`."""
    recording = array_recording(np.asarray(data), channels, sampling_rate, **more)
    return Image(
        geometry=time_base(recording.n_samples, sampling_rate, recording.start),
        dtype=np.dtype(np.float32),
        channels=recording.channels,
        loader=recording.read,
        kind="recording",
        source=recording.source,
        format="array",
        header=summary(recording),
        native=RecordingNative(lambda: recording),
    )


def summary(recording: Recording, **more: Any) -> dict[str, Any]:
    """The header of a recording's image: plain values, no names of people."""
    info, rate = recording.info, recording.sampling_rate
    return {
        "what": recording.what,
        "sampling_rate": rate,
        "duration_s": None if rate is None else round(recording.n_samples / rate, 6),
        "kinds": list(recording.kinds),
        "bads": list(recording.bads),
        "highpass": None if info is None else float(info["highpass"]),
        "lowpass": None if info is None else float(info["lowpass"]),
        "line_freq": None if info is None or info["line_freq"] is None else float(info["line_freq"]),
        "n_annotations": len(recording.marks),
        "has_positions": recording.positions is not None,
        **more,
    }


def made_info(channels: Sequence[str], sampling_rate: float, kinds: Sequence[str]) -> Any:
    """`mne.Info` for bare arrays: names, types and sampling rate, nothing else."""
    import mne

    return mne.create_info(list(channels), sampling_rate, list(kinds), verbose="ERROR")


def as_annotations(marks: Marks, start: float = 0.0) -> Any:
    """`mne.Annotations` whose onsets count from the first sample, at `start`: as `set_annotations` takes them."""
    import mne

    return mne.Annotations(
        [m.onset - start for m in marks], [m.duration for m in marks], [m.label for m in marks],
        orig_time=None, ch_names=[list(m.channels) for m in marks],
    )  # fmt: skip


@contextlib.contextmanager
def mne_quiet(kept: list[str] | None = None) -> Iterator[None]:
    """MNE's warnings as one-line texts in `kept` instead of on the screen."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    if kept is not None:
        for warning in caught:
            text = " ".join(str(warning.message).split())
            if "naming conventions" not in text and text not in kept:
                kept.append(text)


MNE_DAMAGED = (*PARSING, configparser.Error, UnboundLocalError)
"""What MNE's readers raise on damaged files."""


@contextlib.contextmanager
def mne_step(name: str) -> Iterator[None]:
    """Around calls of MNE in a step of preprocessing: what MNE refuses becomes one line that names the step."""
    try:
        yield
    except (ArithmeticError, LookupError, OSError, RuntimeError, ValueError) as error:
        raise InputError(f"step '{name}' cannot be done: {reason(error)}") from error


def mne_call(path: Path, work: Callable[[], Any], warned: list[str]) -> Any:
    """Run one of MNE's readers, and nothing of ours; what it raises becomes one line that names the file."""
    with (
        mne_quiet(warned),
        reading(path, "cannot be read", "Is it complete? Copy or export it again.", kinds=MNE_DAMAGED),
    ):
        return work()
