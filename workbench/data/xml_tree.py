"""XML of strangers as a tree: nothing outside of the file is looked at, and nothing in it can grow."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat


class Tree:
    """Builds the tree while expat reads; what could hurt stops it.

    Entities that the file declares are refused, and those that it names outside of itself are never opened.

    Parameters
    ----------
    what
        What such files hold, in the plural, for messages.
    deepest, most
        Elements within each other, and elements in all, that are read.
    fault
        The error for what is wrong with the file.
    """

    def __init__(self, what: str, deepest: int, most: int, fault: type[Exception]) -> None:
        self.builder = ElementTree.TreeBuilder()
        self.first = ""
        self.what, self.fault = what, fault
        self._deepest, self._most = deepest, most
        self._depth, self._count = 0, 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self.builder.data
        self.parser.EntityDeclHandler = self._entity
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def seen(self, tag: str) -> None:
        """Told of every element that begins."""

    def named(self, name: str) -> str:
        """How an element or an attribute of that name is called in the tree."""
        return name

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._count += 1
        if self._depth > self._deepest:
            raise self.fault(f"elements within elements, more than {self._deepest} deep")
        if self._count > self._most:
            raise self.fault(f"more than {self._most // 1_000_000} million elements")
        tag = self.named(tag)
        self.first = self.first or tag
        self.seen(tag)
        self.builder.start(tag, {self.named(k): v for k, v in attributes.items()})

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self.builder.end(self.named(tag))

    def _entity(self, *_: Any) -> None:
        raise self.fault(f"it declares entities; {self.what} need none")
