"""Seeds of the mutation test: scenes, maps and pictures in all formats."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np

from tests import scene_maker
from tests.mutation.seed import Region, Seed, maps

_WAVES = "{" + ", ".join(str(400 + 50 * i) for i in range(scene_maker.BANDS)) + "}"


def _envi(interleave):
    def make(folder: Path) -> Path:
        return scene_maker.save_envi(folder, scene_maker.cube(), interleave=interleave, wavelength=_WAVES,
                                     wavelength_units="Nanometers", map_info=scene_maker.MAP_INFO)  # fmt: skip

    return make


def _envi_classes(folder: Path) -> Path:
    values = (np.arange(99, dtype="u1") % 3).reshape(1, 9, 11)
    return scene_maker.save_envi(
        folder, values, name="lab", classes="3", edit={"file type": "ENVI Classification",
        "class names": "{Unclassified, grass, soil}", "class lookup": "{0, 0, 0, 10, 200, 10, 120, 60, 0}"}.items(),
    )  # fmt: skip


def _cube():
    return np.random.default_rng(0).random((6, 7, 5))


def _mat5(compressed):
    def make(folder: Path) -> Path:
        import scipy.io

        scipy.io.savemat(folder / "a.mat", {"cube": _cube()}, do_compression=compressed)
        return folder / "a.mat"

    return make


def _mat73(**options):
    def make(folder: Path) -> Path:
        import h5py

        path = folder / "h.mat"
        with h5py.File(path, "w", userblock_size=512) as f:
            f.create_dataset("cube", data=_cube().transpose(2, 1, 0), **options)
            f["cube"].attrs["MATLAB_class"] = np.bytes_("double")
        content = path.read_bytes()
        path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + content[128:])
        return path

    return make


def _chunks(path: Path, content: bytes) -> list[Region]:
    import h5py

    with h5py.File(io.BytesIO(content), "r") as f:
        found = [f["cube"].id.get_chunk_info(i) for i in range(f["cube"].id.get_num_chunks())]
        end = max(c.byte_offset + c.size for c in found)
        # Some versions of HDF5 count from the end of the user block.
        block = f.userblock_size if f.userblock_size + end <= len(content) else 0
    return [
        *((block + c.byte_offset, block + c.byte_offset + c.size) for c in found),
        *_lists_of_chunks(content, axes=3),
    ]


def _lists_of_chunks(content: bytes, axes: int) -> list[Region]:
    """What counts chunks, and says for each where its samples begin, in the array and in the file."""
    key, link = 8 + 8 * (axes + 1), 8
    nodes = [m.start() for m in re.finditer(rb"TREE\x01", content)]
    used = [int.from_bytes(content[at + 6 : at + 8], "little") for at in nodes]
    return [(at, at + 24 + count * (key + link) + key) for at, count in zip(nodes, used, strict=True)]


def _npy(folder: Path) -> Path:
    np.save(folder / "a.npy", _cube())
    return folder / "a.npy"


def _npz(save):
    def make(folder: Path) -> Path:
        save(folder / "a.npz", cube=_cube(), wavelengths=np.linspace(400, 800, 5))
        return folder / "a.npz"

    return make


def members(path: Path, content: bytes) -> list[Region]:
    """What the checksums of a zip archive cover."""
    found = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            name, extra = (int.from_bytes(content[member.header_offset + at :][:2], "little") for at in (26, 28))
            start = member.header_offset + 30 + name + extra
            found.append((start, start + member.compress_size))
    return found


def _pages(**options):
    def make(folder: Path) -> Path:
        import tifffile

        data = np.arange(4 * 14 * 15, dtype="uint16").reshape(4, 14, 15)
        with tifffile.TiffWriter(folder / "a.tif") as file:
            for page in data:
                file.write(page, photometric="minisblack", contiguous=False, **options)
        return folder / "a.tif"

    return make


def _ome(folder: Path) -> Path:
    import tifffile

    data = np.arange(4 * 14 * 15, dtype="uint16").reshape(4, 14, 15)
    tifffile.imwrite(folder / "a.ome.tif", data, photometric="minisblack", metadata={"axes": "CYX"}, contiguous=False)
    return folder / "a.ome.tif"


def _geotiff(bands=3, **options):
    def make(folder: Path) -> Path:
        import rasterio
        from rasterio.transform import from_origin

        path = folder / "scene.tif"
        dtype = "int16" if bands > 1 else "uint8"
        about = {"driver": "GTiff", "height": 8, "width": 9, "count": bands, "dtype": dtype, "crs": "EPSG:32632"}
        with rasterio.open(path, "w", transform=from_origin(5e5, 5e6, 3, 3), **about, **options) as f:
            values = np.arange(bands * 72).reshape(bands, 8, 9)
            f.write((values % 3 if bands == 1 else values).astype(dtype))
        return path

    return make


def _strips(path: Path, content: bytes) -> list[Region]:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        return [
            (at, at + size)
            for page in file.pages
            for at, size in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]


def _sides(path: Path, content: bytes) -> list[Region]:
    """Width and height: tiles are filled up, and as many of them may hold fewer pixels."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        tags = [file.pages[0].tags[name] for name in ("ImageWidth", "ImageLength")]
    return [(tag.valueoffset, tag.valueoffset + 4) for tag in tags]


def _library(folder: Path) -> Path:
    values = np.random.default_rng(0).random((1, 4, 7)).astype("f4")
    (folder / "lib.sli").write_bytes(values.tobytes())
    (folder / "lib.hdr").write_text(
        "ENVI\nsamples = 7\nlines = 4\nbands = 1\nheader offset = 0\nfile type = ENVI Spectral Library\n"
        f"data type = 4\ninterleave = bsq\nbyte order = 0\nwavelength = {_WAVES}\nwavelength units = Nanometers\n"
        "spectra names = {grass, soil, water, rock}\n"
    )
    return folder / "lib.hdr"


def _spectra(path: Path):
    from workbench.scene.data import spectral_library

    def read():
        found = spectral_library.read(path)
        return found.values, found.names

    return {"spectra": read}


def _scene(name, make, **options) -> Seed:
    return Seed(name, "scenes", make, **options)


_SIDES = ("*.dat", "*.sli")
_STRIPS = "Adler-32 of each strip, tables of strips"

SEEDS = (
    *(_scene(f"envi {i}", _envi(i), body=_SIDES) for i in ("bsq", "bil", "bip")),
    _scene("envi classification", _envi_classes, verbs=maps, body=_SIDES),
    _scene("envi spectral library", _library, verbs=_spectra, body=_SIDES),
    _scene("mat 5", _mat5(False)),
    _scene("mat 5 compressed", _mat5(True), protection="Adler-32", sealed=lambda p, c: [(136, len(c))]),
    _scene("mat 7.3", _mat73()),
    _scene("mat 7.3 gzip", _mat73(compression="gzip", chunks=(5, 4, 3)), protection="Adler-32 of each chunk",
           sealed=_chunks),
    _scene("mat 7.3 fletcher", _mat73(fletcher32=True, chunks=(5, 4, 3)), protection="Fletcher-32 of each chunk",
           sealed=_chunks),
    _scene("npy", _npy),
    _scene("npz", _npz(np.savez), protection="CRC-32 of each member", sealed=members),
    _scene("npz compressed", _npz(np.savez_compressed), protection="CRC-32 of each member", sealed=members),
    _scene("tiff pages", _pages(), protection="tables of strips"),
    _scene("tiff pages deflate", _pages(compression="zlib"), protection=_STRIPS, sealed=_strips),
    _scene("ome-tiff", _ome, protection="number of planes in its text, tables of strips"),
    _scene("geotiff", _geotiff(), protection="tables of strips"),
    _scene("geotiff deflate", _geotiff(compress="deflate"), protection=_STRIPS, sealed=_strips),
    _scene("geotiff lzw tiles", _geotiff(compress="lzw", tiled=True, blockxsize=16, blockysize=16),
           protection="tables of tiles", alone=_sides),
    _scene("geotiff labels", _geotiff(1), verbs=maps, protection="tables of strips"),
)  # fmt: skip
