"""NRRD (``.nrrd``, ``.nhdr``, Slicer's ``.seg.nrrd``) and MetaImage (``.mha``, ``.mhd``) through SimpleITK.

Axes stay in file order; ITK's LPS world becomes RAS+ mm by negating x and y, which is exact. ITK splits the space
directions of NRRD into spacing and unit vectors, which costs the last bit, so those are read and written here.
"""

from __future__ import annotations

import importlib
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import RGB, ClassInfo, ClassTable
from workbench.core.errors import GeometryError, InputError, UsageError, reason
from workbench.core.exhausted import is_out_of_memory
from workbench.core.types import Geometry, Image
from workbench.data.companion import require_regular
from workbench.data.geometry import LPS_TO_RAS, MAX_BYTES, check_packed, check_size, checked_affine
from workbench.data.header_text import shortened, whole_number
from workbench.data.label_table import doubled_names
from workbench.volume.data import metaimage_header, nrrd_header, payload, stored
from workbench.volume.data.payload import Packed

SUFFIXES = (".seg.nrrd", ".nrrd", ".nhdr", ".mha", ".mhd")

_DTYPES = {
    "8-bit unsigned integer": "u1", "8-bit signed integer": "i1", "16-bit unsigned integer": "u2",
    "16-bit signed integer": "i2", "32-bit unsigned integer": "u4", "32-bit signed integer": "i4",
    "64-bit unsigned integer": "u8", "64-bit signed integer": "i8", "32-bit float": "f4", "64-bit float": "f8",
}  # fmt: skip


@dataclass(frozen=True)
class Native:
    """ITK's own numbers of the source grid (LPS), so that a MetaImage is written with the very same ones."""

    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    affine: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Segment:
    """One segment of a Slicer segmentation: its place in the file, and its class."""

    layer: int
    stored: int
    info: ClassInfo


def read(path: Path) -> Image:
    """Open a NRRD or MetaImage file: header only, voxels when ``data`` is asked for.

    Several components per voxel become channels, and so do the volumes of a 4-D file. Slicer's segment names and
    colours become the class table; a segmentation in several layers is merged if its segments do not overlap.

    Raises
    ------
    InputError
        If ITK cannot read the header, or it promises more than the size limit.
    GeometryError
        If the axes are singular, not finite, or have zero length; the header field is named.
    """
    sitk = _sitk()

    is_nrrd = _is_nrrd(path)
    require_regular(path)
    (nrrd_header if is_nrrd else metaimage_header).check(path)  # before ITK believes a word of it
    field = "space directions and space origin" if is_nrrd else "TransformMatrix, ElementSpacing and Offset"
    directions = nrrd_header.read_affine(path) if is_nrrd else None
    if directions is not None:
        checked_affine(directions, path, field)  # ITK's own message would not name the field
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("NrrdImageIO" if is_nrrd else "MetaImageIO")
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        family = "NRRD" if is_nrrd else "MetaImage (MHA/MHD)"
        raise InputError(f"{path}: not a readable {family} file ({reason(error)}). Export or copy it again.") from error
    size = tuple(int(n) for n in reader.GetSize())
    kind = sitk.GetPixelIDValueAsString(reader.GetPixelID()).removeprefix("vector of ")
    if kind not in _DTYPES or not 2 <= len(size) <= 4:
        raise InputError(
            f"{path}: {len(size)}-D with {kind} voxels, expected 2-D to 4-D real numbers. Convert it first."
        )
    dtype = np.dtype(_DTYPES[kind])
    components, volumes = int(reader.GetNumberOfComponents()), (size[3] if len(size) == 4 else 1)
    shape = (*size[:3], *(1,) * (3 - len(size)))
    native, affine = None, None
    if len(size) > 2:
        n = len(size)
        direction = np.array(reader.GetDirection()).reshape(n, n)[:3, :3]
        native = _native(direction, reader.GetSpacing()[:3], reader.GetOrigin()[:3])
        exact = native.affine
        if directions is not None and np.allclose(np.abs(directions), np.abs(exact), atol=1e-3):
            if not np.allclose(directions, exact, atol=1e-3):
                native = None  # ITK turns no axes of a space that has time as well
            exact = directions
        scale, unit = nrrd_header.units_mm(path) if is_nrrd else ((metaimage_header.units_mm(path),) * 3, "")
        if scale != (1.0, 1.0, 1.0):
            exact, native = _in_mm(exact, scale, unit == "space units"), None
        affine = checked_affine(exact, path, field)
        native = _split(affine) if native is None else Native(native.spacing, native.origin, native.direction, affine)
    check_size(shape, components * volumes, dtype, path)
    notes = _check_stored(path, is_nrrd, size, components, dtype)
    metadata = _metadata(reader)
    segments = _segments(metadata, path, notes)
    layers = {s.layer for s in segments}
    if layers and not 0 <= min(layers) <= max(layers) < components * volumes:
        raise InputError(
            f"{path}: its segments lie in layers {min(layers)} to {max(layers)}, the file has {components * volumes}"
            " layer(s). The header is damaged: copy or export it again."
        )
    merged, classes = len(layers) > 1, _classes(segments)
    notes += doubled_names(classes)
    return Image(
        geometry=Geometry(shape, affine),
        dtype=np.dtype(np.uint16) if merged else dtype,
        channels=("0",) if merged else tuple(str(i) for i in range(components * volumes)),
        loader=partial(_load, path, size, components, dtype, tuple(segments) if merged else ()),
        source=path,
        format="nrrd" if is_nrrd else "mha",
        header={
            "components": components,
            "ndim": len(size),
            "space": metadata.get("NRRD_space"),
            "n_segments": len(segments),
        },
        classes=classes,
        native=native,
        files=tuple(dict.fromkeys((path, *_data_files(path)))),
        notes=tuple(notes),
    )


def write(
    path: Path, data: npt.NDArray[Any], geometry: Geometry, *, native: Any = None, classes: ClassTable | None = None
) -> None:
    """Write a volume ``(X, Y, Z)`` or ``(C, X, Y, Z)`` in its own type as NRRD or MHA, chosen by the suffix.

    Class names and colours go in as Slicer's segment fields. `native` is what `read` gave for the source of the grid.
    """
    if geometry.affine is None:
        raise GeometryError(f"{path}: this volume has no spacing and position, and nothing may be invented.")
    fields = {} if classes is None else _segment_fields(classes, data)
    if path.name.lower().endswith(".nrrd"):
        nrrd_header.write(path, data, geometry.affine, fields)
        return
    sitk = _sitk()

    if native is None or not np.array_equal(native.affine, geometry.affine):
        native = _split(geometry.affine)
    if data.ndim == 4 and data.shape[0] == 1:
        data = data[0]
    # ITK wants (Z, Y, X[, components]).
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T), isVector=data.ndim == 4)
    image.SetSpacing(native.spacing)
    image.SetOrigin(native.origin)
    image.SetDirection(native.direction)
    for key, value in fields.items():
        image.SetMetaData(key, value)
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("MetaImageIO")
    writer.SetUseCompression(True)
    writer.SetFileName(str(path))
    try:
        writer.Execute(image)
    except RuntimeError as error:
        raise UsageError(f"cannot write {path}: {reason(error)}. Choose a folder that you may write to.") from error


def _native(direction: npt.NDArray[np.float64], spacing: tuple[float, ...], origin: tuple[float, ...]) -> Native:
    lps = np.eye(4)
    lps[:3, :3] = direction * np.array(spacing)
    lps[:3, 3] = origin
    return Native(
        tuple(map(float, spacing)),
        tuple(map(float, origin)),
        tuple(float(v) for v in direction.ravel()),
        LPS_TO_RAS @ lps,
    )


def _in_mm(
    affine: npt.NDArray[np.float64], scale: tuple[float, float, float], of_space: bool
) -> npt.NDArray[np.float64]:
    """The affine in mm: units belong to the axes of space, or to those of the array where the header names no space."""
    out = np.array(affine, dtype=np.float64)
    if of_space or len(set(scale)) == 1:
        out[:3] *= np.array(scale)[:, None]
    else:
        out[:3, :3] *= np.array(scale)
    return out


def _split(affine: npt.NDArray[np.float64]) -> Native:
    """Spacing, origin and unit directions of any affine; their product gives it back to the last bit or two."""
    lps = LPS_TO_RAS @ affine
    spacing = np.sqrt((lps[:3, :3] ** 2).sum(axis=0))
    return _native(lps[:3, :3] / spacing, tuple(spacing), tuple(lps[:3, 3]))


def _check_stored(path: Path, is_nrrd: bool, size: tuple[int, ...], components: int, dtype: np.dtype[Any]) -> list[str]:
    """Compare what ITK makes of a header with what is written in it and with the files; what a person should know."""
    if is_nrrd:
        notes, found = nrrd_header.notes(path), nrrd_header.stored(path)
    else:
        notes, found = metaimage_header.notes(path, dtype.itemsize), metaimage_header.stored(path)
        if metaimage_header.sides(path) != size:
            raise InputError(
                f"{path}: DimSize is {metaimage_header.sides(path)}, and is understood as {size}. The header is"
                " damaged: copy or export it again."
            )
    if found is not None and stored.present(found.files):
        voxel = components * dtype.itemsize
        more = stored.surplus(found, math.prod(size) * voxel, math.prod(size[:2]) * voxel)
        notes += [more] if more else []
    return notes


def _load(
    path: Path, size: tuple[int, ...], components: int, dtype: np.dtype[Any], layers: tuple[Segment, ...]
) -> npt.NDArray[Any]:
    needed = math.prod(size) * components * dtype.itemsize
    # Asked again: the files beside the header may be others by now.
    for missing in (f for f in _data_files(path) if not f.is_file()):
        raise InputError(f"{missing}: there is no such file, and {path.name} says it holds the voxels. Copy both.")
    if nrrd_header.is_packed_inside(path):
        check_packed(needed, path)
    plain = nrrd_header.stored(path) if _is_nrrd(path) else metaimage_header.stored(path)
    if plain is not None and plain.text and len(plain.files) == 1:
        stored.require_numbers(plain, needed // dtype.itemsize, dtype)
    elif plain is not None:
        stored.require(plain, needed)
    packed = nrrd_header.packed(path, components, size) if _is_nrrd(path) else metaimage_header.packed(path)
    if len(packed) == 1 and packed[0].plain:
        array = _unpacked(packed[0], needed, dtype)
    else:
        for p in packed:
            _verify(p, needed // len(packed))
        array = _read_by_itk(path, needed)
    shape, volumes = (*size[:3], *(1,) * (3 - len(size))), (size[3] if len(size) == 4 else 1)
    if components > 1:
        array = array.reshape(volumes, *reversed(shape), components)
        flat = np.moveaxis(array, -1, 1).reshape(volumes * components, *reversed(shape))
    else:
        flat = array.reshape(volumes, *reversed(shape))
    data = flat.transpose(0, 3, 2, 1)
    return data if not layers else _merge(path, data, layers)


def _unpacked(packed: Packed, needed: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Voxels as they lie in the file: ITK hands out what comes before a fault, and compares no checksum."""
    if packed.packing != "bzip2":
        check_packed(needed, packed.path)
    content = payload.unpack(
        packed.path, packed.packing, needed, start=packed.start, packed_size=packed.size, skip=packed.skip
    )
    array = content.view(dtype)
    return array if dtype.newbyteorder(packed.order) == dtype else array.byteswap(inplace=True)


def _verify(packed: Packed, share: int) -> None:
    # How the axes of a NRRD that ITK arranges make up its bytes is ITK's affair, which also refuses too few of them.
    exact = packed.packing == "zlib"
    payload.verify(
        packed.path,
        packed.packing,
        share if exact else 0,
        start=packed.start,
        packed_size=packed.size,
        longer=0 if exact else MAX_BYTES,
    )


def _read_by_itk(path: Path, needed: int) -> npt.NDArray[Any]:
    sitk = _sitk()
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise MemoryError(f"{path}: no memory for its {needed} bytes of voxels ({reason(error)})") from error
        raise InputError(f"{path}: the voxels cannot be read ({reason(error)}). Copy or export it again.") from error
    # A view keeps the image alive by its base; one copy would double the memory.
    array: npt.NDArray[Any] = sitk.GetArrayFromImage(image)
    return array


def _data_files(path: Path) -> list[Path]:
    return nrrd_header.data_files(path) if _is_nrrd(path) else metaimage_header.data_files(path)


def _is_nrrd(path: Path) -> bool:
    return path.name.lower().endswith((".nrrd", ".nhdr"))


def _metadata(reader: Any) -> dict[str, str]:
    found = {}
    for key in reader.GetMetaDataKeys():
        with suppress(TypeError):  # a name that is no text, in a damaged file, cannot even be asked for
            found[key] = reader.GetMetaData(key)
    return found


def _merge(path: Path, data: npt.NDArray[Any], segments: tuple[Segment, ...]) -> npt.NDArray[Any]:
    merged = np.zeros(data.shape[1:], dtype=np.uint16)
    for s in segments:
        here = data[s.layer] == s.stored
        overlap = int(np.count_nonzero(here & (merged > 0)))
        if overlap:
            raise InputError(
                f"{path}: segment '{s.info.name}' overlaps others in {overlap} voxels, a label map holds one class per"
                " voxel. Export the segments one by one."
            )
        merged[here] = s.info.value
    return merged[None]


def _segments(metadata: dict[str, str], path: Path, notes: list[str]) -> list[Segment]:
    """Segments in file order; in a single layer their class value is the stored one."""
    found_numbers = (m[1] for key in metadata if (m := re.fullmatch(r"Segment([0-9]+)_Name", key)))
    numbers = sorted({whole_number(path, "the number of a segment", n, 0, 2**31 - 1) for n in found_numbers})
    rows = []
    for n in numbers:
        field = {k: metadata.get(f"Segment{n}_{k}", "") for k in ("Name", "Color", "LabelValue", "Layer")}
        stored_value, layer = (
            whole_number(path, f"Segment{n}_{k}", field[k].strip() or str(default), -(2**31), 2**31 - 1)
            for k, default in (("LabelValue", n + 1), ("Layer", 0))
        )
        try:
            color = _color(field["Color"])
        except ValueError:
            color = ClassTable.from_values([max(stored_value, 1)]).classes[0].color
            notes.append(f"Segment{n}_Color is {shortened(field['Color'])}, which is no colour: another was taken")
        rows.append((layer, stored_value, " ".join(field["Name"].split()), color))
    merged = len({layer for layer, *_ in rows}) > 1
    found: dict[int, Segment] = {}
    for number, (layer, stored_value, name, color) in enumerate(rows, 1):
        value = number if merged else stored_value
        if value in found:
            raise InputError(
                f"{path}: LabelValue {value} is that of two segments, {shortened(found[value].info.name)} and"
                f" {shortened(name)}. Correct the header, or export it again."
            )
        if value > 0:
            found[value] = Segment(layer, stored_value, ClassInfo(value, name or f"class {value}", color))
    return list(found.values())


def _classes(segments: list[Segment]) -> ClassTable | None:
    if not segments:
        return None
    return ClassTable(tuple(s.info for s in sorted(segments, key=lambda s: s.info.value)))


def _color(text: str) -> RGB:
    numbers = [round(255 * min(max(float(v), 0.0), 1.0)) for v in text.split()]
    if len(numbers) != 3:
        raise ValueError(text)
    return (numbers[0], numbers[1], numbers[2])


def _segment_fields(classes: ClassTable, data: npt.NDArray[Any]) -> dict[str, str]:
    """Fields by which Slicer knows segments; the extent is the whole volume, which Slicer accepts."""
    sides = data.shape[-3:]
    extent = " ".join(f"0 {n - 1}" for n in sides)
    fields = {
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    for n, c in enumerate(classes):
        fields |= {
            f"Segment{n}_ID": f"Segment_{c.value}",
            f"Segment{n}_Name": " ".join(c.name.split()),
            f"Segment{n}_Color": " ".join(f"{v / 255:.6f}" for v in c.color),
            f"Segment{n}_ColorAutoGenerated": "0",
            f"Segment{n}_NameAutoGenerated": "0",
            f"Segment{n}_LabelValue": str(c.value),
            f"Segment{n}_Layer": "0",
            f"Segment{n}_Extent": extent,
        }
    return fields


def _sitk() -> Any:
    """SimpleITK (0.5 s to import), when a file is opened; untyped."""
    return importlib.import_module("SimpleITK")
