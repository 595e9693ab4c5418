"""Published weights onto this machine: only when asked, only with the hash that they must have."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from http.client import HTTPException
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlparse
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    url2pathname,
)

from workbench.core.atomic import replacing, sha256_of
from workbench.core.errors import UsageError, WeightsError, nearest, reason
from workbench.core.leftovers import temporary_folder
from workbench.core.types import Progress
from workbench.weights.file_content import content_of
from workbench.weights.published import BUILDS, KnownWeights, SourceFile, known

_SLACK = 1 << 20


def fetch(
    name: str,
    *,
    allow_download: bool,
    progress: Progress | None = None,
    hashes: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Path:
    """Fetch weights by name into the workbench's home; the file appears only if its hash is right.

    Parameters
    ----------
    name
        A known name.
    allow_download
        Whether the network may be used.
    progress
        Called with bytes done and in total, of each file.
    hashes
        sha256 that the user brings, by the name of the published file (its last part will do).
    folder
        Rows of several files only: take them from here, as published, instead of the network.

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
    sources = row.files or (SourceFile(row.path.name, row.url, row.sha256, size_mb=row.size_mb),)
    sources = _with_hashes(row, sources, hashes or {})
    if row.path.is_file():
        if hashes:
            _check_here(row, sources)
        return row.path
    if row.files:
        return _fetch_and_build(row, sources, allow_download, progress, folder)
    if folder is not None:
        raise UsageError(f"weights '{name}' are one file: give it to --weights as it is")
    if not (row.url and sources[0].sha256):
        raise WeightsError(f"weights '{name}' cannot be fetched automatically. {row.note}")
    with replacing(row.path) as part:
        _download(sources[0], part, row.path, allow_download, progress)
    return row.path


def _with_hashes(
    row: KnownWeights, sources: tuple[SourceFile, ...], hashes: Mapping[str, str]
) -> tuple[SourceFile, ...]:
    """With the hashes that the user brings; a hash that we know cannot be replaced."""
    found = list(sources)
    for given, digest in hashes.items():
        at = [i for i, s in enumerate(sources) if s.name == given or s.name.endswith("/" + given)]
        if len(at) != 1:
            which = "no" if not at else "more than one"
            raise UsageError(f"'{given}': {which} file of '{row.name}' has this name; expected one of "
                             f"{', '.join(s.name for s in sources)}")  # fmt: skip
        file = sources[at[0]]
        if len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef"):
            raise UsageError(f"sha256 of '{given}': expected 64 hexadecimal digits")
        if file.sha256 and file.sha256 != digest.lower():
            raise WeightsError(f"{file.name}: sha256 must be {file.sha256}, you gave {digest}")
        found[at[0]] = replace(file, sha256=digest.lower())
    return tuple(found)


def _fetch_and_build(
    row: KnownWeights,
    sources: tuple[SourceFile, ...],
    allow_download: bool,
    progress: Progress | None,
    folder: Path | None,
) -> Path:
    unknown = [s for s in sources if not (s.sha256 or s.content)]
    if unknown and folder is None:
        one = unknown[0]
        raise WeightsError(
            f"{one.url}: its sha256 is not known to this version, and nothing unverified is fetched. Either give the "
            f"hash that its authors or your group state: workbench weights get {row.name} --sha256 {one.name}=HASH "
            f"--allow-download; or fetch the files by hand, look at them, and: workbench weights get {row.name} "
            "--from FOLDER"
        )
    build = _builder(row)
    with nullcontext(folder) if folder is not None else _temporary() as place:
        files = {}
        for source in sources:
            if folder is None:
                files[source.name] = Path(place) / source.name
                files[source.name].parent.mkdir(parents=True, exist_ok=True)
                _download(source, files[source.name], row.path, allow_download, progress)
            else:
                files[source.name] = _in_folder(source, folder)
                _check_sha256(source, sha256_of(files[source.name]), str(files[source.name]))
            _check_content(source, files[source.name])
        with replacing(row.path) as part:
            build(files, part)
    return row.path


@contextmanager
def _temporary() -> Iterator[Path]:
    """A folder for what is fetched; what killed processes left of theirs goes."""
    place = temporary_folder("workbench-fetch")
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _builder(row: KnownWeights) -> Callable[[Mapping[str, Path], Path], object]:
    """The function that puts the published files together: one of ours, whatever made the row."""
    if row.build not in BUILDS:
        raise WeightsError(f"weights '{row.name}': their build is {row.build!r}, expected one of {', '.join(BUILDS)}")
    module, _, function = row.build.partition(":")
    found: Callable[[Mapping[str, Path], Path], object] = getattr(import_module(module), function)
    return found


def _check_here(row: KnownWeights, sources: tuple[SourceFile, ...]) -> None:
    """Refuse weights that are here already and were made of other files than the user's hashes say."""
    from workbench.weights import read_meta

    made_of = read_meta(row.path).get("sources", {}) if row.files else {sources[0].name: sha256_of(row.path)}
    for source in sources:
        found = made_of.get(source.name) if isinstance(made_of, Mapping) else None
        if source.sha256 and found != source.sha256:
            raise WeightsError(
                f"{row.path}: is here already, made of {source.name} with sha256 {found or 'unknown'}, expected "
                f"{source.sha256}. Remove it to fetch it again."
            )


def _in_folder(source: SourceFile, folder: Path) -> Path:
    """The file by its published path, from any of its folders on."""
    parts = PurePosixPath(source.name).parts
    for first in range(max(1, len(parts) - 1)):
        path = folder.joinpath(*parts[first:])
        if path.is_file():
            return path
    raise WeightsError(f"{folder}: has no {source.name}; expected the published files in their folders")


def _download(source: SourceFile, part: Path, target: Path, allow_download: bool, progress: Progress | None) -> None:
    scheme = urlparse(source.url).scheme
    if scheme not in ("https", "http", "file"):
        raise UsageError(f"weights '{target.stem}': address scheme '{scheme}' is not supported; use https")
    if not allow_download and scheme != "file":
        raise UsageError(f"fetching '{target.stem}' from {source.url} needs your permission: add --allow-download")
    limit = int(source.size_mb * 1e6) + _SLACK if source.size_mb else 8 << 30
    digest, done = hashlib.sha256(), 0
    try:
        with _opened(source.url) as (response, stated), part.open("wb") as f:
            total = stated or int(source.size_mb * 1e6)
            while chunk := response.read(1 << 20):
                f.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if done > limit:
                    raise WeightsError(f"{source.url}: larger than the {source.size_mb} MB it should have; stopped")
                if progress:
                    progress(done, total)
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise WeightsError(
            f"{source.url}: download failed ({reason(error)}); try again or fetch it by hand to {target}"
        ) from error
    _check_sha256(source, digest.hexdigest(), source.url)


class _SameScheme(HTTPRedirectHandler):
    """Follows a server that sends elsewhere, but never to a file, to FTP, or out of https."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        old, new = urlparse(req.full_url).scheme, urlparse(newurl).scheme
        if new != old:
            fp.close()
            raise URLError(f"the server sends from {old} to {new or 'no scheme'}, which is not followed: {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _opened(url: str) -> Iterator[tuple[Any, int]]:
    """What an address holds, and its size in bytes as far as known."""
    parts = urlparse(url)
    if parts.scheme == "file":
        path = Path(url2pathname(parts.path))
        if parts.netloc not in ("", "localhost") or not path.is_file():  # a pipe or a device would never end
            raise OSError("not a file of this machine")
        with path.open("rb") as file:
            yield file, path.stat().st_size
        return
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler(), _SameScheme(), HTTPDefaultErrorHandler(),
                    HTTPErrorProcessor()):  # fmt: skip
        opener.add_handler(handler)
    with opener.open(url, timeout=60) as response:
        length = response.headers.get("Content-Length") or ""
        yield response, int(length) if length.isdecimal() and len(length) < 16 else 0


def _check_sha256(source: SourceFile, found: str, where: str) -> None:
    if source.sha256 and found != source.sha256:
        raise WeightsError(
            f"{where}: sha256 is {found}, expected {source.sha256}; nothing was kept. "
            "The file was changed or the download was damaged."
        )


def _check_content(source: SourceFile, path: Path) -> None:
    if source.content:
        found = content_of(path, source.keys)
        if found != source.content:
            raise WeightsError(
                f"{source.name}: the content hash of its numbers is {found}, expected {source.content}; nothing was "
                "kept. The file was changed or the download was damaged."
            )
