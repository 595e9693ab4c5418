"""What flows through the workbench: an image with its geometry goes in, a result made of typed parts comes out.

All types are frozen dataclasses that hold numpy arrays and plain values; nothing here imports torch, MONAI or napari.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.core import memory
from workbench.core.classes import ClassTable
from workbench.core.errors import OutOfMemory, visible
from workbench.core.geometry import Geometry as Geometry
from workbench.core.lines import Lines as Lines
from workbench.core.lines import Picture as Picture
from workbench.core.objects import Objects
from workbench.core.pyramid import Pyramid
from workbench.core.signals import Mark as Mark
from workbench.core.signals import Marks as Marks
from workbench.core.signals import Signals as Signals
from workbench.core.signals import sampling_rate_of as sampling_rate_of
from workbench.core.signals import time_base as time_base
from workbench.core.stamps import FileStamp, stamps

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (done, total) as work advances; raises `workbench.core.errors.Cancelled` to stop it."""


@dataclass(frozen=True, eq=False)
class Image:
    """A picture of any modality with its geometry; the pixels are loaded when `data` is first asked for.

    Parameters
    ----------
    geometry
        Spatial grid (no channel axis).
    dtype
        Type of the samples that `data` returns, after rescaling (HU for CT).
    channels
        One name per channel; ``data.shape[0] == len(channels)``.
    loader
        Returns the samples, channel first: ``(C, *geometry.shape)``; of a pyramid its `Pyramid.whole`.
    kind
        Name of its row in `workbench.core.kinds`: which backends can take it, and who writes and shows it.
    source
        File or folder it came from.
    value_unit
        Unit of the samples (``"HU"``) or ``None``.
    modality
        DICOM modality code (``"CT"``, ``"MR"``) where known.
    format
        Name of the file format (``"nifti"``, ``"dicom"``, ``"nrrd"``, ``"mha"``).
    header
        Plain values worth showing (JSON-able, without names of people).
    classes
        Class table that the file itself carries, when it is a label map.
    native
        The reader's own header object; a writer of the same family uses it to keep geometry bit for bit.
    files
        The files that the samples come from, where that is not `source` alone (one DICOM series of a folder).
    pyramid
        Levels of an image too large to load; its level 0 has the grid of `geometry`.
    stamp
        Size and time of each of its files when they were opened; made by itself. Samples are only loaded from files
        that still are those.
    notes
        What the reader did or saw that a person should know (a byte too many, two positions that disagree), a line
        each: `info` shows them, the window says them, every result carries them in its provenance.
    """

    geometry: Geometry
    dtype: np.dtype[Any]
    channels: tuple[str, ...]
    loader: Callable[[], npt.NDArray[Any]]
    kind: str = "volume"
    source: Path | None = None
    value_unit: str | None = None
    modality: str | None = None
    format: str | None = None
    header: Mapping[str, Any] = field(default_factory=dict)
    classes: ClassTable | None = None
    native: Any = None
    files: tuple[Path, ...] = ()
    pyramid: Pyramid | None = None
    notes: tuple[str, ...] = ()
    stamp: tuple[FileStamp, ...] | None = None

    def __post_init__(self) -> None:
        if self.stamp is None:
            object.__setattr__(self, "stamp", stamps(self.all_files))
        full = self.pyramid
        if full is not None and (full.levels[0].shape, full.channels) != (self.geometry.shape, self.channels):
            raise ValueError(
                f"level 0 of the pyramid has {full.levels[0].shape} pixels of {full.channels}, "
                f"the image has {self.geometry.shape} of {self.channels}"
            )

    @cached_property
    def data(self) -> npt.NDArray[Any]:
        """Samples, ``(C, *geometry.shape)``, kept in memory after the first call.

        Of a pyramid these are those of level 0; one larger than `workbench.core.pyramid.LOAD_LIMIT` is a `UsageError`,
        never a coarser level.

        Raises
        ------
        OutOfMemory
            They need more memory than there is; said before anything is read.
        """
        return self._load()

    @property
    def is_loaded(self) -> bool:
        """Whether `data` is in memory already."""
        return "data" in self.__dict__

    @property
    def was_read_whole(self) -> bool:
        """Whether all samples were once read at a time when the files were still those that were opened."""
        return bool(self.__dict__.get("_whole"))

    def samples(self) -> npt.NDArray[Any]:
        """The same as `data`, but not kept: for work that needs them once, and its memory for other things later."""
        return self.data if self.is_loaded else self._load()

    def loading(self) -> memory.Need:
        """What `data` takes of memory while it is read: the samples, and what their reader needs besides."""
        if self.is_loaded:
            return memory.Need({})
        from workbench.core import kinds

        size = memory.array_bytes((len(self.channels), *self.geometry.shape), self.dtype.itemsize)
        row = kinds.kinds().get(self.kind)
        besides = None if row is None else row.hook("files", "reading_bytes")
        return memory.Need({"samples": size, "reading": 0 if besides is None else int(besides(self))})

    def _require_held(self) -> None:
        """A file too small for what its header promises is at fault itself; only the kind knows how small that is."""
        from workbench.core import kinds

        row = kinds.kinds().get(self.kind)
        own = None if row is None else row.hook("files", "require_held")
        if own is not None:
            own(self)

    def _load(self) -> npt.NDArray[Any]:
        if self.pyramid is not None:
            self.pyramid.require_small(name=self.source or self.name)
        need = self.loading()
        try:
            memory.require(need, self.source or self.name, "Read it in parts, free memory, or use a machine with more.")
        except OutOfMemory:
            self._require_held()
            raise
        with memory.guarding(self.source or self.name, need):
            array = self.loader()
        self.require_unchanged()
        self.__dict__["_whole"] = not isinstance(array, np.memmap)
        expected = (len(self.channels), *self.geometry.shape)
        if array.shape != expected:
            from workbench.core.errors import InputError

            raise InputError(f"{self.source}: pixels have shape {array.shape}, the header promised {expected}")
        return array

    @property
    def all_files(self) -> tuple[Path, ...]:
        """The files that decide what it is: one DICOM series of a folder, an ENVI header with its data, its source."""
        files = self.files or getattr(self.native, "files", ())
        return tuple(files) if files else (self.source,) if self.source else ()

    @property
    def is_unchanged(self) -> bool:
        """Whether its files still are those that were opened."""
        return not self.stamp or stamps([stamp.path for stamp in self.stamp]) == self.stamp

    def require_unchanged(self) -> None:
        """Refuse samples of files that were changed or replaced since their headers were read.

        Raises
        ------
        InputError
            A file has another size, time or place on the disk than when it was opened.
        """
        if not self.is_unchanged:
            from workbench.core.errors import InputError

            raise InputError(f"{self.source}: was changed or replaced since it was opened; open it again")

    @property
    def name(self) -> str:
        """Short name for people: the file name without its suffixes; without a file what its header calls it."""
        if self.source is None:
            return plain_name(str(self.header.get("name") or "image"))
        return case_name(self.source)

    def __repr__(self) -> str:
        spacing = self.geometry.spacing
        size = " x ".join(str(n) for n in self.geometry.shape)
        step = "no spacing" if spacing is None else " x ".join(f"{s:.4g}" for s in spacing) + f" {self.geometry.unit}"
        return f"<Image {self.name}: {len(self.channels)} channel(s), {size}, {step}, {self.dtype}>"


def case_name(path: Path) -> str:
    """File name without its (double) suffix: ``scan.nii.gz`` -> ``scan``, ``tumour.seg.nrrd`` -> ``tumour``."""
    name = path.name or path.resolve().name
    for suffix in (".nii.gz", ".seg.nrrd", ".ome.tiff", ".ome.tif", ".fif.gz", ".ds"):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name if path.is_dir() else Path(name).stem or name


def plain_name(text: str) -> str:
    """`text` as one file name that every system takes: separators, colons and the like become underscores.

    Characters that steer a terminal or turn the direction of writing become escapes (``_x1b``).
    """
    name = visible("".join("_" if c in '/\\:*?"<>|~\n\r\t' else c for c in text), mark="_").strip(" .")
    return name or "case"


@dataclass(frozen=True, eq=False)
class Labels:
    """A label map: integer ``data`` of shape ``geometry.shape``, 0 is background.

    ``notes`` says what was done to a map that was read onto the grid of its image, a line each. ``origin`` is who drew
    it, and ``algorithm`` names the method where there was one.
    """

    data: npt.NDArray[np.integer[Any]]
    geometry: Geometry
    classes: ClassTable
    name: str = "labels"
    notes: tuple[str, ...] = ()
    origin: Literal["unknown", "automatic", "corrected", "manual"] = "unknown"
    algorithm: str = ""


@dataclass(frozen=True, eq=False)
class Heatmap:
    """A float map on the grid of ``geometry``: ``data`` float32 of shape ``geometry.shape``."""

    data: npt.NDArray[np.floating[Any]]
    geometry: Geometry
    name: str
    unit: str | None = None
    limits: tuple[float, float] | None = None
    colormap: str = "magma"


@dataclass(frozen=True, eq=False)
class Scores:
    """A table: ``columns`` (with units in their names, e.g. ``volume [mL]``) and ``rows`` of plain values."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    name: str = "scores"

    def as_sizes(self) -> list[dict[str, Any]]:
        """The rows as mappings with a ``class``: where no column is called so, it is the first."""
        own = "class" in self.columns
        return [row if own else {"class": row[self.columns[0]], **row} for row in self.as_dicts()]

    def as_dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, eq=False)
class Embeddings:
    """One feature vector per item.

    Parameters
    ----------
    data
        ``(items, features)``; float32 or float16.
    ids
        What each item is.
    places
        ``(items, 2)``, (x, y) of the upper left corner of each item in pixels of level 0 of its image, counted from the
        outer corner of the first; ``None`` for items without a place.
    about
        Plain values that a reader of the file needs (size of the items, encoder).
    """

    data: npt.NDArray[np.floating[Any]]
    ids: tuple[str, ...]
    name: str = "embeddings"
    places: npt.NDArray[np.float64] | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


Part: TypeAlias = Labels | Objects | Lines | Heatmap | Picture | Scores | Signals | Marks | Embeddings


@dataclass(frozen=True)
class Provenance:
    """How a result came to be: enough to make it again, and to see that it is the same."""

    backend: str
    weights: str
    weights_sha256: str | None
    settings: Mapping[str, Any]
    source: str | None = None
    series: str | None = None
    input_sha256: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    device_reason: str = ""
    seed: int | None = None
    started: str = ""
    seconds: float = 0.0
    peak_memory_mb: float | None = None
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    edited_by_hand: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Provenance:
        """A stored record again; what other versions added to it is left out."""
        values = {f.name: record[f.name] for f in fields(cls) if f.name in record}
        values["notes"] = tuple(values.get("notes") or ())
        return cls(**values)


@dataclass(frozen=True, eq=False)
class Result:
    """What a backend gives for one image: named parts, the image they lie on, and how they were made."""

    parts: Mapping[str, Part]
    image: Image
    provenance: Provenance

    def __getitem__(self, name: str) -> Part:
        return self.parts[name]

    @property
    def labels(self) -> Labels:
        """The label map of the result."""
        for part in self.parts.values():
            if isinstance(part, Labels):
                return part
        raise KeyError(f"this result has no label map; its parts are {list(self.parts)}")


@dataclass(frozen=True)
class Case:
    """One row of a study: an image, its reference labels if there are any, and the group it belongs to.

    Splits are made by `group` (patient, slide, scene, subject), so that none leaks from training into validation.

    Parameters
    ----------
    options
        What a list says of it in further columns.
    files
        The files that make its channels together, in the order of the channels; empty where `image` is all of it, else
        `image` is the first of them.
    channels
        Names of its channels, where the data set tells them and the file does not.
    problem
        Why it cannot be opened, where that is known before.
    """

    id: str
    image: Path
    labels: Path | None = None
    group: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    channels: tuple[str, ...] = ()
    problem: str = ""
