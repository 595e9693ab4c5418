"""The six verbs: read, predict, (correct by hand), train, evaluate, write. `workbench` re-exports them lazily."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from workbench.core import leftovers, memory, registry, settings
from workbench.core.output import require_inside
from workbench.core.reports import EvaluationReport, TrainReport
from workbench.core.study import Study
from workbench.core.types import Case, Image, Part, Progress, Result

Source = str | Path


def read(
    path: Source | Case,
    *,
    series: str | None = None,
    kind: str | None = None,
    allow_truncated: bool = False,
    regularise: bool = False,
) -> Image:
    """Open a file, a folder with one image in it, or a case of a study.

    Cheap: only headers are read, the pixels load when `Image.data` is asked for.

    Parameters
    ----------
    path
        A volume: NIfTI, NRRD, MHA/MHD or DICOM file, or a folder that holds one or more DICOM series. A spectral scene:
        ENVI, MATLAB or NumPy file (``scene.mat:key`` names one array of several), TIFF or GeoTIFF, EMIT, PRISMA or NEON
        product, ERDAS ``.lan``. A recording: FIF, EDF/BDF, BrainVision or KIT file, CTF, BTi or BIDS folder, NumPy or
        MATLAB file (``file.npy:250Hz``).
    series
        Which DICOM series to take when there are several: UID, end of the UID, number in the listing of `info`, or a
        rule (``"description=*arterial*,slices>40"``). Of evoked responses and BIDS data sets: number or name.
    kind
        Read it as this kind of data (``"volume"``, ``"scene"``, ...), where a file could be several.
    allow_truncated
        Read what is there of a recording that was cut off or never closed; `Image.notes` say how many samples were
        promised and found. Other kinds are never read in part.
    regularise
        Resample DICOM slices in uneven steps to even ones; the notes say so. Without it such series are refused.

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
    if isinstance(path, Case):
        from workbench.data.cases import open_case

        return open_case(path)
    from workbench.data import study

    place = Path(path).expanduser()
    return study.read(
        place, series=series, kind=kind, hint=None, allow_truncated=allow_truncated, regularise=regularise
    )


def info(path: Source, *, kind: str | None = None, allow_truncated: bool = False) -> list[dict[str, Any]]:
    """What the headers say, one JSON-able row per image or DICOM series. No pixels are loaded.

    Of a folder these are the images in all folders below it; `study` says what else is there.
    """
    from workbench.data import study as studies

    return studies.info(Path(path).expanduser(), kind=kind, allow_truncated=allow_truncated)[0]


def study(path: Source, labels: Source | None = None, *, kind: str | None = None, series: str | None = None) -> Study:
    """What a folder, an archive or a list is: its cases, and all that was skipped with the reason.

    Every verb takes a folder for this. Folders are searched with all folders below them.

    Parameters
    ----------
    labels
        Folder with the label maps, named as the cases.
    kind
        Only cases of that kind of data.
    series
        Which of several DICOM series of one folder to take: number, UID, or a rule for all of them
        (``"description=*arterial*,modality=CT,slices>40"``).
    """
    from workbench.data.cases import load_study

    return load_study(Path(path), Path(labels) if labels else None, kind=kind, series=series)


def predict(
    backend: str,
    image: Image | Source,
    *,
    progress: Progress | None = None,
    series: str | None = None,
    kind: str | None = None,
    allow_truncated: bool = False,
    regularise: bool = False,
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
    series, kind, allow_truncated, regularise
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
    opened = image if isinstance(image, Image) else _open(row, image, series, kind, allow_truncated, regularise)
    row.require_kind(opened)
    from workbench.core import contract

    return contract.predict(row, registry.load(row, config), opened, config, progress)


def _open(
    row: registry.Backend,
    path: Source,
    series: str | None,
    kind: str | None,
    allow_truncated: bool,
    regularise: bool,
) -> Image:
    from workbench.data import study

    place = Path(path).expanduser()
    return study.read(
        place, series=series, kind=kind, hint=row.kind, allow_truncated=allow_truncated, regularise=regularise
    )


def cases(source: Source | Iterable[Case | Source], labels: Source | None = None) -> list[Case]:
    """Cases of a study: a CSV/JSONL list, a folder of images with a folder of labels, or several files or cases."""
    return _cases(source, labels)


def _cases(
    source: Source | Iterable[Case | Source], labels: Source | None = None, kind: str | None = None
) -> list[Case]:
    from workbench.data.cases import join_cases, load_cases

    if isinstance(source, str | Path):
        return load_cases(Path(source), Path(labels) if labels else None, kind=kind)
    return join_cases(source, kind=kind)


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
    from workbench.data.cases import taught_by

    out = Path(out)
    for folder in (out.parent, out.with_name(out.stem + "_training")):
        require_inside(folder, out.parent)
        leftovers.clean(folder)
    found, _ = taught_by(_cases_for(row, source))
    with memory.guarding(f"training {row.name}"):
        report: TrainReport = module.train(found, config, out, on_step)
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
    from workbench.data.cases import scored_on

    if out is not None:
        for name in ("scores.csv", "scores.json", "report.html"):  # said before the work, not after it
            require_inside(Path(out) / name, Path(out))
        leftovers.clean(Path(out))
    found, _ = scored_on(_cases_for(row, source))
    with memory.guarding(f"evaluating {row.name}"):
        report: EvaluationReport = module.evaluate(found, config, Path(out) if out else None, progress)
    return report


def _cases_for(row: registry.Backend, source: Source | Iterable[Case | Source]) -> list[Case]:
    """The cases of a study, each of the kind that the backend takes."""
    from workbench.data.cases import settled

    return settled(_cases(source, kind=row.kind), row, go_on=True)


def write(
    value: Result | Image | Part,
    folder: Source,
    *,
    format: str = "auto",
    name: str | None = None,
    source: Image | None = None,
    beside: Callable[[Path], Iterable[Path]] | None = None,
) -> list[Path]:
    """Write a result, an image or a part of a result in the field's own formats; returns the paths written.

    A result becomes a folder of its own, whole or not at all. What a person edited in it before is kept beside, in
    ``versions``, with the time and the author (``WORKBENCH_AUTHOR``, else the login).

    Parameters
    ----------
    folder
        Folder to write into; made if missing.
    format
        ``"auto"`` (the format of the source where it can hold labels, else NIfTI, for scenes ENVI), ``"nifti"``,
        ``"nrrd"``, ``"mha"``, ``"dicom-seg"`` or ``"rtstruct"`` for volumes, ``"envi"``, ``"geotiff"`` or
        ``"npy"`` for scenes,
        ``"fif"`` or ``"npy"`` for recordings; other kinds say theirs in their rows.
    name
        File name without suffix.
    source
        For `Labels`: the image they belong to. Its header keeps the geometry bit for bit, and a label map that does not
        lie on its grid is refused.
    beside
        Of a `Result`: called with a folder to write more files into that belong to it; returns their paths.

    Raises
    ------
    GeometryError
        The geometry of a part is not that of its source image: nothing is written in the wrong place.
    UsageError
        The folder cannot be written to.
    """
    from workbench.data.write import write as write_value

    return write_value(value, Path(folder), format=format, name=name, source=source, beside=beside)
