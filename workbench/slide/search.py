"""The most similar tiles of a study, by what an encoder saw of them: exact, from a file of half-precision vectors.

Vectors have unit length, and two are as similar as their cosine. An index is a folder: ``vectors.npy`` ``(N, D)``
float16, ``corners.npy`` ``(N, 2)`` float32, (x, y) of the upper left corner of each tile in pixels of level 0, and
``index.json``, which says what they are of. It is mapped into memory, not loaded: a study may be larger than that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.atomic import write_text
from workbench.core.compiled import compiled
from workbench.core.errors import InputError, NothingFound, UsageError, one_line
from workbench.slide.data.embedding_files import TileEmbeddings, read_hdf5, require_comparable, require_sense, side_of
from workbench.slide.tile_grid import step_of

Floats = npt.NDArray[np.float32]
EMBEDDINGS = "embeddings.h5"
_VERSION = 1
_SMALLEST = 2.0**-14
"""Of half-precision numbers that are normal: processors are slow with smaller ones."""


@dataclass(frozen=True)
class Indexed:
    """A slide of an index.

    Parameters
    ----------
    name, source
        Of the slide; `source` is the file, or "" where nothing says it.
    first, count
        Its tiles among all.
    side, step
        Of a tile, and from one to the next, in pixels of level 0; a step of 0 is not known.
    shape
        (rows, columns) of level 0; zeros where nothing says it.
    results
        The file of embeddings.
    """

    name: str
    source: str
    first: int
    count: int
    side: float
    shape: tuple[int, int]
    results: str
    step: float = 0.0


@dataclass(frozen=True, eq=False)
class Hits:
    """What was found, the most similar first.

    Parameters
    ----------
    tiles
        ``(K,)`` numbers of tiles in the index.
    similarity
        ``(K,)`` float32 cosine, 1 is equal.
    slides
        ``(K,)`` numbers of slides in the index.
    corners
        ``(K, 2)`` (x, y) of the upper left corner of each, in pixels of level 0.
    """

    tiles: npt.NDArray[np.int64]
    similarity: Floats
    slides: npt.NDArray[np.int64]
    corners: Floats

    def __len__(self) -> int:
        return len(self.tiles)


@dataclass(frozen=True, eq=False)
class TileIndex:
    """Tiles of one slide or of many, to be searched.

    Parameters
    ----------
    vectors, corners
        See the module; in memory or mapped.
    slides
        What they are of.
    about
        What all tiles have in common: encoder, hash of its weights, side of a tile and its scale.
    """

    vectors: npt.NDArray[np.float16]
    corners: Floats
    slides: tuple[Indexed, ...]
    about: dict[str, Any]

    def __len__(self) -> int:
        return len(self.vectors)

    @classmethod
    def of(cls, parts: Iterable[tuple[TileEmbeddings, str, str]]) -> TileIndex:
        """An index in memory, of the embeddings of slides, each with the file of the slide and that of embeddings.

        Raises
        ------
        InputError
            Tiles of two slides cannot be compared: another encoder, size or scale.
        """
        slides: list[Indexed] = []
        vectors, corners, first = [], [], 0
        about: dict[str, Any] = {}
        for tiles, source, results in parts:
            require_sense(tiles, results)
            own = require_comparable(tiles, results, about, slides[0].results if slides else "")
            about = about or own
            try:
                side, shape = side_of(tiles.facts), (
                    int(tiles.facts.get("level0_height", 0)), int(tiles.facts.get("level0_width", 0))
                )  # fmt: skip
                step = step_of(tiles.facts)
            except (TypeError, ValueError) as error:
                raise InputError(f"{results}: what it says of its tiles makes no sense ({one_line(error)})") from error
            vectors.append(unit(tiles.features))
            corners.append(tiles.coords.astype(np.float32))
            name = str(tiles.facts.get("name", Path(results).parent.name))
            slides.append(Indexed(name, source, first, len(tiles.coords), side, shape, results, step))
            first += len(tiles.coords)
        if not slides:
            raise NothingFound("no embeddings to search: run 'workbench predict stainnet' first")
        return cls(np.concatenate(vectors), np.concatenate(corners), tuple(slides), about)

    def save(self, folder: Path) -> Path:
        """Write it into a folder; what says what it is comes last.

        Raises
        ------
        UsageError
            The folder holds results: what came to them later would not be searched.
        """
        if any(folder.rglob(EMBEDDINGS)):
            raise UsageError(f"{folder}: holds results; give the index a folder of its own")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.json").unlink(missing_ok=True)
        for name, array in (("vectors", self.vectors), ("corners", self.corners)):
            part = folder / f".{name}.npy.part"
            with part.open("wb") as file:
                np.save(file, array)
                file.flush()
                os.fsync(file.fileno())
            part.replace(folder / f"{name}.npy")
        about = {"version": _VERSION, "about": self.about, "slides": [asdict(s) for s in self.slides]}
        return write_text(folder / "index.json", json.dumps(about, indent=1))

    @classmethod
    def open(cls, folder: Path) -> TileIndex:
        """Map an index into memory.

        Raises
        ------
        InputError
            It is none, or its parts do not belong together.
        """
        for name in ("index.json", "vectors.npy", "corners.npy"):
            if not (folder / name).is_file():
                raise InputError(f"{folder}: is no index of tiles (it has no file {name}). Build it again.")
        try:
            said = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            vectors, corners = (
                np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("vectors", "corners")
            )
            slides = tuple(Indexed(**{**s, "shape": tuple(s["shape"])}) for s in said["slides"])
            about = dict(said["about"])
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{folder}: is no index of tiles ({one_line(error)}). Build it again.") from error
        if not all(_is_sound(s) for s in slides) or said.get("version") != _VERSION:
            raise InputError(f"{folder}: what it says of its slides makes no sense. Build the index again.")
        ends = [s.first + s.count for s in slides]
        if (
            vectors.ndim != 2 or vectors.dtype != np.float16 or corners.shape != (len(vectors), 2) or not slides
            or [s.first for s in slides] != [0, *ends[:-1]] or ends[-1] != len(vectors)
            or about.get("width") != vectors.shape[1] or not np.isfinite(corners).all() or not _are_units(vectors)
        ):  # fmt: skip
            raise InputError(f"{folder}: its parts do not belong together. Build the index again.")
        return cls(vectors, corners, slides, about)

    def number_of(self, name: str) -> int:
        """The number of a slide.

        Raises
        ------
        UsageError
            No slide has that name, or several have.
        """
        found = [i for i, slide in enumerate(self.slides) if slide.name == name]
        if len(found) != 1:
            names = ", ".join(s.name for s in self.slides[:8])
            raise UsageError(f"{len(found)} slides of the index are called '{name}'; there are {names}")
        return found[0]

    def tiles_at(self, slide: int, points: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Numbers of the tiles that hold places ``(P, 2)``, (x, y) in pixels of level 0: of each that whose middle is
        nearest.

        Raises
        ------
        UsageError
            A place lies in no tile.
        """
        own = self.slides[slide]
        corners = np.asarray(self.corners[own.first : own.first + own.count], np.float64)
        found = []
        for x, y in np.asarray(points, np.float64).reshape(-1, 2):
            away = np.abs(corners + own.side / 2 - (x, y)).max(1) if len(corners) else np.zeros(0)
            if not away.size or away.min() > own.side / 2:
                raise UsageError(f"x {x:.0f}, y {y:.0f} of {own.name} lies in no tile that was embedded")
            found.append(own.first + int(away.argmin()))
        return np.array(found, np.int64)

    def places(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Numbers of the tiles that texts like ``case1:10240,8832`` mean.

        Raises
        ------
        UsageError
            A text is none; no such slide; a place in no tile.
        """
        found = []
        for text in texts:
            name, _, place = text.rpartition(":")
            try:
                x, y = (float(part) for part in place.split(","))
                if not np.isfinite((x, y)).all():
                    raise ValueError
            except ValueError:
                raise UsageError(f"'{text}': SLIDE:X,Y was expected, as case1:10240,8832") from None
            found.append(self.tiles_at(self.number_of(name), [(x, y)]))
        return np.concatenate(found)

    def query(self, tiles: Sequence[int] | npt.NDArray[np.int64]) -> Floats:
        """What is looked for where tiles are shown: the mean of their vectors ``(D,)``, made to unit length."""
        middle = np.asarray(self.vectors[np.asarray(tiles)], np.float32).mean(0)
        found: Floats = (middle / max(float(np.linalg.norm(middle)), 1e-12)).astype(np.float32)
        return found

    def _slides_of(self, tiles: Sequence[int] | npt.NDArray[np.int64]) -> list[int]:
        ends = np.array([s.first + s.count for s in self.slides])
        found: list[int] = np.unique(np.searchsorted(ends, np.asarray(tiles, np.int64), side="right")).tolist()
        return found

    def similarity(self, query: npt.ArrayLike, slide: int | None = None) -> Floats:
        """The cosine ``(N,)`` of a query ``(D,)`` with all tiles, or with those of a slide."""
        vectors = self.vectors
        if slide is not None:
            own = self.slides[slide]
            vectors = vectors[own.first : own.first + own.count]
        wanted = np.asarray(query, np.float32)
        if wanted.shape != (vectors.shape[1],):
            raise UsageError(f"a query of {wanted.shape}: the index has vectors of {vectors.shape[1]} numbers")
        return _cosines(vectors, wanted)

    def similar(self, query: npt.ArrayLike, count: int = 100, *, slide: int | None = None,
                without: Sequence[int] | npt.NDArray[np.int64] = (), elsewhere: bool = False) -> Hits:  # fmt: skip
        """The most similar tiles of all slides, or of one; exact.

        Parameters
        ----------
        without
            Tiles that are left out: those that were shown.
        elsewhere
            Leave out all tiles of their slides, too.
        """
        if elsewhere and slide is not None and slide in self._slides_of(without):
            raise UsageError(f"only in {self.slides[slide].name}, and only elsewhere: nothing is left to search")
        first = 0 if slide is None else self.slides[slide].first
        cosines = self.similarity(query, slide)
        ends = np.array([s.first + s.count for s in self.slides])
        left_out = np.asarray(without, np.int64) - first
        cosines[left_out[(left_out >= 0) & (left_out < len(cosines))]] = -np.inf
        for number in self._slides_of(without) if elsewhere else ():
            own = self.slides[number]
            cosines[max(0, own.first - first) : max(0, own.first + own.count - first)] = -np.inf
        count = min(count, int(np.isfinite(cosines).sum()))
        best = (
            np.argpartition(cosines, len(cosines) - count)[len(cosines) - count :] if count else np.zeros(0, np.int64)
        )
        best = best[np.lexsort((best, -cosines[best]))]
        tiles = best + first
        return Hits(tiles, cosines[best], np.searchsorted(ends, tiles, side="right"), np.asarray(self.corners[tiles]))


def index_of(folder: Path) -> TileIndex:
    """The index of a folder of results: each ``embeddings.h5`` of tiles in it is a slide.

    Raises
    ------
    InputError, NothingFound
        There are none, or they cannot be compared.
    """
    if not folder.is_dir():
        raise NothingFound(f"{folder}: no such folder. Check the path.")
    files = sorted(p for p in folder.rglob(EMBEDDINGS) if "versions" not in p.relative_to(folder).parts)
    found = [(tiles, _source_of(file), str(file)) for file in files if not _is_of_objects(tiles := read_hdf5(file))]
    if not found:
        raise NothingFound(
            f"{folder}: holds no embeddings of tiles. Run 'workbench predict stainnet -i ... -o {folder}' first."
        )
    return TileIndex.of(found)


def _is_of_objects(tiles: TileEmbeddings) -> bool:
    """Whether they are of nuclei, which lie in the results of another backend: nothing that is searched."""
    return bool(tiles.ids) or not tiles.facts.get("patch_size_level0")


def _source_of(file: Path) -> str:
    """The slide that the record beside a file of embeddings names."""
    try:
        source = json.loads((file.parent / "provenance.json").read_text(encoding="utf-8")).get("source")
    except (OSError, ValueError, AttributeError):
        return ""
    return source if isinstance(source, str) else ""


def _is_sound(slide: Indexed) -> bool:
    """Whether what an index says of a slide can be true."""
    texts = all(isinstance(text, str) for text in (slide.name, slide.source, slide.results))
    whole = all(isinstance(n, int) and 0 <= n < 2**40 for n in (slide.first, slide.count, *slide.shape))
    side = isinstance(slide.side, int | float) and 0 < slide.side < 1e6
    side &= isinstance(slide.step, int | float) and 0 <= slide.step < 1e6
    return texts and whole and side and len(slide.shape) == 2


def _are_units(vectors: npt.NDArray[np.float16]) -> bool:
    """Whether vectors, as far as some of them tell, have unit length or are nothing."""
    some = np.asarray(vectors[:: max(1, len(vectors) // 1000)], np.float32)
    length = np.linalg.norm(some, axis=1)
    return bool((np.isfinite(length) & ((np.abs(length - 1) < 0.01) | (length == 0))).all())


def unit(vectors: npt.ArrayLike) -> npt.NDArray[np.float16]:
    """Vectors ``(N, D)`` of unit length, in half precision; what is smaller than its smallest normal number is 0."""
    values = np.asarray(vectors, np.float32)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    values = values / np.maximum(length, 1e-12)
    found: npt.NDArray[np.float16] = np.where(np.abs(values) < _SMALLEST, 0, values).astype(np.float16)
    return found


def _cosines(vectors: npt.NDArray[np.float16], query: Floats) -> Floats:
    """Products of all vectors with a query, in float32, by all processors."""
    out = np.empty(len(vectors), np.float32)
    if not len(vectors):
        return out
    products, large = compiled(_products, any_order=True), query * np.float32(2.0**112)
    threads = min(8, os.cpu_count() or 1)
    step = max(1024, -(-len(vectors) // (4 * threads)))

    def some(start: int) -> None:
        rows = np.ascontiguousarray(vectors[start : start + step]).view(np.uint16)
        products(rows, large, out[start : start + step])

    starts = range(0, len(vectors), step)
    if len(starts) == 1 or threads == 1:
        for start in starts:
            some(start)
    else:
        with ThreadPoolExecutor(threads, thread_name_prefix="workbench-search") as pool:
            list(pool.map(some, starts))
    return out


def _products(halves: npt.NDArray[np.uint16], query: Floats, out: Floats) -> None:  # pragma: no cover - compiled
    """Half-precision numbers by their bits, thirteen further left: each is 2^112 times too small, and the query as much
    too large.
    """
    count, width = halves.shape
    bits = np.empty(width, np.uint32)
    values = bits.view(np.float32)
    for i in range(count):
        for k in range(width):
            own = np.uint32(halves[i, k])
            sign = (own & np.uint32(0x8000)) << np.uint32(16)
            bits[k] = sign | (own & np.uint32(0x7FFF)) << np.uint32(13)
        total = np.float32(0)
        for k in range(width):
            total += values[k] * query[k]
        out[i] = total
