"""Names and colours of classes as the XML ``LabelTable`` of Connectome Workbench (CARET) and GIFTI.

TotalSegmentator writes it into NIfTI header extensions (code 0), and so do we.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from workbench.core.classes import RGB, ClassInfo, ClassTable
from workbench.core.errors import InputError

_MAX_XML_BYTES = 4 << 20  # thousands of classes fit many times
_MOST = 2**32 - 1  # of a label map
_NAMED = 3
_VALUE = re.compile(r"\d{1,10}", re.ASCII)


def from_xml(content: bytes) -> tuple[ClassTable | None, list[str]]:
    """The class table in the content of a header extension, ``None`` if it holds none; and what is wrong with it.

    Declarations of types or entities are not parsed at all: a label table needs none, attacks do.
    """
    text = content.strip(b"\x00 \r\n\t")
    if b"<LabelTable" not in text:
        return None, []
    if len(text) > _MAX_XML_BYTES or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        return None, ["the label table is larger than any, or declares types of its own: it was left out"]
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None, ["the label table is no XML: it was left out"]
    found: dict[int, ClassInfo] = {}
    notes = []
    for element in root.iter("Label"):
        key, name = element.get("Key", ""), " ".join((element.text or "").split())
        value = value_of(key)
        if value == 0:
            continue  # background
        if value is None or not name:
            notes.append(f"the label table gives {key[:20]!r} the name {name[:40]!r}: this row was left out")
            continue
        try:
            color = _color(element)
        except (ValueError, OverflowError):
            notes.append(f"the label table gives {name[:40]!r} no colour of numbers: another was taken")
            color = ClassTable.from_values([value]).classes[0].color
        if value in found and found[value].name != name:
            notes.append(
                f"the label table names {value} {found[value].name[:40]!r} and {name[:40]!r}: the last is used"
            )
        found[value] = ClassInfo(value, name, color)
    table = ClassTable(tuple(found[v] for v in sorted(found))) if found else None
    notes += doubled_names(table)
    return table, [*notes[:_NAMED], *([f"and {len(notes) - _NAMED} more such"] if len(notes) > _NAMED else [])]


def value_of(text: str) -> int | None:
    """A whole number that a label map can hold."""
    plain = text.strip()
    return int(plain) if _VALUE.fullmatch(plain) and int(plain) <= _MOST else None


def doubled_names(classes: ClassTable | None) -> list[str]:
    """A note for each name that several values share: results of them cannot be told apart by it."""
    values: dict[str, list[int]] = {}
    for c in classes or ():
        values.setdefault(c.name, []).append(c.value)
    return [
        f"values {', '.join(map(str, same[:_NAMED]))} have one name, {name[:40]!r}"
        for name, same in values.items()
        if len(same) > 1
    ]


def once(found: dict[int, str], value: int, name: str) -> None:
    """Enter a name; a value that has another one already is refused, because nothing says which is right.

    Raises
    ------
    InputError
        Without the file; see `of_file`.
    """
    if found.setdefault(value, name) != name:
        raise InputError(
            f"value {value} has two names, {found[value][:60]!r} and {name[:60]!r}; one was expected. Repair the table."
        )


def noting_repeats(twice: list[str], pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; `twice` gets the names in it that have several values, of which JSON keeps the last."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if found.setdefault(key, value) != value:
            twice.append(key)
    return found


@contextmanager
def of_file(path: object) -> Iterator[None]:
    """Put the file in front of what `once` says."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def to_xml(classes: ClassTable) -> bytes:
    """Content of a NIfTI header extension (code 0) that holds the class table."""
    rows = []
    for c in classes:
        r, g, b = (quoteattr(f"{v / 255:.6f}") for v in c.color)
        rows.append(f'<Label Key="{c.value}" Red={r} Green={g} Blue={b} Alpha="1">{_cdata(c.name)}</Label>')
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<CaretExtension><VolumeInformation Index="0"><LabelTable>\n'
        + "\n".join(rows)
        + "\n</LabelTable><VolumeType><![CDATA[Label]]></VolumeType></VolumeInformation></CaretExtension>\n"
    )
    return text.encode()


def _cdata(name: str) -> str:
    # Characters that XML cannot hold are left out; "]]>" would end the section early.
    legal = "".join(ch for ch in name if ch.isprintable())
    return "<![CDATA[" + legal.replace("]]>", "]]]]><![CDATA[>") + "]]>"


def _color(element: ElementTree.Element) -> RGB:
    r, g, b = (round(255 * _within(float(element.get(k, "0")))) for k in ("Red", "Green", "Blue"))
    return (r, g, b)


def _within(part: float) -> float:
    if not math.isfinite(part):
        raise ValueError(part)
    return min(max(part, 0.0), 1.0)
