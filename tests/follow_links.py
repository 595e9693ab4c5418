"""Follows the links of an HTML page as a browser does."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.found.append(dict(attrs).get("href") or "")


def files_behind(page: Path) -> list[Path]:
    """The file behind every link of the page; each must be there, reached by a path relative to the page."""
    parser = _Links()
    parser.feed(page.read_text(encoding="utf-8"))
    files = []
    for href in parser.found:
        assert href, f"{page.name}: a link that leads nowhere"
        assert "://" not in href, f"{page.name}: {href} is not relative"
        assert not href.startswith("/"), f"{page.name}: {href} is not relative"
        files.append(page.parent / unquote(href))
        assert files[-1].is_file(), f"{page.name}: {href} does not exist"
    return files
