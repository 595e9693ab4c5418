"""Results, label maps and images to files: atomic, on the source's own grid, or not at all.

How a part of a kind is written is said by the ``writer`` module of that kind (`workbench.core.kinds`); what all kinds
write alike is in `workbench.data.parts`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.core import case_folder, kinds, leftovers
from workbench.core.atomic import replacing
from workbench.core.errors import UsageError, nearest
from workbench.core.kinds import Kind
from workbench.core.objects import Objects
from workbench.core.output import require_inside, require_name
from workbench.core.types import Heatmap, Image, Labels, Part, Result
from workbench.data.geometry import orientation, require_fit
from workbench.data.objects import require_frame
from workbench.data.parts import Job, common_jobs

Beside = Callable[[Path], Iterable[Path]]
"""Writes files into a folder and returns their paths."""


def write(
    thing: Result | Image | Part,
    folder: str | Path,
    *,
    format: str = "auto",
    name: str | None = None,
    source: Image | None = None,
    beside: Beside | None = None,
    about: Mapping[str, Any] | None = None,
    allowed: Callable[[], bool] | None = None,
) -> list[Path]:
    """Write a result, an image or a part of a result; returns the paths, the completion record last.

    Parameters
    ----------
    thing
        A `Result` becomes the folder ``folder/<name>`` (name of the image by default) with one file per part and
        ``provenance.json``, which is written last and holds size and sha256 of every other file. It appears whole or
        not at all. What a person edited there before, or changed since it was written, is not replaced but kept in
        ``folder/<name>/versions``; see `workbench.core.case_folder`. `Labels` and `Image`
        become one file ``folder/<name><suffix>`` (ENVI: two, samples and header). Other parts become the files that
        they are in a result; see `workbench.data.parts`.
    format
        ``"auto"`` keeps the family of the source (DICOM and unknown ones: NIfTI; scenes that are not GeoTIFF: ENVI).
        Volumes: ``nifti``, ``nrrd``, ``mha``, ``dicom-seg``; scenes: ``envi``, ``geotiff``, ``npy``; recordings:
        ``fif``, ``npy``; other kinds: what their rows say.
    name
        Name without suffix; must stay inside `folder`.
    source
        For a part: the image it belongs to; its native header keeps the geometry bit for bit.
    beside
        Of a result: writes more files that belong to it into the folder that it is given, and returns their paths.
    about, allowed
        Of a result: more entries of its completion record; whether it may still get its name, see
        `case_folder.replace`.

    Raises
    ------
    GeometryError
        If a part does not lie on the grid of its image. Nothing is written then.
    UsageError
        If the name leaves the folder, the format is unknown, a source file would be overwritten, or nothing says which
        kind of data a part belongs to.
    """
    folder = Path(folder).expanduser()
    known = formats()
    if format not in known:
        raise UsageError(f"no output format '{format}'.{nearest(format, known)}")
    if isinstance(thing, Result):
        return _write_result(thing, folder, format, name, beside, about or {}, allowed)
    target = folder / require_name(name or thing.name)
    if isinstance(thing, Labels | Heatmap) and source is not None:
        what = "label map" if isinstance(thing, Labels) else "map"
        require_fit(thing.geometry, source, f"{what} '{thing.name}'")
    if isinstance(thing, Objects) and source is not None:
        require_frame(thing, source.geometry, f"objects '{thing.name}'", source.source)
    row = _kind_of(thing, source)
    own = source if source is not None else thing if isinstance(thing, Image) else None
    jobs = _jobs(row, thing, target, _family(row, format, own), own if not isinstance(thing, Image) else thing)
    for path, _ in jobs:
        require_inside(path, folder)
    return _save_all(jobs, own if own is not None else thing)


def with_notes(result: Result, format: str = "auto") -> Result:
    """The result, with what others cannot do with its files in the notes of its provenance; see `KindWriter.notes`."""
    row = kinds.find(result.image.kind)
    own = row.hook("writer", "notes")
    if own is None:
        return result
    family = _family(row, format, result.image)
    found = dict.fromkeys(note for part in result.parts.values() for note in own(part, family))
    new = tuple(n for n in found if n not in result.provenance.notes)
    return replace(result, provenance=replace(result.provenance, notes=(*result.provenance.notes, *new)))


def family_of(image: Image, format: str = "auto") -> str:
    """The format in which a result of this image is written, where `format` was asked for."""
    return _family(kinds.find(image.kind), format, image)


def formats() -> tuple[str, ...]:
    """All names of output formats, ``"auto"`` first."""
    return ("auto", *dict.fromkeys(f for row in kinds.kinds().values() for f in row.formats))


def _kind_of(thing: Image | Part, source: Image | None) -> Kind | None:
    """The kind whose writer is asked; ``None`` for parts that all kinds write alike.

    Raises
    ------
    UsageError
        A map without its image whose axes are those of no kind.
    """
    if source is not None:
        return kinds.find(source.kind)
    if isinstance(thing, Image):
        return kinds.find(thing.kind)
    rows = list(kinds.kinds().values())
    owners = [row for row in rows if type(thing).__name__ in row.owns]
    if owners:
        return owners[0]
    if not isinstance(thing, Labels | Heatmap):
        return None
    axes, count = thing.geometry.axes, thing.geometry.ndim
    named = [row for row in rows if row.axes == axes] or [row for row in rows if len(row.axes) == count]
    if len(named) == 1:
        return named[0]
    which = " or ".join(row.title for row in named) or f"none of {', '.join(row.name for row in rows)}"
    raise UsageError(
        f"'{thing.name}' has the axes {', '.join(axes)}, which are those of {which}. Give its image as source."
    )


def _family(row: Kind | None, format: str, source: Image | None) -> str:
    return "" if row is None else str(row.load("writer").family(format, source))


def _jobs(row: Kind | None, thing: Image | Part, target: Path, family: str, source: Image | None) -> list[Job]:
    own: list[Job] | None = None if row is None else row.load("writer").jobs(thing, target, family, source)
    if own is not None:
        return own
    if isinstance(thing, Image):
        raise UsageError(f"{thing.name}: images of the kind '{thing.kind}' cannot be written so far.")
    return common_jobs(thing, target)


def _save_all(jobs: list[Job], source: Any) -> list[Path]:
    """Write files in order, after making sure that none of them is the source."""
    for path, _ in jobs:
        _protect(path, source)
    for path, save in jobs:
        _save(path, save)
    return [path for path, _ in jobs]


def _write_result(
    result: Result,
    folder: Path,
    format: str,
    name: str | None,
    beside: Beside | None,
    about: Mapping[str, Any],
    allowed: Callable[[], bool] | None,
) -> list[Path]:
    image = result.image
    case = folder / require_name(name or image.name)
    stage = case_folder.stage_of(case)
    row = kinds.find(image.kind)
    family = _family(row, format, image)
    result = with_notes(result, format)
    jobs: list[Job] = []
    # Everything is checked before anything is written.
    for key, part in result.parts.items():
        if isinstance(part, Labels | Heatmap):
            require_fit(part.geometry, image, f"part '{key}' of the result")
        elif isinstance(part, Objects):
            require_frame(part, image.geometry, f"objects '{key}' of the result", image.source)
        if isinstance(part, Labels) and result.provenance.edited_by_hand:
            part = replace(part, origin="corrected", algorithm=part.algorithm or result.provenance.backend)
        jobs += _jobs(row, part, stage / require_name(key), family, image)
    record, written = case / case_folder.RECORD, [path.name for path, _ in jobs]
    for name in (record.name, *written):
        require_inside(case / name, folder)
    for name in written:
        _protect(case / name, image)
    leftovers.clean_old(case, [record.name, *written])
    with case_folder.staging(case, stage):
        for path, save in jobs:
            _save(path, save, case)
        about_it = row.hook("layers", "report")
        more = [path.name for path in about_it(result, stage)] if about_it is not None else []
        more += [path.name for path in beside(stage)] if beside is not None else []
        for name in more:
            require_inside(case / name, folder)
            _protect(case / name, image)
        whole = _record(result, stage, [*written, *more]) | {"format": family, **about}
        case_folder.replace(case, stage, whole, allowed=allowed)
    return [*(case / name for name in (*written, *more)), record]


def _save(path: Path, save: Callable[[Path], None], case: Path | None = None) -> None:
    """Write one file completely or not at all; `path` may lie in the folder where a new state of `case` grows."""
    try:
        if case is None:
            with replacing(path) as part:
                save(part)
            return
        save(path)
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    except OSError as error:  # a full disk, a vanished network share
        shown = path if case is None else case / path.name
        raise UsageError(
            f"cannot write {shown}: {error.strerror or error}. Free space or choose another folder."
        ) from error


def _record(result: Result, stage: Path, written: list[str]) -> dict[str, Any]:
    geometry = result.image.geometry
    labels = [p for p in result.parts.values() if isinstance(p, Labels | Objects)]
    return {
        **result.provenance.to_json(),
        "geometry": {
            "shape": list(geometry.shape),
            "affine": None if geometry.affine is None else geometry.affine.tolist(),
            "unit": geometry.unit,
            "orientation": orientation(geometry.affine) if geometry.ndim == 3 else None,
        },
        "classes": labels[0].classes.to_json() if labels else [],
        "files": case_folder.listing(stage, written),
        "times": {name: (stage / name).stat().st_mtime_ns for name in written},
        "saved": case_folder.now(),
        "author": case_folder.author(),
    }


def _protect(path: Path, thing: Any) -> None:
    """Refuse to overwrite a file that the samples come from."""
    source = getattr(thing, "source", None)
    files = (
        *getattr(thing, "files", ()),
        *getattr(getattr(thing, "native", None), "files", ()),
        *(() if source is None else (Path(source),)),
    )
    if path.exists() and any(file.exists() and path.samefile(file) for file in files):
        raise UsageError(
            f"{path}: this is the source file itself, it is not overwritten. Choose another folder or name."
        )
