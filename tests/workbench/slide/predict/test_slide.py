from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import h5py
import numpy as np
import pytest
import tifffile
import torch

from tests.tiny import make_tiny_slide, make_tiny_slide_weights
from workbench import api
from workbench.cli import run as workbench
from workbench.core.errors import InputError, UsageError
from workbench.core.pieces import Pieces
from workbench.data import formats, write
from workbench.slide import stainnet
from workbench.slide.data.embedding_files import read_hdf5
from workbench.slide.data.heat_maps import read_map
from workbench.slide.data.tiles import Lattice
from workbench.slide.predict import slide as running
from workbench.slide.predict.parts import covered

WEIGHTS = "stainnet_small_weights_fp16.safetensors"


@pytest.fixture
def tiny(tmp_path):
    weights = make_tiny_slide_weights(tmp_path / "w.safetensors")
    return make_tiny_slide(tmp_path / "slide.ome.tif"), weights


def config(weights, **more):
    return stainnet.Config(**{"weights": str(weights), "device": "cpu", "tile": 64, "target_mpp": 1.0, **more})


def run(path, settings):
    model = stainnet.load(settings, torch.device("cpu"))
    return stainnet.predict(model, formats.read(path, hint="slide"), settings)


def test_tiles_lie_on_the_tissue_and_in_the_file(tiny):
    path, weights = tiny
    result = run(path, config(weights))
    part = result["embeddings"]
    assert len(part.data) > 10
    assert np.isfinite(part.data).all()
    pixels = tifffile.imread(path)
    for x, y in np.rint(part.places).astype(int):
        tile = pixels[y : y + 128, x : x + 128]
        assert (tile != 244).any(axis=2).mean() >= 0.45
    pixel_area = 0.5**2 * 1e-6
    truth = (pixels != 244).any(axis=2).sum() * pixel_area
    sizes = {r["class"]: r["area [mm2]"] for r in result["areas"].as_dicts()}
    assert sizes["tissue"] == pytest.approx(truth, rel=0.03)


def test_a_heat_map_lies_where_its_tiles_do(tiny):
    path, weights = tiny
    result = run(path, config(weights))
    heat = result["sharpness"]
    rows = [r[-1] for r in result["tiles"].rows]
    values = {tuple(np.rint(p)): s for p, s in zip(result["embeddings"].places, rows, strict=True)}
    inverse = np.linalg.inv(result.image.geometry.affine)
    for r, c in np.argwhere(np.isfinite(heat.data)):
        y, x = (inverse @ heat.geometry.affine @ [r, c, 1])[:2] + 0.5  # centre in pixels, from the corner
        assert values[tuple(np.rint([x - 64, y - 64]))] == pytest.approx(float(heat.data[r, c]), abs=0.01)


def test_what_is_written_is_what_was_found(tiny, tmp_path):
    path, weights = tiny
    result = run(path, config(weights, parquet=True, anndata=True))
    files = {f.name: f for f in write.write(result, tmp_path / "out", name="s")}
    stored = read_hdf5(files["embeddings.h5"])
    table = result["tiles"].as_dicts()
    assert [row["tile"] for row in table] == list(result["embeddings"].ids), "one name everywhere"
    np.testing.assert_array_equal(stored.features, result["embeddings"].data)
    np.testing.assert_array_equal(stored.coords, np.rint(result["embeddings"].places))
    with h5py.File(files["embeddings.h5"]) as file:
        about = dict(file["coords"].attrs)
        assert file["coords"].dtype == np.int64
    assert {"patch_size", "patch_size_level0", "level0_magnification", "target_magnification", "overlap", "name",
            "savetodir", "level0_width", "level0_height"} <= about.keys()  # fmt: skip
    assert (about["patch_size"], about["patch_size_level0"], about["overlap"]) == (64, 128, 0)
    assert (about["level0_magnification"], about["target_magnification"]) == (20, 10)
    data, geometry = read_map(files["sharpness.ome.tif"])
    np.testing.assert_array_equal(data, result["sharpness"].data)
    assert geometry.matches(result["sharpness"].geometry)
    import anndata
    from pyarrow import parquet

    cells = anndata.read_h5ad(files["embeddings.h5ad"])
    np.testing.assert_array_equal(cells.obsm["spatial"], stored.coords + 64)
    assert cells.obs_names.tolist() == [row["tile"] for row in result["tiles"].as_dicts()]
    for name in ("tissue share", "sharpness"):
        right = [row[name] for row in result["tiles"].as_dicts()]
        np.testing.assert_allclose(cells.obs[name], right, atol=0.01)
    table = parquet.read_table(files["embeddings.parquet"])
    np.testing.assert_array_equal(np.stack(table["embedding"].to_numpy()), stored.features)


def test_equal_runs_give_equal_bytes(tiny, tmp_path):
    path, weights = tiny
    for name in ("a", "b"):
        write.write(run(path, config(weights)), tmp_path / name, name="s")
    for file in ("embeddings.h5", "sharpness.ome.tif", "tissue.ome.tif", "tiles.csv"):
        assert (tmp_path / "a/s" / file).read_bytes() == (tmp_path / "b/s" / file).read_bytes(), file


def test_finished_pieces_are_not_done_again(tiny, tmp_path, monkeypatch):
    path, weights = tiny
    monkeypatch.setattr(running, "PIECE", 8)
    settings = config(weights)
    model, image = stainnet.load(settings, torch.device("cpu")), formats.read(path)

    class Stop(Exception):
        pass

    def stop(done, total):
        if done >= 20:
            raise Stop

    def pieces(made_of):
        return Pieces(tmp_path / "case", made_of)

    with pytest.raises(Stop):
        stainnet.predict(model, image, settings, stop, pieces)
    there = {p.name: p.read_bytes() for p in (tmp_path / "case").rglob("tiles-*.npz")}
    assert len(there) == 2
    seen = []
    counted = running._embed
    monkeypatch.setattr(running, "_embed", lambda *a: seen.append(len(a[5])) or counted(*a))
    again = stainnet.predict(model, image, settings, None, pieces)
    assert sum(seen) == len(again["embeddings"].data) - 16
    whole = stainnet.predict(model, image, settings)
    np.testing.assert_array_equal(again["embeddings"].data, whole["embeddings"].data)
    # Of other settings they are of no use.
    seen.clear()
    stainnet.predict(model, image, replace(settings, tissue=0.4), None, pieces)
    assert sum(seen) > 16


def test_pieces_of_other_outlines_in_the_same_file_are_of_no_use(tiny, tmp_path, monkeypatch):
    path, weights = tiny
    roi = tmp_path / "roi.geojson"
    settings = config(weights, roi=str(roi))
    model, image = stainnet.load(settings, torch.device("cpu")), formats.read(path)
    seen = []
    counted = running._embed
    monkeypatch.setattr(running, "_embed", lambda *a: seen.append(len(a[5])) or counted(*a))

    def draw(left):
        ring = [[left, 300], [left + 300, 300], [left + 300, 700], [left, 700], [left, 300]]
        roi.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))

    def go():
        seen.clear()
        found = stainnet.predict(model, image, settings, None, lambda made_of: Pieces(tmp_path / "case", made_of))
        return found["embeddings"].places, sum(seen)

    draw(200)
    places, done = go()
    assert done == len(places) > 0
    again, done = go()
    assert done == 0
    np.testing.assert_array_equal(again, places)
    draw(500)
    moved, done = go()
    assert done == len(moved) > 0
    assert moved[:, 0].min() > places[:, 0].min()


def test_a_run_killed_within_a_slide_goes_on(tiny, tmp_path):
    path, weights = tiny
    command = [
        sys.executable, "-c",
        "import sys, time; from workbench.slide.predict import slide\n"
        "slide.PIECE = 8; plain = slide._embed\n"
        "import os\nwait = float(os.environ['WAIT'])\n"
        "slide._embed = lambda *a: (time.sleep(wait), plain(*a))[1]\n"
        "from workbench.cli import main; main()",
        "predict", "stainnet", "-i", str(path), "-o", str(tmp_path / "out"), "--weights", str(weights),
        "--tile", "64", "--target-mpp", "1", "--device", "cpu",
    ]  # fmt: skip
    environment = {**os.environ, "WORKBENCH_HOME": str(tmp_path / "home")}
    process = subprocess.Popen(command, env={**environment, "WAIT": "0.5"}, stdout=subprocess.DEVNULL)
    folder = tmp_path / "out" / "slide"
    until = time.monotonic() + 60
    while len(list(folder.rglob("tiles-*.json"))) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {p.name: p.stat().st_mtime_ns for p in folder.rglob("tiles-*.npz")}
    assert len(done) >= 2
    assert not (folder / "provenance.json").exists()
    subprocess.run(command, env={**environment, "WAIT": "0"}, check=True, stdout=subprocess.DEVNULL)
    assert (folder / "provenance.json").exists()
    assert not list(folder.rglob("tiles-*.npz"))
    straight = run(path, config(weights))
    np.testing.assert_array_equal(read_hdf5(folder / "embeddings.h5").features, straight["embeddings"].data)


def test_only_tiles_in_the_outlines_are_taken(tiny, tmp_path):
    path, weights = tiny
    ring = [[200, 300], [600, 300], [600, 700], [200, 700], [200, 300]]
    roi = tmp_path / "roi.geojson"
    roi.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    places = run(path, config(weights, roi=str(roi), tissue=1.0))["embeddings"].places
    assert len(places) == 4  # whole tiles of 128 pixels in a square of 400 that begins at none of them
    assert places.min() >= 200
    assert (places + 128).max(axis=0).tolist() <= [600, 700]
    with pytest.raises(UsageError, match="no such file"):
        run(path, config(weights, roi=str(tmp_path / "none.geojson")))
    roi.write_text(
        json.dumps({"type": "Polygon", "coordinates": [[[9000, 9000], [9100, 9000], [9000, 9100], [9000, 9000]]]})
    )
    with pytest.raises(InputError, match="no outline of it lies on"):
        run(path, config(weights, roi=str(roi)))


def test_empty_glass_gives_no_tile_and_a_note(tmp_path):
    weights = make_tiny_slide_weights(tmp_path / "w.safetensors")
    path = tmp_path / "glass.ome.tif"
    about = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(path, np.full((512, 512, 3), 244, np.uint8), photometric="rgb", metadata=about)
    result = run(path, config(weights))
    assert result["embeddings"].data.shape == (0, 16)
    assert any("no tissue was found" in n for n in result.provenance.notes)
    files = {f.name: f for f in write.write(result, tmp_path / "out")}
    with h5py.File(files["embeddings.h5"]) as file:
        assert file["coords"].shape == (0, 2)
        assert file["features"].shape == (0, 16)


def test_fluorescence_is_refused_in_one_line(tmp_path):
    weights = make_tiny_slide_weights(tmp_path / "w.safetensors")
    rng = np.random.default_rng(0)
    pixels = np.zeros((512, 512, 3), np.uint8)
    pixels[100:300, 100:300, 2] = rng.integers(60, 255, (200, 200))
    about = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "f.ome.tif", pixels, photometric="rgb", metadata=about)
    with pytest.raises(InputError, match="as in fluorescence"):
        run(tmp_path / "f.ome.tif", config(weights))


def test_scales_that_cannot_be_are_refused_and_near_ones_are_said(tiny):
    path, weights = tiny
    with pytest.raises(UsageError, match="too coarse"):
        run(path, config(weights, target_mpp=0.4))
    notes = run(path, config(weights, target_mpp=0.49)).provenance.notes
    assert any("enlarged from 0.5 um (2.0 %)" in n for n in notes)
    notes = run(path, config(weights, target_mpp=0.4, allow_upsample=True)).provenance.notes
    assert any("enlarged" in n for n in notes)
    notes = run(path, config(weights, mpp=0.25)).provenance.notes
    assert any("0.25 um per pixel are used as given; the file states 0.5" in n for n in notes)


def test_a_damaged_tile_costs_that_tile(tiny, tmp_path):
    path, weights = tiny
    with tifffile.TiffFile(path) as file:
        place = file.series[0].levels[1].pages[0].dataoffsets[1]
    content = bytearray(path.read_bytes())
    content[place : place + 40] = b"\0" * 40
    path.write_bytes(content)
    result = run(path, config(weights))
    assert any("were read from another level" in n for n in result.provenance.notes)
    assert result.provenance.details["damaged"]


def test_what_tiles_cover_counts_once_where_they_overlap():
    rng = np.random.default_rng(0)
    for size, stride in ((64, 64), (64, 32), (60, 25), (40, 50)):
        tiles = Lattice((0.0, 0.0), 2.0, size, stride, (5, 7))
        numbers = np.flatnonzero(rng.random(35) < 0.4)
        canvas = np.zeros((600, 600), bool)
        for number in numbers:
            r, c = number // 7 * stride, number % 7 * stride
            canvas[r : r + size, c : c + size] = True
        assert covered(tiles, numbers) == canvas.sum() * 4


def test_checkpoints_that_do_not_say_how_tiles_are_prepared_are_said(tiny, shared_parity):
    path, weights = tiny
    assert not any("do not say" in n for n in run(path, config(weights)).provenance.notes)
    notes = run(path, config(shared_parity / WEIGHTS, target_mpp=2.0)).provenance.notes
    assert any("do not say how tiles must be prepared" in n and "6 attention heads" in n for n in notes)


def test_a_result_of_other_outlines_in_the_same_file_is_not_taken_for_complete(tiny, tmp_path, capsys):
    path, weights = tiny
    roi = tmp_path / "roi.geojson"

    def draw(left):
        ring = [[left, 300], [left + 300, 300], [left + 300, 700], [left, 700], [left, 300]]
        roi.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))

    def go(*more):
        command = ["predict", "stainnet", "-i", str(path), "-o", str(tmp_path / "out"), "--weights", str(weights)]
        options = ["--tile", "64", "--target-mpp", "1", "--device", "cpu", "--roi", str(roi)]
        code = workbench([*command, *options, *more])
        return code, capsys.readouterr().err

    draw(200)
    assert go()[0] == 0
    assert go()[1].count("already complete") == 1
    draw(500)
    code, said = go()
    assert code != 0
    assert "what the file of roi holds differ" in said
    assert go("--overwrite")[0] == 0
    assert read_hdf5(tmp_path / "out" / "slide" / "embeddings.h5").coords[:, 0].min() >= 450


def test_too_many_tiles_are_refused(tiny):
    path, weights = tiny
    with pytest.raises(UsageError, match="are scale and stride right"):
        run(path, config(weights, stride=1, most_tiles=1000))
    with pytest.raises(UsageError, match="is the scale right"):
        run(path, config(weights, most_tiles=10))


def test_svs_and_dicom_of_one_slide_agree(tmp_path, shared_data, shared_parity):
    folder, weights = (shared_data / "slide"), (shared_parity / WEIGHTS)
    settings = stainnet.Config(weights=str(weights), device="cpu", target_mpp=1.0)
    model = stainnet.load(settings, torch.device("cpu"))
    paths = [folder / "cmu-1-small-region.svs", sorted((folder / "cmu1_dicom").glob("*.dcm"))[2]]
    first, second = (stainnet.predict(model, formats.read(p), settings)["embeddings"] for p in paths)
    np.testing.assert_array_equal(first.places, second.places)
    a, b = (e.data / np.linalg.norm(e.data, axis=1, keepdims=True) for e in (first, second))
    assert (a * b).sum(axis=1).min() > 0.99


@pytest.mark.slow
def test_colours_by_the_profile_of_the_slide(shared_data, shared_parity):
    path, weights = (shared_data / "slide") / "cmu-1-small-region.svs", (shared_parity / WEIGHTS)
    settings = stainnet.Config(weights=str(weights), device="cpu", target_mpp=2.0, icc=True)
    notes = run(path, settings).provenance.notes
    assert [n for n in notes if "profile" in n]


def test_the_api_does_the_same(tiny):
    path, weights = tiny
    result = api.predict("stainnet", path, weights=str(weights), device="cpu", tile=64, target_mpp=1.0)
    assert set(result.parts) == {"embeddings", "tiles", "tissue", "sharpness", "areas", "structure"}
