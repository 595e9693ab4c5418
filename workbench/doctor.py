"""Checks of an installation: status, finding and fix. Imports neither torch nor napari, uses no network."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from workbench.core import home

_RUNTIME = ("torch", "monai", "nibabel", "pydicom", "SimpleITK", "numpy", "scipy", "safetensors", "matplotlib", "mne")


@dataclass(frozen=True)
class Finding:
    """One line of the examination; ``fix`` is empty when nothing needs fixing."""

    name: str
    status: Literal["good", "note", "bad"]
    message: str
    fix: str = ""


def examine() -> list[Finding]:
    """All findings, in reading order."""
    return [finding for check in _CHECKS for finding in check()]


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    yield Finding(
        "python", "good" if good else "bad", f"Python {version}", "" if good else "install Python 3.11 or newer"
    )


def _packages() -> Iterator[Finding]:
    for name in _RUNTIME:
        try:
            yield Finding(name, "good", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, "bad", "not installed", f"pip install {name}")


def _extras() -> Iterator[Finding]:
    if find_spec("napari") is None:
        yield Finding("napari", "note", "not installed; the shell commands work without it", _pip("gui"))
    else:
        yield Finding("napari", "good", metadata.version("napari"))
        bindings = [b for b in ("PyQt6", "PySide6", "PyQt5", "PySide2") if find_spec(b)]
        if bindings:
            yield Finding("Qt", "good", ", ".join(bindings))
        else:
            yield Finding("Qt", "bad", "napari has no Qt binding", "pip install PyQt6")
        yield _plugin()
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            fix = "on a server, start with: xvfb-run -a workbench gui"
            yield Finding("display", "note", "no display; the desktop window cannot open", fix)
    if find_spec("highdicom") is None:
        yield Finding("highdicom", "note", "not installed; DICOM-SEG cannot be written", _pip("dicom"))
    else:
        yield Finding("highdicom", "good", metadata.version("highdicom"))
    if find_spec("mne_bids") is None:
        yield Finding("mne-bids", "note", "not installed; side files of BIDS data sets are not used", _pip("bids"))
    else:
        yield Finding("mne-bids", "good", metadata.version("mne-bids"))


def _plugin() -> Finding:
    names = [p.name for p in metadata.entry_points(group="napari.manifest")]
    if "napari-workbench" in names:
        return Finding("plugin", "good", "napari knows the workbench")
    return Finding("plugin", "bad", "napari does not see the plugin", "pip install --force-reinstall napari-workbench")


def _pip(extra: str) -> str:
    return f"pip install 'napari-workbench[{extra}]'"


def _device() -> Iterator[Finding]:
    try:
        build = metadata.version("torch")
    except metadata.PackageNotFoundError:
        return
    driver = shutil.which("nvidia-smi")
    if "+cpu" in build:
        fix = "install PyTorch for CUDA, see https://pytorch.org/get-started" if driver else ""
        why = (
            "an NVIDIA driver is here, but this PyTorch build is for the CPU only" if driver else "CPU build of PyTorch"
        )
        yield Finding("device", "note", why, fix)
    elif driver or sys.platform == "darwin":
        yield Finding("device", "good", "PyTorch can use the GPU (cuda)" if driver else "PyTorch can use MPS")
    else:
        yield Finding("device", "note", "no NVIDIA driver found: computing on the CPU")


def _machine() -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    free, total = memory.available / 1e9, memory.total / 1e9
    tight = free < 4
    fix = "close other programs" if tight else ""
    yield Finding(
        "memory", "note" if tight else "good", f"{free:.1f} of {total:.1f} GB free, {os.cpu_count()} cores", fix
    )


def _folders() -> Iterator[Finding]:
    folder = home.home()
    parent = folder
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if parent.is_dir() and os.access(parent, os.W_OK):
        free = shutil.disk_usage(parent).free / 1e9
        status: Literal["good", "note"] = "note" if free < 2 else "good"
        yield Finding("home", status, f"{folder} ({free:.0f} GB free)", "free some disk space" if free < 2 else "")
    else:
        yield Finding("home", "bad", f"{folder} cannot be written to", "set WORKBENCH_HOME to a folder of yours")


def _rows() -> Iterator[Finding]:
    """Kinds of data and backends, those of third parties too, and which of these were left out."""
    import warnings

    from workbench.core import kinds, registry

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found, rows = kinds.load_kinds(), registry.load_backends()
    ours = {k.name for k in kinds.BUILT_IN} | {b.name for b in registry.BUILT_IN}
    for kind in found.values():
        backends = ", ".join(b.name for b in rows.values() if b.kind == kind.name) or "none"
        whose = "" if kind.name in ours else " (third party)"
        yield Finding(f"kind {kind.name}", "good", f"{kind.title}{whose}; backends: {backends}")
        for problem in kind.problems() if whose else ():
            yield Finding(f"kind {kind.name}", "bad", problem, "update or reinstall the package that brings it")
    for row in rows.values():
        if row.name in ours:
            continue
        problems = row.problems()
        if not problems:
            yield Finding(f"backend {row.name}", "good", f"{row.task} (third party, {', '.join(row.verbs)})")
        for problem in problems:
            yield Finding(f"backend {row.name}", "bad", problem, "update or reinstall the package that brings it")
    for warning in {str(w.message) for w in said}:
        yield Finding("third party", "note", warning, "update or remove that package")


def _weights() -> Iterator[Finding]:
    from workbench.core.registry import BUILT_IN
    from workbench.core.samples import demo_weights

    found = demo_weights()
    for row in BUILT_IN:
        path: Path | None = found.get(row.name)
        if path is None:
            yield Finding("demo weights", "note", f"{row.name}: none shipped", "give your own with --weights FILE")
        else:
            yield Finding("demo weights", "good", f"{row.name}: {path.name}, {path.stat().st_size / 1e6:.1f} MB")


_CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python, _packages, _extras, _device, _machine, _folders, _rows, _weights,
)  # fmt: skip
