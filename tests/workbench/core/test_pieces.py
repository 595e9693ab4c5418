"""Pieces of a case survive a kill, and never count for anything else than what they were made of."""

import os
import signal
import subprocess
import sys

import pytest

from workbench.core.errors import UsageError
from workbench.core.pieces import Pieces

MADE_OF = {"input": "ab", "weights": "cd", "settings": {"tile": 256}}


def put(pieces, name, text):
    with pieces.writing(name) as part:
        part.write_text(text)


def test_a_piece_is_done_once_it_is_written(tmp_path):
    pieces = Pieces(tmp_path / "slide", MADE_OF)
    assert pieces.find("tile-0-0") is None
    assert pieces.done() == set()
    put(pieces, "tile-0-0", "pixels")
    found = Pieces(tmp_path / "slide", dict(reversed(MADE_OF.items()))).find("tile-0-0")
    assert found is not None
    assert found.read_text(encoding="utf-8") == "pixels"
    assert pieces.done() == {"tile-0-0"}
    pieces.clear()
    assert pieces.done() == set()


def test_of_another_input_or_other_settings_it_is_not_there(tmp_path):
    put(Pieces(tmp_path, MADE_OF), "a", "x")
    assert Pieces(tmp_path, {**MADE_OF, "input": "ef"}).find("a") is None
    assert Pieces(tmp_path, {**MADE_OF, "settings": {"tile": 512}}).done() == set()


def test_a_damaged_one_is_made_again(tmp_path):
    pieces = Pieces(tmp_path, MADE_OF)
    put(pieces, "a", "pixels")
    put(pieces, "b", "pixels")
    pieces.find("a").write_text("pixelS")
    assert pieces.find("a") is None
    assert pieces.find("b") is not None
    pieces._record("b").write_text("{}")
    assert pieces.find("b") is None


def test_an_error_while_writing_leaves_none(tmp_path):
    pieces = Pieces(tmp_path, MADE_OF)
    put(pieces, "a", "old")
    with pytest.raises(TypeError), pieces.writing("a") as part:
        part.write_text(("half", None))
    assert pieces.find("a") is None  # neither half a new one, nor an old one that somebody meant to replace


def test_a_kill_between_the_file_and_its_record_leaves_none(tmp_path):
    code = f"""
import os, signal, sys
from pathlib import Path
from workbench.core import pieces
pieces.write_json = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
one = pieces.Pieces(Path({str(tmp_path)!r}), {MADE_OF!r})
with one.writing("a") as part:
    part.write_text("pixels")
"""
    if sys.platform == "win32":
        pytest.skip("SIGKILL is of POSIX")
    done = subprocess.run([sys.executable, "-c", code], check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    assert Pieces(tmp_path, MADE_OF).done() == set()


def test_names_stay_in_the_folder(tmp_path):
    with pytest.raises(UsageError):
        Pieces(tmp_path, MADE_OF).find("../a")
