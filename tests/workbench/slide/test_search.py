"""The most similar tiles: exact, in place, and only among those that can be compared."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from workbench.cli import run
from workbench.core.errors import InputError, NothingFound, UsageError
from workbench.slide.data.embedding_files import TileEmbeddings
from workbench.slide.data.heat_maps import read_map
from workbench.slide.search import TileIndex, index_of, unit


def tiles(count, seed, *, width=16, name="a", **facts):
    rng = np.random.default_rng(seed)
    about = {"patch_size": 100, "patch_size_level0": 100, "target_mpp": 0.5, "encoder": "e", "weights_sha256": "f",
             "name": name, **facts}  # fmt: skip
    rows, columns = np.divmod(np.arange(count), 8)
    corners = np.stack([columns, rows], 1) * 100
    return TileEmbeddings(rng.normal(size=(count, width)).astype(np.float32), corners, about)


@pytest.fixture
def two():
    return TileIndex.of([(tiles(40, 0), "", "a/embeddings.h5"), (tiles(30, 1, name="b"), "", "b/embeddings.h5")])


def test_what_is_found_is_what_all_pairs_say(two):
    every = unit(np.concatenate([tiles(40, 0).features, tiles(30, 1).features])).astype(np.float64)
    for shown in ([3], [50], [3, 44]):
        query = every[shown].mean(0)
        query /= np.linalg.norm(query)
        right = every @ query
        right[shown] = -np.inf
        hits = two.similar(two.query(shown), 10, without=shown)
        np.testing.assert_array_equal(hits.tiles, np.argsort(-right)[:10])
        np.testing.assert_allclose(hits.similarity, np.sort(right)[::-1][:10], atol=2e-3)
    inside = two.similar(two.query([3]), 100, slide=1)
    assert set(inside.slides) == {1}
    assert len(inside) == 30
    away = two.similar(two.query([3]), 100, without=[3], elsewhere=True)
    assert set(away.slides) == {1}
    with pytest.raises(UsageError, match="nothing is left"):
        two.similar(two.query([3]), 100, slide=0, without=[3], elsewhere=True)


def test_a_place_means_the_tile_around_it(two):
    assert two.tiles_at(0, [(250, 130)]).tolist() == [10]
    assert two.places(["b:799,99.5", "a:0,0"]).tolist() == [47, 0]
    for text, line in (
        ("a:9000,0", "in no tile"),
        ("c:1,1", "0 slides"),
        ("a", "SLIDE:X,Y"),
        ("a:1", "SLIDE:X,Y"),
        ("a:nan,0", "SLIDE:X,Y"),
    ):
        with pytest.raises(UsageError, match=line):
            two.places([text])


def test_tiles_of_other_encoders_and_scales_are_not_compared():
    first = (tiles(10, 0), "", "a/embeddings.h5")
    for other in (
        tiles(10, 1, weights_sha256="g"), tiles(10, 1, target_mpp=0.25), tiles(10, 1, patch_size=200),
        tiles(10, 1, width=17), tiles(10, 1, pooling="mean"), tiles(10, 1, stain_profile="ab12"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=r"b/embeddings\.h5.*cannot be compared"):
            TileIndex.of([first, (other, "", "b/embeddings.h5")])
    with pytest.raises(NothingFound):
        TileIndex.of([])


def test_an_index_is_kept_mapped_and_checked(two, tmp_path):
    two.save(tmp_path / "index")
    again = TileIndex.open(tmp_path / "index")
    assert isinstance(again.vectors, np.memmap)
    assert again.slides == two.slides
    query = two.query([5])
    np.testing.assert_array_equal(again.similar(query, 9).tiles, two.similar(query, 9).tiles)
    np.save(tmp_path / "index" / "vectors.npy", two.vectors[:-1])
    with pytest.raises(InputError, match="do not belong together"):
        TileIndex.open(tmp_path / "index")
    np.save(tmp_path / "index" / "vectors.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(InputError, match="no index"):
        TileIndex.open(tmp_path / "index")
    (tmp_path / "index" / "index.json").write_text("[]")
    with pytest.raises(InputError, match="no index"):
        TileIndex.open(tmp_path / "index")


def test_from_results_to_a_gallery(study, tmp_path, capsys):
    out = study / "out"
    index = index_of(out)
    assert [s.name for s in index.slides] == ["slide-0", "slide-1"]
    x, y = (index.corners[0] + 10).tolist()
    assert (
        run(
            [
                "search",
                "-i",
                str(out),
                "--like",
                f"slide-0:{x},{y}",
                "-n",
                "12",
                "-o",
                str(tmp_path / "found"),
                "--json",
            ]
        )
        == 0
    )
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 12
    assert [row["similarity"] for row in rows] == sorted((row["similarity"] for row in rows), reverse=True)
    page = (tmp_path / "found" / "gallery.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 12
    assert "http" not in page.replace("http-equiv", "")
    text = (tmp_path / "found" / "hits.csv").read_text(encoding="utf-8").splitlines()
    assert text[0].startswith("rank,slide,x,y,similarity")
    data, geometry = read_map(tmp_path / "found" / "slide-0_similarity.ome.tif")
    own = index.similarity(index.query([0]), 0)
    assert np.count_nonzero(np.isfinite(data)) == len(own)
    for corner, similarity in zip(index.corners[: len(own)], own, strict=True):
        centre = (corner[::-1] + 32 - 0.5) * 0.5  # um
        row, column = np.rint((np.linalg.inv(geometry.affine) @ [*centre, 1])[:2]).astype(int)
        assert data[row, column] == similarity


def test_what_is_no_study_of_tiles_is_said(study, tmp_path, capsys):
    assert run(["search", "-i", str(tmp_path), "--like", "a:1,1"]) == 4
    assert "predict stainnet" in capsys.readouterr().err
    assert run(["search", "-i", str(study / "out"), "--like", "slide-9:1,1"]) == 2
    assert "slide-0, slide-1" in capsys.readouterr().err


def test_embeddings_of_nuclei_beside_them_are_no_tiles(study, tmp_path):
    import shutil

    from workbench.slide.data.embedding_files import write_hdf5

    shutil.copytree(study / "out", tmp_path / "out")
    nuclei = TileEmbeddings(
        np.ones((3, 5), np.float32), np.zeros((3, 2), np.int64), {"name": "slide-0"}, ("1", "2", "3")
    )
    (tmp_path / "out" / "cells").mkdir()
    write_hdf5(tmp_path / "out" / "cells" / "embeddings.h5", nuclei)
    assert len(index_of(tmp_path / "out")) == len(index_of(study / "out"))
    with pytest.raises(NothingFound, match="no embeddings of tiles"):
        index_of(tmp_path / "out" / "cells")


def test_slides_that_are_gone_have_no_pictures_but_a_row(study, tmp_path):
    from workbench.slide.search_report import write_found

    index = index_of(study / "out")
    gone = TileIndex(
        index.vectors, index.corners, (replace(index.slides[0], source="gone.svs"), index.slides[1]), index.about
    )
    query = gone.query([0])
    write_found(tmp_path, gone, gone.similar(query, 5, slide=0), query, "Like it")
    assert "gone.svs" in (tmp_path / "gallery.html").read_text(encoding="utf-8")
    assert len((tmp_path / "hits.csv").read_text(encoding="utf-8").splitlines()) == 6


def test_names_in_files_lead_nowhere(study, tmp_path):
    from workbench.slide.search_report import write_found

    index = index_of(study / "out")
    for name in ("../../escape", "/tmp/absolute", "a" * 400, "<b>&"):
        slides = (replace(index.slides[0], name=name), index.slides[1])
        strange = TileIndex(index.vectors, index.corners, slides, index.about)
        query = strange.query([0])
        files, _ = write_found(tmp_path / "found", strange, strange.similar(query, 5, slide=0), query, "Like it")
        assert all(file.parent == tmp_path / "found" for file in files)
    assert "<b>&" not in (tmp_path / "found" / "gallery.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("key", "value"), [("name", 5), ("count", "x"), ("side", 1e12), ("source", 5), ("shape", [1, -2]), ("side", "x")]
)
def test_what_an_index_says_must_make_sense(two, tmp_path, key, value):
    two.save(tmp_path)
    said = json.loads((tmp_path / "index.json").read_text(encoding="utf-8"))
    said["slides"][0][key] = value
    (tmp_path / "index.json").write_text(json.dumps(said))
    with pytest.raises(InputError, match="index"):
        TileIndex.open(tmp_path)


def test_vectors_that_are_none_are_refused(two, tmp_path):
    two.save(tmp_path)
    for wrong in (two.vectors * 50, two.vectors * np.float16(np.nan)):
        np.save(tmp_path / "vectors.npy", wrong)
        with pytest.raises(InputError, match="belong together"):
            TileIndex.open(tmp_path)
    (tmp_path / "vectors.npy").write_bytes(b"")
    with pytest.raises(InputError, match="no index"):
        TileIndex.open(tmp_path)
    broken = tiles(10, 0)
    broken.features[3] = np.nan
    with pytest.raises(InputError, match="no numbers"):
        TileIndex.of([(broken, "", "a/embeddings.h5")])


def test_an_index_has_a_folder_of_its_own(study):
    with pytest.raises(UsageError, match="folder of its own"):
        index_of(study / "out").save(study / "out")


def test_tiles_far_apart_are_as_large_in_the_map_as_they_are():
    """Of a lattice whose step the file says, two tiles in columns 0 and 3 are no map of two pixels three tiles wide."""
    from workbench.slide.tile_grid import TileGrid

    facts = {"patch_size": 256, "patch_size_level0": 512, "overlap": 128}
    grid = TileGrid.of_facts([(100, 40), (868, 40)], facts)
    assert grid.step == (256, 256)
    assert grid.shape == (1, 4)
    assert grid.at.tolist() == [[0, 0], [0, 3]]
    assert TileGrid.of_facts([(100, 40)], facts).step == (256, 256)
