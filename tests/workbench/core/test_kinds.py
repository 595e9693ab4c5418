"""What the rows say of a path: the longest suffix counts, and who does not know says no."""

from dataclasses import replace
from pathlib import Path

import pytest

from workbench.core import kinds
from workbench.core.errors import InputError, UsageError
from workbench.core.kinds import RECORDING, SCENE, VOLUME, Kind

PHOTO = Kind("photo", "a photo", ("row", "column"), {".jpg": "json", ".tar.jpg": "csv", ".JPEG": "json"})


@pytest.mark.parametrize(
    ("row", "name", "suffix"),
    [
        (VOLUME, "a.nii", ".nii"), (VOLUME, "a.nii.gz", ".nii.gz"), (VOLUME, "A.NII.GZ", ".nii.gz"),
        (VOLUME, "tumour.seg.nrrd", ".seg.nrrd"), (VOLUME, "tumour.nrrd", ".nrrd"), (VOLUME, "a.gz", None),
        (RECORDING, "a.fif.gz", ".fif.gz"), (SCENE, "a.tiff", ".tiff"), (SCENE, "tiff", None),
        (PHOTO, "a.b.tar.jpg", ".tar.jpg"),
    ],
)  # fmt: skip
def test_the_longest_suffix_counts(row, name, suffix) -> None:
    assert row.suffix_of(Path("folder.nii") / name) == suffix


def test_the_reader_is_that_of_the_longest_suffix() -> None:
    assert PHOTO.reader_of(Path("a.tar.jpg")).__name__ == "csv"
    assert PHOTO.reader_of(Path("a.jpg")).__name__ == "json"
    with pytest.raises(InputError, match=r"a\.png: no reader for '\.png' as a photo\. Can be read: \.jpg, \.tar\.jpg"):
        PHOTO.reader_of(Path("a.png"))


def test_a_row_without_a_module_for_files_is_told_by_its_suffix_alone(tmp_path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    assert PHOTO.sniff(tmp_path / "a.jpg") == "maybe"
    assert PHOTO.sniff(tmp_path / "a.png") == "no"
    assert PHOTO.sniff(tmp_path / "folder.jpg") == "no"


def test_optional_parts_are_none_and_needed_ones_are_named() -> None:
    assert PHOTO.hook("files", "read") is None
    assert VOLUME.hook("files", "no_such_function") is None
    assert VOLUME.hook("files", "sniff") is VOLUME.load("files").sniff
    with pytest.raises(UsageError, match="a photo has no writer: its row names no module"):
        PHOTO.load("writer")


def test_candidates_are_those_that_do_not_say_no(tmp_path) -> None:
    (tmp_path / "a.nii.gz").touch()
    assert kinds.candidates(tmp_path / "a.nii.gz") == {"volume": "maybe"}
    (tmp_path / "a.txt").touch()
    assert kinds.candidates(tmp_path / "a.txt") == {}


def test_a_kind_whose_module_is_missing_does_not_stop_the_others(tmp_path, monkeypatch) -> None:
    rows = {"broken": replace(PHOTO, name="broken", files="no_such_module_anywhere"), "photo": PHOTO}
    monkeypatch.setattr(kinds, "kinds", lambda: rows)
    with pytest.warns(UserWarning, match="kind 'broken': its module no_such_module_anywhere cannot be loaded"):
        assert kinds.candidates(tmp_path / "a.jpg") == {"photo": "maybe"}


def test_an_unknown_kind_and_its_neighbour() -> None:
    assert kinds.find("scene") is SCENE
    with pytest.raises(UsageError, match="no kind of data 'volumes'. Did you mean 'volume'"):
        kinds.find("volumes")


@pytest.mark.parametrize("row", kinds.BUILT_IN, ids=lambda row: row.name)
def test_every_module_that_a_built_in_row_names_is_there(row) -> None:
    import importlib

    for name in {*row.readers.values(), row.files, row.writer, row.layers, row.cases} - {""}:
        importlib.import_module(name)
    if row.monai:
        module, _, attribute = row.monai.partition(":")
        assert isinstance(getattr(importlib.import_module(module), attribute), type)
    assert all(s == s.lower() and s.startswith(".") for s in row.readers)
    assert row.to_json()["readers"] == dict(row.readers)
