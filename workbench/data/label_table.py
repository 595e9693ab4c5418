"""Names and colours of classes as the XML ``LabelTable`` of Connectome Workbench (CARET) and GIFTI.

TotalSegmentator writes it into NIfTI header extensions (code 0), and so do we.
"""

from __future__ import annotations

from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from workbench.core.classes import RGB, ClassInfo, ClassTable

_MAX_XML_BYTES = 4 << 20  # thousands of classes fit many times


def from_xml(content: bytes) -> ClassTable | None:
    """The class table in the content of a header extension, or ``None`` if it holds none.

    Declarations of types or entities are not parsed at all: a label table needs none, attacks do.
    """
    text = content.strip(b"\x00 \r\n\t")
    if len(text) > _MAX_XML_BYTES or b"<LabelTable" not in text or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        return None
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    found: dict[int, ClassInfo] = {}
    for element in root.iter("Label"):
        try:
            value = int(element.get("Key", ""))
            color = _color(element)
        except (ValueError, OverflowError):
            continue
        name = " ".join((element.text or "").split())
        if value > 0 and name:
            found[value] = ClassInfo(value, name, color)
    if not found:
        return None
    return ClassTable(tuple(found[v] for v in sorted(found)))


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
