"""One image in, one result out: pages are digitised, drawn ones read as drawn, digital ones measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.core.provenance import Recorder
from workbench.core.signals import Signals
from workbench.core.types import Image, Part, Progress, Result, Scores
from workbench.page.data.pictures import AXES
from workbench.page.errors import NoGrid, NotAPage
from workbench.page.layouts import require_layout
from workbench.page.predict.measurements import measured, measurements
from workbench.page.predict.model import NAME, Model
from workbench.page.predict.scale import Said, said, scale
from workbench.page.rectified import PER_MM
from workbench.page.settings import Config
from workbench.page.traces import COVERAGE, PAGE_CORNER, PIECES, Sheet, coverage

if TYPE_CHECKING:
    from workbench.page.diagnose.model import Diagnoser
    from workbench.page.predict.digitise import Digitised, Paper
    from workbench.page.predict.drawn import ReadDrawing

Floats = npt.NDArray[np.floating[Any]]
_ENOUGH = 0.5
"""Score of an arrangement for each of its pieces above which a page stands upright without a doubt."""
_FEW_NAMES = 0.25
"""Share of names that must be read where no beats are found."""
_LEAST_SEEN, _NAMES_OF_CLEAR = 0.7, 0.4
"""Share of its length in which every lead is seen, or of names that are read, where lines can be told from a grid."""
_LONG_ROW = 0.55
"""Share of the width of a page that a row has at least."""
_PIECE = (1.6, 3.6, 7.0)
"""Seconds that a lead has at least which shares its row, and at most, with two or more others and with one."""
_CLEARLY = 0.3
"""By how much a page must fit better when it is turned, and how well."""


def read_page(model: Model, image: Image, config: Config, progress: Progress | None = None) -> Result:
    """Read an image of the kind ``page``.

    Returns
    -------
    Result
        ``leads``: `Signals` in mV, NaN where nothing was seen. For pages ``certainty`` (`Signals`, 0 to 1),
        ``coverage`` (a row for each lead) and, for pictures, ``traces``: `Lines` on the pixels of the picture, which
        say where on paper they lie (`workbench.page.traces`), and with ``page`` the ``page`` laid flat (`Picture`; see
        `workbench.page.predict.masking`), whose upper left corner on paper is in the details of the provenance as
        `PAGE_CORNER`. With ``measure`` the table ``measurements``. With ``diagnosis`` the tables ``diagnosis`` and
        ``lead_attribution`` and, for pictures, ``attribution`` (`Heatmap`); see `workbench.page.diagnose`.

    Raises
    ------
    NotAPage
        There is no grid, or nothing on it that is read as leads.
    """
    require_layout(config.layout)
    recorder = Recorder(NAME, config, model.weights, image, model.device, model.reason)
    say = progress or (lambda _done, _total: None)
    say(0, 3)
    parts: dict[str, Part]
    if image.geometry.axes != AXES:
        parts = {"leads": _as_signals(image)}
        recorder.note("this is a digital electrocardiogram: its leads were measured, there was no page to read")
    elif getattr(image.native, "is_drawn", False) and (drawn := _drawn(image, config, recorder)) is not None:
        parts = drawn
    else:
        parts = _digitised(model, image, config, recorder, say)
    say(2, 3)
    if config.measure:
        leads = parts["leads"]
        assert isinstance(leads, Signals)
        parts["measurements"], notes = measured(leads, str(image.source or image.name))
        for note in notes:
            recorder.note(note)
    if model.diagnoser is not None:
        parts = _diagnosed(model.diagnoser, parts, image, config, recorder)
    say(3, 3)
    return Result(parts, image, recorder.finish())


def _diagnosed(
    by: Diagnoser, parts: dict[str, Part], image: Image, config: Config, recorder: Recorder
) -> dict[str, Part]:
    """What a diagnosis adds; the page laid flat goes again where nobody asked for it."""
    from workbench.page.diagnose.diagnose import diagnose

    why = "the page is drawn with lines, and was read so" if image.geometry.axes == AXES else "there is no page"
    so_far = Result(parts, image, recorder.finish())
    looked = diagnose(by, so_far, attribution=config.attribution, why_no_picture=why)
    for note in looked.notes:
        recorder.note(note)
    recorder.details |= looked.details
    kept = parts if config.page else {k: v for k, v in parts.items() if k != "page"}
    return {**kept, **looked.parts}


def _as_signals(image: Image) -> Signals:
    data = np.asarray(image.samples(), np.float32)
    return Signals(data, image.channels, image.geometry, "leads", image.value_unit)


def _drawn(image: Image, config: Config, recorder: Recorder) -> dict[str, Part] | None:
    """Leads of a page that is drawn with lines, or ``None`` where its lines are not those of a page."""
    from workbench.page.predict.drawn import read_drawing

    texts, source = image.native.texts(), str(image.source or image.name)
    if image.native.is_mirrored():
        raise NotAPage(
            f"{source}: its letters are drawn as in a mirror, so time runs from right to left. Export the page as it "
            "is read."
        )
    words = said(texts)
    told: list[str] = []

    def scale_of(pulses: Floats) -> tuple[float, float]:
        speed, gain, notes = scale(pulses, config.speed, config.gain, words)
        told.extend(notes)
        return speed, gain

    try:
        found = read_drawing(
            image.native.paths(), texts, scale_of=scale_of, sampling_rate=config.sampling_rate, source=source
        )
    except NotAPage as error:
        recorder.note(f"the lines of the PDF file could not be read as drawn, so it was read as a picture: {error}")
        return None
    recorder.note("read from the lines of the PDF file, without any pixel")
    if config.layout:
        recorder.note(
            f"layout {config.layout} was asked for and not needed: the names beside the lines say what they are"
        )
    for note in (*found.notes, *told):
        recorder.note(note)
    recorder.details |= {
        "speed": found.speed, "gain": found.gain, "drawn": True, "sheet mm per mm": round(found.mm, 5)
    }  # fmt: skip
    recorder.details |= _arranged(found, config, words, recorder, source)
    seen = np.isfinite(found.signals.data).sum(axis=1) / config.sampling_rate
    rows = tuple(
        (name, piece.is_strip, round(float(s), 3), 1.0, 1.0, piece.was_read)
        for name, piece, s in zip(found.signals.channels, found.pieces, seen, strict=True)
    )
    return {"leads": found.signals, "coverage": Scores(COVERAGE, rows, "coverage")}


def _arranged(found: ReadDrawing, config: Config, words: Said, recorder: Recorder, source: str) -> dict[str, Any]:
    """Layout and times of a drawn page, as a picture has them, and what is to be said of them."""
    from workbench.page.predict.drawn_layout import arranged

    lengths = [float(p.points[-1, 0] - p.points[0, 0]) / found.mm / found.speed for p in found.pieces]
    page = arranged(found.pieces, lengths)
    paper = f"{found.speed:g} mm/s and {found.mm:.2f} mm of the sheet a millimetre of paper"
    how = _how_to_say_scale(config, words, "--speed")
    for note in _odd_pieces(page.columns, page.seconds, paper, how, source):
        recorder.note(note)
    if page.lost:
        assert page.layout is not None
        recorder.note(
            f"no name of a lead stands where {', '.join(page.lost)} should be in the layout {page.layout.name}"
        )
    layout = {} if page.layout is None else {"layout": page.layout.name}
    return {**layout, "seconds of a row": round(page.seconds, 3), PIECES: {k: list(v) for k, v in page.times.items()}}


def _digitised(model: Model, image: Image, config: Config, recorder: Recorder, say: Progress) -> dict[str, Part]:
    from workbench.page.predict.found_lines import lines_of
    from workbench.page.predict.masking import MASKED, SHOWN, corrected_page

    pixels = np.ascontiguousarray(np.moveaxis(image.samples(), 0, 2))
    source = str(image.source or image.name)
    texts = image.native.texts() if hasattr(image.native, "texts") else ()
    words = said(texts) if texts else None
    found, turn = _upright(model, pixels, config, source, say, words)
    _require_heart(found, source)
    for note in _hardly_seen(found, config, source):
        recorder.note(note)
    paper = f"{found.paper.speed:g} mm/s and {found.grid.pixels_per_mm[0]:.2f} pixels a millimetre"
    how = _how_to_say_scale(config, words, "--pixels-per-mm, or --speed")
    for note in _odd_pieces(found.arrangement.layout.columns, found.arrangement.seconds, paper, how, source):
        recorder.note(note)
    if turn:
        recorder.note(f"the picture was turned by {90 * turn} degrees clockwise before it was read")
    for note in found.notes:
        recorder.note(note)
    x, y = found.grid.pixels_per_mm
    recorder.details |= {
        "pixels per mm": [round(x, 3), round(y, 3)], "grid": [round(v, 2) for v in found.grid.scores],
        "layout": found.arrangement.layout.name, "speed": found.paper.speed, "gain": found.paper.gain,
        "turned": 90 * turn, "seconds of a row": round(found.arrangement.seconds, 3),
    }  # fmt: skip
    certainty = Signals(
        found.sure, found.signals.channels, found.signals.geometry, "certainty", None, role="map"
    )  # fmt: skip
    lines = lines_of(found, (image.geometry.shape[0], image.geometry.shape[1]), turn)
    sure = {
        name: float(certain[np.isfinite(values)].mean()) if np.isfinite(values).any() else 0.0
        for name, certain, values in zip(found.signals.channels, found.sure, found.signals.data, strict=True)
    }
    read = {name: piece.was_read for name, piece in zip(found.signals.channels, found.pieces, strict=True)}
    parts: dict[str, Part] = {
        "leads": found.signals,
        "certainty": certainty,
        "coverage": coverage(found.signals, sure, read, Sheet.of(lines).seconds),
        "traces": lines,
    }
    if config.page or model.diagnoser is not None:
        parts["page"] = corrected_page(found, config.mask)
        recorder.details[PAGE_CORNER] = [round(v, 4) for v in found.flat.corner]
        recorder.note(MASKED if config.mask else SHOWN)
    return parts


def _require_heart(found: Digitised, source: str) -> None:
    """Refuse lines on graph paper that nothing says are leads: neither names beside them nor beats in them."""
    read = sum(piece.was_read for piece in found.pieces)
    if read >= _FEW_NAMES * len(found.pieces):
        return
    if measurements(found.signals, source)["heart rate"].value is None:
        raise NotAPage(
            f"{source}: lines are seen on a grid, but {read} of {len(found.pieces)} names of leads and no beats: "
            "not read as an electrocardiogram. Give a sharper picture of the whole page."
        )


def _hardly_seen(found: Digitised, config: Config, source: str) -> list[str]:
    """What is to be said of a page of which neither the lines nor the names of leads are seen well.

    Raises
    ------
    NotAPage
        Nobody asked for it all the same.
    """
    shares = found.coverage()
    worst = min(shares, key=lambda name: shares[name])
    read = sum(piece.was_read for piece in found.pieces)
    if shares[worst] >= _LEAST_SEEN or read >= _NAMES_OF_CLEAR * len(found.pieces):
        return []
    told = (
        f"lines can hardly be told from the grid: {worst} was seen in {shares[worst]:.0%} of its length, and {read} of "
        f"{len(found.pieces)} names of leads were read"
    )
    if config.doubtful:
        return [f"{told}: beats may be missing"]
    raise NotAPage(
        f"{source}: {told}. Give a sharper picture, or one in colour; --doubtful reads it all the same, to be "
        "corrected by hand."
    )


def _odd_pieces(columns: int, seconds_of_row: float, paper: str, how: str, source: str) -> list[str]:
    """What pieces of a length say that no layout has: the scale of time is wrong, or the layout.

    Parameters
    ----------
    paper
        The scale, in words.
    how
        The options by which a person can say it; nothing where it was said.

    Raises
    ------
    NotAPage
        Pieces are too short for any, and nobody said what the scale is.
    """
    seconds = seconds_of_row / max(columns, 1)
    if columns < 2 or _PIECE[0] <= seconds <= _PIECE[1 if columns > 2 else 2]:
        return []
    told = f"{columns} leads beside each other are {seconds:.1f} s long each, at {paper}; 2.5 s are usual"
    if seconds < _PIECE[0] and how:
        raise NotAPage(f"{source}: {told}, so the scale was not found. Give {how} if the paper ran at another one.")
    return [f"{told}: check the speed and the scale"]


def _how_to_say_scale(config: Config, words: Said | None, options: str) -> str:
    """The options, where neither a person nor the page said the scale."""
    is_said = config.speed is not None or config.pixels_per_mm is not None or (words is not None and words.speed)
    return "" if is_said else options


def _upright(
    model: Model, pixels: npt.NDArray[np.uint8], config: Config, source: str, say: Progress, words: Said | None
) -> tuple[Digitised, int]:
    """The page as it stands upright: that quarter turn in which names of leads are read best."""
    from workbench.page.predict.digitise import digitise

    turns = [0, 2, 1, 3] if config.turn == "auto" else [int(config.turn) // 90]
    best: tuple[float, int, Digitised] | None = None
    refused: NotAPage | None = None
    for turn in turns:
        notes: list[str] = []

        def paper_of(maps: Any, notes: list[str] = notes) -> Paper:
            paper, told = _paper(maps, config, words)
            notes += told
            return paper

        try:
            found = digitise(
                np.ascontiguousarray(np.rot90(pixels, -turn)), model.net, paper_of=paper_of,
                layout=config.layout or None, pixels_per_mm=config.pixels_per_mm,
                sampling_rate=config.sampling_rate, device=model.device, source=source,
            )  # fmt: skip
        except NoGrid:
            raise  # a page has one however it lies
        except NotAPage as error:
            refused = refused or error
            continue
        say(1, 3)
        if turn == 0 and _lies_flat(found):
            turns[2:] = []  # it stands upright or on its head
        fits = found.arrangement.score / max(len(found.pieces), 1)
        if best is None or (fits > best[0] + _CLEARLY and fits > _CLEARLY):
            best = (fits, turn, replace(found, notes=(*found.notes, *notes)))
        if fits >= _ENOUGH:
            break
    if best is None:
        assert refused is not None
        raise refused
    return best[2], best[1]


def _lies_flat(found: Digitised) -> bool:
    """Whether rows go along x: three of them at least, most of the page long."""
    from workbench.page.net.page_net import FINER

    width = found.flat.pixels.shape[1] * FINER
    long = [np.isfinite(line).sum() > _LONG_ROW * width for line in found.lines]
    return int(sum(long)) >= 3


def _paper(maps: Any, config: Config, words: Said | None) -> tuple[Paper, list[str]]:
    """Speed and gain, and what they rest on."""
    from workbench.page.net.page_net import FINER
    from workbench.page.predict.digitise import Paper
    from workbench.page.predict.pulses import sizes

    speed, gain, notes = scale(sizes(maps.pulse, PER_MM, FINER), config.speed, config.gain, words)
    return Paper(speed, gain), notes
