"""The part of a report that says what a page was diagnosed as, by whom, and what that rests on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.lines import Lines, Picture
from workbench.core.types import Heatmap, Result, Scores
from workbench.page.corrected import is_corrected
from workbench.page.diagnose.by_hand import BY_PERSON
from workbench.page.traces import PAGE_CORNER, Sheet
from workbench.report import html

_STEP = 6
"""Pixels of the flat page after which an attribution is looked up."""
_MOST = 0.65
"""How much of a pixel an attribution covers at most."""
_ODDS = "Calibrated probabilities, as if all classes were equally frequent."
_HEAT = np.array([220, 30, 30], np.float32)


def diagnosis_sections(result: Result) -> list[html.Section]:
    """Both opinions, what is said or why nothing is, and where on the page and in which leads it lies."""
    detail, table = result.provenance.details.get("diagnosis"), result.parts.get("diagnosis")
    person = result.provenance.details.get(BY_PERSON)
    if not isinstance(detail, dict) and not person:
        return []
    parts: list[html.Part] = []
    if person:
        parts.append(html.Text(f"A person holds this page for: {person}."))
    if isinstance(detail, dict):
        said, reason = str(detail.get("said", "")), str(detail.get("reason", ""))
        if detail.get("simulated"):
            warning = "The weights have seen simulated hearts alone: this means nothing for a patient."
            parts.append(html.Text(warning, "warning"))
        text = html.Text(f"{said}: {reason}.") if said else html.Text(f"No diagnosis is said: {reason}.", "warning")
        parts += [
            text,
            html.Text(f"By the weights {detail.get('weights', 'not known')}. No language model read the page."),
        ]
    if is_corrected(result):
        parts.append(
            html.Text("These opinions are of the page as it was read, before lines were corrected.", "warning")
        )
    if isinstance(table, Scores):
        rows = [["does not count" if v is None else v for v in row] for row in table.rows]
        parts.append(html.Table(("diagnosis", "picture", "leads", "together"), rows, _ODDS, 2))
    picture = overlaid(result)
    if picture is not None and isinstance(detail, dict):
        from workbench.core.preview import png_of

        what = f"What speaks for {detail.get('attribution of', 'the likeliest')} on the picture of the page (red)"
        if against := detail.get("attribution against"):
            what += f", and not for {against}"
        outside = detail.get("attribution outside the traces")
        more = "" if outside is None else f"; {100 * float(outside):.0f} % of it lies beside all traces"
        parts.append(html.Picture(png_of(picture), f"{what}{more}."))
    leads = result.parts.get("lead_attribution")
    if isinstance(leads, Scores):
        rows = [["" if v is None else v for v in row] for row in leads.rows]
        parts.append(html.Table(leads.columns, rows, "How much of that lies on each lead.", 1))
    return [html.Section("Diagnosis", parts)]


def overlaid(result: Result) -> npt.NDArray[np.uint8] | None:
    """The page laid flat with its attribution over it, ``(rows, columns, 3)``; ``None`` where one is lacking."""
    page, seen, lines = (result.parts.get(key) for key in ("page", "attribution", "traces"))
    corner: Any = result.provenance.details.get(PAGE_CORNER)
    if not isinstance(page, Picture) or not isinstance(seen, Heatmap) or not isinstance(lines, Lines) or not corner:
        return None
    from scipy import ndimage

    rows, columns = (-(-n // _STEP) for n in page.pixels.shape[:2])
    y, x = (np.mgrid[0:rows, 0:columns] * float(_STEP)).reshape(2, -1)
    mm = (np.column_stack([x, y]) + 0.5) * (page.spacing or 1.0) + np.array(corner, float)
    at = Sheet.of(lines).from_mm(mm) - 0.5
    values = ndimage.map_coordinates(seen.data, at[:, ::-1].T, order=1, mode="constant", cval=0.0)
    coarse = (values / max(float(values.max()), 1e-12)).reshape(rows, columns)
    fine = np.repeat(np.repeat(coarse, _STEP, 0), _STEP, 1)[: page.pixels.shape[0], : page.pixels.shape[1], None]
    cover = (_MOST * fine).astype(np.float32)
    out: npt.NDArray[np.uint8] = np.round(page.pixels * (1 - cover) + _HEAT * cover).astype(np.uint8)
    return out
