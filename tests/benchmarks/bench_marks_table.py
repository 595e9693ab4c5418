"""How long a table of many annotations holds up the window: ``python tests/benchmarks/bench_marks_table.py``.

Shows 10, 5,000 and 20,000 annotations in the table of the MEG tool, in a real window, and times what happens on the
window's thread until the table has been painted: the table appears, one annotation is renamed, one is deleted, one
comes. With ``--items`` the same with a table of items, as it was before, to compare in one run.

Times are processor time of that thread in milliseconds, which neighbours on the machine change least, and by the clock
in brackets. Without a display it runs under Xvfb.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from real_window import rerun_without_display, settle

LIMITS = {"appears": 100.0, "rename": 20.0, "delete": 20.0, "another": 20.0}


def main() -> int:
    """Parse the arguments, start again under Xvfb where there is no display, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--marks", type=int, nargs="+", default=[10, 5_000, 20_000])
    parser.add_argument("--items", action="store_true", help="also with a table of items, as it was")
    arguments = parser.parse_args()
    if (status := rerun_without_display(parser)) is not None:
        return status
    from qtpy.QtWidgets import QApplication
    from workbench_napari.recording.marks_table import MarksTable

    application = QApplication.instance() or QApplication([])
    tables: dict[str, Callable[[], Any]] = {"now": MarksTable}
    if arguments.items:
        tables = {"items": item_table} | tables
    print(f"{'marks':>7}  {'table':7}" + "".join(f"{step:>22}" for step in LIMITS))
    over = 0
    for count in arguments.marks:
        for name, make in tables.items():
            times = measure(make(), count)
            cells = "".join(f"{f'{own:.1f} ({wall:.0f})':>22}" for own, wall in times.values())
            print(f"{count:7,}  {name:7}{cells}", flush=True)
            over += name == "now" and any(times[step][0] > limit for step, limit in LIMITS.items())
    application.processEvents()
    return 1 if over else 0


def measure(table: Any, count: int) -> dict[str, tuple[float, float]]:
    """What every step takes, in processor time and by the clock [ms]."""
    from workbench_napari.recording.whose import MarkRow

    from workbench.core.types import Mark

    table.resize(400, 168)
    table.show()
    settle(lambda: False, 0.2)
    rows = [MarkRow(Mark(n / 10, 0.05, f"label {n % 9}")) for n in range(count)]
    middle = count // 2
    renamed = [
        *rows[:middle],
        replace(rows[middle], mark=replace(rows[middle].mark, label="blink")),
        *rows[middle + 1 :],
    ]
    shown = {
        "appears": rows,
        "rename": renamed,
        "delete": [*rows[:middle], *rows[middle + 1 :]],
        "another": rows,
    }
    times = {step: took(table, step_rows) for step, step_rows in shown.items()}
    table.hide()
    table.deleteLater()
    return times


def took(table: Any, rows: Sequence[Any]) -> tuple[float, float]:
    from qtpy.QtWidgets import QApplication

    own, wall = time.thread_time(), time.perf_counter()
    table.show_rows(rows)
    table.viewport().repaint()
    QApplication.processEvents()
    return 1e3 * (time.thread_time() - own), 1e3 * (time.perf_counter() - wall)


def item_table() -> Any:
    """A table that has an item for every cell."""
    from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

    class Items(QTableWidget):
        def show_rows(self, rows: Sequence[Any]) -> None:
            self.setRowCount(len(rows))
            for number, row in enumerate(rows):
                mark = row.mark
                texts = (f"{mark.onset:.3f}", f"{mark.duration:.3f}", mark.label, ", ".join(mark.channels), row.by)
                for column, text in enumerate(texts):
                    item = QTableWidgetItem(text)
                    item.setToolTip(text)
                    self.setItem(number, column, item)

    made = Items(0, 5)
    made.horizontalHeader().setSectionResizeMode(4, QHeaderView.ResizeMode.ResizeToContents)
    return made


if __name__ == "__main__":
    sys.exit(main())
