"""A monkey in a real window: seeded random actions over all tools, and everything that must never happen is looked for.

No unhandled exception, warning of ours or complaint of Qt; every saved file equal to what was shown when Save was
pressed; after all windows were closed no widget, object or thread more than before, and no rising memory, by the
windows that were opened. When something is found, the seed and the last actions are printed, and ``--replay`` does them
again::

    python -m tests.workbench_napari.monkey --minutes 2 --seed 1
    python -m tests.workbench_napari.monkey --replay monkey-1.jsonl
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.workbench_napari import monkey_hands  # noqa: F401 (its actions)
from tests.workbench_napari.monkey_actions import ACTIONS, OF_OURS
from tests.workbench_napari.monkey_desk import Desk
from tests.workbench_napari.monkey_lives import Life, left, left_over, said_of_memory, too_much_memory
from tests.workbench_napari.watching import Watch

_SHOWN = 30
"""Last actions that are printed."""
_ACTIONS_A_LIFE = (50, 90)
_BEGINNING = 6
_END = "end of life"
"""Stands in the diary where all windows were closed."""
_FELL_OVER = 75
"""What a process returns that napari's drawing ended."""
_OURS = ("shared", "volume", "scene", "recording", "slide", "general")
_MOST_FALLS = 3
"""Processes that napari may end by itself."""


class Found(Exception):
    """Something that must never happen."""


class FellOver(Exception):
    """napari could not draw any more, and we had no part in it."""


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
    is_plain
        Leave our plugin out: what napari does alone.
    """

    files: Any
    folder: Path
    watch: Watch
    tell: bool = False
    is_plain: bool = False
    desks: list[Desk] = field(default_factory=list)
    history: list[Step] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    lives: list[Life] = field(default_factory=list)
    diary: Path | None = None

    def __post_init__(self) -> None:
        from qtpy.QtCore import QTimer

        from tests.workbench_napari.monkey_saves import Saves

        self.saves = Saves(self.folder / "copies")
        self.began = time.monotonic()
        self.windows = 0
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
        self.windows += 1
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

        rng = Random(seed)
        if not self.desks:
            self.open_window()
        self._current = rng.randrange(len(self.desks)) if len(self.desks) > 1 else 0
        self._modal_rng = Random(seed + 1)
        made = Step(name, seed)
        self.history.append(made)
        self._note(name, seed)
        try:
            said = ACTIONS[name][1](self, rng)
        except OverflowError:
            if not self.is_plain or not is_far_apart(traceback.format_exc()):
                raise
            said = "napari's own: layers too far apart for its sliders"
        made.said = "-" if said is None else said
        if self.tell:
            print(f"{time.monotonic() - self.began:7.1f} s {name} {seed} {made.said}", flush=True)
        self.counts[name] += said is not None
        # One turn of the event loop at least between two actions, as between two of a person.
        QTest.qWait(rng.choice((1, 20, 60)))
        self.look()

    def _note(self, name: str, seed: int) -> None:
        """Write it down before it is done: the process may not live to tell."""
        if self.diary is not None:
            with self.diary.open("a", encoding="utf-8") as file:
                file.write(json.dumps([name, seed]) + "\n")

    def look(self) -> None:
        """Whatever was heard since, or differs on disk, is found."""
        for problem in self.saves.look():
            self.watch.say(problem)
        if self.is_plain:
            self.watch.faults.clear()  # napari's own: it paints outside of its layers, say
        for fault in self.watch.faults:
            if is_painting_outside(fault):
                self.watch.told.append("napari's own: " + fault.strip().rpartition("\n")[2])
                continue
            raise FellOver(fault) if is_of_napari(fault) else Found(fault)
        self.watch.faults.clear()

    def live(self, rng: Random, until: float) -> None:
        """Open a window, act for a while, close everything, and count what is left."""
        names = [name for name in ACTIONS if not (self.is_plain and name in OF_OURS)]
        weights = [ACTIONS[name][0] for name in names]
        number = rng.randint(*_ACTIONS_A_LIFE)
        for done in range(number):
            if time.monotonic() > until and done > 20:
                break
            # Something to work with first.
            name = (
                ("dock", "open_file")[done % 2]
                if done < _BEGINNING and not self.is_plain
                else rng.choices(names, weights)[0]
            )
            self.step(name, rng.getrandbits(32))
        self.end_life()

    def end_life(self) -> None:
        """Close all windows; their jobs end."""
        from workbench_napari.shared import worker

        self._note(_END, 0)
        runners = list(worker._runners.values())
        for desk in list(self.desks):
            self.close_window(desk)
        jobs = [job for runner in runners for job in [runner.job] if job is not None]
        # Qt deletes a window in a later turn; only then what was still to be saved begins.
        self.wait(lambda: not worker._runners, 60)
        self.wait(lambda: not any(job.is_alive for job in jobs) and not worker._leaving, 60)
        jobs.clear()
        runners.clear()
        self.look()
        self.lives.append(left(time.monotonic() - self.began, sum(self.counts.values()), self.windows))
        # What went wrong meanwhile is the cause, and what its traceback holds only a consequence.
        self.look()
        if problem := left_over(self.lives):
            raise Found(problem)


def _is_ours(widget: Any, kind: type) -> bool:
    """Whether a menu belongs to one of our tools; those of napari lead out of the window."""
    above = widget.parent()
    while above is not None:
        if type(above).__module__.startswith("workbench_napari"):
            return isinstance(widget, kind)
        above = above.parent()
    return False


# --- by hand


def main(argv: Sequence[str] | None = None) -> int:
    """Run the monkey; returns 0 if nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.workbench_napari.monkey")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replay", type=Path, help="a file that a run has left: do its actions again")
    parser.add_argument("--tell", action="store_true", help="print every action")
    parser.add_argument("--plain", action="store_true", help="without our plugin: what does napari do alone?")
    parser.add_argument("--folder", type=Path, help="where to work; by default a folder that goes at the end")
    parser.add_argument("--alone", action="store_true", help="in this process, whatever becomes of it")
    given = parser.parse_args(argv)
    if not given.alone:
        return _keep(given, list(sys.argv[1:] if argv is None else argv))
    with tempfile.TemporaryDirectory(prefix="monkey-") as made:
        folder = given.folder or Path(made)
        return _run(given, folder)


def _keep(given: argparse.Namespace, arguments: list[str]) -> int:
    """Run it as a process, and again with another seed where napari's own drawing ends the process."""
    end, falls = time.monotonic() + given.minutes * 60, 0
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.workbench_napari.monkey", *arguments, "--alone"]
    while True:
        minutes = max(1.0, (end - time.monotonic()) / 60)
        own = ["--minutes", f"{minutes:.2f}", "--seed", str(given.seed + 1000 * falls)]
        if given.folder is not None:
            own += ["--folder", str(given.folder / str(falls))]
        child = subprocess.Popen([*command, *own], stderr=subprocess.PIPE, text=True)
        assert child.stderr is not None
        said = []
        for line in child.stderr:
            said.append(line)
            sys.stderr.write(line)
        code = child.wait()
        if code != _FELL_OVER and (code >= 0 or not is_of_napari("".join(said))):
            print(f"napari's own drawing ended {falls} processes" if falls else "no process ended by itself")
            return abs(child.returncode)
        falls += 1
        print(f"napari fell over while it drew, with no code of ours in its stack ({falls}); on with another seed")
        if given.replay is not None or falls > _MOST_FALLS or end - time.monotonic() < 60:
            return 0 if falls <= _MOST_FALLS else 1


def is_of_napari(said: str) -> bool:
    """Whether the drawing of OpenGL failed, in a stack in which nothing of ours stands.

    A napari alone (``--plain``) falls over within minutes once layers come and go: see `shared.own_context`. With a
    tool of ours in the window that should not happen.
    """
    at_end = said.rpartition("Current thread")[2].partition("Extension modules")[0]
    in_drawing = "in glDraw" in at_end or ("in draw_visual" in at_end and "GLError" in at_end)
    return in_drawing and not any(f"workbench_napari/{part}/" in at_end for part in _OURS)


def is_painting_outside(said: str) -> bool:
    """Whether napari painted a labels layer at a slice that it does not have: it raises, and nothing is painted.

    A napari alone does so, too, where a slider goes beyond the layer that is selected; nothing of ours stands in it.
    """
    return "_validate_non_painted_coord" in said and not any(f"workbench_napari/{part}/" in said for part in _OURS)


def is_far_apart(said: str) -> bool:
    """Whether napari counted more steps along an axis than Qt's sliders can: a scene in metres of a map and a slide in
    micrometres in one window lie millions of steps apart. A napari alone does so, too.
    """
    return "qt_dims_slider" in said and "OverflowError" in said and "argument 1 overflowed" in said


def _run(given: argparse.Namespace, folder: Path) -> int:
    from tests.workbench_napari.monkey_files import install, lay
    from tests.workbench_napari.monkey_lives import give_back_at_once
    from tests.workbench_napari.monkey_loading import draw_once, load_all

    give_back_at_once()
    os.environ |= {
        "WORKBENCH_HOME": str(folder / "home"), "NAPARI_CONFIG": str(folder / "napari.yaml"), "WORKBENCH_PRELOAD": "0",
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    install(folder / "site")
    watch = Watch(refusals=True).start()
    files = lay(folder / "files")
    minutes, seed, replay = given.minutes, given.seed, given.replay
    from napari.qt import get_qapp

    application = get_qapp()
    load_all()
    draw_once()
    if given.plain:  # which ends a napari alone within minutes: see there
        from workbench_napari.shared.own_context import keep_to_own_context

        keep_to_own_context()
    watch.listen_to_napari()
    monkey, rng = Monkey(files, folder, watch, given.tell, given.plain), Random(seed)
    problem = ""
    if replay is None:
        Path(f"monkey-{seed}.jsonl").unlink(missing_ok=True)
        monkey.diary = Path(f"monkey-{seed}.jsonl")
    try:
        if replay is not None:
            for line in replay.read_text(encoding="utf-8").splitlines():
                name, its_seed = json.loads(line)
                monkey.end_life() if name == _END else monkey.step(name, its_seed)
            if monkey.desks:
                monkey.end_life()
        until = monkey.began + minutes * 60
        while replay is None and time.monotonic() < until:
            monkey.live(rng, until)
            print(_row(monkey.lives[-1], monkey), flush=True)
        if too_much_memory(monkey.lives):
            raise Found(said_of_memory(monkey.lives))
    except FellOver as error:
        print(f"napari could not draw any more: {str(error)[-300:]}")
        _tell(monkey, seed, "")
        sys.stdout.flush()
        os._exit(_FELL_OVER)
    except Exception as error:
        import traceback

        problem = str(error) if isinstance(error, Found) else traceback.format_exc()
    _tell(monkey, seed, problem)
    del application
    sys.stdout.flush()
    # What is left of a window that failed must not decide how the process ends.
    os._exit(1 if problem else 0)


def _row(life: Life, monkey: Monkey) -> str:
    return (
        f"{life.seconds / 60:5.1f} min {life.actions:6d} actions {life.windows:4d} windows {life.rss_mb:7.0f} MB "
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
    print(said_of_memory(monkey.lives))
    if not problem:
        print("nothing found")
        return
    number = len(monkey.history)
    print(f"FOUND with seed {seed}, after {number} actions (all of them in monkey-{seed}.jsonl):\n{problem}")
    print(f"the last {_SHOWN}:")
    for step in monkey.history[-_SHOWN:]:
        print(f"  {step.name:18s} {step.seed:10d}  {step.said}")


if __name__ == "__main__":
    raise SystemExit(main())
