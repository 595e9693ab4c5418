"""Clusters of tiles: planted groups are found, numbered, mapped in place and written for people."""

from __future__ import annotations

import csv
import json
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import workbench as wb
from tests.tiny import make_tiny_slide
from workbench.cli import run
from workbench.cli.clusters import clusters as command
from workbench.core.errors import InputError, UsageError
from workbench.slide import clusters as module
from workbench.slide.clusters import MOST_CLUSTERS, cluster_classes, clustered, counts_of, has_umap, plane_of
from workbench.slide.clusters_report import cluster_map, write_clusters
from workbench.slide.data.embedding_files import TileEmbeddings
from workbench.slide.data.heat_maps import read_labels
from workbench.slide.search import Indexed, TileIndex, index_of
from workbench.slide.tile_grid import TileGrid


def embedded(features, name="a", side=100, across=10):
    about = {"patch_size": 100, "patch_size_level0": side, "target_mpp": 0.5, "encoder": "e", "weights_sha256": "f",
             "name": name}  # fmt: skip
    rows, columns = np.divmod(np.arange(len(features)), across)
    return TileEmbeddings(np.asarray(features, np.float32), np.stack([columns, rows], 1) * side, about)


def planted(sizes, *, width=32, spread=0.05, seed=0):
    """Groups around directions of their own, mixed; and the group of each."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.normal(size=(width, len(sizes))))[0].T
    groups = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return centres[groups] + spread * rng.normal(size=(len(groups), width)), groups


def index_of_features(*features):
    return TileIndex.of([(embedded(f, n), "", f"{n}/embeddings.h5") for n, f in zip("abcdef", features, strict=False)])


# --- which tiles belong together


@pytest.mark.parametrize("sizes", [(60, 40), (120, 50, 30, 20), (70, 60, 50, 40, 30, 20, 10)])
def test_planted_groups_are_found_with_their_number(sizes):
    features, groups = planted(sizes)
    found = clustered(index_of_features(features))
    assert len(found) == len(sizes)
    assert adjusted_rand_score(groups, found.labels) > 0.95
    assert found.sizes == sorted(sizes, reverse=True)
    assert found.silhouette > 0.5
    best = max(found.tried, key=lambda one: one[1])
    assert best[0] == len(sizes)
    assert [k for k, _ in found.tried] == list(range(2, 13))


def test_clusters_are_those_of_the_whole_study():
    features, groups = planted((120, 90, 60))
    found = clustered(index_of_features(features[:100], features[100:]))
    assert adjusted_rand_score(groups, found.labels) > 0.95
    rows = counts_of(index_of_features(features[:100], features[100:]), found)
    for name, own in (("a", found.labels[:100]), ("b", found.labels[100:])):
        for _, cluster, count, share, area in [r for r in rows if r[0] == name]:
            assert count == np.count_nonzero(own == cluster)
            assert share == pytest.approx(count / len(own), abs=1e-4)
            assert area == pytest.approx(count * (100 * 0.5e-3) ** 2)
    assert sum(row[2] for row in rows) == 270


def test_the_largest_is_the_first_and_the_same_seed_says_the_same():
    features, _ = planted((20, 200, 80), spread=0.3, seed=3)
    index = index_of_features(features)
    found, again = clustered(index, 5, seed=7), clustered(index, 5, seed=7)
    assert found.sizes == sorted(found.sizes, reverse=True)
    assert found.tried == ()
    np.testing.assert_array_equal(found.labels, again.labels)
    np.testing.assert_array_equal(found.distance, again.distance)
    np.testing.assert_array_equal(plane_of(index).points, plane_of(index).points)


def test_the_distance_is_that_from_the_own_centre_which_is_the_nearest():
    features, _ = planted((50, 40, 30), spread=0.2)
    index = index_of_features(features)
    found = clustered(index, 3)
    away = np.linalg.norm(np.asarray(index.vectors, float)[:, None] - found.centres, axis=2)
    np.testing.assert_array_equal(found.labels, away.argmin(1) + 1)
    np.testing.assert_allclose(found.distance, away.min(1), atol=1e-5)
    first = found.typical(2, 4)
    assert (found.labels[first] == 2).all()
    assert found.distance[first].tolist() == sorted(found.distance[found.labels == 2])[:4]


def test_many_tiles_are_learnt_from_in_parts(monkeypatch):
    monkeypatch.setattr(module, "_MANY", 500)
    monkeypatch.setattr(module, "_LEARNT", 900)
    monkeypatch.setattr(module, "_ROWS", 128)
    monkeypatch.setattr(module, "_SAMPLE", 300)
    features, groups = planted((700, 400, 200, 100))
    found = clustered(index_of_features(features))
    assert adjusted_rand_score(groups, found.labels) > 0.95
    np.testing.assert_array_equal(found.labels, clustered(index_of_features(features)).labels)


def test_progress_is_told_and_can_stop_it():
    said = []
    clustered(index_of_features(planted((30, 20))[0]), progress=lambda done, whole: said.append((done, whole)))
    assert said == sorted(said)
    assert said[-1][0] == said[-1][1]

    def stop(_done, _whole):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clustered(index_of_features(planted((30, 20))[0]), progress=stop)


# --- what cannot be grouped


def test_fewer_tiles_than_clusters_are_refused():
    index = index_of_features(planted((3, 2))[0])
    with pytest.raises(UsageError, match=r"5 tile\(s\): 6 clusters"):
        clustered(index, 6)
    assert clustered(index, 5).sizes == [1, 1, 1, 1, 1]
    with pytest.raises(UsageError, match=r"2 tile\(s\): 2 clusters need at least 3"):
        clustered(index_of_features(planted((1, 1))[0]))
    for count in (1, -2, MOST_CLUSTERS + 1):
        with pytest.raises(UsageError, match="to 20 were expected"):
            clustered(index, count)


def test_tiles_that_are_all_alike_are_refused():
    same = np.ones((40, 16)) + 1e-5 * np.random.default_rng(0).normal(size=(40, 16))
    with pytest.raises(InputError, match="same embedding"):
        clustered(index_of_features(same))
    with pytest.raises(InputError, match="same embedding"):
        clustered(index_of_features(np.zeros((40, 16))), 2)
    three = np.eye(3, 16)[np.arange(40) % 3]
    with pytest.raises(UsageError, match="only 3 different"):
        clustered(index_of_features(three), 4)
    assert len(clustered(index_of_features(three))) == 3


def test_a_few_other_tiles_among_many_equal_ones_are_seen():
    features = np.ones((3000, 16))
    features[1234] = np.eye(1, 16)
    found = clustered(index_of_features(features), 2)
    assert found.sizes == [2999, 1]
    assert found.labels[1234] == 2


def test_what_is_no_number_is_refused():
    index = index_of_features(planted((20, 20))[0], planted((20, 20))[0])
    broken = np.array(index.vectors)
    broken[50, 3] = np.nan
    with pytest.raises(InputError, match=r"b/embeddings\.h5.*no numbers"):
        clustered(TileIndex(broken, index.corners, index.slides, index.about), 2)


# --- the plane


def test_the_plane_shows_what_it_says():
    rng = np.random.default_rng(0)
    base = np.zeros((200, 8))
    base[:, 0] = 10
    base[:, 1], base[:, 2], base[:, 3] = (s * rng.normal(size=200) for s in (2.0, 1.0, 0.2))
    index = index_of_features(base)
    plane = plane_of(index)
    unit = np.asarray(index.vectors, float)
    values = np.linalg.svd(unit - unit.mean(0), compute_uv=False) ** 2
    np.testing.assert_allclose(plane.explained, values[:2] / values.sum(), rtol=1e-6)
    assert abs(np.corrcoef(plane.points[:, 0], base[:, 1])[0, 1]) > 0.95
    assert abs(np.corrcoef(plane.points[:, 1], base[:, 2])[0, 1]) > 0.95
    assert plane_of(index_of_features(np.array([[1.0], [-1.0], [1.0]]))).points.shape == (3, 2)


def test_umap_is_used_where_it_is_installed(monkeypatch):
    index = index_of_features(planted((20, 20))[0])
    monkeypatch.setattr(module, "has_umap", lambda: False)
    with pytest.raises(UsageError, match="pip install umap-learn"):
        plane_of(index, "umap")
    with pytest.raises(UsageError, match="pca or umap"):
        plane_of(index, "tsne")

    class UMAP:
        def __init__(self, **asked):
            self.asked = asked

        def fit_transform(self, vectors):
            assert self.asked["random_state"] == 5
            assert self.asked["n_neighbors"] == 15
            return vectors[:, :2].astype(np.float64)

    monkeypatch.setattr(module, "has_umap", lambda: True)
    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=UMAP))
    plane = plane_of(index, "umap", seed=5)
    assert (plane.by, plane.explained) == ("umap", None)
    np.testing.assert_allclose(plane.points, np.asarray(index.vectors[:, :2], np.float32))


@pytest.mark.skipif(not has_umap(), reason="umap-learn is not installed")
@pytest.mark.filterwarnings("ignore")
def test_real_umap_keeps_groups_together():
    features, groups = planted((40, 30))
    points = plane_of(index_of_features(features), "umap").points
    middles = np.array([points[groups == g].mean(0) for g in (0, 1)])
    assert (np.linalg.norm(points[:, None] - middles, axis=2).argmin(1) == groups).mean() > 0.95
    assert plane_of(index_of_features(features[:4]), "umap").points.shape == (4, 2)


# --- maps


def test_colours_are_told_apart_and_read_on_dark_and_light():
    from workbench_napari.shared.theme import contrast

    colors = [c.color for c in cluster_classes(MOST_CLUSTERS)]
    for color in colors:
        assert min(contrast(color, back) for back in ("#1f222a", "#e8e8e8", "#ffffff")) > 2, color
    apart = [np.abs(np.subtract(one, other)).sum() for n, one in enumerate(colors) for other in colors[:n]]
    assert min(apart) > 50


def middle_pixels(image, side, corners, geometry):
    """(row, column) of the map below the middle of each tile."""
    middles = np.asarray(corners, float)[:, ::-1] + side / 2 - 0.5
    world = (image.geometry.affine @ np.column_stack([middles, np.ones(len(middles))]).T)[:2]
    return (np.linalg.inv(geometry.affine) @ np.vstack([world, np.ones(len(middles))]))[:2].T


@pytest.mark.parametrize("side", [37.4, 64, 101.7])
@pytest.mark.parametrize("stride", [1.0, 0.5, 0.77])
def test_each_tile_has_its_cluster_in_its_place(tmp_path, side, stride):
    image = wb.read(make_tiny_slide(tmp_path / "s.ome.tif"), kind="slide")
    rng = np.random.default_rng(int(side))
    rows, columns = np.mgrid[:7, :11]
    inside = rng.random(rows.shape) < 0.6
    at = np.stack([columns[inside], rows[inside]], 1)
    corners = np.rint(at * side * stride + (33, 21)).astype(np.float32)
    labels = rng.integers(1, 4, len(corners))
    found = clustered(index_of_features(planted((20, 20))[0]), 3)
    own = Indexed("s", "", 0, len(corners), float(round(side)), image.geometry.shape[:2], "")
    part = cluster_map(image, own, corners, labels, found)
    assert np.count_nonzero(part.data) == len(corners)
    places = middle_pixels(image, own.side, corners, part.geometry)
    assert np.abs(places - np.rint(places)).max() < 0.2
    np.testing.assert_array_equal(part.data[tuple(np.rint(places).astype(int).T)], labels)
    assert part.classes.names == ("cluster 1", "cluster 2", "cluster 3")


def test_tiles_that_lie_in_no_lattice_have_several_pixels(tmp_path):
    image = wb.read(make_tiny_slide(tmp_path / "s.ome.tif"), kind="slide")
    corners = np.array([(10, 10), (111, 13), (430, 207), (503, 207), (17, 333)], np.float32)
    grid = TileGrid.of(corners, 64.0)
    assert grid.pixels == 4
    data = grid.painted([1, 2, 3, 4, 5], np.zeros(grid.shape, np.uint8))
    assert np.bincount(data.ravel())[1:].tolist() == [16] * 5
    places = np.rint(middle_pixels(image, 64, corners, grid.geometry(image))).astype(int)
    assert data[tuple(places.T)].tolist() == [1, 2, 3, 4, 5]
    assert grid.area == 64**2
    assert TileGrid.of([(0, 0), (32, 0), (64, 32)], 64.0).area == 32**2
    assert TileGrid.of([(0, 0), (640, 0), (1280, 640)], 64.0).area == 64**2
    with pytest.raises(InputError, match="too large"):
        TileGrid.of([(0, 0), (1e9 + 3, 1e9), (7, 9)], 64.0)
    with pytest.raises(InputError, match="no tiles"):
        TileGrid.of(np.zeros((0, 2)), 64.0)


@pytest.mark.parametrize(
    ("side", "step", "across"), [(64, 64, 5), (64, 32, 5), (64, 96, 5), (37, 37, 400), (37, 37, 3000)]
)
def test_frames_lie_around_their_tiles(tmp_path, side, step, across):
    image = wb.read(make_tiny_slide(tmp_path / "s.ome.tif"), kind="slide")
    corners = np.array([(x * step + 11, y * step + 7) for y in (0, 1, 2) for x in (0, 1, 2, across)], np.float32)
    grid = TileGrid.of(corners, float(side))
    for tiles in ([5], [0, 11]):
        part = grid.frames(tiles, image)
        assert set(np.unique(part.data)) <= {0, 1, 2}
        seen = np.zeros(part.data.shape, bool)
        pixel = np.abs(np.diag(part.geometry.affine)[:2] / np.diag(image.geometry.affine)[:2])
        for number in tiles:
            x, y = corners[number]
            ends = np.array([(y, x), (y + side, x + side)]) - 0.5
            world = (image.geometry.affine @ np.column_stack([ends, [1, 1]]).T)[:2]
            low, high = (np.linalg.inv(part.geometry.affine) @ np.vstack([world, [1, 1]]))[:2].T + 0.5
            box = tuple(slice(max(0, round(a)), round(b)) for a, b in zip(low, high, strict=True))
            assert part.data[box].any()
            seen[tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)] = True
            assert pixel.max() <= side
        assert not part.data[~seen].any(), "beside its tile nothing is drawn"
    assert not grid.frames([], image).data.any()


# --- the shell


def read_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_from_results_to_maps_and_a_page(study, tmp_path, capsys):
    out, folder = study / "out", tmp_path / "groups"
    assert run(["clusters", "-i", str(out), "-n", "3", "-o", str(folder), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    index = index_of(out)
    assert sum(said["sizes"]) == len(index)
    assert said["clusters"] == 3
    assert said["plane"]["by"] == "pca"
    rows = read_rows(folder / "tiles.csv")
    assert list(rows[0]) == ["slide", "x", "y", "cluster", "distance", "u", "v"]
    assert [(float(r["x"]), float(r["y"])) for r in rows] == [tuple(c) for c in index.corners.tolist()]
    labels = np.array([int(r["cluster"]) for r in rows])
    assert np.bincount(labels)[1:].tolist() == said["sizes"]
    counts = read_rows(folder / "counts.csv")
    assert {(r["slide"], int(r["cluster"])): int(r["tiles"]) for r in counts} == {
        (s.name, k): int((labels[s.first : s.first + s.count] == k).sum()) for s in index.slides for k in (1, 2, 3)
    }
    assert float(counts[0]["area [mm2]"]) == pytest.approx(int(counts[0]["tiles"]) * 0.032**2, abs=1e-6)
    for slide in index.slides:
        part = read_labels(folder / f"{slide.name}_clusters.ome.tif")
        assert part.classes == cluster_classes(3)
        own = slice(slide.first, slide.first + slide.count)
        places = middle_pixels(wb.read(slide.source, kind="slide"), slide.side, index.corners[own], part.geometry)
        np.testing.assert_array_equal(part.data[tuple(np.rint(places).astype(int).T)], labels[own])
    page = (folder / "clusters.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 4, "all tiles, and typical ones of each cluster"
    assert "http" not in page.replace("http-equiv", "")
    assert {p.name for p in folder.iterdir() if not p.name.startswith(".")} == {
        "tiles.csv", "counts.csv", "clusters.html", "clusters.json", "slide-0_clusters.ome.tif",
        "slide-1_clusters.ome.tif",
    }  # fmt: skip


def test_a_map_opens_with_names_and_colours(study, tmp_path):
    folder = tmp_path / "groups"
    assert run(["clusters", "-i", str(study / "out"), "-o", str(folder), "-q"]) == 0
    import tifffile

    with tifffile.TiffFile(folder / "slide-0_clusters.ome.tif") as file:
        assert file.is_ome
        assert file.series[0].dtype == np.uint8
        assert "cluster 1" in file.ome_metadata
        assert "PhysicalSizeX" in file.ome_metadata


def test_what_lies_in_the_way_is_not_written_over(study, tmp_path, capsys):
    own = study / "out" / "slide-0"
    before = (own / "tiles.csv").read_bytes()
    assert run(["clusters", "-i", str(study / "out"), "-o", str(own)]) == 2
    assert "holds results" in capsys.readouterr().err
    assert (own / "tiles.csv").read_bytes() == before
    (tmp_path / "file").write_text("mine")
    assert run(["clusters", "-i", str(study / "out"), "-o", str(tmp_path / "file")]) == 2


def test_what_cannot_be_done_is_said_in_a_line(study, tmp_path, capsys, monkeypatch):
    assert run(["clusters", "-i", str(tmp_path), "-o", str(tmp_path / "o")]) == 4
    assert "predict stainnet" in capsys.readouterr().err
    monkeypatch.setattr(module, "has_umap", lambda: False)
    assert run(["clusters", "-i", str(study / "out"), "-o", str(tmp_path / "o"), "--by", "umap"]) == 2
    assert "pip install umap-learn" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
    option = next(p for p in command.params if p.name == "count")
    assert option.type.max == MOST_CLUSTERS


def test_names_lead_nowhere_and_equal_ones_are_kept_apart(study, tmp_path):
    index = index_of(study / "out")
    for name in ("../../escape", "/tmp/absolute", "a" * 400, "<b>&"):
        slides = (replace(index.slides[0], name=name), replace(index.slides[1], name=name))
        strange = TileIndex(index.vectors, index.corners, slides, index.about)
        folder = tmp_path / "found"
        files, _ = write_clusters(folder, strange, clustered(strange, 2), plane_of(strange), "All")
        assert all(file.parent == folder for file in files)
        assert len(set(files)) == 6
    assert "<b>&" not in (folder / "clusters.html").read_text(encoding="utf-8")


def test_other_clusters_take_the_place_of_those_before(study, tmp_path):
    """A map of clusters that the new tables do not know is none that may lie beside them; files of others stay."""
    folder = tmp_path / "groups"
    both = index_of(study / "out")
    write_clusters(folder, both, clustered(both, 3), plane_of(both), "All")
    (folder / "mine_clusters.ome.tif").write_bytes(b"mine")
    record = json.loads((folder / "clusters.json").read_text(encoding="utf-8"))
    assert record["clusters"] == 3
    assert [s["name"] for s in record["slides"]] == ["slide-0", "slide-1"]
    assert record["embeddings"]["weights_sha256"]
    record["files"].append("../outside_clusters.ome.tif")
    (tmp_path / "outside_clusters.ome.tif").write_bytes(b"not yours")
    (folder / "clusters.json").write_text(json.dumps(record), encoding="utf-8")
    one = index_of(study / "out" / "slide-1")
    files, _ = write_clusters(folder, one, clustered(one, 2), plane_of(one), "All")
    assert {p.name for p in folder.iterdir() if not p.name.startswith(".")} == {
        "mine_clusters.ome.tif", *(p.name for p in files)}  # fmt: skip
    assert not (folder / "slide-0_clusters.ome.tif").exists()
    assert (tmp_path / "outside_clusters.ome.tif").read_bytes() == b"not yours"


def test_slides_that_are_gone_are_told(study, tmp_path):
    index = index_of(study / "out")
    slides = (replace(index.slides[0], source="gone.svs"), index.slides[1])
    gone = TileIndex(index.vectors, index.corners, slides, index.about | {"target_mpp": None})
    files, notes = write_clusters(tmp_path / "f", gone, clustered(gone, 2), plane_of(gone), "All")
    assert "gone.svs" in " ".join(notes)
    assert [f.name for f in files if f.suffix == ".tif"] == ["slide-1_clusters.ome.tif"]
    assert len(read_rows(tmp_path / "f" / "tiles.csv")) == len(gone)
    assert {r["area [mm2]"] for r in read_rows(tmp_path / "f" / "counts.csv")} == {""}
