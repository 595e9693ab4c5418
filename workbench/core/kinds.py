"""The kinds of data: one row of plain strings each. What only one kind needs lives behind the names in its row.

A *kind* is what a file turns out to be: a volume, a scene, a recording. Everything that has to tell kinds apart asks
these rows: reading, writing, layers, cases, the shell and napari. Third parties add a row by an entry point in the
group ``workbench.kinds`` whose value is a `Kind`; `docs/add-a-kind.md` shows how.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from workbench.core.errors import FaultyExtension, InputError, UsageError, WorkbenchWarning, nearest, one_line
from workbench.core.kind_hooks import Verdict as Verdict

Part = Literal["files", "writer", "layers", "cases"]


@dataclass(frozen=True)
class Kind:
    """One kind of data, described.

    Parameters
    ----------
    name
        One noun: the value of `Image.kind`.
    title
        The noun with its article, for messages (``"a hyperspectral scene"``).
    axes
        Names of the spatial axes of its images, in array order.
    readers
        Suffix -> import path of the module whose ``read(path, ...)`` opens it; the longest suffix that fits wins.
    writer
        Import path of the module that writes its images and results (`KindWriter`).
    formats
        Names of the formats that the writer knows.
    layers
        Import path of the module that shows it in napari (`KindLayers`).
    files
        Import path of a module with any of the functions of `KindFiles`; without it a file is told by its suffix alone.
    cases
        Import path of a module with any of the functions of `KindCases`.
    monai
        ``"module:Class"`` of its `monai.data.ImageReader`, or "".
    owns
        Names of the types of parts (``"Signals"``) that are written as this kind even without an image.
    needs_labels
        Whether learning needs reference labels.
    size_part, size_column
        The table of sizes in a result (``"volumes"``) and its column of sizes (``"volume [mL]"``).
    series
        What ``series`` chooses among, where a path may hold several images (``"DICOM series"``).
    hidden
        Rows of ``info`` that say nothing of this kind.
    tool
        Title of its tool in napari; without one the general tool serves it.
    sample
        Key of its sample in the plugin, or "".
    engines
        Modules worth loading in the background before the first run.
    if_asked
        Suffixes of files that are taken from a folder only where this kind is looked for: snapshots and thumbnails lie
        in folders of every kind. One such file by itself is a third party's, where its kind takes it.
    names_tell
        Whether names tell which files of a folder make one image (``_t1`` and ``_t2``, ``_0000`` and ``_0001``) and
        which are label maps (``_mask``, ``label``).
    demo
        ``"module:function"`` that makes its part of ``workbench demo`` (`workbench.report.demo.KindDemo`), or "".
    """

    name: str
    title: str
    axes: tuple[str, ...]
    readers: Mapping[str, str]
    writer: str = ""
    formats: tuple[str, ...] = ()
    layers: str = ""
    files: str = ""
    cases: str = ""
    monai: str = ""
    owns: tuple[str, ...] = ()
    needs_labels: bool = True
    size_part: str = ""
    size_column: str = ""
    series: str = ""
    hidden: tuple[str, ...] = ()
    tool: str = ""
    sample: str = ""
    engines: tuple[str, ...] = field(default=("torch",))
    if_asked: tuple[str, ...] = ()
    names_tell: bool = True
    demo: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"readers": dict(self.readers)}

    def load(self, part: Part) -> ModuleType:
        """The module of that part.

        Raises
        ------
        UsageError
            The kind has no such part.
        """
        name = getattr(self, part)
        if not name:
            raise UsageError(f"{self.title} has no {part}: its row names no module for it")
        return self._import(name)

    def hook(self, part: Part, function: str) -> Any:
        """An optional function of a part, or ``None``."""
        return getattr(self._import(name), function, None) if (name := getattr(self, part)) else None

    @property
    def is_built_in(self) -> bool:
        """Whether the row is one of ours."""
        return self in BUILT_IN

    def _import(self, name: str) -> ModuleType:
        there = sys.modules.get(name)
        # Asked some thirty times for each case; one that is just being imported is waited for below.
        if there is not None and not getattr(getattr(there, "__spec__", None), "_initializing", False):
            return there
        try:
            return importlib.import_module(name)
        except (Exception, SystemExit) as error:  # a stranger's module may do anything while it is imported
            if self.is_built_in:
                raise
            raise FaultyExtension(
                f"kind '{self.name}': its module {name} cannot be loaded ({type(error).__name__}: {one_line(error)}). "
                "Update or reinstall the package that brings it."
            ) from error

    def problems(self) -> list[str]:
        """What keeps the kind from being used, in words; nothing of it is run but its imports."""
        found = []
        for part in ("files", "writer", "layers", "cases"):
            needed = {"layers": ("to_layers",), "writer": ("family", "jobs")}.get(part, ())
            try:
                if getattr(self, part):
                    module = self.load(part)
                    missing = [n for n in needed if not hasattr(module, n)]
                    if missing:
                        found.append(f"kind '{self.name}': {module.__name__} defines no {', '.join(missing)}")
            except FaultyExtension as error:
                found.append(str(error))
        for name in sorted(set(self.readers.values())):
            try:
                if not hasattr(self._import(name), "read") and not self.hook("files", "read"):
                    found.append(f"kind '{self.name}': {name} defines no read")
            except FaultyExtension as error:
                found.append(str(error))
        return list(dict.fromkeys(found))

    def suffix_of(self, path: Path) -> str | None:
        """The longest of its suffixes that the name ends in."""
        name = path.name.lower()
        return max((s for s in self.readers if name.endswith(s)), key=len, default=None)

    def sniff(self, path: Path, key: str | None = None) -> Verdict:
        """Whether a file or folder is of this kind; cheap."""
        own = self.hook("files", "sniff")
        if own is not None:
            verdict: Verdict = own(path, key)
            return verdict
        return "maybe" if self.suffix_of(path) is not None and not path.is_dir() else "no"

    def reader_of(self, path: Path) -> ModuleType:
        """The module that reads a file of this kind, by its suffix."""
        suffix = self.suffix_of(path)
        if suffix is None:
            raise InputError(
                f"{path}: no reader for '{path.suffix or path.name}' as {self.title}. Can be read: "
                f"{', '.join(self.readers)}."
            )
        return self._import(self.readers[suffix])


VOLUME = Kind(
    name="volume",
    title="a volume",
    axes=("i", "j", "k"),
    readers={
        ".nii.gz": "workbench.volume.data.nifti",
        ".seg.nrrd": "workbench.volume.data.itk_formats",
        ".nrrd": "workbench.volume.data.itk_formats",
        ".nhdr": "workbench.volume.data.itk_formats",
        ".mha": "workbench.volume.data.itk_formats",
        ".mhd": "workbench.volume.data.itk_formats",
        ".nii": "workbench.volume.data.nifti",
        ".dcm": "workbench.volume.data.dicom",
        ".ima": "workbench.volume.data.dicom",
    }
    | dict.fromkeys(
        (".mgz", ".mgh", ".mnc", ".head", ".brik", ".brik.gz", ".par", ".rec"), "workbench.volume.data.nibabel_formats"
    ),
    files="workbench.volume.data.files",
    writer="workbench.volume.data.write",
    formats=("nifti", "nrrd", "mha", "dicom-seg", "rtstruct"),
    layers="workbench.volume.layers",
    cases="workbench.volume.data.cases",
    monai="workbench.volume.data.monai_reader:VolumeReader",
    size_part="volumes",
    size_column="volume [mL]",
    series="DICOM series",
    tool="Volume tool",
    sample="torso_ct",
    engines=("torch", "monai.transforms", "monai.inferers", "workbench.volume.net.segformer3d"),
    demo="workbench.volume.demo:segment_samples",
)

SCENE = Kind(
    name="scene",
    title="a spectral scene",
    axes=("row", "column"),
    readers={
        ".hdr": "workbench.scene.data.envi",
        ".mat": "workbench.scene.data.mat",
        ".npy": "workbench.scene.data.npy",
        ".npz": "workbench.scene.data.npy",
        ".tif": "workbench.scene.data.tiff",
        ".tiff": "workbench.scene.data.tiff",
        ".lan": "workbench.scene.data.erdas",
        ".gis": "workbench.scene.data.erdas",
    }
    | dict.fromkeys((".nc", ".he5", ".h5", ".hdf5"), "workbench.scene.data.hdf5_products")
    | dict.fromkeys((".bsq", ".bil", ".bip", ".dat", ".img", ".raw"), "workbench.scene.data.envi"),
    files="workbench.scene.data.files",
    writer="workbench.scene.data.write",
    formats=("envi", "geotiff", "npy"),
    layers="workbench.scene.layers",
    monai="workbench.scene.data.monai_reader:SceneReader",
    size_part="areas",
    size_column="area [m2]",
    tool="Spectra tool",
    sample="spectral_scene",
    demo="workbench.scene.demo:map_sample",
)

RECORDING = Kind(
    name="recording",
    title="a recording",
    axes=("time",),
    readers=dict.fromkeys(
        (".fif", ".fif.gz", ".edf", ".bdf", ".gdf", ".vhdr", ".con", ".sqd", ".ds", ".set", ".cnt", ".raw"),
        "workbench.recording.data.read",
    )
    | dict.fromkeys((".npy", ".npz", ".mat"), "workbench.recording.data.parcels"),
    files="workbench.recording.data.files",
    writer="workbench.recording.data.write",
    formats=("fif", "npy"),
    layers="workbench.recording.layers",
    cases="workbench.recording.data.cases",
    monai="workbench.recording.data.monai_reader:RecordingReader",
    owns=("Signals", "Marks"),
    needs_labels=False,
    series="recording",
    hidden=("affine", "orientation", "classes"),  # its affine is the sampling rate, which the header says
    tool="MEG tool",
    sample="meg_recording",
    demo="workbench.recording.demo:explore_sample",
)

_SLIDES = (
    ".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide", ".ome.tif", ".ome.tiff", ".tif", ".tiff",
    ".ome.zarr", ".zarr", ".dcm", ".png", ".jpg", ".jpeg", ".npy",
)  # fmt: skip

SLIDE = Kind(
    name="slide",
    title="a slide",
    axes=("y", "x"),
    readers=dict.fromkeys(_SLIDES, "workbench.slide.data.open"),
    files="workbench.slide.data.files",
    writer="workbench.slide.data.write",
    formats=("hdf5", "geoparquet", "ome-zarr"),
    layers="workbench.slide.layers",
    cases="workbench.slide.data.cases",
    monai="workbench.slide.data.monai_reader:SlideReader",
    needs_labels=False,
    size_part="areas",
    size_column="area [mm2]",
    hidden=("affine", "orientation", "classes", "value_unit"),
    tool="Slides tool",
    sample="slide",
    demo="workbench.slide.demo:embed_samples",
    if_asked=(".png", ".jpg", ".jpeg", ".tif", ".tiff"),
)

_PAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".heic", ".heif", ".pdf")
_SIGNALS = (".hea", ".csv", ".tsv", ".dcm", ".xml", ".scp", ".edf")

PAGE = Kind(
    name="page",
    title="an electrocardiogram",
    axes=("down", "across"),
    readers=dict.fromkeys((*_PAGES, *_SIGNALS), "workbench.page.data.files"),
    files="workbench.page.data.files",
    writer="workbench.page.data.write",
    formats=("wfdb", "dicom-ecg", "csv", "edf"),
    layers="workbench.page.layers",
    cases="workbench.page.data.cases",
    monai="workbench.page.data.monai_reader:PageReader",
    needs_labels=False,
    series="page",
    hidden=("affine", "orientation", "classes"),
    tool="ECG tool",
    sample="page",
    demo="workbench.page.demo:read_sample",
    if_asked=(*_PAGES, ".csv", ".tsv", ".xml", ".edf"),
    names_tell=False,
)

BUILT_IN = (VOLUME, SCENE, RECORDING, SLIDE, PAGE)


@cache
def kinds() -> dict[str, Kind]:
    """All kinds by name; see `load_kinds`. Looked up once."""
    return load_kinds()


def load_kinds() -> dict[str, Kind]:
    """All kinds by name: the built-in rows first, then those of installed third parties.

    A third party cannot replace a built-in row: it is left out, with a warning.
    """
    from workbench.core.entry_points import rows_of

    return rows_of("workbench.kinds", Kind, BUILT_IN)


def find(name: str) -> Kind:
    """The kind of that name; a usage error with the nearest name if there is none."""
    rows = kinds()
    if name not in rows:
        raise UsageError(f"no kind of data '{name}'.{nearest(name, rows)}")
    return rows[name]


def candidates(path: Path, key: str | None = None) -> dict[str, Verdict]:
    """What a path can be: the kinds that do not say no, with their verdicts.

    A kind of a third party that fails is left out with a warning: it must not keep anybody from opening other files.
    """
    found: dict[str, Verdict] = {}
    if path.exists() and not path.is_dir() and not path.is_file():
        return found  # a pipe or a device: whoever looks into it would wait for ever
    for row in kinds().values():
        try:
            verdict = row.sniff(path, key)
        except Exception as error:
            if row.is_built_in:
                raise
            _left_out(row, error)
            continue
        if verdict != "no":
            found[row.name] = verdict
    return found


def likely(found: Mapping[str, Verdict], path: Path) -> list[str]:
    """The kinds of `candidates` that are left to choose from: those that are sure, else all.

    Ours that take such a file only if asked give way to a kind that somebody installed for such files.
    """
    certain = [name for name, verdict in found.items() if verdict == "sure"]
    shy = {name for name in found if path.name.lower().endswith(find(name).if_asked)}
    installed = any(not find(name).is_built_in for name in found if name not in shy)
    return certain or [name for name in found if not (installed and name in shy and find(name).is_built_in)]


def accepts(name: str, found: Mapping[str, Verdict], path: Path) -> bool:
    """Whether a kind that somebody asks for takes a path, of which `candidates` were found: nobody else is sure of it,
    and it may be one, or is read as one if asked.
    """
    if "sure" in found.values():
        return found.get(name) == "sure"
    own = find(name).hook("files", "reads_if_asked")
    return name in found or (own is not None and path.is_file() and bool(own(path)))


def hooks(part: Part, function: str) -> Iterator[tuple[Kind, Any]]:
    """The optional function of every kind that has it; kinds of third parties that cannot be loaded are left out."""
    for row in kinds().values():
        try:
            own = row.hook(part, function)
        except FaultyExtension as error:
            _left_out(row, error)
            continue
        if own is not None:
            yield row, own


def _left_out(row: Kind, error: Exception) -> None:
    why = f"kind '{row.name}' of a third party was not asked ({type(error).__name__}: {one_line(error)})"
    warnings.warn(str(error) if isinstance(error, FaultyExtension) else why, WorkbenchWarning, stacklevel=3)
