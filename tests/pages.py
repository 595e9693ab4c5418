"""Reads the pages of the project: their blocks of code, links, headings and tables."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^ *```(\w*) *$")
_NOT_RUN = re.compile(r"^<!-- no test: (.+) -->$")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<(?:a|img)[^>]*(?:href|src)=\"([^\"]+)\"")
_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language ("" if none is said), its text, and the line that the text begins on.

    ``not_run`` is the reason that a comment ``<!-- no test: reason -->`` before the block gives, or "".
    """

    language: str
    text: str
    line: int
    not_run: str = ""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page; one that is never closed is an error."""
    found: list[Block] = []
    lines = text.splitlines()
    start, language = None, ""
    for number, line in enumerate(lines):
        fence = _FENCE.match(line)
        if start is None and fence:
            start, language = number + 1, fence[1]
        elif start is not None and line.strip() == "```":
            before = next((lines[n].strip() for n in range(start - 2, -1, -1) if lines[n].strip()), "")
            reason = _NOT_RUN.match(before)
            body = "\n".join(lines[start:number]) + "\n"
            found.append(Block(language, body, start + 1, reason[1] if reason else ""))
            start = None
    assert start is None, f"the block that begins in line {start} is never closed"
    return found


def prose(text: str) -> str:
    """The page without its blocks, line by line."""
    kept, inside = [], False
    for line in text.splitlines():
        fence = line.strip().startswith("```")
        kept.append("" if inside or fence else line)
        inside ^= fence
    return "\n".join(kept)


def links(text: str) -> list[str]:
    """Targets of links and pictures."""
    return [a or b for a, b in _LINK.findall(_CODE.sub("", prose(text)))]


def inline_code(text: str) -> list[str]:
    return _CODE.findall(prose(text))


def anchors(text: str) -> set[str]:
    """What headings can be linked to by, as GitHub makes it."""
    heads = re.findall(r"^#+ (.+?) *$", prose(text), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads}


def tables(text: str) -> list[list[str]]:
    """Runs of lines that begin with a bar."""
    found: list[list[str]] = [[]]
    for line in prose(text).splitlines():
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [t for t in found if t]


def cells(row: str) -> int:
    """How many cells a row of a table has; bars in code or after a backslash do not count."""
    return len(re.findall(r"(?<!\\)\|", _CODE.sub("", row))) - 1


def command_lines(text: str) -> list[tuple[list[str], bool]]:
    """The words of every ``workbench ...``, and whether it stands in a block, where it must be whole.

    Those with ``...`` in them are only spoken of.
    """
    lines = [(s, True) for b in blocks(text) if b.language in ("", "sh", "text") for s in b.text.splitlines()]
    lines += [(code, False) for code in inline_code(text)]
    split = [(shlex.split(line, comments=True), whole) for line, whole in lines if line.startswith("workbench ")]
    return [(words[1:], whole) for words, whole in split if "..." not in words]
