from __future__ import annotations

import builtins

import h5py
import numpy as np
import pytest

from workbench.core.errors import InputError, MissingExtra
from workbench.core.types import Embeddings
from workbench.slide.data.embedding_files import (
    TileEmbeddings,
    read_hdf5,
    side_of,
    write_h5ad,
    write_hdf5,
    write_parquet,
)
from workbench.slide.tile_grid import TileGrid

FACTS = {
    "patch_size": 256, "patch_size_level0": 512, "overlap": 32, "level0_magnification": 40.0,
    "target_magnification": 20.0, "name": "a slide", "level0_width": 9000, "level0_height": 7000, "mpp_x": 0.25,
    "mpp_y": 0.2501, "target_mpp": 0.5, "encoder": "stainnet-small", "weights_sha256": "ab" * 32, "version": "1",
    "level0_magnification_source": "objective",
}  # fmt: skip


def made(count=2500, width=24, dtype=np.float32):
    rng = np.random.default_rng(0)
    coords = rng.integers(0, 9000, (count, 2)).astype(np.int64)
    scores = {"sharpness": rng.random(count)}
    return TileEmbeddings(rng.normal(size=(count, width)).astype(dtype), coords, FACTS, (), scores)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_hdf5_as_trident_and_clam_have_it(tmp_path, dtype):
    tiles = made(dtype=dtype)
    write_hdf5(tmp_path / "a.h5", tiles)
    with h5py.File(tmp_path / "a.h5") as file:
        assert sorted(file) == ["coords", "features"]
        assert (file["features"].dtype, file["coords"].dtype) == (dtype, np.int64)
        assert file["features"].compression is None
        np.testing.assert_array_equal(file["features"][:], tiles.features)
        np.testing.assert_array_equal(file["coords"][:], tiles.coords)
        about = dict(file["coords"].attrs)
        assert dict(file["features"].attrs) == {
            "name": "a slide", "savetodir": "a slide", "encoder": "stainnet-small", "weights_sha256": "ab" * 32,
            "version": "1",
        }  # fmt: skip
    asked = {"patch_size": 256, "patch_size_level0": 512, "level0_magnification": 40, "target_magnification": 20,
             "overlap": 32, "name": "a slide", "savetodir": "a slide", "level0_width": 9000, "level0_height": 7000,
             "level0_magnification_source": "objective"}  # fmt: skip
    assert {k: about[k] for k in asked} == asked
    again = read_hdf5(tmp_path / "a.h5")
    np.testing.assert_array_equal(again.features, tiles.features)
    np.testing.assert_array_equal(again.coords, tiles.coords)
    assert FACTS.items() <= again.facts.items()


def test_equal_embeddings_are_equal_bytes(tmp_path):
    for name in "ab":
        write_hdf5(tmp_path / f"{name}.h5", made())
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_places_between_pixels_go_to_the_nearest():
    places = np.array([(128.6, 0.4), (128.4, 7000.51), (-0.3, 255.9999999)])
    found = TileEmbeddings.of(Embeddings(np.zeros((3, 4), np.float32), ("a", "b", "c"), places=places))
    assert found.coords.tolist() == [[129, 0], [128, 7001], [0, 256]]
    assert found.coords.dtype == np.int64


@pytest.mark.parametrize("mpp", [0.499, 0.2498, 0.5])
def test_the_side_of_a_tile_is_what_was_cut_not_a_whole_number(mpp):
    facts = {"patch_size": 128, "target_mpp": 0.5, "mpp_x": mpp, "mpp_y": mpp, "overlap": 0}
    exact = 128 * 0.5 / mpp
    facts["patch_size_level0"] = round(exact)
    assert side_of(facts) == pytest.approx(exact)
    # Tiles beside each other stand for as much as the table of tiles says.
    corners = np.stack(np.meshgrid(np.arange(6), np.arange(5)), -1).reshape(-1, 2) * exact
    grid = TileGrid.of_facts(np.rint(corners), facts)
    assert grid.area * mpp**2 == pytest.approx(64.0**2)
    assert grid.shape == (5, 6)


def test_a_side_that_a_file_says_against_its_scale_stays_its_own():
    assert side_of({"patch_size": 256, "patch_size_level0": 512, "target_mpp": 0.5, "mpp_x": 0.5, "mpp_y": 0.5}) == 512
    assert side_of({"patch_size_level0": 300}) == 300
    assert side_of({}) == 0


def test_a_slide_without_tiles(tmp_path):
    none = TileEmbeddings(np.zeros((0, 24), np.float32), np.zeros((0, 2), np.int64), FACTS)
    write_hdf5(tmp_path / "a.h5", none)
    write_parquet(tmp_path / "a.parquet", none)
    again = read_hdf5(tmp_path / "a.h5")
    assert (again.features.shape, again.coords.shape, again.coords.dtype) == ((0, 24), (0, 2), np.int64)


def test_the_layout_of_clam(tmp_path):
    tiles = made(7)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["features"] = tiles.features[None]
        file["coords"] = tiles.coords.astype(np.int32)
        file["coords"].attrs.update({"patch_size": 256, "patch_level": 1, "name": np.bytes_("a slide")})
    again = read_hdf5(tmp_path / "a.h5")
    np.testing.assert_array_equal(again.features, tiles.features)
    assert again.coords.dtype == np.int64
    assert again.facts == {"patch_size": 256, "patch_level": 1, "name": "a slide"}


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"coords": np.zeros((3, 2), int)}, "has no features; it holds coords"),
        ({"features": np.zeros((3, 4))}, "has no coords; it holds features"),
        ({"masks": np.zeros(3)}, "has no features and no coords; it holds masks"),
        ({"features": np.zeros((3, 4)), "coords": np.zeros((2, 2), int)}, "one row of real numbers"),
        ({"features": np.zeros((2, 3, 4)), "coords": np.zeros((3, 2), int)}, "one row of real numbers"),
        ({"features": np.zeros((3, 4), int), "coords": np.zeros((3, 2), int)}, "one row of real numbers"),
        ({"features": np.zeros((3, 4)), "coords": np.zeros((3, 2))}, "one \\(x, y\\) of whole numbers"),
    ],
)
def test_what_is_missing_is_named(tmp_path, arrays, words):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for key, values in arrays.items():
            file[key] = values
    with pytest.raises(InputError, match=words) as caught:
        read_hdf5(tmp_path / "a.h5")
    assert "\n" not in str(caught.value)
    assert "a.h5" in str(caught.value)


def test_files_that_promise_more_or_point_elsewhere_are_refused(tmp_path):
    with h5py.File(tmp_path / "large.h5", "w") as file:
        file.create_dataset("features", (10**9, 384), np.float32, chunks=(64, 384))
        file.create_dataset("coords", (10**9, 2), np.int64, chunks=(64, 2))
    with pytest.raises(InputError, match="promises 1536000000000 bytes and the file holds 0"):
        read_hdf5(tmp_path / "large.h5")
    write_hdf5(tmp_path / "other.h5", made(5))
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        for key in ("features", "coords"):
            file[key] = h5py.ExternalLink("other.h5", key)
    with pytest.raises(InputError, match="has no features and no coords"):
        read_hdf5(tmp_path / "linked.h5")
    (tmp_path / "raw.bin").write_bytes(bytes(96))
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.create_dataset("features", (6, 4), np.float32, external=[(tmp_path / "raw.bin", 0, 96)])
        file["coords"] = np.zeros((6, 2), int)
    with pytest.raises(InputError, match="lie in other files"):
        read_hdf5(tmp_path / "raw.h5")


def test_damaged_files(tmp_path):
    write_hdf5(tmp_path / "a.h5", made(50))
    good = (tmp_path / "a.h5").read_bytes()
    for content in (b"", b"nothing", good[:100], good[: len(good) // 2]):
        (tmp_path / "b.h5").write_bytes(content)
        with pytest.raises(InputError, match=r"b\.h5"):
            read_hdf5(tmp_path / "b.h5")


def test_parquet(tmp_path):
    import pyarrow as arrow
    from pyarrow import parquet

    tiles = made(9)
    write_parquet(tmp_path / "a.parquet", tiles)
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.column_names == ["x", "y", "x_um", "y_um", "sharpness", "embedding"]
    assert table.schema.field("embedding").type == arrow.list_(arrow.float32(), 24)
    assert table.schema.field("x").type == arrow.int64()
    np.testing.assert_array_equal(np.stack(table["embedding"].to_numpy()), tiles.features)
    np.testing.assert_allclose(table["y_um"].to_numpy(), tiles.coords[:, 1] * 0.2501)
    assert table.schema.metadata[b"encoder"] == b"stainnet-small"


def test_anndata(tmp_path):
    import anndata

    tiles = made(9)
    write_h5ad(tmp_path / "a.h5ad", tiles)
    cells = anndata.read_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(cells.X, tiles.features)
    np.testing.assert_array_equal(cells.obsm["spatial"], tiles.coords + 256)
    np.testing.assert_array_equal(cells.obs["x"], tiles.coords[:, 0])
    np.testing.assert_array_equal(cells.obs["sharpness"], tiles.scores["sharpness"])
    assert cells.uns["spatial"]["a slide"]["scalefactors"]["spot_diameter_fullres"] == 512
    assert cells.uns["workbench"]["encoder"] == "stainnet-small"


@pytest.mark.parametrize(("write", "module"), [(write_parquet, "pyarrow"), (write_h5ad, "anndata")])
def test_without_the_extra_one_line_says_how_to_get_it(tmp_path, monkeypatch, write, module):
    own = builtins.__import__

    def without(name, *rest, **more):
        if name.partition(".")[0] == module:
            raise ImportError(name)
        return own(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"napari-workbench\[slides\]"):
        write(tmp_path / "a", made(3))
