"""The header of a BrainVision recording, and whether its samples and markers are what it promises."""

from __future__ import annotations

import codecs
import configparser
import math
import re
from pathlib import Path, PureWindowsPath

from workbench.core.errors import InputError, reading
from workbench.data.companion import beside, require_regular
from workbench.data.header_text import shortened, whole_number
from workbench.recording.data import units
from workbench.recording.data.extent import ADVICE, Checked, compare, incomplete

LONGEST = 16 << 20
"""Bytes of the longest header or list of markers: parsers of texts take their time."""

_BYTES = {"INT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4}
_VOLTS = ("V", "mV", "\u00b5V", "uV", "nV")
_DATA = re.compile(rb"^DataFile=([^\r\n]*)", re.MULTILINE)
_MARKER = re.compile(rb"^Mk\d+=[^,\r\n]*,[^,\r\n]*,\s*(\d{1,18})\s*(?:,|$)", re.MULTILINE)
# Encodings in which the bytes of a path stay what they are: others could hide one.
_CODEPAGES = re.compile(
    r"utf-?8(-sig)?|ansi|(us-)?ascii|latin-?1|(cp|windows-?)(125\d|437|850|874|932|936|949|950)"
    r"|iso[-_]?8859[-_]\d+|gbk|gb2312|gb18030|big5|shift[-_]?jis|euc[-_](jp|kr)",
    re.IGNORECASE,
)


def check(path: Path, allow_truncated: bool) -> Checked:
    """Compare the header with the files that it names.

    Raises
    ------
    InputError
        A name leads elsewhere, a number cannot be, samples are missing or too many, or a marker lies behind them.
    """
    fields = _fields(path)
    common = "Common Infos" if fields.has_section("Common Infos") else "Common infos"
    name = fields.get(common, "DataFile", fallback="")
    data = beside(path, "DataFile", name) if name else None
    if data is None or not data.is_file():
        what = f"{shortened(name)}, which is not there" if name else "missing"
        raise InputError(f"{path}: DataFile is {what}, expected the name of the file with the samples beside it.")
    channels = _channels(path, fields, common)
    interval = fields.get(common, "SamplingInterval", fallback="")
    if not _is_positive(interval):
        raise InputError(
            f"{path}: SamplingInterval is {shortened(interval)}, expected a positive number of microseconds. {ADVICE}"
        )
    points = fields.get(common, "DataPoints", fallback="") or "0"
    promised = whole_number(path, "DataPoints", points, 0, 10**15)
    turned = fields.get(common, "DataOrientation", fallback="") != "MULTIPLEXED"
    if fields.get(common, "DataFormat", fallback="") == "BINARY":
        width = channels * _BYTES.get(fields.get("Binary Infos", "BinaryFormat", fallback=""), 1)
        found, rest = divmod(data.stat().st_size, width)
        left = f"{rest} of the {width} bytes of another" if rest else ""
    else:
        found, left = _lines(path, data, fields, channels), ""
    # Of samples stored channel after channel, the last channels are gone.
    allowed = None if turned or (promised and found > promised) else allow_truncated
    if promised:
        notes = compare(path, promised, found, left, allowed=allowed)
    elif left:
        said = f"its samples need a whole number of {width} bytes, {data.name} holds {found} samples and {left}"
        notes = incomplete(path, said, found, allowed=allowed)
    else:
        notes = ()
    markers = _list_of_markers(path, fields.get(common, "MarkerFile", fallback=""))
    if markers is None:
        return Checked((*notes, *_units(fields)))
    notes = (*notes, *_units(fields), *_markers(path, markers, name, found, allow_truncated))
    return Checked(notes, files=(markers,))


def _fields(path: Path) -> configparser.ConfigParser:
    """The fields of the header, found as MNE finds them."""
    text = _decoded(path, limited(path).partition(b"\n")[2]).split("[Comment]")[0]
    fields = configparser.ConfigParser(interpolation=None)
    with reading(path, "not a readable BrainVision header", ADVICE, kinds=(configparser.Error,)):
        fields.read_string(text)
    return fields


def _decoded(path: Path, content: bytes) -> str:
    named = re.search(r"Codepage=(.+)", content.decode("ascii", "ignore"))
    name = named[1].strip() if named else "utf-8"
    if not _CODEPAGES.fullmatch(name):
        raise InputError(f"{path}: Codepage is {shortened(name)}, expected UTF-8 or ANSI. Correct this field.")
    try:
        encoding = codecs.lookup("cp1252" if name.upper() == "ANSI" else name)
        return content.decode(encoding.name)
    except LookupError as error:
        raise InputError(
            f"{path}: Codepage is {shortened(name)}, which is unknown here. Correct this field."
        ) from error
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _channels(path: Path, fields: configparser.ConfigParser, common: str) -> int:
    """The number of channels, each of which must be described."""
    count = whole_number(path, "NumberOfChannels", fields.get(common, "NumberOfChannels", fallback=""), 1, 65535)
    listed = fields.items("Channel Infos") if fields.has_section("Channel Infos") else []
    if {name for name, _ in listed} != {f"ch{n + 1}" for n in range(count)}:
        raise InputError(
            f"{path}: NumberOfChannels is {count}, [Channel Infos] lists {len(listed)}, expected Ch1 to Ch{count}."
            f" {ADVICE}"
        )
    for name, words in listed:
        resolution = [*words.split(","), "", ""][2].strip()
        if resolution and not _is_positive(resolution.lstrip("-")):
            raise InputError(
                f"{path}: {name} has the resolution {shortened(resolution)}, expected a number that is not 0. {ADVICE}"
            )
    return count


def _units(fields: configparser.ConfigParser) -> tuple[str, ...]:
    """The note on units that are not known; the byte is what its reader drops of a mu in UTF-8."""
    words = [line.split(",") for _, line in fields.items("Channel Infos")]
    return units.unknown(((w[0], w[3].replace("\xc2", "")) for w in words if len(w) > 3), _VOLTS)


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def _lines(path: Path, data: Path, fields: configparser.ConfigParser, channels: int) -> int:
    """Samples of a data file of text, one a line; each must hold a number for each channel."""
    skipped = fields.get("ASCII Infos", "SkipLines", fallback="0")
    skip = whole_number(path, "SkipLines", skipped, 0, 1000)
    count, columns, last = -skip, 0, b""
    with data.open("rb") as f:
        for line in f:
            count += 1
            last = line
            columns = columns or (len(_split(line)) if count == 1 else 0)
    if count > 0 and not channels <= len(_split(last)) == columns:
        raise InputError(
            f"{path}: the last line of {data.name} holds {len(_split(last))} values, the first {columns}, expected"
            f" {channels}: cut off. {ADVICE}"
        )
    return max(count, 0)


def _split(line: bytes) -> list[bytes]:
    return line.split() if b" " in line.strip() else line.strip().split(b",")


def _list_of_markers(path: Path, name: str) -> Path | None:
    """The list of markers that a reader takes, if there is one."""
    file = beside(path, "MarkerFile", name) if name else None
    if file is None or file.is_file():
        return file
    file = path.with_suffix(".vmrk")  # where MNE looks then
    require_regular(file)
    return file if file.is_file() else None


def _markers(path: Path, file: Path, data: str, samples: int, allow_truncated: bool) -> tuple[str, ...]:
    """Check a list of markers; those behind the last sample say that samples are missing."""
    content = limited(file)
    notes = _of_same_recording(path, file, content, data)
    places = [int(place) for place in _MARKER.findall(content)]
    beyond = [p for p in places if p > samples + 1]
    if not beyond:
        return notes
    said = f"{len(beyond)} of {len(places)} markers lie behind its {samples} samples, the last at {max(beyond)}"
    return notes + incomplete(path, said, samples, allowed=allow_truncated)


def _of_same_recording(path: Path, file: Path, content: bytes, data: str) -> tuple[str, ...]:
    """The note where a list of markers names other samples than the header: files are renamed, or mixed up."""
    found = _DATA.search(content)
    if found is None or b"$b" in found[1]:  # the name of the header stands in for it
        return ()
    named = {PureWindowsPath(found[1].decode(c, "replace").strip()).name for c in ("utf-8", "cp1252")} - {""}
    if not named or PureWindowsPath(data).name.lower() in {n.lower() for n in named}:
        return ()
    name = min(named, key=len)
    said = f"its list of markers {file.name} names the samples {shortened(name)}, the header {shortened(data)}"
    if any((path.parent / n).is_file() for n in named if len(n) < 200):
        raise InputError(
            f"{path}: {said}, and both are there: whose markers are these? Correct DataFile in {file.name}."
        )
    return (f"{said}: the header was believed",)


def limited(path: Path) -> bytes:
    """The bytes of a text that some parser will read."""
    require_regular(path)
    size = path.stat().st_size
    if size > LONGEST:
        raise InputError(f"{path}: {size} bytes, a header of at most {LONGEST} was expected. {ADVICE}")
    return path.read_bytes()
