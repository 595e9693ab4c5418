"""Results, label maps and images to files: atomic, on the source's own grid, or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.core.atomic import replacing, sha256_of, write_json
from workbench.core.errors import GeometryError, UsageError, nearest
from workbench.core.types import (
    ClassTable,
    Embeddings,
    Geometry,
    Heatmap,
    Image,
    Labels,
    Marks,
    Result,
    Scores,
    Signals,
)
from workbench.data.geometry import describe, orientation, require_match
from workbench.data.label_values import smallest_unsigned
from workbench.recording.data import write as recording_write
from workbench.recording.data.recording import RecordingNative
from workbench.scene.data import write as cube_write
from workbench.scene.data.cubes import CubeNative

Format = Literal["auto", "nifti", "nrrd", "mha", "dicom-seg", "envi", "geotiff", "npy", "fif"]

_SUFFIX = {"nifti": ".nii.gz", "nrrd": ".nrrd", "mha": ".mha", "dicom-seg": ".dcm"}
_FORMATS = ("auto", *_SUFFIX, *cube_write.SUFFIXES, "fif")
_PROVENANCE = "provenance.json"


def write(
    thing: Result | Labels | Image | Signals | Marks | Embeddings,
    folder: str | Path,
    *,
    format: Format = "auto",
    name: str | None = None,
    source: Image | None = None,
) -> list[Path]:
    """Write a result, a label map or an image; returns the paths, the completion record last.

    Parameters
    ----------
    thing
        A `Result` becomes the folder ``folder/<name>`` (name of the image by default) with one file per part and
        ``provenance.json``, which is written last and holds size and sha256 of every other file. `Labels` and `Image`
        become one file ``folder/<name><suffix>`` (ENVI: two, samples and header). `Signals`, `Marks` and `Embeddings`
        become the files that they are in a result; see `workbench.recording.data.write`.
    format
        ``"auto"`` keeps the family of the source (DICOM and unknown ones: NIfTI; scenes that are not GeoTIFF: ENVI).
        Volumes: ``nifti``, ``nrrd``, ``mha``, ``dicom-seg``; scenes: ``envi``, ``geotiff``, ``npy``; recordings:
        ``fif``, ``npy``.
    name
        Name without suffix; must stay inside `folder`.
    source
        For `Labels`: the image they belong to; its native header keeps the geometry bit for bit.

    Raises
    ------
    GeometryError
        If a part does not lie on the grid of its image. Nothing is written then.
    UsageError
        If the name leaves the folder, the format is unknown, or a source file would be overwritten.
    """
    folder = Path(folder).expanduser()
    if format not in _FORMATS:
        raise UsageError(f"no output format '{format}'.{nearest(format, _FORMATS)}")
    if isinstance(thing, Result):
        return _write_result(thing, folder, format, name)
    target = folder / _safe(name or thing.name)
    if isinstance(thing, Signals | Marks | Embeddings):
        return _save_all(recording_write.jobs(thing, target, recording_write.family(format), source), source)
    if isinstance(thing, Image) and thing.kind == "recording":
        return _save_all(recording_write.image_jobs(thing, target, recording_write.family(format)), thing)
    if isinstance(thing, Labels) and source is not None:
        require_match(thing.geometry, source.geometry, f"label map '{thing.name}'", source.source)
    if thing.geometry.ndim == 2:
        jobs = cube_write.jobs(thing, target, cube_write.family(format, source or _as_source(thing)), source)
        return _save_all(jobs, source if source is not None else thing)
    if isinstance(thing, Labels):
        job = _labels_job(thing, target, _family(format, source), source)
    else:
        if format == "dicom-seg":
            raise UsageError("format dicom-seg holds label maps only, and this is an image: choose nifti, nrrd or mha.")
        job = _image_job(thing, target, _family(format, thing))
    return _save_all([job], source if source is not None else thing)


def _as_source(thing: Labels | Image) -> Image | None:
    return thing if isinstance(thing, Image) else None


def _save_all(jobs: list[Job], source: Any) -> list[Path]:
    """Write files in order, after making sure that none of them is the source."""
    for path, _ in jobs:
        _protect(path, source)
    for path, save in jobs:
        _save(path, save)
    return [path for path, _ in jobs]


Job = tuple[Path, Callable[[Path], None]]


def _write_result(result: Result, folder: Path, format: Format, name: str | None) -> list[Path]:
    image = result.image
    case = folder / _safe(name or image.name)
    flat = image.geometry.ndim == 2
    if image.kind == "recording":
        family = recording_write.family(format)
    else:
        family = cube_write.family(format, image) if flat else _family(format, image)
    jobs: list[Job] = []
    # Everything is checked before anything is written.
    for key, part in result.parts.items():
        target = case / _safe(key)
        if isinstance(part, Scores):
            jobs.append((target.with_name(f"{target.name}.csv"), _csv_saver(part)))
            continue
        if isinstance(part, Signals | Marks | Embeddings):
            jobs += recording_write.jobs(part, target, family if image.kind == "recording" else "npy", image)
            continue
        require_match(part.geometry, image.geometry, f"part '{key}' of the result", image.source)
        if flat:
            jobs += cube_write.jobs(part, target, family, image)
        elif isinstance(part, Labels):
            jobs.append(_labels_job(part, target, family, image))
        else:
            jobs.append(_heatmap_job(part, target, "nifti" if family == "dicom-seg" else family, image))
    for path, _ in jobs:
        _protect(path, image)
    record = case / _PROVENANCE
    before = _files_of(record)
    try:
        # A record of an earlier run must not vouch for files that are being replaced.
        record.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {record}: {error.strerror}. Choose a folder that you may write to.") from error
    written = []
    for path, save in jobs:
        _save(path, save)
        written.append(path)
    # What an earlier run left and this one does not write again would look as if it belonged to this result.
    for name in before - {p.name for p in written}:
        (case / name).unlink(missing_ok=True)
    write_json(record, _record(result, written))
    return [*written, record]


def _files_of(record: Path) -> set[str]:
    """Names of the files that a completion record lists; none if there is no record."""
    try:
        return {Path(name).name for name in json.loads(record.read_text(encoding="utf-8"))["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _save(path: Path, save: Callable[[Path], None]) -> None:
    """Write one file completely or not at all."""
    try:
        with replacing(path) as part:
            save(part)
    except OSError as error:  # a full disk, a vanished network share
        raise UsageError(
            f"cannot write {path}: {error.strerror or error}. Free space or choose another folder."
        ) from error


def _record(result: Result, written: list[Path]) -> dict[str, Any]:
    geometry = result.image.geometry
    labels = [p for p in result.parts.values() if isinstance(p, Labels)]
    return {
        **result.provenance.to_json(),
        "geometry": {
            "shape": list(geometry.shape),
            "affine": None if geometry.affine is None else geometry.affine.tolist(),
            "unit": geometry.unit,
            "orientation": orientation(geometry.affine) if geometry.ndim == 3 else None,
        },
        "classes": labels[0].classes.to_json() if labels else [],
        "files": {p.name: {"size": p.stat().st_size, "sha256": sha256_of(p)} for p in written},
    }


def _family(format: Format, source: Image | None) -> str:
    if format in cube_write.SUFFIXES or format == "fif":
        raise UsageError(f"format {format} holds no volumes, and this is one: choose {', '.join(_SUFFIX)}.")
    if format != "auto":
        return format
    return source.format if source is not None and source.format in ("nifti", "nrrd", "mha") else "nifti"


def _labels_job(labels: Labels, target: Path, family: str, source: Image | None) -> Job:
    data = smallest_unsigned(labels.data, labels.name)
    if data.shape != labels.geometry.shape:
        raise GeometryError(
            f"label map '{labels.name}' has shape {data.shape}, its geometry says {labels.geometry.shape}."
            " Nothing was written."
        )
    if family == "dicom-seg":
        from workbench.volume.data import dicom_seg

        if source is None or source.format != "dicom":
            raise UsageError("format dicom-seg needs the DICOM series the labels were made from; choose nifti instead.")
        series = source
        return target.with_name(f"{target.name}.dcm"), lambda path: dicom_seg.write(path, labels, series)
    suffix = ".seg.nrrd" if family == "nrrd" else _SUFFIX[family]
    return target.with_name(target.name + suffix), _volume_saver(family, data, labels.geometry, source, labels.classes)


def _heatmap_job(part: Heatmap, target: Path, family: str, source: Image) -> Job:
    if part.data.shape != part.geometry.shape:
        raise GeometryError(
            f"map '{part.name}' has shape {part.data.shape}, its geometry says {part.geometry.shape}. Nothing written."
        )
    data = np.asarray(part.data, dtype=np.float32)
    return target.with_name(target.name + _SUFFIX[family]), _volume_saver(family, data, part.geometry, source, None)


def _image_job(image: Image, target: Path, family: str) -> Job:
    if len(image.geometry.shape) != 3:
        raise UsageError(f"{image.name}: only volumes can be written so far, this is {describe(image.geometry)}.")
    if image.classes is not None and len(image.channels) == 1:
        return _labels_job(Labels(image.data[0], image.geometry, image.classes, image.name), target, family, image)
    data = image.data
    if data.dtype == np.float16:
        data = data.astype(np.float32)
    if data.dtype == bool:
        data = data.astype(np.uint8)
    return target.with_name(target.name + _SUFFIX[family]), _volume_saver(family, data, image.geometry, image, None)


def _volume_saver(
    family: str, data: npt.NDArray[Any], geometry: Geometry, source: Image | None, classes: ClassTable | None
) -> Callable[[Path], None]:
    native = source.native if source is not None and source.format == family else None
    if geometry.affine is None and native is None:
        raise GeometryError("a volume without spacing and position cannot be written: nothing says where it belongs.")
    # Before a format library is loaded, so that a refusal costs nothing.
    if family == "nifti":
        scanner = source is not None and source.format == "dicom"

        def save(path: Path) -> None:
            from workbench.volume.data import nifti

            nifti.write(path, data, geometry, native=native, classes=classes, scanner=scanner)
    else:

        def save(path: Path) -> None:
            from workbench.volume.data import itk_formats

            itk_formats.write(path, data, geometry, native=native, classes=classes)

    return save


def _csv_saver(scores: Scores) -> Callable[[Path], None]:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(scores.columns)
    table.writerows(scores.rows)
    content = text.getvalue()
    return lambda path: _write_plain(path, content)


def _write_plain(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")


def _safe(name: str) -> str:
    """A name that is one path component, or an error."""
    if not name or name in (".", "..") or any(c in name for c in '/\\\0:*?"<>|\n\r') or name.startswith("~"):
        raise UsageError(f"'{name}' cannot be a file name here: it must be one plain name without separators.")
    return name


def _protect(path: Path, thing: Any) -> None:
    source = getattr(thing, "source", None)
    native = getattr(thing, "native", None)
    files = (
        native.files if isinstance(native, CubeNative | RecordingNative) else () if source is None else (Path(source),)
    )
    if path.exists() and any(file.exists() and path.samefile(file) for file in files):
        raise UsageError(
            f"{path}: this is the source file itself, it is not overwritten. Choose another folder or name."
        )
