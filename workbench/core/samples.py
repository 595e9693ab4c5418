"""Where the sample files and the demo weights lie, in a checkout or in an installed wheel."""

from __future__ import annotations

from pathlib import Path


def _root() -> Path | None:
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "_sample_data", here.parent / "sample_data"):
        if folder.is_dir():
            return folder
    return None


def sample_files() -> dict[str, Path]:
    """The sample files by name without suffix (``phantom_9001``, ``phantom_9001_labels``, ``cases``...)."""
    from workbench.core.types import case_name

    root = _root()
    if root is None:
        return {}
    found = (p for p in sorted((root / "files").glob("*")) if p.is_file() and not p.name.startswith("."))
    return {case_name(p): p for p in found}


def demo_weights() -> dict[str, Path]:
    """Demo weights by backend: files named ``<backend>_demo.safetensors``."""
    root = _root()
    if root is None:
        return {}
    return {p.name.removesuffix("_demo.safetensors"): p for p in sorted((root / "weights").glob("*_demo.safetensors"))}
