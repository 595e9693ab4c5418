"""A monkey in a real window: seeded random actions over all tools, and everything that must never happen is looked for.

No unhandled exception, warning of ours or complaint of Qt; every saved file equal to what was shown when Save was
pressed; after all windows were closed no widget, object or thread more than before, and no rising memory. When
something is found, the seed and the last actions are printed, and ``--replay`` does them again::

    python -m tests.workbench_napari.monkey --minutes 2 --seed 1
    python -m tests.workbench_napari.monkey --replay monkey-1.json
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.workbench_napari.watching import Watch

_SHOWN = 30
"""Last actions that are printed."""
_ACTIONS_A_LIFE = (50, 90)
_BEGINNING = 6
_WARM_SECONDS = 300.0
"""Memory counts from here on: what is loaded once has been loaded."""
_MB_A_MINUTE = 3.0
_SPARE_WIDGETS = 0


class Found(Exception):
    """Something that must never happen."""


@dataclass
class Life:
    """What was left after all windows had been closed."""

    seconds: float
    actions: int
    rss_mb: float
    widgets: Counter[str]
    objects: Counter[str]
    threads: Counter[str]


class Desk:
    """A window and the tools in it."""

    def __init__(self, files: Any, out: Path) -> None:
        import napari

        self.viewer = napari.Viewer()
        self.window = self.viewer.window._qt_window
        self.window.resize(1100, 750)
        self.tools: dict[str, Any] = {}
        self._files, self._out = files, out

    def dock(self, title: str, rng: Random) -> None:
        """Dock a tool, with settings that take seconds."""
        _, tool = self.viewer.window.add_plugin_dock_widget("napari-workbench", title, tabify=False)
        self.tools[title] = tool
        tool.folder.setText(str(self._out))
        if title == "Volume tool":
            tool.model.choose("segformer3d")
            tool.model.weights.choose_file(self._files.volume_weights)
            tool.model.device.setCurrentText("cpu")
            if rng.random() < 0.5:
                tool.model.choose("threshold")
        elif title == "Spectra tool":
            tool.device.setCurrentText("cpu")
            fast = {"steps": 3, "components": 5, "validate_every": 3, "patch": 5, "head_start": 30, "batch": 8}
            tool.learning.form.set_values(fast)
        elif title == "MEG tool":
            tool.panel.model.model.weights.choose_file(self._files.recording_weights)
            tool.panel.model.model.device.setCurrentText("cpu")
        else:
            tool.input.model.choose(rng.choice(("bright", "threshold")))

    def undock(self, title: str, *, by_button: bool) -> None:
        """Take a tool out of the window, by its cross or by a script."""
        tool = self.tools.pop(title)
        if by_button:
            self._dock_of(tool).destroyOnClose()
        else:
            self.viewer.window.remove_dock_widget(tool)

    def any_tool(self, rng: Random) -> Any:
        return rng.choice(list(self.tools.values())) if self.tools else None

    def any_dock(self, rng: Random) -> Any:
        tool = self.any_tool(rng)
        return None if tool is None else self._dock_of(tool)

    @staticmethod
    def _dock_of(tool: Any) -> Any:
        above = tool.parentWidget()
        while not hasattr(above, "destroyOnClose"):
            above = above.parentWidget()
        return above

    def places(self, rng: Random, number: int) -> list[tuple[float, float]]:
        """Some places on the canvas, in its pixels."""
        from tests.workbench_napari.mouse import canvas_of

        canvas = canvas_of(self.viewer)
        w, h = canvas.width(), canvas.height()
        return [(rng.uniform(0.05, 0.95) * w, rng.uniform(0.05, 0.95) * h) for _ in range(number)]


@dataclass
class Step:
    """An action that was done: with its seed it can be done again."""

    name: str
    seed: int
    said: str = ""


@dataclass
class Monkey:
    """Does actions, and looks after each of them.

    Parameters
    ----------
    files
        What there is to open.
    folder
        For what is saved.
    watch
        Hears what goes wrong.
    tell
        Print every action.
    """

    files: Any
    folder: Path
    watch: Watch
    tell: bool = False
    desks: list[Desk] = field(default_factory=list)
    history: list[Step] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    lives: list[Life] = field(default_factory=list)

    def __post_init__(self) -> None:
        from qtpy.QtCore import QTimer

        from tests.workbench_napari.monkey_saves import Saves

        self.saves = Saves(self.folder / "copies")
        self.began = time.monotonic()
        self._current = 0
        self._modal_rng = Random(0)
        self._guard = QTimer()
        self._guard.setInterval(120)
        self._guard.timeout.connect(self._answer)
        self._guard.start()

    # --- what actions use

    @property
    def desk(self) -> Desk:
        """The window that is worked in."""
        return self.desks[self._current % len(self.desks)]

    def open_window(self) -> None:
        self.desks.append(Desk(self.files, self.folder / "out"))
        self._current = len(self.desks) - 1

    def close_window(self, desk: Desk) -> None:
        self.desks.remove(desk)
        desk.tools.clear()
        desk.viewer.close()

    @staticmethod
    def click(widget: Any) -> None:
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtTest import QTest

        place = QPoint(min(8, widget.width() // 2), widget.height() // 2)
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)

    @staticmethod
    def double_click(widget: Any) -> None:
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtTest import QTest

        place = QPoint(8, widget.height() // 2)
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
        QTest.mouseDClick(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)

    def wait(self, condition: Callable[[], bool], seconds: float) -> None:
        """Let Qt work until a condition holds; that it never does is found."""
        from qtpy.QtTest import QTest

        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise Found(f"hung: waited {seconds:.0f} s in vain")
            QTest.qWait(20)

    def _answer(self) -> None:
        """Questions, menus and dialogs that an action opened: one of the answers that they offer."""
        from qtpy.QtWidgets import QApplication, QMenu, QMessageBox

        popup, modal = QApplication.activePopupWidget(), QApplication.activeModalWidget()
        if popup is not None:
            actions = (
                [a for a in popup.actions() if a.isEnabled() and a.menu() is None] if _is_ours(popup, QMenu) else []
            )
            popup.close()
            if actions:
                self._modal_rng.choice(actions).trigger()
        elif isinstance(modal, QMessageBox):
            buttons = [b for b in modal.buttons() if "cancel" not in b.text().lower()] or modal.buttons()
            self._modal_rng.choice(buttons).click()
        elif modal is not None:
            modal.reject() if hasattr(modal, "reject") else modal.close()

    # --- one action after the other

    def step(self, name: str, seed: int) -> None:
        """Do one action, and look."""
        from qtpy.QtTest import QTest

        from tests.workbench_napari.monkey_actions import ACTIONS

        rng = Random(seed)
        if not self.desks:
            self.open_window()
        self._current = rng.randrange(len(self.desks)) if len(self.desks) > 1 else 0
        self._modal_rng = Random(seed + 1)
        made = Step(name, seed)
        self.history.append(made)
        said = ACTIONS[name][1](self, rng)
        made.said = "-" if said is None else said
        if self.tell:
            print(f"{time.monotonic() - self.began:7.1f} s {name} {seed} {made.said}", flush=True)
        self.counts[name] += said is not None
        # One turn of the event loop at least between two actions, as between two of a person.
        QTest.qWait(rng.choice((1, 20, 60)))
        self.look()

    def look(self) -> None:
        """Whatever was heard since, or differs on disk, is found."""
        for problem in self.saves.look():
            self.watch.say(problem)
        if self.watch.faults:
            raise Found(self.watch.faults[0])

    def live(self, rng: Random, until: float) -> None:
        """Open a window, act for a while, close everything, and count what is left."""
        from tests.workbench_napari.monkey_actions import ACTIONS

        names, weights = list(ACTIONS), [weight for weight, _ in ACTIONS.values()]
        number = rng.randint(*_ACTIONS_A_LIFE)
        for done in range(number):
            if time.monotonic() > until and done > 20:
                break
            # Something to work with first.
            name = ("dock", "open_file")[done % 2] if done < _BEGINNING else rng.choices(names, weights)[0]
            self.step(name, rng.getrandbits(32))
        self.end_life()

    def end_life(self) -> None:
        """Close all windows; their jobs end."""
        from workbench_napari.shared import worker

        runners = list(worker._runners.values())
        for desk in list(self.desks):
            self.close_window(desk)
        jobs = [job for runner in runners for job in [runner.job] if job is not None]
        jobs += worker._leaving
        self.wait(lambda: not any(job.is_alive for job in jobs), 60)
        jobs.clear()
        runners.clear()
        self.look()
        self.lives.append(_left(time.monotonic() - self.began, sum(self.counts.values())))
        self._compare()

    def _compare(self) -> None:
        """Nothing may be left that was not left after the first life too."""
        if len(self.lives) < 3:
            return
        first, now = self.lives[1], self.lives[-1]
        for what, spare in (("objects", 0), ("widgets", _SPARE_WIDGETS), ("threads", 0)):
            more = getattr(now, what) - getattr(first, what)
            if sum(more.values()) > spare:
                raise Found(f"{what} left over after {len(self.lives)} lives: {dict(more)}")

    def slope(self) -> float | None:
        """Memory per minute [MB] after the first minutes; ``None`` while there are too few points."""
        import numpy as np

        points = [(life.seconds / 60, life.rss_mb) for life in self.lives if life.seconds > _WARM_SECONDS]
        if len(points) < 4 or points[-1][0] - points[0][0] < 5:
            return None
        return float(np.polyfit(*np.array(points).T, 1)[0])


def _is_ours(widget: Any, kind: type) -> bool:
    """Whether a menu belongs to one of our tools; those of napari lead out of the window."""
    above = widget.parent()
    while above is not None:
        if type(above).__module__.startswith("workbench_napari"):
            return isinstance(widget, kind)
        above = above.parent()
    return False


def _left(seconds: float, actions: int) -> Life:
    """Count what is there now, after everything that can go has gone."""
    import psutil
    from qtpy.QtCore import QEvent
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    for _ in range(3):
        QTest.qWait(150)
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()
    widgets = Counter(f"{type(w).__module__.split('.')[0]}.{type(w).__name__}" for w in QApplication.allWidgets())
    kinds = ("DockTool", "JobRunner", "Journal", "Desk", "Layer", "ViewerModel", "QtViewer")
    objects = Counter(
        type(o).__name__
        for o in gc.get_objects()
        if any(c.__name__ in kinds for c in type(o).__mro__) and "napari" in type(o).__module__
    )
    threads = Counter(t.name.rstrip("0123456789-_") for t in threading.enumerate())
    rss = psutil.Process().memory_info().rss / 1e6
    return Life(seconds, actions, rss, widgets, objects, threads)


# --- by hand


def main(argv: Sequence[str] | None = None) -> int:
    """Run the monkey; returns 0 if nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.workbench_napari.monkey")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replay", type=Path, help="a file that a run has left: do its actions again")
    parser.add_argument("--tell", action="store_true", help="print every action")
    parser.add_argument("--folder", type=Path, help="where to work; by default a folder that goes at the end")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="monkey-") as made:
        folder = given.folder or Path(made)
        return _run(given, folder)


def _run(given: argparse.Namespace, folder: Path) -> int:
    from tests.workbench_napari.monkey_files import install, lay

    os.environ |= {
        "WORKBENCH_HOME": str(folder / "home"), "NAPARI_CONFIG": str(folder / "napari.yaml"), "WORKBENCH_PRELOAD": "0",
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    install(folder / "site")
    watch = Watch(refusals=True).start()
    files = lay(folder / "files")
    minutes, seed, replay = given.minutes, given.seed, given.replay
    import napari

    napari.Viewer().close()
    watch.listen_to_napari()
    monkey, rng = Monkey(files, folder, watch, given.tell), Random(seed)
    problem = ""
    try:
        if replay is not None:
            for name, number in json.loads(replay.read_text(encoding="utf-8"))["actions"]:
                monkey.step(name, number)
            monkey.end_life()
        until = monkey.began + minutes * 60
        while replay is None and time.monotonic() < until:
            monkey.live(rng, until)
            print(_row(monkey.lives[-1], monkey), flush=True)
        slope = monkey.slope()
        if slope is not None and slope > _MB_A_MINUTE:
            raise Found(f"memory rises by {slope:.1f} MB a minute")
    except Exception as error:
        import traceback

        problem = str(error) if isinstance(error, Found) else traceback.format_exc()
    _tell(monkey, seed, problem)
    sys.stdout.flush()
    # What is left of a window that failed must not decide how the process ends.
    os._exit(1 if problem else 0)


def _row(life: Life, monkey: Monkey) -> str:
    return (
        f"{life.seconds / 60:5.1f} min {life.actions:6d} actions {life.rss_mb:7.0f} MB "
        f"{sum(life.widgets.values()):5d} widgets {sum(life.objects.values()):3d} objects "
        f"{sum(life.threads.values()):3d} threads {sum(monkey.saves.checked.values()):4d} saves compared"
    )


def _tell(monkey: Monkey, seed: int, problem: str) -> None:
    print("\naction".ljust(19), "times")
    for name, count in monkey.counts.most_common():
        print(name.ljust(18), f"{count:5d}")
    print("saves compared:", dict(monkey.saves.checked))
    told = Counter(line[:100] for line in monkey.watch.told)
    print("napari told:", *(f"{count:5d} x {line}" for line, count in told.most_common(12)), sep="\n")
    slope = monkey.slope()
    print("memory:", "too few points for a slope" if slope is None else f"{slope:+.2f} MB a minute")
    if not problem:
        print("nothing found")
        return
    file = Path(f"monkey-{seed}.json")
    actions = [[s.name, s.seed] for s in monkey.history]
    file.write_text(json.dumps({"seed": seed, "actions": actions}), encoding="utf-8")
    print(f"FOUND with seed {seed}, after {len(actions)} actions (all of them in {file.absolute()}):\n{problem}")
    print(f"the last {_SHOWN}:")
    for step in monkey.history[-_SHOWN:]:
        print(f"  {step.name:18s} {step.seed:10d}  {step.said}")


if __name__ == "__main__":
    raise SystemExit(main())
