"""The list of published weights: ours, and what a group adds to it."""

import json

import pytest

from workbench.core.errors import UsageError
from workbench.weights.published import KnownWeights, SourceFile, known


@pytest.fixture
def listed(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))

    def write(rows):
        (tmp_path / "weights.json").write_text(rows if isinstance(rows, str) else json.dumps(rows))
        return tmp_path

    return write


ROW = {"name": "mine", "backend": "segformer3d", "title": "Mine"}


def test_a_row_of_the_group_wins_over_ours(listed) -> None:
    listed([ROW | {"name": "meg-gpt", "licence": "ours"}, ROW])
    rows = known()
    assert rows["meg-gpt"].licence == "ours"
    assert {"mine", "segformer3d-brats", "meg-gpt-tokenizer"} <= set(rows)


def test_the_path_is_in_the_folder_of_weights(listed) -> None:
    home = listed([ROW])
    assert known()["mine"].path == home / "weights" / "mine.safetensors"
    assert known()["segformer3d-brats"].path == home / "weights" / "segformer3d-brats.bin"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("{", "not a list of weight entries"),
        ([ROW | {"sha265": "0"}], r"unknown field\(s\) \['sha265'\]; expected"),
        ([{"name": "mine"}], "not a list of weight entries"),
        ([ROW | {"name": "../evil"}], "'../evil' is not usable as a name"),
        ([ROW | {"files": [{"name": "a", "url": "b", "hash": "c"}]}], r"unknown field\(s\) \['hash'\] of a file"),
        ([ROW | {"files": [{"name": "/etc/passwd", "url": "b"}]}], "'/etc/passwd' is not usable"),
        ([ROW | {"files": [{"name": "a/../../b", "url": "b"}]}], "is not usable as a name"),
        ([ROW | {"files": [{"name": "a\\..\\b", "url": "b"}]}], "is not usable as a name"),
        ([ROW | {"files": [{"name": "a", "url": "b", "keys": "abc"}]}], "expected a list of names"),
        ([ROW | {"files": ["a"]}], "expected an object with name and url"),
        ([ROW | {"files": [{"name": "a", "url": "b"}]}], "no 'build' of them"),
        ([ROW | {"name": "a\\b"}], "is not usable as a name"),
        ([ROW | {"name": ""}], "is not usable as a name"),
        ([ROW | {"name": 3}], "'name' is 3, expected text"),
        ([ROW | {"suffix": "/../../../.bashrc"}], "has the suffix '/../../../.bashrc', expected one of .safetensors"),
        ([ROW | {"suffix": ".py"}], "has the suffix '.py'"),
        ([ROW | {"suffix": ""}], "has the suffix ''"),
        ([ROW | {"build": "os:system"}], "built by 'os:system', expected one of workbench.recording.train.release"),
        ([ROW | {"build": "workbench.recording.train.release:Path"}], "built by"),
        ([ROW | {"url": None}], "'url' is None, expected text"),
        ([ROW | {"size_mb": float("nan")}], "'size_mb' is nan, expected megabytes"),
        ([ROW | {"size_mb": 1e300}], "expected megabytes"),
        ([ROW | {"size_mb": -1}], "expected megabytes"),
        ({"name": "mine"}, "expected a list of objects"),
        (["mine"], "expected a list of objects"),
        ("[" * 100_000, "not a list of weight entries"),
    ],
)
def test_an_entry_that_cannot_be_is_refused(listed, rows, words) -> None:
    """A mistyped ``sha256`` would otherwise mean weights that nobody checks."""
    listed(rows)
    with pytest.raises(UsageError, match=words):
        known()


def test_what_to_do_to_get_them() -> None:
    bare = KnownWeights("x", "b", "t", note="Ask Anna.")
    assert bare.how_to_get() == "Ask Anna."
    assert KnownWeights("x", "b", "t", url="https://x", note="Ask Anna.").how_to_get() == "Ask Anna."  # without a hash
    fetchable = KnownWeights("x", "b", "t", url="https://x", sha256="0" * 64)
    assert fetchable.how_to_get() == "Fetch them with: workbench weights get x --allow-download"
    files = (SourceFile("a", "u", sha256="0"), SourceFile("b", "u", content="0"), SourceFile("c", "u"))
    several = KnownWeights("x", "b", "t", files=files)
    assert [f.name for f in several.unverified] == ["c"]
    assert several.how_to_get().endswith("--allow-download --sha256 c=HASH")


@pytest.mark.parametrize("row", [r for r in known().values() if r.files], ids=lambda r: r.name)
def test_our_own_rows_can_be_built(row) -> None:
    from importlib import import_module

    module, _, function = row.build.partition(":")
    assert callable(getattr(import_module(module), function))
    assert all(f.url.startswith("https://") for f in row.files)
