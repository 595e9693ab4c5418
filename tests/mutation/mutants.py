"""Damaged copies of a file, from a seed: cut off, bits flipped, bytes and numbers replaced, lines lost or doubled."""

from __future__ import annotations

import gzip
import random
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.mutation.seed import Region

NUMBERS = (b"-1", b"0", b"1", b"3", b"1e30", b"nan", b"inf", b"-0.5", b"2147483648", b"4294967297", b"9" * 5000, b"x")
"""What a number of a header becomes."""

_FIELDS = [
    struct.pack(f"{order}{code}", value)
    for order in "<>"
    for code, values in {
        "h": (-1, 0, 1, 2**15 - 1, -(2**15)),
        "i": (-1, 0, 1, 2**31 - 1, -(2**31)),
        "q": (-1, 2**62),
        "f": (float("nan"), float("inf"), -1.0, 1e30),
        "d": (float("nan"), float("-inf"), 1e300),
    }.items()
    for value in values
]
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e]{8,}")
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
HEADER = 4096


@dataclass(frozen=True)
class Mutant:
    """One damaged copy: which file of the seed, what it holds now, and what was done to it."""

    number: int
    file: str
    content: bytes
    what: str
    touched: tuple[Region, ...]
    """Stretches of the old content that are others now; empty stretches where something was put in."""
    cut: bool = False
    """The end of the file is missing."""
    inside: bool = False
    """Done to what a gzip file holds, and packed again with a right checksum."""


def mutants(name: str, files: dict[str, bytes], count: int) -> Iterator[Mutant]:
    """The same ones for the same name, files and number; the first of a hundred are the first of ten."""
    for number in range(count):
        rng = random.Random(f"{name} {number}")
        file = rng.choice(sorted(files))
        old = files[file]
        if file.endswith(".gz") and rng.random() < 0.4:
            plain = gzip.decompress(old)
            new, what, touched, _ = _changed(plain, number, rng)
            packed = gzip.compress(new, 1, mtime=0)
            yield Mutant(number, file, packed, f"inside: {what}", touched, False, True)
            continue
        yield Mutant(number, file, *_changed(old, number, rng))


def _changed(old: bytes, number: int, rng: random.Random) -> tuple[bytes, str, tuple[Region, ...], bool]:
    """Each way in turn, so that few mutants try them all."""
    ways = (_cut, _numbers, _bits, _field, _bytes, _line, _appended, _numbers, _bytes, _cut)
    for way in (ways[number % len(ways)], _bytes, _appended):
        made = way(old, rng)
        if made is not None:
            return made
    raise AssertionError("a byte can always be appended")


Made = tuple[bytes, str, tuple[Region, ...], bool] | None
Way = Callable[[bytes, random.Random], Made]


def _place(old: bytes, rng: random.Random) -> int:
    """Anywhere, or as often in the header."""
    return rng.randrange(len(old) if rng.random() < 0.5 else min(len(old), HEADER))


def _cut(old: bytes, rng: random.Random) -> Made:
    if not old:
        return None
    at = rng.choice((_place(old, rng), len(old) - rng.randint(1, min(len(old), 64))))
    return old[:at], f"cut off at {at} of {len(old)}", ((at, len(old)),), True


def _bits(old: bytes, rng: random.Random) -> Made:
    if not old:
        return None
    at, bit = _place(old, rng), rng.randrange(8)
    new = bytearray(old)
    new[at] ^= 1 << bit
    return bytes(new), f"bit {bit} of byte {at}", ((at, at + 1),), False


def _bytes(old: bytes, rng: random.Random) -> Made:
    if not old:
        return None
    new, touched = bytearray(old), []
    for _ in range(rng.choice((1, 1, 4, 16))):
        at = _place(old, rng)
        value = rng.randrange(256)
        if new[at] != value:
            new[at] = value
            touched.append((at, at + 1))
    return bytes(new), f"{len(touched)} byte(s) replaced", tuple(touched), False


def _field(old: bytes, rng: random.Random) -> Made:
    """A number in binary, at a place where one can be."""
    value = rng.choice(_FIELDS)
    if len(old) < 2 * len(value):
        return None
    at = _place(old, rng)
    at = min(at - at % 2, len(old) - len(value))
    new = old[:at] + value + old[at + len(value) :]
    return new, f"bytes {at} to {at + len(value)} are {value.hex()}", ((at, at + len(value)),), False


def _numbers(old: bytes, rng: random.Random) -> Made:
    """A number that is written in text; as long as before where lengths matter, if it fits."""
    found = [(t.start() + n.start(), t.start() + n.end()) for t in _TEXT.finditer(old) for n in _NUMBER.finditer(t[0])]
    if not found:
        return None
    start, stop = rng.choice(found)
    value = rng.choice(NUMBERS)
    if rng.random() < 0.5 and len(value) <= stop - start:
        value = value.ljust(stop - start)
    new = old[:start] + value + old[stop:]
    return new, f"{old[start:stop][:20]!r} at {start} is {value[:20]!r}", ((start, stop),), False


def _line(old: bytes, rng: random.Random) -> Made:
    """A line of text is lost, or there twice."""
    ends = [0, *(m.end() for m in re.finditer(rb"\n", old[: 1 << 16]))]
    lines = [(a, b) for a, b in pairwise(ends) if _TEXT.match(old[a:b])]
    if not lines:
        return None
    start, stop = rng.choice(lines)
    line = old[start:stop]
    if rng.random() < 0.5:
        return old[:start] + old[stop:], f"without {line[:30]!r}", ((start, stop),), False
    return old[:stop] + line + old[stop:], f"twice {line[:30]!r}", ((stop, stop),), False


def _appended(old: bytes, rng: random.Random) -> Made:
    more = rng.choice((b"\0", bytes(512), rng.randbytes(7), rng.randbytes(4096), old[-64:]))
    return old + more, f"{len(more)} byte(s) appended", ((len(old), len(old)),), False
