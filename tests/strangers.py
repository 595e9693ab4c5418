"""Small backends of strangers for each kind, as rows and modules that tests put among the installed ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from workbench.core import registry
from workbench.core.registry import Backend

CONFIG = """
from dataclasses import dataclass

import numpy as np

from workbench import ClassTable, Labels, Mark, Marks, Recorder, Result, UsageError, setting


@dataclass(frozen=True)
class Config:
    level: float = setting(0.5, "Above this quantile is one class.", low=0.0, high=1.0)


def load(config, device):
    return None

"""
_MODULES = {
    "scene": CONFIG
    + """
def predict(model, image, config, progress=None):
    recorder = Recorder("stranger", config, None, image)
    if progress:
        progress(0, 1)
    mean = image.data.mean(axis=0)
    bright = (mean > np.quantile(mean, config.level)).astype(np.uint8)
    labels = Labels(bright, image.geometry, ClassTable.from_names(["bright"]))
    if progress:
        progress(1, 1)
    return Result({"labels": labels}, image, recorder.finish())
""",
    "recording": CONFIG
    + """
def predict(model, image, config, progress=None):
    recorder = Recorder("stranger", config, None, image)
    if progress:
        progress(0, 1)
    loud = np.abs(image.data).max(axis=0)
    first = int(np.argmax(loud >= np.quantile(loud, config.level)))
    affine = image.geometry.affine
    onset = float(affine[0, 1] + first * affine[0, 0])
    if progress:
        progress(1, 1)
    return Result({"annotations": Marks((Mark(onset, 0.5, "loud"),))}, image, recorder.finish())
""",
}  # fmt: skip


def install(
    kind: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str = "",
    verbs: tuple[str, ...] = ("predict",),
    settings: str = "",
) -> Backend:
    """A backend ``stranger`` of that kind, without weights and without a device, among the installed ones."""
    name = f"stranger_of_{kind}s_{folder.name}".replace("-", "_")
    (folder / f"{name}.py").write_text(code or _MODULES[kind], encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop(name, None)
    row = Backend(
        "stranger", "Stranger", "split in two", kind, ("all",), ("all",), "any", name, verbs, settings=settings
    )
    rows = {**registry.backends(), "stranger": row}
    monkeypatch.setattr(registry, "backends", lambda: rows)
    return row
