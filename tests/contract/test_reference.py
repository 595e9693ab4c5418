"""The command reference in docs/ is made from the parser and may not drift from it."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_command_reference_is_current():
    spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (DOCS / "command-line.md").read_text(encoding="utf-8")
    assert page == module.render(), "run: python docs/make_reference.py"
