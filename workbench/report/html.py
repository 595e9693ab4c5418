"""Reports as one HTML file that needs nothing else: tables, facts and pictures (inside the file) under headings."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from workbench.core.atomic import write_text
from workbench.core.errors import visible


@dataclass(frozen=True)
class Text:
    """A paragraph; `tone` ``"warning"`` makes it stand out."""

    text: str
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of plain values; numbers are set right and rounded to `digits`, NaN is shown as a dash."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    digits: int = 3


@dataclass(frozen=True)
class Facts:
    """Names and values, e.g. settings or provenance; nested values are shown as text. Folded away if `folded`."""

    values: Mapping[str, Any]
    folded: bool = False
    title: str = "Details"


@dataclass(frozen=True)
class Picture:
    """A PNG with its caption (see `workbench.report.pictures` for making one)."""

    png: bytes
    caption: str = ""

    @property
    def source(self) -> str:
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class Tiles:
    """A row of large figures: name -> value."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class Links:
    """Files to open: text -> path relative to the folder of the report, with slashes; after a `title`, if it has one.

    Raises
    ------
    ValueError
        A path is absolute or an address: a report is moved together with what it points to, and reaches no network.
    """

    values: Mapping[str, str]
    title: str = ""

    def __post_init__(self) -> None:
        for path in self.values.values():
            if path.startswith("/") or "\\" in path or ":" in path.split("/")[0]:
                raise ValueError(f"a link of a report is a path relative to it, not {path!r}")

    @property
    def targets(self) -> dict[str, str]:
        """Text -> what stands in ``href``."""
        return {text: quote(path) for text, path in self.values.items()}


Part: TypeAlias = Text | Table | Facts | Picture | Tiles | Links


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it."""

    title: str
    parts: Sequence[Part] = field(default_factory=tuple)


def render(title: str, sections: Sequence[Section], *, subtitle: str = "") -> str:
    """The report as HTML text.

    Parameters
    ----------
    title, subtitle
        Heading and the line under it.
    sections
        In order; every value is escaped, and what steers a terminal or turns the direction of writing is made visible.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("workbench.report", "."), autoescape=True, trim_blocks=True,
                              finalize=_plain)  # fmt: skip
    environment.filters |= {"cell": _cell, "fact": _fact}
    environment.tests["number"] = lambda v: isinstance(v, int | float) and not isinstance(v, bool)
    template = environment.get_template("report.html.j2")
    kinds = [[(type(p).__name__.lower(), p) for p in s.parts] for s in sections]
    return template.render(title=title, subtitle=subtitle, sections=list(zip(sections, kinds, strict=True)))


def write(path: Path, title: str, sections: Sequence[Section], *, subtitle: str = "") -> Path:
    """Render to a file, atomically."""
    return write_text(path, render(title, sections, subtitle=subtitle))


def _fact(value: Any) -> str:
    """A setting as it was: 0.0003 is not 0.000."""
    is_usual = not isinstance(value, float) or not math.isfinite(value)
    return _cell(value) if is_usual else f"{value:.6g}"


def _plain(value: Any) -> Any:
    """Text without hidden characters; what a template calls safe stays as it is."""
    return visible(value, keep="\n\t") if type(value) is str else value


def _cell(value: Any, digits: int = 3) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return "∞" if math.isinf(value) else f"{value:.{digits}f}"
    return str(value)
