"""Positive nuclei: the right share of drawn ones and of a public field, of cores and regions, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
from tests.ihc_maker import DAB, HAEMATOXYLIN, draw, write
from workbench.cli import run
from workbench.core.errors import InputError, UsageError, WorkbenchError
from workbench.core.pieces import Pieces
from workbench.core.settings import build
from workbench.slide import edits_in
from workbench.slide.ihc_settings import Config
from workbench.slide.layers import to_layers, updated
from workbench.slide.predict import ihc
from workbench.slide.predict.ihc import find_positive

DATA = Path(__file__).resolve().parents[5] / "shared" / "data"


def found_in(path, **settings):
    return wb.predict("ihc", path, **settings)


def index_of(result, row=0):
    return result["index"].rows[row][6] / 100


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    made = draw(7, 400, share=0.4)
    return made, write(tmp_path_factory.mktemp("ihc") / "field.tif", made.pixels)


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(s, marks=pytest.mark.slow) for s in range(6, 50))])
def test_the_index_of_drawn_nuclei(tmp_path, seed):
    rng = np.random.default_rng(seed)
    glass = tuple(rng.uniform(225, 250, 3))
    made = draw(seed, 400, spacing=rng.uniform(8.6, 11), glass=glass)
    result = found_in(write(tmp_path / "field.tif", made.pixels))
    assert index_of(result) == pytest.approx(made.index, abs=0.02)
    assert result["index"].rows[0][1] == pytest.approx(len(made.dab), rel=0.05)


def test_a_public_field_against_its_labels(tmp_path):
    """DeepLIIF's sample of lung: 11 of 61 nuclei are positive by its last panel, and 12,557 pixels are brown."""
    path = DATA / "slide" / "ihc" / "deepliif_Lung1.png"
    if not path.is_file():
        pytest.skip(f"{path} is not there: a public field with truth")
    from PIL import Image

    Image.open(path).crop((0, 0, 512, 512)).save(tmp_path / "lung.png")
    result = found_in(tmp_path / "lung.png", mpp=0.25)
    assert index_of(result) == pytest.approx(11 / 61, abs=0.05)
    assert result["index"].rows[0][1] == pytest.approx(61, rel=0.25)
    assert result["areas"].rows[1][1] == pytest.approx(12_557 * 0.25**2 * 1e-6, rel=0.25)


def test_nuclei_lie_where_they_were_drawn_with_their_density(field):
    made, path = field
    nuclei = found_in(path)["nuclei"]
    far = np.hypot(*(nuclei.centroids()[:, None] - made.centres).transpose(2, 0, 1))
    nearest = far.argmin(1)
    assert np.median(far.min(1)) < 1.0, "pixels"
    dab = nuclei.measurements["DAB [OD]"]
    positive = made.dab[nearest] > 0
    assert np.corrcoef(dab[positive], made.dab[nearest][positive])[0, 1] > 0.9
    assert (nuclei.class_values[~positive] == 1).all()


@pytest.mark.parametrize("mpp", [0.25, 0.35])
def test_the_scale_of_the_scan_does_not_matter(tmp_path, mpp):
    side = int(200 / mpp)
    made = draw(11, side, mpp=mpp, share=0.3)
    result = found_in(write(tmp_path / "fine.tif", made.pixels, mpp))
    assert index_of(result) == pytest.approx(made.index, abs=0.02)
    assert result["counts"].rows[-1][1] == pytest.approx(len(made.dab), rel=0.05)
    assert result["counts"].rows[-1][3] == pytest.approx(45, abs=15), "um2, whatever a pixel is"


def test_a_region_finds_the_same_nuclei_and_has_its_own_index(tmp_path):
    left, right = draw(1, 640, share=0.1).pixels, draw(2, 640, share=0.8).pixels
    path = write(tmp_path / "wide.tif", np.concatenate([left, right], 1))
    whole = found_in(path)
    boxes = {"left": (0, 640), "right": (640, 1280)}
    features = [
        {"type": "Feature", "properties": {"objectType": "annotation", "name": name},
         "geometry": {"type": "Polygon", "coordinates": [[[a, 0], [b, 0], [b, 640], [a, 640], [a, 0]]]}}
        for name, (a, b) in boxes.items()
    ]  # fmt: skip
    (tmp_path / "drawn.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    result = found_in(path, roi=str(tmp_path / "drawn.geojson"))
    assert [row[0] for row in result["index"].rows] == ["all nuclei", "left", "right"]
    assert index_of(result, 1) < 0.2 < 0.7 < index_of(result, 2)
    centres = {tuple(np.round(c, 2)) for c in whole["nuclei"].centroids().tolist()}
    inside = {tuple(np.round(c, 2)) for c in result["nuclei"].centroids().tolist()}
    assert len(inside & centres) > 0.98 * len(inside), "the threshold is of the slide, the windows lie where they lay"


def test_cores_have_a_row_each(tmp_path):
    side, gap = 500, 760
    sheet = np.full((2 * gap + 200, 3 * gap + 200, 3), 243, np.uint8)
    y, x = np.mgrid[:side, :side] - side / 2 + 0.5
    disc = np.hypot(x, y) < side / 2
    right = {}
    for r in range(2):
        for c in range(3):
            if (r, c) == (1, 1):
                continue
            made = draw(10 * r + c, side, share=0.1 + 0.15 * (3 * r + c))
            top, left = 200 + r * gap, 200 + c * gap
            own = sheet[top : top + side, left : left + side]
            own[disc] = made.pixels[disc]
            inside = np.hypot(*(made.centres - side / 2).T) < side / 2 - 8
            right[f"{'AB'[r]}-{c + 1}"] = float((made.dab[inside] > 0).mean())
    path = write(tmp_path / "array.tif", sheet)
    result = found_in(path, tma=side * 0.5 / 1000)
    rows = {row[0]: row for row in result["index"].rows}
    assert list(rows) == ["all nuclei", "A-1", "A-2", "A-3", "B-1", "B-3"]
    for name, share in right.items():
        assert rows[name][6] / 100 == pytest.approx(share, abs=0.05), name
    assert any("no core: B-2" in note for note in result.provenance.notes)
    assert {row[0] for row in result["regions"].rows} == set(right)
    with pytest.raises(WorkbenchError, match="--roi"):
        found_in(path, tma=0.25, roi="drawn.geojson")
    with pytest.raises(WorkbenchError, match=r"array\.tif.*--tma"):
        found_in(path, tma=2.0)


def test_the_tables_follow_corrections_and_come_back(tmp_path, field):
    _, path = field
    result = found_in(path)
    data, attributes, _ = next(x for x in to_layers(result) if edits_in(x[0]) is not None)
    edits = edits_in(data)
    negative = np.flatnonzero(edits.values == 1)[:10]
    edits.reclass(negative, 4)
    edits.reject(np.flatnonzero(edits.values == 2)[:3])
    now = updated(result, {"nuclei": (data, attributes)})
    before, after = result["index"].rows[0], now["index"].rows[0]
    assert after[2] == before[2] - 10
    assert after[5] == before[5] + 10
    assert after[3] == before[3] - 3
    assert after[6] == round(100 * (after[1] - after[2]) / after[1], 2)
    wb.write(now, tmp_path)
    text = next(tmp_path.rglob("index.csv")).read_text(encoding="utf-8").splitlines()
    assert text[1].startswith(f"all nuclei,{after[1]},{after[2]},")


def test_a_run_that_was_stopped_goes_on_with_the_same_nuclei(tmp_path, monkeypatch):
    monkeypatch.setattr(ihc, "PIECE", 1)
    path = write(tmp_path / "wide.tif", np.concatenate([draw(s, 520).pixels for s in (1, 2, 3)], 1))
    straight = found_in(path)
    looked = []
    work = ihc.look
    monkeypatch.setattr(ihc, "look", lambda *args: looked.append(1) or work(*args))

    class Stop(Exception):
        pass

    def stop(done, total):
        if done >= 5:
            raise Stop

    def pieces(made_of):
        return Pieces(tmp_path / "case", made_of)

    image, config = wb.read(path, kind="slide"), build(Config, {})
    with pytest.raises(Stop):
        find_positive(image, config, stop, pieces)
    count = straight.provenance.details["tiles"]
    assert count == 8
    looked.clear()
    again = find_positive(image, config, None, pieces)
    assert len(looked) == count - 5 + 1, "the one whose end was being told is done again"
    np.testing.assert_array_equal(again["nuclei"].coordinates, straight["nuclei"].coordinates)
    np.testing.assert_array_equal(again["positive_area"].data, straight["positive_area"].data)
    assert again["index"].rows == straight["index"].rows


def test_what_cannot_be_right_is_refused(tmp_path, field):
    _, path = field
    with pytest.raises(UsageError, match="each must be higher"):
        found_in(path, positive=0.5)
    with pytest.raises(UsageError, match="--glass"):
        found_in(path, glass="white")
    with pytest.raises(UsageError, match="--stains"):
        found_in(path, stains="h-e")
    with pytest.raises(UsageError, match="--smallest"):
        found_in(path, smallest=500.0)
    grey = np.repeat(draw(0, 300).pixels[..., 1:2], 3, axis=2)
    with pytest.raises(InputError, match=r"grey\.tif.*no stains"):
        found_in(write(tmp_path / "grey.tif", grey), tissue=False)
    from PIL import Image

    Image.fromarray(draw(0, 300).pixels).save(tmp_path / "no-size.png")
    with pytest.raises(InputError, match="--mpp"):
        found_in(tmp_path / "no-size.png")
    pink = np.clip(
        255 * 10 ** -(np.random.default_rng(0).uniform(0.2, 0.8, (400, 400, 1)) * (0.07, 0.99, 0.11)), 0, 255
    )
    with pytest.raises(InputError, match=r"pink\.tif.*eosin"):
        found_in(write(tmp_path / "pink.tif", pink.astype(np.uint8)))


def test_glass_alone_and_one_stain_alone(tmp_path):
    empty = found_in(write(tmp_path / "empty.tif", np.full((600, 600, 3), 243, np.uint8)))
    assert empty["index"].rows[0][:2] == ("all nuclei", 0)
    assert index_row_is_empty(empty)
    blue = draw(3, 400, share=0.0, haze=0.0)
    found = found_in(write(tmp_path / "blue.tif", blue.pixels))
    assert found["index"].rows[0][6] == 0
    assert found["index"].rows[0][1] == pytest.approx(len(blue.dab), rel=0.05)
    brown = draw(3, 400, share=1.0)
    assert index_of(found_in(write(tmp_path / "brown.tif", brown.pixels))) > 0.95


def index_row_is_empty(result):
    return all(cell in (0, "") for cell in result["index"].rows[0][1:])


def test_other_colours_by_numbers_and_by_the_slide_itself(tmp_path):
    own = np.array([[0.60, 0.72, 0.35], [0.45, 0.70, 0.55]])
    made = draw(5, 400, share=0.4, stains=own)
    path = write(tmp_path / "aec.tif", made.pixels)
    for stains in ("0.60,0.72,0.35,0.45,0.70,0.55", "estimate"):
        result = found_in(path, stains=stains)
        assert index_of(result) == pytest.approx(made.index, abs=0.03), stains
        assert "chromogen" in result.provenance.details["stains"]
    assert result["areas"].rows[1][0] == "chromogen positive"


def test_a_study_has_the_index_of_every_case_in_one_table(tmp_path, capsys):
    shares = (0.2, 0.7)
    for i, share in enumerate(shares):
        write(tmp_path / "in" / f"case{i}.ome.tif", draw(i, 300, share=share).pixels)
    for _ in range(2):  # again: read from what was written
        assert run(["predict", "ihc", "-i", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-q"]) == 0
        capsys.readouterr()
        with (tmp_path / "out" / "summary.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [float(row["all nuclei positive [%]"]) / 100 for row in rows] == pytest.approx(shares, abs=0.08)


def discs(densities, *, half=False, mpp=0.5, step=14.0):
    """Nuclei of 8 um on a grid, blue all over, with these densities of DAB, in one half only if asked for."""
    side = int(np.ceil(np.sqrt(len(densities))))
    size = int((side + 1) * step / mpp)
    y, x = np.mgrid[:size, :size] * mpp
    blue, brown = np.full((size, size), 0.04), np.zeros((size, size))
    for i, dab in enumerate(densities):
        cy, cx = (i // side + 1) * step, (i % side + 1) * step
        inside = np.hypot(y - cy, x - cx) < 4
        blue[inside] = 0.4
        brown[inside & (x < cx) if half else inside] = dab
    light = blue[..., None] * HAEMATOXYLIN / np.linalg.norm(HAEMATOXYLIN) + brown[..., None] * DAB / np.linalg.norm(DAB)
    return np.rint(245 * 10**-light).astype(np.uint8)


def test_a_patchy_nucleus_is_one_and_its_mean_counts(tmp_path):
    half = found_in(write(tmp_path / "half.tif", discs([0.0] * 32 + [0.3] * 32, half=True)))
    assert half["index"].rows[0][:3] == ("all nuclei", 64, 64), "a mean of 0.15 is negative"
    near = discs(np.linspace(0.02, 0.34, 64))
    rows = [found_in(write(tmp_path / "near.tif", near), positive=p)["index"].rows[0] for p in (0.1, 0.2, 0.3)]
    assert [row[1] for row in rows] == [64] * 3, "what is positive says nothing of where a nucleus ends"
    assert [64 - row[2] for row in rows] == pytest.approx([48, 28, 8], abs=3)


def test_a_ring_or_a_frame_hides_no_nuclei(tmp_path, field):
    made, path = field
    whole = found_in(path)["index"].rows[0][1]
    y, x = np.mgrid[:400, :400] - 200.0
    ring = made.pixels.copy()
    ring[np.abs(np.hypot(x, y) - 150) < 4] = (120, 70, 40)
    found = found_in(write(tmp_path / "ring.tif", ring))["index"].rows[0][1]
    assert found == pytest.approx(whole, rel=0.2)
    frame = made.pixels.copy()
    for part in (frame[:25], frame[-25:], frame[:, :25], frame[:, -25:]):
        part[:] = 5
    result = found_in(write(tmp_path / "frame.tif", frame))
    assert result["index"].rows[0][1] > 0.6 * whole


def test_what_may_be_wrong_is_said(tmp_path, field):
    made, path = field
    notes = " ".join(found_in(path).provenance.notes)
    assert "no glass is seen" not in notes
    assert "lies in no nucleus" not in notes
    dark = found_in(write(tmp_path / "dark.tif", (made.pixels * 0.7).astype(np.uint8)))
    assert any("give --glass" in note for note in dark.provenance.notes)
    light = next(note for note in dark.provenance.notes if "give --glass" in note).rpartition(" ")[2]
    brown = np.full((500, 500, 3), 240, np.uint8)
    brown[100:400, 100:400] = draw(3, 300).pixels // 3 + (60, 40, 20)
    said = found_in(write(tmp_path / "brown.tif", brown), tissue=False).provenance.notes
    assert any("lies in no nucleus" in note for note in said)
    mended = found_in(tmp_path / "dark.tif", glass=light)
    assert index_of(mended) == pytest.approx(made.index, abs=0.02)
    rng = np.random.default_rng(0)
    amounts = rng.uniform(0.1, 0.7, (400, 400, 2))
    light = amounts[..., :1] * (0.65, 0.70, 0.29) + amounts[..., 1:] * (0.07, 0.99, 0.11)
    pink = write(tmp_path / "pink.tif", np.rint(250 * 10**-light).astype(np.uint8))
    said = found_in(pink, stains="0.65,0.70,0.29,0.27,0.57,0.78").provenance.notes
    assert any("like eosin" in note for note in said)


def test_no_outline_leaves_the_picture(field):
    _, path = field
    nuclei = found_in(path)["nuclei"]
    assert nuclei.coordinates.min() >= 0
    assert nuclei.coordinates.max() <= 400


def test_positive_is_scored_against_negative(tmp_path):
    made = draw(9, 300, share=0.5)
    labels = np.zeros((300, 300, 2), np.int32)
    y, x = np.mgrid[:300, :300] + 0.5
    for number, ((cx, cy), dab) in enumerate(zip(made.centres, made.dab, strict=True), 1):
        labels[np.hypot(x - cx, y - cy) < 6] = number, 2 if dab else 1
    np.save(tmp_path / "labels.npy", labels)
    case = wb.Case("a", write(tmp_path / "a.ome.tif", made.pixels), tmp_path / "labels.npy")
    report = wb.evaluate("ihc", [case], classes="Positive:2,Negative:1", classical=False)
    assert {"Negative", "Positive"} <= {row["class"] for row in report.summary}
    assert report.summary[-1]["mPQ+"] > 0.5
