"""How long a window stands still, and what its thread does meanwhile; shared by the benchmarks of a real window."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

_SAMPLE_SECONDS = 0.004
_LATE_SECONDS = 0.03
_HELD_SECONDS = 0.25
_DEEP = 60


class GapMeter:
    """A timer of 5 ms and the longest time that it had to wait.

    ``gaps`` holds, for every gap over 20 ms: wall time, processor time of the window's thread, time that it was held up
    by others [ms]; ``stacks`` what the window's thread was found at in each, if a `Sampler` looks.
    """

    def __init__(self, sampler: Sampler | None = None) -> None:
        from qtpy.QtCore import Qt, QTimer

        self.gaps: list[tuple[float, float, float]] = []
        self.stacks: list[Counter[tuple[str, ...]]] = []
        self._sampler = sampler
        self._best = float("inf")
        self._last = self._now()
        self.timer = QTimer()
        self.timer.setTimerType(Qt.TimerType.PreciseTimer)
        self.timer.setInterval(5)
        self.timer.timeout.connect(self._tick)
        self.timer.start()

    @staticmethod
    def _now() -> tuple[float, float, float, float]:
        return time.perf_counter(), time.thread_time(), time.process_time(), _waited()

    def _tick(self) -> None:
        now = self._now()
        wall, own, all_, waited = (1e3 * (b - a) for a, b in zip(self._last, now, strict=True))
        found = self._sampler.take() if self._sampler is not None else Counter()
        if wall > 20:
            slept = max(0.0, wall - own - waited)
            self.gaps.append((wall, own, min(slept, max(0.0, all_ - own))))
            self.stacks.append(found)
        self._last = now

    def take(self) -> dict[str, float]:
        """The longest gap since the last call, by the time that the process worked in it."""
        found = max(self.gaps, key=lambda g: g[1] + g[2], default=(0.0, 0.0, 0.0))
        longest = max((g[0] for g in self.gaps), default=0.0)
        slower = self.slower()
        self._last, self.gaps, self.stacks = self._now(), [], []
        quiet = (found[1] + found[2]) / slower
        return {"gap": longest, "window": found[1], "held": found[2], "slower": slower, "quiet": quiet}

    def slower(self) -> float:
        """How much more processor time than at best a fixed piece of Python takes now: caches are shared."""
        times = []
        for _ in range(40):
            began = time.thread_time()
            sum({str(n): n for n in range(5000)}.values())
            times.append(time.thread_time() - began)
        self._best = min(self._best, *times)
        return sum(times) / len(times) / self._best

    def where(self, over_ms: float) -> str:
        """What the window's thread did in every gap over a limit: a tree of calls with the samples that met each."""
        parts = []
        for (wall, own, held), stacks in zip(self.gaps, self.stacks, strict=True):
            if own + held > over_ms:
                parts.append(f"--- {wall:.0f} ms (window {own:.0f}, held {held:.0f})\n{tree(stacks)}")
        if self._sampler is not None:
            parts += self._sampler.notes
            self._sampler.notes = []
            parts.append(f"imported: {', '.join(self._sampler.imported())}")
        return "\n".join(parts)


class Sampler(threading.Thread):
    """Looks at the stack of the main thread while it is late, and notes long collections and what is imported.

    For looking, not for measuring: it takes time itself, and Python 3.11 has crashed under it in long sessions. It
    needs Python itself, so of a call that holds Python it sees the end only: what other threads are at then is what
    held it.
    """

    def __init__(self) -> None:
        super().__init__(name="stack-sampler", daemon=True)
        self._main = threading.main_thread().ident
        self._found: Counter[tuple[str, ...]] = Counter()
        self._since = self._looked = time.perf_counter()
        self.notes: list[str] = []
        self._modules = set(sys.modules)
        self._collecting = 0.0
        gc.callbacks.append(self._on_collection)

    def run(self) -> None:
        while True:
            time.sleep(_SAMPLE_SECONDS)
            now = time.perf_counter()
            frames = sys._current_frames()
            if now - self._looked > _HELD_SECONDS:
                names = {t.ident: t.name for t in threading.enumerate()}
                for key, frame in frames.items():
                    if key not in (self._main, threading.get_ident()):
                        self.notes.append(f"Python held {1e3 * (now - self._looked):.0f} ms; {names.get(key)} is at")
                        self.notes += [f"      {line}" for line in _lines(frame)[-6:]]
            self._looked = now
            if now - self._since > _LATE_SECONDS:
                self._found[_lines(frames.get(self._main or 0))] += 1

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.perf_counter()
        elif (took := time.perf_counter() - self._collecting) > _LATE_SECONDS:
            name = threading.current_thread().name
            self.notes.append(f"collection of generation {info['generation']} in {name}: {1e3 * took:.0f} ms")

    def imported(self) -> list[str]:
        """Modules that came since the last call; of a package that came too it is named alone."""
        now = set(sys.modules)
        new, self._modules = sorted(now - self._modules), now
        return [n for n in new if not any(n.startswith(f"{other}.") for other in new)]

    def take(self) -> Counter[tuple[str, ...]]:
        """What was seen since the last call."""
        found, self._found = self._found, Counter()
        self._since = time.perf_counter()
        return found


def tree(stacks: Counter[tuple[str, ...]], share: float = 0.06) -> str:
    """Stacks as an indented tree; branches that met fewer than a share of all samples are left out."""
    total = sum(stacks.values()) or 1
    lines: list[str] = []

    def show(part: Counter[tuple[str, ...]], depth: int) -> None:
        heads: Counter[str] = Counter()
        for stack, count in part.items():
            if len(stack) > depth:
                heads[stack[depth]] += count
        for head, count in heads.most_common():
            if count / total < share:
                continue
            below = Counter({s: c for s, c in part.items() if len(s) > depth and s[depth] == head})
            lines.append(f"{100 * count / total:4.0f} % {' ' * min(depth, 40)}{head}")
            show(below, depth + 1)

    show(stacks, 0)
    return "\n".join(lines)


def _lines(frame: FrameType | None) -> tuple[str, ...]:
    found = []
    while frame is not None and len(found) < _DEEP:
        file = "/".join(frame.f_code.co_filename.rsplit("/", 3)[-3:])
        if "importlib" not in file:
            found.append(f"{file}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return tuple(reversed(found))


def _waited() -> float:
    """Seconds that this thread has waited for a processor so far; 0 where the system does not tell."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except OSError:
        return 0.0
