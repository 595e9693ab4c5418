"""Records how a result came to be: versions, hashes, settings, time and memory."""

from __future__ import annotations

import platform
import sys
import time
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import workbench
from workbench.core import settings
from workbench.core.atomic import sha256_of
from workbench.core.types import Image, Provenance

_PACKAGES = ("torch", "monai", "numpy", "nibabel", "pydicom", "SimpleITK", "mne", "napari")


@cache
def versions() -> dict[str, str]:
    """Versions of Python, the workbench and the libraries that a result depends on. Imports none of them."""
    found = {"python": platform.python_version(), "napari-workbench": workbench.__version__}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def facts_of(config: Any, **found: str) -> dict[str, Any]:
    """What an evaluation says of how it came to be: what was found, then all settings and the versions.

    Parameters
    ----------
    found
        Such as the weights and the device that were used. They stand in place of the settings that asked for them.
    """
    facts: dict[str, Any] = {name.replace("_", " "): value for name, value in found.items()}
    return facts | {k: v for k, v in {**settings.as_dict(config), **versions()}.items() if k not in facts}


def peak_memory_mb() -> float:
    """Highest resident memory of this process so far, in MB."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e6
    if sys.platform == "linux":
        # ru_maxrss is inherited from the parent process there, so a small child of a large shell would look large.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def input_hash(image: Image) -> str | None:
    """Hash of the files that the samples come from: one DICOM series of a folder, an ENVI header with its data.

    ``None`` where there is no file, or where it no longer is the one that was opened: nothing is vouched for then.
    """
    files = image.all_files
    if not files or not all(f.exists() for f in files) or not image.is_unchanged:
        return None
    is_one_of_many = bool(image.header.get("key")) and all(f.is_file() for f in files)
    found = _hash_of(tuple(map(_state, files))) if is_one_of_many else sha256_of(*files)
    return found if image.is_unchanged else None


def _state(file: Path) -> tuple[Path, int, int, int, int]:
    """A file as it is; the last change of its record is the system's own, and nobody sets that back."""
    at = file.stat()
    return file, at.st_size, at.st_mtime_ns, at.st_ctime_ns, at.st_ino


@lru_cache(maxsize=8)
def _hash_of(found: tuple[tuple[Path, int, int, int, int], ...]) -> str:
    """Of files that hold many images: thousands of pictures may lie in one, which is read once for all of them."""
    return sha256_of(*(file for file, *_ in found))


class Weights(Protocol):
    """What a record needs of weights: how they are called, and the hash of what they are."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...


class Recorder:
    """Started before the work, asked for the `Provenance` after it; a method without weights gives ``None``."""

    def __init__(
        self, backend: str, config: Any, weights: Weights | None, image: Image, device: Any = "cpu", reason: str = ""
    ) -> None:
        self.backend, self.config, self.weights, self.image = backend, config, weights, image
        self.device, self.reason = device, reason
        self.notes: list[str] = list(image.notes)
        self.details: dict[str, Any] = {}
        # Taken before the work: a file put in its place meanwhile is not what was read.
        self.input_sha256 = input_hash(image)
        if self.input_sha256 is None and image.source and not image.is_unchanged:
            self.note("the file was changed or replaced after it was opened: its hash is not recorded")
        self.started = datetime.now(UTC)
        self._clock = time.perf_counter()

    def note(self, text: str) -> None:
        """Something a reader of the result should know (a smaller window after running out of memory, say)."""
        self.notes.append(text)

    def finish(self, seed: int | None = None) -> Provenance:
        source = self.image.source
        return Provenance(
            backend=self.backend,
            weights="none" if self.weights is None else self.weights.name,
            weights_sha256=None if self.weights is None else self.weights.sha256,
            settings=settings.as_dict(self.config),
            source=str(source) if source else None,
            series=self.image.header.get("SeriesInstanceUID") or None,
            input_sha256=self.input_sha256,
            versions=versions(),
            device=str(self.device),
            device_reason=self.reason,
            seed=seed,
            started=self.started.isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - self._clock, 3),
            peak_memory_mb=round(peak_memory_mb(), 1),
            notes=tuple(self.notes),
            details=self.details,
        )
