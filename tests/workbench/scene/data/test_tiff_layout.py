"""TIFF files whose directories promise what is not there, and blocks whose checksum is not the one stated."""

import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile

from tests.scene_maker import cube
from tests.workbench.scene.data.test_tiff import PLACE, save
from workbench.core.errors import InputError
from workbench.data import formats
from workbench.scene.data import tiff_blocks
from workbench.scene.data.scene import open_blocks
from workbench.scene.data.tiff_layout import directories

HOSTILE = Path(__file__).resolve().parents[5] / "shared" / "cases" / "hostile"
PACKED = {
    "strips": {"blockysize": 4},
    "tiles": {"tiled": True, "blockxsize": 16, "blockysize": 16},
    "bands": {"interleave": "band", "blockysize": 4},
    "differences": {"predictor": 2, "blockysize": 4},
    "differences of bands": {"predictor": 2, "interleave": "band", "tiled": True, "blockxsize": 16, "blockysize": 16},
    "big endian": {"predictor": 2, "ENDIANNESS": "BIG"},
    "big endian bands": {"interleave": "band", "ENDIANNESS": "BIG"},
    "big file": {"BIGTIFF": "YES"},
}


def refused(path, match, header=True):
    with pytest.raises(InputError, match=match) as caught:
        formats.info(path) if header else formats.read(path).data
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")


def patched(path, tag, new, *, page=0, field="count"):
    """Write another number of values (or, as `field`, another value) into the entry of a tag."""
    with tifffile.TiffFile(path) as tif:
        at = tif.pages[page].tags[tag].offset
    content = bytearray(path.read_bytes())
    content[at + 4 if field == "count" else at + 8 : (at + 8 if field == "count" else at + 12)] = struct.pack("<I", new)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("layout", PACKED)
@pytest.mark.parametrize("code", [1, 2, 4, 5, 12])
def test_blocks_are_unpacked_as_gdal_does(tmp_path, layout, code):
    path = save(tmp_path / "a.tif", cube(code), compress="deflate", **PACKED[layout])
    assert tiff_blocks.can_unpack(directories(path)[0])
    with rasterio.open(path) as theirs:
        np.testing.assert_array_equal(formats.read(path).data, theirs.read())
    part = open_blocks(formats.read(path)).read(slice(2, 8, 3), slice(1, 9, 2), slice(1, 6, 2))
    np.testing.assert_array_equal(part, cube(code)[1:6:2, 2:8:3, 1:9:2])
    np.testing.assert_array_equal(open_blocks(formats.read(path)).read(slice(5, 7)), cube(code)[:, 5:7])


@pytest.mark.parametrize("code", [4, 5])
def test_differences_of_floats(tmp_path, code):
    path = save(tmp_path / "a.tif", cube(code), compress="deflate", predictor=3)
    np.testing.assert_array_equal(formats.read(path).data, cube(code))


@pytest.mark.parametrize("layout", PACKED)
def test_every_flipped_bit_of_a_packed_block_is_noticed(tmp_path, layout):
    path = save(tmp_path / "a.tif", cube(2), compress="deflate", **PACKED[layout])
    content, page = path.read_bytes(), directories(path)[0]
    for block in (0, len(page.offsets) - 1):
        for at in np.linspace(0, int(page.counts[block]) - 1, 12).astype(int):
            bad = bytearray(content)
            bad[int(page.offsets[block]) + at] ^= 8
            path.write_bytes(bad)
            try:
                found = formats.read(path).data
            except InputError:
                continue
            np.testing.assert_array_equal(found, cube(2))  # a bit of the header of zlib that means nothing


def test_pages_that_are_cut_off_are_no_shorter_scene(tmp_path):
    for name, options in {
        "shape": {},
        "ome": {"ome": True, "metadata": {"axes": "CYX"}},
        "imagej": {"imagej": True},
    }.items():
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, cube(12), photometric="minisblack", **options)
        content = bytearray(path.read_bytes())
        assert formats.read(path).data.shape[0] == 7
        with tifffile.TiffFile(path) as tif:
            starts = [p.offset for p in tif.pages]
        path.write_bytes(content[: starts[3]])
        refused(path, "the file ends at")
        tags = struct.unpack("<H", content[starts[2] : starts[2] + 2])[0]
        link = starts[2] + 2 + 12 * tags
        content[link : link + 4] = bytes(4)  # the chain ends after three pages
        path.write_bytes(content)
        refused(path, "promises 7 pages, found 3")


def test_a_description_that_is_no_description_is_damage(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, cube(12), photometric="minisblack")
    content = path.read_bytes()
    for wrong, said in (
        (b'"shape": [7, 9, 1}', "its description is damaged"),
        (b'"shape": [8, 9, 11', "promises 8 pages"),
    ):
        assert len(wrong) == len(b'"shape": [7, 9, 11')
        path.write_bytes(content.replace(b'"shape": [7, 9, 11', wrong))
        refused(path, said)
    tifffile.imwrite(path, cube(12), photometric="minisblack", ome=True, metadata={"axes": "CYX"})
    content = path.read_bytes()
    path.write_bytes(content.replace(b'SizeC="7"', b'SizeC="x"'))
    refused(path, "gives no whole SizeC")


def test_chains_without_end_and_tags_without_room(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, cube(12)[:2], photometric="minisblack", metadata=None)
    content = path.read_bytes()
    with tifffile.TiffFile(path) as tif:
        first, second = (p.offset for p in tif.pages)
    tags = struct.unpack("<H", content[second : second + 2])[0]
    link = second + 2 + 12 * tags
    path.write_bytes(content[:link] + struct.pack("<I", first) + content[link + 4 :])
    refused(path, "the chain of its pages comes back")
    path.write_bytes(content)
    refused(patched(path, 305, 2**32 - 1), "would end at byte")
    path.write_bytes(content[:first] + b"\xff\xff" + content[first + 2 :])
    refused(path, "65535 tags")


@pytest.mark.parametrize("compress", ["none", "deflate", "lzw", "packbits"])
@pytest.mark.parametrize(("tag", "value"), [(257, 2**31 - 2), (256, 2**31 - 2), (278, 2), (257, 2**31 + 5), (256, 0)])
def test_pictures_larger_than_their_blocks_are_refused_before_memory_is_taken(tmp_path, compress, tag, value):
    path = save(tmp_path / "a.tif", cube(1), compress=compress, blockysize=9)
    with rasterio.open(path) as theirs:
        assert theirs.shape == (9, 11)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        at = tif.pages[0].tags[tag].offset
    content[at + 2 : at + 12] = struct.pack("<HII", 4, 1, value)
    path.write_bytes(content)
    refused(path, "damaged: ")


def test_blocks_too_short_too_long_or_missing(tmp_path):
    for value, said in ((3, "its pixels need"), (4000, "would end at byte"), (0, "has no bytes")):
        path = save(tmp_path / "a.tif", cube(1), interleave="pixel", blockysize=9)
        refused(patched(path, 279, value, field="value"), said)


def test_blocks_that_the_file_leaves_out_are_said(tmp_path):
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=32, height=32, count=4, dtype="uint16", tiled=True, blockxsize=16,
        blockysize=16, SPARSE_OK=True, crs="EPSG:32610", transform=PLACE,
    ) as out:  # fmt: skip
        out.write(np.ones((4, 16, 16), "u2"), window=rasterio.windows.Window(0, 0, 16, 16))
    image = formats.read(path)
    assert image.notes == ("a.tif leaves out 3 of 4 blocks of samples: read as empty",)
    assert image.data.sum() == 4 * 256


def test_what_lies_beside_must_be_a_regular_file(tmp_path):
    import os

    path = save(tmp_path / "a.tif", cube())
    for name in ("a.tif.aux.xml", "a.tfw", "a.tif.ovr", "a.tif.msk"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match=f"{name}: it is a pipe, expected a regular file"):
            formats.info(path)
        (tmp_path / name).unlink()
        (tmp_path / name).symlink_to("/dev/zero")
        with pytest.raises(InputError, match=f"{name}: it is a device, expected a regular file"):
            formats.info(path)
        (tmp_path / name).unlink()


@pytest.mark.parametrize("name", ["ometif-1-short/a.ome.tif", "tifpages-15-short/a.tif"])
def test_hostile_files_are_one_line(name):
    path = HOSTILE / name
    if not path.exists():
        pytest.skip(f"hostile files not here: {path}")
    refused(path, "damaged: ")
