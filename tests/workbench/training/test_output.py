"""Finished weights, starting weights and the state of a training are never replaced unasked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.core.errors import UsageError
from workbench.training import output


def finished(folder: Path) -> Path:
    """What a training leaves."""
    out = folder / "mine.safetensors"
    out.write_bytes(b"weights")
    state = output.folder_of(out) / output.STATE
    state.parent.mkdir()
    state.write_bytes(b"state")
    return out


def test_what_is_there_stays_unless_it_is_given_up(tmp_path: Path) -> None:
    out = finished(tmp_path)
    with pytest.raises(UsageError, match=r"mine\.safetensors: exists; add --overwrite"):
        output.check(out, resume=False, overwrite=False)
    output.check(out, resume=True, overwrite=False)
    output.check(out, resume=False, overwrite=True)
    out.unlink()
    with pytest.raises(UsageError, match="state of an earlier training; add --resume"):
        output.check(out, resume=False, overwrite=False)


def test_resuming_without_a_state_does_not_replace_weights(tmp_path: Path) -> None:
    out = finished(tmp_path)
    (output.folder_of(out) / output.STATE).unlink()
    with pytest.raises(UsageError, match="no interrupted training to resume"):
        output.check(out, resume=True, overwrite=False)
    out.unlink()
    output.check(out, resume=True, overwrite=False)  # a script may always say --resume


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "adir.safetensors").mkdir()
    with pytest.raises(UsageError, match="there is a folder of this name"):
        output.check(tmp_path / "adir.safetensors", resume=False, overwrite=True)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="is a file"):
        output.check(tmp_path / "file" / "mine.safetensors", resume=False, overwrite=False)
    (tmp_path / "b_training").write_text("in the way")
    with pytest.raises(UsageError, match="is a file"):
        output.check(tmp_path / "b.safetensors", resume=False, overwrite=False)
    with pytest.raises(UsageError, match="written as .safetensors"):
        output.check(tmp_path / "b.pt", resume=False, overwrite=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adir.safetensors", "b_training", "file"]


def test_the_starting_weights_are_never_the_output(tmp_path: Path, monkeypatch) -> None:
    start = tmp_path / "base.safetensors"
    start.write_bytes(b"weights")
    (tmp_path / "link.safetensors").symlink_to(start)
    os.link(start, tmp_path / "hard.safetensors")
    monkeypatch.chdir(tmp_path)
    for name in ("base.safetensors", "link.safetensors", "hard.safetensors"):
        with pytest.raises(UsageError, match="starts from this very file"):
            output.refuse_start(Path(name), start)
    output.refuse_start(Path("other.safetensors"), start)


def test_half_written_files_of_dead_processes_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    out = finished(tmp_path)
    folder = output.folder_of(out)
    for pid in (dead.pid, os.getpid()):
        (folder / f"state.part-{pid}.safetensors").write_bytes(b"half")
    (folder / f"log.part-{dead.pid}.csv").write_text("half")
    (folder / "notes.part-one.txt").write_text("of the user")
    (tmp_path / f"other.part-{dead.pid}.safetensors").write_bytes(b"not ours")
    output.clean(out, resume=True)
    assert {p.name for p in folder.iterdir()} == {
        "state.safetensors",
        f"state.part-{os.getpid()}.safetensors",
        "notes.part-one.txt",
    }
    assert (tmp_path / f"other.part-{dead.pid}.safetensors").exists()
    output.clean(out, resume=False)
    assert not (folder / "state.safetensors").exists()
    assert out.exists()  # finished weights stay until new ones are there


def test_a_training_of_two_stages_keeps_the_state_of_each(tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    state = output.folder_of(out) / "second" / output.STATE
    state.parent.mkdir(parents=True)
    state.write_bytes(b"state")
    stages = ("first", "second")
    with pytest.raises(UsageError, match="second.*--resume to continue"):
        output.check(out, resume=False, overwrite=False, stages=stages)
    output.check(out, resume=True, overwrite=False, stages=stages)
    output.clean(out, resume=True, stages=stages)
    assert state.exists()
    output.clean(out, resume=False, stages=stages)
    assert not state.exists()
