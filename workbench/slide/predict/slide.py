"""A slide from its tissue to the embeddings of its tiles, in pieces that a run which was killed need not do again."""

from __future__ import annotations

import copy
import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.core import settings
from workbench.core.atomic import sha256_of
from workbench.core.errors import InputError, UsageError
from workbench.core.types import Image, Progress, Result
from workbench.slide.data.color import to_srgb
from workbench.slide.data.resample import ratio, upsampling_note
from workbench.slide.data.scaled import scaled
from workbench.slide.data.stream import Damaged, TileStream, notes_of
from workbench.slide.data.tiles import Lattice, lattice
from workbench.slide.predict.area import Area, find_area, roi_file
from workbench.slide.predict.chosen import share_of, sharpness_of
from workbench.slide.predict.found import Found
from workbench.slide.predict.heads import said_of, with_classes
from workbench.slide.predict.model import precision_of
from workbench.slide.predict.parts import parts_of
from workbench.slide.predict.stain_slide import in_profile

if TYPE_CHECKING:
    import torch

    from workbench.core.contract import PiecesOf
    from workbench.core.pieces import Pieces
    from workbench.slide.predict.model import Model
    from workbench.slide.settings import Config

NAME = "stainnet"
PIECE = 512
"""Tiles that are kept together: what a run that is killed loses at most."""
_PLACES = 10
"""So many times `Config.most_tiles` there may be places in all, tissue or not."""
_BLOCK = 16
"""Side of the blocks in which tiles are read, in tiles."""
_HOW = {"device", "batch", "reading_threads", "weights", "encoder", "parquet", "anndata", "stain_profile"}
"""Settings that do not change what a tile becomes; of the stain profile it is what the file holds that counts."""


def embed_slide(
    model: Model, image: Image, config: Config, progress: Progress | None = None, pieces: PiecesOf | None = None
) -> Result:
    """Find the tissue of a slide, and embed its tiles.

    Parameters
    ----------
    progress
        Called with (tiles done, tiles in all).
    pieces
        Where finished tiles are kept until the whole is written; see `workbench.core.contract.predict`.

    Returns
    -------
    Result
        ``embeddings``: one row per tile with its place; ``tiles``: the same tiles as a table (place, share of tissue,
        sharpness); ``tissue``: where tissue, pen marks or the region lie, at low power; ``sharpness`` and, from four
        tiles on, ``structure`` (first principal component of the embeddings): a value per tile; ``areas``: mm2.

    Raises
    ------
    InputError
        The slide does not say how large its pixels are, no tile fits, or it is no brightfield slide.
    UsageError
        It is too coarse for `Config.target_mpp`, there are more tiles than `Config.most_tiles`, or a setting is wrong.
    """
    from workbench.core.provenance import Recorder

    name = image.source or image.name
    slide = scaled(image, config.mpp)
    recorder = Recorder(NAME, config, model.weights, slide, model.device, model.reason)
    if config.icc:
        slide, said = to_srgb(slide)
        recorder.note(said)
    pyramid = slide.pyramid
    if pyramid is None:
        raise InputError(f"{name}: is no slide: it has no levels")
    factor = ratio(pyramid, config.target_mpp, allow_upsample=config.allow_upsample, name=name)
    otherwise = (_taught_otherwise(model, config), _other_colours(model, config))
    for note in (upsampling_note(pyramid, config.target_mpp), *otherwise, _unknown(model)):
        if note:
            recorder.note(note)
    rows, columns = pyramid.levels[0].shape
    bounds = pyramid.bounds or (0, 0, rows, columns)
    tiles = lattice(bounds, factor, config.tile, config.stride, name)
    if len(tiles) > _PLACES * config.most_tiles:
        step = f"{config.stride or config.tile} pixels of {config.target_mpp:g} um"
        raise UsageError(
            f"{name}: {len(tiles):,} places for tiles: are scale and stride right ({step})? Take a larger --stride, or "
            "raise --most-tiles."
        )
    area = find_area(slide, config, name)
    for note in area.notes:
        recorder.note(note)
    share = share_of(area.mask, area.step, tiles)
    chosen = np.flatnonzero(share >= max(config.tissue, 1e-6)) if config.tissue or config.roi else np.arange(len(tiles))
    if len(chosen) > config.most_tiles:
        raise UsageError(
            f"{name}: {len(chosen):,} tiles, more than {config.most_tiles:,}: is the scale right ({pyramid.mpp[0]:.4g} "  # type: ignore[index]
            "um per pixel)? Raise --most-tiles if it is."
        )
    if not len(chosen):
        where = "lies in the outlines" if config.roi and not config.tissue_in_roi else "is tissue"
        recorder.note(f"of no tile {100 * config.tissue:.0f} % {where}: there are no embeddings")
    if note := _beyond_tiles(area, tiles):
        recorder.note(note)
    seen, colours = in_profile(slide, config, recorder) if len(chosen) else (slide, {})
    kept = None if pieces is None else pieces(_made_of(recorder.input_sha256, model, config, slide) | colours)
    found = _all_tiles(model, seen, tiles, chosen, config, progress, kept)
    for note in notes_of(found.damaged, len(chosen)):
        recorder.note(note)
    recorder.details |= {
        "tiles": len(found.numbers), "tiles_in_all": len(tiles), "level_read": area.level,
        "mpp": list(pyramid.mpp or ()), "mpp_source": pyramid.mpp_source,
        "precision": precision_of(config.precision, model.device), "pooling": model.pooling, "view": asdict(model.view),
        "damaged": [asdict(d) for d in found.damaged[:1000]],
    }  # fmt: skip
    parts = parts_of(model, slide, config, tiles, area, share, found)
    if model.head is not None:
        parts |= model.head.parts(slide, tiles, found)
        if note := said_of(parts, model.weights.meta.get("scores")):
            recorder.note(note)
        if note := model.head.unlike(found.features):
            recorder.note(note)
        parts["areas"] = with_classes(parts)
        recorder.details |= {"encoder": model.encoder.name, "encoder_sha256": model.encoder.sha256}
    return Result(parts, slide, recorder.finish())


def _beyond_tiles(area: Area, tiles: Lattice) -> str:
    """A line where tissue lies at an edge at which no whole tile fits, else ""."""
    ends = [
        (corner + (count - 1) * tiles.stride * tiles.factor + tiles.side) / step
        for corner, count, step in zip(tiles.corner[::-1], tiles.count, area.step, strict=True)
    ]
    whole = int(area.mask.sum())
    beyond = whole - int(area.mask[: round(ends[0]), : round(ends[1])].sum())
    if beyond <= 0.01 * whole:
        return ""
    return f"{100 * beyond / whole:.0f} % of the area lie at the right and lower edge, where no whole tile fits"


def _taught_otherwise(model: Model, config: Config) -> str:
    own = model.recipe.get("mpp")
    if not isinstance(own, int | float) or abs(config.target_mpp / own - 1) < 0.05:
        return ""
    return f"the weights were taught on tiles of {own:g} um per pixel; these have {config.target_mpp:g}"


def _other_colours(model: Model, config: Config) -> str:
    """What to say where the weights were taught in the colours of another stain profile, or of none."""
    taught = model.recipe.get("stain_profile")
    if taught == settings.file_hashes(config).get("stain_profile"):
        applied = bool(model.recipe.get("icc"))
        if applied == config.icc or model.head is None:
            return ""
        now, then = ("with", "without") if config.icc else ("without", "with")
        return f"what the weights say was taught on slides {then} their colour profile (icc), and this is {now} it"
    return (
        "the weights were taught on slides in colours as they are"
        if taught is None
        else (
            f"the weights were taught on slides in the colours of another stain profile ({str(taught)[:12]}): give it"
        )
    )


def _unknown(model: Model) -> str:
    """What a checkpoint without a record of ours cannot say, and is taken for granted."""
    from workbench.weights.published import known

    if model.weights.meta or model.weights.sha256 in {row.sha256 for row in known().values() if row.backend == NAME}:
        return ""
    return (
        "these weights do not say how tiles must be prepared: they are seen as by StainNet (224 pixels, mean and "
        f"deviation 0.5, {model.net.config['num_heads']} attention heads). Encoders that were taught on the mean of "
        "ImageNet give other embeddings then"
    )


def _made_of(input_sha256: str | None, model: Model, config: Config, image: Image) -> dict[str, Any]:
    """All that decides what a piece holds."""
    plain = {k: v for k, v in settings.as_dict(config).items() if k not in _HOW}
    roi = roi_file(config, image) if config.roi else None
    drawn = "" if roi is None else sha256_of(roi)
    return {
        "backend": NAME, "weights": model.encoder.sha256, "settings": plain, "input": input_sha256, "piece": PIECE,
        "roi": drawn, "precision": precision_of(config.precision, model.device), "device": model.device.type,
        "view": asdict(model.view),
    }  # fmt: skip


def _all_tiles(
    model: Model,
    slide: Image,
    tiles: Lattice,
    chosen: npt.NDArray[np.int64],
    config: Config,
    progress: Progress | None,
    kept: Pieces | None,
) -> Found:
    """What there is of pieces already, and the others."""
    import torch

    precision = precision_of(config.precision, model.device)
    net: torch.nn.Module = model.net
    if precision == "bfloat16":
        net = copy.deepcopy(model.net).to(torch.bfloat16)
    parts: list[Found] = []
    done = 0
    chosen = in_blocks(chosen, tiles.count[1])
    if progress is not None:
        progress(0, len(chosen))
    for start in range(0, len(chosen), PIECE):
        some = chosen[start : start + PIECE]
        name = f"tiles-{start:08d}.npz"
        path = None if kept is None else kept.find(name)
        if path is not None:
            parts.append(_unpacked(path.read_bytes()))
        else:
            parts.append(_embed(net, precision, model, slide, tiles, some, config, progress, (done, len(chosen))))
            if kept is not None:
                with kept.writing(name) as part:
                    part.write_bytes(_packed(parts[-1]))
        done += len(some)
        if progress is not None:
            progress(done, len(chosen))
    if not parts:
        return Found(np.zeros(0, np.int64), np.zeros((0, model.net.dim), np.float32), np.zeros(0, np.float32), [])
    numbers = np.concatenate([p.numbers for p in parts])
    order = np.argsort(numbers)
    features, sharpness = (np.concatenate([getattr(p, n) for p in parts])[order] for n in ("features", "sharpness"))
    return Found(numbers[order], features, sharpness, [d for p in parts for d in p.damaged])


def in_blocks(numbers: npt.NDArray[np.int64], columns: int) -> npt.NDArray[np.int64]:
    """Numbers of tiles in the order in which they are read: block by block, so that neighbours find each other's pixels
    decoded. A row of a large slide is longer than what is kept.
    """
    row, column = numbers // columns, numbers % columns
    return numbers[np.lexsort((column, row, column // _BLOCK, row // _BLOCK))]


def _embed(
    net: torch.nn.Module,
    precision: str,
    model: Model,
    slide: Image,
    tiles: Lattice,
    some: npt.NDArray[np.int64],
    config: Config,
    progress: Progress | None,
    place: tuple[int, int],
) -> Found:
    import torch

    from workbench.slide.predict.embed import embed
    from workbench.slide.predict.view import to_input

    assert slide.pyramid is not None
    sharp: dict[int, float] = {}

    def prepared(index: int, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        sharp[index] = sharpness_of(pixels)
        return to_input(pixels, model.view)

    stream = TileStream(slide.pyramid, tiles, some.tolist(), config.reading_threads, prepare=prepared)
    numbers, features = embed(
        net, stream, batch=config.batch, device=model.device,
        dtype=getattr(torch, precision), width=model.net.dim, view=model.view,
        progress=None if progress is None else lambda done, _: progress(place[0] + done, place[1]),
    )  # fmt: skip
    return Found(numbers, features, np.array([sharp[int(i)] for i in numbers], np.float32), list(stream.damaged))


def _packed(found: Found) -> bytes:
    buffer = io.BytesIO()
    damaged = json.dumps([asdict(d) for d in found.damaged]).encode()
    np.savez(
        buffer, numbers=found.numbers, features=found.features, sharpness=found.sharpness,
        damaged=np.frombuffer(damaged, np.uint8),
    )  # fmt: skip
    return buffer.getvalue()


def _unpacked(content: bytes) -> Found:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        damaged = [Damaged(**{**d, "place": tuple(d["place"])}) for d in json.loads(file["damaged"].tobytes())]
        return Found(file["numbers"], file["features"], file["sharpness"], damaged)
