"""XML files of annotations as a tree: nothing outside of the file is looked at, and nothing in it can grow."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from workbench.core.errors import InputError
from workbench.data.xml_tree import Tree
from workbench.slide.annotations.types import Fault

LARGEST = 256 << 20
"""Bytes of a file that is read at once."""
_DEEPEST = 32
_MOST = 4_000_000
_CHUNK = 1 << 16


def parse(path: Path, units: frozenset[str]) -> ElementTree.Element:
    """The root of a file.

    Parameters
    ----------
    units
        Names of the elements that hold one annotation each: an error says how many had begun.

    Raises
    ------
    InputError
        It is no XML, is cut off, larger or deeper than annotations are, or declares entities.
    """
    size = path.stat().st_size
    if size > LARGEST:
        raise InputError(f"{path}: has {size >> 20} MiB, annotations of up to {LARGEST >> 20} MiB are read as XML. "
                         "Export them in parts, or as GeoJSON.")  # fmt: skip
    tree = _Tree(units)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                tree.feed(chunk)
        tree.feed(b"", True)
    except expat.ExpatError as error:
        raise InputError(f"{path}: {tree.where}no well-formed XML ({error}). Export or copy the file again.") from error
    except (Fault, UnicodeError, LookupError) as error:  # the latter of names of encodings that nobody knows
        raise InputError(f"{path}: {tree.where}{error}. Export or copy the file again.") from error
    root: ElementTree.Element = tree.builder.close()
    return root


def first_tag(head: bytes) -> str:
    """Name of the first element, which says whose file it is; empty where none begins in these first bytes.

    Raises
    ------
    Fault, xml.parsers.expat.ExpatError, UnicodeError, LookupError
        It declares entities; or it is no XML, before any element.
    """
    tree = _Tree(frozenset())
    try:
        tree.feed(head)
    except (Fault, expat.ExpatError, UnicodeError, LookupError):
        if not tree.first:
            raise
    return tree.first


class _Tree(Tree):
    """Counts the annotations that have begun, and wants no document type that declares more than its name."""

    def __init__(self, units: frozenset[str]) -> None:
        super().__init__("annotations", _DEEPEST, _MOST, Fault)
        self._units, self._begun = units, 0
        self.parser.StartDoctypeDeclHandler = self._doctype

    @property
    def where(self) -> str:
        return f"annotation {self._begun}: " if self._begun else ""

    def seen(self, tag: str) -> None:
        self._begun += tag in self._units

    def _doctype(self, name: str, system: str | None, public: str | None, internal: int) -> None:
        if system or public or internal:
            raise Fault("its document type declares more than a name (entities, another file); annotations need none")


def text_of(element: ElementTree.Element, tag: str) -> str:
    """Text of a child, or ""."""
    return (element.findtext(tag) or "").strip()


def number_of(text: str | None, what: str) -> float:
    """A number; that it is finite is asked later.

    Raises
    ------
    Fault
        It is none.
    """
    try:
        return float((text or "").strip())
    except ValueError:
        raise Fault(f"{what} is {(text or '')[:40]!r}, a number was expected") from None
