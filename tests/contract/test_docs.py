"""What the pages say is so: links lead somewhere, commands parse, names exist, and Python blocks run."""

import csv
import importlib
import json
import re
import tomllib
from functools import cache
from urllib.parse import unquote

import click
import pytest

from tests import desks
from tests.pages import PAGES, ROOT, anchors, blocks, cells, command_lines, inline_code, links, name_of, tables
from workbench.cli import CONTEXT, cli
from workbench.core.errors import UsageError

MADE = {"docs/command-line.md"}
"""Pages made from the parser: a test of their own says that they are current."""
READERS = {"otsu", "blobs"}
"""Backends that the pages let the reader write."""
HISTORY = {"CHANGELOG.md"}
"""Pages that speak of names that are no more."""
page_by_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@page_by_page
def test_every_link_leads_to_a_file_and_a_heading(page):
    text = page.read_text(encoding="utf-8")
    for target in links(text):
        if re.match(r"(https?|mailto):", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / unquote(path)).resolve() if path else page
        assert file.is_relative_to(ROOT), f"{target} leads out of the project"
        assert file.exists(), f"{target} does not exist"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{target}: no such heading"


@page_by_page
def test_tables_are_whole(page):
    """An empty line inside a table ends it, and what follows is shown as text."""
    for table in tables(page.read_text(encoding="utf-8")):
        assert len(table) > 2, table
        assert re.fullmatch(r"\|(:?-+:?\|)+", table[1].replace(" ", "")), f"no table begins with {table[0]}"
        assert {cells(row) for row in table} == {cells(table[0])}, table


@page_by_page
def test_commands_parse(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FOLDER").mkdir()
    for words, whole in () if name_of(page) in MADE else command_lines(page.read_text(encoding="utf-8")):
        if not READERS & set(words):
            parse(words, whole=whole)


def parse(words, *, whole=True):
    """Give the words to the real parser, and stop before the command runs; parts may be missing if not `whole`."""
    command, name, rest = cli, "workbench", list(words)
    context = click.Context(cli, info_name=name, **CONTEXT)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name, *rest = rest
        command = command.get_command(context, name)
        assert command is not None, f"workbench {' '.join(words)}: no command '{name}'"
        context = click.Context(command, info_name=name, parent=context)
    if isinstance(command, click.Group):
        assert rest == ["--help"] or (not rest and not whole), f"workbench {' '.join(words)}: no command"
        return
    try:
        command.make_context(name, list(rest), parent=context.parent)
    except click.exceptions.Exit:
        assert "--help" in rest
    except click.MissingParameter:
        assert not whole, f"workbench {' '.join(words)}: something is missing"
    except click.ClickException as error:
        raise AssertionError(f"workbench {' '.join(words)}: {error.format_message()}") from error


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("predict segformer3d -i a.nii.gz -o out --overlapp 0.5", "--overlapp"),
        ("predict segformer3d -i a.nii.gz -o out --overlap 1.5x", "1.5x"),
        ("predict nobody -i a -o b", "no backend 'nobody'"),
        ("train segformer3d -i cases.csv", "something is missing"),
        ("shine", "no command 'shine'"),
        ("predict", "no command"),
    ],
)
def test_wrong_commands_do_not_parse(line, why):
    with pytest.raises((AssertionError, UsageError), match=why):
        parse(line.split())


@page_by_page
def test_names_of_modules_and_files_exist(page):
    for code in () if name_of(page) in HISTORY else inline_code(page.read_text(encoding="utf-8")):
        if re.fullmatch(r"workbench(_napari)?(\.\w+)+", code):
            resolve(code)
        elif re.fullmatch(r"(docs|tests|workbench|plugins|sample_data|\.ci)/[\w./-]+\.\w+", code):
            assert (ROOT / code).exists() or (ROOT / "plugins" / code).exists(), f"{code} does not exist"


@page_by_page
def test_scripts_and_targets_exist(page):
    text = page.read_text(encoding="utf-8")
    spoken = [*inline_code(text), *(line for b in blocks(text) for line in b.text.splitlines())]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for line in spoken:
        if script := re.match(r"python (\S+\.py)", line):
            assert (ROOT / script[1]).is_file(), f"{line}: no such script"
        elif target := re.match(r"make ([a-z-]+)", line):
            assert target[1] in targets, f"{line}: no such target"


def resolve(name):
    """The module or attribute of a dotted name; entry-point groups and files of napari are names of another sort."""
    if name in ("workbench.backends", "workbench.kinds", "workbench_napari.yaml"):
        return None
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            assert hasattr(found, part), f"{name}: {found} has no '{part}'"
            found = getattr(found, part)
        return found
    raise AssertionError(f"{name} does not exist")


@page_by_page
def test_blocks_of_data_are_well_formed(page):
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "csv":
            assert len({len(row) for row in csv.reader(block.text.splitlines())}) == 1, block.text


@cache
def python_pages():
    found = {p: [b for b in blocks(p.read_text(encoding="utf-8")) if b.language == "python"] for p in PAGES}
    return {page: some for page, some in found.items() if some}


@pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader:UserWarning")  # MONAI tries all of its own readers
@pytest.mark.parametrize("page", python_pages(), ids=name_of)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    """In the order of the page, in a folder with small files of the names that it uses, with small settings."""
    monkeypatch.chdir(tmp_path)
    names = desks.lay(name_of(page), tmp_path, monkeypatch)
    desks.shrink(monkeypatch)
    for block in python_pages()[page]:
        # Empty lines in front let a traceback name the line of the page.
        code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
        if not block.not_run:
            exec(code, names)
