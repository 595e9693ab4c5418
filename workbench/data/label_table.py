"""Names and colours of classes as the XML ``LabelTable`` of Connectome Workbench (CARET) and GIFTI.

TotalSegmentator writes it into NIfTI header extensions (code 0), and so do we.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from workbench.core.classes import RGB, ClassInfo, ClassTable
from workbench.core.errors import InputError

_MAX_XML_BYTES = 4 << 20  # thousands of classes fit many times


def from_xml(content: bytes) -> ClassTable | None:
    """The class table in the content of a header extension, or ``None`` if it holds none.

    Declarations of types or entities are not parsed at all: a label table needs none, attacks do.

    Raises
    ------
    InputError
        A value has two names.
    """
    text = content.strip(b"\x00 \r\n\t")
    if len(text) > _MAX_XML_BYTES or b"<LabelTable" not in text or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        return None
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    found: dict[int, ClassInfo] = {}
    names: dict[int, str] = {}
    for element in root.iter("Label"):
        try:
            value = int(element.get("Key", ""))
            color = _color(element)
        except (ValueError, OverflowError):
            continue
        name = " ".join((element.text or "").split())
        if value > 0 and name:
            once(names, value, name)
            found[value] = ClassInfo(value, name, color)
    if not found:
        return None
    return ClassTable(tuple(found[v] for v in sorted(found)))


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
    r, g, b = (round(255 * min(max(float(element.get(k, "0")), 0.0), 1.0)) for k in ("Red", "Green", "Blue"))
    return (r, g, b)
