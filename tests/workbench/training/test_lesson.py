"""Lessons: another kind of data learns through the same parts, can be watched and cancelled, and keeps its models."""

import gc
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from tests.workbench.training import toy
from workbench.core.classes import ClassTable
from workbench.core.errors import Cancelled, UsageError
from workbench.core.types import Geometry, Image, Provenance, Result, Scores
from workbench.training.lesson import Board, Lesson, MapBoard, Outcome, Versions, follow


class RowsLearner:
    """What a kind that draws no maps brings: it is given rows of a table, and shows a list of texts."""

    def __init__(self, steps=40):
        self.steps = steps

    def check(self, given):
        if not given:
            raise UsageError("correct at least one row first")

    def board(self, given, before=None):
        return Board([], before=before)

    def learn(self, given, model, board, progress):
        board.say("A quick guess")
        board.show([f"{row}: guess" for row in given])
        board.keep()
        settings = toy.LoopSettings(**{**vars(toy.SETTINGS), "steps": self.steps})
        found = toy.run(None, settings=settings, on_event=follow(board, progress))
        if found.stopped == "cancelled":
            raise Cancelled
        save_file({k: v.contiguous() for k, v in found.state.items()}, model)
        board.show([f"{row}: learnt" for row in given])
        board.keep()
        image = Image(Geometry((1,)), np.dtype(np.float32), ("x",), lambda: np.zeros((1, 1), np.float32))
        result = Result({"table": Scores(("row",), tuple((r,) for r in board.draft))}, image, provenance())
        return Outcome(result, model, f"Learnt {len(given)} rows.", found.score, "minus mean square")


def provenance():
    return Provenance("toy", "none", None, {})


def outcome(model, score=None, measure="accuracy"):
    return Outcome(Result({}, None, provenance()), model, "", score, measure)


def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_another_kind_of_data_learns_in_the_callers_thread(tmp_path):
    seen = []
    lesson = Lesson(RowsLearner(), ["a", "b"], tmp_path / "m.safetensors")
    found = lesson.run(lambda done, total: seen.append((done, total)))
    assert lesson.state == "done"
    assert lesson.wait() is found
    assert lesson.board.whole == ["a: learnt", "b: learnt"]
    assert found.result.parts["table"].rows == (("a: learnt",), ("b: learnt",))
    assert seen[0] == (0, 0)
    assert seen[-1] == lesson.steps == (40, 40)
    assert load_file(found.model).keys() == toy.make_net().state_dict().keys()
    assert found.score == toy.run(None).score


def test_a_lesson_in_its_own_thread_is_watched_and_cancelled(tmp_path):
    lesson = Lesson(RowsLearner(10**7), ["a"], tmp_path / "m.safetensors", before=["a: of yesterday"])
    assert lesson.board.whole == ["a: of yesterday"]
    lesson.start()
    until(lambda: lesson.steps[0] > 3)
    assert lesson.is_running
    assert "loss" in lesson.board.phase
    with pytest.raises(TimeoutError):
        lesson.wait(0.01)
    lesson.cancel()
    with pytest.raises(Cancelled):
        lesson.wait(30)
    assert lesson.state == "cancelled"
    assert lesson.board.whole == ["a: guess"], "the last whole draft stays"
    assert not lesson.model.exists()
    assert not any(t.name == "workbench-lesson" and t.is_alive() for t in threading.enumerate())


def test_a_cancel_before_the_first_step_leaves_what_was_there(tmp_path):
    lesson = Lesson(RowsLearner(), ["a"], tmp_path / "m.safetensors", before=["before"])
    lesson.cancel()
    with pytest.raises(Cancelled):
        lesson.run()
    assert lesson.board.whole == ["before"]
    assert lesson.board.version == 0


def test_a_progress_that_raises_cancels_too(tmp_path):
    def stop(done, total):
        if done == 5:
            raise Cancelled

    lesson = Lesson(RowsLearner(), ["a"], tmp_path / "m.safetensors")
    with pytest.raises(Cancelled):
        lesson.run(stop)
    assert lesson.steps == (5, 40)
    assert lesson.state == "cancelled"


def test_an_error_of_the_thread_reaches_whoever_waits(tmp_path):
    lesson = Lesson(RowsLearner(), ["a"], tmp_path / "no folder" / "m.safetensors").start()
    with pytest.raises(Exception, match="no folder|No such file"):
        lesson.wait(60)
    assert lesson.state == "failed"


def test_nothing_to_learn_from_is_said_before_anything_starts(tmp_path):
    with pytest.raises(UsageError, match="correct at least one row"):
        Lesson(RowsLearner(), [], tmp_path / "m.safetensors")


def test_a_lesson_runs_once_and_only_a_started_one_can_be_waited_for(tmp_path):
    lesson = Lesson(RowsLearner(2), ["a"], tmp_path / "m.safetensors")
    with pytest.raises(UsageError, match="not started"):
        lesson.wait(1)
    lesson.run()
    for again in (lesson.run, lesson.start):
        with pytest.raises(UsageError, match="this lesson is done"):
            again()


@pytest.mark.parametrize("shape", [(6, 8), (4, 6, 8)])
def test_a_map_grows_block_by_block_and_whole_drafts_are_copies(shape):
    board = MapBoard(shape, ClassTable.from_names(["a", "b"]))
    where = tuple(slice(1, 3) for _ in shape)
    board.put(where, np.full((2,) * len(shape), 2))
    assert board.version == 1
    assert (board.draft[where] == 2).all()
    assert board.draft.sum() == 2 * 2 ** len(shape)
    assert board.whole is None
    board.keep()
    board.put(where, np.full((2,) * len(shape), 1))
    assert (board.whole[where] == 2).all(), "half a new map is no whole one"
    assert board.version == 2


def test_versions_know_the_latest_and_the_best(tmp_path):
    versions = Versions(str(tmp_path / "kept"))
    assert versions.latest is versions.best is None
    made = []
    for score in (0.7, 0.9, 0.9, 0.8):
        file = versions.new_file()
        file.write_bytes(str(score).encode())
        made.append(versions.add(outcome(file, score)))
    assert [v.number for v in versions] == [1, 2, 3, 4]
    assert len({v.model for v in versions}) == len(versions) == 4
    assert versions.latest is made[3]
    assert versions.best is made[2], "of equals the later one"
    assert versions.best.save(str(tmp_path / "best.safetensors")).read_bytes() == b"0.9"
    other = versions.add(outcome(versions.new_file(), 0.1, "Dice"))
    assert versions.best is other, "scores by another measure do not compare"
    unscored = versions.add(outcome(versions.new_file(), measure="Dice"))
    assert versions.latest is unscored
    assert versions.best is other
    assert Versions(tmp_path).best is None
    with pytest.raises(UsageError, match="no model"):
        versions.add(outcome(None))
    versions.close()
    assert (tmp_path / "kept").is_dir(), "a folder that was given stays"


def test_temporary_versions_go_with_the_session():
    first, second = Versions(), Versions()
    folders = [Path(v.folder) for v in (first, second)]
    for versions in (first, second):
        versions.new_file().write_bytes(b"model")
    first.close()
    first.close()
    assert not folders[0].exists()
    assert folders[1].exists()
    del versions, second
    gc.collect()
    assert not folders[1].exists()


def test_versions_are_titled_by_the_clock():
    made = Versions()
    version = made.add(outcome(made.new_file()))
    assert version.title == time.strftime("lesson of %H:%M:%S", time.localtime(version.made))
    made.close()
