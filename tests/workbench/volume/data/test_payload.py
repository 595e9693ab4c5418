"""Compressed voxels are unpacked to their end, and a checksum or length that disagrees is said: never other voxels."""

import bz2
import gzip
import zlib
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

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
