"""Lines of the library as a window says them: fields by their labels, not the flags of the shell. No Qt here."""

from __future__ import annotations

import re

from workbench.core import kinds
from workbench.core.agreement import KNOW_BETTER

_LABELS = {"roi": "ROI", "icc": "ICC"}
_KIND = re.compile(r"(?:Say which|Read it as a \w+): (--kind (\w+)(?: or --kind \w+)*) \(in Python [^)]*\)")
_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")
_VALUE = re.compile(r"^([a-z][a-z_]*)='?(.*?)'?: expected (float|int)$")
_NUMBER = {"float": "a number", "int": "a whole number"}


def label_of(name: str) -> str:
    """A setting as the form calls it."""
    words = name.replace("-", "_").split("_")
    found = " ".join(_LABELS.get(word, word) for word in words)
    return found[:1].upper() + found[1:]


def in_window(line: str) -> str:
    """A line in words of the window; commands that are to be typed into a shell stay as they are."""
    line = line.replace(KNOW_BETTER, "Where you know better: tick 'Use anyway'.")
    if (found := _VALUE.match(line)) is not None:
        return f"{label_of(found[1])}: '{found[2]}' is not {_NUMBER[found[3]]}"
    line = _KIND.sub(lambda m: f"Open it with the button of its tool: {_tools(m[1])}", line)
    line = line.replace("Give it with --mpp.", "Give it as 'Mpp'.").replace("size with --mpp", "size as 'Mpp'")
    return _FLAG.sub(lambda m: m[0] if _is_command(line[: m.start()]) else f"'{label_of(m[1])}'", line)


def sentence(note: str) -> str:
    """A note as a sentence of the window: with a capital, and one sign at its end."""
    text = in_window(note.strip())
    end = "" if text.endswith(("?", "!", ".")) else "."
    return f"{text[:1].upper()}{text[1:]}{end}"


def _tools(flags: str) -> str:
    names = re.findall(r"--kind (\w+)", flags)
    return " or ".join(kinds.find(name).tool or "Any backend" for name in names)


def _is_command(before: str) -> bool:
    """Whether a flag belongs to a command line that is quoted."""
    return re.search(r"workbench [a-z]+(?: [^\s.;]\S*)* $", before) is not None
