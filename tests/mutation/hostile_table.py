"""The table of damaged and hostile files: ``python -m tests.mutation.hostile_table [NAME ...]``.

Every file of the shared folder through its verbs in a forked child: processor time, and the line that it ends in.
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests import tiny
from tests.header_maker import HOSTILE
from tests.mutation import others, workers
from tests.mutation.seed import Seed

COMPANIONS = ("README.md", "db.dat")
"""What is opened through another file, or not at all."""

PAYLOAD = (
    "ct-one-bit-flipped.nii.gz", "mhagz-4-silent", "mhdz-27-silent", "niigz-3-silent", "niigz4d-9-silent",
    "niilab-20-silent", "nrrdgz-112-silent", "mat73-3-OSError", "dicom-138-ValueError", "dicom-57-NotImplementedError",
)  # fmt: skip
"""Faults in the samples, or where only a full read meets them: `info`, which reads headers only, may not see these."""

HARMLESS = ("nii2-29-KeyError", "wls.npz", "mharaw-53-TypeError", "segnrrd-1-TypeError", "mat73-36-TypeError")
"""Damage in a unit, a name or a class, beside the samples, which are whole: the file may also be read."""


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
    """Info, the samples, and predict by the backend of that kind; of a vocabulary what it holds."""
    if path.suffix == ".pkl":
        return others.SEED_OF_VOCABULARY.verbs(path)
    import workbench as wb
    from workbench.data import formats

    def info() -> Any:
        return [row.get("problem") or row["notes"] for row in wb.info(path)]

    def data() -> Any:
        image = wb.read(path)
        return list(image.notes), image.data

    def predict() -> Any:
        backend = {"volume": "segformer3d", "scene": "lola_specvit", "recording": "meg_gpt"}[formats.kind_of(path).name]
        return sorted(wb.predict(backend, path, weights=str(weights_of(backend)), device="cpu").parts)

    return {"info": info, "data": data, "predict": predict}


@functools.cache
def weights_of(backend: str) -> Path:
    """Small weights of one of the three backends."""
    folder = Path(_PLACE.name)
    if backend == "segformer3d":
        return tiny.make_tiny_weights(folder / "volume.safetensors")
    if backend == "meg_gpt":
        return tiny.make_tiny_meg_weights(folder / "meg.safetensors")
    return tiny.make_tiny_scene_weights(folder / "scene.safetensors", tiny.make_tiny_scene(folder / "scene.npy"))


_PLACE = tempfile.TemporaryDirectory(prefix="hostile-")


def prepare() -> None:
    """Imports and weights, once for all children."""
    workers.warm()
    for backend in ("segformer3d", "meg_gpt", "lola_specvit"):
        weights_of(backend)


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
    if name in HARMLESS:
        return ""
    if name in PAYLOAD and accepted == ["info"]:
        return ""
    return f"accepted by {', '.join(accepted)}" if accepted else ""


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
