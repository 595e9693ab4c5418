"""Class names and colours beside a GeoTIFF, as GDAL keeps them: QGIS and ArcGIS show them in the legend."""

from __future__ import annotations

from xml.sax.saxutils import escape

from workbench.core.classes import ClassTable

_COLUMNS = (("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8))  # name, type, use


def class_notes(classes: ClassTable, background: str) -> str:
    """Text of ``map.tif.aux.xml``: the names of all values from 0 on, and a table of values, names and colours."""
    known = {c.value: c for c in classes}
    names = [background, *(known[v].name if v in known else "" for v in range(1, max(known, default=0) + 1))]
    rows = [(0, background, (0, 0, 0)), *((c.value, c.name, c.color) for c in sorted(classes, key=lambda c: c.value))]
    lines = ["<PAMDataset>", '  <PAMRasterBand band="1">', "    <CategoryNames>"]
    lines += [f"      <Category>{_text(name)}</Category>" for name in names]
    lines += ["    </CategoryNames>", '    <GDALRasterAttributeTable tableType="thematic">']
    for i, (name, kind, use) in enumerate(_COLUMNS):
        lines += [
            f'      <FieldDefn index="{i}">', f"        <Name>{name}</Name>", f"        <Type>{kind}</Type>",
            f"        <Usage>{use}</Usage>", "      </FieldDefn>",
        ]  # fmt: skip
    for i, (value, name, color) in enumerate(rows):
        cells = [str(value), _text(name), *map(str, color)]
        lines.append(f'      <Row index="{i}">' + "".join(f"<F>{cell}</F>" for cell in cells) + "</Row>")
    lines += ["    </GDALRasterAttributeTable>", "  </PAMRasterBand>", "</PAMDataset>"]
    return "\n".join(lines) + "\n"


def _text(name: str) -> str:
    """A name without what XML cannot hold."""
    return escape("".join(c if c.isprintable() else " " for c in name))
