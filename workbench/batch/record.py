"""The completion record of a case: present and true, or the case counts as not done.

``provenance.json`` is written last and names every file with its hash. Only a record whose settings, weights, input
and files all match lets a case be skipped; the mere existence of files says nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from workbench.core import case_folder, settings
from workbench.core.provenance import input_hash
from workbench.core.types import Image

NAME = case_folder.RECORD
State = Literal["new", "complete", "damaged", "other", "edited"]

# How a case was computed, not what: the spelling of a path, the device and the batch do not make another result.
_HOW = {"weights", "device", "batch"}


def read(folder: Path) -> dict[str, Any] | None:
    """The record in `folder`, or ``None`` if there is none that can be read; what a killed run began is completed."""
    case_folder.settle(folder)
    return case_folder.read_record(folder)


def compare(
    folder: Path, *, config: Any, weights_sha256: str | None, image: Image, format: str = "", kept: str = ""
) -> tuple[State, str]:
    """What `folder` holds, measured against what would be computed now, and for ``"other"`` what differs.

    ``"new"``: no record; ``"complete"``: exactly this; ``"damaged"``: this, but a file changed or is gone;
    ``"other"``: made from another input, weights or settings; ``"edited"``: corrected by hand. `format` is the one to
    write; records of version 0.1 say none, and have the `kept` one.
    """
    record = read(folder)
    if record is None:
        return "new", ""
    if record.get("edited_by_hand"):
        return "edited", ""
    wanted = json.loads(json.dumps(settings.as_dict(config), default=str))
    # A setting that did not exist when the result was made had the effect that is its default today.
    usual = json.loads(json.dumps({s.name: s.default for s in settings.describe(type(config)).values()}, default=str))
    found = {**{k: v for k, v in usual.items() if k in wanted}, **record.get("settings", {})}
    differing = [k for k in sorted({*wanted, *found} - _HOW) if wanted.get(k) != found.get(k)]
    if record.get("weights_sha256") != weights_sha256:
        differing.append("weights")
    if record.get("input_sha256") != input_hash(image):
        differing.append("input")
    if format and record.get("format", kept) != format:
        differing.append("format")
    if differing:
        return "other", ", ".join(differing)
    files: dict[str, dict[str, Any]] = record.get("files", {})
    intact = bool(files) and all(case_folder.is_intact(folder / Path(n).name, entry) for n, entry in files.items())
    return ("complete" if intact else "damaged"), ""
