"""Equal settings give equal bytes: how many processes, which part, which order and which neighbours change nothing."""

import random
import shutil
from pathlib import Path

import pytest

from tests import poison
from tests.tiny import make_tiny_weights, make_volume
from workbench.core.atomic import sha256_of

CASES = [f"c{n}" for n in range(5)]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("same")
    make_tiny_weights(folder / "w.safetensors")
    for n, name in enumerate(CASES):
        make_volume(folder / "in" / f"{name}.nii.gz", seed=n, shape=(34 + n, 32, 32))
    return folder


def go(study: Path, out: str, *more: str, source: str = "in") -> dict[str, str]:
    """Run, and give the hash of every result by its path."""
    import subprocess

    words = ["-i", str(study / source), "-o", str(study / out), "--weights", str(study / "w.safetensors"), "-q"]
    command = poison.command("predict", "segformer3d", *words, "--uncertainty", *more)
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=poison.install(study / "site"))
    assert ran.returncode == 0, ran.stderr
    return hashes(study / out)


def hashes(out: Path) -> dict[str, str]:
    names = ("labels.nii.gz", "uncertainty.nii.gz", "volumes.csv")
    found = {f"{p.parent.name}/{p.name}": sha256_of(p) for n in names for p in sorted(out.glob(f"*/{n}"))}
    assert len(found) % len(names) == 0
    return found


@pytest.mark.slow
def test_processes_parts_orders_and_interruptions_change_no_byte(study):
    usual = go(study, "usual", "--jobs", "1")
    assert len(usual) == 3 * len(CASES)
    assert go(study, "two", "--jobs", "2") == usual
    assert go(study, "here", "--jobs", "0") == usual
    for number in (2, 3, 4):
        for index in range(number):
            go(study, f"parts {number}", "--jobs", "0", "--num-shards", str(number), "--shard-index", str(index))
        assert hashes(study / f"parts {number}") == usual
    rows = [f"in/{name}.nii.gz,{name}" for name in CASES]
    random.Random(1).shuffle(rows)
    (study / "list.csv").write_text("image,id\n" + "\n".join(rows), encoding="utf-8")
    assert go(study, "shuffled", "--jobs", "2", source="list.csv") == usual
    # A study that was interrupted, and goes on with another number of processes.
    shutil.copytree(study / "usual", study / "resumed")
    for name in CASES[1:4]:
        shutil.rmtree(study / "resumed" / name)
    assert go(study, "resumed", "--jobs", "2") == usual


def test_a_study_computes_with_one_thread_and_says_so(study):
    import json

    go(study, "two", "--jobs", "2")
    record = json.loads((study / "two" / "c0" / "provenance.json").read_text(encoding="utf-8"))
    assert record["details"]["threads"] == 1


def test_parts_are_decided_by_names_alone():
    from workbench.batch.shards import shard
    from workbench.core.errors import UsageError
    from workbench.core.types import Case

    cases = [Case(f"case {n}", Path(f"{n}.nii")) for n in range(200)]
    parts = [shard(cases, 4, index) for index in range(4)]
    assert sorted(c.id for part in parts for c in part) == sorted(c.id for c in cases)
    assert all(30 < len(part) < 70 for part in parts)
    # One more case moves no other one.
    more = shard([*cases, Case("new", Path("new.nii"))], 4, 2)
    assert [c.id for c in more if c.id != "new"] == [c.id for c in parts[2]]
    with pytest.raises(UsageError, match="expected 0 to 3"):
        shard(cases, 4, 4)
