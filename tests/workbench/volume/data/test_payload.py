"""Compressed voxels are unpacked to their end, and a checksum or length that disagrees is said: never other voxels."""

import bz2
import gzip
import zlib
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from workbench.core.errors import InputError
from workbench.data import formats
from workbench.volume.data import payload

HOSTILE = Path(__file__).resolve().parents[5] / "shared" / "cases" / "hostile"
VOXELS = np.random.default_rng(0).integers(-1000, 1000, (20, 18, 16)).astype("<i2")


def flipped(path, at, bit=0x10):
    raw = bytearray(path.read_bytes())
    raw[at] ^= bit
    path.write_bytes(bytes(raw))
    return path


def hostile(name):
    path = HOSTILE / name
    if not path.exists():
        pytest.skip(f"hostile files not here: {path}")
    return path


def refused(path, match):
    """The header answers, the voxels are refused in one line that names the file."""
    image = formats.read(path)
    formats.info(path)
    with pytest.raises(InputError, match=match) as caught:
        _ = image.data
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(path))
    assert "damaged: " in text
    assert text.endswith("Copy or export it again.")
    return text


def nifti(path, data=VOXELS, members=1):
    nib.save(nib.Nifti1Image(data, np.eye(4)), path.with_suffix(""))
    raw = path.with_suffix("").read_bytes()
    cuts = np.linspace(0, len(raw), members + 1).astype(int)
    path.write_bytes(b"".join(gzip.compress(raw[a:b]) for a, b in pairwise(cuts)))
    return path


@pytest.mark.parametrize("members", [1, 3])
def test_gzipped_nifti_is_read_as_before_and_checked_to_its_end(tmp_path, members):
    path = nifti(tmp_path / "a.nii.gz", members=members)
    np.testing.assert_array_equal(formats.read(path).data[0], VOXELS)
    size = path.stat().st_size
    for at, match in (
        (-8, r"checksum \(CRC32\) [0-9a-f]{8}, the file states [0-9a-f]{8}"),
        (-4, r"\d+ bytes are packed in it, its gzip length states \d+"),
        (size // 2, "checksum|make no sense|end too early|goes on with|bytes of voxels"),
    ):
        refused(flipped(path, at), match)
        flipped(path, at)
    path.write_bytes(path.read_bytes()[:-3])
    refused(path, r"it ends within the checksum \(CRC32\) and length of gzip")


def test_every_flipped_bit_of_a_gzipped_nifti_is_found(tmp_path):
    path = nifti(tmp_path / "a.nii.gz")
    raw = path.read_bytes()
    for at in np.random.default_rng(1).integers(600, len(raw), 150):
        flipped(path, int(at), 1 << int(at) % 8)
        with pytest.raises(InputError):
            _ = formats.read(path).data
        path.write_bytes(raw)


def test_what_follows_a_gzipped_nifti(tmp_path):
    path = nifti(tmp_path / "a.nii.gz")
    raw = path.read_bytes()
    path.write_bytes(raw + bytes(70000))
    np.testing.assert_array_equal(formats.read(path).data[0], VOXELS)
    path.write_bytes(raw + gzip.compress(b"a footer"))
    np.testing.assert_array_equal(formats.read(path).data[0], VOXELS)
    path.write_bytes(raw + bytes(10) + b"more")
    refused(path, "after the packed voxels it goes on with")
    short = gzip.compress(gzip.decompress(raw)[:-100])
    path.write_bytes(short)
    refused(path, f"{VOXELS.nbytes - 100} bytes of voxels are packed in it, the header promises {VOXELS.nbytes}")


def test_headers_are_read_without_the_voxels(tmp_path, monkeypatch):
    path = nifti(tmp_path / "a.nii.gz")
    monkeypatch.setattr(payload, "_blocks", lambda *_: pytest.fail("unpacked for a header"))
    formats.info(path)
    assert formats.read(path).geometry.shape == VOXELS.shape


PACKERS = {"gzip": gzip.compress, "zlib": zlib.compress, "bzip2": bz2.compress}


@pytest.mark.parametrize("packing", PACKERS)
def test_unpack_gives_the_bytes_and_finds_each_fault(tmp_path, packing):
    content = np.random.default_rng(2).integers(0, 9, 3_000_000).astype("u1").tobytes()
    packed, path = PACKERS[packing](content), tmp_path / "a"
    path.write_bytes(b"head" + packed + b"tail")
    found = payload.unpack(path, packing, len(content) - 1000, start=4, packed_size=len(packed), skip=1000)
    assert found.tobytes() == content[1000:]
    with pytest.raises(InputError, match="more than the 2999999 bytes of voxels"):
        payload.verify(path, packing, len(content) - 1, start=4, packed_size=len(packed))
    with pytest.raises(InputError, match="3000000 bytes of voxels are packed in it, the header promises 3000001"):
        payload.verify(path, packing, len(content) + 1, start=4, packed_size=len(packed))
    with pytest.raises(InputError, match="ends? "):
        payload.verify(path, packing, len(content), start=4, packed_size=len(packed) - 1)
    for at in np.random.default_rng(3).integers(10, len(packed), 20):
        bad = bytearray(packed)
        bad[at] ^= 4
        path.write_bytes(bytes(bad))
        with pytest.raises(InputError, match="damaged: "):
            payload.verify(path, packing, len(content))


def test_gzip_headers_with_every_field(tmp_path):
    body = gzip.compress(b"voxels")[10:]
    head = b"\x1f\x8b\x08\x1e" + bytes(6) + b"\x03\0abc" + b"name\0" + b"a comment\0" + b"cr"
    (tmp_path / "a").write_bytes(head + body)
    assert payload.unpack(tmp_path / "a", "gzip", 6).tobytes() == b"voxels"
    (tmp_path / "a").write_bytes(head[:-8])
    with pytest.raises(InputError, match="it ends within the gzip header"):
        payload.verify(tmp_path / "a", "gzip", 6)


@pytest.mark.parametrize(
    "name", ["ct-one-bit-flipped.nii.gz", "niigz-3-silent/a.nii.gz", "niigz4d-9-silent/d.nii.gz",
             "niilab-20-silent/lab.nii.gz"]
)  # fmt: skip
def test_hostile_gzipped_nifti_is_never_other_voxels(name):
    refused(hostile(name), "damaged: ")


def itk(path, data=VOXELS):
    sitk.WriteImage(sitk.GetImageFromArray(data), str(path), True)
    return path


@pytest.mark.parametrize(
    ("name", "holds"), [("a.mha", "a.mha"), ("a.mhd", "a.zraw"), ("a.nrrd", "a.nrrd"), ("a.nhdr", "a.raw.gz")]
)
def test_compressed_nrrd_and_metaimage_are_checked_to_their_end(tmp_path, name, holds):
    path, data = itk(tmp_path / name), tmp_path / holds
    np.testing.assert_array_equal(formats.read(path).data[0], VOXELS.T)
    raw = data.read_bytes()
    end = -5 if holds.endswith((".nrrd", ".gz")) else -1
    for at in (end, *np.random.default_rng(4).integers(len(raw) - 9000, len(raw) - 9, 40)):
        flipped(data, int(at))
        image = formats.read(path)
        with pytest.raises(InputError, match=f"{data.name}: damaged: .*[Cc]opy or export it again"):
            _ = image.data
        data.write_bytes(raw)


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_a_length_that_disagrees_with_the_header_is_said(tmp_path, name):
    path = itk(tmp_path / name)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"16 18 20", b"16 18 19"))
    refused(path, "more than the 10944 bytes of voxels that the header promises are packed")
    path.write_bytes(raw.replace(b"16 18 20", b"16 18 21"))
    refused(path, "11520 bytes of voxels are packed in it, the header promises 12096")


def nrrd(path, content, *lines, packing="gzip", attached=True):
    head = "\n".join(("NRRD0004", *lines, f"encoding: {packing}"))
    packed = PACKERS[packing](content)
    path.write_bytes(head.encode() + (b"\n\n" + packed if attached else b"\n"))
    return packed


def same_as_itk(path):
    """Our array and geometry are what SimpleITK makes of it."""
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    image = formats.read(path)
    if len(image.channels) > 1:
        np.testing.assert_array_equal(image.data, truth.transpose(3, 2, 1, 0))
    else:
        np.testing.assert_array_equal(image.data[0], truth.T)
    assert image.data.dtype == truth.dtype
    return image


@pytest.mark.parametrize("first", [True, False])
def test_components_of_packed_nrrd_are_arranged_as_itk_does(tmp_path, first):
    sizes, kinds = ("3 4 5 6", "vector domain domain domain") if first else ("4 5 6 3", "domain domain domain vector")
    content = np.arange(360, dtype="<i2").tobytes()
    lines = ("type: short", "dimension: 4", f"sizes: {sizes}", f"kinds: {kinds}", "endian: little")
    nrrd(tmp_path / "a.nrrd", content, *lines)
    assert len(same_as_itk(tmp_path / "a.nrrd").channels) == 3
    flipped(tmp_path / "a.nrrd", -6)
    refused(tmp_path / "a.nrrd", "CRC32")


def test_byte_order_and_skips_of_packed_files_are_those_of_itk(tmp_path):
    big = np.arange(60, dtype=">f4")
    lines = ("type: float", "dimension: 3", "sizes: 3 4 5", "endian: big")
    nrrd(tmp_path / "big.nrrd", big.tobytes(), *lines)
    same_as_itk(tmp_path / "big.nrrd")
    nrrd(tmp_path / "skip.nrrd", b"1234567" + big.tobytes(), *lines, "byte skip: 7")
    same_as_itk(tmp_path / "skip.nrrd")
    packed = nrrd(tmp_path / "a.nhdr", big.tobytes(), *lines, "line skip: 2", "datafile: a.gz", attached=False)
    (tmp_path / "a.gz").write_bytes(b"one\ntwo\n" + packed)
    same_as_itk(tmp_path / "a.nhdr")
    head = "NDims = 3\nDimSize = 3 4 5\nElementType = MET_FLOAT\nBinaryData = True\nCompressedData = True\n"
    packed = zlib.compress(big.tobytes())
    head += f"BinaryDataByteOrderMSB = True\nCompressedDataSize = {len(packed)}\nElementDataFile = LOCAL\n"
    (tmp_path / "a.mha").write_bytes(b"ObjectType = Image\n" + head.encode() + packed)
    same_as_itk(tmp_path / "a.mha")
    np.testing.assert_array_equal(formats.read(tmp_path / "a.mha").data.ravel(order="F"), big)


def test_four_dimensional_packed_files_are_those_of_itk(tmp_path):
    four = sitk.JoinSeries([sitk.GetImageFromArray(VOXELS + n) for n in range(3)])
    for name in ("a.mha", "a.nrrd"):
        sitk.WriteImage(four, str(tmp_path / name), True)
        image = formats.read(tmp_path / name)
        np.testing.assert_array_equal(image.data, sitk.GetArrayFromImage(four).transpose(0, 3, 2, 1))


def test_bzip2_nrrd_which_itk_cannot_unpack(tmp_path):
    content = np.arange(60, dtype="u1").tobytes()
    lines = ("type: uint8", "dimension: 3", "sizes: 3 4 5")
    nrrd(tmp_path / "a.nrrd", content, *lines, packing="bzip2")
    assert formats.read(tmp_path / "a.nrrd").data.ravel(order="F").tobytes() == content
    packed = nrrd(tmp_path / "a.nhdr", content, *lines, "data file: a.bz2", packing="bzip2", attached=False)
    (tmp_path / "a.bz2").write_bytes(packed)
    assert formats.read(tmp_path / "a.nhdr").data.ravel(order="F").tobytes() == content
    flipped(tmp_path / "a.nrrd", -20)
    refused(tmp_path / "a.nrrd", "the bzip2 data or a checksum of it is wrong")


@pytest.mark.parametrize("listed", [True, False])
def test_voxels_in_several_packed_files(tmp_path, listed):
    parts = [np.arange(n, n + 12, dtype="u1").tobytes() for n in range(5)]
    names = "LIST\ns1.gz\ns2.gz\ns3.gz\ns4.gz\ns5.gz" if listed else "s%d.gz 1 5 1"
    lines = ("type: uint8", "dimension: 3", "sizes: 3 4 5", "encoding: gzip", f"data file: {names}")
    (tmp_path / "a.nhdr").write_text("\n".join(("NRRD0004", *lines, "")))
    for n, part in enumerate(parts, 1):
        (tmp_path / f"s{n}.gz").write_bytes(gzip.compress(part))
    same_as_itk(tmp_path / "a.nhdr")
    assert formats.read(tmp_path / "a.nhdr").data.ravel(order="F").tobytes() == b"".join(parts)
    flipped(tmp_path / "s4.gz", -6)
    with pytest.raises(InputError, match=r"s4\.gz: damaged: .*CRC32"):
        _ = formats.read(tmp_path / "a.nhdr").data


@pytest.mark.parametrize("name", ["mhagz-4-silent/a.mha", "nrrdgz-112-silent/a.nrrd"])
def test_hostile_packed_files_are_never_other_voxels(name):
    refused(hostile(name), "damaged: ")


def test_hostile_detached_data_is_never_other_voxels():
    image = formats.read(hostile("mhdz-27-silent/a.mhd"))
    with pytest.raises(InputError, match=r"a\.zraw: damaged: .*Adler-32"):
        _ = image.data
