"""How a hyperspectral scene is told from other data: ENVI by its header, arrays and pictures by their suffix."""

from __future__ import annotations

from pathlib import Path

from workbench.core import kinds
from workbench.core.errors import InputError, WorkbenchError
from workbench.core.kinds import Verdict
from workbench.core.memory import array_bytes
from workbench.core.types import Image
from workbench.data import tiff_look
from workbench.data.found import Damaged
from workbench.data.geometry import MAX_DEFLATE_RATIO, check_packed
from workbench.scene.data import envi, erdas, hdf5_products, tiff_mask
from workbench.scene.data.labels import labels_of

__all__ = ["claims", "input_files", "is_companion", "labels_of", "read", "reading_bytes", "require_held", "sniff"]

_ARRAYS = (".mat", ".npy", ".npz")
_PICTURES = (".tif", ".tiff", ".npy", ".npz")
_ALONE = (*erdas.SUFFIXES, *hdf5_products.SUFFIXES)
_FEWEST_BANDS = 4  # a TIFF of three bands is a photo, and napari shows it better


def sniff(path: Path, key: str | None) -> Verdict:
    """An ENVI header, or a file with one beside it, is sure; MATLAB, NumPy and TIFF files hold other things too."""
    if path.is_dir():
        return "no"
    if path.suffix.lower() == ".hdr":  # NIfTI pairs and Analyze have headers of this name too
        return "sure" if envi.is_scene(path) else "no"
    if path.suffix.lower() in (*_ARRAYS, *_PICTURES):
        return "no" if _is_picture(path) else "maybe"
    if path.suffix.lower() in hdf5_products.SUFFIXES:
        return "sure" if hdf5_products.is_product(path) else "no"
    if path.suffix.lower() in erdas.SUFFIXES:
        return "sure" if erdas.is_lan(path) else "no"
    return "sure" if envi.is_scene(path) else "no"


def _is_picture(path: Path) -> bool:
    """Whether a TIFF holds numbers of colours, and says no place on a map as class maps do."""
    first = tiff_look.look(path) if path.suffix.lower() in tiff_look.SUFFIXES else None
    return first is not None and first.is_palette and not first.is_map


def read(path: Path, *, series: str | int | None, key: str | None, as_map: bool) -> Image:
    """Open it with the module of its format."""
    if series is not None:
        raise InputError(
            f"{path}: 'series' chooses from a DICOM folder, and this is one {path.suffix} file. Leave it out."
        )
    if path.suffix.lower() in _ARRAYS:
        image: Image = kinds.SCENE.reader_of(path).read(path, key, as_map=as_map)
        return image
    reader = kinds.SCENE.reader_of(path) if kinds.SCENE.suffix_of(path) else envi
    found: Image = reader.read(path)
    return found


def input_files(path: Path) -> tuple[Path, ...]:
    """Of an ENVI scene the samples and their header, whichever was named; of a TIFF file also what lies beside."""
    if path.suffix.lower() in (".tif", ".tiff"):
        return tiff_mask.files_of(path)
    if path.suffix.lower() in (*_ARRAYS, *_ALONE):
        return (path,)
    header, samples = envi.pair(path)
    return (samples, header)


def is_companion(path: Path) -> bool:
    """Whether it is the header of an ENVI scene whose samples lie beside it."""
    try:
        return path.suffix.lower() == ".hdr" and envi.is_scene(path) and envi.pair(path)[1] != path
    except InputError:
        return False


def claims(path: Path, key: str | None) -> bool:
    """TIFF and NumPy files are ours where their header tells of four bands or more, or of classes.

    Who names an array (``file.npz:cube``) means us. So are those that are cut off or damaged, which others show as if
    they were whole, and ``.npz`` files, which nobody else opens: reading them says what is wrong.
    """
    from workbench.data.formats import split_address

    file, _ = split_address(path)
    if file.suffix.lower() not in _PICTURES:
        return True
    try:
        image = read(file, series=None, key=key, as_map=False)
    except Damaged:
        return True
    except WorkbenchError:
        return key is not None or file.suffix.lower() == ".npz"
    return len(image.channels) >= _FEWEST_BANDS or image.classes is not None


def reading_bytes(image: Image) -> int:
    """Memory for reading besides the samples: MATLAB arrays are unpacked and turned, pages of a TIFF are joined.

    What is mapped (ENVI, NumPy) takes none that the system could not use again.
    """
    copies = {"mat": 2, "geotiff": 1}.get(image.format or "", 0)
    return copies * array_bytes((len(image.channels), *image.geometry.shape), image.dtype.itemsize)


def require_held(image: Image) -> None:
    """Refuse a file that cannot hold the samples of its header, even if they were packed as tightly as can be.

    Others are held against the length of their file when they are opened, or may leave out what is empty.
    """
    if image.format != "mat":
        return
    path = image.all_files[0]
    with path.open("rb") as f:
        if not f.read(8).startswith(b"MATLAB 5"):
            return
    promised = array_bytes((len(image.channels), *image.geometry.shape), 1)
    if promised > path.stat().st_size * MAX_DEFLATE_RATIO:
        check_packed(promised, path)
