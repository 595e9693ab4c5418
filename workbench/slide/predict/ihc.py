"""A slide of immunohistochemistry from its tissue to its positive and negative nuclei, tile by tile."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.core import settings
from workbench.core.atomic import sha256_of
from workbench.core.errors import InputError, UsageError
from workbench.core.types import Image, Progress, Result
from workbench.slide.data.color import to_srgb
from workbench.slide.data.scaled import scaled
from workbench.slide.data.stains import (
    KNOWN,
    Stains,
    estimated,
    looks_like_eosin,
    require_chromogen,
    stains_by_name,
    tinted,
)  # fmt: skip
from workbench.slide.data.stream import Damaged, TileStream, notes_of
from workbench.slide.data.tiles import Lattice
from workbench.slide.predict.area import Area, find_area, roi_file
from workbench.slide.predict.chosen import share_of
from workbench.slide.predict.ihc_nuclei import IhcRules, haematoxylin_threshold, look
from workbench.slide.predict.ihc_parts import SQUARE, ihc_parts
from workbench.slide.predict.mosaic import Cells, joined
from workbench.slide.predict.planned import core_on_slide, cores_of, on_slide, planned

if TYPE_CHECKING:
    from workbench.core.contract import PiecesOf
    from workbench.slide.ihc_settings import Config

NAME = "ihc"
CORE, MARGIN = 512, 64
"""Side of what one window decides, and what it sees around, in pixels. Windows lie at the same places of a slide
whatever is asked for: regions do not change what is found."""
PIECE = 64
"""Tiles that are kept together."""
_SAMPLED = 32
"""Windows that thresholds and colours are taken from."""
_FEW, _MOSTLY = 500, 0.6
"""Positive pixels from which it is looked where they lie, and the share of them that nuclei should hold."""
_WHITE = (255.0, 255.0, 255.0)
_HOW = {"reading_threads", "near"}


@dataclass(frozen=True, eq=False)
class _Seen:
    """What was found in some tiles.

    Parameters
    ----------
    cells
        Their nuclei.
    numbers, shares
        ``(N,)`` tiles, and ``(N, CORE / SQUARE, CORE / SQUARE)`` float32: positive share of the squares of each.
    pixels
        ``(3,)``: see `workbench.slide.predict.ihc_nuclei.Looked`.
    """

    cells: Cells
    numbers: npt.NDArray[np.int64]
    shares: npt.NDArray[np.float32]
    pixels: npt.NDArray[np.int64]


def find_positive(
    image: Image, config: Config, progress: Progress | None = None, pieces: PiecesOf | None = None
) -> Result:
    """Find the nuclei of a slide stained with haematoxylin and a chromogen, and tell how positive each is.

    Parameters
    ----------
    progress
        Called with (tiles done, tiles in all).
    pieces
        Where finished tiles are kept until the whole is written; see `workbench.core.contract.predict`.

    Returns
    -------
    Result
        ``nuclei``: an outline per nucleus, of the class Negative, 1+, 2+ or 3+ by the mean density of the chromogen in
        it, with measures; ``counts``; ``index``: share of positive ones, H-score and Allred score of all and of each
        region; ``areas``: how much is positive; ``positive_area`` and ``density``: maps; ``tissue``.

    Raises
    ------
    InputError
        The slide does not say how large its pixels are, or it is none of these stains.
    UsageError
        It is too coarse for the scale that is asked for, or a setting is wrong.
    """
    from workbench.core.provenance import Recorder

    name = image.source or image.name
    bins = (config.positive, config.moderate, config.strong)
    if not bins[0] < bins[1] < bins[2]:
        raise UsageError(f"--positive {bins[0]:g}, --moderate {bins[1]:g}, --strong {bins[2]:g}: each must be higher")
    if config.smallest >= config.largest:
        raise UsageError(f"--smallest {config.smallest:g} is not below --largest {config.largest:g}")
    slide = scaled(image, config.mpp)
    recorder = Recorder(NAME, config, None, slide)
    if config.icc:
        slide, said = to_srgb(slide)
        recorder.note(said)
    if slide.pyramid is None:
        raise InputError(f"{name}: is no slide: it has no levels")
    plan = planned(slide, config, config.target_mpp, CORE + 2 * MARGIN, MARGIN, name)
    tiles, area, chosen = plan.tiles, plan.area, plan.chosen
    for note in plan.notes:
        recorder.note(note)
    # Of all tissue, whatever region is asked for: a nucleus is not another one because of what else is counted.
    is_all = config.tissue and not (config.roi or config.tma)
    ground = area if is_all else _all_tissue(slide, config, name) or area
    sample = _sampled(slide, tiles, ground, config) if len(chosen) else []
    stains, told = _stains(config, ground, sample, name)
    for note in told:
        recorder.note(note)
    rules = IhcRules(config.target_mpp, 0.0, bins, config.smoothing, config.smallest, config.largest)
    found_on = config.haematoxylin
    if found_on is None and len(chosen):
        found_on = haematoxylin_threshold([stains.amounts(one) for one in sample], rules)
        if found_on is None:
            recorder.note(
                "beside the chromogen nothing stands out in haematoxylin: no negative nuclei were looked for, and the "
                "index says so; if there are some, give --haematoxylin"
            )
    rules = replace(rules, haematoxylin=math.inf if found_on is None else found_on)
    kept = None if pieces is None else pieces(_made_of(recorder.input_sha256, config, slide, stains, rules))
    found, damaged = _run(slide, tiles, chosen, stains, rules, config, kept, progress)
    for note in notes_of(damaged, len(chosen)):
        recorder.note(note)
    if cut := int(found.cells.is_cut.sum()):
        recorder.note(
            f"{cut} of {len(found.cells)} nuclei reach more than {MARGIN} pixels beyond their tile, and are cut"
        )
    colours = dict(zip(stains.names, stains.vectors.round(4).tolist(), strict=True))
    for note in _of_chromogen(found.pixels, stains.names[1]):
        recorder.note(note)
    recorder.details |= {
        "tiles": len(chosen), "mpp": list(slide.pyramid.mpp or ()), "mpp_source": slide.pyramid.mpp_source,
        "target_mpp": config.target_mpp, "stains": colours,
        "glass": list(stains.glass), "haematoxylin threshold [OD]": found_on and round(found_on, 4),
        "damaged": [asdict(d) for d in damaged[:1000]],
    }  # fmt: skip
    parts = ihc_parts(slide, tiles, area, chosen, found.cells, stains, config.near, found.numbers, found.shares)
    return Result(parts, slide, recorder.finish())


def _of_chromogen(pixels: npt.NDArray[np.int64], name: str) -> tuple[str, ...]:
    """What to say where much of what is positive is no nucleus."""
    positive, within, too_large = pixels.tolist()
    if positive < _FEW or within >= _MOSTLY * positive:
        return ()
    said = f"{100 * (1 - within / positive):.0f} % of what is stained by {name} lies in no nucleus that was counted"
    if too_large > (positive - within) / 3:
        said += " (most of it in pieces larger than --largest: dense, or stained beyond nuclei)"
    return (f"{said}: is it a stain of nuclei, and are scale, glass and thresholds right?",)


def _all_tissue(slide: Image, config: Config, name: Any) -> Area | None:
    """The tissue of the whole slide; ``None`` where it has none, or cannot be looked for."""
    plain = replace(config, roi="", roi_classes="", tissue_in_roi=False, tissue=True, tma=None)
    try:
        found = find_area(slide, plain, name)
    except InputError:  # no brightfield: whoever gives a region of it was told
        return None
    return found if found.mask.any() else None


def _sampled(slide: Image, tiles: Lattice, area: Area, config: Config) -> list[npt.NDArray[np.uint8]]:
    """Cores of some of the tiles, evenly over an area: what thresholds and colours are taken from."""
    assert slide.pyramid is not None
    share = share_of(area.mask, area.step, cores_of(tiles))
    full = np.flatnonzero(share >= min(0.5, float(share.max())))
    some = full[np.unique(np.linspace(0, len(full) - 1, _SAMPLED).round().astype(int))]
    windows = TileStream(slide.pyramid, tiles, some.tolist(), config.reading_threads)
    found = []
    for number, pixels in windows:
        rows, columns = core_on_slide(slide, tiles, number)
        own = pixels[MARGIN:-MARGIN, MARGIN:-MARGIN][rows, columns]
        if own.size:
            found.append(own)
    return found


def _stains(
    config: Config, area: Area, sample: Sequence[npt.NDArray[np.uint8]], name: Any
) -> tuple[Stains, tuple[str, ...]]:
    """The colours of the stains, as they are asked for, and what to say; refused where the slide has others."""
    if config.glass == "auto":
        glass = area.glass or _WHITE
    else:
        try:
            red, green, blue = (float(part) for part in config.glass.split(","))
        except ValueError:
            red = green = blue = 0.0
        if not all(32 <= one <= 255 for one in (red, green, blue)):
            raise UsageError(f"--glass {config.glass}: auto, or three numbers from 32 to 255 (R,G,B) were expected")
        glass = (red, green, blue)
    key = config.stains.strip().lower()
    pixels = np.concatenate([one.reshape(-1, 3)[::7] for one in sample]) if sample else np.zeros((0, 3), np.uint8)
    if len(pixels) and (np.ptp(pixels.astype(np.int16), axis=1) <= 1).all():
        raise InputError(f"{name}: its red, green and blue are equal: a grey picture has no stains to measure")
    if key == "estimate":
        if not sample:
            return stains_by_name("h-dab", glass), ()  # nothing will be looked at
        try:
            found = estimated(pixels, glass)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
    else:
        found = stains_by_name(config.stains, glass)
    if key in KNOWN:
        require_chromogen(pixels, key, glass, name)
    unseen = config.glass == "auto" and area.glass is None
    notes = (tinted(pixels) if unseen else "", "" if key in KNOWN else looks_like_eosin(pixels, glass))
    return found, tuple(note for note in notes if note)


def _made_of(input_sha256: str | None, config: Config, image: Image, stains: Stains, rules: IhcRules) -> dict[str, Any]:
    """All that decides what a piece holds."""
    plain = {k: v for k, v in settings.as_dict(config).items() if k not in _HOW}
    roi = roi_file(config, image) if config.roi else None
    return {
        "backend": NAME, "settings": plain, "input": input_sha256, "piece": PIECE,
        "roi": "" if roi is None else sha256_of(roi), "core": CORE, "margin": MARGIN, "square": SQUARE,
        "stains": stains.vectors.tolist(), "glass": list(stains.glass), "haematoxylin": str(rules.haematoxylin),
    }  # fmt: skip


def _run(
    slide: Image, tiles: Lattice, chosen: npt.NDArray[np.int64], stains: Stains, rules: IhcRules, config: Config,
    kept: Any, progress: Progress | None,
) -> tuple[_Seen, list[Damaged]]:  # fmt: skip
    """All tiles, some at a time; those that were done before a run was killed are taken as they are."""
    parts: list[_Seen] = []
    damaged: list[Damaged] = []
    if progress is not None:
        progress(0, len(chosen))
    for first in range(0, len(chosen), PIECE):
        some, name = chosen[first : first + PIECE], f"ihc-{first:08d}.npz"
        path = None if kept is None else kept.find(name)
        if path is not None:
            one, said = _unpacked(path.read_bytes())
        else:
            one, said = _look(slide, tiles, some, stains, rules, config, first, len(chosen), progress)
            if kept is not None:
                with kept.writing(name) as part:
                    part.write_bytes(_packed(one, said))
        parts.append(one)
        damaged += said
        if progress is not None:
            progress(first + len(some), len(chosen))
    along = CORE // SQUARE
    return _Seen(
        joined([p.cells for p in parts]),
        np.concatenate([p.numbers for p in parts]) if parts else np.zeros(0, np.int64),
        np.concatenate([p.shares for p in parts]) if parts else np.zeros((0, along, along), np.float32),
        sum((p.pixels for p in parts), np.zeros(3, np.int64)),
    ), damaged


def _look(
    slide: Image, tiles: Lattice, some: npt.NDArray[np.int64], stains: Stains, rules: IhcRules, config: Config,
    before: int, total: int, progress: Progress | None,
) -> tuple[_Seen, list[Damaged]]:  # fmt: skip
    assert slide.pyramid is not None
    columns = tiles.count[1]

    def work(number: int, pixels: npt.NDArray[np.uint8]) -> Any:
        row, column = divmod(number, columns)
        corner = (column * CORE - MARGIN, row * CORE - MARGIN)
        seen = look(pixels, stains, rules, MARGIN, corner, on_slide(slide, tiles, number))
        return seen, _shares(seen.brown > rules.bins[0], core_on_slide(slide, tiles, number))

    stream = TileStream(slide.pyramid, tiles, some.tolist(), config.reading_threads, work)
    cells, numbers, shares, counted = [], [], [], np.zeros(3, np.int64)
    for done, (number, made) in enumerate(stream, 1):
        cells.append(made[0].cells)
        counted += made[0].pixels
        shares.append(made[1])
        numbers.append(number)
        if progress is not None:
            progress(before + done, total)
    along = CORE // SQUARE
    every = np.stack(shares) if shares else np.zeros((0, along, along), np.float32)
    return _Seen(joined(cells), np.array(numbers, np.int64), every, counted), stream.damaged


def _shares(positive: npt.NDArray[np.bool_], on_slide: tuple[slice, slice]) -> npt.NDArray[np.float32]:
    """What share of each square of a core is positive; NaN beyond the slide."""
    seen = np.zeros(positive.shape, bool)
    seen[on_slide] = True
    along = CORE // SQUARE

    def summed(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        return np.asarray(mask.reshape(along, SQUARE, along, SQUARE).sum((1, 3)), np.float64)

    count = summed(seen)
    return np.where(count > 0, summed(positive & seen) / np.maximum(count, 1), np.nan).astype(np.float32)


def _packed(seen: _Seen, damaged: Sequence[Damaged]) -> bytes:
    buffer = io.BytesIO()
    said = np.frombuffer(json.dumps([asdict(d) for d in damaged]).encode(), np.uint8)
    cells = {f"cells_{name}": getattr(seen.cells, name) for name in Cells.__dataclass_fields__}
    np.savez(buffer, damaged=said, numbers=seen.numbers, shares=seen.shares, pixels=seen.pixels, **cells)
    return buffer.getvalue()


def _unpacked(content: bytes) -> tuple[_Seen, list[Damaged]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        said = json.loads(file["damaged"].tobytes())
        cells = Cells(**{name: file[f"cells_{name}"] for name in Cells.__dataclass_fields__})
        damaged = [Damaged(**{**d, "place": tuple(d["place"])}) for d in said]
        return _Seen(cells, file["numbers"], file["shares"], file["pixels"]), damaged
