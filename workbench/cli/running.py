"""What the shell says while a run goes on: a bar and lines for people, or a JSON object per line for programs."""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from datetime import UTC, datetime
from typing import Any

from workbench.cli.progress import Bar
from workbench.cli.say import say, take_lost
from workbench.core.errors import WorkbenchWarning, one_line
from workbench.core.types import Case, Progress


class Shown:
    """Says what becomes of the cases of a run.

    Parameters
    ----------
    draw
        The bar of the terminal.
    size_column
        Of the table of sizes, with its unit.
    as_json
        Standard output is kept for one JSON value at the end.
    log
        ``"text"`` or ``"json"``: how each step is said on standard error.
    """

    def __init__(
        self, draw: Bar, size_column: str, *, as_json: bool, quiet: bool, verbose: bool, log: str = "text"
    ) -> None:
        self._draw, self._size_column = draw, size_column
        self._as_json, self._quiet, self._verbose, self._log = as_json, quiet, verbose, log
        self._began = time.monotonic()
        self._ended = self._computed = self._count = 0
        self._closed = False

    def on_start(self, case: Case, number: int, count: int) -> Progress:
        self._count = count
        name = f"[{number + 1}/{count}] {one_line(case.id)}"
        self._draw.label(name)
        self._event("start", case=case.id, number=number + 1, cases=count)
        if count == 1:
            return self._draw
        # Of a study the bar counts cases, and says how fast they go and how long they will take.
        self._draw(self._ended, count)
        return lambda done, total: self._draw.label(f"{name} {100 * done // max(1, total)} %")

    def on_ready(self, ready: Any) -> None:
        self._began = time.monotonic()
        self._event("ready", text=ready.text, device=ready.device, weights_sha256=ready.weights_sha256)
        if not self._quiet and self._log == "text":
            with self._draw.paused():
                say(ready.text, err=True)

    def on_warning(self, text: str) -> None:
        self._event("warning", text=text)
        if self._log == "text":
            with self._draw.paused():
                say(f"Warning: {text}", err=True)

    def on_stop(self, name: str) -> None:
        """A signal: what happens now."""
        self._event("stopping", signal=name)
        if self._log == "text":
            with self._draw.paused():
                say(f"{name}: stops when the cases that run have ended; once more, and it stops at once.", err=True)

    def on_end(self, outcome: Any) -> None:
        self._ended += 1
        if self._count > 1:
            self._draw(self._ended, self._count)
        self._computed += outcome.status != "skipped"
        if self._log == "json":
            told = {k: v for k, v in outcome.to_json().items() if k != "trace" or self._verbose}
            self._event("end", **told, **self._rate())
            self._print_files(outcome)
            return
        with self._draw.paused():
            self._say(outcome)

    def _say(self, outcome: Any) -> None:
        if outcome.status == "failed":
            if self._verbose and outcome.trace:
                say(outcome.trace, err=True)
            say(f"Error: {outcome.message}", err=True)
            for note in outcome.notes:
                say(f"  note: {note}", err=True)
            return
        if not self._quiet:
            how = "already complete" if outcome.status == "skipped" else f"{outcome.seconds:.1f} s{self._left()}"
            say(f"{outcome.case}: {how}", err=True)
            for note in outcome.notes:
                say(f"  note: {note}", err=True)
            for row in outcome.table:
                say(f"  {row.get('class', '')!s:<24} {amount(row, self._size_column)}".rstrip(), err=True)
        self._print_files(outcome)

    def _print_files(self, outcome: Any) -> None:
        """Standard output is for data; who has stopped reading it does not stop the run."""
        if self._as_json or self._closed:
            return
        try:
            for file in outcome.files:
                say(file)
        except OSError:  # a pipe that was closed, or the disk behind it is full
            self._closed = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _left(self) -> str:
        """How far a study is, how fast, and how long it will take."""
        told = self._rate()
        if self._count < 2 or not told:
            return ""
        left = f", {_duration(told['seconds_left'])} left" if told["seconds_left"] else ""
        return f"  [{self._ended}/{self._count}, {told['cases_per_hour']:.0f} cases/h{left}]"

    def _rate(self) -> dict[str, float]:
        passed = time.monotonic() - self._began
        if not self._computed or passed <= 0 or not self._count:
            return {}
        rate = self._computed / passed
        return {
            "cases_per_hour": round(3600 * rate, 1),
            "seconds_left": round((self._count - self._ended) / rate, 1),
        }

    def on_finish(self, **values: Any) -> None:
        """The counts at the end, for programs; people are told in words."""
        self._event("finish", **values)

    def _event(self, name: str, **values: Any) -> None:
        if self._log == "json":
            event(name, **values)


def event(name: str, **values: Any) -> None:
    """One line of JSON on standard error, with the time."""
    when = datetime.now(UTC).isoformat(timespec="milliseconds")
    lost = {"lines_lost": count} if (count := take_lost()) else {}
    say(json.dumps({"time": when, "event": name, **values, **lost}, default=str), err=True)


def tell_warnings_as_events() -> None:
    """Warnings of ours become events too, from now on; those of libraries speak to programmers, and are left out."""

    def show(message: Warning | str, category: type[Warning], *more: Any, **named: Any) -> None:
        if issubclass(category, WorkbenchWarning):
            event("warning", text=one_line(message))

    warnings.showwarning = show


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def amount(row: Any, size_column: str) -> str:
    """The size of a class, in the unit that its table is in; counted samples where that is all the table has."""
    value = row.get(size_column)
    unit = size_column.partition("[")[2].rstrip("]")
    if isinstance(value, int) and not unit:
        return f"{value:>10} {size_column}"
    if isinstance(value, int | float):
        shown = f"{value:.1f}" if value == 0 or abs(value) >= 1 else f"{value:.3g}"  # a region of a slide has 0.04 mm2
        return f"{shown:>10} {unit}"
    counted = next((name for name in ("pixels", "voxels") if name in row), None)
    return "" if counted is None else f"{row[counted]:>10} {counted}"
