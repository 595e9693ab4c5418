"""Whether the files of a series belong together, and whether their pixels are measured values at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workbench.core.errors import InputError
from workbench.volume.data.dicom_header import Header

_SAME = (
    "PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "Modality", "Units", "SamplesPerPixel",
    "PhotometricInterpretation",
)  # fmt: skip
_OF_PEOPLE = ("PatientID",)  # compared, and never shown
_SAMPLES = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3, "HSV": 3, "ARGB": 4, "CMYK": 4}


def require_one_series(headers: Sequence[Header]) -> None:
    """Refuse a file of another patient, study, frame of reference or quantity under the same SeriesInstanceUID.

    Raises
    ------
    InputError
        Names the file and the attribute that differs.
    """
    seen: dict[str, tuple[str, Header]] = {}
    for header in headers:
        rows = [(name, header.text(name)) for name in _SAME]
        # A CT without the type is in HU by definition.
        for name, found in (*rows, *(("RescaleType", t) for t in _rescale_types(header))):
            if not found:
                continue  # blanked by some anonymisers in a part of the files
            first, other = seen.setdefault(name, (found, header))
            if first == found:
                continue
            values = "" if name in _OF_PEOPLE else f" ({found!r}, and {first!r})"
            raise InputError(
                f"{header.file}: has another {name} than {other.file.name} of the same series{values}, one was"
                " expected. Put what belongs together into its own folder."
            )


def check_photometric(headers: Sequence[Header]) -> Iterator[str]:
    """Refuse colours where measured values are promised.

    Yields
    ------
    str
        What a person should know: pictures that are meant to be shown inverted.

    Raises
    ------
    InputError
        If pixels are indices of a palette, colours with a rescale to values, or have another number of samples.
    """
    for header in headers:
        kind, samples = header.text("PhotometricInterpretation").upper(), header.count("SamplesPerPixel", high=4)
        start = f"{header.file}: PhotometricInterpretation (0028,0004) is {kind!r}"
        expected = _SAMPLES.get(kind, 3 if kind.startswith("YBR_") else samples)
        if samples != expected:
            raise InputError(
                f"{start}, which has {expected} sample(s) per pixel, and SamplesPerPixel (0028,0002) is {samples}. The"
                " header is damaged: copy or export it again."
            )
        if samples > 1 and any(header.has(n) for n in ("RescaleSlope", "RescaleIntercept", "RescaleType")):
            raise InputError(
                f"{start}, and a rescale to values follows (RescaleSlope, RescaleIntercept): colours are no measured"
                " values. Export it as gray."
            )
    first = headers[0].text("PhotometricInterpretation").upper()
    if first == "MONOCHROME1":
        yield "PhotometricInterpretation is MONOCHROME1: low values are bright; they are taken as stored, not inverted"


def _rescale_types(header: Header) -> Iterator[str]:
    """The quantity of the rescaled values: of the file, or of each of its frames."""
    modality = header.text("Modality")
    default = "HU" if modality == "CT" else ""
    yield header.text("RescaleType") or (default if header.has("RescaleSlope") else "")
    for group in header.items("PerFrameFunctionalGroupsSequence"):
        if (item := group.item("PixelValueTransformationSequence")) is not None:
            yield item.text("RescaleType")
