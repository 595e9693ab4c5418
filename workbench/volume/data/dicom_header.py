"""The header of one DICOM file, read within the bounds of the file, and where its pixels lie."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.core.errors import InputError, reason
from workbench.volume.data.dicom_damage import kinds
from workbench.volume.data.dicom_fields import Fields, tag_of

SUFFIXES = (".dcm", ".ima")

# Only what is needed: a series may have thousands of files, and names of people are not even read. The PatientID tells
# patients of one folder apart, and never leaves as it is (see `dicom_roles.pseudonym`).
_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription",
    "SeriesTime", "Modality", "Manufacturer", "ManufacturerModelName", "ImageType", "InstanceNumber",
    "AcquisitionNumber", "ImagesInAcquisition", "NumberOfSlices", "NumberOfTimeSlices", "ConcatenationUID",
    "InConcatenationTotalNumber", "SliceThickness", "KVP", "ConvolutionKernel", "GantryDetectorTilt",
    "PatientPosition", "PatientID", "ProtocolName", "FrameOfReferenceUID", "Rows", "Columns", "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient", "RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence", "Units",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation",
    "NumberOfFrames", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "SegmentSequence",
    # What tells volumes of one series apart, places tiles of a mosaic, and says what colours are.
    "EchoTime", "EchoNumbers", "TemporalPositionIdentifier", "DiffusionBValue", "DiffusionGradientOrientation",
    "InversionTime", "FlipAngle", "NominalPercentageOfCardiacPhase", "TriggerTime", "FrameReferenceTime", "StackID",
    "AcquisitionTime", "ContentTime", "SpacingBetweenSlices", "RedPaletteColorLookupTableDescriptor",
    # What segmentations and contours were drawn on.
    "ReferencedSeriesSequence", "ReferencedFrameOfReferenceSequence",
]  # fmt: skip
_OF_PICTURES = (
    "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
    "PhotometricInterpretation", "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing",
)  # fmt: skip
_PIXELS, _FLOATS = 0x7FE00010, (0x7FE00008, 0x7FE00009)
_UNDEFINED = 0xFFFFFFFF
_DEFLATED = "1.2.840.10008.1.2.1.99"
_LONG = (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN")  # their length takes 4 bytes, after 2 that are unused


@dataclass(frozen=True)
class Pixels:
    """The pixel data of a file.

    Attributes
    ----------
    start
        The byte of the file at which they begin.
    size
        Bytes that the header states, ``None`` where they end with a delimiter (compressed ones do).
    floating
        They are floating-point numbers (of a parametric map).
    """

    start: int
    size: int | None
    floating: bool = False


class Header(Fields):
    """The attributes of a file, without those of groups that nobody needs.

    Attributes
    ----------
    syntax
        UID of the transfer syntax, empty where the file does not state one.
    pixels
        ``None`` where the file ends before them (reports and plans have none), or is deflated as a whole.
    """

    def __init__(self, file: Path, dataset: Any, pixels: Pixels | None) -> None:
        super().__init__(file, dataset)
        self.pixels = pixels
        self._meta = Fields(file, dataset.file_meta)
        self.syntax = self._meta.text("TransferSyntaxUID")

    @property
    def syntax_name(self) -> str:
        """Name of the transfer syntax for people."""
        from pydicom.uid import UID

        return str(UID(self.syntax).name) if self.syntax else "unknown"

    @property
    def is_compressed(self) -> bool:
        """Whether the pixels are packed by a codec (JPEG, RLE)."""
        from pydicom.uid import UID

        syntax = UID(self.syntax)
        # Private syntaxes are not known to be either: pydicom takes them as it takes those without one.
        return bool(syntax.is_transfer_syntax and not syntax.is_private and syntax.is_compressed)

    @property
    def sop_class(self) -> str:
        """What kind of object it is; some archives blank it in the data set and keep it in the file's own header."""
        return self.text("SOPClassUID") or self._meta.text("MediaStorageSOPClassUID")

    @property
    def sop_instance(self) -> str:
        """The UID of the object."""
        return self.text("SOPInstanceUID") or self._meta.text("MediaStorageSOPInstanceUID")

    @property
    def is_picture(self) -> bool:
        """Whether it holds a picture; those that should and do not are refused.

        Raises
        ------
        InputError
            If the file is cut off before its picture: a slice would be missing.
        """
        if self.has("Rows") and (self.pixels is not None or self.syntax == _DEFLATED):
            return True
        if self.has("Rows") or self.pixels is not None or not self._may_be_without():
            what = "damaged: a picture without Rows (0028,0010)"
            if self.pixels is None:
                what = "cut off before its picture, or a length in its header is wrong"
            raise InputError(f"{self.file}: {what}. A slice would be missing: copy it again.")
        return False

    @property
    def is_known(self) -> bool:
        """Whether the standard knows what kind of object it is; others are of a maker, or damaged."""
        from pydicom.uid import UID

        return bool(UID(self.sop_class).type)

    def _may_be_without(self) -> bool:
        """Reports, plans and presentation states have no picture; of objects of makers nobody knows."""
        from pydicom.uid import UID

        if self.is_known:
            return "Image Storage" not in UID(self.sop_class).name
        # Every object has the first, which the end of a file that is cut off has not; only pictures have the others.
        return self.has("StudyInstanceUID") and not any(self.has(name) for name in _OF_PICTURES)


class BoundedFile(io.BufferedReader):
    """A file of which never more is asked for than it has: memory for gigabytes that a length promises comes first."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """As any file."""
        if size is not None and size > io.DEFAULT_BUFFER_SIZE:
            size = max(min(size, self._size - self.tell()), 0)
        return super().read(size)


def starts_as_dicom(path: Path) -> bool:
    """Whether it begins with the preamble of DICOM."""
    try:
        with path.open("rb") as f:
            return f.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_header(path: Path, *, everything: bool = False) -> Header | None:
    """Header of a DICOM file without its pixels, or ``None`` for anything else.

    Parameters
    ----------
    everything
        All its groups, not only those that a picture needs.

    Raises
    ------
    InputError
        If it begins as a DICOM file and is none that can be read: a slice would be missing.
    """
    import pydicom

    preamble = False
    try:
        with path.open("rb") as f:
            start = f.read(132)
        preamble = start[128:] == b"DICM"
        if start[:4] == b"DICM":
            raise InputError(
                f"{path}: begins with 'DICM', which 128 bytes (the preamble of DICOM) come before. They are lost: copy"
                " or export it again."
            )
        # Without preamble a data set starts with group 0002 or 0008, little endian; anything else is another format.
        if not preamble and start[:2] not in (b"\x08\x00", b"\x02\x00"):
            return None
        with BoundedFile(path) as f:
            tags = None if everything else [tag_of(name) for name in _TAGS]
            dataset = pydicom.dcmread(f, stop_before_pixels=True, force=not preamble, specific_tags=tags)
            head, position = f.read(12), f.tell()
    except kinds() as error:
        if not preamble:
            return None
        raise InputError(
            f"{path}: not a readable DICOM file ({reason(error)}). A slice would be missing: copy it again or remove"
            " it."
        ) from error
    header = Header(path, dataset, _pixels(path, head, position, dataset))
    return header if preamble or header.has("SOPClassUID") else None


def _pixels(path: Path, head: bytes, position: int, dataset: Any) -> Pixels | None:
    """Where the pixels begin, from the head of their element, after which the file stands at `position`."""
    implicit, little = dataset.original_encoding
    order: Literal["little", "big"] = "little" if little else "big"
    if len(head) < 8:
        return None
    tag = int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)
    if tag not in (_PIXELS, *_FLOATS):
        return None
    begin = position - len(head)
    if implicit:
        size, start = int.from_bytes(head[4:8], order), begin + 8
    elif head[4:6] in _LONG:
        size, start = int.from_bytes(head[8:12], order), begin + 12
    else:
        raise InputError(
            f"{path}: PixelData (7fe0,0010) is of type {head[4:6].decode('latin-1')!r}, expected OB or OW. The header"
            " is damaged: copy or export it again."
        )
    return Pixels(start, None if size == _UNDEFINED else size, tag in _FLOATS)
