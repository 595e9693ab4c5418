"""Damaged files of all formats: refused in one line, or read as they were; never other samples, never a crash.

The table with every fault: ``python -m tests.mutation``.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.judging import FAULTS, fault_of
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.seed import Seed, whole
from tests.mutation.seeds import SEEDS
from tests.mutation.serving import serving

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def row_of():
    with serving("tests.mutation") as ask:

        def row(name, count):
            found = ask([name, count])
            if "missing" in found:
                pytest.skip(found["missing"])
            assert "broken" not in found, found["broken"]
            return found

        yield row


def _check(row, count):
    said = [
        f"#{f['mutant']} {f['file']} ({f['what']}): {f['fault']} in {f['verb']}: {f['line']}" for f in row["faults"]
    ]
    assert not said, "\n".join([f"python -m tests.mutation {count} '{row['seed']}'", *said])
    assert row["mutants"] == count
    assert row["refused"] + row["read"] == count


@pytest.mark.parametrize("name", SEEDS)
def test_ten_mutants(name, row_of):
    _check(row_of(name, 10), 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_a_hundred_mutants(name, row_of):
    row = row_of(name, 100)
    _check(row, 100)
    assert row["refused"] >= 10


def test_there_are_enough_seeds():
    assert len(SEEDS) >= 40
    assert {s.group for s in SEEDS.values()} == {"volumes", "scenes", "recordings", "others"}


def test_mutants_are_the_same_every_time_and_are_others():
    files = {"a.hdr": b"NDims = 3\nDimSize = 4 4 4\n", "a.raw": bytes(64)}
    ten, hundred = list(mutants("x", files, 10)), list(mutants("x", files, 100))
    assert ten == hundred[:10]
    assert sum(m.content != files[m.file] for m in hundred) > 95
    assert len({m.content for m in hundred}) > 80
    assert any(b"9" * 5000 in m.content for m in mutants("x", files, 500))


SAME, OTHER = {"size": 8, "hash": "a"}, {"size": 8, "hash": "b"}


@pytest.mark.parametrize(
    ("options", "what", "found", "fault"),
    [
        ({"sealed": whole}, {"touched": ((3, 4),)}, OTHER, "other"),
        ({"sealed": whole}, {"touched": ((3, 4),)}, SAME, None),
        ({"sealed": whole}, {"touched": ((8, 8),)}, OTHER, None),
        ({"sealed": whole}, {"touched": ((3, 4),), "inside": True}, OTHER, None),
        ({}, {"touched": ((3, 4),)}, OTHER, None),
        ({}, {"touched": ((3, 4),)}, {"size": 7, "hash": "c"}, "short"),
        ({}, {"touched": ((5, 8),), "cut": True}, OTHER, "other"),
        ({}, {"touched": ((5, 8),), "cut": True}, {"refused": "a line"}, None),
        ({"ends": False}, {"touched": ((5, 8),), "cut": True}, OTHER, None),
        ({"body": ("*.raw",)}, {"touched": ((5, 8),), "cut": True}, {"size": 7, "hash": "c"}, None),
        ({"counted": False}, {"touched": ((5, 8),), "cut": True}, {"size": 7, "hash": "c"}, None),
        ({}, {"touched": ((3, 4),)}, {"fault": "signal", "line": "ended"}, "signal"),
    ],
)
def test_what_counts_as_a_fault(options, what, found, fault):
    seed = Seed("x", "volumes", lambda folder: folder, **options)
    judged = fault_of(seed, Mutant(0, "a.hdr", b"", "", **what), bytes(8), "data", found, SAME)
    assert (judged and judged[0]) == fault
    assert fault is None or fault in FAULTS


@pytest.mark.parametrize("fault", ["signal", "slow", "unexpected", "memory", "unclear"])
def test_the_test_itself_finds_faults(fault):
    """Each of them in a reader that is made to have it."""
    run = subprocess.run(
        [sys.executable, "-c", _FAULTY, fault], cwd=_ROOT, text=True, capture_output=True,
        env={"PYTHONPATH": f"{_ROOT}", "PATH": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-500:]
    row = json.loads(run.stdout)
    assert row[fault] == 1, row
    assert sum(row[f] for f in FAULTS) == 1


_FAULTY = """
import json, os, pathlib, signal, sys, tempfile
from tests.mutation import workers
from tests.mutation.seed import Seed
from workbench.core.errors import InputError

workers.SECONDS = 1
GOOD = b"abcdefgh" * 8

def make(folder):
    (folder / "a.txt").write_bytes(GOOD)
    return folder / "a.txt"

def read(path):
    if path.read_bytes() != GOOD and not mark.exists():
        mark.touch()
        if sys.argv[1] == "signal":
            os.kill(os.getpid(), signal.SIGSEGV)
        if sys.argv[1] == "slow":
            while True:
                pass
        if sys.argv[1] == "unexpected":
            raise KeyError("x")
        if sys.argv[1] == "memory":
            bytearray(1 << 40)
        if sys.argv[1] == "unclear":
            raise InputError("no name")
    return 1

with tempfile.TemporaryDirectory() as place:
    mark = pathlib.Path(place) / "done"
    row = workers.run(Seed("planted", "others", make, lambda path: {"data": lambda: read(path)}), 6)
print(json.dumps(row))
"""
