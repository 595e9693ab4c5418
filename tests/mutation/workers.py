"""Runs the verbs of a seed on its mutants in forked children of a process that has imported everything once.

A child has 3 GB of address space and 5 s of processor time per mutant. One that crashes, or is killed for taking too
long, takes only the mutant with it that it was at: the next child goes on behind it.
"""

from __future__ import annotations

import json
import logging
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import uuid
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from tests.mutation.judging import FAULTS, digest, fault_of
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.seed import Seed

MEMORY = 3 << 30
SECONDS = 5
_WALL = 60
_BATCH = 25


def warm() -> None:
    """Import whatever any reader imports, so that no child pays for it."""
    import h5py  # noqa: F401
    import mne  # noqa: F401
    import nibabel  # noqa: F401
    import pydicom  # noqa: F401
    import rasterio  # noqa: F401
    import scipy.io  # noqa: F401
    import SimpleITK  # noqa: F401
    import tifffile  # noqa: F401
    import torch

    import workbench  # noqa: F401

    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")


def run(seed: Seed, count: int, only: int | None = None) -> dict[str, Any]:
    """One row of the table: how many mutants were refused, unchanged or changed, and every fault with its line.

    Raises
    ------
    ImportError
        A library that only makes the seed is not installed.
    AssertionError
        The seed itself is not read.
    """
    with tempfile.TemporaryDirectory(prefix="mutation-") as place:
        root = Path(place)
        (root / "seed").mkdir()
        with steady():
            opened = seed.make(root / "seed").relative_to(root / "seed")
        files = {
            str(p.relative_to(root / "seed")): p.read_bytes() for p in sorted((root / "seed").rglob("*")) if p.is_file()
        }
        truth = _truth(seed, root / "seed" / opened)
        todo = [m for m in mutants(seed.name, files, count) if only is None or m.number == only]
        tally: Counter[str] = Counter()
        faults: list[dict[str, Any]] = []
        slowest = 0.0
        for mutant, found in _all(seed, root, opened, todo, truth):
            slowest = max(slowest, found.pop("cpu", 0.0))
            judged = [
                (verb, fault_of(seed, mutant, files[mutant.file], verb, result, truth.get(verb, {})))
                for verb, result in found.items()
            ]
            bad = {}
            for verb, fault in judged:
                if fault is not None:
                    bad.setdefault(fault[0], (verb, fault[1]))
            for kind, (verb, line) in bad.items():
                tally[kind] += 1
                faults.append({"mutant": mutant.number, "file": mutant.file, "what": mutant.what, "fault": kind,
                               "verb": verb, "line": line})  # fmt: skip
            tally["refused" if any("refused" in r for r in found.values()) else "read"] += 1
        return {"seed": seed.name, "group": seed.group, "protection": seed.protection, "mutants": len(todo),
                "slowest": round(slowest, 2), **{k: tally[k] for k in ("refused", "read", *FAULTS)},
                "faults": faults}  # fmt: skip


@contextmanager
def steady() -> Iterator[None]:
    """The same files every time: at one moment, with numbers that are drawn alike, whoever draws them."""
    drawn = random.Random(0)

    def drawn_id(*_: Any) -> uuid.UUID:
        return uuid.UUID(int=drawn.getrandbits(128), version=4)

    np.random.seed(0)  # noqa: NPY002 - what libraries draw from
    with (
        mock.patch("time.time", return_value=1.7e9),
        mock.patch("time.asctime", return_value="Tue Nov 14 22:13:20 2023"),
        mock.patch("secrets.randbelow", drawn.randrange),
        mock.patch("uuid.uuid1", drawn_id),
        mock.patch("uuid.uuid4", drawn_id),
    ):
        yield


def outcome(seed: Seed, path: Path) -> dict[str, Any]:
    """What each verb did with one file as it is; where the child ended early, the verb that it ended in."""
    with _child(seed, [(None, path)], {}) as reports:
        for report in reports:
            if "verbs" in report:
                found: dict[str, Any] = report["verbs"]
                return found
            return {report["verb"]: {"fault": _ended(report["signal"]), "line": report["line"], "cpu": float("nan")}}
    raise AssertionError(f"{path}: the child reported nothing")


def keep(seed: Seed, number: int, folder: Path) -> Path:
    """Write one mutant for a person to look at; returns the path to open."""
    folder.mkdir(parents=True, exist_ok=True)
    with steady():
        opened = seed.make(folder)
    files = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    mutant = next(m for m in mutants(seed.name, files, number + 1) if m.number == number)
    (folder / mutant.file).write_bytes(mutant.content)
    return opened


def _truth(seed: Seed, opened: Path) -> dict[str, Any]:
    with _child(seed, [(None, opened)], {}) as reports:
        found = [r for r in reports if "verbs" in r]
    assert found, f"{seed.name}: the seed crashes"
    truth: dict[str, Any] = found[0]["verbs"]
    bad = {v: r for v, r in truth.items() if "hash" not in r}
    assert not bad, f"{seed.name}: the seed itself is not read: {bad}"
    return truth


def _all(seed: Seed, root: Path, opened: Path, todo: list[Mutant], truth: dict[str, Any]) -> Any:
    """Each mutant with what its verbs did; a child at a time."""
    waiting = list(todo)
    while waiting:
        batch, done = waiting[:_BATCH], 0
        jobs: list[tuple[Mutant | None, Path]] = [(m, root / "work" / opened) for m in batch]
        with _child(seed, jobs, {"seed": root / "seed", "work": root / "work"}) as reports:
            for report in reports:
                if "verbs" in report:
                    yield batch[done], {**report["verbs"], "cpu": report["cpu"]}
                else:
                    yield batch[done], {report["verb"]: {"fault": _ended(report["signal"]), "line": report["line"]}}
                done += 1
        waiting = waiting[done:]


def _ended(number: int) -> str:
    return "slow" if number in (signal.SIGXCPU, signal.SIGKILL) else "signal"


class _child:
    """A forked process that does these jobs; what it reports, and how it ended if that was before the last one."""

    def __init__(self, seed: Seed, jobs: list[tuple[Mutant | None, Path]], places: dict[str, Path]) -> None:
        self._jobs = len(jobs)
        source, sink = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(source)
            code = 1
            try:
                _work(seed, jobs, places, sink)
                code = 0
            except BaseException:
                os.write(sink, json.dumps({"broken": traceback.format_exc()[-2000:]}).encode() + b"\n")
            finally:
                os._exit(code)
        os.close(sink)
        self._source = source

    def __enter__(self) -> Any:
        return self._reports()

    def __exit__(self, *error: Any) -> None:
        os.close(self._source)

    def _reports(self) -> Any:
        done, verb, rest, ended = 0, "start", b"", time.monotonic() + _WALL
        while True:
            ready, _, _ = select.select([self._source], [], [], max(0.0, ended - time.monotonic()))
            if not ready:
                os.kill(self._pid, signal.SIGKILL)
            read = os.read(self._source, 1 << 16)
            if not read:
                break
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                report = json.loads(line)
                if "broken" in report:
                    raise AssertionError(report["broken"])
                if "verbs" in report:
                    done, ended = done + 1, time.monotonic() + _WALL
                    yield report
                else:
                    verb = report["verb"]
        _, status = os.waitpid(self._pid, 0)
        if done < self._jobs:
            number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            yield {"signal": number, "verb": verb, "line": f"ended by signal {number} in {verb}"}


def _work(seed: Seed, jobs: list[tuple[Mutant | None, Path]], places: dict[str, Path], sink: int) -> None:
    """In the child: a fresh copy of the seed with the mutant in it, then every verb."""
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for mutant, opened in jobs:
        if mutant is not None:
            shutil.rmtree(places["work"], ignore_errors=True)
            shutil.copytree(places["seed"], places["work"])
            (places["work"] / mutant.file).write_bytes(mutant.content)
        before = _cpu()
        resource.setrlimit(resource.RLIMIT_CPU, (int(before) + SECONDS + 1, resource.RLIM_INFINITY))
        found = {}
        for verb, do in seed.verbs(opened).items():
            os.write(sink, json.dumps({"verb": verb}).encode() + b"\n")
            started = _cpu()
            found[verb] = _done(do, opened)
            found[verb]["cpu"] = _cpu() - started
        used = _cpu() - before
        if used > SECONDS:
            found["all"] = {"fault": "slow", "line": f"{used:.1f} s of processor time"}
        os.write(sink, json.dumps({"verbs": found, "cpu": used}).encode() + b"\n")


def _done(do: Any, opened: Path) -> dict[str, Any]:
    from workbench.core.errors import WorkbenchError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return digest(do())
    except WorkbenchError as error:
        text = str(error)
        if isinstance(error.__cause__ or error.__context__, MemoryError):
            return {"fault": "memory", "line": text[:300]}
        # The folder of the work names the file too: of a series any of its slices.
        if "\n" in text or str(opened.parent) not in text or len(text) > 1500:
            return {"fault": "unclear", "line": text[:300]}
        return {"refused": text[:300]}
    except MemoryError as error:
        return {"fault": "memory", "line": f"MemoryError: {error} {_where(error)}"}
    except Exception as error:
        return {"fault": "unexpected", "line": f"{type(error).__name__}: {str(error)[:150]} {_where(error)}"}


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/workbench" in f.filename or "workbench_napari" in f.filename]
    last = (ours or frames)[-1]
    return f"[{'/'.join(Path(last.filename).parts[-3:])}:{last.lineno} {last.name}]"


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
