"""Published weights by name: where they are, under which licence, and the hash they must have.

Some are published as several files, which become one weight file of ours (`KnownWeights.files` and ``build``).

A group shares its own list by a file ``weights.json`` in the workbench's home (``WORKBENCH_HOME``): a list of objects
with the fields of `KnownWeights`. Nothing is fetched unless `workbench.weights.fetch.fetch` is called with permission.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath

from workbench.core import home
from workbench.core.errors import UsageError


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

    Rows with `files` have ``build``, a function ``"module:name"`` that takes the fetched files by name and a path, and
    writes the weight file.
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
            for entry in json.loads(own.read_text(encoding="utf-8")):
                unknown = set(entry) - allowed
                if unknown:
                    raise UsageError(f"{own}: unknown field(s) {sorted(unknown)}; expected {sorted(allowed)}")
                files = tuple(_source(file, own) for file in entry.pop("files", ()))
                row = KnownWeights(**entry, files=files)
                row = replace(row, build=_MOVED.get(row.build, row.build))
                if Path(row.name).name != row.name or row.name.startswith("."):
                    raise UsageError(f"{own}: '{row.name}' is not usable as a name")
                rows[row.name] = row
        except (ValueError, TypeError) as error:
            raise UsageError(f"{own}: not a list of weight entries ({error})") from error
    return rows


def _source(entry: Mapping[str, object], own: Path) -> SourceFile:
    unknown = set(entry) - {f.name for f in fields(SourceFile)}
    if unknown:
        raise UsageError(f"{own}: unknown field(s) {sorted(unknown)} of a file")
    file = SourceFile(**entry)  # type: ignore[arg-type]
    if PurePosixPath(file.name).is_absolute() or ".." in PurePosixPath(file.name).parts:
        raise UsageError(f"{own}: '{file.name}' is not usable as a name")
    return replace(file, keys=tuple(file.keys))
