"""Nuclei from maps: ``python tests/benchmarks/bench_cells.py [--many]``.

Maps of 1024 x 1024 pixels with 1,000 nuclei (those of the parity files, or drawn ones) to typed polygons: the usual
form (OpenCV and scikit-image, then one crop, contour and class per nucleus in Python), MONAI's own HoVer-Net
post-processing, and ours, alternating in one process. Then 4096 x 4096 pixels with 17,000. With ``--many``, 50,000 to
400,000 nuclei go through assembly, tables and files, each count in a process of its own: seconds, peak memory, and what
is lost or twice.

OpenCV is no dependency: ``pip install opencv-python-headless`` where it is to be measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]
ROUNDS = 7
CORE, HALO, PERIOD = 384, 64, 68
SPACING = 8 * CORE / PERIOD


def main() -> int:
    """Measure and print."""
    if "--one" in sys.argv:
        many(int(sys.argv[-1]))
        return 0
    print(f"{os.cpu_count()} processors, 1 thread; from 4 million pixels on ours takes two")
    if "--many" not in sys.argv:
        small()
        large()
    else:
        for count in (50_000, 100_000, 200_000, 400_000):
            subprocess.run([sys.executable, __file__, "--one", str(count)], check=True)
    return 0


def parity_maps() -> tuple[Any, Any, Any]:
    """Binary map, distances and classes of 1024 x 1024 pixels."""
    path = ROOT.parent / "shared" / "parity" / "cellvta_postproc_1024.npz"
    if path.is_file():
        stored = np.load(path)
        return stored["binary"] > 0, stored["hv"].astype(np.float32), stored["type_map"].astype(np.int64)
    from tests.drawn_nuclei import drawn_maps

    nuclei, hv, types, _ = drawn_maps((1024, 1024), 32.0)
    return nuclei, hv, types.astype(np.int64)


def small() -> None:
    """The usual form, MONAI's and ours on 1024 x 1024 pixels."""
    nuclei, hv, types = parity_maps()
    arms: dict[str, Callable[[], Any]] = {"ours": lambda: ours(nuclei, hv, types)}
    try:
        import cv2

        cv2.setNumThreads(1)
    except ImportError:
        print("OpenCV is not installed: the usual form is not measured")
    else:
        arms["usual"] = lambda: usual_table(usual_instances(nuclei, hv), types)
    labels = ours(nuclei, hv, types)[0]
    whole = {name: _median(work) for name, work in arms.items()}
    for name, seconds in whole.items():
        print(f"{name:<8} maps to typed polygons {1000 * seconds:8.1f} ms, {len(np.unique(labels)) - 1} nuclei")
    if "usual" in arms:
        parts = {
            "instances": (lambda: usual_instances(nuclei, hv), lambda: _instances(nuclei, hv)),
            "table and outlines": (lambda: usual_table(labels, types), lambda: _table(labels, types)),
            "table, image by image": (lambda: usual_table(labels, types, whole=True), lambda: _table(labels, types)),
        }
        for name, (theirs, own) in parts.items():
            a, b = _median(theirs), _median(own)
            print(f"  {name}: usual {1000 * a:.1f} ms, ours {1000 * b:.1f} ms: {a / b:.1f} times as fast")
        print(f"ours is {whole['usual'] / whole['ours']:.2f} times as fast as the usual form")
        repair(usual_table(labels, types))
    seconds = monai_form(nuclei, hv, types)
    print(f"MONAI's HoVer-Net post-processing: {seconds:.2f} s, ours is {seconds / whole['ours']:.0f} times as fast")


def large() -> None:
    """4096 x 4096 pixels with 17,000 nuclei."""
    from tests.drawn_nuclei import drawn_maps

    nuclei, hv, types = parity_maps()
    tiled = np.tile(nuclei, (4, 4)), np.tile(hv, (1, 4, 4)), np.tile(types, (4, 4))
    drawn = drawn_maps((4096, 4096), 4096 / np.sqrt(17_000))
    ours(*tiled)
    for name, maps in (("these maps 16 times", tiled), ("drawn", (drawn[0], drawn[1], drawn[2].astype(np.int64)))):
        clock = time.perf_counter()
        labels = _instances(*maps[:2])
        between = time.perf_counter()
        _table(labels, maps[2])
        end = time.perf_counter()
        count = len(np.unique(labels)) - 1
        print(f"4096 x 4096, {name}: {count} nuclei, instances {between - clock:.2f} s, table {end - between:.2f} s")


def _instances(nuclei: Any, hv: Any) -> Any:
    from workbench.slide.predict.nuclei import AT_40X, instances

    return instances(nuclei, hv, AT_40X)


def _table(labels: Any, types: Any) -> Any:
    from workbench.slide.predict.traced import traced, types_of

    table = traced(labels)
    return table, types_of(labels, types, table.ids, 6)


def ours(nuclei: Any, hv: Any, types: Any) -> Any:
    """Labels, table and classes."""
    labels = _instances(nuclei, hv)
    return labels, _table(labels, types)


def usual_instances(nuclei: Any, hv: Any, kernel: int = 21, least: int = 10) -> Any:
    """HoVer-Net's post-processing as it is usually written: OpenCV, scipy, scikit-image."""
    import cv2
    from scipy.ndimage import binary_fill_holes, label
    from skimage.segmentation import watershed

    def large_ones(labels: Any, size: int) -> Any:
        sizes = np.bincount(labels.ravel())
        out = labels.copy()
        out[(sizes < size)[labels]] = 0
        return out

    def scaled(values: Any) -> Any:
        return cv2.normalize(values, None, 0, 1, cv2.NORM_MINMAX, cv2.CV_32F)

    mask = (large_ones(label(nuclei)[0], 10) > 0).astype(np.int32)
    across = 1 - scaled(cv2.Sobel(scaled(hv[0]), cv2.CV_64F, 1, 0, ksize=kernel))
    down = 1 - scaled(cv2.Sobel(scaled(hv[1]), cv2.CV_64F, 0, 1, ksize=kernel))
    edge = np.maximum(across, down) - (1 - mask)
    edge[edge < 0] = 0
    energy = -cv2.GaussianBlur((1.0 - edge) * mask, (3, 3), 0)
    marker = mask - (edge >= 0.4).astype(np.int32)
    marker[marker < 0] = 0
    filled = binary_fill_holes(marker).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    opened = cv2.morphologyEx(filled, cv2.MORPH_OPEN, disc)
    return watershed(energy, markers=large_ones(label(opened)[0], least), mask=mask.astype(bool))


def usual_table(labels: Any, types: Any, *, whole: bool = False) -> dict[int, Any]:
    """One crop, contour and class per nucleus in Python; `whole` looks for each in the whole image."""
    import cv2
    from scipy.ndimage import find_objects

    out = {}
    boxes = {i: box for i, box in enumerate(find_objects(labels), 1) if box is not None}
    for number, box in boxes.items():
        if whole:
            one = labels == number
            rows, columns = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
            box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        crop = (labels[box] == number).astype(np.uint8)
        moments = cv2.moments(crop)
        contour = cv2.findContours(crop, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0][0].squeeze()
        if contour.ndim != 2 or len(contour) < 3:
            continue
        values, counts = np.unique(types[box][crop > 0], return_counts=True)
        order = sorted(zip(values, counts, strict=True), key=lambda pair: -pair[1])
        kind = order[1][0] if order[0][0] == 0 and len(order) > 1 else order[0][0]
        centre = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
        corner = np.array([box[1].start, box[0].start])
        out[number] = {"contour": contour + corner, "centroid": centre + corner, "type": int(kind)}
    return out


def repair(table: dict[int, Any]) -> None:
    """How many contours of the usual form are no valid polygons, and what mending them takes; ours need none."""
    import shapely

    clock = time.perf_counter()
    polygons = np.array([shapely.Polygon(row["contour"]) for row in table.values()])
    bad = ~shapely.is_valid(polygons)
    shapely.make_valid(polygons[bad])
    took = 1000 * (time.perf_counter() - clock)
    print(f"  polygons of the usual form: {int(bad.sum())} not valid, looked at and mended in {took:.1f} ms")


def monai_form(nuclei: Any, hv: Any, types: Any) -> float:
    """Seconds of MONAI's transforms for the same maps."""
    import torch
    from monai.apps.pathology.transforms.post.array import (
        HoVerNetInstanceMapPostProcessing,
        HoVerNetNuclearTypePostProcessing,
    )

    probability = torch.from_numpy(np.stack([1.0 - nuclei, 1.0 * nuclei]).astype(np.float32))
    kinds = torch.from_numpy(np.eye(6, dtype=np.float32)[types].transpose(2, 0, 1).copy())
    clock = time.perf_counter()
    info, instances = HoVerNetInstanceMapPostProcessing()(probability, torch.from_numpy(hv))
    HoVerNetNuclearTypePostProcessing()(kinds, info, instances)
    return time.perf_counter() - clock


def _median(work: Callable[[], Any]) -> float:
    work()
    took = []
    for _ in range(ROUNDS):
        clock = time.perf_counter()
        work()
        took.append(time.perf_counter() - clock)
    return float(np.median(took))


def many(count: int) -> None:
    """So many nuclei through assembly, tables and GeoJSON: a square of the plane, core by core."""
    import shapely

    from tests.drawn_nuclei import drawn_maps
    from workbench.core.classes import ClassTable
    from workbench.core.frame import Frame
    from workbench.core.objects import Objects
    from workbench.core.provenance import peak_memory_mb
    from workbench.data.geojson import write_geojson
    from workbench.slide.predict.cell_parts import measures_of
    from workbench.slide.predict.mosaic import Core, Mosaic, joined
    from workbench.slide.predict.nuclei import Rules

    side = 8 * CORE
    nuclei, hv, types, _ = drawn_maps((side, side), SPACING, period=PERIOD)
    image = np.full((CORE, CORE, 3), (120, 60, 140), np.uint8)

    def core_at(row: int, column: int) -> Core:
        where = slice(row % 8 * CORE, (row % 8 + 1) * CORE), slice(column % 8 * CORE, (column % 8 + 1) * CORE)
        return Core(nuclei[where], hv[:, where[0], where[1]].astype(np.float16), types[where], image)

    across = max(2, round(np.sqrt(count) * SPACING / CORE))
    rules = Rules(21, 10, (-0.18, 0.12))
    mosaic = Mosaic(CORE, HALO, 4)
    mosaic.cores[0, 0] = core_at(0, 0)
    mosaic.cut((0, 0), rules, embeds=False)
    before, clock = peak_memory_mb(), time.perf_counter()
    parts = []
    for row in range(across + 1):
        if row < across:
            mosaic.cores |= {(row, column): core_at(row, column) for column in range(across)}
        if row:
            parts += [mosaic.cut((row - 1, column), rules, embeds=False) for column in range(across)]
            mosaic.drop_before(row - 1)
    cells = joined(parts)
    assembled = time.perf_counter()
    objects = Objects.from_rings(
        cells.coordinates,
        cells.offsets,
        class_values=cells.types,
        probabilities=cells.probabilities,
        name="nuclei",
        classes=ClassTable.from_names(["one", "two", "three"]),
        frame=Frame.of(np.diag([0.25, 0.25, 1.0]), "um"),
        measurements=measures_of(cells, 0.25, 25.0),
    )
    tables = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        write_geojson(objects, Path(folder) / "nuclei.geojson")
        written = time.perf_counter()
        size = (Path(folder) / "nuclei.geojson").stat().st_size / 1e6
    took = written - clock
    memory = peak_memory_mb()
    print(
        f"{len(cells):,} nuclei of {across * CORE:,} x {across * CORE:,} pixels: {took:.1f} s (assembly "
        f"{assembled - clock:.1f}, tables {tables - assembled:.1f}, GeoJSON of {size:.0f} MB {written - tables:.1f}), "
        f"peak {memory:.0f} MB ({before:.0f} before)"
    )
    ends = cells.offsets
    rings = shapely.linearrings(
        np.insert(cells.coordinates.astype(np.float64), ends[1:], cells.coordinates[ends[:-1]], axis=0),
        indices=np.repeat(np.arange(len(cells)), np.diff(ends) + 1),
    )
    polygons = shapely.polygons(rings)
    tree = shapely.STRtree(polygons)
    over = tree.query(polygons, predicate="overlaps").shape[1] // 2
    # Every core of the middle of the plane holds what the same core of another period holds.
    places = np.floor(cells.centroids / CORE).astype(int)
    inner = ((places > 0) & (places < across - 1)).all(1)
    keys, counts = np.unique(places[inner], axis=0, return_counts=True)
    most: dict[tuple[int, int], set[int]] = {}
    for (x, y), n in zip(keys.tolist(), counts.tolist(), strict=True):
        most.setdefault((x % 8, y % 8), set()).add(n)
    uneven = sum(len(v) > 1 for v in most.values())
    bad = int((~shapely.is_valid(polygons)).sum())
    print(f"  not valid {bad}, over another {over}, cores whose copies hold other numbers {uneven} of {len(most)}")


if __name__ == "__main__":
    sys.exit(main())
