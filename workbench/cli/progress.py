"""Progress on standard error, so that standard output stays free for data."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from tqdm import tqdm


class Bar:
    """A progress callable (done, total) that draws a bar; silent when quiet or not on a terminal."""

    def __init__(self, label: str, unit: str, quiet: bool) -> None:
        hidden = quiet or not sys.stderr.isatty()
        scaled = unit == "B"
        self._shown = tqdm(desc=label, unit=unit, unit_scale=scaled, file=sys.stderr, leave=False, disable=hidden)

    def __call__(self, done: int, total: int) -> None:
        if total != self._shown.total or done < self._shown.n:
            self._shown.reset(total)
        self._shown.update(done - self._shown.n)

    def label(self, text: str) -> None:
        """Change the text in front, e.g. for the next case or the latest loss."""
        self._shown.set_description(text)

    def paused(self) -> AbstractContextManager[None]:
        """Take the bar away while other lines are printed."""
        return self._shown.external_write_mode(file=sys.stderr)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._shown.close()


@contextmanager
def bar(label: str, *, unit: str = "it", quiet: bool = False) -> Iterator[Bar]:
    """A bar for the time of a ``with`` block."""
    shown = Bar(label, unit, quiet)
    try:
        yield shown
    finally:
        shown.close()
