"""Leftovers of killed processes: found by no pattern for results, gone with the next run, and nothing else goes."""

import glob
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from workbench.core import leftovers
from workbench.core.atomic import replacing
from workbench.core.classes import ClassTable
from workbench.core.types import Geometry, Image, Labels, Provenance, Result
from workbench.data import write

WRITER = """
import sys, time
from pathlib import Path
from workbench.core.atomic import replacing
from workbench.core.classes import ClassTable
from workbench.core.types import Geometry, Image, Labels, Provenance, Result
with replacing(Path(sys.argv[1])) as part:
    part.write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def killed(tmp_path):
    """A folder in which a process was killed in the middle of a file."""
    target = tmp_path / "out" / "mask.nii.gz"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    with process:
        yield target, process
        kill(process)


def kill(process) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_no_pattern_of_results_finds_half_a_file(killed):
    target, _ = killed
    folder = str(target.parent)
    assert os.listdir(folder)  # it is there, hidden
    for pattern in ("*", "*.nii.gz", "mask*", "**/*.nii.gz"):
        assert glob.glob(f"{folder}/{pattern}", recursive=True) == []


def test_the_next_writer_removes_what_the_dead_left_and_keeps_the_living(killed, tmp_path):
    target, process = killed
    assert leftovers.clean(target.parent) == []  # it still writes
    kill(process)
    with replacing(target) as part:
        part.write_bytes(b"whole")
    assert [p.name for p in target.parent.iterdir()] == ["mask.nii.gz"]


def test_a_later_process_with_the_same_number_is_another_one(tmp_path):
    mine = leftovers.tag()
    host, pid, started = mine.rsplit("-", 2)
    names = {
        "mine": f".part-{mine}-abc",
        "earlier": f".part-{host}-{pid}-{int(started) - 100}-abc",
        "elsewhere": f".part-other{host}-999999-5-abc",
        "no tag": ".part-of-the-user",
        "no number": f".part-{host}-one-5-abc",
    }
    for name in names.values():
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.nii.gz").write_bytes(b"half")
    (tmp_path / f".part-{host}-999999-5-file").write_text("a file of the user, no folder")
    gone = leftovers.clean(tmp_path)
    assert [p.name for p in gone] == [names["earlier"]]
    assert len(list(tmp_path.iterdir())) == len(names)


def test_old_leftovers_go_only_for_names_of_ours_and_dead_processes(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = (
        f"labels.part-{dead.pid}.nii.gz",
        f"labels.part-{os.getpid()}.nii.gz",
        f"notes.part-{dead.pid}.txt",
        "labels.part-two.nii.gz",
        f"labels.part-{dead.pid}.nii",
    )
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    assert [p.name for p in leftovers.clean_old(tmp_path, ["labels.nii.gz", "provenance.json"])] == [names[0]]
    assert {p.name for p in tmp_path.iterdir()} == set(names[1:])


def test_a_result_takes_the_place_of_what_was_killed(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = leftovers.tag().rsplit("-", 2)[0]
    case = tmp_path / "case"
    (case / f".part-{host}-{dead.pid}-1-abc").mkdir(parents=True)
    (case / f"labels.part-{dead.pid}.nii.gz").write_bytes(b"half")
    geometry = Geometry((3, 3, 3), np.eye(4))
    image = Image(geometry, np.dtype("u1"), ("0",), lambda: np.zeros((1, 3, 3, 3), "u1"))
    labels = Labels(np.ones((3, 3, 3), "u1"), geometry, ClassTable.from_names(["liver"]))
    write.write(Result({"labels": labels}, image, Provenance("x", "none", None, {})), tmp_path, name="case")
    assert sorted(p.name for p in case.iterdir()) == ["labels.nii.gz", "provenance.json"]


def test_temporary_folders_of_the_dead_go(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    host = leftovers.tag().rsplit("-", 2)[0]
    (tmp_path / f"workbench-models-{host}-999999-5-abc").mkdir()
    (tmp_path / "workbench-models-of-the-user").mkdir()
    folder = leftovers.temporary_folder("workbench-models")
    assert {p.name for p in tmp_path.iterdir()} == {folder.name, "workbench-models-of-the-user"}
