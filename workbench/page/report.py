"""One HTML file of what was read from a page: the page with its traces, the leads on a grid, tables, and how it came
to be."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.lines import Lines, Picture
from workbench.core.signals import Signals
from workbench.core.types import Result, Scores
from workbench.page.looks import colors_of
from workbench.page.predict.masking import SHOWN
from workbench.page.rectified import PER_MM
from workbench.page.report_diagnosis import diagnosis_sections
from workbench.page.side_by_side import in_rows
from workbench.page.traces import PAGE_CORNER, Sheet, channels_of
from workbench.report import html

SUBTITLE = "Research use only. No medical device: nothing here may guide the care of a patient."
_SHOWN = 10.0
"""Seconds of leads that are drawn."""
_SCALE = 4.0
"""Pixels a millimetre of the drawn leads."""
_PAPER, _FINE, _STRONG, _INK = (1.0, 1.0, 1.0), (0.98, 0.86, 0.86), (0.94, 0.66, 0.66), (0.05, 0.05, 0.2)
_ABOVE = 4.0
"""Least paper between two rows, and above the first, where names stand [mm]."""
_FOUND = ("layout", "speed", "gain", "pixels per mm", "turned", "seconds of a row")
_UNITS = {"speed": "mm/s", "gain": "mm/mV", "pixels per mm": "along x and y", "turned": "degrees"}


def write_report(result: Result, path: str | Path) -> Path:
    """Write what was read as one HTML file that needs nothing else, atomically.

    Of the picture of a page it shows nothing but the part ``page``, over which printed names were painted unless the
    setting ``mask`` was off. It names the file, not where it lies.

    Parameters
    ----------
    result
        Of the kind ``page``; parts that it lacks are left out.
    path
        Of the file; its folder exists.
    """
    sections = [
        *_page(result), *diagnosis_sections(result), *_leads(result), *_tables(result), *_found(result),
        *_provenance(result),
    ]  # fmt: skip
    return html.write(Path(path), f"Electrocardiogram {result.image.name}", sections, subtitle=SUBTITLE)


def _page(result: Result) -> list[html.Section]:
    page, lines = result.parts.get("page"), result.parts.get("traces")
    if not isinstance(page, Picture):
        return []
    corner = result.provenance.details.get(PAGE_CORNER)
    overlaid = page.pixels
    if isinstance(lines, Lines) and corner is not None:
        overlaid = with_traces(page.pixels, lines, (float(corner[0]), float(corner[1])))
    is_open = SHOWN in result.provenance.notes
    said = "as it is, with what is printed on it" if is_open else "paper painted anew: names, dates and ids are gone"
    caption = f"The page laid flat ({said}), and the lines that were followed."
    parts: list[html.Part] = [html.Picture(_png(overlaid), caption)]
    if is_open:
        parts.insert(0, html.Text("Masking was off: this page shows names, dates and ids that stand on it.", "warning"))
    return [html.Section("Page", parts)]


def with_traces(
    pixels: npt.NDArray[np.uint8], lines: Lines, corner: tuple[float, float], opacity: float = 0.65
) -> npt.NDArray[np.uint8]:
    """A flat page with lines over it in their colours, each with the name of its lead where it begins.

    Parameters
    ----------
    pixels
        ``(rows, columns, 3)`` uint8, `PER_MM` pixels a millimetre.
    lines
        In pixels of the picture as it is in its file; see `workbench.page.traces.Sheet`.
    corner
        Where on paper the upper left corner of `pixels` lies [mm].
    """
    from PIL import Image, ImageDraw, ImageFont

    sheet = Sheet.of(lines)
    base = Image.fromarray(pixels).convert("RGBA")
    over = Image.new("RGBA", base.size, (0, 0, 0, 0))
    draw, font = ImageDraw.Draw(over), ImageFont.load_default(22)
    named: set[str] = set()
    for n, (name, color) in enumerate(zip(channels_of(lines), colors_of(lines), strict=True)):
        places = (sheet.to_mm(lines.line(n)) - np.array(corner)) * PER_MM - 0.5
        rgb = tuple(int(color[k : k + 2], 16) for k in (1, 3, 5))
        draw.line([(float(x), float(y)) for x, y in places], fill=(*rgb, round(255 * opacity)), width=2)
        if name not in named:
            named.add(name)
            top = float(places[: max(len(places) // 8, 1), 1].min())
            draw.text((float(places[0, 0]) + 2, max(top - 48, 0)), name, fill=(*rgb, 255), font=font)
    return np.asarray(Image.alpha_composite(base, over).convert("RGB"))


def _leads(result: Result) -> list[html.Section]:
    leads = result.parts.get("leads")
    if not isinstance(leads, Signals) or not leads.channels:
        return []
    seconds = leads.data.shape[1] / leads.sampling_rate
    more = f"; the first {_SHOWN:g} of {seconds:.0f} s" if seconds > 1.1 * _SHOWN else ""
    caption = f"The leads as they were read, 25 mm/s and 10 mm/mV (a large square is 0.2 s and 0.5 mV){more}."
    return [html.Section("Leads", [html.Picture(_png(drawn_leads(leads)), caption)])]


def drawn_leads(leads: Signals) -> npt.NDArray[np.uint8]:
    """Leads in mV on a grid of 25 mm/s and 10 mm/mV, ``(rows, columns, 3)`` uint8; gaps stay gaps.

    Leads that were recorded one after the other share a row.
    """
    from workbench.page.draw.canvas import Canvas
    from workbench.page.runs import runs

    count = min(leads.data.shape[1], round(1.1 * _SHOWN * leads.sampling_rate))
    data = np.asarray(leads.data[:, :count], float)
    rows = in_rows(data)
    tops, middles, y = [], [], 0.0
    for row in rows:
        held = data[row][np.isfinite(data[row])]
        high, low = (float(np.clip(v, -6, 6)) for v in (held.max(), held.min())) if held.size else (0.5, -0.5)
        tops.append(y)
        middles.append(y + _ABOVE + 10 * max(high, 0.3))
        y = middles[-1] + 10 * max(-low, 0.3) + 1.0
    wide, tall = (5 * int(np.ceil(v / 5)) for v in (count / leads.sampling_rate * 25 + 4, y + 1))
    canvas = Canvas(round(wide * _SCALE) + 1, round(tall * _SCALE) + 1, _PAPER)
    for step, color in ((1, _FINE), (5, _STRONG)):
        across = [np.array([[x, 0], [x, tall]]) * _SCALE for x in range(0, wide + 1, step)]
        canvas.lines([*across, *(np.array([[0, z], [wide, z]]) * _SCALE for z in range(0, tall + 1, step))], 1.0, color)
    x = (2 + np.arange(count) / leads.sampling_rate * 25) * _SCALE
    for row, top, middle in zip(rows, tops, middles, strict=True):
        for n in row:
            good = np.isfinite(data[n])
            for a, b in runs(good):
                heights = (middle - 10 * np.clip(data[n, a:b], -6, 6)) * _SCALE
                canvas.lines([np.column_stack([x[a:b], heights])], 1.3, _INK)
            at = float(x[np.flatnonzero(good)[0]]) if good.any() else float(x[0])
            canvas.text(at, (top + 3.2) * _SCALE, leads.channels[n], 12.0, _INK)
    return canvas.pixels()


def _tables(result: Result) -> list[html.Section]:
    out = []
    for key, title in (("measurements", "Measurements"), ("coverage", "What was seen of each lead")):
        table = result.parts.get(key)
        if isinstance(table, Scores):
            rows = [[_said(v) for v in row] for row in table.rows]
            out.append(html.Section(title, [html.Table(table.columns, rows, digits=1 if key == "measurements" else 2)]))
    return out


def _said(value: Any) -> Any:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _found(result: Result) -> list[html.Section]:
    details = result.provenance.details
    facts = {f"{k} [{_UNITS[k]}]" if k in _UNITS else k: details[k] for k in _FOUND if k in details}
    notes = [html.Text(f"{note}.") for note in result.provenance.notes]
    out = [html.Section("Scale and layout", [html.Facts(facts)])] if facts else []
    return [*out, html.Section("Notes", notes)] if notes else out


def _provenance(result: Result) -> list[html.Section]:
    record = result.provenance
    facts: dict[str, Any] = {
        "file": result.image.source.name if isinstance(result.image.source, Path) else result.image.name,
        "sha256 of the file": record.input_sha256, "backend": record.backend, "weights": record.weights,
        "sha256 of the weights": record.weights_sha256, "device": record.device, "started": record.started,
        "seconds": record.seconds, "corrected by hand": _said(record.edited_by_hand),
    }  # fmt: skip
    parts: list[html.Part] = [
        html.Facts(facts),
        html.Facts(dict(record.settings), folded=True, title="Settings"),
        html.Facts(dict(record.versions), folded=True, title="Versions"),
    ]
    return [html.Section("How it was made", parts)]


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    # Traces and grid have few colours; a palette makes a page three times smaller.
    few = Image.fromarray(np.ascontiguousarray(pixels)).quantize(128, method=Image.Quantize.FASTOCTREE)
    few.save(buffer, format="PNG")
    return buffer.getvalue()
