"""Weights are data: found by name or path, checked by hash, loaded without executing anything.

A weight file of ours is a ``.safetensors`` file whose header carries a JSON record: which backend it is for, the
constructor arguments of its network, its classes and how images must be prepared. Checkpoints of other people
(``.safetensors``, ``.pt``, ``.pth``, ``.bin``, or a folder that holds one) are read as plain tensors only.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from workbench.core import home
from workbench.core.atomic import replacing, sha256_of
from workbench.core.errors import PARSING, UsageError, WeightsError, WorkbenchError, nearest, reading
from workbench.core.output import require_file
from workbench.weights.content import content_hash
from workbench.weights.published import known

if TYPE_CHECKING:
    import torch

FORMAT = 2
"""Of the record. Since 2 it holds ``hashes``; 1 is that of version 0.1."""
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
    digest, meta = sha256_of(path), read_meta(path)
    made_for = meta.get("backend")
    if backend and made_for and made_for != backend:
        raise WeightsError(f"{path}: these weights are for backend '{made_for}', but '{backend}' was asked for")
    return WeightsFile(path, str(name), digest, meta)


def _locate(name: str, backend: str | None) -> Path:
    if name == "none":
        raise WeightsError("weights 'none' start a training from scratch; predicting needs trained weights")
    if name == "demo":
        from workbench.core.samples import demo_weights

        found = demo_weights()
        if backend is None or backend not in found:
            raise WeightsError(f"there are no demo weights for {backend}; give a weight file with --weights FILE")
        return found[backend]
    path = Path(name).expanduser()
    if path.exists():
        file = _resolve_folder(path) if path.is_dir() else path
        _require_regular(file)
        return file
    for suffix in _SUFFIXES:
        candidate = home.weights_folder() / f"{name}{suffix}"
        if "/" not in name and candidate.is_file():
            return candidate
    rows = known()
    if name in rows:
        raise WeightsError(f"weights '{name}' are not on this machine yet. {rows[name].how_to_get()}")
    names = ["demo", *(p.stem for p in _installed()), *rows]
    raise WeightsError(f"no weights '{name}': neither a file nor a known name.{nearest(name, names)}")


def _require_regular(path: Path) -> None:
    """A pipe or a device is never read: it gives nothing, or bytes for ever."""
    if path.exists() and not path.is_file():
        raise WeightsError(f"{path}: no regular file, expected weights ({', '.join(_SUFFIXES)}). Give the file itself.")


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


def _is_safetensors(head: bytes) -> bool:
    return len(head) >= 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _HEADER_LIMIT


def read_meta(path: Path) -> dict[str, Any]:
    """The record in the header of one of our files; ``{}`` for a checkpoint without one. Reads no tensors."""
    _require_regular(path)
    with path.open("rb") as f:
        return _read_meta(f, path)


def _read_meta(stream: IO[bytes], path: Path) -> dict[str, Any]:
    head = stream.read(9)
    if not _is_safetensors(head):
        return {}
    length = int.from_bytes(head[:8], "little")
    try:
        header = json.loads(head[8:] + stream.read(length - 1))
        text = (header.get("__metadata__") or {}).get("workbench")
        record = json.loads(text) if text else {}
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise WeightsError(f"{path}: the header is damaged ({error}); fetch or copy the file again") from error
    return _checked(record, path)


# What a record must hold where it holds it at all; backends check what is inside.
_ENTRIES: dict[str, tuple[type, str]] = {
    "format": (int, "a number"),
    "backend": (str, "a name"),
    "net": (dict, "an object"),
    "recipe": (dict, "an object"),
    "classes": (list, "a list"),
    "kind": (str, "a name"),
    "training": (dict, "an object"),
    "scores": (dict, "an object"),
    "taught": (dict, "an object"),
    "seen": (list, "a list"),
    "hashes": (dict, "an object"),
}


def _checked(record: Any, path: Path) -> dict[str, Any]:
    """The record if it is one of ours, of a format we know, with entries of the right type."""
    again = "fetch the file again, or save it anew with the workbench"
    if not isinstance(record, dict):
        raise WeightsError(f"{path}: its record is a {type(record).__name__}, expected an object; {again}")
    if not record:
        return {}
    for key, (kind, words) in _ENTRIES.items():
        value = record.get(key, kind())
        if not isinstance(value, kind) or isinstance(value, bool):
            raise WeightsError(
                f"{path}: its record has a {type(value).__name__} for '{key}', expected {words}; {again}"
            )
    if record.get("format", 0) > FORMAT:
        raise WeightsError(f"{path}: written by a newer napari-workbench (format {record['format']}); please update")
    missing = [key for key in ("backend", "net") if key not in record]
    if missing:
        raise WeightsError(f"{path}: its record lacks {' and '.join(missing)}; {again}")
    return record


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Errors while something is built from what a weight file says become a `WeightsError` that names the file."""
    try:
        yield
    except WeightsError as error:
        if str(path) in str(error):
            raise
        raise WeightsError(f"{path}: {error}") from error
    except WorkbenchError:
        raise
    except (TypeError, KeyError, ValueError, IndexError, AttributeError, ArithmeticError, RuntimeError) as error:
        said = str(error).splitlines()[0][:200] if str(error) else ""
        raise WeightsError(
            f"{path}: its record does not describe a network ({type(error).__name__}: {said}); "
            "fetch the file again, or save it anew with the workbench"
        ) from error


def load_tensors(weights: WeightsFile | Path) -> dict[str, torch.Tensor]:
    """All tensors by key, on the CPU, in their stored type. No code in the file is ever run.

    The bytes are read once: they are what is parsed, what must have the hash that `find` saw, and what must have the
    hashes of tensors and record that a file of ours holds.

    Raises
    ------
    WeightsError
        The file is damaged, was replaced since it was found, or holds Python objects besides tensors and plain
        containers.
    """
    path = weights.path if isinstance(weights, WeightsFile) else weights
    _require_regular(path)
    content = path.read_bytes()
    if isinstance(weights, WeightsFile) and hashlib.sha256(content).hexdigest() != weights.sha256:
        raise WeightsError(f"{path}: was changed or replaced while it was being read; run it again")
    if not _is_safetensors(content[:9]):
        return _load_checkpoint(path, content)
    from safetensors import SafetensorError
    from safetensors.torch import load

    with reading(path, "not a readable weight file", kinds=(*PARSING, SafetensorError), error=WeightsError):
        tensors: dict[str, torch.Tensor] = load(content)
    _verify(path, tensors, _read_meta(io.BytesIO(content), path))
    return tensors


def hashes_of(tensors: Mapping[str, torch.Tensor], record: Mapping[str, Any]) -> dict[str, str]:
    """What a file of ours holds under ``hashes``: of its numbers (`content_hash`), and of the rest of its record."""
    rest = {k: v for k, v in record.items() if k != "hashes"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), default=str)
    return {"tensors": content_hash(tensors), "record": hashlib.sha256(text.encode()).hexdigest()}


def _verify(path: Path, tensors: Mapping[str, torch.Tensor], record: Mapping[str, Any]) -> None:
    """Refuse a file that no longer is what was saved; files of version 0.1 and of others hold no hashes."""
    said = record.get("hashes") or {}
    if not said and record.get("format", 0) < 2:
        return
    found = hashes_of(tensors, record)
    for what, name in (("tensors", "numbers"), ("record", "record")):
        if said.get(what) != found[what]:
            raise WeightsError(
                f"{path}: damaged: the hash of its {name} is {found[what][:12]}..., it was saved with "
                f"{str(said.get(what, 'none'))[:12]}...; fetch or copy the file again"
            )


def _load_checkpoint(path: Path, content: bytes) -> dict[str, torch.Tensor]:
    import pickle
    import warnings

    import torch
    from safetensors import SafetensorError

    from workbench.weights.inert_pickle import is_pickle

    if content.startswith(b"PK\x03\x04"):
        _require_checksums(path, content)
    # torch opens a file by its suffix first: text named .safetensors comes to that library.
    kinds = (*PARSING, SafetensorError)
    try:
        with warnings.catch_warnings(), reading(path, "not a readable checkpoint", kinds=kinds, error=WeightsError):
            warnings.simplefilter("ignore")  # torch warns about its own legacy storage classes
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not is_pickle(content):
            raise WeightsError(
                f"{path}: no weight file: it begins with {content[:9]!r}, the header of a safetensors file or a "
                "PyTorch checkpoint was expected. Check the path, or fetch or copy the file again."
            ) from error
        raise WeightsError(
            f"{path}: refused, because it is a pickle that holds more than tensors (it could run code). "
            "Ask its maker for a .safetensors file or a plain state_dict."
        ) from error
    if not isinstance(found, dict):
        raise WeightsError(f"{path}: expected a state_dict, found {type(found).__name__}")
    return found


def _require_checksums(path: Path, content: bytes) -> None:
    """Refuse a checkpoint of which a part has another checksum than its archive holds: torch compares none."""
    kinds = (*PARSING, zipfile.BadZipFile, lzma.LZMAError)
    with (
        reading(path, "not a readable checkpoint", kinds=kinds, error=WeightsError),
        zipfile.ZipFile(io.BytesIO(content)) as archive,
    ):
        bad = archive.testzip()
    if bad is not None:
        raise WeightsError(
            f"{path}: damaged: {bad[:80]!r} in it has another checksum (CRC32) than was saved; fetch or copy the file"
            " again"
        )


def save(path: Path, tensors: Mapping[str, torch.Tensor], meta: Mapping[str, Any]) -> Path:
    """Write a weight file of ours, atomically. `meta` needs ``backend`` and ``net`` at least."""
    from safetensors.torch import save_file

    missing = {"backend", "net"} - set(meta)
    if missing:
        raise UsageError(f"the record of a weight file needs {sorted(missing)}")
    if path.suffix != ".safetensors":
        raise UsageError(f"{path}: weights are written as .safetensors; choose such a name")
    require_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Through JSON once, so that what is hashed is what will be read.
    plain = json.loads(json.dumps({"format": FORMAT, **meta}, default=str))
    own = {k: v.detach().contiguous().cpu() for k, v in tensors.items()}
    record = json.dumps({**plain, "hashes": hashes_of(own, plain)})
    with replacing(path) as part:
        save_file(own, part, metadata={"workbench": record})
        # safetensors writes private files; others of the group should be able to read weights as any other file.
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)
    return path


def base_record(base: WeightsFile, adapter: Path) -> dict[str, Any]:
    """What an adapter's record says of its base: name, hash, and where it lies, absolutely and seen from `adapter`.

    Raises
    ------
    UsageError
        The adapter would be written over its base, without which it is worthless.
    """
    path = base.path.resolve()
    if path == adapter.resolve() or (adapter.exists() and adapter.samefile(path)):
        raise UsageError(f"{adapter}: these are the weights that it builds on; choose another name")
    record = {"base": base.name, "base_sha256": base.sha256, "base_path": str(path)}
    if numbers := (base.meta.get("hashes") or {}).get("tensors"):
        record["base_tensors"] = numbers
    with suppress(ValueError):  # on another drive
        record["base_relative"] = os.path.relpath(path, adapter.resolve().parent)
    return record


def find_base(adapter: WeightsFile) -> WeightsFile:
    """The full weights that a LoRA adapter was trained on: looked up by hash, never by guess.

    The hash is that of the file, or of the numbers in it: a record may be written anew around the same numbers, and
    then says in ``formerly`` which files had them before.
    """
    wanted, numbers = adapter.meta.get("base_sha256"), adapter.meta.get("base_tensors")
    backend = adapter.meta.get("backend")
    hint = str(adapter.meta.get("base", ""))
    for candidate in _candidates(adapter, hint, backend):
        found = sha256_of(candidate)
        record: Mapping[str, Any] = {}
        with suppress(WeightsError):  # the file beside it may be anything
            record = read_meta(candidate)
        same = numbers is not None and (record.get("hashes") or {}).get("tensors") == numbers
        if found == wanted or same or wanted in record.get("formerly", ()):
            return WeightsFile(candidate, candidate.stem, found, record)
    raise WeightsError(
        f"{adapter.path}: this adapter belongs to the weights '{hint}' (sha256 {str(wanted)[:12]}...), "
        "which were not found; put that file beside it"
    )


def _candidates(adapter: WeightsFile, hint: str, backend: Any) -> list[Path]:
    from workbench.core.samples import demo_weights

    folder = adapter.path.resolve().parent
    told = [Path(str(adapter.meta.get("base_path", ""))), folder / str(adapter.meta.get("base_relative", ""))]
    near = sorted(p for p in folder.iterdir() if p.suffix in _SUFFIXES) if folder.is_dir() else []
    demo = [p for b, p in demo_weights().items() if b == backend]
    paths = [*told, Path(hint), *demo, *near, *_installed()]
    return [p.expanduser() for p in paths if _is_file(p)]


def _is_file(path: Path) -> bool:
    """False also for text from a file that cannot be a path at all."""
    try:
        return path.expanduser().is_file()
    except (OSError, ValueError, RuntimeError):
        return False


def listing() -> list[dict[str, Any]]:
    """Rows for people and ``--json``: demo weights, installed files and known names that can be fetched."""
    from workbench.core.samples import demo_weights

    rows = [_row("demo", b, p) for b, p in demo_weights().items()]
    rows += [_row(p.stem, None, p) for p in _installed()]
    have = {r["name"] for r in rows}
    for k in known().values():
        if k.name not in have:
            absent = {"path": None, "size_mb": k.size_mb, "title": k.title, "state": "not here"}
            rows.append({"name": k.name, "backend": k.backend, **absent})
    return rows


def _row(name: str, backend: str | None, path: Path) -> dict[str, Any]:
    """A file that cannot be used is listed as such, so that it does not hide the others."""
    meta: dict[str, Any] = {}
    state = "here"
    try:
        meta = read_meta(path)
    except WeightsError:
        state = "damaged"
    size, title = round(path.stat().st_size / 1e6, 2), meta.get("title", "")
    made_for = meta.get("backend") or backend or "?"
    return {"name": name, "backend": made_for, "path": str(path), "size_mb": size, "title": title, "state": state}
