"""Pages as PDF files of lines, as programs of electrocardiographs draw them: nothing on them is a pixel."""

from dataclasses import replace

import numpy as np

from workbench.page.draw.render import MM, _without_gaps, render
from workbench.page.draw.simulate import simulate
from workbench.page.draw.styles import random_style
from workbench.page.layouts import layouts


def vector_page(path, seed=3, layout="3x4+1", speed=25.0, gain=10.0, pulse="left", words=(), seconds=10.0, lost=()):
    """Draw a page as lines; returns what is true of it.

    Parameters
    ----------
    layout
        Name of a layout, or a `Layout`.
    words
        Lines of text below the grid.
    lost
        Leads whose names do not stand on the page.
    """
    style = random_style(np.random.default_rng(seed), maker="A", layout="3x4+1", clean=True)
    own = layouts()[layout] if isinstance(layout, str) else layout
    wide = seconds * speed + 20 + 6.0 * own.columns
    style = replace(
        style, layout=own, speed=speed, gain=gain, seconds=seconds, start=12.0, size=(wide + 10, 200.0),
        grid_from=(5.0, 20.0, 5.0 + round(wide / 5) * 5, 180.0), first_row=40.0, last_row=165.0, pulse=pulse,
        pulse_width=0.2 * speed, separator="none", label="above",
    )  # fmt: skip
    page = render(simulate(seed, seconds=seconds), style, dpi=30.0, seed=seed)
    _save(page, path, words, lost)
    return page


def _save(page, path, words, lost):
    from matplotlib import rc_context
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    wide, high = page.style.size
    left, top, right, bottom = page.style.grid_from
    figure = Figure(figsize=(wide / MM, high / MM))
    FigureCanvasPdf(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, wide), ylim=(high, 0))
    axes.axis("off")
    for x in np.arange(left, right + 0.1):
        axes.plot([x, x], [top, bottom], color="pink", lw=0.3)
    for y in np.arange(top, bottom + 0.1):
        axes.plot([left, right], [y, y], color="pink", lw=0.3)
    for line in (*page.pulses, *(part for lead in page.leads for part in _without_gaps(lead.paper))):
        axes.plot(line[:, 0], line[:, 1], color="black", lw=0.8)
    for word in page.words:
        if word.kind == "lead" and word.text not in lost:
            axes.text(*word.paper[3], word.text, fontsize=8)
    for n, text in enumerate(words):
        axes.text(left, bottom + 6 + 5 * n, text, fontsize=8)
    with rc_context({"path.simplify": False, "pdf.fonttype": 42}):
        figure.savefig(path)
