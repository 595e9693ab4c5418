"""A stranger's kind of data, plates with colonies, and its backends: outlines, a label map and a table of sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from workbench import (
    LAYER_KEY,
    Backend,
    ClassTable,
    Geometry,
    Image,
    Kind,
    Labels,
    Objects,
    Recorder,
    Result,
    Scores,
    objects_from_layer,
    objects_layer,
    setting,
    source_record,
)

HERE = "tests.workbench_napari.general.plates"
CLASSES = ClassTable.from_names(["<1 mm", "<i>large</i>"])
SQUARES = ((4, 4, 2), (4, 20, 3), (20, 4, 8))
"""Row, column and side of the colonies on a plate."""

PLATE = Kind(
    name="plate",
    title="a plate",
    axes=("y", "x"),
    readers={".plate": HERE},
    writer=HERE,
    formats=("plate",),
    layers=HERE,
    size_part="sizes",
    size_column="area [pixels]",
    engines=(),
)


def _backend(name: str, title: str, module: str = HERE) -> Backend:
    return Backend(
        name=name, title=title, task="outline <b>colonies</b>", kind="plate", reads=("plate",), gives=("outlines",),
        axes="rows, columns", module=module,
    )  # fmt: skip


BRIGHT, DARK = _backend("bright", "Brightspot"), _backend("dark", "Darkspot", f"{HERE}_dark")


def make_plate(path: Path, squares=SQUARES) -> Path:
    pixels = np.zeros((40, 60), np.uint8)
    for row, column, side in squares:
        pixels[row : row + side, column : column + side] = 200
    with path.open("wb") as file:
        np.save(file, pixels)
    return path


def read(path: Path) -> Image:
    def pixels() -> np.ndarray:
        with path.open("rb") as file:
            return np.load(file)[None]

    grid = Geometry((40, 60), None, ("y", "x"), None)
    return Image(grid, np.dtype(np.uint8), ("gray",), pixels, kind="plate", source=path, format="plate")


def to_layers(item: Image | Result, *, as_labels: bool | None = None):
    if isinstance(item, Image):
        record = source_record(item) | {"role": "image"}
        return [(item.data[0], {"name": item.name, "metadata": {LAYER_KEY: record}}, "image")]
    record = source_record(item.image)
    layers = []
    for key, part in item.parts.items():
        name, own = f"{item.image.name} {key}", record | {"part": key, "odd": np.float32(1)}
        if isinstance(part, Objects):
            layers.append(objects_layer(part, own, name=name, limit=int(item.provenance.settings["limit"])))
        elif isinstance(part, Labels):
            layers.append((part.data.copy(), {"name": name, "metadata": {LAYER_KEY: own}}, "labels"))
    return layers


def updated(result: Result, layers):
    parts = dict(result.parts)
    for key, (data, attributes) in layers.items():
        if isinstance(parts.get(key), Objects):
            parts[key] = objects_from_layer(data, attributes)
            parts["sizes"] = _sizes(parts[key])
        elif isinstance(parts.get(key), Labels):
            parts[key] = replace(parts[key], data=np.asarray(data))
    return replace(result, parts=parts)


def family(format: str, source: Image | None) -> str:
    return "plate"


def jobs(part, target: Path, family: str, source: Image | None):
    if not isinstance(part, Labels):
        return None
    return [(target.with_name(f"{target.name}.npy"), lambda path: np.save(path, part.data))]


@dataclass(frozen=True)
class Config:
    level: float = setting(0.5, "Brightness above which a pixel counts.", low=0.0, high=1.0)
    limit: int = setting(1000, "Most outlines that are shown.", low=0)


def load(config: Config, device: None) -> None:
    return None


def find(backend: str, image: Image, config: Config, progress) -> Result:
    recorder = Recorder(backend, config, None, image)
    if progress:
        progress(0, 1)
    labels, count = ndimage.label(image.data[0] > config.level * 255)
    boxes = [(s[1].start, s[0].start, s[1].stop, s[0].stop) for s in ndimage.find_objects(labels)]
    outlines = [np.array([(a, b), (c, b), (c, d), (a, d)], float) for a, b, c, d in boxes]
    areas = np.array([(c - a) * (d - b) for a, b, c, d in boxes], float)
    found = Objects.from_polygons(
        outlines, class_values=np.where(areas > 20, 2, 1), probabilities=np.linspace(0.6, 0.9, count),
        measurements={"area [pixels]": areas}, classes=CLASSES, name="colonies",
    )  # fmt: skip
    map_ = Labels(labels.astype(np.uint8), image.geometry, ClassTable.from_names([f"c{i}" for i in range(count)]))
    recorder.note("the lamp was dim")
    if progress:
        progress(1, 1)
    return Result({"colonies": found, "map": map_, "sizes": _sizes(found)}, image, recorder.finish())


def predict(model: None, image: Image, config: Config, progress=None) -> Result:
    return find("bright", image, config, progress)


def _sizes(found: Objects) -> Scores:
    rows = []
    for c in CLASSES:
        areas = found.areas()[found.class_values == c.value]
        rows.append((c.name, c.value, float(areas.sum()), len(areas)))
    return Scores(("class", "value", "area [pixels]", "count"), tuple(rows), "sizes")
