"""NIfTI-1 and NIfTI-2 (``.nii``, ``.nii.gz``) through nibabel: header first, voxels when asked for.

Axes stay in file order; world is RAS+ mm, which is NIfTI's own. Integer files without scaling stay integer.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import PARSING, GeometryError, InputError, reading, reason
from workbench.core.exhausted import is_out_of_memory
from workbench.core.types import Geometry, Image
from workbench.data import label_table
from workbench.data.companion import require_regular
from workbench.data.geometry import check_packed, check_size, checked_affine
from workbench.volume.data import nifti_header, payload
from workbench.volume.data.nifti_header import Start, is_packed

SUFFIXES = (".nii.gz", ".nii")

_TO_MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}
_MANY = 2**28  # bytes
# What nibabel and zlib raise on files that end too early or are something else.
_BROKEN = (OSError, EOFError, zlib.error, ValueError)


def read(path: Path) -> Image:
    """Open a NIfTI file: header only, voxels when ``data`` is asked for.

    3-D gives one channel, 4-D one channel per volume, 5-D (``x, y, z, t, c``) ``t * c`` channels, RGB three. Scaled
    integers (``scl_slope``, ``scl_inter``) come as float32 (float64 from 32-bit integers on).

    Raises
    ------
    InputError
        If the file is not NIfTI, is cut off in its header, or promises more than the size limit.
    GeometryError
        If the affine is singular, not finite or has zero spacing; the header field is named.
    """
    require_regular(path)
    proxy, start = _open(path)
    header = proxy.header
    affine, told = affine_of(proxy, path, start.pixdim)
    shape = tuple(int(n) for n in proxy.shape)
    spatial = (*shape[:3], *(1,) * (3 - len(shape)))
    channels = _channels(header, shape, path)
    dtype = _dtype(proxy, path)
    _check_scaling(proxy, path, dtype)
    classes = _classes(path, header, told)
    check_size(spatial, len(channels), dtype, path)
    check_size(spatial, len(channels), _stored(header), path)
    more = nifti_header.surplus(path, start, _stored(header).itemsize)
    shown = {
        "version": 2 if int(header["sizeof_hdr"]) == 540 else 1,
        "stored_dtype": str(header.get_data_dtype()),
        "sform_code": int(header["sform_code"]),
        "qform_code": int(header["qform_code"]),
        "scl_slope": _slope_inter(proxy)[0],
        "scl_inter": _slope_inter(proxy)[1],
        "space_unit": header.get_xyzt_units()[0],
        "ndim": len(shape),
    }
    return Image(
        geometry=Geometry(spatial, affine),
        dtype=dtype,
        channels=channels,
        loader=_loader(path, proxy, start, spatial, len(channels), dtype),
        source=path,
        format="nifti",
        header=shown,
        classes=classes,
        native=header,
        notes=(*start.notes, *told, *([more] if more else [])),
    )


def read_plane(path: Path, axis: int, index: int) -> npt.NDArray[Any]:
    """One plane of the first channel across a voxel axis, to look at: no other is kept in memory.

    Nothing but its bytes is checked; of a compressed file what lies before it is unpacked.
    """
    proxy, _ = _open(path)
    where: list[slice | int] = [slice(None)] * 3
    where[axis] = index
    with reading(path, "the voxels cannot be read", "Copy or export it again.", kinds=_kinds()):
        plane = np.asarray(proxy.dataobj[(*where, *[0] * (len(proxy.shape) - 3))])
    return plane[plane.dtype.names[0]] if plane.dtype.names else plane


def write(
    path: Path,
    data: npt.NDArray[Any],
    geometry: Geometry,
    *,
    native: Any = None,
    classes: ClassTable | None = None,
    scanner: bool = False,
) -> None:
    """Write a volume ``(X, Y, Z)`` or ``(C, X, Y, Z)`` in its own type.

    Parameters
    ----------
    native
        Header of the NIfTI file the grid comes from; its sform, qform, codes, pixdim and units are kept bit for bit.
    classes
        Written as a label table extension; the intent becomes ``NIFTI_INTENT_LABEL``.
    scanner
        The world is the scanner's (sform code 1) rather than unknown but aligned (2); for data from DICOM.
    """
    nib: Any = importlib.import_module("nibabel")

    if data.ndim == 4:
        data = data[0] if data.shape[0] == 1 else np.moveaxis(data, 0, -1)
    image: Any
    if native is not None:
        header = native.copy()
        header.set_data_dtype(data.dtype)
        header.set_data_shape(data.shape)
        header.set_slope_inter(1.0, 0.0)
        header["cal_min"] = header["cal_max"] = 0.0
        # Free text may hold names of people; nothing of it is needed.
        header["descrip"] = header["aux_file"] = header["intent_name"] = b""
        if "db_name" in header:
            header["db_name"] = b""
        header.set_intent("none")
        kind = nib.Nifti2Image if int(header["sizeof_hdr"]) == 540 else nib.Nifti1Image
        header.extensions.clear()
        # Without an affine nibabel leaves sform and qform alone.
        image = kind(data, None, header, dtype=data.dtype)
    else:
        image = nib.Nifti1Image(data, None, dtype=data.dtype)
        code = 1 if scanner else 2
        image.header.set_xyzt_units("mm" if geometry.unit == "mm" else "unknown")
        image.header.set_data_shape(data.shape)
        if geometry.affine is None:
            raise GeometryError(f"{path}: a NIfTI file needs a position and spacing, and this volume has none.")
        _set_forms(image.header, geometry.affine, code)
    if classes is not None:
        image.header.set_intent("label")
        image.header.extensions.append(nib.nifti1.Nifti1Extension(0, label_table.to_xml(classes)))
    image.to_filename(path)


def _set_forms(header: Any, affine: npt.NDArray[np.float64], code: int) -> None:
    header.set_qform(affine, code, strip_shears=True)
    rebuilt = header.get_qform()
    # A quaternion cannot hold a shear (gantry tilt): then only the sform speaks.
    if not np.allclose(rebuilt, affine, atol=1e-3):
        header["qform_code"] = 0
    header.set_sform(affine, code)


def _open(path: Path) -> tuple[Any, Start]:
    nib: Any = importlib.import_module("nibabel")

    what, advice = "not a readable NIfTI file", "expected a NIfTI-1 or NIfTI-2 header. Export or copy the file again."
    try:
        start = nifti_header.check(path)
    except PermissionError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}). Give yourself read permission.") from error
    except _BROKEN as error:
        raise InputError(f"{path}: {what} ({reason(error)}), {advice}") from error
    with reading(path, what, f"Expected {advice[9:]}", kinds=_kinds()):
        kind = nib.Nifti1Image if start.version == 1 else nib.Nifti2Image
        proxy = kind.from_filename(path)
    return proxy, start


def _kinds() -> tuple[type[Exception], ...]:
    """What nibabel raises on damaged headers, beside what every parser does."""
    nib: Any = importlib.import_module("nibabel")

    return (
        *PARSING,
        nib.filebasedimages.ImageFileError,
        nib.spatialimages.HeaderDataError,
        nib.spatialimages.HeaderTypeError,
        nib.spatialimages.ImageDataError,
        nib.wrapstruct.WrapStructError,
    )


def affine_of(proxy: Any, path: Path, pixdim: tuple[float, ...]) -> tuple[npt.NDArray[np.float64], list[str]]:
    """World affine in mm from the form that NIfTI gives precedence to, and what a person should know of it.

    `pixdim`: sizes of a voxel as stored, see `nifti_header.check_pixdim`.
    """
    header = proxy.header
    with reading(path, "xyzt_units names no unit of length", "Correct this field.", kinds=(KeyError,)):
        unit = header.get_xyzt_units()[0]
    scale, notes = _TO_MM.get(unit, 1.0), []
    # Some programs set the code of an sform that they never fill.
    unfilled = int(header["sform_code"]) > 0 and not header.get_sform()[:3, :3].any()
    if int(header["sform_code"]) > 0 and not (unfilled and int(header["qform_code"]) > 0):
        field, affine = "sform (srow_x, srow_y, srow_z)", header.get_sform()
        affine = checked_affine(affine, path, field)
        notes.append(nifti_header.forms_disagree(affine, _qform(header), header, scale))
    elif int(header["qform_code"]) > 0:
        field = "qform (quatern_b, quatern_c, quatern_d, pixdim)"
        notes.append(nifti_header.check_pixdim(path, pixdim))
        try:
            affine = header.get_qform()
        except _kinds() as error:
            raise GeometryError(f"{path}: {field} is not a rotation ({reason(error)}). Correct this field.") from error
        if unfilled:
            notes.append(f"sform_code is {int(header['sform_code'])} and the sform is all zero: the qform was taken")
    else:
        # As nibabel and MONAI do; the file itself does not say where left is.
        field, affine = "pixdim (sform_code and qform_code are 0)", header.get_base_affine()
        notes.append(nifti_header.check_pixdim(path, pixdim))
        notes.append("no sform or qform: spacing from pixdim, orientation is a guess (LAS, centred)")
    affine = checked_affine(affine, path, field)
    if scale != 1.0:
        affine[:3] *= scale
        notes.append(f"xyzt_units is {unit}: positions were converted to mm")
    return affine, [n for n in notes if n]


def _qform(header: Any) -> npt.NDArray[np.float64] | None:
    """The second form, where there is one that can be read: it decides nothing."""
    if int(header["qform_code"]) <= 0:
        return None
    try:
        found: npt.NDArray[np.float64] = header.get_qform()
    except _kinds():
        return None
    return found if np.isfinite(found).all() else None


def _channels(header: Any, shape: tuple[int, ...], path: Path) -> tuple[str, ...]:
    if header.get_data_dtype().names:
        return tuple(str(n) for n in header.get_data_dtype().names)
    if len(shape) > 5:
        raise InputError(f"{path}: {len(shape)} dimensions {shape}, at most 5 can be read. Split the file.")
    times, components = (*shape[3:], 1, 1)[:2]
    if times * components > 65535:
        raise InputError(f"{path}: {times} x {components} channels, expected at most 65535. The header is damaged.")
    if components == 1:
        return tuple(str(i) for i in range(times))
    if times == 1:
        return tuple(str(i) for i in range(components))
    return tuple(f"{t}.{c}" for t in range(times) for c in range(components))


def _slope_inter(proxy: Any) -> tuple[float, float]:
    # nibabel clears both in the header of an opened file; its array proxy keeps them.
    return float(proxy.dataobj.slope), float(proxy.dataobj.inter)


def _stored(header: Any) -> np.dtype[Any]:
    stored: np.dtype[Any] = header.get_data_dtype()
    return stored


def _dtype(proxy: Any, path: Path) -> np.dtype[Any]:
    """Type of the samples after scaling."""
    stored = _stored(proxy.header)
    if stored.names:
        return np.dtype(np.uint8)
    if stored.kind == "c":
        raise InputError(f"{path}: complex voxels ({stored}), real ones were expected. Export magnitude or phase.")
    if stored.kind == "f" and stored.itemsize > 8:
        return np.dtype(np.float64)
    if _slope_inter(proxy) == (1.0, 0.0):
        return stored.newbyteorder("=")
    small = stored.itemsize <= 2 or stored == np.float32
    return np.dtype(np.float32 if small else np.float64)


def _check_scaling(proxy: Any, path: Path, dtype: np.dtype[Any]) -> None:
    """Refuse slope and intercept after which all values of a type are one, or infinite."""
    (slope, inter), kind = _slope_inter(proxy), _stored(proxy.header)
    if (slope, inter) == (1.0, 0.0) or kind.kind not in "iu":
        return
    limits = np.finfo(dtype)
    largest, eps, least = float(limits.max), float(limits.eps), float(limits.smallest_subnormal)
    span = abs(slope) * 2.0 ** (8 * kind.itemsize)
    if max(abs(slope), abs(inter)) > largest or span <= max(abs(inter) * eps, least):
        raise InputError(
            f"{path}: scl_slope is {slope:g} and scl_inter {inter:g}, after which no value of {kind} can be told from"
            " another. The header is wrong: export it again."
        )


def _loader(
    path: Path, proxy: Any, start: Start, spatial: tuple[int, ...], channels: int, dtype: np.dtype[Any]
) -> Callable[[], npt.NDArray[Any]]:
    def load() -> npt.NDArray[Any]:
        _check_file_size(path, proxy)
        try:
            raw = _unpacked(path, proxy, start) if is_packed(path) else _plain(path, proxy, dtype)
            if raw.dtype.names:
                array = np.stack([raw[n] for n in raw.dtype.names]).astype(dtype)
                return array.reshape(channels, *spatial)
            slope, inter = _slope_inter(proxy)
            # Out of the file map and into the machine's byte order; what is our own already is taken as it is.
            own = type(raw) is np.ndarray and raw.dtype == dtype and raw.flags.writeable
            array = raw if own else np.array(raw, dtype=dtype, order="F")
        except _BROKEN as error:
            if is_out_of_memory(error):
                raise MemoryError(f"{path}: not enough memory for its voxels ({reason(error)})") from error
            raise InputError(
                f"{path}: the voxels cannot be read ({reason(error)}). Copy or export it again."
            ) from error
        if (slope, inter) != (1.0, 0.0):
            try:
                with np.errstate(over="raise"):
                    array *= dtype.type(slope)
                    array += dtype.type(inter)
            except FloatingPointError as error:
                raise InputError(
                    f"{path}: values become infinite by scl_slope ({slope:g}) and scl_inter ({inter:g}). The header is"
                    " wrong: export it again."
                ) from error
        # Fortran order makes this a view; C is the slowest axis in the file.
        trailing = array.reshape(*spatial, *(array.shape[3:] or (1,)))
        if trailing.ndim == 5:
            trailing = trailing.reshape(*spatial, channels)
        return np.moveaxis(trailing, -1, 0)

    return load


def _unpacked(path: Path, proxy: Any, start: Start) -> npt.NDArray[Any]:
    """Voxels as stored; nibabel would stop where they end, before it comes to the checksum."""
    stored = _stored(proxy.header)
    shape = tuple(int(n) for n in proxy.shape)
    size = int(np.prod(shape, dtype=object)) * stored.itemsize
    # What follows the voxels is the writer's own affair, if its checksum is right and it is no further slice.
    longer = nifti_header.slice_bytes(start, stored.itemsize) - 1
    content = payload.unpack(path, "gzip", size, skip=int(proxy.dataobj.offset), longer=longer)
    return content.view(stored).reshape(shape, order="F")


def _plain(path: Path, proxy: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Voxels as stored: mapped, or read where they are many, as a copy out of a map has them twice for a while."""
    stored = _stored(proxy.header)
    shape = tuple(int(n) for n in proxy.shape)
    count = int(np.prod(shape, dtype=object))
    if count * stored.itemsize < _MANY or stored != dtype or _slope_inter(proxy) != (1.0, 0.0):
        mapped: npt.NDArray[Any] = proxy.dataobj.get_unscaled()
        return mapped
    return np.fromfile(path, dtype, count, offset=int(proxy.dataobj.offset)).reshape(shape, order="F")


def _check_file_size(path: Path, proxy: Any) -> None:
    stored = _stored(proxy.header)
    voxels = int(np.prod([int(n) for n in proxy.shape], dtype=object))
    offset = int(proxy.dataobj.offset)
    needed = offset + voxels * stored.itemsize
    size = path.stat().st_size
    if is_packed(path):
        check_packed(needed, path)
    elif size < needed:
        sides = " x ".join(str(n) for n in proxy.shape)
        raise InputError(
            f"{path}: truncated: the header promises {offset} + {sides} x {stored.itemsize} = {needed} bytes, the file"
            f" has {size}. Copy or export it again."
        )


def _classes(path: Path, header: Any, notes: list[str]) -> ClassTable | None:
    for extension in header.extensions:
        if extension.get_code() == 0:
            with reading(path, "a header extension cannot be read", "Export it again.", kinds=_kinds()):
                content = extension.get_content()
            table, told = label_table.from_xml(content if isinstance(content, bytes) else str(content).encode())
            notes += told
            if table is not None:
                return table
    return None
