"""Reads an HTML page: its tables as text, its links and pictures, and whether every element that opens is closed."""

from html.parser import HTMLParser
from pathlib import Path

_VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """A page that was parsed.

    ``tables``: rows of cells as text, by the id of the table (else its number). ``links`` and ``pictures``: what stands
    in ``href`` and ``src``. ``tags``: every element with its attributes. ``text``: all text but style and script.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.links: list[str] = []
        self.pictures: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self._rows: list[list[str]] | None = None
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self._open == [], f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        assert len(values) == len(attrs), f"{tag}: an attribute stands twice"
        self.tags.append((tag, values))
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "table":
            self._rows = self.tables.setdefault(values.get("id") or str(len(self.tables)), [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        elif tag == "a":
            self.links.append(values["href"])
        elif tag == "img":
            self.pictures.append(values["src"])

    def handle_endtag(self, tag):
        assert self._open[-1:] == [tag], f"</{tag}> closes {self._open[-3:]}"
        self._open.pop()
        if tag not in ("a", "b", "span"):
            self.text += " "

    def handle_data(self, data):
        if self._open and self._open[-1] in ("style", "script"):
            return
        self.text += data
        if self._rows and self._rows[-1] and ("td" in self._open or "th" in self._open):
            self._rows[-1][-1] += data
