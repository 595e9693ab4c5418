"""Batch runs: ``python tests/benchmarks/bench_batch.py [many] [speed] [loop]``; all by default.

- ``many``: 10,000 tiny cases: time per case that is not computing, growth of the memory of the run and of the process
  that computes, and how long a second run takes to find that all is complete.
- ``speed``: cases of a second each, ``--jobs 2`` against ``--jobs 1``, one thread per case on both sides; the time from
  the first case on, so that loading does not count.
- ``loop``: small volumes in one run against a shell loop with a command for each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests import poison, tiny  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", choices=["many", "speed", "loop", []], help="which; all by default")
    parser.add_argument("--cases", type=int, default=10_000, help="of many")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    for name in arguments.what or ("many", "speed", "loop"):
        with tempfile.TemporaryDirectory() as folder:
            {"many": lambda f: many(f, arguments.cases), "speed": speed, "loop": loop}[name](Path(folder))
    return 0


def many(folder: Path, count: int) -> None:
    """Overhead per case, memory of the run, and the look at what is complete."""
    env = poison.install(folder / "site")
    poison.volumes(folder / "in", *[f"quick_{n:05d}" for n in range(count)])
    words = ["poison", "-i", str(folder / "in"), "-o", str(folder / "out"), "-q", "--jobs", "1", "--log-format", "json"]
    for what in ("computed", "complete"):
        began = time.perf_counter()
        events, grown = run([*words, "--report", str(folder / "report.json")], env)
        seconds = time.perf_counter() - began
        ends = [e for e in events if e["event"] == "end"]
        spread = ends[-1]["at"] - ends[0]["at"]
        print(
            f"{count} cases {what}: {seconds:.1f} s in all; between the first and the last {spread:.2f} s, "
            f"{1e3 * spread / count:.2f} ms per case; memory of the run grew by {grown[0] / 1e6:.1f} MB meanwhile, "
            f"that of its process by {grown[1] / 1e6:.1f} MB",
            flush=True,
        )


def speed(folder: Path) -> None:
    """Two processes against one."""
    env = poison.install(folder / "site")
    poison.volumes(folder / "in", *[f"slow_{n}" for n in range(12)])
    took = {}
    for jobs in (1, 2):
        words = ["poison", "-i", str(folder / "in"), "-o", str(folder / f"out{jobs}"), "-q", "--jobs", str(jobs)]
        events, _ = run([*words, "--log-format", "json"], {**env, "POISON_SECONDS": "1.5"})
        ends = sorted(e["at"] for e in events if e["event"] == "end")
        # From the moment on when all processes have ended a first case.
        took[jobs] = (ends[-1] - ends[jobs - 1]) / (len(ends) - jobs)
        print(f"--jobs {jobs}: {took[jobs]:.2f} s per case", flush=True)
    print(f"ratio {took[1] / took[2]:.2f}")


def loop(folder: Path) -> None:
    """One run against a command for each case."""
    weights = tiny.make_tiny_weights(folder / "w.safetensors")
    images = [tiny.make_volume(folder / "in" / f"v{n}.nii.gz", seed=n, shape=(40, 40, 40)) for n in range(20)]
    words = ["segformer3d", "--weights", str(weights), "-q"]
    began = time.perf_counter()
    run([*words, "-i", str(folder / "in"), "-o", str(folder / "out")], dict(os.environ))
    together = (time.perf_counter() - began) / len(images)
    began = time.perf_counter()
    for image in images[:4]:
        run([*words, "-i", str(image), "-o", str(folder / "single")], dict(os.environ))
    single = (time.perf_counter() - began) / 4
    print(f"{len(images)} small volumes: {together:.2f} s each in one run, {single:.2f} s each in a loop of commands")
    print(f"ratio {single / together:.1f}")


def run(words: list[str], env: dict[str, str]) -> tuple[list[dict[str, float]], tuple[int, int]]:
    """Events of a run, with the time at which each came; and by how much its memory and that of its processes grew
    after the first case [B]."""
    import psutil

    env = {**env, "PYTHONPATH": os.pathsep.join([env.get("PYTHONPATH", ""), str(ROOT)]).strip(os.pathsep)}
    events: list[dict[str, float]] = []
    first, most = (0, 0), (0, 0)
    with subprocess.Popen(
        poison.command("predict", *words), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        ended = threading.Event()

        runner = psutil.Process(process.pid)

        def held() -> tuple[int, int]:
            return runner.memory_info().rss, sum(c.memory_info().rss for c in runner.children())

        def look() -> None:
            nonlocal most
            while not ended.wait(0.2):
                with suppress(psutil.Error):  # one of them has just ended
                    now = held()
                    most = max(most[0], now[0]), max(most[1], now[1])

        threading.Thread(target=look, daemon=True).start()
        assert process.stderr is not None
        for line in process.stderr:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            events.append({**event, "at": time.perf_counter()})
            if event["event"] == "end" and not first[0]:
                first = held()
        ended.set()
        if process.wait():
            raise SystemExit(f"ended with {process.returncode}")
    return events, (max(0, most[0] - first[0]), max(0, most[1] - first[1]))


if __name__ == "__main__":
    sys.exit(main())
