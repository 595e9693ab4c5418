"""Who shows the answer of a job: the tool that started it, or, if its dock was closed, the next tool of its kind.

A job belongs to the viewer and outlives the widgets of the tool. So its answer is addressed not to an object but to
"the method of that name of that part of a tool of this kind".
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from workbench.core.errors import UsageError
from workbench_napari.shared.job import Done


class NotNow(UsageError):
    """An answer cannot be shown as things are now; it is kept, and the text says what to do."""


class Delivery:
    """Takes the answer of a job to a tool; called like a function, it takes it to the one that started the job.

    Parameters
    ----------
    tool
        The tool that starts the job.
    title
        Of the job.
    done
        What takes the answer: a method of the tool or of a part that is an attribute of it, or a `partial` of one.
        Anything else serves only as long as the tool is docked.
    without
        For answers that need no tool (a file was written): does what has to be done, and gives the line to say.

    Attributes
    ----------
    kind
        What kind of tool can take it.
    """

    def __init__(self, tool: Any, title: str, done: Done, without: Callable[[Any], str] | None = None) -> None:
        self.title, self.kind, self.without = title, kind_of(tool), without
        self._tool = weakref.ref(tool)
        self._done, self._address = done, _address(tool, done)

    @property
    def tool(self) -> Any:
        """The tool that started the job, or ``None`` once its dock was closed."""
        tool = self._tool()
        return tool if tool is not None and is_docked(tool) else None

    @property
    def can_wait(self) -> bool:
        """Whether another tool of the kind can take the answer."""
        return self._address is not None

    def __call__(self, answer: Any) -> Iterator[None] | None:
        """Give the answer to the tool that started the job; returns the steps of showing it, if there are any.

        Raises
        ------
        NotNow
            The tool was closed, or cannot show it now: another one can.
        UsageError
            The tool was closed, and nobody else can show it.
        """
        self.require_tool()
        return self._done(answer)

    def require_tool(self) -> None:
        """Raise what a call raises where the tool was closed."""
        if self.tool is not None:
            return
        if self.can_wait:
            raise NotNow(
                f"{self.title}: done. Its tool was closed, so the result waits, and is offered where it is docked."
            )
        raise UsageError(f"{self.title}: the tool was closed before it ended, so its result is not shown")

    def to(self, tool: Any, answer: Any) -> Iterator[None] | None:
        """Give the answer to another tool of the kind; returns the steps of showing it, if there are any."""
        if self._address is None:
            raise UsageError(f"{self.title}: only the tool that asked for it could show it")
        part, method, given, named = self._address
        show: Done = getattr(getattr(tool, part) if part else tool, method)
        return show(*given, answer, **named)

    def forget_tool(self) -> None:
        """The answer waits: hold nothing of the tool that is gone."""
        self._done = _nobody


def kind_of(tool: Any) -> str:
    """Which tools are of one kind: those of one class."""
    return f"{type(tool).__module__}.{type(tool).__qualname__}"


def is_docked(tool: Any) -> bool:
    """Whether a tool is still in the window, and its widgets exist."""
    try:
        tool.objectName()
    except RuntimeError:  # what the binding says of a widget that Qt has deleted
        return False
    return bool(tool.is_docked)


def _address(tool: Any, done: Any) -> tuple[str, str, tuple[Any, ...], dict[str, Any]] | None:
    """Name of the part ("" for the tool itself) and of its method, and what it is given before the answer."""
    given: tuple[Any, ...] = ()
    named: dict[str, Any] = {}
    while isinstance(done, partial):
        given, named, done = (*done.args, *given), {**done.keywords, **named}, done.func
    owner, name = getattr(done, "__self__", None), getattr(done, "__name__", "")
    if owner is tool:
        return "", name, given, named
    part = next((key for key, value in vars(tool).items() if owner is not None and value is owner), None)
    return None if part is None else (part, name, given, named)


def _nobody(_answer: Any) -> None:
    """What takes an answer whose tool is gone."""
