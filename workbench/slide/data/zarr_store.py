"""A folder of chunks that hands on only what unpacks to a chunk: a few bytes can claim to be gigabytes."""

from __future__ import annotations

import zlib
from pathlib import Path

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

_ZSTD = b"\x28\xb5\x2f\xfd"
_METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")


class BoundedStore(LocalStore):
    """The files of one array; a chunk that would become larger than `most` bytes is a `ValueError`.

    Parameters
    ----------
    packing
        Codec of the bytes; "" where nothing is to be looked at (no codec, or shards, whose chunks are parts of files).
    """

    def __init__(self, root: Path | str, *, read_only: bool = True, packing: str = "", most: int = 0) -> None:
        super().__init__(root, read_only=read_only)
        self.packing, self.most = packing, most

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        found = await super().get(key, prototype, byte_range)
        if found is not None and self.packing and key.rpartition("/")[2] not in _METADATA:
            require_bounded(found.to_bytes(), self.packing, self.most)
        return found


def require_bounded(content: bytes, packing: str, most: int) -> None:
    """Refuse packed bytes that become more than `most`.

    Raises
    ------
    ValueError
        They do, or say that they do.
    """
    size = _said(content, packing)
    if size is None:  # nothing says it: as much is unpacked as may be, and thrown away
        size = _tried(content, packing, most)
    if size > most:
        raise ValueError(f"a chunk that unpacks to {size} bytes or more where {most} were expected")


def _said(content: bytes, packing: str) -> int | None:
    """How large it becomes by its own header."""
    if packing == "blosc":
        return int.from_bytes(content[4:8], "little")
    if packing == "lz4":
        return int.from_bytes(content[:4], "little")
    if packing != "zstd" or content[:4] != _ZSTD or len(content) < 14:
        return None
    flag, is_single = content[4] >> 6, content[4] >> 5 & 1
    width = (1 if is_single else 0, 2, 4, 8)[flag]
    at = 5 + (not is_single) + (0, 1, 2, 4)[content[4] & 3]
    if not width:
        return None
    return int.from_bytes(content[at : at + width], "little") + (256 if width == 2 else 0)


def _tried(content: bytes, packing: str, most: int) -> int:
    if packing == "zstd":
        import imagecodecs

        try:
            return len(imagecodecs.zstd_decode(content, out=most + 1))
        except imagecodecs.ZstdError as error:
            raise ValueError(f"zstd: {error}") from error
    work = zlib.decompressobj(47)  # with the head of zlib or of gzip
    try:
        return len(work.decompress(content, most + 1))
    except zlib.error as error:
        raise ValueError(str(error)) from error
