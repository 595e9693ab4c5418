"""What a backend and a kind of data must keep, as checks that third parties call in their own tests.

>>> from workbench.testing import check_backend, check_kind
>>> check_kind("photo", "tests/cells.png")                       # doctest: +SKIP
>>> check_backend("my_backend", "tests/cells.png")               # doctest: +SKIP

Each check does the real work on a small file and raises an `AssertionError` with one line that says which rule was
broken. Nothing is mocked, and nothing is left behind outside the folder that is given.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

import numpy as np

from workbench import api
from workbench.core import kinds, registry, settings
from workbench.core.contract import check_result
from workbench.core.errors import Cancelled, FaultyExtension, UsageError
from workbench.core.kinds import Kind
from workbench.core.layers import KEY, to_layers
from workbench.core.registry import VERBS, Backend
from workbench.core.types import Image, Labels, Result
from workbench.data import formats

__all__ = ["check_backend", "check_kind", "make_slide", "make_volume"]

_SCALARS = (bool, int, float, str)
F = TypeVar("F", bound=Callable[..., Any])


def _told(check: F) -> F:
    """A rule that the workbench itself holds people to is a broken rule here, too."""

    @wraps(check)
    def told(*args: Any, **more: Any) -> Any:
        try:
            return check(*args, **more)
        except FaultyExtension as error:
            raise AssertionError(str(error)) from error

    return cast(F, told)


@_told
def check_backend(
    backend: str | Backend, image: str | Path | Image, *, folder: str | Path | None = None, **values: Any
) -> Result:
    """Check the row, the module and one prediction of a backend; returns the result.

    Parameters
    ----------
    backend
        Name of an installed backend, or a row that need not be installed.
    image
        A small image that it can take, or its path.
    folder
        Where the result is written and looked at; a temporary folder by default.
    **values
        Settings of the prediction, e.g. ``weights="tiny.safetensors"``. ``device`` is ``"cpu"`` where there is one.

    Raises
    ------
    AssertionError
        A rule is broken; the message says which.
    """
    row = registry.find(backend) if isinstance(backend, str) else backend
    _check_row(row)
    module = row.load_module()
    opened = image if isinstance(image, Image) else formats.read(image, hint=row.kind)
    row.require_kind(opened)
    known = settings.describe(module.Config)
    given = dict(values)
    if "device" in known:
        given.setdefault("device", "cpu")
    config = settings.build(module.Config, given)
    model = registry.load(row, config)
    weights = registry.weights_of(model)
    _require("weights" not in known or weights is not None, "a model with a setting 'weights' says which it loaded")
    steps: list[tuple[int, int]] = []
    result: Result = module.predict(model, opened, config, lambda done, total: steps.append((done, total)))
    _check_result(row, opened, result, weights)
    _require(bool(steps), "predict calls progress(done, total) at least once")
    _require(steps[-1][0] == steps[-1][1], f"the last progress says that all is done, not {steps[-1]}")
    _check_cancel(lambda stop: module.predict(model, opened, config, stop))
    _check_same(result, module.predict(model, opened, config))
    _check_layers(result, opened)
    _check_preview(kinds.find(row.kind), result)
    with TemporaryDirectory(prefix="workbench-check-") as temporary:
        _check_written(result, Path(folder) if folder is not None else Path(temporary))
    return result


@_told
def check_kind(kind: str | Kind, path: str | Path, *, folder: str | Path | None = None) -> Image:
    """Check the row of a kind of data and everything that opens, shows and writes one of its files; returns the image.

    Parameters
    ----------
    kind
        Name of an installed kind, or a row that need not be installed.
    path
        A small file or folder of that kind.
    folder
        Where the image is written to, if its kind can; a temporary folder by default.

    Raises
    ------
    AssertionError
        A rule is broken; the message says which.
    """
    row = kinds.find(kind) if isinstance(kind, str) else kind
    installed = kinds.kinds().get(row.name) is row
    _check_kind_row(row)
    file, key = formats.split_address(path)
    verdict = row.sniff(file, key)
    _require(verdict in ("maybe", "sure"), f"sniff says '{verdict}' to {file.name}, a file of its own kind")
    image = formats.read_as(row, path)
    again = formats.read_as(row, path)
    _require(image.kind == row.name, f"read gives an image of kind '{image.kind}', not '{row.name}'")
    _require("data" not in image.__dict__, "read loads no samples: they come when Image.data is asked for")
    _require(image.geometry.ndim == len(row.axes), f"the image has {image.geometry.ndim} axes, the row {row.axes}")
    _require(image.source is not None, "the image knows the file that it came from")
    json.dumps(formats.describe(image), default=str)
    if installed:
        _require(formats.is_readable(path), "is_readable says yes to the file")
        _require(formats.kind_of(path, hint=row.name).name == row.name, "the file is of this kind where it is expected")
        _require(bool(formats.info(path, kind=row.name)), "info gives a row for each image of the file")
    if getattr(image, "pyramid", None) is None:
        _require(np.array_equal(image.data, again.data), "reading twice gives the same samples")
        _require(image.data.dtype == image.dtype, f"samples have type {image.data.dtype}, promised was {image.dtype}")
    _check_layer_list(row.load("layers").to_layers(image), "layers of the image")
    if row.monai:
        module, _, name = row.monai.partition(":")
        array, meta = (reader := getattr(importlib.import_module(module), name)()).get_data(reader.read(str(path)))
        _require(array.shape[0] == len(image.channels), "the MONAI reader gives the channels first")
        _require("affine" in meta, "the MONAI reader gives an affine")
    with TemporaryDirectory(prefix="workbench-check-") as temporary:
        _check_writer(row, image, Path(folder) if folder is not None else Path(temporary))
    return image


def make_volume(
    path: Path,
    shape: tuple[int, int, int] = (40, 36, 30),
    spacing: tuple[float, float, float] = (3.0, 3.0, 4.0),
    seed: int = 0,
    affine: Any = None,
) -> Path:
    """Write a CT-like int16 NIfTI with an off-centre origin: a soft ellipsoid (50 HU) in air (-1000 HU) with noise."""
    nib: Any = importlib.import_module("nibabel")
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    inside = sum((g / r) ** 2 for g, r in zip(grid, (0.8, 0.7, 0.95), strict=True)) < 1
    data = np.where(inside, 50, -1000) + rng.normal(0, 20, shape)
    if affine is None:
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = (-70.0, -30.0, 15.0)
    image = nib.Nifti1Image(data.astype(np.int16), affine)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def make_slide(
    path: Path, shape: tuple[int, int] = (1024, 1024), mpp: tuple[float, float] = (0.5, 0.5), seed: int = 0
) -> Path:
    """Write an OME-TIFF (``.ome.tif``) in two levels: stained tissue, an ellipse of noise, on glass (grey 244).

    Parameters
    ----------
    shape
        (rows, columns) of the finest level, even numbers.
    mpp
        Micrometres per pixel along (x, y).
    """
    tifffile: Any = importlib.import_module("tifffile")
    ndimage: Any = importlib.import_module("scipy.ndimage")
    rows, columns = shape
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(0, 1, (rows, columns, 3)), (3, 3, 0))
    stained = np.array([180, 120, 170]) + 200 * noise
    y, x = np.mgrid[:rows, :columns]
    inside = ((y - rows / 2) / (0.390625 * rows)) ** 2 + ((x - columns / 2) / (0.29296875 * columns)) ** 2 < 1
    pixels = np.where(inside[..., None], np.clip(stained, 0, 255), 244).astype(np.uint8)
    about = {"axes": "YXS", "PhysicalSizeX": mpp[0], "PhysicalSizeXUnit": "µm", "PhysicalSizeY": mpp[1],
             "PhysicalSizeYUnit": "µm"}  # fmt: skip
    options = {"photometric": "rgb", "tile": (256, 256), "compression": "zlib"}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(pixels, subifds=1, metadata=about, **options)
        file.write(pixels[::2, ::2].copy(), subfiletype=1, **options)
    return path


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise AssertionError(rule)


def _check_row(row: Backend) -> None:
    for name in ("name", "title", "task", "kind", "axes", "module", "licence"):
        _require(bool(getattr(row, name)), f"the row of '{row.name}' says its {name}")
    _require(row.name.isidentifier(), f"'{row.name}' is a name of letters, digits and underscores")
    taken = [b.name for b in registry.BUILT_IN if b is not row]
    _require(row.name not in taken, f"'{row.name}' is a name of the workbench and cannot be taken")
    _require(bool(row.reads and row.gives), f"the row of '{row.name}' says what it reads and gives")
    _require(row.kind in kinds.kinds(), f"the kind '{row.kind}' of '{row.name}' is installed")
    _require("predict" in row.verbs and set(row.verbs) <= set(VERBS), f"verbs are some of {', '.join(VERBS)}")
    json.dumps(row.to_json())
    module = row.load_module()
    for verb, names in VERBS.items():
        there = [n for n in names if hasattr(module, n)]
        if verb in row.verbs:
            _require(there == list(names), f"for '{verb}' the module defines {', '.join(names)}; it has {there}")
            _check_config(getattr(module, names[0]))
            same = row.settings_of(verb) is getattr(module, names[0])
            _require(same, f"{row.settings} and the module have the same {names[0]}")
        else:
            _require(names[-1] not in there, f"the module defines '{names[-1]}', but the row does not list '{verb}'")


def _check_config(config: Any) -> None:
    _require(dataclasses.is_dataclass(config), f"{config.__name__} is a dataclass")
    _require(config.__dataclass_params__.frozen, f"{config.__name__} is frozen")
    for s in settings.describe(config).values():
        _require(len(s.help) > 10, f"setting '{s.name}' of {config.__name__} has a help text")
        _require(s.type in _SCALARS, f"setting '{s.name}' is of a plain type, not {s.type}")
    built = settings.build(config, {})
    json.dumps(settings.as_dict(built))
    try:
        settings.build(config, {"no_such_setting": 1})
    except UsageError:
        return
    raise AssertionError("unknown settings are refused")


def _check_result(row: Backend, image: Image, result: Any, weights: Any) -> None:
    check_result(row, image, result)
    _require(result.image is image, "the result holds the image it was made from")
    made = result.provenance
    _require(made.backend == row.name, f"provenance names the backend '{row.name}', not '{made.backend}'")
    found = None if weights is None else weights.sha256
    _require(made.weights_sha256 == found, "provenance holds the hash of the weights that were used")
    json.dumps(made.to_json(), default=str)


def _check_cancel(predict: Callable[[Any], Any]) -> None:
    calls: list[int] = []

    def stop(done: int, total: int) -> None:
        calls.append(done)
        raise Cancelled

    try:
        predict(stop)
    except Cancelled:
        _require(len(calls) == 1, "after a cancel nothing more is computed")
        return
    raise AssertionError("the cancel that progress raises passes through")


def _check_same(first: Result, second: Result) -> None:
    for key, part in first.parts.items():
        if isinstance(part, Labels):
            other: Any = second.parts[key]
            _require(np.array_equal(part.data, other.data), f"predicting twice gives the same '{key}'")


def _check_layers(result: Result, image: Image) -> None:
    layers = to_layers(result)
    _check_layer_list(layers, "layers of the result", source=str(image.source) if image.source else None)
    for _, attributes, _ in layers:
        _require("part" in attributes["metadata"][KEY], "each layer of a result says its part in its metadata")


def _check_preview(row: Kind, result: Result) -> None:
    own = row.hook("layers", "preview")
    if own is None or (found := own(result)) is None:
        return
    _require(isinstance(found, bytes) and found.startswith(b"\x89PNG\r\n\x1a\n"), "preview gives a PNG, or None")
    _require(found == own(result), "preview gives the same bytes for the same result")


def _check_layer_list(layers: Any, what: str, source: str | None = None) -> None:
    _require(isinstance(layers, list) and bool(layers), f"{what}: a list of layer-data tuples")
    for item in layers:
        _require(isinstance(item, tuple) and len(item) == 3, f"{what}: (data, attributes, type)")
        _, attributes, _kind = item
        _require(bool(attributes.get("name")), f"{what}: each has a name")
        record: Any = (attributes.get("metadata") or {}).get(KEY)
        _require(isinstance(record, dict), f"{what}: metadata['{KEY}'] holds the record of its image")
        json.dumps(record)
        _require(bool(record.get("kind")), f"{what}: the record names the kind of data")
        if source is not None:
            same = record.get("source") and Path(record["source"]) == Path(source).absolute()
            _require(bool(same), f"{what}: the record names the file of the image")


def _check_written(result: Result, folder: Path) -> None:
    paths = api.write(result, folder)
    _require(paths[-1].name == "provenance.json", "the completion record is written last")
    record = json.loads(paths[-1].read_text(encoding="utf-8"))
    _require(set(record["files"]) == {p.name for p in paths[:-1]}, "the completion record names every file")


def _check_kind_row(row: Kind) -> None:
    _require(row.name.isidentifier(), f"'{row.name}' is one noun")
    _require(row.title.split()[0] in ("a", "an", "the"), f"title '{row.title}' is the noun with its article")
    _require(bool(row.axes), "the row names the spatial axes")
    _require(all(s.startswith(".") and s == s.lower() for s in row.readers), "suffixes are lower case with their dot")
    json.dumps(row.to_json())
    for part in ("files", "writer", "layers", "cases"):
        if getattr(row, part):
            row.load(part)
    for module in set() if row.hook("files", "read") else set(row.readers.values()):
        _require(hasattr(importlib.import_module(module), "read"), f"{module} has a function read")
    _require(hasattr(row.load("layers"), "to_layers"), f"{row.layers} has a function to_layers")


def _check_writer(row: Kind, image: Image, folder: Path) -> None:
    if not row.writer:
        return
    writer = row.load("writer")
    try:
        jobs = writer.jobs(image, folder / "again", writer.family("auto", image), image)
    except UsageError:
        return  # images of this kind are read only, and that is said
    folder.mkdir(parents=True, exist_ok=True)
    for target, save in jobs or ():
        save(target)
        _require(target.exists(), f"the writer makes {target.name}")
    if jobs and kinds.kinds().get(row.name) is row:
        back = formats.read(jobs[0][0], kind=row.name)
        _require(back.geometry.shape == image.geometry.shape, "an image that was written has the same shape again")
