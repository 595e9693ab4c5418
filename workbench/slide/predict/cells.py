"""A slide from its tissue to its nuclei, tile by tile; a run that was killed goes on after the tiles that are done."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.core import settings
from workbench.core.atomic import sha256_of
from workbench.core.errors import InputError, WeightsError
from workbench.core.types import Image, Progress, Result
from workbench.slide.data.color import to_srgb
from workbench.slide.data.scaled import scaled
from workbench.slide.data.stream import Damaged, TileStream, notes_of
from workbench.slide.data.tiles import Lattice
from workbench.slide.predict.area import roi_file
from workbench.slide.predict.cell_parts import cell_parts
from workbench.slide.predict.model import precision_of
from workbench.slide.predict.mosaic import TOKEN, Cells, Core, Mosaic, Place, joined, without_fragments
from workbench.slide.predict.nuclei import AT_40X, Rules
from workbench.slide.predict.planned import core_on_slide, on_slide, planned
from workbench.slide.predict.stain_slide import in_profile

if TYPE_CHECKING:
    import torch

    from workbench.core.contract import PiecesOf
    from workbench.core.pieces import Pieces
    from workbench.slide.predict.cell_classes import CellClasses
    from workbench.slide.predict.cell_settings import CellConfig
    from workbench.slide.predict.model import Model

NAME = "cellvta"
MARGIN = 64
"""What a tile sees around its core, and how far nuclei are followed into the next, in pixels."""
WINDOW = 512
"""Side of what the network sees at once, in pixels. What it says of a place depends on what else it sees: the windows
lie at the same places of a slide whatever is asked for, so that neither tiles nor regions change what is found."""
STEP = WINDOW - 2 * MARGIN
PIECE = 64
"""Tiles that are kept together."""
_ACROSS = 64
"""Tiles side by side in a strip: the maps of two rows of them are held."""
_AT_40X = 0.25
SLOPES = (-0.18, 0.12)
"""Slopes of the distances at 0.25 um per pixel that stand for an edge between nuclei, and for none."""
FRAGMENT_UM = 3.0
"""Centres of two nuclei are at least so far from each other."""
_HOW = {"device", "batch", "reading_threads", "weights", "near", "stain_profile"}
"""Settings that do not change which nuclei a tile gives; of the stain profile it is what the file holds that counts."""


def find_cells(
    model: Model, image: Image, config: CellConfig, progress: Progress | None = None, pieces: PiecesOf | None = None
) -> Result:
    """Find the nuclei of a slide, each once.

    Parameters
    ----------
    progress
        Called with (tiles done, tiles in all).
    pieces
        Where finished tiles are kept until the whole is written; see `workbench.core.contract.predict`.

    Returns
    -------
    Result
        ``nuclei``: an outline per nucleus with class, share of its pixels that have it, and measures; ``counts``: how
        many there are of each class, and per mm2; ``density``: a map of them; ``tissue``: where they were looked for;
        ``embeddings`` if asked for.

    Raises
    ------
    InputError
        The slide does not say how large its pixels are, or it is no brightfield slide.
    UsageError
        It is too coarse for the scale that is asked for, there are too many tiles, or a setting is wrong.
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
    own = float(model.recipe["mpp"])
    target = config.target_mpp or own
    along = max(1, math.ceil((config.tile - 2 * MARGIN) / STEP))  # windows side by side in a tile
    plan = planned(slide, config, target, along * STEP + 2 * MARGIN, MARGIN, name)
    tiles, area, chosen = plan.tiles, plan.area, plan.chosen
    for note in (_other_scale(target, own), *plan.notes):
        if note:
            recorder.note(note)
    seen, colours = in_profile(slide, config, recorder) if len(chosen) else (slide, {})
    kept = None if pieces is None else pieces(_made_of(recorder.input_sha256, model, config, slide) | colours)
    finder = Finder(model, seen, tiles, config, rules_at(target, config.normalise), kept)
    found, damaged = finder.run(chosen, progress)
    if config.normalise != "exact":
        whole = without_fragments(found, FRAGMENT_UM / target)
        if torn := len(found) - len(whole):
            recorder.note(
                f"{torn} pieces with their centre less than {FRAGMENT_UM:g} um from that of a larger nucleus are no "
                "nuclei of their own and were left out"
            )
        found = whole
    if finder.head is not None:
        found = finder.head.named(found, target)
        recorder.note(f"classes are those that were taught by examples ({model.weights.name})")
    for note in notes_of(damaged, len(chosen)):
        recorder.note(note)
    if cut := int(found.is_cut.sum()):
        recorder.note(
            f"{cut} of {len(found)} nuclei reach more than {MARGIN} pixels beyond their tile and are cut there: are "
            "they nuclei, and is the scale right?"
        )
    recorder.details |= {
        "tiles": len(chosen), "mpp": list(pyramid.mpp or ()), "mpp_source": pyramid.mpp_source, "target_mpp": target,
        "classes_from": model.recipe["classes_from"], "precision": finder.precision, "normalise": config.normalise,
        "damaged": [asdict(d) for d in damaged[:1000]],
    }  # fmt: skip
    parts = cell_parts(
        slide, tiles, area, chosen, found, classes=model.recipe["classes"], near=config.near,
        encoder=model.weights if config.embeddings else None,
    )  # fmt: skip
    return Result(parts, slide, recorder.finish())


def rules_at(mpp: float, normalise: str = "fixed") -> Rules:
    """How nuclei are cut at a scale: the published filters at 0.25 and 0.5 um per pixel, and those between."""
    zoom = _AT_40X / mpp
    kernel = max(3, 2 * int(AT_40X.kernel * zoom / 2) + 1)
    slopes = None if normalise == "exact" else (SLOPES[0] / zoom, SLOPES[1] / zoom)
    return Rules(kernel, max(1, math.ceil(AT_40X.least_marker * zoom**2)), slopes)


def _other_scale(target: float, own: float) -> str:
    if abs(target / own - 1) < 0.05:
        return ""
    return f"the weights were taught at {own:g} um per pixel; nuclei are looked for at {target:g}"


def _made_of(input_sha256: str | None, model: Model, config: CellConfig, image: Image) -> dict[str, Any]:
    """All that decides what a piece holds."""
    plain = {k: v for k, v in settings.as_dict(config).items() if k not in _HOW}
    roi = roi_file(config, image) if config.roi else None
    drawn = "" if roi is None else sha256_of(roi)
    return {
        "backend": NAME, "weights": model.weights.sha256, "settings": plain, "input": input_sha256, "piece": PIECE,
        "roi": drawn, "device": model.device.type, "slopes": SLOPES, "margin": MARGIN, "window": WINDOW,
    }  # fmt: skip


class Finder:
    """Goes through the tiles of a slide strip by strip, and cuts nuclei out of the maps as soon as all neighbours of a
    tile are there.
    """

    def __init__(
        self, model: Model, slide: Image, tiles: Lattice, config: CellConfig, rules: Rules, kept: Pieces | None
    ) -> None:
        self.model, self.slide, self.tiles, self.config = model, slide, tiles, config
        self.rules, self.kept = rules, kept
        self.precision = precision_of(config.precision, model.device)
        self.head: CellClasses | None = model.recipe.get("cell_classes")
        self.embeds = config.embeddings or self.head is not None
        self.along = tiles.stride // STEP
        self.across, self.piece = max(2, _ACROSS // self.along), max(1, PIECE // self.along**2)
        self.damaged: dict[int, Damaged] = {}
        self._new: list[Damaged] = []
        self._held = self._nothing()

    def _nothing(self) -> Mosaic:
        return Mosaic(self.tiles.stride, MARGIN, self.model.recipe["net_classes"])

    def run(self, chosen: npt.NDArray[np.int64], progress: Progress | None) -> tuple[Cells, list[Damaged]]:
        """All nuclei whose centroid lies in the cores of the tiles `chosen`."""
        columns = self.tiles.count[1]
        found: list[Cells] = []
        done = 0

        def tell(count: int) -> None:
            if progress is not None:
                progress(done + count, len(chosen))

        tell(0)
        for start in range(0, columns, self.across):
            column = chosen % columns
            strip = chosen[(column >= start) & (column < start + self.across)]
            near = set(chosen[(column >= start - 1) & (column <= start + self.across)].tolist())
            self._held = self._nothing()
            for first in range(0, len(strip), self.piece):
                some = strip[first : first + self.piece]
                found.append(self._piece(f"cells-{start:06d}-{first:08d}.npz", some, near, tell))
                done += len(some)
                tell(0)
        return joined(found), [self.damaged[i] for i in sorted(self.damaged)]

    def _piece(self, name: str, some: npt.NDArray[np.int64], near: set[int], tell: Callable[[int], None]) -> Cells:
        path = None if self.kept is None else self.kept.find(name)
        if path is not None:
            cells, damaged = unpacked(path.read_bytes())
        else:
            parts: list[Cells] = []
            self._new = []
            with closing(self._cut(some, near)) as each:
                for one in each:
                    parts.append(one)
                    tell(len(parts))
            cells, damaged = joined(parts), self._new
            if self.kept is not None:
                with self.kept.writing(name) as part:
                    part.write_bytes(packed(cells, damaged))
        self.damaged |= {d.index: d for d in damaged}  # as a neighbour a tile is read again
        return cells

    def _cut(self, some: npt.NDArray[np.int64], near: set[int]) -> Generator[Cells, None, None]:
        """The nuclei of some tiles, in their order."""
        columns = self.tiles.count[1]
        wanted: dict[int, None] = {}
        for number in some.tolist():
            row, column = divmod(number, columns)
            for r in (row - 1, row, row + 1):
                for c in (column - 1, column, column + 1):
                    if 0 <= c < columns and r * columns + c in near:
                        wanted[r * columns + c] = None
        held = self._held
        held.drop_before(int(some[0]) // columns - 1)
        todo = [n for n in sorted(wanted) if divmod(n, columns) not in held.cores]
        waiting = [divmod(int(n), columns) for n in some]
        for number, core in self._maps(todo):
            held.cores[divmod(number, columns)] = core
            while waiting and _is_ready(waiting[0], number, columns):
                yield held.cut(waiting.pop(0), self.rules, self.embeds)
        for place in waiting:
            yield held.cut(place, self.rules, self.embeds)

    def _maps(self, numbers: Sequence[int]) -> Iterator[tuple[int, Core]]:
        """The maps of the cores of tiles, in their order; one that could not be read is left out."""
        from workbench.nets.lanes import batches, in_lanes, lanes_on

        if not numbers:
            return
        assert self.slide.pyramid is not None
        stream = TileStream(
            self.slide.pyramid,
            self.tiles,
            numbers,
            self.config.reading_threads,
            lambda number, pixels: windows_of(pixels, on_slide(self.slide, self.tiles, number)),
        )
        device = self.model.device
        size = self.config.batch or (1 if device.type == "cpu" else 8)
        work = Network(self.model, self.precision, self.config.flips, self.embeds, size)
        with closing(in_lanes(lanes_on(device), work, batches(stream, max(1, size // self.along**2)))) as done:
            for some, cores in done:
                for (number, _), core in zip(some, cores, strict=True):
                    yield number, self._cut_off(number, core)
        self._new += stream.damaged

    def _cut_off(self, number: int, core: Core) -> Core:
        """There are no nuclei beyond the edges of a slide: what the network saw there was its mirror image."""
        rows, columns = core_on_slide(self.slide, self.tiles, number)
        inside = np.zeros_like(core.nuclei)
        inside[rows, columns] = core.nuclei[rows, columns]
        return replace(core, nuclei=inside)


def windows_of(pixels: npt.NDArray[np.uint8], on_slide: tuple[slice, slice]) -> npt.NDArray[np.uint8]:
    """The windows of a tile, row by row: ``(N, WINDOW, WINDOW, 3)``; see `mirrored`."""
    starts = range(0, len(pixels) - 2 * MARGIN, STEP)
    found = []
    for top in starts:
        for left in starts:
            inside = tuple(
                slice(min(max(s.start - first, 0), WINDOW), min(max(s.stop - first, 0), WINDOW))
                for s, first in zip(on_slide, (top, left), strict=True)
            )
            found.append(mirrored(pixels[top : top + WINDOW, left : left + WINDOW], (inside[0], inside[1])))
    return np.stack(found)


def _together(cores: Sequence[Core]) -> Core:
    """The cores of windows, row by row, as the core of their tile."""
    along = math.isqrt(len(cores))
    if along == 1:
        return cores[0]

    def laid(name: str, rows: int, columns: int) -> Any:
        parts = [getattr(core, name) for core in cores]
        if parts[0] is None:
            return None
        lines = [np.concatenate(parts[i : i + along], columns) for i in range(0, len(parts), along)]
        return np.concatenate(lines, rows)

    return Core(
        laid("nuclei", 0, 1), laid("hv", 1, 2), laid("types", 0, 1), laid("image", 0, 1), laid("tokens", 1, 2)
    )  # fmt: skip


def mirrored(pixels: npt.NDArray[np.uint8], on_slide: tuple[slice, slice]) -> npt.NDArray[np.uint8]:
    """A tile ``(size, size, 3)`` whose pixels beyond the edges of the slide mirror those within: a network that never
    saw white beside tissue takes it for something.
    """
    size = pixels.shape[0]
    beyond = [(s.start, size - s.stop) for s in on_slide]
    if not any(map(any, beyond)) or any(s.start >= s.stop for s in on_slide):
        return pixels
    return np.pad(pixels[on_slide], (*beyond, (0, 0)), mode="symmetric")


def _is_ready(place: Place, last: int, columns: int) -> bool:
    """Whether all neighbours of a tile come before or with number `last`."""
    return last >= (place[0] + 1) * columns + min(place[1] + 1, columns - 1)


class Network:
    """Windows of tiles to the maps of the cores of those, some windows at a time."""

    def __init__(self, model: Model, precision: str, flips: bool, embeds: bool, batch: int = 1) -> None:
        self.net, self.device, self.path = model.net, model.device, model.weights.path
        self.precision, self.flips, self.embeds, self.batch = precision, flips, embeds, batch

    def __call__(self, some: list[tuple[int, npt.NDArray[np.uint8]]]) -> list[Core]:
        """Of each tile its windows are given, ``(N, WINDOW, WINDOW, 3)``, row by row."""
        windows = np.concatenate([own for _, own in some])
        made = [core for i in range(0, len(windows), self.batch) for core in self._cores(windows[i : i + self.batch])]
        each = len(made) // len(some)
        return [_together(made[i * each : (i + 1) * each]) for i in range(len(some))]

    def _cores(self, images: npt.NDArray[np.uint8]) -> list[Core]:
        import torch

        with torch.inference_mode():
            x = torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).float()
            x = (x / 127.5 - 1).contiguous(memory_format=torch.channels_last)
            nuclei, hv, types, tokens = self._seen(x)
            if not (torch.isfinite(nuclei).all() and torch.isfinite(hv).all()):
                raise WeightsError(
                    f"{self.path}: gives numbers that are none: its weights are damaged, or too large for the number "
                    "type (--precision float32)"
                )
            inner = slice(MARGIN, images.shape[1] - MARGIN)
            where = (nuclei[:, 1] > nuclei[:, 0])[:, inner, inner].cpu().numpy()
            kinds = types.argmax(1)[:, inner, inner].to(torch.uint8).cpu().numpy()
            away = hv[:, :, inner, inner].half().cpu().numpy()
            coarse = slice(MARGIN // TOKEN, images.shape[1] // TOKEN - MARGIN // TOKEN)
            described = tokens[:, :, coarse, coarse].half().cpu().numpy() if self.embeds else None
        return [
            Core(
                where[i], away[i], kinds[i], images[i, inner, inner],
                None if described is None else described[i],
            )
            for i in range(len(images))
        ]  # fmt: skip

    def _seen(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Probabilities of nuclei and classes, distances and tokens; with flips the mean of four views."""
        import torch

        total: list[torch.Tensor] | None = None
        views = ((), (3,), (2,), (2, 3)) if self.flips else ((),)
        for axes in views:
            kind = torch.bfloat16
            with torch.autocast(x.device.type, dtype=kind, enabled=self.precision == "bfloat16"):
                maps = self.net(x.flip(axes) if axes else x)
            hv = maps.hv.float().flip(axes) if axes else maps.hv.float()
            sign = torch.tensor([-1.0 if 3 in axes else 1.0, -1.0 if 2 in axes else 1.0], device=x.device)
            seen = [
                maps.nuclei.float().softmax(1).flip(axes), hv * sign.view(1, 2, 1, 1),
                maps.types.float().softmax(1).flip(axes), maps.tokens.float().flip(axes),
            ]  # fmt: skip
            total = seen if total is None else [a + b for a, b in zip(total, seen, strict=True)]
        assert total is not None
        return tuple(one / len(views) for one in total)


def packed(cells: Cells, damaged: Sequence[Damaged]) -> bytes:
    """Nuclei as the bytes of a piece."""
    buffer = io.BytesIO()
    said = np.frombuffer(json.dumps([asdict(d) for d in damaged]).encode(), np.uint8)
    np.savez(buffer, damaged=said, **{name: getattr(cells, name) for name in cells.__dataclass_fields__})
    return buffer.getvalue()


def unpacked(content: bytes) -> tuple[Cells, list[Damaged]]:
    """Inverse of `packed`."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        said = json.loads(file["damaged"].tobytes())
        damaged = [Damaged(**{**d, "place": tuple(d["place"])}) for d in said]
        return Cells(**{name: file[name] for name in Cells.__dataclass_fields__}), damaged
