"""What one DICOM file is, in a few words that are kept: trees of thousands of files are sorted into series by them."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from workbench.core.errors import InputError
from workbench.core.stamps import FileStamp, stamps
from workbench.volume.data.dicom_fields import Fields, many
from workbench.volume.data.dicom_header import SUFFIXES, Header, read_header, starts_as_dicom
from workbench.volume.data.dicom_roles import SEGMENTATION, Look, pseudonym
from workbench.volume.data.series_rule import SeriesFacts

_MOST = 200_000  # files whose entries are kept
_NO_FACTS, _NO_LOOK = SeriesFacts(), Look()

Key = tuple[str, str, str, bool]
"""SeriesInstanceUID (or what describes the series), StudyInstanceUID, pseudonym of the patient, is it a localizer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file.

    Attributes
    ----------
    key
        Its series; ``None`` where the file cannot be read so far.
    picture
        It holds one, or should.
    problem
        Why it cannot be read, "" where it can.
    sop
        UID of the object.
    refers_to
        The series that a segmentation or contours were drawn on.
    source
        UID of the first image of these, where it is told.
    """

    path: Path
    key: Key | None
    picture: bool = False
    problem: str = ""
    sop: str = ""
    instance: int | None = None
    facts: SeriesFacts = _NO_FACTS
    look: Look = _NO_LOOK
    size: str = "? x ?"
    refers_to: tuple[str, ...] = ()
    source: str = ""

    @property
    def uid(self) -> str:
        return "" if self.key is None else self.key[0].partition("|")[0]


_known: dict[Path, tuple[FileStamp, Entry]] = {}


def entry(path: Path) -> Entry:
    """The entry of a file, from its header; kept until the file changes."""
    (stamp,) = stamps([path])
    kept = _known.get(path)
    if kept is not None and kept[0] == stamp:
        return kept[1]
    found = _entry(path)
    if len(_known) >= _MOST:
        _known.clear()
    _known[path] = stamp, found
    return found


def known(path: Path) -> Entry | None:
    """The entry of a file that was looked at before and has not changed since; reads nothing."""
    kept = _known.get(path)
    return kept[1] if kept is not None and kept[0] == stamps([path])[0] else None


def is_dicom_file(path: Path) -> bool:
    """Whether a file of a tree is DICOM by its suffix or its first bytes, or by its header where it has no suffix."""
    if path.suffix.lower() in SUFFIXES or starts_as_dicom(path):
        return True
    # Without a suffix, or named by its UID: then what follows the last dot is a number.
    if re.fullmatch(r"\.\w*[A-Za-z]\w*", path.suffix, flags=re.ASCII):
        return False
    try:
        return read_header(path) is not None
    except InputError:
        return True


def series_key(header: Header) -> Key:
    """What tells the series of a file from all others, those of other patients included."""
    uid = header.text("SeriesInstanceUID")
    if not uid:
        # Blanked by some anonymisers: then what describes the series tells them apart.
        uid = "|" + "|".join(header.text(t) for t in ("Modality", "SeriesNumber", "SeriesDescription", "SeriesTime"))
    return uid, header.text("StudyInstanceUID"), pseudonym(header.text("PatientID")), _is_localizer(header)


def filled_keys(keys: Iterable[Key]) -> dict[Key, Key]:
    """Key -> the key of the series that its files belong to.

    Some anonymisers blank patient or study in a part of the files: these belong to the one series of the same UID that
    agrees with them in the rest.
    """
    found = {key: key for key in keys}
    alike: dict[tuple[str, bool], list[Key]] = defaultdict(list)
    for key in found:
        if not key[0].startswith("|"):
            alike[key[0], key[3]].append(key)
    for same in alike.values():
        same.sort(key=lambda k: k[1:3].count(""))  # what has both comes first, and takes in what has less
        for n, key in enumerate(same):
            fitting = {found[k] for k in same[:n] if key[1] in ("", k[1]) and key[2] in ("", k[2])}
            if len(fitting) == 1:
                found[key] = fitting.pop()
    return found


def facts_of(header: Header, key: Key, slices: float) -> SeriesFacts:
    """What a rule can ask of the series that the file belongs to."""
    return SeriesFacts(
        description=_text(header, "SeriesDescription"),
        modality=_text(header, "Modality"),
        kernel=_text(header, "ConvolutionKernel"),
        protocol=_text(header, "ProtocolName"),
        uid=key[0].partition("|")[0],
        study=key[1],
        patient=key[2],
        slices=slices,
        thickness=_number(header, "SliceThickness"),
        number=_number(header, "SeriesNumber"),
    )


def look_of(header: Header, images: int) -> Look:
    """What tells the role of the series that the file belongs to."""
    return Look(
        sop_class=header.sop_class,
        modality=_text(header, "Modality"),
        image_type=tuple(str(v) for v in many(header.shown("ImageType"))),
        description=_text(header, "SeriesDescription"),
        placed=header.has("ImagePositionPatient") or header.has("PerFrameFunctionalGroupsSequence"),
        images=images,
    )


def _entry(path: Path) -> Entry:
    try:
        header = read_header(path)
    except InputError as error:
        return Entry(path, None, problem=str(error))
    if header is None:
        said = f"{path}: not a readable DICOM file. A slice would be missing: copy it again or remove it."
        return Entry(path, None, problem=said)
    problem, picture, key = "", True, None
    try:
        key = series_key(header)
        picture = header.is_picture
    except InputError as error:
        problem = str(error)
    frames = header.shown("NumberOfFrames")
    images = frames if isinstance(frames, int) and frames > 0 else 1
    instance = header.shown("InstanceNumber")
    series, source = _drawn_on(header)
    return Entry(
        path,
        key,
        picture,
        problem,
        header.sop_instance if not problem else "",
        instance if isinstance(instance, int) else None,
        facts_of(header, key or ("", "", "", False), images),
        look_of(header, images),
        f"{header.shown('Columns')} x {header.shown('Rows')}",
        series,
        source,
    )


def _drawn_on(header: Header) -> tuple[tuple[str, ...], str]:
    """The series that a segmentation or contours refer to, and the first image; what is damaged refers to nothing."""
    try:
        if header.sop_class in SEGMENTATION:
            series = [i.text("SeriesInstanceUID") for i in header.items("ReferencedSeriesSequence")]
            return tuple(dict.fromkeys(filter(None, series))), _first_source(header)
        if header.text("Modality") == "RTSTRUCT":
            series = [
                item.text("SeriesInstanceUID")
                for frame in header.items("ReferencedFrameOfReferenceSequence")
                for study in frame.items("RTReferencedStudySequence")
                for item in study.items("RTReferencedSeriesSequence")
            ]
            return tuple(dict.fromkeys(filter(None, series))), ""
    except InputError:  # whoever opens it says so
        pass
    return (), ""


def _first_source(header: Header) -> str:
    found: Fields | None = header
    for name in ("PerFrameFunctionalGroupsSequence", "DerivationImageSequence", "SourceImageSequence"):
        found = None if found is None else found.item(name)
    return "" if found is None else found.text("ReferencedSOPInstanceUID")


def _is_localizer(header: Header) -> bool:
    return "LOCALIZER" in [str(v).upper() for v in many(header.value("ImageType"))]


def _text(header: Header, name: str) -> str:
    found = header.shown(name)
    return "" if found is None else " ".join(str(v) for v in many(found)).strip()


def _number(header: Header, name: str) -> float:
    found = header.shown(name)
    return float(found) if isinstance(found, (int, float)) else math.nan
