"""What a DICOM series is beside a volume: a localizer, a dose page, a screenshot, a segmentation, a projection.

These do not compete with the volume of a study: nobody means them by "the CT of this patient".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # binary/fractional, label map
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # secondary capture, and its multi-frame relatives below it
_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
# What makers write into ImageType for pages and screenshots.
_PAGES = {"SCREEN SAVE", "SCREEN_SAVE", "SCREENSAVE", "DOSE", "DOSE_INFO", "DOSE REPORT", "PROT", "POSDISP", "REPORT"}
_SCOUT = re.compile(
    r"(^|[^a-z])(scouts?|topogram|surview|scanogram|locali[sz]ers?|survey|3[ -]?plane|dose ?report|patient protocol)"
    r"([^a-z]|$)",
    re.IGNORECASE,
)
# Shorter words, which volumes are called by too (a planning CT): they count for few pictures beside many.
_SHORT_SCOUT = re.compile(r"(^|[^a-z])(loc|topo|(ü|ue)bersicht\w*|planung\w*|pilot)([^a-z]|$)", re.IGNORECASE)
_FEW, _SHARE = 15, 2
_WORDS = {
    "SR": "a report",
    "PR": "a presentation state",
    "KO": "a selection of key images",
    "RTSTRUCT": "contours",
    "RTPLAN": "a treatment plan",
    "RTRECORD": "a treatment record",
    "REG": "a registration",
    "DOC": "a document",
    "ECG": "a waveform",
}


@dataclass(frozen=True)
class Look:
    """What tells the role of a series, from its first header.

    Parameters
    ----------
    placed
        It says where its pictures lie in the patient, by itself or frame by frame.
    images
        Pictures in it.
    """

    sop_class: str = ""
    modality: str = ""
    image_type: tuple[str, ...] = ()
    description: str = ""
    placed: bool = True
    images: int = 1


def other_role(look: Look) -> str:
    """What it is instead of a volume, in words; "" for a volume."""
    kinds = {v.strip().upper() for v in look.image_type}
    if look.sop_class in SEGMENTATION:
        return "a segmentation"
    if "LOCALIZER" in kinds:
        return "a localizer"
    if look.sop_class == _DOSE or look.modality == "RTDOSE":
        return "a dose distribution (RTDOSE)"
    if look.sop_class == _SLIDE or look.modality == "SM":
        return "a slide (SM)"
    if kinds & _PAGES:
        return f"a page or screenshot ({' '.join(sorted(kinds & _PAGES))})"
    capture = look.sop_class == _CAPTURE or look.sop_class.startswith(_CAPTURE + ".")
    if capture and not (look.placed and look.images > 1):
        return "a secondary capture (a dose page or a screenshot)"
    if not look.placed:
        if look.modality == "NM":
            return "nuclear medicine (NM), which is not read"
        return f"a picture without a place in the patient ({look.modality or 'no modality'}): a page or a projection"
    return ""


def seems_scout(look: Look) -> bool:
    """Whether it is called as localizers are. A name is no proof: it only counts beside a volume of the same study."""
    return bool(_SCOUT.search(look.description))


def other_roles(looks: Sequence[Look]) -> list[str]:
    """`other_role` of the series of one study, which are held against each other."""
    roles = [other_role(look) for look in looks]
    volumes = [k for role, k in zip(roles, looks, strict=True) if not role and not seems_scout(k)]
    if volumes:
        most = max(k.images for k in volumes)
        for number, look in enumerate(looks):
            few = look.images <= min(_FEW, most // _SHARE) and _SHORT_SCOUT.search(look.description)
            if not roles[number] and (seems_scout(look) or few):
                roles[number] = "a localizer, by its description"
    return roles


def without_picture(modality: str, sop_class: str) -> str:
    """What an object without pictures is, in words."""
    from pydicom.uid import UID

    name = UID(sop_class).name if sop_class else ""
    name = "" if name == sop_class else name.removesuffix(" Storage")
    words = _WORDS.get(modality, "no picture")
    about = ", ".join(part for part in (modality, name) if part)
    return f"{words} ({about})" if about else words


def pseudonym(patient: str) -> str:
    """The same for the same patient, and not what the header calls them: for groups of cases."""
    return f"patient-{hashlib.sha256(patient.strip().encode()).hexdigest()[:8]}" if patient.strip() else ""
