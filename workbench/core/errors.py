"""The few errors of the workbench. Each message says what came, what was expected and what to do.

Every class carries the exit code that the command line returns for it (see ``docs/command-line.md``).
"""

from __future__ import annotations

import contextlib
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from workbench.core.exhausted import is_out_of_memory


class WorkbenchError(Exception):
    """Base of all errors that a user can act on: one clear message, no traceback needed."""

    exit_code = 1


class UsageError(WorkbenchError, ValueError):
    """A setting, a name or a combination of arguments that cannot work."""

    exit_code = 2


class InputError(WorkbenchError):
    """A file that cannot be used: the message names the file, what was found and what was expected."""

    exit_code = 3


class GeometryError(InputError):
    """Geometry that is missing, broken or does not match: nothing is written in the wrong place."""


class MismatchError(InputError):
    """Data that weights cannot be right on: they were taught on something else.

    ``findings`` says all that differs. Whoever knows better goes on with the setting ``force``.
    """

    def __init__(self, message: str, findings: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.findings = findings


class NothingFound(WorkbenchError):
    """No input matched."""

    exit_code = 4


class WeightsError(WorkbenchError):
    """Weights that are missing, do not fit, or are not plain data."""

    exit_code = 5


class OutOfMemory(WorkbenchError):
    """The smallest batch and window still did not fit."""

    exit_code = 6


class MissingExtra(WorkbenchError):
    """An optional part is not installed; the message holds the install command."""

    exit_code = 2

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}': pip install 'napari-workbench[{extra}]'")


class WorkbenchWarning(UserWarning):
    """Something that a person should know and that stops nothing (a row of a third party that was left out)."""


class FaultyExtension(WorkbenchError):
    """A package of a third party that cannot be loaded or breaks its contract: the file and the workbench are fine."""


class Cancelled(Exception):
    """Raised by a progress callable to stop the work at the next step. Not an error of the work."""


PARSING = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError,
    ValueError, struct.error, zlib.error,
)  # fmt: skip
"""What libraries raise while they parse damaged bytes that they trusted. Only ever for calls of such a library: around
code of our own these are bugs. A `NameError` is a bug anywhere, and a `MemoryError` says nothing about the file."""


@contextlib.contextmanager
def reading(
    subject: object,
    found: str,
    advice: str = "",
    *,
    kinds: tuple[type[Exception], ...] = PARSING,
    error: type[WorkbenchError] = InputError,
) -> Iterator[None]:
    """Around one call of a library: what it raises on a damaged file becomes one line.

    Parameters
    ----------
    subject, found, advice
        The line: ``subject: found (what the library said). advice``.
    kinds
        What that library raises on damaged files; a bare `Exception`, which some raise, is among them. Everything
        else passes through as it is.
    error
        Which of our errors it becomes; our own errors pass through.
    """
    try:
        yield
    except WorkbenchError:
        raise
    except Exception as raised:
        if is_out_of_memory(raised):  # says nothing about the file
            raise MemoryError(f"{subject}: {reason(raised)}") from raised
        if not isinstance(raised, kinds) and type(raised) is not Exception:
            raise
        raise error(f"{subject}: {found} ({reason(raised)}). {advice}".rstrip()) from raised


_NUMPY_NUMBER = re.compile(r"\bnp\.(?:float|u?int|bool|str)[0-9_]*\(([^()]*)\)")
_OBJECT = re.compile(r"(?::? )?<[\w.]+ object at 0x[0-9a-fA-F]+>")
"""How Python shows its own objects, which tells nobody anything."""


def reason(raised: BaseException, longest: int = 160) -> str:
    """What an error says, on one line of at most so many characters; its name where it says nothing."""
    text = _OBJECT.sub("", _NUMPY_NUMBER.sub(r"\1", " ".join(str(raised).split())))
    return text[:longest] or type(raised).__name__


_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Halves of characters among them: so Python reads bytes of file names that are no UTF-8, and no file takes them."""


def one_line(error: object) -> str:
    """The text of an error on one line, its control characters made visible."""
    return visible(" ".join(str(error).split()))


def visible(text: str, *, mark: str = "\\", keep: str = "") -> str:
    """The text with what steers a terminal or turns the direction of writing as escapes: ``\\x1b``, ``\\u202e``.

    Bytes of file names that are no UTF-8 become escapes, too: ``\\udcff``.

    Parameters
    ----------
    mark
        What an escape begins with; file names cannot hold a backslash.
    keep
        Characters that stay, such as line breaks.
    """
    return _HIDDEN.sub(lambda m: m[0] if m[0] in keep else _escape(ord(m[0]), mark), text)


def _escape(code: int, mark: str) -> str:
    return f"{mark}x{code:02x}" if code < 256 else f"{mark}u{code:04x}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest known name, or the list of known names."""
    names = [str(k) for k in known]
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" Known: {', '.join(sorted(names))}." if names else ""
