"""The small picture of a recording: a few channels over its whole length, annotations, and surprisal below them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.core.preview import LONG_SIDE, Pixels, png_of
from workbench.core.types import Image, Marks, Result, Signals
from workbench.recording.data.channels import choose_channels
from workbench.recording.data.recipe import RecordingRecipe
from workbench.recording.data.recording import Recording, open_recording

HEIGHT = 180
MARK = (230, 159, 0)
"""Colour of annotations."""
_TRACE = (0, 70, 120)
_CHANNELS = 8
_TOP, _STRIP = 6, 14
_LIMIT = 4.0
_MANY = 16 << 20
_LOOK = 256
_RAMP = np.array([(255, 255, 255), (253, 190, 110), (200, 60, 70), (60, 0, 60)], np.float32)

Array = npt.NDArray[Any]


def preview(result: Result) -> bytes:
    """PNG of up to eight channels, evenly chosen, as the range of values under each column of pixels.

    Orange: annotations of the result and of the recording. The strip at the bottom is the surprisal, its mean over
    channels, dark where it is high. A long recording is looked at in pieces, a few hundred samples for each column.
    """
    image = result.image
    recording = open_recording(image)
    surprise = next((p for p in result.parts.values() if isinstance(p, Signals) and p.role == "map"), None)
    pixels = np.full((HEIGHT, LONG_SIDE, 3), 255, np.uint8)
    bottom = HEIGHT - (_STRIP if surprise is not None else 0)
    area = pixels[_TOP:bottom]
    low, high = _envelopes(image, recording, _numbers(recording))
    _draw(area, low, high)
    if recording.sampling_rate is not None:
        columns = _marked(result, recording)
        area[:, columns] = np.rint(area[:, columns] * 0.7 + np.array(MARK) * 0.3).astype(np.uint8)
        pixels[: _TOP - 1, columns] = MARK
    if surprise is not None:
        pixels[bottom + 2 :] = _strip(surprise)
    return png_of(pixels)


def _numbers(recording: Recording) -> list[int]:
    """A few channels, evenly out of those that a network would get."""
    try:
        numbers: Sequence[int] = choose_channels(recording, RecordingRecipe()).numbers
    except InputError:  # no brain signal in it
        numbers = range(len(recording.channels))
    at = np.linspace(0, len(numbers) - 1, min(_CHANNELS, len(numbers))).round().astype(int)
    return [int(numbers[i]) for i in at]


def _envelopes(image: Image, recording: Recording, numbers: list[int]) -> tuple[Array, Array]:
    """Lowest and highest value of each channel under each column, in robust deviations from the median."""
    n = recording.n_samples

    def read(start: int, stop: int) -> Array:
        found = image.data[numbers, start:stop] if image.is_loaded else recording.read(start, stop, numbers)
        return np.where(np.isfinite(found), found, 0).astype(np.float32)

    edges = np.arange(LONG_SIDE + 1) * n // LONG_SIDE
    if n * len(numbers) <= _MANY:
        sample = read(0, n)
        low = np.minimum.reduceat(sample, edges[:-1], axis=1)
        high = np.maximum.reduceat(sample, edges[:-1], axis=1)
    else:
        looks = [read(int(a), int(min(a + _LOOK, b))) for a, b in pairwise(edges)]
        low, high = (np.stack([f(x, axis=1) for x in looks], axis=1) for f in (np.min, np.max))
        sample = np.concatenate([x[:, ::8] for x in looks], axis=1)
    sample = sample[:, :: max(1, sample.shape[1] // 20_000)]
    middle = np.median(sample, axis=1, keepdims=True)
    scale = 1.4826 * np.median(np.abs(sample - middle), axis=1, keepdims=True)
    scale = np.where(scale > 0, scale, sample.std(axis=1, keepdims=True))
    scale = np.where(scale > 0, scale, 1)
    return (low - middle) / scale, (high - middle) / scale


def _draw(area: Pixels, low: Array, high: Array) -> None:
    """One line of columns per channel, from top to bottom; each column reaches to the one before it."""
    low[:, 1:], high[:, 1:] = np.minimum(low[:, 1:], high[:, :-1]), np.maximum(high[:, 1:], low[:, :-1])
    band = len(area) / max(1, len(low))
    rows = np.arange(len(area))[:, None]
    for number, (least, most) in enumerate(zip(low, high, strict=True)):
        top, bottom = (
            np.rint(band * (number + 0.5) - np.clip(v, -_LIMIT, _LIMIT) * (band / 2 - 1) / _LIMIT)
            for v in (most, least)
        )
        area[(rows >= top) & (rows <= bottom)] = _TRACE


def _marked(result: Result, recording: Recording) -> npt.NDArray[np.bool_]:
    """Columns that an annotation lies over."""
    columns = np.zeros(LONG_SIDE, bool)
    parts = [p for p in result.parts.values() if isinstance(p, Marks)]
    per_second = LONG_SIDE * recording.rate / max(1, recording.n_samples)
    for mark in (m for marks in (recording.marks, *parts) for m in marks):
        begin = (mark.onset - recording.start) * per_second
        end = begin + mark.duration * per_second
        if end >= 0 and begin < LONG_SIDE:
            first = max(0, int(begin))
            columns[first : max(first + 1, int(np.ceil(min(end, LONG_SIDE))))] = True
    return columns


def _strip(surprise: Signals) -> Pixels:
    """One row of colours: the highest of the mean over channels under each column."""
    data = surprise.data
    step = max(1, data.size // _MANY)
    means = []
    for start in range(0, data.shape[1], block := step * max(1, (1 << 20) // max(1, len(data)))):
        piece = np.asarray(data[:, start : start + block : step])
        told = np.isfinite(piece)
        counts = told.sum(axis=0)
        sums = np.where(told, piece, 0).sum(axis=0, dtype=np.float64)
        means.append(np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf))
    mean = np.concatenate(means)
    values = np.maximum.reduceat(mean, np.arange(LONG_SIDE) * len(mean) // LONG_SIDE)
    known = values[np.isfinite(values)]
    if not known.size:
        return np.full((LONG_SIDE, 3), 235, np.uint8)
    low, high = (float(v) for v in np.percentile(known, (1, 99.5)))
    place = np.clip((np.where(np.isfinite(values), values, low) - low) / ((high - low) or 1), 0, 1) * (len(_RAMP) - 1)
    colours = np.stack([np.interp(place, np.arange(len(_RAMP)), c) for c in _RAMP.T], axis=1)
    return np.where(np.isinf(values)[:, None], 235, np.rint(colours)).astype(np.uint8)
