"""ENVI scenes and class maps: a text header beside a plain file of samples in bsq, bil or bip order.

The samples are mapped, never copied as a whole, so a scene larger than memory opens at once.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import InputError, reason
from workbench.core.types import Image
from workbench.data.found import spare_note
from workbench.scene.data import envi_header as eh
from workbench.scene.data.anchors import from_envi as anchors_of
from workbench.scene.data.envi_fit import check_file_size, check_plausible
from workbench.scene.data.map_place import MapPlace, epsg_of, from_map_info
from workbench.scene.data.scene import Blocks, Scaling, make_image, scaled_type

SUFFIXES = (".hdr", *eh.SUFFIXES)

_MOST_CLASSES = 65536
_MOST_BANDS = 10**6
_FACTORS = ("reflectance scale factor", "data scale factor", "scale factor")


def read(path: Path) -> Image:
    """Open an ENVI scene by its header or by its file of samples.

    Scaled scenes (``reflectance scale factor``, ``data gain values``, ``data offset values``) come as float32 (float64
    from 32-bit integers on), others in the type of the file. Class maps come with their class table.

    Raises
    ------
    InputError
        If header or samples are missing, a field is missing or wrong, or the file has another size than the header
        says; the message names the field, and for sizes the header that would fit.
    """
    if path.suffix.lower() == ".hdr":
        eh.parse(path)  # what is wrong with the header itself comes first
    header_path, data_path = pair(path)
    fields = eh.parse(header_path)
    kind = fields.get("file type", "").strip("{} ").lower()
    if "spectral library" in kind:
        raise InputError(
            f"{header_path}: this is a spectral library, a scene was expected. Read it with"
            " workbench.scene.data.spectral_library.read."
        )
    if fields.get("file compression", "0").strip() not in ("0", ""):
        raise InputError(f"{header_path}: file compression = 1 (gzip). Unpack {data_path.name} and set it to 0.")
    shape = (
        eh.whole(fields, "bands", header_path),
        eh.whole(fields, "lines", header_path),
        eh.whole(fields, "samples", header_path),
    )
    stored = eh.stored_type(fields, header_path)
    interleave = _interleave(fields, shape, header_path)
    offset = eh.whole(fields, "header offset", header_path, default=0)
    _refuse_frames(fields, header_path)
    spare = check_file_size(data_path, header_path, shape, stored, offset)
    gain, bias, unit = _scaling(fields, shape[0], header_path)
    dtype = scaled_type(stored) if gain is not None or bias is not None else stored.newbyteorder("=")
    wavelengths, widths, note, said = eh.wavelengths_nm(fields, header_path)
    bad = eh.numbers(fields, "bbl", header_path)
    ignore = _ignore(fields, header_path)
    plain = gain is None and bias is None
    scaling = None if plain else Scaling(gain, bias, dtype, ignore)
    shown: dict[str, Any] = {
        "interleave": interleave,
        "stored_dtype": stored.newbyteorder("=").name,
        "byte_order": "big" if stored.str.startswith(">") else "little",
        "header_offset": offset,
        "file_type": fields.get("file type", "ENVI Standard").strip("{} "),
        "header_file": str(header_path),
    }
    if not plain:
        shown["scaled"] = unit or "by the gains and offsets of the header"
        # What undoes it: weights may have been taught on the numbers as they are stored.
        shown["gain"], shown["offset"] = _listed(gain), _listed(bias)
        shown["stored_ignore"] = ignore
    if "sensor type" in fields:
        shown["sensor"] = " ".join(fields["sensor type"].strip("{} ").split())
    notes = [*([spare_note(data_path.name, spare)] if spare else []), *said, *_both_scales(fields, gain, header_path)]
    notes += eh.oddities(header_path)
    if "byte order" not in fields and stored.itemsize > 1:
        notes.append("the header says no byte order; taken as 0 (little endian)")
    default = _default_bands(fields, shape[0], header_path)
    if default and max(default) >= shape[0]:
        notes.append(f"'default bands' names bands that are not there ({fields['default bands']}); it was left out")
    elif default:
        shown["default_bands"] = default
    names = eh.elements(fields["band names"]) if "band names" in fields else None
    if names is not None and len(names) != shape[0]:
        names = list(eh.items(fields["band names"]))
        if len(names) != shape[0]:
            notes.append(f"'band names' lists {len(names)} names, the file has {shape[0]} bands; they were left out")
            names = None
    if note:
        shown["note"] = note
        if "micrometers" in note:  # nm are what most programs leave out
            notes.append(note)
    place = _place(fields, header_path)
    classes = _classes(fields, header_path)
    if twice := [name for name, count in Counter(classes.names if classes else ()).items() if count > 1]:
        notes.append(f"'class names' gives {eh.shortened(twice[0])} to several classes; they were kept apart")
    return make_image(
        data_path,
        format="envi",
        shape=shape,
        dtype=dtype,
        open=partial(_open, data_path, header_path, shape, stored, interleave, offset, scaling, dtype),
        header=shown,
        wavelengths_nm=wavelengths,
        fwhm_nm=widths,
        good_bands=None if bad is None else [v != 0 for v in bad],
        band_names=names,
        place=place,
        anchors=anchors_of(fields, header_path) if place is None else None,
        ignore=ignore if plain else None,  # else those samples are NaN
        classes=classes,
        value_unit=unit,
        files=(data_path, header_path),
        notes=tuple(notes),
    )


def pair(path: Path) -> tuple[Path, Path]:
    """(header, samples) of a scene, from either of the two.

    Raises
    ------
    InputError
        If the other one is missing, or several files could be it; the message lists the names that were tried.
    """
    if path.suffix.lower() == ".hdr":
        return path, _samples_of(path)
    header = header_of(path)
    if header is None:
        for name in (f"{path.name}.hdr", f"{path.stem}.hdr"):
            if path.with_name(name).is_file():
                eh.parse(path.with_name(name))  # says what is wrong
        raise InputError(
            f"{path}: no ENVI header beside it, expected {path.stem}.hdr or {path.name}.hdr. Without samples, lines,"
            " bands, data type, interleave and byte order the file cannot be read."
        )
    return header, path


def header_of(path: Path) -> Path | None:
    """The ENVI header beside a file of samples: ``scene.dat.hdr`` before ``scene.hdr``; any case."""
    for name in (f"{path.name}.hdr", f"{path.stem}.hdr"):
        for candidate in (path.with_name(name), path.with_name(name[:-4] + ".HDR")):
            # A name too long for the system is that of no file; `Path.is_file` raises there.
            if candidate != path and os.path.isfile(candidate) and eh.is_header(candidate):
                return candidate
    return None


def is_scene(path: Path) -> bool:
    """Whether a file is an ENVI header, or has one beside it."""
    if path.suffix.lower() == ".hdr":
        return eh.is_header(path)
    return header_of(path) is not None


def _samples_of(header: Path) -> Path:
    if not eh.is_header(header):
        eh.parse(header)  # says what is wrong
    stem = header.name[:-4]
    suffixes = ("", *eh.SUFFIXES, *(s.upper() for s in eh.SUFFIXES))
    found: list[Path] = []
    for suffix in suffixes:
        candidate = header.with_name(stem + suffix)
        same = any(candidate.samefile(f) for f in found) if candidate.is_file() else True
        if not same and header_of(candidate) == header:
            found.append(candidate)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f.name for f in found)
        raise InputError(f"{header}: several files could hold its samples: {names}. Give the one you mean.")
    others = [f for f in sorted(header.parent.glob(f"{stem}.*")) if f != header and f.is_file()]
    fitting = [f for f in others if _fits(header, f)]
    if len(fitting) == 1:
        return fitting[0]
    raise InputError(
        f"{header}: no file with its samples beside it, expected {stem} without suffix or with one of"
        f" {', '.join(eh.SUFFIXES)}. Copy it there, or rename it."
    )


def _fits(header: Path, samples: Path) -> bool:
    """Whether a file of unusual suffix has exactly the size that the header promises."""
    fields = eh.parse(header)
    try:
        sides = [eh.whole(fields, key, header) for key in ("samples", "lines", "bands")]
        size = eh.stored_type(fields, header).itemsize
        offset = eh.whole(fields, "header offset", header, default=0)
    except InputError:
        return False
    return samples.stat().st_size == offset + sides[0] * sides[1] * sides[2] * size


def _interleave(fields: dict[str, str], shape: tuple[int, int, int], path: Path) -> str:
    text = fields.get("interleave", "bsq" if shape[0] == 1 else "").strip("{} ").lower()
    if text not in eh.INTERLEAVES:
        what = f"interleave = '{text}'" if text else "the field 'interleave' is missing"
        raise InputError(f"{path}: {what}, expected one of {', '.join(eh.INTERLEAVES)}.")
    return text


def _refuse_frames(fields: dict[str, str], path: Path) -> None:
    for key in ("major frame offsets", "minor frame offsets"):
        values = eh.numbers(fields, key, path)
        if values is not None and any(values):
            raise InputError(f"{path}: '{key}' = {fields[key]} (gaps between lines) cannot be read. Export the scene.")


def _scaling(
    fields: dict[str, str], bands: int, path: Path
) -> tuple[npt.NDArray[np.float64] | None, npt.NDArray[np.float64] | None, str | None]:
    """(gain, offset) per band, ``sample * gain + offset``, and the unit that comes out."""
    gain, bias = eh.numbers(fields, "data gain values", path), eh.numbers(fields, "data offset values", path)
    for key, values in (("data gain values", gain), ("data offset values", bias)):
        if values is not None and len(values) not in (1, bands):
            raise InputError(f"{path}: '{key}' lists {len(values)} values, the file has {bands} bands.")
    for value in gain or ():
        if not 1e-30 < abs(value) < 1e30:
            raise InputError(f"{path}: 'data gain values' holds {value:g}, which leaves no samples. Correct it.")
    gains = None if gain is None else np.broadcast_to(np.asarray(gain), (bands,))
    biases = None if bias is None else np.broadcast_to(np.asarray(bias), (bands,))
    unit = None
    for key in _FACTORS:
        factor = eh.numbers(fields, key, path)
        if factor is None:
            continue
        if len(factor) != 1 or not 1e-30 < factor[0] < 1e30:
            found = eh.shortened(fields[key])
            raise InputError(f"{path}: '{key}' is {found}, expected one number above 0. Correct it.")
        # ENVI divides by a factor such as 10000; some writers give its inverse, 0.0001.
        step = factor[0] if key != "reflectance scale factor" and factor[0] < 1 else 1.0 / factor[0]
        if step == 1.0:
            continue
        gains = np.full(bands, step) if gains is None else gains * step
        biases = None if biases is None else biases * step
        unit = "reflectance" if key == "reflectance scale factor" else None
        break
    trivial = (gains is None or (gains == 1).all()) and (biases is None or (biases == 0).all())
    return (None, None, unit) if trivial else (gains, biases, unit)


def _both_scales(fields: dict[str, str], gain: Any, path: Path) -> list[str]:
    """A note where a header gives gains and a factor: two ways to say one thing, or two steps."""
    steps = [key for key in _FACTORS if any(v != 1 for v in eh.numbers(fields, key, path) or ())]
    if gain is not None and any(v != 1 for v in eh.numbers(fields, "data gain values", path) or ()) and steps:
        return [f"the header gives 'data gain values' and '{steps[0]}': the samples were scaled by both"]
    if len(steps) > 1:
        return [f"the header gives '{steps[0]}' and '{steps[1]}': the samples were scaled by the first"]
    return []


def _listed(values: npt.NDArray[np.float64] | None) -> float | list[float] | None:
    """One number where it is the same in all bands."""
    return None if values is None else float(values[0]) if np.ptp(values) == 0 else values.tolist()


def _ignore(fields: dict[str, str], path: Path) -> float | None:
    """The ignore value as it is stored."""
    if fields.get("data ignore value", "").strip("{} ").lower() in ("none", "n/a"):
        return None
    values = eh.numbers(fields, "data ignore value", path, finite=False)
    if values is None:
        return None
    if len(values) != 1:
        raise InputError(f"{path}: 'data ignore value' lists {len(values)} numbers, one was expected. Correct it.")
    return values[0]


def _open(
    data: Path,
    header: Path,
    shape: tuple[int, int, int],
    stored: np.dtype[Any],
    interleave: str,
    offset: int,
    scaling: Scaling | None,
    dtype: np.dtype[Any],
) -> Blocks:
    """Open the samples, and refuse them if they can only have been written in the other byte order."""
    check_file_size(data, header, shape, stored, offset)
    bands, rows, columns = shape
    order = {"bsq": (bands, rows, columns), "bil": (rows, bands, columns), "bip": (rows, columns, bands)}[interleave]
    turn = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (2, 0, 1)}[interleave]
    stamp = data.stat()
    view = partial(_mapped, data, stored, offset, order, turn)
    _check_once(view, header, stamp.st_size, stamp.st_mtime_ns)
    return Blocks(shape, dtype, partial(_block, view, scaling, dtype), by_rows=True)


View = Callable[[], npt.NDArray[Any]]


def _mapped(
    data: Path, stored: np.dtype[Any], offset: int, order: tuple[int, int, int], turn: tuple[int, int, int]
) -> npt.NDArray[Any]:
    """The samples as ``(bands, rows, columns)`` without reading them; mapped anew for each block, so that the pages of
    earlier blocks do not pile up in the memory of this process."""
    try:
        return np.memmap(data, dtype=stored, mode="r", offset=offset, shape=order).transpose(turn)
    except (OSError, ValueError) as error:
        raise InputError(f"{data}: the samples cannot be read ({reason(error)}). Copy the file again.") from error


_checked: set[tuple[Path, int, int, str]] = set()


def _check_once(view: View, header: Path, size: int, mtime_ns: int) -> None:
    """Look at the byte order once per file: opening a scene again must not seek through it again."""
    mapped = view()
    key = (header.absolute(), size, mtime_ns, f"{mapped.dtype.str} {mapped.shape} {mapped.strides}")
    if key not in _checked:
        check_plausible(mapped, header)
        _checked.add(key)


def _block(
    view: View, scaling: Scaling | None, dtype: np.dtype[Any], rows: slice, columns: slice, bands: slice
) -> npt.NDArray[Any]:
    raw = view()[bands, rows, columns]
    if scaling is None:
        return np.array(raw, dtype=dtype)
    return scaling.apply(raw, bands, lambda: view()[:, rows, columns])


def _place(fields: dict[str, str], path: Path) -> MapPlace | None:
    if "map info" not in fields:
        return None
    info = tuple(eh.without_tail(eh.elements(fields["map info"])))
    if not info or (info[0].lower() == "arbitrary" and len(info) < 7):
        return None
    wkt = fields.get("coordinate system string", "").strip().removeprefix("{").removesuffix("}").strip() or None
    place = from_map_info(info, wkt, path, projection=fields.get("projection info"))
    if wkt is None and (number := epsg_of(info)) is not None:
        return replace(place, wkt=f"EPSG:{number}")
    return place


def _classes(fields: dict[str, str], path: Path) -> ClassTable | None:
    """Class table of a classification file; class 0 is the background of every label map."""
    kind = fields.get("file type", "").strip("{} ").lower()
    if "classification" not in kind or "class names" not in fields:
        return None
    names = _class_names(fields, path)
    colors = eh.whole_numbers(fields, "class lookup", path, 0, 255) or []
    if colors and len(colors) != 3 * len(names):
        raise InputError(
            f"{path}: 'class lookup' lists {len(colors)} numbers, 3 x {len(names)} classes were expected. Correct it."
        )
    plain = ClassTable.from_values(list(range(1, len(names))))
    return ClassTable(
        tuple(
            ClassInfo(c.value, names[c.value], _color(colors, c.value) if colors else c.color)
            for c in plain
            if names[c.value] != eh.UNUSED_CLASS.format(c.value)
        )
    )


def _class_names(fields: dict[str, str], path: Path) -> list[str]:
    """One name per class from 0 on; a class may have none, and then the others keep their numbers."""
    names = eh.elements(fields["class names"])
    count = eh.whole(fields, "classes", path) if "classes" in fields else None
    if count is None or count == len(names) - 1:
        names = names[:-1] if names[-1] == "" else names  # a comma after the last one
    if count is not None and count != len(names):
        raise InputError(
            f"{path}: 'class names' lists {len(names)} names, 'classes' is {count}. Correct the one that is wrong."
        )
    if len(names) > _MOST_CLASSES:
        raise InputError(f"{path}: {len(names)} classes, at most {_MOST_CLASSES} were expected. Correct 'class names'.")
    return names


def _default_bands(fields: dict[str, str], bands: int, path: Path) -> list[int] | None:
    """Bands to show, from 0; numbers beyond those of the file are kept: the caller says so."""
    found = eh.whole_numbers(fields, "default bands", path, 0, _MOST_BANDS)
    return None if not found or min(found) < 1 else [v - 1 for v in found]


def _color(colors: list[int], value: int) -> tuple[int, int, int]:
    r, g, b = colors[3 * value : 3 * value + 3]
    return (r, g, b)
