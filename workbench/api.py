"""The six verbs: read, predict, (correct by hand), train, evaluate, write. `workbench` re-exports them lazily."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from workbench.core import leftovers, memory, registry, settings
from workbench.core.output import require_inside
from workbench.core.reports import EvaluationReport, TrainReport
from workbench.core.types import Case, Image, Part, Progress, Result

Source = str | Path


def read(path: Source, *, series: str | None = None, kind: str | None = None, allow_truncated: bool = False) -> Image:
    """Open a file or a DICOM folder. Cheap: only headers are read, the pixels load when `Image.data` is asked for.

    Parameters
    ----------
    path
        A volume: NIfTI, NRRD, MHA/MHD or DICOM file, or a folder that holds one or more DICOM series. A spectral scene:
        ENVI, MATLAB or NumPy file (``scene.mat:key`` names one array of several), TIFF or GeoTIFF. A recording: FIF,
        EDF/BDF, BrainVision or KIT file, CTF, BTi or BIDS folder, NumPy or MATLAB file (``file.npy:250Hz``).
    series
        Which DICOM series to take when there are several: UID, end of the UID, or number in the listing of `info`. Of
        evoked responses and BIDS data sets: number or name.
    kind
        Read it as this kind of data (``"volume"``, ``"scene"``, ...), where a file could be several.
    allow_truncated
        Read what is there of a recording that was cut off or never closed; `Image.notes` say how many samples were
        promised and found. Other kinds are never read in part.

    Returns
    -------
    Image
        Volumes: ``data`` is (C, i, j, k) in the voxel order of the file; ``geometry.affine`` maps voxels to RAS+ mm.
        Scenes: ``data`` is (bands, rows, columns); ``geometry.affine`` maps (row, column) to map coordinates (x, y).
        Recordings: ``data`` is (channels, samples) in SI units; ``geometry`` is the time base in seconds.

    Raises
    ------
    InputError
        The file is missing, damaged or of an unknown kind, could be of several kinds, or the series is not unique.
    GeometryError
        The file's geometry is singular or not a number.
    """
    from workbench.data import formats

    return formats.read(path, series=series, kind=kind, allow_truncated=allow_truncated)


def info(path: Source, *, kind: str | None = None, allow_truncated: bool = False) -> list[dict[str, Any]]:
    """What the headers say, one JSON-able row per image or DICOM series. No pixels are loaded."""
    from workbench.data import formats

    return formats.info(path, kind=kind, allow_truncated=allow_truncated)


def predict(
    backend: str,
    image: Image | Source,
    *,
    progress: Progress | None = None,
    series: str | None = None,
    kind: str | None = None,
    allow_truncated: bool = False,
    **values: Any,
) -> Result:
    """Let a backend propose a result for one image.

    Parameters
    ----------
    backend
        Name of the backend (`workbench.backends()`).
    image
        An image, or the path of one.
    progress
        Called with (windows done, windows in all); raise `workbench.core.errors.Cancelled` in it to stop.
    series, kind, allow_truncated
        Of a path, as in `read`; what could be several kinds is read as that of the backend.
    **values
        Settings of the backend, e.g. ``weights="demo"``, ``device="auto"``, ``overlap=0.5``; see
        ``workbench predict BACKEND --help``. Unknown names are errors.

    Returns
    -------
    Result
        Typed parts on the grid of `image`, with their provenance.
    """
    row = registry.find(backend)
    module = row.module_for("predict")
    config = settings.build(module.Config, values)
    opened = image if isinstance(image, Image) else _open(row, image, series, kind, allow_truncated)
    row.require_kind(opened)
    from workbench.core import contract

    return contract.predict(row, registry.load(row, config), opened, config, progress)


def _open(row: registry.Backend, path: Source, series: str | None, kind: str | None, allow_truncated: bool) -> Image:
    from workbench.data import formats

    return formats.read(path, series=series, kind=kind, hint=row.kind, allow_truncated=allow_truncated)


def cases(source: Source | Iterable[Case | Source], labels: Source | None = None) -> list[Case]:
    """Cases of a study: a CSV/JSONL list, a folder of images with a folder of labels, or several files or cases."""
    from workbench.data.cases import join_cases, load_cases

    if isinstance(source, str | Path):
        return load_cases(Path(source), Path(labels) if labels else None)
    return join_cases(source)


def train(
    backend: str,
    source: Source | Iterable[Case | Source],
    *,
    out: Source,
    on_step: Callable[[Any], None] | None = None,
    **values: Any,
) -> TrainReport:
    """Teach a backend with reference labels; recordings are learnt from as they are.

    Parameters
    ----------
    source
        Cases with labels: list of `Case`, CSV/JSONL file, or a folder with ``images`` and ``labels``. Recordings: the
        same, without labels, or a list of paths; the column ``group`` (or the beginning of the name, ``sub-01``) is the
        subject.
    out
        The ``.safetensors`` file to write. The log, the curve and the report go beside it.
    on_step
        Called with the state of the training (step, loss, score, seconds left) as it goes on.
    **values
        Settings of the training; see ``workbench train BACKEND --help``.

    Returns
    -------
    TrainReport
        Paths of the weights, the log and the report, the validation score and the history.
    """
    row = registry.find(backend)
    module = row.module_for("train")
    config = settings.build(module.TrainConfig, values)
    out = Path(out)
    for folder in (out.parent, out.with_name(out.stem + "_training")):
        require_inside(folder, out.parent)
        leftovers.clean(folder)
    with memory.guarding(f"training {row.name}"):
        report: TrainReport = module.train(_cases_for(row, source), config, out, on_step)
    return report


def evaluate(
    backend: str,
    source: Source | Iterable[Case | Source],
    *,
    out: Source | None = None,
    progress: Progress | None = None,
    **values: Any,
) -> EvaluationReport:
    """Score a backend against reference labels.

    Returns
    -------
    EvaluationReport
        Rows per case and class, and their summary; written to `out` as CSV, JSON and HTML if given.
    """
    row = registry.find(backend)
    module = row.module_for("evaluate")
    config = settings.build(module.EvaluateConfig, values)
    if out is not None:
        for name in ("scores.csv", "scores.json", "report.html"):  # said before the work, not after it
            require_inside(Path(out) / name, Path(out))
        leftovers.clean(Path(out))
    with memory.guarding(f"evaluating {row.name}"):
        report: EvaluationReport = module.evaluate(
            _cases_for(row, source), config, Path(out) if out else None, progress
        )
    return report


def _cases_for(row: registry.Backend, source: Source | Iterable[Case | Source]) -> list[Case]:
    """The cases of a study, each of the kind that the backend takes."""
    from workbench.data.cases import settled

    return settled(cases(source), row, go_on=True)


def write(
    value: Result | Image | Part,
    folder: Source,
    *,
    format: str = "auto",
    name: str | None = None,
    source: Image | None = None,
) -> list[Path]:
    """Write a result, an image or a part of a result in the field's own formats; returns the paths written.

    Parameters
    ----------
    folder
        Folder to write into; made if missing.
    format
        ``"auto"`` (the format of the source where it can hold labels, else NIfTI, for scenes ENVI), ``"nifti"``,
        ``"nrrd"``, ``"mha"`` or ``"dicom-seg"`` for volumes, ``"envi"``, ``"geotiff"`` or ``"npy"`` for scenes,
        ``"fif"`` or ``"npy"`` for recordings; other kinds say theirs in their rows.
    name
        File name without suffix.
    source
        For `Labels`: the image they belong to. Its header keeps the geometry bit for bit, and a label map that does not
        lie on its grid is refused.

    Raises
    ------
    GeometryError
        The geometry of a part is not that of its source image: nothing is written in the wrong place.
    UsageError
        The folder cannot be written to.
    """
    from workbench.data.write import write as write_value

    return write_value(value, Path(folder), format=format, name=name, source=source)
