"""Published weights by name: where they are, under which licence, and the hash they must have.

A group shares its own list by a file ``weights.json`` in the workbench's home (``WORKBENCH_HOME``): a list of objects
with the fields of `KnownWeights`. Nothing is fetched unless `fetch` is called with permission.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import urlopen

from workbench import home
from workbench.atomic import replacing
from workbench.errors import UsageError, WeightsError, nearest

Progress = Callable[[int, int], None]

_SLACK = 1 << 20


@dataclass(frozen=True)
class KnownWeights:
    """One row. Without `url` or `sha256` it cannot be fetched automatically, and `note` says what to do instead."""

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

    @property
    def path(self) -> Path:
        return home.weights_folder() / f"{self.name}{self.suffix}"

    def how_to_get(self) -> str:
        if self.url and self.sha256:
            return f"Fetch them with: workbench weights get {self.name} --allow-download"
        return self.note


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
)


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
                row = KnownWeights(**entry)
                if Path(row.name).name != row.name or row.name.startswith("."):
                    raise UsageError(f"{own}: '{row.name}' is not usable as a name")
                rows[row.name] = row
        except (ValueError, TypeError) as error:
            raise UsageError(f"{own}: not a list of weight entries ({error})") from error
    return rows


def fetch(name: str, *, allow_download: bool, progress: Progress | None = None) -> Path:
    """Fetch weights by name into the workbench's home; the file appears only if its hash is right.

    Raises
    ------
    UsageError
        No permission to use the network was given.
    WeightsError
        Unknown name, no address, or the hash differs (nothing is kept).
    """
    rows = known()
    if name not in rows:
        raise WeightsError(f"no weights known as '{name}'.{nearest(name, rows)}")
    row = rows[name]
    if row.path.is_file():
        return row.path
    if not (row.url and row.sha256):
        raise WeightsError(f"weights '{name}' cannot be fetched automatically. {row.note}")
    scheme = urlparse(row.url).scheme
    if scheme not in ("https", "http", "file"):
        raise UsageError(f"weights '{name}': address scheme '{scheme}' is not supported; use https")
    if not allow_download and scheme != "file":
        raise UsageError(f"fetching '{name}' from {row.url} needs your permission: add --allow-download")
    limit = int(row.size_mb * 1e6) + _SLACK if row.size_mb else 8 << 30
    digest, done = hashlib.sha256(), 0
    try:
        with replacing(row.path) as part:
            with urlopen(row.url, timeout=60) as response, part.open("wb") as f:
                total = int(response.headers.get("Content-Length") or row.size_mb * 1e6)
                while chunk := response.read(1 << 20):
                    f.write(chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    if done > limit:
                        raise WeightsError(f"{row.url}: larger than the {row.size_mb} MB it should have; stopped")
                    if progress:
                        progress(done, total)
            if digest.hexdigest() != row.sha256:
                raise WeightsError(
                    f"{row.url}: sha256 is {digest.hexdigest()}, expected {row.sha256}; nothing was kept. "
                    "The file was changed or the download was damaged."
                )
    except OSError as error:
        raise WeightsError(
            f"{row.url}: download failed ({error}); try again or fetch it by hand to {row.path}"
        ) from error
    return row.path
