"""JSON files larger than memory: one value at a time, in order, whatever the line breaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

_CHUNK = 1 << 20
_LARGEST = 1 << 28
"""Characters of one value: more is no outline that a person could use, and would fill the memory."""
_TOKEN = 16
"""Characters before the end of what was read within which an error may only mean that more is to come."""


class JsonError(ValueError):
    """What is wrong with the text, without where."""


class JsonStream:
    """Reads a text file piece by piece; the caller says what comes next.

    Parameters
    ----------
    file
        Opened as text.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._done = False
        self._decode = json.JSONDecoder().raw_decode

    def peek(self) -> str:
        """The next character that is no space; empty at the end of the file."""
        while True:
            while self._at < len(self._text):
                if (char := self._text[self._at]) not in " \t\r\n":
                    return char
                self._at += 1
            if not self._more():
                return ""

    def take(self, wanted: str) -> str:
        """The next character, which must be one of `wanted`."""
        char = self.peek()
        if char not in wanted or not char:
            found = f"'{char}'" if char else "the end of the file"
            raise JsonError(f"found {found} where {' or '.join(repr(c) for c in wanted)} was expected")
        self._at += 1
        return char

    def value(self) -> Any:
        """The next value, whole: an object, a list, a text, a number, true, false or null."""
        self.peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut = error.pos >= len(self._text) - _TOKEN or error.msg.startswith("Unterminated string")
                if cut and self._more():
                    continue
                raise JsonError(
                    "the file ends in the middle" if cut else error.msg[0].lower() + error.msg[1:]
                ) from None
            except RecursionError:
                raise JsonError("lists within lists without end") from None
            except ValueError:  # Python reads no whole number of more digits than these
                raise JsonError("a number of thousands of digits") from None
            # A number at the end of what was read may go on.
            if end == len(self._text) and isinstance(value, int | float) and self._more():
                continue
            self._at = end
            return value

    def items(self) -> Iterator[int]:
        """Number (from 1) of each element of a list that begins here; the caller takes the element with `value`."""
        self.take("[")
        if self.peek() == "]":
            self.take("]")
            return
        number = 0
        while True:
            number += 1
            yield number
            if self.take(",]") == "]":
                return

    def members(self) -> Iterator[str]:
        """Keys of an object that begins here; the caller takes what belongs to each with `value` or `items`."""
        self.take("{")
        if self.peek() == "}":
            self.take("}")
            return
        while True:
            if self.peek() != '"':
                self.take('"')
            key = str(self.value())
            self.take(":")
            yield key
            if self.take(",}") == "}":
                return

    def _more(self) -> bool:
        """Read on; False at the end of the file."""
        if self._done:
            return False
        rest = len(self._text) - self._at
        if rest > _LARGEST:
            raise JsonError(f"one value has more than {_LARGEST >> 20} million characters")
        # As much again as is waiting, so that a long value is not decoded over and over.
        chunk = self._file.read(max(_CHUNK, rest))
        self._done = not chunk
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)
