"""XML of strangers as a tree: nothing outside of the file is looked at, and nothing in it can grow."""

from __future__ import annotations

import codecs
import re
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

_DECLARED = re.compile(rb"""^(?:\xef\xbb\xbf)?\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_CODECS = {
    "gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "cp936": "gb18030", "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs", "cp950": "cp950", "shift_jis": "cp932", "shift-jis": "cp932", "windows-31j": "cp932",
    "cp932": "cp932", "euc-jp": "euc_jp", "iso-2022-jp": "iso2022_jp", "euc-kr": "cp949", "ks_c_5601-1987": "cp949",
    "cp949": "cp949", "iso-2022-kr": "iso2022_kr", "utf-7": "utf_7",
}  # fmt: skip
"""Encodings of several bytes a letter, which expat does not know, and how Python calls what holds all of each."""


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
        self._declared: str | None = None
        self._decoder: codecs.IncrementalDecoder | None = None
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self.builder.data
        self.parser.EntityDeclHandler = self._entity
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def feed(self, chunk: bytes, last: bool = False) -> None:
        """Read the next bytes of the file.

        Raises
        ------
        xml.parsers.expat.ExpatError, UnicodeError, LookupError
            It is no well-formed XML; it is not in the encoding that it declares, or nobody knows that.
        """
        if self._declared is None:
            chunk = self._first_bytes(chunk)
        if self._decoder is not None:
            chunk = self._decoder.decode(chunk, last).encode("utf-8", "replace")
        try:
            self.parser.Parse(chunk, last)
        except ValueError as error:
            if "multi-byte" not in str(error):  # what pyexpat says of several bytes a letter
                raise
            raise self.fault(f"it is written in {self._declared}, which is not read here: save it as UTF-8") from None

    def _first_bytes(self, chunk: bytes) -> bytes:
        """The first bytes; where expat does not know their encoding, they say that they are UTF-8, and will be."""
        found = _DECLARED.match(chunk)
        self._declared = found[1].decode("ascii").lower() if found else ""
        codec = _CODECS.get(self._declared)
        if codec is None or found is None:
            return chunk
        if not chunk.startswith(codecs.BOM_UTF8):  # a mark of UTF-8 says more than a word
            self._decoder = codecs.getincrementaldecoder(codec)()
        return chunk[: found.start(1)] + b"utf-8" + chunk[found.end(1) :]

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
