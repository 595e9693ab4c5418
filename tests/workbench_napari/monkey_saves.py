"""What was shown when Save was pressed, against what lies on disk, read with libraries that are not ours."""

from __future__ import annotations

import csv
import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Check = Callable[[Path], str]
"""Compares a folder with what was shown; gives what differs, or ""."""


@dataclass
class Pending:
    """A Save whose job has not ended."""

    job: Any
    what: str
    check: Check


class Saves:
    """Follows every Save: takes note of what is shown, and looks into a copy of the folder as it was written.

    Parameters
    ----------
    folder
        For the copies.

    Attributes
    ----------
    checked
        How many saves were compared, by tool.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._number = folder, 0
        self._copies: dict[Any, Path] = {}
        self._pending: list[Pending] = []
        self.checked: Counter[str] = Counter()
        self._listen()

    def _listen(self) -> None:
        import workbench as wb

        write, saves = wb.write, self

        def write_and_copy(*args: Any, **named: Any) -> Any:
            paths = write(*args, **named)
            saves._number += 1
            copy = saves._folder / str(saves._number)
            # The next save may replace it, and the lock of the folder is still held.
            shutil.copytree(paths[-1].parent, copy, ignore=shutil.ignore_patterns("versions", ".*"))
            saves._copies[threading.current_thread()] = copy
            return paths

        wb.write = write_and_copy

    def pressed(self, tool: Any, press: Callable[[], None]) -> str:
        """Press Save, remembering what is shown at this moment; returns what came of it."""
        name = type(tool).__name__
        check = SHOWN[name](tool)
        before = tool._job
        press()
        if tool._job is None or tool._job is before or not tool._job.writes:
            return "refused"
        self._pending.append(Pending(tool._job, name, check))
        return "started"

    def look(self) -> list[str]:
        """What differs in the saves that ended since."""
        found = []
        for pending in [p for p in self._pending if p.job.outcome is not None]:
            self._pending.remove(pending)
            copy = self._copies.pop(pending.job._thread, None)
            if copy is None:
                continue  # it failed, or was cancelled before it began
            self.checked[pending.what] += 1
            if problem := pending.check(copy):
                found.append(f"{pending.what} saved another thing than it showed: {problem}; see {copy}")
            else:
                shutil.rmtree(copy)
        return found


# --- what the tools show


def _volume(tool: Any) -> Check:
    layer = tool.labels_layer
    return _nothing if layer is None else _label_map(layer)


def _label_map(layer: Any, stem: str = "labels") -> Check:
    shown = _places(np.asarray(layer.data), _matrix(layer))

    def check(folder: Path) -> str:
        files = [p for p in folder.iterdir() if p.name.startswith(f"{stem}.") and p.suffix != ".csv"]
        if len(files) != 1:
            return f"{[p.name for p in files]} for one label map"
        return _differ(shown, _read_volume(files[0]))

    return check


def _matrix(layer: Any) -> Any:
    """Index -> superior, posterior, left in mm, as the layer shows it."""
    origin = np.asarray(layer.data_to_world((0, 0, 0)))
    columns = [np.asarray(layer.data_to_world(tuple(row))) - origin for row in np.eye(3)]
    return np.column_stack([*columns, origin])


def _places(data: Any, matrix: Any) -> Counter[tuple[int, ...]]:
    """How often a value stands at a place (in tenths of a mm)."""
    index = np.argwhere(data)
    world = index @ matrix[:, :3].T + matrix[:, 3]
    rows = np.column_stack([np.rint(world * 10).astype(int), data[tuple(index.T)].astype(int)])
    return Counter(map(tuple, rows.tolist()))


def _read_volume(path: Path) -> Counter[tuple[int, ...]]:
    if ".nii" in path.name:
        import nibabel as nib

        image = nib.load(path)
        data, affine = np.asarray(image.dataobj), image.affine
        to_spl = np.array([[0, 0, 1], [0, -1, 0], [-1, 0, 0]], float)  # from right, anterior, superior
        return _places(data, to_spl @ affine[:3])
    import SimpleITK as sitk

    image = sitk.ReadImage(str(path))
    data = sitk.GetArrayFromImage(image)  # z, y, x
    if data.ndim == 4:
        raise NotImplementedError("segments that overlap")
    steps = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    lps = np.column_stack([steps[:, ::-1], image.GetOrigin()])
    return _places(data, lps[[2, 1, 0]])


def _scene(tool: Any) -> Check:
    layers = tool.maps.layers() | {"painted": tool.painting.layer}
    shown = {k: np.array(v.data) for k, v in layers.items() if v is not None and k in ("painted", "labels")}

    def check(folder: Path) -> str:
        for key, data in shown.items():
            files = [p for p in folder.iterdir() if p.stem == key and p.suffix in (".dat", ".tif", ".npy")]
            if len(files) != 1:
                return f"{[p.name for p in files]} for the map '{key}'"
            found = _read_map(files[0], data.shape)
            if found.shape != data.shape or not np.array_equal(found, data):
                return f"'{key}': {int((found != data).sum())} pixels of {files[0].name}"
        return ""

    return check


def _read_map(path: Path, shape: Any) -> Any:
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".tif":
        import rasterio

        with rasterio.open(path) as file:
            return file.read(1)
    return np.fromfile(path, np.uint8).reshape(shape)


def _recording(tool: Any) -> Check:
    from workbench_napari.recording.whose import is_machines

    shown = []
    for layer in tool.annotating.layers:
        if is_machines(layer):
            continue
        names = list(layer.features["label"]) if "label" in layer.features.columns else [""] * len(layer.data)
        for box, name in zip(layer.data, names, strict=True):
            times = np.asarray(box)[:, 1]
            shown.append((float(times.min()), float(np.ptp(times)), str(name)))

    def check(folder: Path) -> str:
        with (folder / "annotations.csv").open(encoding="utf-8") as file:
            found = [(float(r["onset [s]"]), float(r["duration [s]"])) for r in csv.DictReader(file)]
        # A click that slipped is no annotation; one that two layers hold is one.
        wanted = {(round(a, 3), round(b, 3)) for a, b, _ in shown}
        far = [w for w in wanted if w[1] > 0.02 and not any(_near(w, f) for f in found)]
        more = [f for f in found if not any(_near((round(a, 3), round(b, 3)), f) for a, b, _ in shown)]
        return f"not in the file: {far}; only in the file: {more}" if far or more else ""

    return check


def _near(one: Any, other: Any) -> bool:
    return bool(abs(one[0] - other[0]) < 0.03 and abs(one[1] - other[1]) < 0.06)


def _general(tool: Any) -> Check:
    checks: list[Check] = []
    for layer in tool.shown.layers():
        record = layer.metadata.get("workbench") or {}
        part, kind = record.get("part"), record.get("kind")
        if type(layer).__name__ == "Labels" and kind == "volume":
            checks.append(_label_map(layer, str(part)))
        elif type(layer).__name__ == "Labels" and kind == "plate":
            checks.append(_array(np.array(layer.data), f"{part}.npy"))
        elif type(layer).__name__ == "Shapes" and kind == "plate":
            checks.append(_outlines([np.array(d) for d in layer.data], f"{part}.geojson"))
    return lambda folder: "; ".join(filter(None, (check(folder) for check in checks)))


def _page(tool: Any) -> Check:
    """The lines of leads, each with its name, as many as are shown."""
    from workbench.core.errors import WorkbenchError
    from workbench.page import channels_of, without_covered

    if tool.correcting.layer is None:
        return _nothing
    try:
        wanted = Counter(channels_of(without_covered(tool.correcting.lines())))
    except WorkbenchError:
        return _nothing

    def check(folder: Path) -> str:
        import workbench as wb

        found = Counter(channels_of(wb.read_lines(folder / "traces.geojson")))
        return "" if found == wanted else f"lines of {dict(found)} in the file, {dict(wanted)} shown"

    return check


def _array(data: Any, name: str) -> Check:
    def check(folder: Path) -> str:
        return "" if np.array_equal(np.load(folder / name), data) else f"{name} differs"

    return check


def _outlines(shapes: list[Any], name: str) -> Check:
    def check(folder: Path) -> str:
        features = json.loads((folder / name).read_text(encoding="utf-8"))["features"]
        return "" if len(features) == len(shapes) else f"{name} has {len(features)} of {len(shapes)} outlines"

    return check


def _differ(shown: Counter[Any], found: Counter[Any]) -> str:
    if shown == found:
        return ""
    return f"{sum((shown - found).values())} voxels not in the file, {sum((found - shown).values())} only there"


def _nothing(_folder: Path) -> str:
    return ""


def _slide(tool: Any) -> Check:
    """Annotations and nuclei of the slide that is saved: as many as are shown, and the rejected ones apart."""
    from workbench_napari.slide.on_slide import annotations_on

    from workbench.slide import edits_in

    slide = tool._saved_slide()
    if slide is None:
        return _nothing
    drawn = sum(len(x.data) for x in annotations_on(tool.viewer, slide))
    edits = next((e for x in tool.shown.layers() if (e := edits_in(x.data)) is not None), None)
    wanted = {"annotations": drawn} if drawn else {}
    if edits is not None:
        wanted |= {"nuclei": len(edits)} | ({"rejected": len(edits.rejected())} if len(edits.rejected()) else {})

    def check(folder: Path) -> str:
        found = {}
        for name in wanted:
            found[name] = _outlines_in(folder, name)
        return "" if found == wanted else f"{found} in the files, {wanted} shown"

    return check


def _outlines_in(folder: Path, name: str) -> int:
    """How many outlines a folder holds, in either format that the tool offers."""
    if (path := folder / f"{name}.geojson").is_file():
        return len(json.loads(path.read_text(encoding="utf-8")).get("features", []))
    if (path := folder / f"{name}.parquet").is_file():
        from pyarrow import parquet

        return int(parquet.read_metadata(path).num_rows)
    return 0


SHOWN = {
    "VolumeTool": _volume, "SceneTool": _scene, "RecordingTool": _recording, "SlideTool": _slide,
    "EcgTool": _page, "GeneralTool": _general,
}  # fmt: skip
