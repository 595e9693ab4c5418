"""What strangers bring may be broken: it is said in one line that names them, and takes nothing else down."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

import workbench as wb
from tests import strangers
from tests.tiny import make_tiny_weights, make_volume
from workbench import testing
from workbench.batch.run import run
from workbench.cli import run as shell
from workbench.core import kinds, settings
from workbench.core.errors import FaultyExtension, WorkbenchWarning
from workbench.core.types import Case
from workbench.data import formats

_RESULT = """

def predict(model, image, config, progress=None):
    recorder = Recorder("stranger", config, None, image)
    grid = image.geometry
    labels = Labels(np.ones(grid.shape, np.uint8), grid, ClassTable.from_names(["all"]))
    {change}
    return {given}
"""


def _result(change: str = "", given: str = 'Result({"labels": labels}, image, recorder.finish())') -> str:
    return strangers.CONFIG + _RESULT.format(change=change, given=given)


MOVED = (
    "moved = grid.affine.copy(); moved[0, 3] += 30; "
    "labels = Labels(labels.data, type(grid)(grid.shape, moved), labels.classes)"
)
DECLARED = 'float = setting(0.5, "Above this quantile is one class.", low=0.0, high=1.0)'
RESULTS = {
    "another grid": (_result(MOVED), "part 'labels' does not lie on the grid of the image"),
    "another shape": (_result("labels = Labels(labels.data[1:], grid, labels.classes)"), "has the shape"),
    "fractions": (_result("labels = Labels(labels.data * 0.5, grid, labels.classes)"), "label maps hold whole numbers"),
    "no provenance": (_result(given='Result({"labels": labels}, image, None)'), "has no provenance"),
    "no parts": (_result(given="Result({}, image, recorder.finish())"), "has no parts"),
    "an array": (_result(given='Result({"x": labels.data}, image, recorder.finish())'), "part 'x' is a ndarray"),
    "no result": (_result(given="labels"), "gave a Labels, a Result was expected"),
}
MODULES = {
    "raises": ("raise RuntimeError('boom\\nand more')", "cannot be loaded (RuntimeError: boom and more)"),
    "exits": ("import sys; sys.exit(7)", "cannot be loaded (SystemExit: 7)"),
    "nothing": ("", "defines no Config, load, predict"),
    "undeclared": (
        strangers.CONFIG.replace(
            'float = setting(0.5, "Above this quantile is one class.", low=0.0, high=1.0)', "float = 1.0"
        )
        + "def predict(model, image, config, progress=None):\n    return None\n",
        "the setting 'level' was not declared with workbench.setting",
    ),
}


@pytest.mark.parametrize("case", RESULTS)
def test_a_result_is_checked_before_it_is_shown_or_written(case, tmp_path, monkeypatch, capsys):
    code, words = RESULTS[case]
    row = strangers.install("volume", tmp_path, monkeypatch, code)
    volume = make_volume(tmp_path / "in" / "ct.nii.gz", shape=(6, 7, 8))
    with pytest.raises(FaultyExtension) as caught:
        wb.predict("stranger", volume)
    assert words in str(caught.value)
    assert str(caught.value).startswith("backend stranger: ")
    assert "\n" not in str(caught.value)
    report = run(row, [Case("ct", volume), Case("again", volume)], tmp_path / "out", row.load_module().Config())
    assert [o.stage for o in report.outcomes] == ["predict", "predict"]
    assert all(words in o.message for o in report.outcomes)
    assert not list((tmp_path / "out").glob("[!.]*/*"))
    with pytest.raises(AssertionError):
        testing.check_backend("stranger", volume)


@pytest.mark.parametrize("case", MODULES)
def test_a_module_that_cannot_be_used_is_named(case, tmp_path, monkeypatch, capsys):
    code, words = MODULES[case]
    row = strangers.install("volume", tmp_path, monkeypatch, code or "pass")
    volume = make_volume(tmp_path / "in" / "ct.nii.gz", shape=(6, 7, 8))
    assert shell(["predict", "stranger", "-i", str(volume), "-o", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert "stranger" in said
    assert row.problems()
    assert words in row.problems()[0]
    assert shell(["predict", "--help"]) == 0
    with pytest.raises(AssertionError):
        testing.check_backend("stranger", volume)
    weights = make_tiny_weights(tmp_path / "w.safetensors")
    assert wb.predict("segformer3d", volume, weights=str(weights), device="cpu").labels is not None


def test_a_verb_that_is_listed_and_not_defined(tmp_path, monkeypatch, capsys):
    strangers.install("volume", tmp_path, monkeypatch, _result(), verbs=("predict", "evaluate"))
    assert shell(["evaluate", "stranger", "--help"]) == 1
    assert "its row lists 'evaluate', but" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("pass", "its row lists 'predict', but stranger_settings defines no Config"),
        ("raise RuntimeError('no')", "its module stranger_settings cannot be loaded (RuntimeError: no)"),
        (
            "import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass Config:\n    pass\n",
            "differ in Config",
        ),
    ],
    ids=["without the class", "raises", "another class"],
)
def test_settings_of_their_own_are_checked(code, words, tmp_path, monkeypatch):
    """What help shows is what the backend takes."""
    row = strangers.install("volume", tmp_path, monkeypatch, _result(), settings="stranger_settings")
    (tmp_path / "stranger_settings.py").write_text(code)
    monkeypatch.delitem(sys.modules, "stranger_settings", raising=False)
    assert words in row.problems()[0]
    with pytest.raises(AssertionError):
        testing.check_backend("stranger", make_volume(tmp_path / "in" / "ct.nii.gz", shape=(6, 7, 8)))


def _with_kind(monkeypatch, **more):
    row = replace(kinds.VOLUME, name="odd", title="an odd thing", readers={".odd": "no.such.module"}, **more)
    rows = {**kinds.kinds(), "odd": row}
    monkeypatch.setattr(kinds, "kinds", lambda: rows)
    return row


def test_a_sniff_that_raises_keeps_nobody_from_opening_other_files(tmp_path, monkeypatch):
    (tmp_path / "odd_files.py").write_text("def sniff(path, key):\n    raise RuntimeError('boom in sniff')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    row = _with_kind(monkeypatch, files="odd_files")
    volume = make_volume(tmp_path / "ct.nii.gz", shape=(6, 7, 8))
    with pytest.warns(WorkbenchWarning, match="kind 'odd' of a third party was not asked .RuntimeError: boom in sniff"):
        assert formats.read(volume).kind == "volume"
    assert row.problems() == [
        "kind 'odd': its module no.such.module cannot be loaded (ModuleNotFoundError: No module named 'no'). Update or "
        "reinstall the package that brings it."
    ]


def test_a_files_module_that_is_missing_keeps_nobody_from_anything(tmp_path, monkeypatch):
    _with_kind(monkeypatch, files="no.such.module")
    volume = make_volume(tmp_path / "ct.nii.gz", shape=(6, 7, 8))
    (tmp_path / "a.vvv").write_text("nothing")
    with pytest.warns(WorkbenchWarning, match="kind 'odd': its module no.such.module cannot be loaded"):
        assert formats.read(volume).kind == "volume"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WorkbenchWarning)
        with pytest.raises(wb.InputError, match="no reader for '.vvv'"):
            formats.read(tmp_path / "a.vvv")


def test_side_files_of_a_strangers_kind_decide_about_resume(tmp_path, monkeypatch):
    from workbench.core.provenance import input_hash

    (tmp_path / "side_files.py").write_text(
        "import importlib\n"
        "def input_files(path):\n    return (path, path.with_suffix('.json'))\n"
        "def read(path, *, series, key, as_map):\n"
        "    return importlib.import_module('workbench.volume.data.nifti').read(path)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    row = _with_kind(monkeypatch, files="side_files")
    volume, side = make_volume(tmp_path / "ct.nii", shape=(6, 7, 8)), tmp_path / "ct.json"
    side.write_text('{"mm_per_pixel": 0.1}')
    before = input_hash(formats.read_as(row, volume))
    assert before == input_hash(formats.read_as(row, volume))
    side.write_text('{"mm_per_pixel": 0.2}')
    assert input_hash(formats.read_as(row, volume)) != before


def test_a_table_without_the_column_of_sizes_says_no_size():
    from workbench.cli.running import amount

    assert amount({"class": "small", "count": 2}, "area [mm2]") == ""
    assert amount({"class": "small", "area [mm2]": 1.25}, "area [mm2]").strip() == "1.2 mm2"
    assert amount({"class": "small", "area [mm2]": 0.0375}, "area [mm2]").strip() == "0.0375 mm2"
    assert amount({"class": "none", "area [mm2]": 0.0}, "area [mm2]").strip() == "0.0 mm2"
    assert amount({"class": "liver", "volume [mL]": None, "voxels": 7}, "volume [mL]").strip() == "7 voxels"


def test_built_in_faults_stay_faults(monkeypatch):
    """Only strangers are blamed: a bug of ours comes through as it is."""
    from workbench.core.registry import SEGFORMER3D

    monkeypatch.setattr("importlib.import_module", _raise)
    monkeypatch.delitem(sys.modules, kinds.VOLUME.layers, raising=False)

    with pytest.raises(NameError):
        SEGFORMER3D.load_module()
    with pytest.raises(NameError):
        kinds.VOLUME.load("layers")
    assert np.all(np.array([1]) == 1)
    assert settings.describe is not None


def _raise(name):
    raise NameError(name)
