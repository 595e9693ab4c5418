"""XML files of electrocardiograms as a tree: nothing outside of the file is looked at, and nothing in it can grow.

A document type may name a file of its own (GE MUSE writes ``SYSTEM "restecg.dtd"``): it is never opened. Entities that
are declared in the file itself are refused.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from workbench.core.errors import InputError
from workbench.data.xml_tree import Tree
from workbench.page.data.ecg_image import require_size

LARGEST = 64 << 20
"""Bytes of a file that is read at once."""
_DEEPEST = 100
_MOST = 2_000_000
_CHUNK = 1 << 16


class _Fault(Exception):
    """What is wrong with the file; becomes an `InputError`."""


def parse(path: Path) -> ElementTree.Element:
    """The root of a file; names of elements and attributes without their namespaces.

    Raises
    ------
    InputError
        It is no XML, is cut off, larger or deeper than electrocardiograms are, or declares entities.
    """
    require_size(path, LARGEST)
    tree = _Tree()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                tree.feed(chunk)
        tree.feed(b"", True)
    except expat.ExpatError as error:
        raise InputError(f"{path}: is no well-formed XML ({error}). Export or copy the file again.") from error
    except (_Fault, UnicodeError, LookupError) as error:  # the latter of encodings that nobody knows
        raise InputError(f"{path}: {error}. Export or copy the file again.") from error
    root: ElementTree.Element = tree.builder.close()
    return root


def first_tag(head: bytes) -> str:
    """Name of the first element, without its namespace; "" where none begins in these first bytes."""
    tree = _Tree()
    with contextlib.suppress(_Fault, expat.ExpatError, UnicodeError, LookupError):
        tree.feed(head)
    return tree.first


def root_of(path: Path) -> str:
    """Name of the first element of a file, from its first 64 KiB; "" where it is no XML."""
    try:
        with path.open("rb") as file:
            head = file.read(_CHUNK)
    except OSError:
        return ""
    return first_tag(head) if b"<" in head else ""


class _Tree(Tree):
    """Names without their namespaces."""

    def __init__(self) -> None:
        super().__init__("electrocardiograms", _DEEPEST, _MOST, _Fault)

    def named(self, name: str) -> str:
        return name.rpartition(":")[2]


def text_of(element: ElementTree.Element | None, tag: str = "") -> str:
    """Text of an element or of a descendant by its path, without blanks around it; "" where there is none."""
    found = element if element is None or not tag else element.find(tag)
    return "" if found is None else "".join(found.itertext()).strip()


def number_of(text: str | None) -> float | None:
    """A number of a text, or ``None``."""
    if "_" in (text or ""):  # Python takes 1_000 for a number
        return None
    try:
        value = float((text or "").strip())
    except ValueError:
        return None
    return value if abs(value) < 1e300 else None


def each(element: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    """All descendants of that name."""
    return element.iter(tag)


def base64_bytes(path: Path, text: str, what: str) -> bytes:
    """The bytes of a base64 text with blanks in it, or an `InputError`."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{path}: {what} is no base64 text ({error}). Export or copy the file again.") from error
