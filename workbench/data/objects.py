"""Objects from files, and whether they lie on their image."""

from __future__ import annotations

from pathlib import Path

from workbench.core.errors import GeometryError, InputError
from workbench.core.frame import Frame
from workbench.core.objects import Objects
from workbench.core.types import Geometry
from workbench.data import dicom_bulk

_SUFFIXES = (".geojson", ".json")


def read_objects(path: str | Path) -> Objects:
    """Open what `workbench.write` made of `Objects`, or GeoJSON of QuPath and others.

    Parameters
    ----------
    path
        A ``.geojson`` (or ``.json``) file: a FeatureCollection of polygons and multipolygons; GeoParquet; or the JSON
        of CellViT (``cells.json``) and HoVer-Net, a contour for each nucleus; or DICOM microscopy bulk simple
        annotations (``.dcm``; extra ``dicom``).

    Returns
    -------
    Objects
        In the frame that the file states; without one in pixels of level 0, counted from the corner of the first.

    Raises
    ------
    NothingFound, InputError
        The file is missing, damaged, or holds something else; one line names the feature.
    """
    from workbench.data.cells_json import is_cells_json, read_cells_json
    from workbench.data.geojson import read_geojson

    file = Path(path).expanduser()
    if file.suffix.lower() == ".parquet":
        from workbench.data.geoparquet import read_geoparquet

        return read_geoparquet(file)
    if file.suffix.lower() in dicom_bulk.SUFFIXES:
        return dicom_bulk.read_bulk(file)
    if file.suffix.lower() not in _SUFFIXES:
        raise InputError(
            f"{file}: objects are read from GeoJSON ({', '.join(_SUFFIXES)}), GeoParquet (.parquet) and DICOM (.dcm), "
            f"this is '{file.suffix}'."
        )
    return read_cells_json(file) if is_cells_json(file) else read_geojson(file)


def require_frame(objects: Objects, geometry: Geometry, what: str, source: Path | None) -> None:
    """Refuse objects whose frame says another place or scale than the image has.

    Objects without a place in the world are taken to be meant for this image.

    Raises
    ------
    GeometryError
        One line with both.
    """
    own = objects.frame
    if own.affine is None:
        return
    expected = Frame.of(geometry.affine, geometry.unit, unit=own.unit, pixel_size=own.pixel_size)
    if geometry.ndim != 2 or not own.matches(expected):
        raise GeometryError(
            f"{what} do not lie on {source or 'their image'}: their frame has the affine {own.affine.tolist()} "
            f"[{own.world_unit}], that of the image would be "
            f"{None if expected.affine is None else expected.affine.tolist()} [{expected.world_unit}]."
        )
