"""The manifest of the plugin is a static file: it must say what the rows of the kinds say."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.core import kinds

yaml = pytest.importorskip("yaml")
MANIFEST = Path(__file__).resolve().parents[2] / "plugins" / "workbench_napari" / "napari.yaml"


@pytest.fixture(scope="module")
def contributions():
    return yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))["contributions"]


def test_readers_take_the_suffixes_of_the_rows(contributions):
    taken = {p for reader in contributions["readers"] for p in reader["filename_patterns"]}
    suffixes = {s for row in kinds.BUILT_IN for s in row.readers}
    # `*.nrrd` covers `.seg.nrrd`, as napari matches patterns.
    covered = {s for s in suffixes if any(s != t and s.endswith(t) for t in suffixes)}
    assert {f"*{s}" for s in suffixes - covered} <= taken <= {f"*{s}" for s in (*suffixes, ".zip")}


def test_every_kind_has_its_tool_and_its_sample(contributions):
    titles = {widget["display_name"] for widget in contributions["widgets"]}
    samples = {sample["key"] for sample in contributions["sample_data"]}
    for row in kinds.BUILT_IN:
        assert not row.tool or row.tool in titles
        assert not row.sample or row.sample in samples


def test_writers_name_only_suffixes_that_can_be_read_again(contributions):
    suffixes = {s for row in kinds.BUILT_IN for s in row.readers}
    for writer in contributions["writers"]:
        assert set(writer["filename_extensions"]) <= suffixes
