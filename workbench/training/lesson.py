"""Learning from a person's corrections, for every kind of data: what windows, scripts and shells share. No Qt.

A person corrects something (paints pixels, gives cells another class, moves a border). A `Learner` knows how its kind
of data learns from that; a `Lesson` is one such learning, in the thread of its caller or in one of its own. While it
runs, its `Board` holds what is there so far, so that a window can show it grow. A lesson that is cancelled leaves the
last whole draft. `Versions` keeps the models that the lessons of a session made, and knows the best.

>>> from workbench.scene.train.lesson import SceneLearner                             # doctest: +SKIP
>>> versions = Versions()                                                             # doctest: +SKIP
>>> lesson = Lesson(SceneLearner(image), painted, versions.new_file()).start()        # doctest: +SKIP
>>> lesson.board.phase, lesson.board.draft                                            # doctest: +SKIP
>>> best = versions.add(lesson.wait())                                                # doctest: +SKIP
"""

from __future__ import annotations

import secrets
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from workbench.core.atomic import replacing
from workbench.core.classes import ClassTable
from workbench.core.errors import Cancelled, UsageError
from workbench.core.leftovers import temporary_folder
from workbench.core.types import Progress, Result

if TYPE_CHECKING:
    from workbench.training.loop import Event

Draft = TypeVar("Draft")
"""What a lesson shows while it runs: an array, `Objects`, a dictionary of parts."""

Given = TypeVar("Given")
"""What a person gives to learn from: `Labels`, `Objects`, a list of pages."""

GivenIn = TypeVar("GivenIn", contravariant=True)
BoardType = TypeVar("BoardType", bound="Board[Any]")
State = Literal["waiting", "running", "done", "cancelled", "failed"]


class Board(Generic[Draft]):
    """What a lesson leaves for others to look at while it runs. One thread writes, the others only read.

    Parameters
    ----------
    draft
        What is shown at the beginning.
    before
        What stays if the lesson is cancelled before it has something whole of its own.

    Attributes
    ----------
    draft
        What is there so far; whoever reads it must not change it.
    version
        Counts changes of the draft, after each is complete: whoever has shown this version need not look again.
    whole
        The last whole draft: what stays if the lesson is cancelled, never half of one method and half of another.
    whole_is
        What that is, where it is not what the lesson was to make: a note for whoever saves it; else "".
    phase
        What goes on, in a line for people.
    """

    def __init__(self, draft: Draft, *, before: Draft | None = None) -> None:
        self.draft = draft
        self.whole = before
        self.version = 0
        self.phase = self.whole_is = ""

    def say(self, phase: str) -> None:
        """Tell what goes on."""
        self.phase = phase

    def show(self, draft: Draft) -> None:
        """Put another draft in the place of the one that is there."""
        self.draft = draft
        self.version += 1

    def keep(self, whole_is: str = "") -> None:
        """The draft is whole: it stays if the lesson is cancelled from here on; see `whole_is`."""
        self.whole, self.whole_is = self._copy(), whole_is

    def _copy(self) -> Draft:
        """The draft as it is now; boards whose drafts change in place must copy it."""
        return self.draft


class MapBoard(Board[npt.NDArray[Any]]):
    """A board for a map of classes that grows block by block: a scene, a volume, a level of a slide.

    Parameters
    ----------
    shape
        Of the map; any number of axes.
    classes
        Of the map.
    before
        A whole map of that shape, or none.
    """

    def __init__(self, shape: tuple[int, ...], classes: ClassTable, *, before: npt.NDArray[Any] | None = None) -> None:
        super().__init__(np.zeros(shape, np.uint16), before=before)
        self.classes = classes

    def put(self, where: tuple[slice, ...], values: npt.NDArray[Any]) -> None:
        """A finished block of the map: class values of the shape of `where`."""
        self.draft[where] = values
        self.version += 1

    def _copy(self) -> npt.NDArray[Any]:
        return self.draft.copy()


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a lesson ends with.

    Parameters
    ----------
    result
        What the taught model makes of the data.
    model
        The file of the taught model; ``None`` if nothing was learnt.
    text
        A line for people.
    score, measure
        How good the model was on what it did not learn from (higher is better), and by which measure.
    """

    result: Result
    model: Path | None
    text: str
    score: float | None = None
    measure: str = ""


class Learner(Protocol[GivenIn, BoardType]):
    """How one thing (a scene, a volume, the cells of a slide) is learnt from corrections.

    A kind of data that learns brings a class with these three methods; `workbench.scene.train.lesson.SceneLearner` is
    one. `check` and `board` are called in the thread that makes the lesson and must be quick.
    """

    def check(self, given: GivenIn) -> None:
        """Raise a `WorkbenchError` that says what is missing if nothing can be learnt from this."""

    def board(self, given: GivenIn, before: Any = None) -> BoardType:
        """An empty board for a lesson; see `Board` for `before`."""

    def learn(self, given: GivenIn, model: Path, board: BoardType, progress: Progress) -> Outcome:
        """Learn, write the model to a file, and say what it makes of the data.

        Parameters
        ----------
        given
            What a person corrected; nobody changes it meanwhile.
        model
            ``.safetensors`` file to write.
        board
            Takes drafts as they come, and `Board.keep` for those that are whole.
        progress
            To be called often, with (steps done, steps in all) or (0, 0) while that is unknown. It raises `Cancelled`
            to stop, which must get through: nobody waits longer than from one call to the next.
        """


class Lesson(Generic[Given, BoardType]):
    """One learning from corrections.

    Parameters
    ----------
    learner
        Knows the data and how to learn.
    given
        The corrections as they are now: a copy, if the person goes on correcting.
    model
        File to write the model to; see `Versions.new_file`.
    before
        What is shown now; see `Board`.

    Raises
    ------
    WorkbenchError
        There is nothing to learn from.
    """

    def __init__(
        self, learner: Learner[Given, BoardType], given: Given, model: str | Path, *, before: Any = None
    ) -> None:
        learner.check(given)
        self.learner, self.given, self.model = learner, given, Path(model)
        self.board = learner.board(given, before)
        self.steps = (0, 0)
        self.state: State = "waiting"
        self._stop = threading.Event()
        self._outcome: Future[Outcome] = Future()

    def run(self, progress: Progress | None = None) -> Outcome:
        """Learn in this thread.

        Parameters
        ----------
        progress
            Called with (steps done, steps in all), 0 in all while unknown; may raise `Cancelled` to stop.

        Raises
        ------
        Cancelled
            By `cancel` or by `progress`; ``board.whole`` is what stays.
        WorkbenchError
            Settings, data or weights that cannot work.
        """
        self._begin()
        return self._run(progress)

    def start(self) -> Lesson[Given, BoardType]:
        """Learn in a thread of its own; look at `board` and `steps` meanwhile, and ask `wait` for the outcome."""
        self._begin()
        threading.Thread(target=self._run_apart, name="workbench-lesson").start()
        return self

    def wait(self, seconds: float | None = None) -> Outcome:
        """The outcome of a lesson that was started, or the error that ended it.

        Raises
        ------
        TimeoutError
            It is still running after so many seconds.
        """
        if self.state == "waiting":
            raise UsageError("this lesson was not started: there is nothing to wait for. Call start() or run()")
        try:
            return self._outcome.result(seconds)
        except KeyboardInterrupt:
            # Python would wait for the thread to the end of the lesson before it closes.
            self.cancel()
            raise

    def cancel(self) -> None:
        """Stop at the next step."""
        self._stop.set()

    @property
    def is_running(self) -> bool:
        return self.state == "running"

    def _begin(self) -> None:
        if self.state != "waiting":
            raise UsageError(f"this lesson is {self.state}: make another one to learn again")
        self.state = "running"

    def _run(self, progress: Progress | None) -> Outcome:
        def step(done: int, total: int) -> None:
            self.steps = (done, total)
            if self._stop.is_set():
                raise Cancelled
            if progress is not None:
                progress(done, total)

        try:
            step(0, 0)
            outcome = self.learner.learn(self.given, self.model, self.board, step)
        except BaseException as error:
            self.state = "cancelled" if isinstance(error, Cancelled) else "failed"
            self._outcome.set_exception(error)
            raise
        self.state = "done"
        self._outcome.set_result(outcome)
        return outcome

    def _run_apart(self) -> None:
        try:
            self._run(None)
        except BaseException:
            # `wait` raises it where somebody can catch it.
            return


def follow(
    board: Board[Any], progress: Progress, line: Callable[[Event], str] | None = None
) -> Callable[[Event], None]:
    """An ``on_event`` for `workbench.training.loop.fit`: says on the board where the training stands.

    A cancel gets through to the loop, which keeps the best so far and says ``stopped="cancelled"``: a learner then
    raises `Cancelled`, or uses what there is.

    Parameters
    ----------
    line
        What to say of an event; by default step, loss, score and time left.
    """

    def on_event(event: Event) -> None:
        board.say(event.line() if line is None else line(event))
        progress(event.step, event.steps)

    return on_event


@dataclass(frozen=True)
class Version:
    """A model that a lesson made: its file, its number in the session (from 1), its score, and when."""

    number: int
    model: Path
    text: str = ""
    score: float | None = None
    measure: str = ""
    made: float = field(default_factory=time.time)

    @property
    def title(self) -> str:
        """A name for lists: ``lesson of 14:03:20``."""
        return f"lesson of {time.strftime('%H:%M:%S', time.localtime(self.made))}"

    def save(self, out: str | Path) -> Path:
        """Copy the model to a file that stays when the session ends; half a file is never left."""
        target = Path(out)
        with replacing(target) as part:
            shutil.copyfile(self.model, part)
        return target


class Versions:
    """The models of a session, one per lesson, in the order they were made.

    Parameters
    ----------
    folder
        Where the files stay. By default they lie in a temporary folder that goes with this object, at the latest when
        Python ends: `Version.save` those that are worth it.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = temporary_folder("workbench-models") if folder is None else Path(folder)
        self._known: list[Version] = []
        # A window may be destroyed, or a session killed by Ctrl-C, without anybody calling `close`.
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, True) if folder is None else None

    def new_file(self) -> Path:
        """A file for the model of the next lesson."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"model-{secrets.token_hex(4)}.safetensors"

    def add(self, outcome: Outcome) -> Version:
        """Take up the model of a lesson.

        Raises
        ------
        UsageError
            The lesson made no model.
        """
        if outcome.model is None:
            raise UsageError("this outcome has no model: nothing was learnt, so there is no version to keep")
        made = Version(len(self._known) + 1, outcome.model, outcome.text, outcome.score, outcome.measure)
        self._known.append(made)
        return made

    def __iter__(self) -> Iterator[Version]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    @property
    def latest(self) -> Version | None:
        return self._known[-1] if self._known else None

    @property
    def best(self) -> Version | None:
        """The version with the highest score, the later one of equals; without any score, the latest.

        Every lesson takes its score on what it held out of its own corrections, and only scores by the measure of the
        latest version are compared: with a handful of corrections the better score may be luck.
        """
        if self.latest is None:
            return None
        scored = [v for v in self._known if v.score is not None and v.measure == self.latest.measure]
        return max(scored, key=lambda v: (v.score or 0.0, v.number)) if scored else self.latest

    def close(self) -> None:
        """Remove the temporary folder with the models in it; a folder that was given stays."""
        if self._remove is not None:
            self._remove()
