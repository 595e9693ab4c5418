"""What networks take: leads that are always prepared alike, pictures whose leads are at their usual places."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.core.signals import Signals, time_base
from workbench.page.diagnose.leads import lead_array
from workbench.page.diagnose.picture import Piece, assembled, places_of
from workbench.page.leads import STANDARD

SIZE = (256, 512)


def signals(rate, names=STANDARD, seconds=10.0):
    times = np.arange(round(seconds * rate)) / rate
    data = np.array([np.sin(2 * np.pi * (1 + n / 10) * times) for n in range(len(names))], np.float32)
    return Signals(data, tuple(names), time_base(times.size, rate), "leads", "mV")


def test_leads_are_the_same_whatever_their_rate():
    a, b = (lead_array(signals(rate)) for rate in (500.0, 1000.0))
    assert a.shape == (12, 1250)
    assert np.nanmax(np.abs(a[:, 50:-50] - b[:, 50:-50])) < 0.02


def test_the_longer_of_a_piece_and_its_strip_is_taken_and_gaps_stay():
    found = signals(500.0, (*STANDARD, "II strip"))
    found.data[1, 1250:] = np.nan
    found.data[12, 2000:2500] = np.nan
    array = lead_array(found)
    assert np.isnan(array[1, 520:620]).all()
    assert np.isfinite(array[1, 700:1200]).all()
    short = signals(500.0, STANDARD[:3])
    assert np.isnan(lead_array(short)[3:]).all()


def test_minus_avr_is_avr_upside_down():
    plain = signals(500.0)
    turned = signals(500.0, tuple("-aVR" if name == "aVR" else name for name in STANDARD))
    turned.data[3] = -turned.data[3]
    assert np.allclose(lead_array(plain), lead_array(turned), atol=1e-5)


def page(layout):
    """A white page of 4 pixels a millimetre with a dark square of 2 mm in each lead, a centimetre from its start."""
    from workbench.page.layouts import layouts

    pixels = np.full((1000, 1400, 3), 250, np.uint8)
    pieces = {}
    for cell in layouts()[layout].cells():
        first, middle = 20 + cell.column * 250 / cell.columns, 30 + cell.row * 18.0
        name = f"{cell.lead} strip" if cell.is_strip else cell.lead
        pieces[name] = Piece(first, first + 250 / cell.columns, middle, cell.is_strip)
        y, x = round(4 * middle), round(4 * (first + 10))
        pixels[y - 4 : y + 4, x - 4 : x + 4] = 20
    return pixels, pieces


@pytest.mark.parametrize("layout", ["3x4+1", "6x2", "12x1"])
def test_leads_are_at_their_places_whatever_the_layout(layout):
    pixels, pieces = page(layout)
    places = places_of(pieces, 25.0, 10.0, SIZE)
    assert [place.is_below for place in places] == 12 * [False] + [True]
    found = assembled(pixels, places, SIZE, 4.0)
    for n in range(12):
        column, row = divmod(n, 3)
        assert found[row * 64 + 32, column * 128 + 20, 0] < 60
    assert places[-1].leads[0][0] in ("II", "I")


def test_another_speed_is_drawn_as_the_usual_one():
    pieces = {"II": Piece(10.0, 300.0, 50.0)}
    slow, fast = (places_of(pieces, speed, 10.0, SIZE)[0].box for speed in (25.0, 50.0))
    assert fast[2] - fast[0] == 2 * (slow[2] - slow[0])
    assert places_of({}, 25.0, 10.0, SIZE) == ()
