"""From a page or a record to a diagnosis, or to why none is said; and to what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from workbench.core.lines import Lines
from workbench.core.signals import Signals
from workbench.core.types import Geometry, Heatmap, Part, Result, Scores
from workbench.page.diagnose.leads import lead_array
from workbench.page.diagnose.model import TOGETHER, Diagnoser
from workbench.page.diagnose.opinions import Diagnosis, Opinion, normal_of, seen_of, too_little, weigh
from workbench.page.diagnose.per_lead import NEAR, OUTSIDE, SHORTCUT, shares_of_leads, shares_on
from workbench.page.diagnose.picture import DOWN, ROWS, Place, picture_of
from workbench.page.leads import STANDARD
from workbench.page.net.lead_net import SECONDS
from workbench.page.predict.measurements import measurements
from workbench.page.traces import PAGE_CORNER, Sheet

if TYPE_CHECKING:
    from workbench.page.net.classifiers import PictureNet

Floats = npt.NDArray[np.floating[Any]]

LOOKED_AT = ("lead", "image [%]", "signal [%]")
DETAIL = "diagnosis"
"""Of the provenance: what was said, why, by which weights."""
_LONGER = 1.1
"""Times the seconds that the network of leads takes, from which on it is said that more was there."""
_LATTICE = 8
"""Pixels of the picture after which it is looked up where on the page they lie."""
DEMO = "of no meaning for a patient: "
"""What stands before a diagnosis by weights that have seen simulated hearts alone."""
DEMO_NOTE = (
    "the diagnosis is by weights that were taught with drawn pages of simulated hearts alone: it shows how the "
    "workbench works, and says nothing of a patient"
)


@dataclass(frozen=True, eq=False)
class Looked:
    """A diagnosis with what it rests on.

    Parameters
    ----------
    parts
        ``diagnosis`` and ``lead_attribution`` (tables), and ``attribution`` (`Heatmap` on the picture).
    notes, details
        For the provenance.
    """

    diagnosis: Diagnosis
    parts: dict[str, Part]
    notes: tuple[str, ...]
    details: dict[str, Any]


def diagnose(by: Diagnoser, result: Result, *, attribution: bool = True, why_no_picture: str = "") -> Looked:
    """Diagnose what was read from a page or a record: its leads as they are now, and its page laid flat.

    Parameters
    ----------
    by
        The networks.
    result
        With ``leads`` and, for pages that are pictures, ``traces`` and ``page``; see
        `workbench.page.predict.read_page.read_page`.
    attribution
        Whether to find out what the opinions rest on.
    why_no_picture
        Why there is no picture to look at, where there is none.
    """
    leads, lines = result.parts["leads"], result.parts.get("traces")
    assert isinstance(leads, Signals)
    asked: dict[str, Opinion] = {}
    left_out: dict[str, str] = {}
    needed: tuple[str, ...] = ()
    array = lead_array(leads)
    seen = None if by.picture_net is None else picture_of(result, by.picture_net.config.size)
    if by.picture_net is None:
        left_out["image"] = "the weights hold no network of pictures"
    elif seen is None:
        left_out["image"] = why_no_picture or "there is no page laid flat to look at"
    else:
        asked["image"] = opinion(by, "image", seen[0][None])[0]
    if by.lead_net is None:
        left_out["signal"] = "the weights hold no network of leads"
    elif why := too_little(array, STANDARD, seen_of(result)):
        left_out["signal"], needed = why, ("signal",)
    else:
        asked["signal"] = opinion(by, "signal", array[None])[0]
    said = weigh(by.classes, asked, left_out, _rate(result), by.temperature.get(TOGETHER, 1.0), needed)
    parts: dict[str, Part] = {"diagnosis": said.table()}
    notes = [f"{DEMO}{said.sentence()}" if by.is_demo else said.sentence(), *([DEMO_NOTE] if by.is_demo else [])]
    seconds = leads.data.shape[1] / leads.sampling_rate
    if "signal" in asked and seconds > _LONGER * SECONDS:
        notes.append(f"the diagnosis by leads is of the first {SECONDS:g} of {seconds:.0f} s")
    details: dict[str, Any] = {
        "said": said.said, "reason": said.reason, "weights": by.weights.name, "weights_sha256": by.weights.sha256,
        "left out": dict(said.left_out), "simulated": by.is_demo,
    }  # fmt: skip
    if attribution and said.together is not None:
        target = int(said.together.argmax())
        details["attribution of"] = by.classes[target]
        rows: dict[str, Mapping[str, float]] = {}
        if "image" in said.opinions and seen is not None and isinstance(lines, Lines):
            from workbench.page.diagnose.attribution import on_picture

            (picture, places), (x, y) = seen, result.provenance.details[PAGE_CORNER]
            normal = normal_of(by.classes)
            against = None if normal == target else normal
            if against is not None:
                details["attribution against"] = by.classes[against]
            looked_at = on_picture(by.nets["image"], picture, target, by.device, against)
            rows["image"] = shares_on(looked_at, places, lines, (x, y), _finest(by.nets["image"]))
            outside = rows["image"][OUTSIDE]
            details["attribution outside the traces"] = round(outside, 4)
            if outside > SHORTCUT:
                notes.append(
                    f"{outside:.0%} of what the network of pictures looked at lies beside all traces: it may read "
                    "something else than the electrocardiogram"
                )
            parts["attribution"] = _on_file(looked_at, places, lines, (x, y), result.image.geometry)
        if "signal" in said.opinions:
            from workbench.page.diagnose.attribution import on_leads

            rows["signal"] = shares_of_leads(on_leads(by.nets["signal"], array, target, by.device))
        parts["lead_attribution"] = _by_lead(rows)
    return Looked(said, parts, tuple(notes), {DETAIL: details})


def opinion(by: Diagnoser, path: str, inputs: npt.NDArray[Any]) -> list[Opinion]:
    """What one network says of several pages.

    Parameters
    ----------
    path
        ``"image"`` or ``"signal"``.
    inputs
        Pictures ``(n, height, width, 3)`` uint8, or leads ``(n, 12, samples)``.
    """
    from workbench.page.net.run import features_and_logits

    features, logits = features_and_logits(by.nets[path], inputs, by.device)
    odds = softmax(logits / by.temperature[path], axis=1)
    known = by.typical.get(path)
    away = known.distance(features) if known is not None else np.full(len(inputs), np.nan)
    return [Opinion(path, row, float(far)) for row, far in zip(odds, away, strict=True)]


def _finest(net: PictureNet) -> float:
    """Half of the paper above and below that the network sees as one [mm], `NEAR` at least."""
    sizes = net.net.config
    patch = sizes.patch_size
    merged = 2 ** (len(sizes.depths) - 1) if net.is_windowed else 1
    high = merged * (patch[0] if isinstance(patch, list | tuple) else patch)
    return float(max(NEAR, high / (net.config.size[0] / ROWS) * DOWN / 2))


def _rate(result: Result) -> float | None:
    """Heart rate as it was measured [1/min], where it could be; it is measured here where nobody asked for it."""
    table, leads = result.parts.get("measurements"), result.parts["leads"]
    if isinstance(table, Scores):
        rates = [row["value"] for row in table.as_dicts() if row["measurement"] == "heart rate"]
        return float(rates[0]) if rates and rates[0] is not None else None
    assert isinstance(leads, Signals)
    found: float | None = measurements(leads, str(result.image.source or result.image.name))["heart rate"].value
    return found


def _by_lead(rows: Mapping[str, Mapping[str, float]]) -> Scores:
    every = [*STANDARD, *(k for row in rows.values() for k in row if k not in STANDARD and k != OUTSIDE), OUTSIDE]
    table = tuple(
        (
            lead,
            round(100 * rows["image"].get(lead, 0.0), 1) if "image" in rows else None,
            round(100 * rows["signal"].get(lead, 0.0), 1) if "signal" in rows and lead in STANDARD else None,
        )
        for lead in dict.fromkeys(every)
    )
    return Scores(LOOKED_AT, table, "lead attribution")


def _on_file(
    seen: Floats, places: Sequence[Place], lines: Lines, corner: tuple[float, float], geometry: Geometry
) -> Heatmap:
    """An attribution on the pixels of the file: how many times as much as if all of the picture spoke alike.

    Where a part of the page is shown twice in the picture, both count.
    """
    from scipy import ndimage

    height, width = geometry.shape
    rows, columns = (-(-n // _LATTICE) + 1 for n in (height, width))
    y, x = np.mgrid[0:rows, 0:columns] * float(_LATTICE)
    mm = Sheet.of(lines).to_mm(np.column_stack([x.ravel(), y.ravel()]) + 0.5) - np.array(corner)
    total = np.zeros(len(mm))
    for place in places:
        left, top, right, bottom = place.box
        inside = (mm[:, 0] >= left) & (mm[:, 0] < right) & (mm[:, 1] >= top) & (mm[:, 1] < bottom)
        at = place.to_picture(mm[inside]) - 0.5
        part = seen[slice(*place.rows), slice(*place.columns)] * seen.size
        local = at[:, ::-1].T - np.array([[place.rows[0]], [place.columns[0]]])
        total[inside] += ndimage.map_coordinates(part, local, order=1, mode="nearest")
    coarse = total.reshape(rows, columns).astype(np.float32)
    down = _between(coarse, np.arange(height) / _LATTICE, 0)
    data = _between(down, np.arange(width) / _LATTICE, 1)
    return Heatmap(data, geometry, "attribution", "times the mean", (0.0, max(float(data.max()), 1e-6)))


def _between(values: npt.NDArray[np.float32], at: Floats, axis: int) -> npt.NDArray[np.float32]:
    """Linear between rows, or columns, at fractional numbers of them."""
    low = np.minimum(at.astype(int), values.shape[axis] - 2)
    share = (at - low).astype(np.float32)
    share = share[:, None] if axis == 0 else share[None]
    out: npt.NDArray[np.float32] = np.take(values, low, axis) * (1 - share) + np.take(values, low + 1, axis) * share
    return out
