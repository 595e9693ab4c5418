"""Rows of installed third parties, from real distributions on the path: good ones are added, others are left out."""

import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest

from workbench.core import kinds
from workbench.core.entry_points import rows_of
from workbench.core.kinds import Kind
from workbench.core.registry import Backend

ROOT = Path(__file__).resolve().parents[3]
OURS = (Kind("volume", "a volume", ("i", "j", "k"), {}, writer="ours"), Kind("scene", "a scene", ("row", "column"), {}))
MODULE = """
from workbench.core.kinds import Kind
from workbench.core.registry import Backend

def kind(name, **more):
    return Kind(name, f"a {name}", ("row", "column"), {".png": "acme"}, **more)

PHOTO, PHOTO_TOO, VOLUME = kind("photo"), kind("photo", writer="later"), kind("volume", writer="acme")
OTSU = Backend("otsu", "Otsu", "segment", "volume", (), (), "x", "acme_otsu")
SEGFORMER = Backend("segformer3d", "Not ours", "segment", "volume", (), (), "x", "acme_otsu")
NOT_A_ROW = {"name": "photo"}
"""


@pytest.fixture(autouse=True)
def no_strangers(monkeypatch):
    """What else is installed on this machine is none of these tests' business."""
    from workbench.core import entry_points as module

    real = module.entry_points
    known = ("acme", "napari-workbench")
    monkeypatch.setattr(
        module, "entry_points", lambda group: [p for p in real(group=group) if p.dist.name.startswith(known)]
    )


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution with these entry points on the path."""

    def call(points, group="workbench.kinds", name="acme", module=MODULE):
        folder = tmp_path / name
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "\n".join(f"{key} = {value}" for key, value in points.items())
        (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
        (folder / f"{name}_rows.py").write_text(textwrap.dedent(module))
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, f"{name}_rows", raising=False)
        return folder

    yield call
    for name in [n for n in sys.modules if n.endswith("_rows") and n.startswith("acme")]:
        del sys.modules[name]


def _rows(group="workbench.kinds", row_type=Kind, built_in=OURS):
    """Rows, and the warnings that came with them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = rows_of(group, row_type, built_in)
    return rows, [str(w.message) for w in caught]


def test_without_third_parties_the_rows_are_ours_in_their_order() -> None:
    rows, said = _rows("workbench.nobody")
    assert list(rows) == ["volume", "scene"]
    assert tuple(rows.values()) == OURS
    assert said == []


def test_a_row_of_a_third_party_comes_after_ours(install) -> None:
    install({"photo": "acme_rows:PHOTO"})
    rows, said = _rows()
    assert list(rows) == ["volume", "scene", "photo"]
    assert rows["photo"].title == "a photo"
    assert said == []
    assert list(_rows("workbench.backends", Backend, ())[0]) == []  # another group


def test_the_name_in_the_row_counts_not_that_of_the_entry_point(install) -> None:
    install({"volume": "acme_rows:PHOTO"})
    rows, said = _rows()
    assert (list(rows), said) == (["volume", "scene", "photo"], [])


def test_a_built_in_row_cannot_be_replaced(install) -> None:
    install({"innocent": "acme_rows:VOLUME", "photo": "acme_rows:PHOTO"})
    rows, (said,) = _rows()
    assert rows["volume"] is OURS[0]
    assert "photo" in rows
    assert said == (
        "distribution acme: entry point 'innocent' of workbench.kinds was left out: "
        "'volume' is a name of the workbench and cannot be replaced"
    )


def test_of_two_rows_of_one_name_one_is_left_out_and_named(install) -> None:
    install({"one": "acme_rows:PHOTO", "two": "acme_rows:PHOTO_TOO"})
    rows, (said,) = _rows()
    assert rows["photo"].writer == ""
    assert "'two'" in said
    assert "'photo' is there already" in said


@pytest.mark.parametrize(
    ("value", "module", "reason"),
    [
        ("acme_rows:NOT_A_ROW", MODULE, "acme_rows:NOT_A_ROW is a dict, a workbench Kind was expected"),
        ("acme_rows:OTSU", MODULE, "acme_rows:OTSU is a Backend, a workbench Kind was expected"),
        ("acme_rows:MISSING", MODULE, "cannot be loaded (AttributeError"),
        ("acme_nowhere:PHOTO", MODULE, "cannot be loaded (ModuleNotFoundError"),
        ("acme_rows:PHOTO", "import a_library_not_installed", "cannot be loaded (ModuleNotFoundError"),
        ("acme_rows:PHOTO", "1 / 0", "cannot be loaded (ZeroDivisionError"),
        ("acme_rows:PHOTO", "def (", "cannot be loaded (SyntaxError"),
    ],
)
def test_a_broken_entry_point_takes_nothing_else_down(install, value, module, reason) -> None:
    install({"bad": value}, module=module)
    install({"good": "acme2_rows:PHOTO"}, name="acme2")
    rows, (said,) = _rows()
    assert list(rows) == ["volume", "scene", "photo"]
    assert said.startswith("distribution acme: entry point 'bad' of workbench.kinds was left out: ")
    assert reason in said
    assert "\n" not in said


def test_our_own_entry_points_are_not_loaded_again(install) -> None:
    """The workbench lists its rows as entry points too, for others to see; they are no third party's."""
    install({"volume": "workbench.core.kinds:VOLUME"})
    assert _rows() == ({row.name: row for row in OURS}, [])


def test_kinds_of_third_parties_are_found(install) -> None:
    install({"photo": "acme_rows:PHOTO", "volume": "acme_rows:VOLUME"})
    kinds.kinds.cache_clear()
    try:
        with pytest.warns(UserWarning, match="'volume' is a name of the workbench"):
            assert kinds.find("photo").title == "a photo"
        assert kinds.find("volume") is kinds.VOLUME
        assert list(kinds.kinds())[: len(kinds.BUILT_IN)] == [row.name for row in kinds.BUILT_IN]
    finally:
        kinds.kinds.cache_clear()


def test_a_third_party_cannot_take_the_place_of_a_built_in_backend(install) -> None:
    """In an interpreter of its own, as a user has it: weights and pictures would go to somebody else's code."""
    points = {"otsu": "acme_rows:OTSU", "segformer3d": "acme_rows:SEGFORMER"}
    folder = install(points, group="workbench.backends")
    program = "from workbench.core.registry import find; print(find('segformer3d').module, find('otsu').module)"
    path = os.pathsep.join([str(folder), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["workbench.volume.segformer3d", "acme_otsu"]
