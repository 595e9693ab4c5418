"""What the workbench can do: one row of plain strings per backend. Listing them imports neither torch nor MONAI.

Third parties add a row by an entry point in the group ``workbench.backends`` whose value is a `Backend`.
"""

from __future__ import annotations

import importlib
from dataclasses import asdict, dataclass
from functools import cache
from types import ModuleType
from typing import Any

from workbench.core.errors import MissingExtra, UsageError, nearest


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
        Import path of the module with ``Config``, ``load``, ``predict`` and, where it can learn, ``TrainConfig``,
        ``train``, ``EvaluateConfig``, ``evaluate`` (contract: `docs/add-a-backend.md`).
    extra
        Extra of the distribution that it needs, or "".
    licence, paper
        Licence of the code, and DOI or arXiv number of the method.
    """

    name: str
    title: str
    task: str
    kind: str
    reads: tuple[str, ...]
    gives: tuple[str, ...]
    axes: str
    module: str
    extra: str = ""
    licence: str = "BSD-3-Clause"
    paper: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def load_module(self) -> ModuleType:
        """Import the module of the backend (cheap: a backend imports torch only inside its functions)."""
        try:
            return importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            if self.extra:
                raise MissingExtra(f"backend {self.name} ({error.name} is not installed)", self.extra) from error
            raise


SEGFORMER3D = Backend(
    name="segformer3d",
    title="SegFormer3D",
    task="segment organs or lesions in CT and MR volumes",
    kind="volume",
    reads=("NIfTI", "DICOM series", "NRRD", "MHA"),
    gives=("label map", "class volumes [mL]", "uncertainty map"),
    axes="C, X, Y, Z",
    module="workbench.volume.segformer3d",
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
    paper="arXiv:2510.18080",
)

_BUILT_IN = (SEGFORMER3D, LOLA_SPECVIT, MEG_GPT)


@cache
def backends() -> dict[str, Backend]:
    """All backends by name: the built-in rows first, then those of installed third parties."""
    from importlib.metadata import entry_points

    rows = {row.name: row for row in _BUILT_IN}
    for point in entry_points(group="workbench.backends"):
        if not point.value.startswith("workbench."):
            row = point.load()
            rows.setdefault(row.name, row)
    return rows


def find(name: str) -> Backend:
    """The backend of that name; a usage error with the nearest name if there is none."""
    rows = backends()
    if name not in rows:
        raise UsageError(f"no backend '{name}'.{nearest(name, rows)}")
    return rows[name]
