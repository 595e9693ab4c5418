"""Scores of a map apart for pixels that taught the weights, pixels beside them, and pixels that are new to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.scene.data.agreed import Agreed
from workbench.scene.data.seen_pixels import STANDINGS, read_seen, standing

Index = npt.NDArray[np.intp]

ROWS = {
    "no": "unseen pixels",
    "near": "pixels near those learnt",
    "chosen by": "pixels that chose the weights",
    "learnt": "pixels learnt from",
}
"""What a row is called, by how its pixels stand; the first is the headline."""


def standings(record: Mapping[str, Any], agreed: Agreed, reach: int) -> npt.NDArray[np.uint8] | None:
    """How each pixel of a scene stands to what taught weights; ``None`` where the weights do not say it."""
    seen = read_seen(record)
    if seen is None:
        return None
    return standing(seen, agreed.image, agreed.stated, agreed.fitted, reach)


def parted(pixels: Index, known: npt.NDArray[np.uint8] | None) -> list[tuple[str, str, Index]]:
    """Test pixels by how they stand.

    Returns
    -------
    list
        (name of the row, its mark, flat indices): first the unseen ones where there are any; all of them last. Where
        nothing was seen, or it is not known, all of them alone.
    """
    if known is None:
        return [("all labels", "not known", pixels)]
    here = known.ravel()[pixels]
    if not here.any():
        return [("all labels", "no", pixels)]
    groups = [(ROWS[name], name, pixels[here == number]) for number, name in enumerate(STANDINGS)]
    return [*(g for g in groups if g[2].size), ("all labels", "in part" if (here == 0).any() else "learnt", pixels)]


def seen_notes(record: Mapping[str, Any], pixels: Index, known: npt.NDArray[np.uint8] | None) -> tuple[str, ...]:
    """What a reader of scores should know of the pixels that they are taken on."""
    if known is None:
        return ("these weights do not say what taught them: whether they have seen these pixels is not known",)
    notes = [
        f"these weights went on from {e.get('id')}, which do not say what taught them: whether those have seen these "
        "pixels is not known"
        for e in record.get("seen", ())
        if isinstance(e, Mapping) and e.get("untold")
    ]
    here = known.ravel()[pixels]
    if here.any():
        counts = {name: int((here == number).sum()) for number, name in enumerate(STANDINGS)}
        text = (
            f"{counts['learnt']} of {pixels.size} labelled pixels taught the weights, {counts['chosen by']} decided "
            f"which were kept, {counts['near']} lie within a patch of those"
        )
        if counts["no"]:
            text += f": the scores to go by are those on the {counts['no']} unseen pixels, the first row"
        else:
            text += ": none is unseen, and the scores show fit, not what new data would give"
        notes.append(text)
    return tuple(notes)


def mark_of(record: Mapping[str, Any], pixels: Index, agreed: Agreed, reach: int) -> str:
    """One mark for the test pixels of a training that went on from weights."""
    known = standings(record, agreed, reach)
    if known is None or any(isinstance(e, Mapping) and e.get("untold") for e in record.get("seen", ())):
        return "not known"
    here = known.ravel()[pixels]
    if not here.any():
        return "no"
    return "learnt" if (here == 3).all() else "in part" if (here > 1).any() else "near"
