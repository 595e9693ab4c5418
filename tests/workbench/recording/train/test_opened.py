"""Which events are decoded, whose session vector is taken, and how far the work is."""

import numpy as np
import pytest

from workbench.core.settings import build
from workbench.core.types import Mark, Marks
from workbench.recording.data.recording import Recording
from workbench.recording.evaluate.settings import MEGEvaluateConfig
from workbench.recording.train.opened import Course, events_of


def recording(events=(), marks=()) -> Recording:
    return Recording(
        channels=("a",), kinds=("mag",), sampling_rate=100.0, n_samples=1000, start=0.0, what="raw",
        reader=lambda start, stop, picks: np.zeros((1, stop - start)), marks=Marks(tuple(marks)),
        events_reader=lambda: list(events),
    )  # fmt: skip


BLINK, BAD, SHOWN, EDGE = Mark(3.0, 0.4, "blink"), Mark(4.0, 0.0, "BAD boundary"), Mark(2.0, 0.0, "face"), Mark(
    5.0, 0.0, "EDGE"
)  # fmt: skip


def test_events_of_a_trigger_come_before_annotations() -> None:
    assert events_of(recording([(5.0, 2), (1.0, 1)], [SHOWN])) == [(1.0, "1"), (5.0, "2")]


def test_what_lasts_or_is_bad_is_nothing_that_was_shown() -> None:
    """Some readers list annotations among the events."""
    listed = [(3.0, "blink"), (4.0, "BAD boundary"), (5.0, "EDGE"), (2.0, "face")]
    assert events_of(recording(listed, [BLINK, BAD, SHOWN, EDGE])) == [(2.0, "face")]
    assert events_of(recording([], [BLINK, BAD, SHOWN, EDGE])) == [(2.0, "face")]
    assert events_of(recording([(3.0, "blink")], [BLINK])) == []
    # The same label elsewhere is an event of its own.
    assert events_of(recording([(9.0, "blink")], [BLINK])) == [(9.0, "blink")]


def test_kinds_that_are_asked_for_are_looked_for_everywhere() -> None:
    found = events_of(recording([(1.0, 1)], [BLINK, SHOWN]), ("blink",))
    assert found == [(1.0, "1"), (2.0, "face"), (3.0, "blink")]


@pytest.mark.parametrize("tasks", [("tokens",), ("generation",), ("similarity",), ("tokens", "generation", "decode")])
def test_progress_only_grows_and_ends_at_the_end(tasks) -> None:
    said = []
    course = Course(
        lambda done, total: said.append((done, total)), 2, tasks, build(MEGEvaluateConfig, {"fine_tune": 5})
    )
    for name in course.weights:
        for _ in range(1 if name == "decode" else 2):
            tell = course.within(name, 0.0, 1.0)
            for done in range(5):
                tell(done, 4)
            course.finish(name)
    assert [d for d, _ in said] == sorted(d for d, _ in said)
    assert said[-1] == (999, 1000)
    course.end()
    assert said[-1] == (1000, 1000)
    assert Course(None, 1, tasks, MEGEvaluateConfig()).within("open") is None
