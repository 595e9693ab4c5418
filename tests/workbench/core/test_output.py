"""Whether a place can be written to is known before the work, and asking makes nothing."""

import os
from pathlib import Path

import pytest

from workbench.core.atomic import write_text
from workbench.core.errors import UsageError
from workbench.core.output import require_file, require_folder, require_inside, require_name
from workbench.training.output import check


def test_a_folder_that_is_there_or_can_be_made(tmp_path) -> None:
    require_folder(tmp_path)
    require_folder(tmp_path / "a" / "b" / "c")
    require_file(tmp_path / "a" / "w.safetensors")
    require_file(tmp_path / "w.safetensors")
    (tmp_path / "old.safetensors").touch()
    require_file(tmp_path / "old.safetensors")  # whether it may be replaced is another question
    assert [p.name for p in tmp_path.iterdir()] == ["old.safetensors"]


def test_a_relative_path_is_looked_for_here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    require_folder(tmp_path.__class__("new"))
    with pytest.raises(UsageError, match="file is a file"):
        require_folder(tmp_path.__class__("file/new"))


def test_a_file_in_the_way_is_named(tmp_path) -> None:
    (tmp_path / "taken").touch()
    for path in (tmp_path / "taken", tmp_path / "taken" / "deep" / "er"):
        with pytest.raises(UsageError, match=rf"{tmp_path}/taken is a file. Choose another output folder"):
            require_folder(path)
    with pytest.raises(UsageError, match="Choose another folder of weights"):
        require_folder(tmp_path / "taken", "folder of weights")
    with pytest.raises(UsageError, match="is a file"):
        require_file(tmp_path / "taken" / "w.safetensors")


def test_a_folder_of_the_name_of_a_file_is_named(tmp_path) -> None:
    (tmp_path / "w.safetensors").mkdir()
    with pytest.raises(UsageError, match="there is a folder of this name"):
        require_file(tmp_path / "w.safetensors")


def test_missing_permission_is_named(tmp_path, monkeypatch) -> None:
    """The answer of the system is replaced: tests may run as root, whom nothing is forbidden."""
    locked = tmp_path / "locked"
    locked.mkdir()
    asked = []
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append((path, mode)) or path != locked)
    with pytest.raises(UsageError, match=rf"no permission for {locked}\. Choose another output folder"):
        require_folder(locked / "new" / "er")
    assert asked == [(locked, os.W_OK | os.X_OK)]  # making a file in a folder needs both


@pytest.mark.parametrize("name", ["scan", "sub-01_ses-2", "a.b", "größe", "...", "~".join("ab")])
def test_plain_names_are_taken_as_they_are(name) -> None:
    assert require_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/etc/passwd", "..\\x", "a\0", "c:x", "a*", "a?", 'a"', "<a", "a>", "a|b", "a\nb",
             "a\rb", "~root"]
)  # fmt: skip
def test_names_that_could_leave_the_folder_are_refused(name) -> None:
    with pytest.raises(UsageError, match="cannot be a file name"):
        require_name(name)


def test_links_never_lead_out_of_the_output_folder(tmp_path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "away").mkdir()
    (tmp_path / "out").symlink_to("real")  # the folder itself may be a link
    (tmp_path / "out" / "case").symlink_to("../away")
    (tmp_path / "out" / "file.json").symlink_to(tmp_path / "away" / "new.json")
    (tmp_path / "out" / "loop").symlink_to("loop")
    require_inside(tmp_path / "out" / "new" / "a.json", tmp_path / "out")
    for name in ("case", "case/labels.nii.gz", "file.json", "loop"):
        with pytest.raises(UsageError, match="a link"):
            require_inside(tmp_path / "out" / name, tmp_path / "out")
    with pytest.raises(UsageError, match="outside of"):
        require_file(tmp_path / "out" / "file.json")
    with pytest.raises(UsageError, match="outside of"):
        write_text(tmp_path / "out" / "file.json", "x")
    assert not list((tmp_path / "away").iterdir())
    write_text(tmp_path / "out" / "fine.json", "x")
    (tmp_path / "out" / "w_training").symlink_to("../away")
    with pytest.raises(UsageError, match="outside of"):
        check(tmp_path / "out" / "w.safetensors", resume=False, overwrite=True)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no place that takes no files from anybody")
def test_a_place_that_takes_no_files_is_refused_whatever_its_permissions_say():
    with pytest.raises(UsageError, match="cannot write to /proc: /proc takes no files"):
        require_file(Path("/proc/weights.safetensors"))


def test_asking_leaves_nothing_behind(tmp_path):
    require_file(tmp_path / "new" / "x.safetensors")
    assert list(tmp_path.iterdir()) == []
