"""Zip archives as folders: a study is read as it was sent.

An archive is unpacked once, into a private folder for temporary files that goes with the process, and only after its
names and sizes were found harmless. Paths go through it: ``study.zip/P1/CT`` is the folder in it. Archives within
archives stay closed.
"""

from __future__ import annotations

import atexit
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from workbench.core import kinds
from workbench.core.errors import InputError, WorkbenchError, reading
from workbench.core.leftovers import temporary_folder
from workbench.core.stamps import FileStamp, stamps
from workbench.data.companion import require_regular

SUFFIX = ".zip"
_MOST_FILES = 200_000
_MOST_BYTES = 64 << 30
_SPARE = 1 << 30  # bytes of the disk that stay free
_RATIO = 1032  # a byte of deflate stands for so many at most
_DEEPEST, _LONGEST = 40, 255
_CHUNK = 1 << 20
_ADVICE = "Unpack it yourself, look at what is in it, and give the folder."
# What zipfile and zlib raise on damaged archives, and on methods of packing that they do not know.
_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError)

_unpacked: dict[Path, tuple[FileStamp, Path]] = {}
_noted: dict[Path, str] = {}


def is_archive(path: Path) -> bool:
    """Whether it is an archive by its name and its first bytes."""
    if path.suffix.lower() != SUFFIX or not path.is_file():
        return False
    try:
        with path.open("rb") as f:
            return f.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError:
        return False


def is_inside(path: Path) -> bool:
    """Whether a file lies in a folder that an archive was unpacked into."""
    return any(path.is_relative_to(folder) for _, folder in _unpacked.values())


def located(path: Path) -> Path:
    """Where a path lies that leads to or through an archive (it is unpacked then); any other path as it is.

    Raises
    ------
    InputError
        The archive is damaged, encrypted, or not harmless.
    """
    if SUFFIX not in str(path).lower():
        return path
    for file in (path, *path.parents):
        if file.suffix.lower() == SUFFIX and is_archive(file):
            return _folder(file) / path.relative_to(file)
    return path


def shown(path: Path) -> Path:
    """A path as people know it: through the archive, not through the folder that it was unpacked into."""
    for file, (_, folder) in _unpacked.items():
        if path.is_relative_to(folder):
            return file / path.relative_to(folder)
    return path


def told(text: str) -> str:
    """A text for people that may name the folder that an archive was unpacked into."""
    for file, (_, folder) in _unpacked.items():
        text = text.replace(str(folder), str(file))
    return text


def note(path: Path) -> str:
    """What a person should know of how an archive was unpacked, "" where there is nothing."""
    return _noted.get(path.resolve() if not path.is_absolute() else path, "")


@contextmanager
def naming() -> Iterator[None]:
    """Errors inside name the archive, not the folder that it was unpacked into."""
    try:
        yield
    except WorkbenchError as error:
        if error.args and isinstance(error.args[0], str):
            error.args = (told(error.args[0]), *error.args[1:])
        raise


def holds_images(file: Path) -> bool:
    """Whether something in an archive looks like an image, by the names in it and by first bytes; unpacks nothing."""
    endings = tuple(s for row in kinds.kinds().values() for s in row.readers)
    with reading(file, "not a readable zip archive", _ADVICE, kinds=_BROKEN), zipfile.ZipFile(file) as archive:
        members = [m for m in archive.infolist() if not m.is_dir()]
        if any(m.filename.lower().endswith(endings) or m.filename.upper().endswith("DICOMDIR") for m in members):
            return True
        for member in members[:_FEW]:
            if not member.flag_bits & 1:
                with archive.open(member) as f:
                    if f.read(132)[128:] == b"DICM":
                        return True
    return False


_FEW = 50


def _folder(file: Path) -> Path:
    """The folder with the content of an archive, named as it is."""
    file = file.resolve() if not file.is_absolute() else file
    (stamp,) = stamps([file])
    kept = _unpacked.get(file)
    if kept is not None and kept[0] == stamp and kept[1].is_dir():
        return kept[1]
    require_regular(file)
    place = temporary_folder("workbench-zip")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    folder = place / (file.stem or "archive")
    try:
        folder.mkdir()
        _unpack(file, folder)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    _unpacked[file] = stamp, folder
    return folder


def _unpack(file: Path, folder: Path) -> None:
    with reading(file, "not a readable zip archive", "Copy it again.", kinds=_BROKEN), zipfile.ZipFile(file) as archive:
        members = [(m, _checked(file, m)) for m in archive.infolist()]
        above = [m.filename for m, place in members if PurePosixPath(m.filename.replace("\\", "/")) != place]
        if above:
            _noted[file] = f"{file}: names such as {above[0][:80]!r} lead out of its folder and were taken into it"
        members = [(m, place) for m, place in members if place.parts]
        members = [(m, place) for m, place in members if not m.is_dir() and not _is_noise(place)]
        _check_sizes(file, [m for m, _ in members], folder)
        for member, place in members:
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            left = member.file_size
            try:
                out = target.open("xb")
            except FileExistsError as error:
                raise InputError(f"{file}: holds {place} twice. {_ADVICE}") from error
            with archive.open(member) as source, out:
                while chunk := source.read(_CHUNK):
                    left -= len(chunk)
                    if left < 0:
                        raise InputError(f"{file}: {place} is longer than the archive says. {_ADVICE}")
                    out.write(chunk)


def _checked(file: Path, member: zipfile.ZipInfo) -> PurePosixPath:
    """The place of a member in the folder. What begins above it (``../``, ``/``) begins in it instead, as unzip has it.

    Raises
    ------
    InputError
        It leads elsewhere on its way, is a link, or encrypted.
    """
    name = member.filename.replace("\\", "/")
    place = PurePosixPath(name.lstrip("/"))
    while place.parts[:1] == ("..",):
        place = PurePosixPath(*place.parts[1:])
    parts = place.parts
    odd = any(ord(c) < 32 or ord(c) == 127 for c in name) or any(len(p.encode()) > _LONGEST for p in parts)
    if not member.is_dir() and (not parts or not name.strip("/.")):
        odd = True
    if ".." in parts or (parts and ":" in parts[0]) or odd or len(parts) > _DEEPEST:
        raise InputError(f"{file}: holds {name[:80]!r}, which leads out of its folder or is no name. {_ADVICE}")
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InputError(f"{file}: {name[:80]!r} in it is a link or a device, expected a file. {_ADVICE}")
    if member.flag_bits & 1:
        raise InputError(f"{file}: {name[:80]!r} in it is encrypted. {_ADVICE}")
    return place


def _is_noise(place: PurePosixPath) -> bool:
    return place.parts[0] == "__MACOSX" or any(p.startswith(".") for p in place.parts)


def _check_sizes(file: Path, members: list[zipfile.ZipInfo], folder: Path) -> None:
    total, packed = sum(m.file_size for m in members), file.stat().st_size
    if len(members) > _MOST_FILES or total > _MOST_BYTES or total > _RATIO * packed + _CHUNK:
        raise InputError(
            f"{file}: {packed} bytes that promise {len(members)} files of {total} bytes, at most {_MOST_FILES} files"
            f" and {min(_MOST_BYTES, _RATIO * packed)} bytes were expected. {_ADVICE}"
        )
    free = shutil.disk_usage(folder).free
    if total > free - _SPARE:
        raise InputError(
            f"{file}: takes {total / 1e9:.1f} GB unpacked, {folder.parent.parent} has {free / 1e9:.1f} GB free. Free"
            " space, or set TMPDIR to a larger disk."
        )
