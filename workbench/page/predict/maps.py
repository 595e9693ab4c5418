"""What the network says of a rectified page, as arrays: traces, pulses, words, and where names of leads stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.page.net.page_net import FINER, LEADS, MULTIPLE
from workbench.page.rectified import PER_MM

Share = npt.NDArray[np.float32]
_STRIP, _AROUND = 1536, 64
"""Columns that are looked at together, and what is seen on both sides of them besides."""
_NAME_STEP = 8
_UNSURE = 0.6
"""Share of the best vote from which on another name may be meant as well."""


@dataclass(frozen=True)
class Name:
    """The name of a lead where it stands: its middle in mm from the upper left of the page, and how sure it is.

    `votes` are how sure each of `LEADS` is there.
    """

    lead: str
    x: float
    y: float
    score: float
    votes: tuple[float, ...] = ()

    @property
    def others(self) -> tuple[str, ...]:
        """Names that were seen there nearly as well."""
        near = (lead for lead, vote in zip(LEADS, self.votes, strict=False) if vote > _UNSURE * self.score)
        return tuple(lead for lead in near if lead != self.lead)

    def share(self, lead: str) -> float:
        """How much of what was seen there speaks for a lead, 0 to 1 over all names."""
        votes = self.votes or tuple(self.score if name == self.lead else 0.0 for name in LEADS)
        own = votes[LEADS.index(lead)] if lead in LEADS else 0.0
        return (own + 0.02) / (sum(votes) + 0.02 * len(LEADS))


@dataclass(frozen=True, eq=False)
class Maps:
    """What was seen.

    Parameters
    ----------
    trace, pulse
        ``(rows, 2 * columns)`` float32, 0 to 1.
    words
        ``(rows / 2, columns / 2)`` float32, 0 to 1.
    names
        Names of leads, each once where it stands.
    """

    trace: Share
    pulse: Share
    words: Share
    names: tuple[Name, ...]


def look(model: Any, page: npt.NDArray[np.uint8], device: Any = "cpu", precision: str = "auto") -> Maps:
    """Run the network over a page; see `shares`."""
    trace, pulse, words, names = shares(model, page, device, precision)
    return Maps(trace, pulse, words, names_of(names))


def shares(
    model: Any, page: npt.NDArray[np.uint8], device: Any = "cpu", precision: str = "auto"
) -> tuple[Share, Share, Share, Share]:
    """Run the network over a page, in strips, so that memory does not grow with its width.

    Parameters
    ----------
    model
        `workbench.page.net.page_net.PageNet` in evaluation mode.
    page
        ``(rows, columns, 3)`` uint8 at `PER_MM` pixels a millimetre.

    Returns
    -------
    tuple
        Traces and pulses, ``(rows, 2 * columns)``; words, half as many of both; names, ``(13, rows / 8, columns / 8)``,
        rows filled up to whole blocks. float32, 0 to 1.
    """
    import torch

    rows, columns = page.shape[:2]
    high = -(-rows // MULTIPLE) * MULTIPLE
    trace = np.zeros((rows, FINER * columns), np.float32)
    pulse, words = np.zeros_like(trace), np.zeros((-(-rows // 2), -(-columns // 2)), np.float32)
    names = np.zeros((len(LEADS), high // _NAME_STEP, -(-columns // _NAME_STEP)), np.float32)
    half = precision == "bfloat16" or (precision == "auto" and likes_bfloat16(device))
    for first in range(0, columns, _STRIP):
        last = min(first + _STRIP, columns)
        left, right = max(first - _AROUND, 0), min(last + _AROUND, columns)
        wide = -(-(right - left) // MULTIPLE) * MULTIPLE
        piece = np.pad(page[:, left:right], [(0, high - rows), (0, wide - (right - left)), (0, 0)], mode="edge")
        given = torch.from_numpy(np.ascontiguousarray(piece)).permute(2, 0, 1)[None].float() / 255
        given = given.to(device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
            found = model(given)
        own = slice(first - left, last - left)
        for out, logits in ((trace, found.trace), (pulse, found.pulse)):
            share = torch.sigmoid(logits[0].float()).cpu().numpy()
            out[:, FINER * first : FINER * last] = share[:rows, FINER * own.start : FINER * own.stop]
        share = torch.sigmoid(found.words[0].float()).cpu().numpy()[: words.shape[0]]
        words[:, first // 2 : -(-last // 2)] = share[:, own.start // 2 : own.start // 2 + -(-last // 2) - first // 2]
        share = torch.sigmoid(found.names[0].float()).cpu().numpy()
        a, b = first // _NAME_STEP, -(-last // _NAME_STEP)
        names[:, :, a:b] = share[:, :, own.start // _NAME_STEP : own.start // _NAME_STEP + b - a]
    return trace, pulse, words, names


def likes_bfloat16(device: Any) -> bool:
    import torch

    if torch.device(device).type != "cpu":
        return True
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def names_of(maps: Share, least: float = 0.35) -> tuple[Name, ...]:
    """Peaks of the maps; where several names are seen at a place, the surest."""
    from scipy import ndimage

    best = maps.max(axis=0)
    peaks = (best >= least) & (best == ndimage.maximum_filter(best, 5))
    found = []
    for y, x in zip(*np.nonzero(peaks), strict=True):
        around = maps[:, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        k = int(around.max(axis=(1, 2)).argmax())
        weight = around[k]
        gy, gx = np.mgrid[
            max(y - 1, 0) : max(y - 1, 0) + weight.shape[0], max(x - 1, 0) : max(x - 1, 0) + weight.shape[1]
        ]
        cy, cx = (float((g * weight).sum() / weight.sum()) for g in (gy, gx))
        mm = _NAME_STEP / PER_MM
        votes = tuple(float(v) for v in around.max(axis=(1, 2)))
        found.append(Name(LEADS[k], (cx + 0.5) * mm, (cy + 0.5) * mm, float(weight.max()), votes))
    found.sort(key=lambda name: -name.score)
    kept: list[Name] = []
    for name in found:
        if all(np.hypot(name.x - other.x, name.y - other.y) > 4.0 for other in kept):
            kept.append(name)
    return tuple(kept)
