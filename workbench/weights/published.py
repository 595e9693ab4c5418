"""Published weights by name: where they are, under which licence, and the hash they must have.

Some are published as several files, which become one weight file of ours (`KnownWeights.files` and ``build``).

A group shares its own list by a file ``weights.json`` in the workbench's home (``WORKBENCH_HOME``): a list of objects
with the fields of `KnownWeights`. Nothing is fetched unless `workbench.weights.fetch.fetch` is called with permission.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from workbench.core import home
from workbench.core.errors import UsageError, reason


@dataclass(frozen=True)
class SourceFile:
    """One published file.

    It must have the hash `sha256`; or, where only its numbers are known and not the container they come in, the
    content hash `content` over the entries `keys` (all if empty; see `workbench.weights.content`). Where neither is
    known, the user must bring the hash.
    """

    name: str
    url: str
    sha256: str = ""
    content: str = ""
    keys: tuple[str, ...] = ()
    size_mb: float = 0.0


@dataclass(frozen=True)
class KnownWeights:
    """One row. Without `url` or `sha256` it cannot be fetched automatically, and `note` says what to do instead.

    Rows with `files` have ``build``, one of `BUILDS`: the function that takes the fetched files by name and a path, and
    writes the weight file. `suffix` is one of `SUFFIXES`.
    """

    name: str
    backend: str
    title: str
    url: str = ""
    sha256: str = ""
    size_mb: float = 0.0
    licence: str = ""
    paper: str = ""
    note: str = ""
    suffix: str = ".safetensors"
    files: tuple[SourceFile, ...] = ()
    build: str = ""

    @property
    def path(self) -> Path:
        return home.weights_folder() / f"{self.name}{self.suffix}"

    @property
    def unverified(self) -> tuple[SourceFile, ...]:
        """Files of which neither hash is known, so that the user must bring one."""
        return tuple(f for f in self.files if not (f.sha256 or f.content))

    def how_to_get(self) -> str:
        if self.files or (self.url and self.sha256):
            hashes = "".join(f" --sha256 {f.name}=HASH" for f in self.unverified)
            return f"Fetch them with: workbench weights get {self.name} --allow-download{hashes}"
        return self.note


SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
"""What weight files end in; a list can ask for no other, so that nothing else is ever written by a download."""

BUILDS = ("workbench.recording.train.release:install",)
"""The functions that make one weight file of several published ones. A list of a group names one of these: it is data,
and never says what is run."""

_MEG_GPT = "https://raw.githubusercontent.com/OHBA-analysis/MEG-GPT/78ff9439febaeb8e838fd670ec589578e635fd0c/"
_MEG_TOKENIZER_FILES = (
    SourceFile(
        name="models/tokenizer/model_state.pt",
        url=_MEG_GPT + "models/tokenizer/model_state.pt",
        content="6661b3542a6468064697f105608209b901c377809abbb2dd2590a2aba736b145",
        size_mb=0.928240,
    ),
    SourceFile(
        name="models/tokenizer/vocab.pkl",
        url=_MEG_GPT + "models/tokenizer/vocab.pkl",
        content="555bc6da4cdedf2e03fe3cebfe159c1b2577b392c2bfd70322ef3102cd768ee9",
        keys=("token_order", "total_token_counts", "label_map"),
        size_mb=1.0,
    ),
)

# The authors publish the BraTS weights on a shared drive without a checksum, so they are not fetched for the user.
_ROWS = (
    KnownWeights(
        name="segformer3d-brats",
        backend="segformer3d",
        title="SegFormer3D, BraTS 2017 (TC, WT, ET), official",
        licence="not stated by the authors",
        paper="arXiv:2404.10156",
        note="Download the checkpoint linked in the authors' repository OSUPCVLab/SegFormer3D yourself, then use "
        "--weights FILE --preset brats.",
        suffix=".bin",
    ),
    KnownWeights(
        name="stainnet-small",
        backend="stainnet",
        title="StainNet-Small (ViT-S/16) for immunohistochemistry and special stains, official",
        url="https://huggingface.co/JWonderLand/StainNet/resolve/main/model.safetensors",
        sha256="fe09240b7e161c4d1d19f97f31a3eeba3303876e073de5ad920ad20f7c869c02",
        size_mb=86.676336,
        licence="CC-BY-NC-ND-4.0: not for commercial use, no derivatives; fetched for yourself, never passed on",
        paper="arXiv:2512.10326",
    ),
    KnownWeights(
        name="stainnet-base",
        backend="stainnet",
        title="StainNet-Base (ViT-B/16) for immunohistochemistry and special stains, official",
        licence="not read; taken to be CC-BY-NC-ND-4.0 as of the small one",
        paper="arXiv:2512.10326",
        # Its hash was not known when this was written.
        note="Download model.safetensors of JWonderLand/StainNet-Base on huggingface.co yourself, after reading its "
        "licence, then use --weights FILE.",
    ),
    KnownWeights(
        name="meg-gpt-tokenizer",
        backend="meg_gpt",
        title="Tokeniser of MEG-GPT with its vocabulary of 65 tokens, official",
        size_mb=0.93,
        licence="MIT",
        paper="arXiv:2510.18080",
        files=_MEG_TOKENIZER_FILES,
        build="workbench.recording.train.release:install",
    ),
    KnownWeights(
        name="meg-gpt",
        backend="meg_gpt",
        title="MEG-GPT for 52 parcels at 250 Hz, with its tokeniser, official",
        size_mb=17.3,
        licence="MIT",
        paper="arXiv:2510.18080",
        files=(
            *_MEG_TOKENIZER_FILES,
            # Its hash was not known when this was written, so whoever fetches it must bring the hash.
            SourceFile(
                name="models/meg-gpt/model_state.pt", url=_MEG_GPT + "models/meg-gpt/model_state.pt", size_mb=16.5
            ),
        ),
        build="workbench.recording.train.release:install",
    ),
)


# Where functions of version 0.1 are now, which a group's list may name.
_MOVED = {"workbench.training.meg_release:install": "workbench.recording.train.release:install"}


def known() -> dict[str, KnownWeights]:
    """All rows by name; the user's ``weights.json`` wins over ours."""
    rows = {row.name: row for row in _ROWS}
    own = home.home() / "weights.json"
    if own.is_file():
        allowed = {f.name for f in fields(KnownWeights)}
        try:
            entries = json.loads(own.read_text(encoding="utf-8"))
            if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
                raise TypeError("expected a list of objects")
            for entry in entries:
                unknown = set(entry) - allowed
                if unknown:
                    raise UsageError(f"{own}: unknown field(s) {_few(unknown)}; expected {sorted(allowed)}")
                files = tuple(_source(file, own) for file in entry.pop("files", ()))
                row = KnownWeights(**entry, files=files)
                rows[row.name] = _checked(replace(row, build=_MOVED.get(row.build, row.build)), own)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"{own}: not a list of weight entries ({reason(error)})") from error
    return rows


def _checked(row: KnownWeights, own: Path) -> KnownWeights:
    """The row, if it can neither write outside the folder of weights nor run anything but what is ours."""
    _require_types(row, own)
    if not _is_name(row.name):
        raise UsageError(f"{own}: '{row.name[:80]}' is not usable as a name")
    if row.suffix not in SUFFIXES:
        raise UsageError(f"{own}: '{row.name}' has the suffix {row.suffix!r}, expected one of {', '.join(SUFFIXES)}")
    if row.build not in ("", *BUILDS):
        raise UsageError(f"{own}: '{row.name}' is built by {row.build!r}, expected one of {', '.join(BUILDS)}")
    if row.files and not row.build:
        raise UsageError(f"{own}: '{row.name}' has files, and no 'build' of them; expected one of {', '.join(BUILDS)}")
    return row


def _require_types(row: KnownWeights | SourceFile, own: Path) -> None:
    """Text is text, and sizes are sizes: JSON holds anything."""
    for field in fields(row):
        value = getattr(row, field.name)
        if isinstance(field.default, float):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e7:
                raise UsageError(f"{own}: '{field.name}' is {str(value)[:40]}, expected megabytes from 0 to 10 million")
        elif not isinstance(field.default, tuple) and not isinstance(value, str):
            raise UsageError(f"{own}: '{field.name}' is {str(value)[:40]}, expected text")


def _few(names: Iterable[str]) -> str:
    """Names in order, on one line of bearable length."""
    return str(sorted(names))[:80]


def _is_name(name: str) -> bool:
    """Whether it is one plain part of a path, on any system."""
    return bool(name) and name.isprintable() and not name.startswith(".") and not set(name) & set('/\\:*?"<>|')


def _source(entry: Mapping[str, object], own: Path) -> SourceFile:
    if not isinstance(entry, Mapping):
        raise UsageError(f"{own}: a file is {str(entry)[:40]!r}, expected an object with name and url")
    unknown = set(entry) - {f.name for f in fields(SourceFile)}
    if unknown:
        raise UsageError(f"{own}: unknown field(s) {_few(unknown)} of a file")
    file = SourceFile(**entry)  # type: ignore[arg-type]
    _require_types(file, own)
    if not all(_is_name(part) for part in file.name.split("/")):
        raise UsageError(f"{own}: '{file.name[:80]}' is not usable as a name")
    if not isinstance(file.keys, list | tuple) or not all(isinstance(key, str) for key in file.keys):
        raise UsageError(f"{own}: 'keys' of {file.name} is {str(file.keys)[:40]}, expected a list of names")
    return replace(file, keys=tuple(file.keys))
