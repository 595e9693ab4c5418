"""What the workbench can do: one row of plain strings per backend. Listing them imports neither torch nor MONAI.

Third parties add a row by an entry point in the group ``workbench.backends`` whose value is a `Backend`.
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import asdict, dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from workbench.core import kinds, settings
from workbench.core.errors import (
    FaultyExtension,
    InputError,
    MissingExtra,
    UsageError,
    WorkbenchError,
    WorkbenchWarning,
    nearest,
    one_line,
)

if TYPE_CHECKING:
    from workbench.core.types import Image

VERBS = {
    "predict": ("Config", "load", "predict"),
    "train": ("TrainConfig", "train"),
    "evaluate": ("EvaluateConfig", "evaluate"),
}
"""What a backend can do, and what its module must define for it."""


@dataclass(frozen=True)
class Backend:
    """One backend, described.

    Parameters
    ----------
    name
        What users type.
    title, task
        One line each, for people.
    kind
        Kind of image it takes (see `workbench.core.types.Image.kind`).
    reads, gives
        Formats in and parts out, for people.
    axes
        Axes of the array that its network sees.
    module
        Import path of the module with ``Config``, ``load``, ``predict`` and, where the row says so, ``TrainConfig``,
        ``train``, ``EvaluateConfig``, ``evaluate`` (contract: `docs/add-a-backend.md`).
    verbs
        Which of ``predict``, ``train`` and ``evaluate`` it offers; the others are absent, not broken.
    extra
        Extra of the distribution that it needs, or "".
    settings
        Import path of a module with the settings classes of its verbs alone, so that help need not import the backend;
        "": they are in ``module``.
    licence, paper
        Licence of the code, and DOI or arXiv number of the method.
    sizes
        The part of its results that says how much there is of each class (or of whatever its first column names), and
        the column of that; by default those of its kind.
    """

    name: str
    title: str
    task: str
    kind: str
    reads: tuple[str, ...]
    gives: tuple[str, ...]
    axes: str
    module: str
    verbs: tuple[str, ...] = ("predict",)
    extra: str = ""
    settings: str = ""
    licence: str = "BSD-3-Clause"
    paper: str = ""
    sizes: tuple[str, str] = ("", "")

    @property
    def size_part(self) -> str:
        return self.sizes[0] or kinds.find(self.kind).size_part

    @property
    def size_column(self) -> str:
        return self.sizes[1] or kinds.find(self.kind).size_column

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def load_module(self) -> ModuleType:
        """Import the module of the backend (cheap: a backend imports torch only inside its functions)."""
        return self._import(self.module)

    def _import(self, module: str) -> ModuleType:
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if self.extra:
                raise MissingExtra(f"backend {self.name} ({error.name} is not installed)", self.extra) from error
            if self.is_built_in:
                raise
            raise self._unusable(module, error) from error
        except (Exception, SystemExit) as error:  # a stranger's module may do anything while it is imported
            if self.is_built_in:
                raise
            raise self._unusable(module, error) from error

    @property
    def is_built_in(self) -> bool:
        """Whether the row is one of ours."""
        return self in BUILT_IN

    def _unusable(self, module: str, error: BaseException) -> FaultyExtension:
        return FaultyExtension(
            f"backend {self.name}: its module {module} cannot be loaded ({type(error).__name__}: "
            f"{one_line(error)}). Update or reinstall the package that brings it."
        )

    def module_for(self, verb: str) -> ModuleType:
        """Its module, if it offers that verb.

        Raises
        ------
        UsageError
            It does not; the message names the backends of its kind that do.
        """
        self._require(verb)
        return self._with(self.load_module(), verb, VERBS[verb])

    def settings_of(self, verb: str) -> Any:
        """The class of the settings of a verb (errors as in `module_for`); the backend itself need not be imported."""
        self._require(verb)
        name = VERBS[verb][0]
        module = self._with(self._import(self.settings), verb, (name,)) if self.settings else self.module_for(verb)
        return getattr(module, name)

    def _require(self, verb: str) -> None:
        if verb not in self.verbs:
            others = [b.name for b in backends().values() if verb in b.verbs and b.kind == self.kind]
            way_out = f" Backends of its kind that can: {', '.join(others)}." if others else ""
            raise UsageError(f"backend {self.name} offers {', '.join(self.verbs)}, not {verb}.{way_out}")

    def _with(self, module: ModuleType, verb: str, names: tuple[str, ...]) -> ModuleType:
        missing = [name for name in names if not hasattr(module, name)]
        if missing:
            raise FaultyExtension(
                f"backend {self.name}: its row lists '{verb}', but {module.__name__} defines no {', '.join(missing)}. "
                "Update the package that brings it, or tell its makers."
            )
        return module

    def problems(self) -> list[str]:
        """What keeps the backend from being used, in words; nothing of it is run but its import."""
        found = []
        for verb in self.verbs:
            try:
                own = getattr(self.module_for(verb), VERBS[verb][0])
                if self.settings_of(verb) is not own:
                    found.append(f"backend {self.name}: {self.settings} and {self.module} differ in {own.__name__}")
                settings.describe(own)
            except WorkbenchError as error:
                found.append(str(error))
        return list(dict.fromkeys(found))

    def require_kind(self, image: Image) -> None:
        """Refuse an image of another kind, before the backend sees it.

        Raises
        ------
        InputError
            The image is of another kind; the message says which, and which backends take that.
        """
        if image.kind != self.kind:
            raise wrong_kind(self, image.kind, image.source or image.name)


def wrong_kind(backend: Backend, kind: str, what: Any) -> InputError:
    """The error for data of another kind than a backend takes."""
    fitting = [b.name for b in backends().values() if b.kind == kind]
    way_out = f"Backends for it: {', '.join(fitting)}." if fitting else "No backend for it is installed."
    titles = kinds.find(kind).title, kinds.find(backend.kind).title
    return InputError(f"{what}: this is {titles[0]}, and backend {backend.name} takes {titles[1]}. {way_out}")


SEGFORMER3D = Backend(
    name="segformer3d",
    title="SegFormer3D",
    task="segment organs or lesions in CT and MR volumes",
    kind="volume",
    reads=("NIfTI", "DICOM series", "NRRD", "MHA"),
    gives=("label map", "class volumes [mL]", "uncertainty map"),
    axes="C, X, Y, Z",
    module="workbench.volume.segformer3d",
    settings="workbench.volume.settings",
    verbs=tuple(VERBS),
    paper="arXiv:2404.10156",
)

LOLA_SPECVIT = Backend(
    name="lola_specvit",
    title="LoLA-SpecViT",
    task="map the classes of a hyperspectral scene from a few labelled pixels",
    kind="scene",
    reads=("ENVI", "MATLAB", "GeoTIFF", "TIFF", "NumPy"),
    gives=("class map", "confidence map", "class areas"),
    axes="components, rows, columns",
    module="workbench.scene.lola_specvit",
    settings="workbench.scene.settings",
    verbs=tuple(VERBS),
    paper="arXiv:2506.17759",
)

MEG_GPT = Backend(
    name="meg_gpt",
    title="MEG-GPT",
    task="tokenise, model and generate MEG and EEG, and say where a recording surprises",
    kind="recording",
    reads=("FIF", "CTF", "BTi", "KIT", "EDF", "BrainVision", "BIDS", "NumPy", "MATLAB"),
    gives=("tokens", "reconstruction", "surprisal map", "annotations", "generated signals"),
    axes="channels, samples",
    module="workbench.recording.meg_gpt",
    settings="workbench.recording.settings",
    verbs=tuple(VERBS),
    paper="arXiv:2510.18080",
)

STAINNET = Backend(
    name="stainnet",
    title="StainNet",
    task="find the tissue of a slide, cut it into tiles, and describe each by an embedding",
    kind="slide",
    reads=("SVS", "NDPI", "MRXS", "SCN", "VMS", "BIF", "DICOM", "OME-TIFF", "TIFF", "OME-Zarr", "PNG", "JPEG"),
    gives=("tile embeddings", "tissue mask", "heat maps", "areas [mm2]"),
    axes="C, rows, columns",
    module="workbench.slide.stainnet",
    settings="workbench.slide.settings",
    verbs=("predict", "train"),
    paper="arXiv:2512.10326",
)

CELLVTA = Backend(
    name="cellvta",
    title="CellVTA",
    task="outline and classify every nucleus of a slide",
    kind="slide",
    reads=("SVS", "NDPI", "MRXS", "SCN", "VMS", "BIF", "DICOM", "OME-TIFF", "TIFF", "OME-Zarr", "PNG", "JPEG"),
    gives=("outlines of nuclei", "counts [1/mm2]", "density map", "embeddings of nuclei"),
    axes="C, rows, columns",
    module="workbench.slide.cellvta",
    settings="workbench.slide.cell_settings",
    verbs=tuple(VERBS),
    paper="arXiv:2504.00784",
    sizes=("counts", "nuclei"),
)

IHC = Backend(
    name="ihc",
    title="Positive nuclei (IHC)",
    task="count positive and negative nuclei of immunohistochemistry: index, H-score, Allred score",
    kind="slide",
    reads=CELLVTA.reads,
    gives=("outlines of nuclei", "index, H-score, Allred score", "positive area [mm2]", "density map"),
    axes="C, rows, columns",
    module="workbench.slide.ihc",
    settings="workbench.slide.ihc_settings",
    verbs=("predict", "evaluate"),
    paper="PMID:11531144",
    sizes=("index", "positive [%]"),
)

ECG_IMAGE = Backend(
    name="ecg_image",
    title="Paper ECG",
    task="read the leads of a paper electrocardiogram in mV, and measure its intervals",
    kind="page",
    reads=(
        "PNG",
        "JPEG",
        "TIFF",
        "BMP",
        "HEIC",
        "PDF",
        "WFDB",
        "CSV",
        "DICOM",
        "aECG",
        "SCP-ECG",
        "MUSE",
        "Philips XML",
    ),
    gives=("leads [mV]", "coverage and certainty", "heart rate, PR, QRS, QT [ms], axes"),
    axes="C, rows, columns",
    module="workbench.page.ecg_image",
    settings="workbench.page.settings",
    verbs=tuple(VERBS),
    paper="arXiv:2310.12630",
)

BUILT_IN = (SEGFORMER3D, LOLA_SPECVIT, MEG_GPT, STAINNET, CELLVTA, IHC, ECG_IMAGE)


@cache
def backends() -> dict[str, Backend]:
    """All backends by name; see `load_backends`. Looked up once."""
    return load_backends()


def load_backends() -> dict[str, Backend]:
    """All backends by name: the built-in rows first, then those of installed third parties.

    A third party cannot replace a built-in row, nor add one of a kind that nobody has: it is left out, with a warning.
    """
    from workbench.core.entry_points import rows_of

    rows = rows_of("workbench.backends", Backend, BUILT_IN)
    for name in [n for n, row in rows.items() if row.kind not in kinds.kinds()]:
        row = rows.pop(name)
        problem = f"backend '{name}' was left out: nobody adds its kind of data '{row.kind}'"
        warnings.warn(problem, WorkbenchWarning, stacklevel=2)
    return rows


def of_kind(kind: str, verb: str = "predict") -> list[Backend]:
    """The backends of a kind of data that offer a verb, the built-in ones first."""
    return [row for row in backends().values() if row.kind == kind and verb in row.verbs]


def find(name: str) -> Backend:
    """The backend of that name; a usage error with the nearest name if there is none."""
    rows = backends()
    if name not in rows:
        raise UsageError(f"no backend '{name}'.{nearest(name, rows)}")
    return rows[name]


def load(backend: Backend, config: Any) -> Any:
    """The model of a backend, on the device that its settings ask for; methods without ``device`` get ``None``."""
    wanted = getattr(config, "device", None)
    if wanted is None:
        return backend.load_module().load(config, None)
    from workbench.core import device as devices

    device, _ = devices.choose(wanted)
    return backend.load_module().load(config, device)


def weights_of(model: Any) -> Any:
    """Weights of a loaded model (``name``, ``sha256``), or ``None`` for a method without."""
    return getattr(model, "weights", None)


def describe(model: Any) -> str:
    """One line about a loaded model: its weights, and where it computes and why."""
    weights = weights_of(model)
    what = "no weights" if weights is None else f"weights {weights.name}"
    device, reason = getattr(model, "device", None), getattr(model, "reason", "")
    return what + ("" if device is None else f", computing on {device}" + (f" ({reason})" if reason else ""))
