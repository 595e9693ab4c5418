"""The table of damaged and hostile files: ``python -m tests.mutation.hostile_table [NAME ...]``.

Every file of the shared folder through its verbs in a forked child: processor time, and the line that it ends in.
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests import tiny
from tests.header_maker import HOSTILE
from tests.mutation import others, workers
from tests.mutation.seed import Seed
from workbench.core.types import Case, Image

COMPANIONS = ("README.md", "db.dat")
"""What is opened through another file, or not at all."""

PAYLOAD = (
    "ct-one-bit-flipped.nii.gz", "mhagz-4-silent", "mhdz-27-silent", "niigz-3-silent", "niigz4d-9-silent",
    "niilab-20-silent", "nrrdgz-112-silent", "mat73-3-OSError",
)  # fmt: skip
"""Faults in packed samples, which their checksums tell: `info`, which loads no samples, does not see these; all else
refuses them."""

VERBS = ("info", "data", "predict", "train", "labels", "window")
"""What a person does with a file: look at its header, load it, segment or map it, learn from it as image and as labels,
drop it into the window."""


def entries() -> list[str]:
    """Names of all files and folders; none where the shared folder is not here."""
    if not HOSTILE.is_dir():
        return []
    return sorted(p.name for p in HOSTILE.iterdir() if p.name not in COMPANIONS)


def to_open(name: str) -> Path:
    """The path that a person would open: of a folder its header, or the series in it."""
    path = HOSTILE / name
    if not path.is_dir():
        return path
    inside = sorted(path.iterdir())
    headers = [p for p in inside if p.suffix in (".vhdr", ".mhd", ".hdr")]
    return (headers or inside)[0]


def verbs(path: Path) -> Mapping[str, Callable[[], Any]]:
    """`VERBS` by the backend of that kind; of a vocabulary what it holds.

    ``force`` sets aside what weights and volumes disagree on, so that nothing but the fault of the file is met.
    """
    if path.suffix == ".pkl":
        return others.SEED_OF_VOCABULARY.verbs(path)
    from workbench_napari.shared import reader

    import workbench as wb

    backend = {"volume": "segformer3d", "scene": "lola_specvit", "recording": "meg_gpt"}[kind_of(path)]
    common = {"device": "cpu", "force": True}

    def info() -> Any:
        rows = wb.info(path)
        if all("problem" in row for row in rows):  # as the command line says it
            raise wb.InputError(rows[0]["problem"])
        return [row["notes"] for row in rows]

    def predict() -> Any:
        weights = str(weights_of(backend, channels_of(path)))
        return sorted(wb.predict(backend, path, weights=weights, **common).parts)

    def window() -> Any:
        # As napari does: asked with a list of one, and what comes back shows its samples.
        opened = reader.get_reader([str(path)])
        if opened is None:
            return "left to other readers of napari"
        return [np.asarray(data).shape for data, _, _ in opened([str(path)])]

    found = {"info": info, "data": lambda: wb.read(path), "predict": predict, "window": window}
    if backend == "meg_gpt":
        quick = {"stage": "tokenizer", "tokenizer_steps": 1}
        return found | {"train": lambda: taught(backend, [Case("it", path)], **quick, **common)}
    volumes = backend == "segformer3d"
    own, plain = (
        {"steps": 1, "weights": str(weights_of(backend, n))} if volumes else QUICK for n in (channels_of(path), 1)
    )
    return found | {
        "train": lambda: taught(backend, [Case("it", path, beside(path, "labels"))], **own, **common),
        "labels": lambda: taught(backend, [Case("it", beside(path, "image"), path)], **plain, **common),
    }


QUICK: Mapping[str, Any] = {"components": 3, "patch": 5, "steps": 1, "head_start": 2, "batch": 6}


def kind_of(path: Path) -> str:
    """The kind of data, where the header can be told at all; else by the suffix."""
    from workbench.core.errors import WorkbenchError
    from workbench.data import formats

    try:
        return formats.kind_of(path).name
    except WorkbenchError:
        return "scene" if path.suffix in (".hdr", ".mat", ".npz", ".tif") else "volume"


def taught(backend: str, cases: list[Case], **settings: Any) -> str:
    """Train for a step; what is asked is whether it comes that far."""
    import workbench as wb

    with tempfile.TemporaryDirectory(dir=_PLACE.name) as folder:
        return wb.train(backend, cases, out=Path(folder) / "w.safetensors", **settings).stopped


def channels_of(path: Path) -> int:
    """Channels that the header says, 1 where it cannot be read."""
    image = opened_of(path)
    return 1 if image is None else len(image.channels)


def opened_of(path: Path) -> Image | None:
    """The image, its samples not loaded; None where the header is refused."""
    import workbench as wb
    from workbench.core.errors import WorkbenchError

    try:
        return wb.read(path)
    except WorkbenchError:
        return None


def beside(path: Path, what: str) -> Path:
    """A sound label map or image for a file: on its grid where it says one, else on any."""
    from workbench.core.classes import ClassTable
    from workbench.core.types import Labels
    from workbench.data.write import write

    image = opened_of(path)
    folder = Path(tempfile.mkdtemp(dir=_PLACE.name))
    if image is None:
        volume = kind_of(path) == "volume"
        return tiny.make_volume(folder / "v.nii.gz") if volume else tiny.make_tiny_scene(folder / "v.npy")
    shape = image.geometry.shape
    values = (np.arange(int(np.prod(shape))) % 3).reshape(shape)
    if what == "labels":
        part = Labels(values.astype("u1"), image.geometry, ClassTable.from_names(["liver", "spleen"]), "made")
        return write(part, folder, name="made", format="npy" if image.kind == "scene" else "nifti")[0]
    if image.kind == "scene":
        np.save(folder / "made.npy", np.repeat(values[..., None], 6, axis=2).astype("f4"))
        return folder / "made.npy"
    made = replace(image, loader=lambda: values[None].astype("f4"), dtype=np.dtype("f4"), channels=("0",), classes=None)
    return write(made, folder, name="made", format="nifti")[0]


@functools.cache
def weights_of(backend: str, channels: int = 1) -> Path:
    """Small weights of one of the three backends."""
    folder = Path(_PLACE.name)
    if backend == "segformer3d":
        return tiny.make_tiny_weights(folder / f"volume{channels}.safetensors", channels=channels)
    if backend == "meg_gpt":
        return tiny.make_tiny_meg_weights(folder / "meg.safetensors")
    return tiny.make_tiny_scene_weights(folder / "scene.safetensors", tiny.make_tiny_scene(folder / "scene.npy"))


_PLACE = tempfile.TemporaryDirectory(prefix="hostile-")


def prepare() -> None:
    """Imports and weights, once for all children; a moment of learning imports what comes late."""
    from workbench.core import registry

    workers.warm()
    for backend in ("segformer3d", "meg_gpt", "lola_specvit"):
        row = registry.find(backend)
        for part in ("predict", "train"):
            row.module_for(part)
        weights_of(backend)
    weights_of("segformer3d", 3)
    sound = tiny.make_volume(Path(_PLACE.name) / "sound.nii.gz")
    verbs(sound)["train"]()


def rows_of(name: str) -> dict[str, dict[str, Any]]:
    """For each verb what it did: ``refused`` (the line), ``fault`` and ``line``, or ``hash``; and ``cpu`` in s."""
    path = to_open(name)
    found = workers.outcome(Seed(name, "hostile", lambda folder: path, verbs), path)
    found.pop("all", None)  # all verbs together may take longer than one may
    for row in found.values():
        if row["cpu"] > workers.SECONDS:
            row.update(fault="slow", line=f"{row['cpu']:.1f} s of processor time")
    return found


def verdict(name: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    """Empty where the file ends as it should, else what is wrong."""
    for verb, row in found.items():
        if "fault" in row:
            return f"{row['fault']} in {verb}: {row['line']}"
    accepted = [verb for verb, row in found.items() if "refused" not in row]
    if accepted == (["info"] if name in PAYLOAD else []):
        return ""
    return f"accepted by {', '.join(accepted)}" if accepted else "info loads its samples"


def shown(text: str) -> str:
    """Without the folder that all have in common."""
    return text.replace(f"{HOSTILE}/", "")


def main(names: list[str]) -> int:
    prepare()
    if names == ["--serve"]:
        for line in sys.stdin:
            name = json.loads(line)
            print(json.dumps(verdict(name, rows_of(name))), flush=True)
        return 0
    wrong = 0
    for name in names or entries():
        found = rows_of(name)
        for verb, row in found.items():
            line = row.get("refused") or row.get("line") or "read"
            print(f"{name:<32}  {verb:<10}  {row['cpu']:6.2f} s  {shown(line)[:200]}")
        if said := verdict(name, found):
            wrong += 1
            print(f"{name:<32}  WRONG: {shown(said)[:220]}")
        sys.stdout.flush()
    print(f"{len(names or entries())} files, {wrong} wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
