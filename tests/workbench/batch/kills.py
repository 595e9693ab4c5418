"""Runs that are killed at seeded moments: ``python -m tests.workbench.batch.kills [FIRST SEED] [HOW MANY]``.

Each seed kills a run of small cases of all backends once, the run itself or one of its processes, after a random time
or at a named moment of writing (before a file is flushed, before and after the rename by which a result counts, before
the record has its place). Then a second run completes it. Counted: files under final names that are no whole results,
cases that are lost, cases that were computed again although their record was there, and results that differ from those
of a run that nobody disturbed. One line per seed, appended to a table with ``--table FILE``; ``kills.txt`` has those so
far.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests import poison, tiny
from workbench.core.atomic import sha256_of

MOMENTS = ("time", "fsync", "rename", "renamed", "replace")
"""A time; or where the n-th call of the system is about to be made, or has just been made."""

# Put before everything else in each process: at the chosen call it kills who was chosen.
HOOK = """
import os, signal, sys
_moment, _count, _who, _run = os.environ.get("KILL", "time,0,run,0").split(",")
_left = [int(_count)]
def _now():
    _left[0] -= 1
    if _left[0] == 0:
        is_worker = "workbench.batch.worker" in " ".join(sys.orig_argv)
        os.kill(os.getppid() if is_worker and _who == "run" else os.getpid(), signal.SIGKILL)
        import time
        time.sleep(60)
def _before(real):
    def call(*a, **k):
        _now()
        return real(*a, **k)
    return call
def _after(real):
    def call(*a, **k):
        found = real(*a, **k)
        _now()
        return found
    return call
if _moment == "fsync":
    os.fsync = _before(os.fsync)
elif _moment == "rename":
    os.rename = _before(os.rename)
elif _moment == "renamed":
    os.rename = _after(os.rename)
elif _moment == "replace":
    os.replace = _before(os.replace)
"""


@dataclass
class Count:
    """What was found after one seed."""

    seed: int
    moment: str
    who: str
    killed: bool
    partial: int = 0
    lost: int = 0
    again: int = 0
    differing: int = 0

    @property
    def is_clean(self) -> bool:
        return not (self.partial or self.lost or self.again or self.differing)

    def line(self) -> str:
        return (
            f"{self.seed:>6} {self.moment:<8} {self.who:<7} {'killed' if self.killed else 'ended':<7} "
            f"{self.partial:>8} {self.lost:>5} {self.again:>6} {self.differing:>7}"
        )


HEAD = f"{'seed':>6} {'moment':<8} {'who':<7} {'':<7} {'partial':>8} {'lost':>5} {'again':>6} {'differ':>7}"


@dataclass(frozen=True)
class Study:
    """Small cases of each backend: folder of the inputs and the words of the command."""

    name: str
    cases: int
    words: tuple[str, ...]


def studies(folder: Path, small: bool) -> list[Study]:
    """40 cases of four backends, or 8 of one of them."""
    site = folder / "site"
    poison.install(site)
    (site / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    poison.volumes(folder / "poison", *[f"quick_{n}" for n in range(8 if small else 10)])
    found = [Study("poison", 8 if small else 10, ("poison", "-i", str(folder / "poison")))]
    if small:
        return found
    for n in range(10):
        tiny.make_volume(folder / "volumes" / f"v{n}.nii.gz", seed=n, shape=(33, 32, 32))
        tiny.make_tiny_recording(folder / "recordings" / f"r{n}.npy", seed=n)
    weights = tiny.make_tiny_weights(folder / "volume.safetensors")
    found.append(Study("volume", 10, ("segformer3d", "-i", str(folder / "volumes"), "--weights", str(weights))))
    (folder / "scenes").mkdir()
    scene = tiny.make_tiny_scene(folder / "scenes" / "s0.npy")
    weights = tiny.make_tiny_scene_weights(folder / "scene.safetensors", scene)
    for n in range(1, 10):
        (folder / "scenes" / f"s{n}.npy").write_bytes(scene.read_bytes())
    listed = "image,id\n" + "\n".join(f"scenes/s{n}.npy,s{n}" for n in range(10))
    (folder / "scenes.csv").write_text(listed, encoding="utf-8")
    words = ("lola_specvit", "-i", str(folder / "scenes.csv"), "--weights", str(weights), "--kind", "scene")
    found.append(Study("scene", 10, words))
    weights = tiny.make_tiny_meg_weights(folder / "meg.safetensors")
    words = ("meg_gpt", "-i", str(folder / "recordings"), "--weights", str(weights), "--kind", "recording")
    found.append(Study("recording", 10, words))
    return found


def command(study: Study, out: Path) -> list[str]:
    return poison.command("predict", *study.words, "-o", str(out), "-q", "--no-overview", "--jobs", "2")


def environment(folder: Path, **values: str) -> dict[str, str]:
    return {**poison.install(folder / "site"), "WORKBENCH_HOME": str(folder / "home"), **values}


def results(out: Path) -> dict[str, str]:
    """Hash of every file under a final name but the records, which hold times; by its path."""
    return {
        str(p.relative_to(out)): sha256_of(p)
        for p in sorted(out.rglob("*"))
        if p.is_file()
        and not any(part.startswith(".") for part in p.relative_to(out).parts)
        and p.suffix not in (".json", ".jsonl")
    }


def try_once(study: Study, folder: Path, seed: int, undisturbed: dict[str, str], seconds: float) -> Count:
    """Kill one run at the moment of this seed, complete it, count."""
    chance = random.Random(seed)
    moment, who = chance.choice(MOMENTS), chance.choice(("run", "worker"))
    out = folder / f"out {study.name} {seed}"
    # A process renames once for each of its cases, and flushes and replaces several files for each.
    call = chance.randint(1, 4 if moment in ("rename", "renamed") else 24)
    kill = f"{moment},{call},{who},0"
    with subprocess.Popen(
        command(study, out),
        env=environment(folder, KILL=kill),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as run:
        killed = True
        if moment == "time":
            time.sleep(chance.uniform(0.0, seconds))
            killed = _kill(run, who)
        _, said = run.communicate(timeout=300)
    if moment != "time":
        killed = run.returncode == -signal.SIGKILL or b"SIGKILL" in said
    found = Count(seed, moment, who, killed)
    time.sleep(0.3)  # what the run had started ends with it
    before = saved(out)
    for path, digest in results(out).items():
        found.partial += undisturbed.get(path) != digest
    ended = subprocess.run(
        [*command(study, out), "--retry-failed"], env=environment(folder), capture_output=True, check=False
    )
    after = saved(out)
    found.lost = study.cases - len(after) + (ended.returncode != 0)
    found.again = sum(after.get(case) != when for case, when in before.items())
    found.differing = sum(results(out).get(path) != digest for path, digest in undisturbed.items())
    found.differing += len(set(results(out)) - set(undisturbed))
    return found


def saved(out: Path) -> dict[str, tuple[str, float]]:
    """When the result of each case that has a record was begun, and how long it took: no second one has the same."""
    records = {p.parent.name: json.loads(p.read_text(encoding="utf-8")) for p in out.glob("*/provenance.json")}
    return {case: (record["started"], record["seconds"]) for case, record in records.items()}


def _kill(run: subprocess.Popen, who: str) -> bool:
    target = run.pid
    if who == "worker":
        try:
            workers = psutil.Process(run.pid).children()
        except psutil.Error:
            return False
        if not workers:
            return False
        target = workers[0].pid
    try:
        os.kill(target, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def trial(folder: Path, seeds: range, small: bool = False, table: Path | None = None) -> list[Count]:
    """Try all seeds, each on the next of the studies; each line is appended to the table as soon as it is known."""
    tried = []
    known: dict[str, tuple[dict[str, str], float]] = {}
    rows = studies(folder, small)
    for seed in seeds:
        study = rows[seed % len(rows)]
        if study.name not in known:
            began = time.monotonic()
            out = folder / f"undisturbed {study.name}"
            subprocess.run(command(study, out), env=environment(folder), check=True, stdout=subprocess.DEVNULL)
            known[study.name] = results(out), time.monotonic() - began
        tried.append(try_once(study, folder, seed, *known[study.name]))
        print(tried[-1].line(), flush=True)
        if table is not None:
            with table.open("a", encoding="utf-8") as file:
                file.write(f"{study.name:<10} {tried[-1].line()}\n")
    return tried


def main() -> int:
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=int, nargs="?", default=0)
    parser.add_argument("count", type=int, nargs="?", default=20)
    parser.add_argument("--table", type=Path, help="append the lines to this file")
    arguments = parser.parse_args()
    print(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        tried = trial(Path(folder), range(arguments.first, arguments.first + arguments.count), table=arguments.table)
    clean = sum(c.is_clean for c in tried)
    print(f"{len(tried)} runs, {sum(c.killed for c in tried)} killed, {clean} clean")
    return 0 if clean == len(tried) else 1


if __name__ == "__main__":
    sys.exit(main())
