"""Desks for the examples of the pages: small real files under the names that a page uses, and settings for seconds.

A page that needs other files gets a function of its own in `DESKS`.
"""

import csv
import importlib
import json
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]

# Config class -> values that make it a matter of seconds, whatever the page says.
SMALL: dict[str, dict[str, Any]] = {
    "workbench.volume.segformer3d:Config": {"device": "cpu"},
    "workbench.volume.segformer3d:EvaluateConfig": {"device": "cpu"},
    "workbench.volume.train.settings:TrainConfig": {"device": "cpu", "steps": 2, "batch": 1, "roi": (32, 32, 32)},
    "workbench.scene.lola_specvit:Config": {"device": "cpu"},
    "workbench.scene.train.settings:SceneTrainConfig": {
        "device": "cpu", "components": 5, "patch": 5, "steps": 2, "head_start": 60, "batch": 6,
    },
    "workbench.recording.meg_gpt:Config": {"device": "cpu"},
    "workbench.recording.evaluate.settings:MEGEvaluateConfig": {"device": "cpu", "seconds": 2.5, "bursts": False},
    "workbench.recording.train.settings:MEGTrainConfig": {
        "device": "cpu", "n_tokens": 16, "units": 16, "window": 60, "margin": 5, "token_dim": 4, "tokenizer_steps": 10,
        "tokenizer_batch": 4, "steps": 6, "batch": 2, "val_windows": 4, "val_fraction": 0.34, "validate_every": 3,
    },
}  # fmt: skip
# Settings that a page may give, and how much of them is enough.
AT_MOST = {"generate": 5.0, "fine_tune": 2}


def shrink(monkeypatch) -> None:
    """Let every config that is built from keyword values be small."""
    from workbench.core import settings

    build = settings.build

    def small(config: type, values: dict[str, Any]) -> Any:
        given = {k: min(v, AT_MOST[k]) if k in AT_MOST else v for k, v in values.items()}
        return build(config, given | SMALL.get(f"{config.__module__}:{config.__name__}", {}))

    monkeypatch.setattr(settings, "build", small)


def lay(page: str, folder: Path, monkeypatch) -> dict[str, Any]:
    """Put the files of a page on its desk; returns the names that its first block may take for granted."""
    if page in OF_STRANGERS:
        install(OF_STRANGERS[page], folder / "site", monkeypatch)
    return {"__name__": page, **(DESKS.get(page, lambda folder: {})(folder) or {})}


def install(toys: tuple[str, ...], site: Path, monkeypatch) -> None:
    """The packages that the pages let the reader write, as an editable install by pip leaves them."""
    from workbench.core import kinds, registry

    for toy in toys:
        source = ROOT / "tests" / "third_party" / "toys" / toy
        project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir(parents=True)
        head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        (info / "METADATA").write_text(head, encoding="utf-8")
        groups = {group: points for group, points in project["entry-points"].items() if group != "napari.manifest"}
        lines = [
            f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()) for group, points in groups.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
        monkeypatch.syspath_prepend(str(source))
        for name in [n for n in sys.modules if n.split(".")[0] == f"my_{toy}"]:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(kinds, "kinds", cache(kinds.load_kinds))
    monkeypatch.setattr(registry, "backends", cache(registry.load_backends))


def photo(folder: Path) -> None:
    """A dark photo with a bright square that has a hole, and a bar, as ``cells.png`` with its scale beside."""
    from PIL import Image as Pillow

    pixels = np.full((40, 60, 3), 20, np.uint8)
    pixels[5:13, 10:18] = 240
    pixels[8:10, 13:15] = 20
    pixels[25:28, 30:40] = 200
    Pillow.fromarray(pixels).save(folder / "cells.png")
    (folder / "cells.json").write_text('{"mm_per_pixel": 0.5}', encoding="utf-8")


def slide(folder: Path) -> None:
    """A small slide, ``slide.ome.tif``."""
    from tests.tiny import make_tiny_slide

    make_tiny_slide(folder / "slide.ome.tif")


def small_slide(folder: Path) -> None:
    """The same with a quarter of the pixels."""
    from workbench.testing import make_slide

    make_slide(folder / "slide.ome.tif", (512, 512))


def export(folder: Path) -> None:
    """A patient as an archive sends it, with a report."""
    from tests.study_maker import write_ct, write_report

    write_ct(folder / "export" / "P1" / "CT", "P1")
    write_report(folder / "export" / "P1" / "report.dcm", "P1")


def volumes(folder: Path) -> None:
    """Three small volumes of different patients with a liver: ``cases.csv``, and the first as ``scan.nii.gz``."""
    from tests.tiny import make_volume
    from workbench.core.classes import ClassTable
    from workbench.core.types import Labels
    from workbench.data import formats, write

    rows = []
    for seed in range(3):
        image = formats.read(make_volume(folder / f"p{seed}.nii.gz", seed=seed))
        body = (image.data[0] > -500).astype(np.uint8)
        labels = Labels(body, image.geometry, ClassTable.from_names(("liver",)))
        (path,) = write.write(labels, folder, name=f"p{seed}_labels", source=image)
        rows.append({"image": f"p{seed}.nii.gz", "labels": path.name, "group": f"patient {seed}"})
    _list(folder / "cases.csv", rows)
    (folder / "scan.nii.gz").write_bytes((folder / "p0.nii.gz").read_bytes())


def scored(folder: Path) -> dict[str, Any]:
    """The volumes, and the names of the module whose second half the page shows."""
    volumes(folder)
    return {k: v for k, v in vars(importlib.import_module("my_otsu.otsu")).items() if not k.startswith("__")}


def scene(folder: Path) -> None:
    """A scene of three materials and its painted pixels as ENVI pairs."""
    from tests.scene_maker import save_envi
    from tests.scenes import scene_arrays

    cube, labels = scene_arrays()
    save_envi(folder, cube)
    save_envi(folder, labels[None], name="painted")


def study(folder: Path) -> None:
    """Two subjects with two recordings of three parcels each, events every 0.4 s, as ``list.csv`` and ``study.csv``."""
    from tests.tiny import make_tiny_recording

    rows = []
    for subject in (1, 2):
        for session in (1, 2):
            name = f"sub-{subject}_ses-{session}"
            path = make_tiny_recording(folder / f"{name}.npy", seconds=12.0, seed=10 * subject + session)
            side = path.with_suffix(".json")
            events = [[0.5 + 0.4 * i, "visual" if i % 2 else "button"] for i in range(27)]
            record = json.loads(side.read_text(encoding="utf-8")) | {"events": events}
            side.write_text(json.dumps(record), encoding="utf-8")
            rows.append({"id": name, "image": path.name, "group": f"sub-{subject}"})
    _list(folder / "list.csv", rows)
    _list(folder / "study.csv", rows)


def explored(folder: Path) -> None:
    """The study, weights for it, and 10 s of the sample recording as ``raw.fif``."""
    import mne

    from tests.tiny import make_tiny_meg_weights

    study(folder)
    make_tiny_meg_weights(folder / "mine.safetensors")
    sample = ROOT / "sample_data" / "files" / "recording_9201_raw.fif"
    raw = mne.io.read_raw_fif(sample, verbose="ERROR").crop(0, 10)
    # MNE wishes for longer names; people have such files.
    raw.save(folder / "other_raw.fif", verbose="ERROR")
    (folder / "other_raw.fif").rename(folder / "raw.fif")


def sensors(folder: Path) -> dict[str, Any]:
    """A MEG recording of 24 magnetometers, a forward model for it, and twelve parcels as lists of sources."""
    import mne

    from tests import recording_maker

    raw = recording_maker.raw(seconds=14.0, n_meg=24)
    raw.rename_channels({"MEG 0001": "MEG 0113", "MEG 0002": "MEG 0112"})
    raw.save(folder / "sub-01_task-rest_meg.fif", verbose="ERROR")
    rng = np.random.default_rng(0)
    places = rng.normal(size=(48, 3))
    places *= 0.05 / np.linalg.norm(places, axis=1, keepdims=True)
    normals = np.cross(places, [0.2, 0.5, 1.0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    sources = mne.setup_volume_source_space(
        pos={"rr": places + np.array([0, 0, 0.02]), "nn": normals}, sphere=(0.0, 0.0, 0.0, 0.09), verbose="ERROR"
    )
    sphere = mne.make_sphere_model((0.0, 0.0, 0.0), head_radius=None, verbose="ERROR")
    forward = mne.make_forward_solution(raw.info, None, sources, sphere, eeg=False, mindist=0.0, verbose="ERROR")
    mne.write_forward_solution(folder / "sub-01-fwd.fif", forward, verbose="ERROR")
    return {"labels": [list(range(first, first + 4)) for first in range(0, forward["nsource"] - 3, 4)][:12]}


def _list(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


DESKS: dict[str, Callable[[Path], dict[str, Any] | None]] = {
    "README.md": volumes,
    "docs/studies.md": export,
    "docs/training.md": volumes,
    "docs/add-a-backend.md": volumes,
    "docs/add-a-backend-verbs.md": scored,
    "docs/add-a-kind.md": photo,
    "docs/add-a-kind-window.md": photo,
    "docs/objects.md": photo,
    "docs/lola_specvit.md": scene,
    "docs/scene.md": scene,
    "docs/recording.md": explored,
    "docs/recording-training.md": study,
    "docs/recording-files.md": sensors,
    "docs/slides.md": slide,
    "docs/cells.md": small_slide,
}
# Pages whose blocks need what the reader wrote before.
OF_STRANGERS = {
    "docs/add-a-backend.md": ("otsu",),
    "docs/add-a-backend-verbs.md": ("otsu",),
    "docs/add-a-kind.md": ("photos",),
    "docs/add-a-kind-window.md": ("photos",),
    "docs/objects.md": ("photos",),
}
