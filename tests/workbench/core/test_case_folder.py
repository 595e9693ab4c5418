"""A case folder loses nothing that a person worked on: not by a save, not by a kill at any moment of one."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import make_volume
from workbench.core import case_folder
from workbench.core.atomic import sha256_of
from workbench.core.classes import ClassTable
from workbench.core.errors import UsageError
from workbench.core.types import Labels, Provenance, Result, Scores
from workbench.data import formats
from workbench.data.write import write


@pytest.fixture(autouse=True)
def anna(monkeypatch):
    monkeypatch.setenv("WORKBENCH_AUTHOR", "Anna B/1")


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return formats.read(make_volume(tmp_path_factory.mktemp("in") / "scan.nii.gz", shape=(6, 7, 8)))


def result(scan, value, *, edited=False, tables=("volumes",)):
    labels = Labels(np.full((6, 7, 8), value, np.uint8), scan.geometry, ClassTable.from_names(["a", "b", "c", "d"]))
    parts = {"labels": labels} | {name: Scores(("n",), ((value,),), name) for name in tables}
    made = Provenance("segformer3d", "demo", None, {}, source=str(scan.source), edited_by_hand=edited)
    return Result(parts, scan, made)


def value_in(folder):
    return int(formats.read(folder / "labels.nii.gz").data.max())


def vouched(folder):
    """Whether the record of a folder is there and true of every file."""
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert record["files"]
    return all((folder / n).is_file() and sha256_of(folder / n) == e["sha256"] for n, e in record["files"].items())


def versions(case):
    return sorted((case / "versions").iterdir()) if (case / "versions").exists() else []


def test_what_a_method_made_is_replaced_and_what_a_person_edited_is_kept(scan, tmp_path):
    case = tmp_path / "scan"
    write(result(scan, 1), tmp_path)
    write(result(scan, 2), tmp_path)
    assert versions(case) == [], "what a run makes again is not hoarded"
    write(result(scan, 3, edited=True), tmp_path)
    assert versions(case) == []
    write(result(scan, 4, tables=()), tmp_path)
    (kept,) = versions(case)
    assert (value_in(case), value_in(kept)) == (4, 3)
    assert (case / "volumes.csv").exists() is False
    assert (kept / "volumes.csv").read_text(encoding="utf-8").split() == ["n", "3"]
    assert vouched(case)
    assert vouched(kept)
    newest, older = case_folder.read_record(case), case_folder.read_record(kept)
    assert newest["kept"] == f"versions/{kept.name}"
    assert (newest["edited_by_hand"], older["edited_by_hand"]) == (False, True)
    assert older["author"] == "Anna B/1"
    when = datetime.fromisoformat(older["saved"])
    assert when.utcoffset() == timedelta(0)
    assert kept.name == f"{when:%Y%m%dT%H%M%SZ}_Anna B_1"
    # And on: every state that was edited stays.
    write(result(scan, 1, edited=True), tmp_path)
    write(result(scan, 2, edited=True), tmp_path)
    assert [value_in(v) for v in versions(case)] == [3, 1]
    write(result(scan, 2, edited=True), tmp_path)
    assert [value_in(v) for v in versions(case)] == [3, 1], "the very same once more is no other version"
    assert [p.name for p in case.iterdir() if p.name.startswith(".")] == []


def test_files_that_somebody_else_changed_or_put_there_are_kept_too(scan, tmp_path):
    case = tmp_path / "scan"
    write(result(scan, 1), tmp_path)
    theirs = (case / "labels.nii.gz").read_bytes() + b"corrected in another program"
    (case / "labels.nii.gz").write_bytes(theirs)
    write(result(scan, 2), tmp_path)
    (kept,) = versions(case)
    assert (kept / "labels.nii.gz").read_bytes() == theirs
    assert vouched(kept)
    (case / "provenance.json").unlink()
    write(result(scan, 3), tmp_path)
    assert sorted(value_in(v) for v in versions(case) if v != kept) == [2]
    (case / "notes.txt").write_text("mine")
    write(result(scan, 4), tmp_path, beside=lambda folder: [_put(folder / "notes.txt", "of the result")])
    assert "mine" in [
        (v / "notes.txt").read_text(encoding="utf-8") for v in versions(case) if (v / "notes.txt").exists()
    ]
    assert "notes.txt" in case_folder.read_record(case)["files"]


def _put(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_author_is_the_login_unless_said_otherwise(monkeypatch):
    assert case_folder.author() == "Anna B/1"
    monkeypatch.delenv("WORKBENCH_AUTHOR")
    monkeypatch.setenv("LOGNAME", "bert")
    assert case_folder.author() == "bert"
    monkeypatch.setattr("getpass.getuser", lambda: (_ for _ in ()).throw(KeyError("uid 12345")))
    assert case_folder.author() == "unknown"


def test_a_folder_of_versions_that_leads_elsewhere_is_refused(scan, tmp_path):
    out, away = tmp_path / "out", tmp_path / "away"
    write(result(scan, 1, edited=True), out)
    away.mkdir()
    (out / "scan" / "versions").symlink_to(away)
    with pytest.raises(UsageError, match="a link in it leads to"):
        write(result(scan, 2), out)
    assert list(away.iterdir()) == []
    assert value_in(out / "scan") == 1


def test_two_at_once_lose_nothing(scan, tmp_path):
    """Two windows save into one folder at the same moment, several times."""
    write(result(scan, 4, edited=True), tmp_path)
    states = [result(scan, value, edited=True) for value in (1, 2, 3)]
    threads = [threading.Thread(target=write, args=(state, tmp_path)) for state in states]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    case = tmp_path / "scan"
    assert sorted([value_in(case), *map(value_in, versions(case))]) == [1, 2, 3, 4]
    assert vouched(case)
    assert all(map(vouched, versions(case)))


STEPS = ("open", "link", "rename", "replace", "mkdir", "unlink", "rmdir")


def save_and_die(scan, out, left):
    """In a process of its own: save, and be killed before the step after `left` steps; returns steps done, or None."""
    read, write_end = os.pipe()
    child = os.fork()
    if child:
        os.close(write_end)
        said = os.read(read, 100)
        os.close(read)
        _, status = os.waitpid(child, 0)
        assert said or os.WTERMSIG(status) == signal.SIGKILL
        return int(said) if said else None
    count = 0

    def killing(name):
        real = getattr(os, name)

        def step(*arguments, **named):
            nonlocal count
            mine = any(str(out) in str(a) for a in arguments)
            count += mine
            if mine and count == left + 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        setattr(os, name, step)

    try:
        for name in STEPS:
            killing(name)
        write(result(scan, 2, tables=("volumes", "more")), out)
        os.write(write_end, str(count).encode())
    finally:
        os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes of this sort")
def test_killed_between_any_two_steps(scan, tmp_path):
    """Every step of a save is one call to the system: the process is killed before each of them in turn."""

    def save(out, steps):
        write(result(scan, 1, edited=True, tables=("volumes", "old")), out)
        return save_and_die(scan, out, steps)

    total = save(tmp_path / "whole", 10_000)
    assert total > 12
    seen = set()
    for steps in range(total):
        out = tmp_path / f"killed-{steps}"
        assert save(out, steps) is None
        case = out / "scan"
        # The work of the person, whole and with its record, before anybody has repaired anything.
        places = [case, *(v for v in versions(case) if not v.name.startswith("."))]
        assert any(_is_whole(p, 1) for p in places), steps
        case_folder.settle(case)
        assert vouched(case), steps
        assert value_in(case) in (1, 2)
        seen.add(value_in(case))
        tables = {p.name for p in case.glob("*.csv")}
        assert tables == ({"volumes.csv", "old.csv"} if value_in(case) == 1 else {"volumes.csv", "more.csv"}), steps
        # And the next save goes on as if nothing had been, and keeps what there was once.
        write(result(scan, 3), out)
        assert value_in(case) == 3
        assert [value_in(v) for v in versions(case)] == [1], steps
        assert [p.name for p in case.rglob(".*")] == [], steps
    assert seen == {1, 2}, "else nothing was killed on one side of the step that counts"


def _is_whole(folder, value):
    try:
        return vouched(folder) and value_in(folder) == value
    except Exception:
        return False


def test_a_state_that_counts_but_is_not_in_place_is_put_there_by_whoever_comes(scan, tmp_path, monkeypatch):
    """The moment that a kill leaves, made without one; `read_record` of the shell completes it."""
    from workbench.batch import record

    write(result(scan, 1, edited=True), tmp_path)
    real = case_folder._settle
    monkeypatch.setattr(case_folder, "_settle", lambda case: None)
    write(result(scan, 2), tmp_path)
    monkeypatch.setattr(case_folder, "_settle", real)
    case = tmp_path / "scan"
    assert value_in(case) == 1
    assert (case / case_folder.NEXT).is_dir()
    assert record.read(case)["edited_by_hand"] is False
    assert value_in(case) == 2
    assert not (case / case_folder.NEXT).exists()


def test_a_folder_without_rights_is_said_in_one_line(scan, tmp_path):
    (tmp_path / "scan").write_text("a file")
    with pytest.raises(UsageError, match="cannot write") as caught:
        write(result(scan, 1), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_record_of_before_names_and_authors_becomes_a_version(scan, tmp_path):
    """Records of earlier versions say neither when they were saved nor by whom: the file system does."""
    write(result(scan, 1, edited=True), tmp_path)
    case = tmp_path / "scan"
    record = case_folder.read_record(case)
    old = {k: v for k, v in record.items() if k not in ("saved", "author", "kept")}
    (case / "provenance.json").write_text(json.dumps(old), encoding="utf-8")
    for path in case.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    write(replace(result(scan, 2)), tmp_path)
    (kept,) = versions(case)
    assert kept.name.startswith("20231114T221320Z_")
    assert case_folder.read_record(kept)["author"] == kept.name.partition("_")[2]


def test_a_writer_that_clears_away_what_was_there_does_so_where_the_new_state_grows(tmp_path):
    """That of ENVI removes a header of before, so that it never describes other samples: not from the state before."""
    from tests.scene_maker import save_envi
    from tests.scenes import labels_of, scene_arrays

    cube, labels = scene_arrays()
    scene = formats.read(save_envi(tmp_path / "in", cube, name="meadow"))
    made = Provenance("lola_specvit", "none", None, {}, edited_by_hand=True)
    for value in (1, 2):
        painted = labels_of(np.full_like(labels, value), scene)
        write(Result({"painted": painted}, scene, made), tmp_path / "out")
    case = tmp_path / "out" / "meadow"
    (kept,) = versions(case)
    assert vouched(kept)
    assert [int(formats.read(f / "painted.hdr").data.max()) for f in (case, kept)] == [2, 1]
