"""Weights are data: found by name or path, checked by hash, loaded without executing anything.

A weight file of ours is a ``.safetensors`` file whose header carries a JSON record: which backend it is for, the
constructor arguments of its network, its classes and how images must be prepared. Checkpoints of other people
(``.safetensors``, ``.pt``, ``.pth``, ``.bin``, or a folder that holds one) are read as plain tensors only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import home
from workbench._callable import make_callable
from workbench.atomic import replacing, sha256_of
from workbench.errors import UsageError, WeightsError, nearest

if TYPE_CHECKING:
    import torch

FORMAT = 1
_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
_HEADER_LIMIT = 100 << 20


@dataclass(frozen=True)
class WeightsFile:
    """A weight file that was found. ``meta`` is empty for checkpoints that carry no record of ours."""

    path: Path
    name: str
    sha256: str
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_lora(self) -> bool:
        return self.meta.get("kind") == "lora"


def find(name: str | Path, backend: str | None = None) -> WeightsFile:
    """Find weights by ``"demo"``, registered name, file or folder.

    Parameters
    ----------
    name
        What the user gave.
    backend
        Backend they must be for. Weights that say they are for another one are refused.

    Raises
    ------
    WeightsError
        Not found, made for another backend, or a header that cannot be read. There is no fallback to other weights.
    """
    path = _locate(str(name), backend)
    meta = read_meta(path)
    made_for = meta.get("backend")
    if backend and made_for and made_for != backend:
        raise WeightsError(f"{path}: these weights are for backend '{made_for}', but '{backend}' was asked for")
    return WeightsFile(path, str(name), sha256_of(path), meta)


def _locate(name: str, backend: str | None) -> Path:
    if name == "none":
        raise WeightsError("weights 'none' start a training from scratch; predicting needs trained weights")
    if name == "demo":
        from workbench.samples import demo_weights

        found = demo_weights()
        if backend is None or backend not in found:
            raise WeightsError(f"there are no demo weights for {backend}; give a weight file with --weights FILE")
        return found[backend]
    path = Path(name).expanduser()
    if path.exists():
        return _resolve_folder(path) if path.is_dir() else path
    for suffix in _SUFFIXES:
        candidate = home.weights_folder() / f"{name}{suffix}"
        if "/" not in name and candidate.is_file():
            return candidate
    from workbench.known_weights import known

    rows = known()
    if name in rows:
        raise WeightsError(f"weights '{name}' are not on this machine yet. {rows[name].how_to_get()}")
    names = ["demo", *(p.stem for p in _installed()), *rows]
    raise WeightsError(f"no weights '{name}': neither a file nor a known name.{nearest(name, names)}")


def _installed() -> list[Path]:
    folder = home.weights_folder()
    return sorted(p for p in folder.iterdir() if p.suffix in _SUFFIXES) if folder.is_dir() else []


def _resolve_folder(folder: Path) -> Path:
    """A folder counts as a checkpoint when exactly one file in it can be one (Accelerate's ``pytorch_model.bin``)."""
    usual = [folder / n for n in ("model.safetensors", "pytorch_model.bin") if (folder / n).is_file()]
    files = usual[:1] or sorted(p for p in folder.iterdir() if p.suffix in _SUFFIXES)
    if len(files) != 1:
        found = ", ".join(p.name for p in files) or "none"
        raise WeightsError(f"{folder}: expected one weight file in this folder, found {found}")
    return files[0]


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as f:
        head = f.read(9)
    return len(head) == 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _HEADER_LIMIT


def read_meta(path: Path) -> dict[str, Any]:
    """The record in the header of one of our files; ``{}`` for a checkpoint without one. Reads no tensors."""
    if not _is_safetensors(path):
        return {}
    with path.open("rb") as f:
        length = int.from_bytes(f.read(8), "little")
        try:
            header = json.loads(f.read(length))
            text = header.get("__metadata__", {}).get("workbench")
            record: dict[str, Any] = json.loads(text) if text else {}
        except ValueError as error:
            raise WeightsError(f"{path}: the header is damaged ({error}); fetch or copy the file again") from error
    if record and record.get("format", 0) > FORMAT:
        raise WeightsError(f"{path}: written by a newer napari-workbench (format {record['format']}); please update")
    return record


def load_tensors(weights: WeightsFile | Path) -> dict[str, torch.Tensor]:
    """All tensors by key, on the CPU, in their stored type. No code in the file is ever run.

    Raises
    ------
    WeightsError
        The file is damaged, or holds Python objects besides tensors and plain containers.
    """
    path = weights.path if isinstance(weights, WeightsFile) else weights
    try:
        if _is_safetensors(path):
            from safetensors.torch import load_file

            return load_file(path)
        return _load_checkpoint(path)
    except WeightsError:
        raise
    except Exception as error:
        raise WeightsError(f"{path}: not a readable weight file ({str(error).splitlines()[0][:160]})") from error


def _load_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    import pickle
    import warnings

    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about its own legacy storage classes
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: refused, because it is a pickle that holds more than tensors (it could run code). "
            "Ask its maker for a .safetensors file or a plain state_dict."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: not a readable checkpoint ({reason})") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected a state_dict, found {type(content).__name__}")
    return content


def save(path: Path, tensors: Mapping[str, torch.Tensor], meta: Mapping[str, Any]) -> Path:
    """Write a weight file of ours, atomically. `meta` needs ``backend`` and ``net`` at least."""
    from safetensors.torch import save_file

    missing = {"backend", "net"} - set(meta)
    if missing:
        raise UsageError(f"the record of a weight file needs {sorted(missing)}")
    if path.suffix != ".safetensors":
        raise UsageError(f"{path}: weights are written as .safetensors; choose such a name")
    record = json.dumps({"format": FORMAT, **meta}, default=str)
    with replacing(path) as part:
        save_file({k: v.detach().contiguous().cpu() for k, v in tensors.items()}, part, metadata={"workbench": record})
    return path


def find_base(adapter: WeightsFile) -> WeightsFile:
    """The full weights that a LoRA adapter was trained on: looked up by hash, never by guess."""
    wanted = adapter.meta.get("base_sha256")
    backend = adapter.meta.get("backend")
    hint = str(adapter.meta.get("base", ""))
    for candidate in _candidates(adapter.path.parent, hint, backend):
        if sha256_of(candidate) == wanted:
            return WeightsFile(candidate, candidate.stem, str(wanted), read_meta(candidate))
    raise WeightsError(
        f"{adapter.path}: this adapter belongs to the weights '{hint}' (sha256 {str(wanted)[:12]}...), "
        "which were not found; put that file beside it"
    )


def _candidates(folder: Path, hint: str, backend: Any) -> list[Path]:
    from workbench.samples import demo_weights

    named = Path(hint).expanduser()
    near = sorted(p for p in folder.iterdir() if p.suffix in _SUFFIXES)
    demo = [p for b, p in demo_weights().items() if b == backend]
    return [*([named] if named.is_file() else []), *demo, *near, *_installed()]


def listing() -> list[dict[str, Any]]:
    """Rows for people and ``--json``: demo weights, installed files and known names that can be fetched."""
    from workbench.known_weights import known
    from workbench.samples import demo_weights

    rows = [_row("demo", b, p) for b, p in demo_weights().items()]
    rows += [_row(p.stem, str(read_meta(p).get("backend", "?")), p) for p in _installed()]
    have = {r["name"] for r in rows}
    for k in known().values():
        if k.name not in have:
            absent = {"path": None, "size_mb": k.size_mb, "title": k.title, "state": "not here"}
            rows.append({"name": k.name, "backend": k.backend, **absent})
    return rows


def _row(name: str, backend: str, path: Path) -> dict[str, Any]:
    meta = read_meta(path)
    size = round(path.stat().st_size / 1e6, 2)
    title = meta.get("title", "")
    return {"name": name, "backend": backend, "path": str(path), "size_mb": size, "title": title, "state": "here"}


make_callable(__name__, listing)
