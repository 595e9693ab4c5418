"""A slide from its tissue to its nuclei: places, regions, pieces, and what cannot be right."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
import tifffile
import torch

from tests.drawn_nuclei import drawn_maps
from workbench import weights as stored
from workbench.core.errors import InputError, UsageError, WeightsError
from workbench.data import formats, write
from workbench.slide import cellvta
from workbench.slide.net.cellvta import CellVTA, Maps
from workbench.slide.predict import cell_parts as parts
from workbench.slide.predict import cells as running
from workbench.slide.predict.cell_weights import PUBLISHED

TINY = {"image_size": 64, "patch_size": 16, "dim": 32, "depth": 4, "num_heads": 4, "init_values": 0.1, "inner": 8,
        "deform_heads": 4, "widths": (8, 8, 16, 16), "num_classes": 4}  # fmt: skip
CLASSES = [{"value": i, "name": n, "color": [40 * i, 90, 200]} for i, n in enumerate(("tumor", "stroma", "other"), 1)]
MPP, SIZE = 0.5, (760, 1000)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    net = CellVTA(**TINY)
    meta = {"backend": "cellvta", "net": dict(net.config), "recipe": {"mpp": MPP}, "classes": CLASSES, "kind": "full"}
    return stored.save(tmp_path_factory.mktemp("w") / "w.safetensors", net.state_dict(), meta)


@pytest.fixture(scope="module")
def plane():
    return drawn_maps(SIZE, 24.0)


@pytest.fixture(scope="module")
def slide(plane, tmp_path_factory):
    """Drawn nuclei, their distances and classes in the colours: what a network that is never wrong would read."""
    nuclei, hv, types, _ = plane
    pixels = np.full((*SIZE, 3), (225, 190, 215), np.uint8)
    pixels[nuclei, 0] = 10 + 40 * types[nuclei]
    for axis in range(2):
        pixels[nuclei, 1 + axis] = np.clip(96 + 60 * hv[axis][nuclei], 0, 180)
    path = tmp_path_factory.mktemp("s") / "section.ome.tif"
    about = {"axes": "YXS", "PhysicalSizeX": MPP, "PhysicalSizeY": MPP, "PhysicalSizeXUnit": "µm",
             "PhysicalSizeYUnit": "µm"}  # fmt: skip
    tifffile.imwrite(path, pixels, ome=True, photometric="rgb", tile=(256, 256), metadata=about)
    return path


class Reading(torch.nn.Module):
    """Reads the maps out of the colours of such a slide."""

    def forward(self, x):
        red, green, blue = ((x[:, i] + 1) * 127.5 for i in range(3))
        is_one = (red < 180).float()
        nuclei = torch.stack([1 - is_one, is_one], 1) * 10
        hv = torch.stack([(green - 96) / 60, (blue - 96) / 60], 1) * is_one[:, None]
        kind = ((red - 10) / 40).round().clamp(0, 3) * is_one
        types = 10 * torch.nn.functional.one_hot(kind.long(), 4).permute(0, 3, 1, 2).float()
        tokens = torch.nn.functional.avg_pool2d(torch.stack([is_one, red / 255], 1), 16)
        return Maps(nuclei, hv, types, tokens)


@pytest.fixture
def run(weights):
    def start(path, progress=None, pieces=None, net=None, **more):
        config = cellvta.Config(**{"weights": str(weights), "device": "cpu", "tissue": False, **more})
        model = cellvta.load(config, torch.device("cpu"))
        from dataclasses import replace

        model = replace(model, net=net or Reading())
        return cellvta.predict(model, formats.read(path, kind="slide"), config, progress, pieces)

    return start


def test_a_nucleus_that_the_maps_tear_is_found_once_and_it_is_said(run, tmp_path):
    pixels = np.full((600, 600, 3), (225, 190, 215), np.uint8)
    rows, columns = np.mgrid[:600, :600]
    for y, x in ((300, 300), (200, 200)):
        inside = np.hypot(rows - y, columns - x) < 10
        pixels[inside, 0] = 50
        for axis, own in enumerate((columns - x, rows - y)):
            pixels[inside, 1 + axis] = (96 + 60 * own / 10)[inside]
    pixels[180:220, 201] = (225, 190, 215)  # a line through one of them
    path, unit = tmp_path / "torn.ome.tif", "µm"
    about = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25, "PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(path, pixels, ome=True, photometric="rgb", metadata={"axes": "YXS", **about})
    exact, found = run(path, normalise="exact", target_mpp=0.25), run(path, target_mpp=0.25)
    assert len(exact["nuclei"]) == 3, "as published"
    assert len(found["nuclei"]) == 2
    assert found["nuclei"].measurements["area [um2]"].max() == pytest.approx(np.pi * 2.5**2, rel=0.03)
    said = "1 pieces with their centre less than 3 um from that of a larger nucleus"
    assert any(n.startswith(said) for n in found.provenance.notes)
    assert not any("pieces with their centre" in n for n in exact.provenance.notes)


def test_every_nucleus_lies_where_it_was_drawn_with_its_class(run, slide, plane, monkeypatch):
    monkeypatch.setattr(parts, "_AT_ONCE", 100)
    nuclei, _, types, number = plane
    seen = []
    result = run(slide, lambda done, total: seen.append((done, total)))
    found = result["nuclei"]
    assert 0.93 * number <= len(found) <= 1.02 * number
    assert seen[0][0] == 0
    assert seen[-1][0] == seen[-1][1] == 6
    assert [d for d, _ in seen] == sorted(d for d, _ in seen)
    polygons = [shapely.Polygon(found.polygon(i)[0][0]) for i in range(len(found))]
    assert shapely.is_valid(polygons).all()
    assert shapely.STRtree(polygons).query(polygons, predicate="overlaps").shape[1] == 0
    mask = np.zeros(SIZE, bool)
    for polygon, value in zip(polygons, found.class_values, strict=True):
        x, y = (int(v) for v in polygon.representative_point().coords[0])
        assert nuclei[y, x]
        mask[y, x] = True
        left, top, right, bottom = (int(v) for v in polygon.bounds)
        own = types[top:bottom, left:right][nuclei[top:bottom, left:right]]
        assert value in own
    assert sum(p.area for p in polygons) == pytest.approx(nuclei.sum(), rel=0.02)
    areas = found.measurements["area [um2]"]
    assert areas[7] == pytest.approx((polygons[7].area + 0.5) * MPP**2, rel=1e-5)
    assert len(found) > 2 * parts._AT_ONCE
    assert found.measurements["perimeter [um]"] == pytest.approx([MPP * p.length for p in polygons], rel=1e-5)
    rows = {row["class"]: row for row in result["counts"].as_dicts()}
    assert rows["all nuclei"]["nuclei"] == len(found)
    assert sum(rows[n]["nuclei"] for n in ("tumor", "stroma", "other")) == len(found)
    area = SIZE[0] * SIZE[1] * MPP**2 * 1e-6
    assert rows["all nuclei"]["density [1/mm2]"] == pytest.approx(len(found) / area, rel=1e-3)
    density = result["density"]
    high, wide = (
        np.diff(np.minimum(np.arange(n + 1) * 64, s * MPP)) for n, s in zip(density.data.shape, SIZE, strict=True)
    )
    assert np.nansum(density.data * np.outer(high, wide)) * 1e-6 == pytest.approx(len(found))
    step, first = density.geometry.affine[0, 0], density.geometry.affine[0, 2]
    assert (step, first) == pytest.approx((64, 32 - 0.25))


class Moody(Reading):
    """Leaves out nuclei of one class by what lies in the first column: what it says depends on what else it sees."""

    def forward(self, x):
        maps = super().forward(x)
        is_dark = ((x[:, 0, :, 0].mean(1) * 1000).long() % 2 == 0)[:, None, None] & (x[:, 0] < -0.4)
        maps.nuclei[:, 1][is_dark] = -20
        return maps


@pytest.mark.parametrize(("net", "most"), [(Reading, 0.005), (Moody, 0.005)])
@pytest.mark.parametrize("tile", [600, pytest.param(1200, marks=pytest.mark.slow)])
def test_other_tiles_change_next_to_nothing(run, slide, tile, net, most):
    right, other = run(slide, net=net())["nuclei"], run(slide, net=net(), tile=tile)["nuclei"]
    a = {right.polygon(i)[0][0].tobytes() for i in range(len(right))}
    b = {other.polygon(i)[0][0].tobytes() for i in range(len(other))}
    assert len(a ^ b) <= most * len(a | b)


def test_what_a_network_says_of_a_window_depends_on_the_window(run, slide):
    """Otherwise the test above would show nothing."""
    assert 10 < len(run(slide, net=Moody())["nuclei"]) < len(run(slide)["nuclei"]) - 10


def test_a_region_does_not_change_what_is_found_in_it(run, slide, tmp_path):
    region = tmp_path / "roi.geojson"
    box = [[[210, 130], [700, 130], [700, 600], [210, 600], [210, 130]]]
    region.write_text(json.dumps({"type": "Polygon", "coordinates": box}))
    whole, part = run(slide, net=Moody())["nuclei"], run(slide, net=Moody(), roi=str(region))["nuclei"]
    inside = [whole.polygon(i)[0][0].tobytes() for i, (x, y) in enumerate(whole.centroids())
              if 210 < x < 700 and 130 < y < 600]  # fmt: skip
    found = {part.polygon(i)[0][0].tobytes() for i in range(len(part))}
    assert len(found ^ set(inside)) <= 0.02 * len(inside)


def test_beyond_the_edge_the_slide_is_mirrored_and_has_no_nuclei(run, slide):
    """White beside tissue is nothing that a network learnt; and a mirror image is no second nucleus."""
    seen = []

    class Looking(Reading):
        def forward(self, x):
            seen.append(x)
            return super().forward(x)

    found = run(slide, net=Looking())["nuclei"]
    pixels = tifffile.imread(slide)
    margin = running.MARGIN
    # Several lanes look at once: the window in the corner is one of them, not always the first.
    windows = [((x + 1) * 127.5).permute(1, 2, 0).round().byte().numpy() for batch in seen for x in batch]
    corner = pixels[: 512 - margin, : 512 - margin]
    (first,) = [w for w in windows if np.array_equal(w[margin:, margin:], corner)]
    np.testing.assert_array_equal(first[:margin, margin:], pixels[:margin, : 512 - margin][::-1])
    low, high = found.coordinates.min(0), found.coordinates.max(0)
    assert (low >= 0).all()
    assert (high <= (SIZE[1], SIZE[0])).all()


def test_distance_to_the_border_of_the_region(run, slide, tmp_path):
    region = tmp_path / "roi.geojson"
    outer = [[200, 100], [700, 100], [700, 600], [200, 600], [200, 100]]
    hole = [[400, 300], [500, 300], [500, 400], [400, 400], [400, 300]]
    region.write_text(json.dumps({"type": "Polygon", "coordinates": [outer, hole]}))
    found = run(slide, roi=str(region))["nuclei"]
    away = found.measurements["distance to border of region [um]"]
    border = shapely.Polygon(outer, [hole]).boundary
    right = [border.distance(shapely.Point(p)) * MPP for p in found.centroids()]
    np.testing.assert_allclose(away, right, atol=0.3)  # centroids of outlines, not of pixels
    assert away.max() > 30
    assert "distance to border of region [um]" not in run(slide)["nuclei"].measurements


def test_neighbours_are_counted_in_micrometres(run, slide):
    found = run(slide, near=15.0)["nuclei"]
    centres = found.centroids() * MPP
    name = next(k for k in found.measurements if k.startswith("neighbours"))
    assert name == "neighbours within 15 um"
    away = np.hypot(*(centres[200] - centres).T)
    assert abs(int(found.measurements[name][200]) - int((away <= 15).sum() - 1)) <= 1, (
        "centre of pixels, and of outlines"
    )


def test_only_what_has_its_centre_in_the_outlines_counts(run, slide, tmp_path):
    shape = shapely.Point(500, 400).buffer(280)
    roi = tmp_path / "roi.geojson"
    feature = {"type": "Feature", "properties": {}, "geometry": json.loads(shapely.to_geojson(shape))}
    roi.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), encoding="utf-8")
    whole, part = run(slide)["nuclei"], run(slide, roi=str(roi))
    inside = {whole.polygon(i)[0][0].tobytes() for i in range(len(whole))
              if shape.contains(shapely.Polygon(whole.polygon(i)[0][0]).centroid)}  # fmt: skip
    found = part["nuclei"]
    own = {found.polygon(i)[0][0].tobytes() for i in range(len(found))}
    assert len(own ^ inside) <= 4, "centres of pixels, and of outlines"
    row = part["counts"].as_dicts()[-1]
    assert row["density [1/mm2]"] == pytest.approx(len(found) / (shape.area * MPP**2 * 1e-6), rel=2e-3)


def test_glass_has_no_nuclei(run, tmp_path):
    path = tmp_path / "glass.ome.tif"
    about = {"axes": "YXS", "PhysicalSizeX": MPP, "PhysicalSizeY": MPP}
    tifffile.imwrite(path, np.full((600, 700, 3), 244, np.uint8), ome=True, photometric="rgb", metadata=about)
    result = run(path, tissue=True)
    assert len(result["nuclei"]) == 0
    assert any("no nuclei were looked for" in note for note in result.provenance.notes)
    assert result["counts"].as_dicts()[-1]["nuclei"] == 0
    files = write.write(result, tmp_path / "out", name="s")
    assert {f.name for f in files} >= {"nuclei.geojson", "counts.csv", "density.ome.tif", "tissue.ome.tif"}


def test_a_run_that_was_stopped_goes_on(run, slide, tmp_path, monkeypatch):
    from workbench.core.pieces import Pieces

    monkeypatch.setattr(running, "PIECE", 3)
    monkeypatch.setattr(running, "WINDOW", 320)
    monkeypatch.setattr(running, "STEP", 192)
    right = run(slide, tile=320)

    class Stop(Exception):
        pass

    def stop(done, total):
        if done >= 16:
            raise Stop

    def pieces(made_of):
        return Pieces(tmp_path / "case", made_of)

    with pytest.raises(Stop):
        run(slide, stop, pieces, tile=320)

    class Counting(Reading):
        seen = 0

        def forward(self, x):
            Counting.seen += len(x)
            return super().forward(x)

    again = run(slide, None, pieces, net=Counting(), tile=320)
    assert Counting.seen < 20, "tiles of finished pieces are looked at again only as neighbours"
    a, b = right["nuclei"], again["nuclei"]
    np.testing.assert_array_equal(a.coordinates, b.coordinates)
    np.testing.assert_array_equal(a.class_values, b.class_values)


def test_a_run_that_goes_on_after_the_outlines_were_drawn_anew_takes_nothing_of_the_old(run, slide, tmp_path):
    from workbench.core.pieces import Pieces

    roi = tmp_path / "roi.geojson"

    def drawn(box):
        roi.write_text(shapely.to_geojson(box), encoding="utf-8")
        return str(roi)

    def pieces(made_of):
        return Pieces(tmp_path / "case", made_of)

    run(slide, None, pieces, roi=drawn(shapely.box(50, 50, 300, 300)))
    again = run(slide, None, pieces, roi=drawn(shapely.box(800, 50, 980, 300)))["nuclei"]
    right = run(slide, roi=str(roi))["nuclei"]
    assert len(right) > 10
    np.testing.assert_array_equal(again.coordinates, right.coordinates)


def test_strips_side_by_side_are_one_slide(run, slide, monkeypatch):
    right = run(slide)["nuclei"]
    monkeypatch.setattr(running, "_ACROSS", 2)
    found = run(slide)["nuclei"]
    key = np.lexsort
    order = [key(n.centroids().T) for n in (right, found)]
    np.testing.assert_array_equal(right.centroids()[order[0]], found.centroids()[order[1]])


def test_flips_see_the_same(run, slide):
    """The network reads colours and no shapes: mirrored it sees the same, but for the signs of the distances."""

    class Mirrored(Reading):
        def forward(self, x):
            maps = super().forward(x)
            # Which way it was turned shows in the distances: left must be negative.
            steps = maps.hv[:, 0].diff(dim=2), maps.hv[:, 1].diff(dim=1)
            sign = torch.stack([(s * (s.abs() < 0.4)).sum().sign() for s in steps]).view(1, 2, 1, 1)
            return maps._replace(hv=maps.hv * sign)

    right, found = run(slide)["nuclei"], run(slide, flips=True, net=Mirrored())["nuclei"]
    assert abs(len(right) - len(found)) <= 0.05 * len(right)


def test_embeddings_are_those_of_the_nuclei(run, slide, tmp_path):
    result = run(slide, embeddings=True)
    part = result["embeddings"]
    assert part.data.shape == (len(result["nuclei"]), 2)
    assert part.ids[:3] == ("1", "2", "3")
    centres = result["nuclei"].centroids()
    assert np.abs(part.places - centres).max() < 1.0
    files = {f.name for f in write.write(result, tmp_path / "o", name="s")}
    assert "embeddings.h5" in files


def test_what_cannot_be_right_is_refused(run, slide, weights, tmp_path):
    with pytest.raises(UsageError, match="more than 3"):
        run(slide, most_tiles=3)
    with pytest.raises(UsageError, match="too coarse"):
        run(slide, target_mpp=0.25)
    assert any("taught at 0.5 um per pixel; nuclei are looked for at 0.7" in n for n in run(
        slide, target_mpp=0.7).provenance.notes)  # fmt: skip
    unknown = tmp_path / "unknown.tif"
    tifffile.imwrite(unknown, np.zeros((300, 300, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="--mpp"):
        run(unknown)


def test_weights_of_others_are_named(tmp_path):
    torch.manual_seed(0)
    net = CellVTA(**TINY)
    state = net.state_dict()
    meta = {"backend": "cellvta", "net": {}, "recipe": {}, "kind": "full"}

    def load(tensors, **more):
        path = stored.save(tmp_path / f"{len(list(tmp_path.iterdir()))}.safetensors", tensors, {**meta, **more})
        return cellvta.load(cellvta.Config(weights=str(path), device="cpu"), torch.device("cpu"))

    with pytest.raises(WeightsError, match="It seems to be one of CellViT"):
        load({k: v for k, v in state.items() if ".spm." not in k})
    with pytest.raises(WeightsError, match="3 classes of nuclei without names"):
        load(state, net={"num_heads": 4})
    with pytest.raises(WeightsError, match="names 2 classes of nuclei, its network has 3"):
        load(state, net={"num_heads": 4}, classes=CLASSES[:2])
    six = CellVTA(**(TINY | {"num_classes": 6}))
    model = load(six.state_dict(), net={"num_heads": 4})
    assert [c.name for c in model.recipe["classes"]] == list(PUBLISHED[6][1])
    assert model.recipe["mpp"] == 0.25


def test_a_published_checkpoint_is_read_as_it_is(tmp_path):
    """CellViT's form: the state lies in it beside plain values."""
    torch.manual_seed(0)
    net = CellVTA(**(TINY | {"num_classes": 7, "num_heads": 1}))
    path = tmp_path / "checkpoint.pth"
    torch.save({"arch": "CellViTUNIAdapter", "epoch": 3, "model_state_dict": net.state_dict(), "best_metric": 0.6,
                "config": {"data.num_nuclei_classes": 7}, "scaler_state_dict": None}, path)  # fmt: skip
    model = cellvta.load(cellvta.Config(weights=str(path), device="cpu"), torch.device("cpu"))
    assert [c.name for c in model.recipe["classes"]] == list(PUBLISHED[7][1])
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(model.net(x).nuclei, net.eval()(x).nuclei, atol=1e-5)


def test_the_shell_says_how_many_there_are(slide, weights, tmp_path, capsys):
    from workbench.cli import run as shell

    arguments = [
        "predict",
        "cellvta",
        "-i",
        slide,
        "-o",
        tmp_path,
        "--weights",
        weights,
        "--no-tissue",
        "--device",
        "cpu",
    ]
    assert shell([str(a) for a in arguments]) == 0
    counts = (tmp_path / "section" / "counts.csv").read_text(encoding="utf-8").splitlines()[-1].split(",")[1]
    assert f"{counts} nuclei" in " ".join(capsys.readouterr().err.split("all nuclei")[1].split()[:2])
