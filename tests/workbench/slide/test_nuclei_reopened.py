"""Nuclei that were saved and are opened again: what a person said of them, and what the encoder saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.workbench.slide.test_nuclei_edits import five
from workbench.core.types import Embeddings
from workbench.data.geojson import write_geojson
from workbench.data.objects import read_objects
from workbench.slide.data.embedding_files import TileEmbeddings, write_hdf5
from workbench.slide.nuclei_edits import NucleiEdits
from workbench.slide.nuclei_learning import read_seen


def test_classes_that_a_person_gave_are_examples_after_reopening_too(tmp_path):
    edits = NucleiEdits(five())
    edits.reclass([1, 3], 1)
    edits.accept([0])
    write_geojson(edits.objects(), tmp_path / "nuclei.geojson")
    again = NucleiEdits(read_objects(tmp_path / "nuclei.geojson"))
    assert again.taught.tolist() == [False, True, False, True, False], "accepted is not named: the class was computed"
    assert again.relabel(np.full(5, 2), np.full(5, 0.9), "learnt") == 3
    assert again.values.tolist() == [2, 1, 2, 1, 2]


def test_what_the_encoder_saw_comes_back_for_nuclei_that_are_as_they_were(tmp_path):
    objects = five()
    centres = objects.centroids()
    about = {"weights_sha256": "a" * 64, "name": "s"}
    seen = Embeddings(np.arange(10, dtype=np.float32).reshape(5, 2), tuple("12345"), places=centres, about=about)
    write_hdf5(tmp_path / "embeddings.h5", TileEmbeddings.of(seen))
    again, note = read_seen(tmp_path / "embeddings.h5", objects, "a" * 64)
    assert again.ids == tuple("12345")
    assert note == ""
    np.testing.assert_array_equal(again.data, seen.data)
    edits = NucleiEdits(objects)
    edits.reject([0])
    edits.brush(3, [[120, 110], [135, 110]], 9)  # its centre moves
    again, note = read_seen(tmp_path / "embeddings.h5", edits.objects(), None)
    assert again.ids == tuple("235")
    assert "2 nuclei more" in note
    again, note = read_seen(tmp_path / "embeddings.h5", objects, "b" * 64)
    assert again is None
    assert "other weights" in note
    others = replace(objects, ids=objects.ids + 100)
    assert read_seen(tmp_path / "embeddings.h5", others, "a" * 64)[0] is None
    write_hdf5(tmp_path / "old.h5", replace(TileEmbeddings.of(seen), ids=()))
    again, note = read_seen(tmp_path / "old.h5", objects, None)
    assert again is None
    assert "names no nuclei" in note
