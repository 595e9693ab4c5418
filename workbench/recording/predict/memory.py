"""What MEG-GPT takes of memory for a recording, from its header and the settings alone.

Everything but the tokens is float32 of the length of the recording at the rate of the weights. What is prepared,
decoded and restored lies in a temporary file when it is large, and then takes no memory that the system could not use
again.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

from workbench.core import memory
from workbench.core.memory import Need
from workbench.core.types import Image
from workbench.recording.data.pieces import IN_MEMORY, PIECE
from workbench.recording.predict.precision import chosen_precision

_RESERVE = 45 * 2**20
"""Modules that are imported on the way, and what the allocator holds back."""

_ROWS, _ROWS_ACCELERATOR = 96, 4096
"""Windows x channels that run together (`workbench.recording.predict.surprisal`)."""


def estimate(
    channels: int,
    sensors: int,
    samples: int,
    *,
    source_rate: float = 1.0,
    rate: float = 1.0,
    tokens: int = 256,
    helpers: int = 0,
    width: int = 0,
    hidden: int = 0,
    length: int = 0,
    layers: int = 1,
    weights: int = 0,
    surprisal: bool = True,
    reconstruction: bool = True,
    generated: int = 0,
    on_cpu: bool = True,
    half: bool = False,
) -> Need:
    """Bytes at the peak of `predict`, beyond what the process holds with the network loaded.

    Parameters
    ----------
    channels, sensors
        Rows that are tokenised, and rows of the recording they come from (components come from more sensors).
    samples
        At the rate of the weights.
    source_rate, rate
        Of the recording and of the weights [Hz].
    tokens
        Size of the vocabulary.
    helpers
        Channels that are read only to clean the others (EOG, ECG).
    width, hidden, length
        Of the transformer: features of a token, hidden features, samples of context; 0 without one.
    weights
        Bytes of the transformer: in bfloat16 a copy is made.
    generated
        Samples to generate.
    """
    one = samples * (1 if tokens <= 256 else 2)
    prepared = _kept((sensors + helpers) * samples) + (_kept(channels * samples) if channels != sensors else 0)
    # A piece as read (float64), resampled and filtered, of which some are there at the same time.
    piece = min(PIECE, 4 * (sensors + helpers) * samples)
    pieces = round(piece * (2 * max(1.0, source_rate / rate) + 3))
    moments = [{"prepared signals": prepared, "pieces": pieces}]
    held = {"prepared signals": prepared, "tokens": channels * one, "masks": 2 * samples}
    moments.append({**held, "raw tokens": channels * one, "windows": min(1536 * 200, channels * samples) * 40})
    decoded = _kept(channels * samples)
    rows = min(channels, max(1, (1 << 22) // max(1, samples)))
    moments.append({**held, "decoded signals": decoded, "decoding": 16 * rows * samples})
    moments.append({**held, "decoded signals": decoded, "variance": 32 * samples})
    restored = _kept(sensors * samples) if reconstruction else 0
    piece = min(samples, 1 << 15)
    moments.append({**held, "decoded signals": decoded, "reconstruction": restored, "restoring": 12 * sensors * piece})
    if surprisal and width:
        at_once = max(1, (_ROWS if on_cpu else _ROWS_ACCELERATOR) // channels) * channels
        network = at_once * length * (6 * width + 2 * hidden + tokens) * (2 if half else 4) if on_cpu else 0
        after = {**held, "reconstruction": restored, "surprisal": 4 * channels * samples}
        copy = weights // 2 if half else 0
        moments.append({**after, "network": network + copy})
        moments.append({**after, "peaks": 2 * channels * samples // 10 + 24 * samples})
    if generated:
        real = min(samples, round(120 * rate))
        compared = 24 * channels * (real + generated)  # spectra, envelopes and covariances of both
        made = {**held, "reconstruction": restored, "surprisal": 4 * channels * samples * bool(surprisal and width)}
        moments.append({**made, "generated signals": 8 * channels * generated, "comparison": compared})
    return Need.highest(*({**moment, "reserve": _RESERVE} for moment in moments))


def need_of(model: Any, image: Image, config: Any) -> Need:
    """What `predict` takes of memory on top of the loaded weights, from the header of the recording.

    Parameters
    ----------
    model, config
        `workbench.recording.meg_gpt.Model` and `Config`.
    """
    parts, gpt = model.parts, model.parts.gpt
    recipe = parts.recipe_for(config.kinds, config.reduce)
    source = 1.0 / float(image.geometry.affine[0, 0]) if image.geometry.affine is not None else recipe.sampling_rate
    samples = math.ceil(image.geometry.shape[0] * recipe.sampling_rate / source)
    there = len(image.channels)
    channels = min(there, parts.n_channels or there)
    net = {} if gpt is None else gpt.config
    weights = 0 if gpt is None else sum(p.numel() * p.element_size() for p in gpt.parameters())
    return estimate(
        channels,
        there if recipe.reduce == "pca" else channels,
        samples,
        source_rate=source,
        rate=recipe.sampling_rate,
        tokens=parts.codec.n_tokens,
        helpers=2 if recipe.ica else 0,
        width=int(net.get("model_dim", 0)),
        hidden=int(net.get("ff_dim", 0)),
        length=int(net.get("sequence_length", 0)),
        weights=weights,
        surprisal=config.surprisal,
        reconstruction=config.reconstruction,
        generated=round(config.generate * recipe.sampling_rate),
        on_cpu=model.device.type != "cuda",
        half=gpt is not None and chosen_precision(config.precision, model.device) == "bfloat16",
    )


def require_memory(model: Any, image: Image, config: Any) -> None:
    """Refuse before the recording is read; see `need_of`."""
    ways = {
        f"--no-{name}": partial(need_of, model, image, replace(config, **{name: False}))
        for name in ("reconstruction", "surprisal")
        if getattr(config, name)
    }
    advice = "Free memory, or cut the recording into parts."
    memory.require(need_of(model, image, config), image.source or image.name, advice, ways=ways)


def _kept(values: int) -> int:
    """Memory of a float32 array of `workbench.recording.data.pieces.scratch`."""
    return 4 * values if 4 * values <= IN_MEMORY else 0
