"""Nuclei corrected by hand: every edit, what it leaves alone, undo, and what is written in the end."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest

import workbench as wb
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError, UsageError, WorkbenchWarning
from workbench.core.frame import Frame
from workbench.core.objects import ACCEPTED, EDITED, REJECTED, REVIEW, Objects
from workbench.core.types import Embeddings, Geometry, Heatmap, Image, Provenance, Result, Scores
from workbench.data.geojson import write_geojson
from workbench.data.objects import read_objects
from workbench.slide.layers import to_layers, updated
from workbench.slide.nuclei_edits import NucleiEdits
from workbench.slide.nuclei_now import COUNTS, count_rows
from workbench.slide.outline_levels import EditedOutlines, edits_in, outline_levels

MPP = 0.5
FRAME = Frame.of(np.diag([MPP, MPP, 1.0]), "um")
CLASSES = ClassTable.from_names(["tumour", "stroma"])


def box(x, y, side=20):
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], float)


def five():
    """Three in a row, the first two touching; one apart, one far away."""
    boxes = np.float32([box(10, 10), box(30, 10), box(52, 10), box(100, 100), box(300, 300)])
    return Objects.from_polygons(
        boxes, class_values=[1, 1, 2, 2, 1], probabilities=[0.9, 0.8, 0.7, 0.6, 0.5], classes=CLASSES, frame=FRAME,
        name="nuclei", measurements={
            "area [um2]": np.full(5, 100, np.float32), "perimeter [um]": np.full(5, 40, np.float32),
            "eccentricity": np.zeros(5, np.float32), "haematoxylin [OD]": np.full(5, 0.4, np.float32),
            "neighbours within 15 um": np.array([1, 2, 1, 0, 0], np.int32),
        },
    )  # fmt: skip


def test_nothing_edited_is_the_very_same():
    edits, objects = NucleiEdits(five()), five()
    assert not edits.is_touched
    now = edits.objects()
    assert now.review is None
    np.testing.assert_array_equal(now.coordinates, objects.coordinates)
    assert {k: v.tolist() for k, v in now.measurements.items()} == {
        k: v.tolist() for k, v in objects.measurements.items()
    }


def test_what_is_added_is_measured_and_says_what_is_unknown():
    edits = NucleiEdits(five())
    # A rectangle of 40 by 20 pixels: 20 by 10 um.
    number = edits.add([[200, 200], [240, 200], [240, 220], [200, 220]], 2)
    now = edits.objects()
    assert len(now) == 6
    assert now.ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert now.class_values[5] == 2
    assert now.review.tolist() == [0] * 5 + [EDITED]
    measured = {k: float(v[5]) for k, v in now.measurements.items()}
    assert measured["area [um2]"] == pytest.approx(200)
    assert measured["perimeter [um]"] == pytest.approx(60)
    assert measured["eccentricity"] == pytest.approx(np.sqrt(1 - (20 / 40) ** 2))
    assert np.isnan(measured["haematoxylin [OD]"])
    assert np.isnan(now.probabilities[5])
    assert now.measurements["neighbours within 15 um"].tolist() == [1, 2, 1, 0, 0, 0]
    assert edits.undo() == "add"
    assert len(edits.objects()) == 5
    edits.redo()
    assert edits.is_there[number]


def test_rejected_ones_are_kept_apart_and_come_back():
    edits = NucleiEdits(five())
    edits.reject([0, 3])
    assert edits.objects().ids.tolist() == [2, 3, 5]
    assert edits.rejected().ids.tolist() == [1, 4]
    assert edits.objects().measurements["neighbours within 15 um"].tolist() == [1, 1, 0]
    edits.back([3])
    assert edits.objects().ids.tolist() == [2, 3, 4, 5]
    again = NucleiEdits(edits.objects(), edits.rejected())
    assert again.rejected().ids.tolist() == [1]
    assert again.objects().ids.tolist() == [2, 3, 4, 5]
    again.back([4])
    assert sorted(again.objects().ids.tolist()) == [1, 2, 3, 4, 5]


def test_merging_takes_what_touches_and_refuses_what_does_not():
    edits = NucleiEdits(five())
    number = edits.merge([0, 1])
    assert edits.area(number).area == pytest.approx(800)
    assert edits.objects().ids.tolist() == [3, 4, 5, 6]
    bridged = edits.merge([number, 2])  # two pixels between them
    assert edits.area(bridged).area == pytest.approx(40 * 20 + 20 * 20 + 2 * 20, rel=0.02)
    assert edits.values[bridged] == 1, "the class of most of its area"
    with pytest.raises(UsageError, match="more than 3 pixels apart"):
        edits.merge([bridged, 3])
    with pytest.raises(UsageError, match="two nuclei or more"):
        edits.merge([3])
    assert [edits.undo(), edits.undo(), edits.undo()] == ["merge", "merge", ""]
    assert edits.objects().ids.tolist() == [1, 2, 3, 4, 5]


def test_one_made_of_several_is_taught_only_if_a_person_named_all_of_them():
    edits = NucleiEdits(five())
    edits.reclass([0], 2)
    one = edits.merge([0, 1])
    assert not edits.taught[one]
    edits.undo()
    edits.reclass([1], 2)
    one = edits.merge([0, 1])
    assert edits.taught[one]


def test_what_was_replaced_does_not_come_back():
    edits = NucleiEdits(five())
    kept = edits.arrays()
    kept["gone"][0], kept["review"][0] = True, REJECTED
    edits.take(kept, edits.classes)
    edits.back([0])
    assert edits.undo() == ""


def test_splitting_needs_a_line_from_side_to_side():
    edits = NucleiEdits(five())
    with pytest.raises(UsageError, match="from one side to the other"):
        edits.split(3, [[110, 90], [110, 110]])
    with pytest.raises(UsageError, match="across the nucleus"):
        edits.split(-1, [[310, 290], [310, 330]])
    one, two = edits.split(3, [[105, 90], [105, 130]])
    assert sorted([edits.area(one).area, edits.area(two).area]) == pytest.approx([100, 300])
    assert {int(edits.values[one]), int(edits.values[two])} == {2}
    assert edits.objects().ids.tolist() == [1, 2, 3, 5, 6, 7]


def test_the_brush_adds_takes_off_and_rejects_what_is_wiped_away():
    edits = NucleiEdits(five())
    more = edits.brush(3, [[120, 110], [130, 110]], 5)
    assert edits.area(more).area > 400
    assert edits.id_of(more) == 4, "it is the same nucleus"
    assert edits.values[more] == 2
    less = edits.brush(more, [[100, 95], [100, 125]], 6, erase=True)
    assert edits.area(less).area < edits.area(more).area
    assert edits.brush(less, [[110, 110]], 60, erase=True) is None
    assert edits.rejected().ids.tolist() == [4]
    with pytest.raises(UsageError, match="must begin at the chosen"):
        edits.brush(0, [[250, 250]], 3)
    with pytest.raises(UsageError, match="less than 10 pixels"):
        edits.add([[0, 0], [2, 0], [1, 2]], 1)
    # An outline that crosses itself is mended: the larger of its two loops.
    bow = edits.add([[400, 400], [440, 440], [440, 400], [400, 430]], 1)
    assert edits.area(bow).is_valid


def test_classes_are_given_made_and_learnt_around_what_a_person_said():
    edits = NucleiEdits(five())
    value = edits.new_class("mitosis")
    assert value == 3
    assert edits.new_class("mitosis") == 3
    edits.reclass([4], value)
    assert edits.taught.tolist() == [False] * 4 + [True]
    guessed = np.array([3, 3, 1, 0, 1])
    assert edits.relabel(guessed, np.full(5, 0.75)) == 3
    assert edits.values.tolist() == [3, 3, 1, 2, 3], "the person's stays, and what nothing was said of"
    assert edits.objects().probabilities.tolist()[:4] == pytest.approx([0.75, 0.75, 0.75, 0.6])
    assert edits.notes == ()
    edits.undo()
    assert edits.values.tolist() == [1, 1, 2, 2, 3]
    assert np.isnan(edits.probabilities[4]), "that of the class it had before says nothing of the new one"
    edits.relabel(guessed, np.full(5, 0.75), "learnt from five")
    assert edits.notes == ("learnt from five",)
    edits.undo()
    assert edits.notes == ()
    edits.undo()
    assert edits.classes.names[-1] == "mitosis", "a class stays, so that what is drawn next can have it"
    assert edits.new_class("Mitosis") == 3
    with pytest.raises(UsageError, match="table of counts"):
        edits.new_class("All nuclei")
    edits.redo()
    with pytest.raises(UsageError, match="not in the table"):
        edits.reclass([0], 9)


def test_accepting_changes_only_what_nobody_has_said():
    edits = NucleiEdits(five())
    edits.reclass([0], 2)
    edits.reject([1])
    edits.accept([0, 1, 2])
    assert edits.review.tolist() == [EDITED, REJECTED, ACCEPTED, 0, 0]


def test_what_is_shown_follows_every_edit():
    edits = NucleiEdits(five())
    levels = outline_levels(edits, (400, 400))
    shown = levels[0].outlines
    assert isinstance(shown, EditedOutlines)
    assert levels[0][20, 20] == 1
    assert shown.at(20, 20) == 0
    edits.reject([0])
    assert levels[0][20, 20] == 0
    assert shown.at(20, 20) is None
    number = edits.add(box(15, 15, 12), 2)
    assert levels[0][20, 20] == 2
    assert shown.at(20, 20) == number
    assert number in shown.within(0, 0, 40, 40)
    edits.undo()
    edits.undo()
    assert levels[0][20, 20] == 1
    assert levels[1][10, 10] == 1


def result_of(objects, tmp_path):
    geometry = Geometry((400, 400), np.diag([MPP, MPP, 1.0]), ("y", "x"), "um")
    grid = Geometry((4, 4), np.diag([50.0, 50.0, 1.0]), ("y", "x"), "um")
    looked = 0.04
    data = np.zeros((4, 4), np.float32)
    data[3] = np.nan
    parts = {
        "nuclei": objects, "counts": Scores(COUNTS, count_rows(objects, looked), "counts"),
        "density": Heatmap(data, grid, "density", "1/mm2"),
        "embeddings": Embeddings(np.arange(10.0).reshape(5, 2), tuple("12345")),
    }  # fmt: skip
    pixels = np.zeros((400, 400, 3), np.uint8)
    image = Image(
        source=tmp_path / "s.tif",
        geometry=geometry,
        dtype=pixels.dtype,
        channels=("R", "G", "B"),
        loader=lambda: pixels,
        kind="slide",
    )
    return Result(parts, image, Provenance("cellvta", "none", None, {}))


def test_counts_density_and_embeddings_follow(tmp_path):
    result = result_of(five(), tmp_path)
    data, attributes, kind = to_layers(result)[0]
    assert kind == "labels"
    edits = edits_in(data)
    assert updated(result, {"nuclei": (data, attributes)}).parts["nuclei"] is result.parts["nuclei"]
    edits.reject([0])
    edits.brush(3, [[120, 110], [130, 110]], 5)
    edits.add(box(200, 200), 1)
    now = updated(result, {"nuclei": (data, attributes)}).parts
    table = {row[0]: row[1:] for row in now["counts"].rows}
    assert table["all nuclei"][:2] == (5, 125.0)
    assert table["tumour"][0] == 3
    assert table["stroma"][0] == 2
    assert table["tumour"][2] == pytest.approx(100, abs=0.01)
    assert list(now["embeddings"].ids) == ["2", "3", "5"], "of an outline that changed nothing is known"
    density = now["density"].data
    assert density[2, 2] == 400.0, "one in a square of 50 um"
    assert density[0, 0] == 2 * 400.0
    assert np.isnan(density[3]).all()
    assert now["rejected"].ids.tolist() == [1]


@pytest.mark.parametrize("ending", ["geojson", "parquet"])
def test_what_a_person_said_is_kept_in_files(tmp_path, ending):
    edits = NucleiEdits(five())
    edits.accept([0])
    edits.reclass([1], 2)
    edits.reject([2])
    edits.add(box(200, 200), 1)
    if ending == "geojson":
        from workbench.data.geojson import write_geojson as write
    else:
        pytest.importorskip("pyarrow")
        from workbench.data.geoparquet import write_geoparquet as write
    for objects in (edits.objects(), edits.rejected()):
        write(objects, tmp_path / f"{objects.name}.{ending}")
    found, away = (read_objects(tmp_path / f"{name}.{ending}") for name in ("nuclei", "rejected"))
    assert [REVIEW[v] for v in found.review] == ["accepted", "edited", "proposed", "proposed", "edited"]
    assert [REVIEW[v] for v in away.review] == ["rejected"]
    again = NucleiEdits(found, away)
    assert again.objects().ids.tolist() == edits.objects().ids.tolist()
    assert again.rejected().ids.tolist() == [3]
    if ending == "geojson":
        features = json.loads((tmp_path / "nuclei.geojson").read_text(encoding="utf-8"))["features"]
        assert features[1]["properties"]["metadata"] == {"review": "edited"}
        # QuPath may take all of ours away and keep its own words there.
        for feature in features:
            feature["properties"]["metadata"] = {"ANNOTATION_DESCRIPTION": "x", "review": "seen"}
        plain = tmp_path / "other.geojson"
        plain.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
        with pytest.warns(WorkbenchWarning, match=r"5 review states were not understood \('seen'\)"):
            assert read_objects(plain).review is None


def test_edits_survive_as_arrays():
    edits = NucleiEdits(five())
    edits.reject([0])
    edits.split(3, [[105, 90], [105, 130]])
    edits.reclass([4], edits.new_class("mitosis"))
    again = NucleiEdits(five())
    again.take(edits.arrays(), edits.classes)
    for name in ("objects", "rejected"):
        one, two = getattr(edits, name)(), getattr(again, name)()
        assert one.ids.tolist() == two.ids.tolist()
        np.testing.assert_array_equal(one.coordinates, two.coordinates)
        assert one.review.tolist() == two.review.tolist()
        assert one.class_values.tolist() == two.class_values.tolist()
    assert again.add(box(200, 200), 1) == edits.add(box(200, 200), 1)
    whole = NucleiEdits.of_arrays(json.loads(json.dumps(edits.about())), edits.base_arrays() | edits.arrays())
    assert whole.objects().ids.tolist() == edits.objects().ids.tolist()
    assert whole.classes.names == ("tumour", "stroma", "mitosis")
    assert whole.base.measurements.keys() == five().measurements.keys()
    with pytest.raises(InputError, match="do not fit"):
        NucleiEdits(five().select(slice(0, 3))).take(edits.arrays(), edits.classes)


def test_files_that_do_not_belong_together_are_refused():
    with pytest.raises(InputError, match="not of one result"):
        NucleiEdits(five(), replace(five().select([0]), name="rejected"))


def test_an_edit_among_two_hundred_thousand_takes_a_moment():
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 19_900, (200_000, 1, 2)).astype(np.float32)
    many = Objects.from_polygons(places + np.float32(box(0, 0)), class_values=np.ones(200_000), classes=CLASSES)
    edits = NucleiEdits(many)
    levels = outline_levels(edits, (20_000, 20_000))
    levels[0][:10, :10]
    times = []
    for i in range(10):
        clock = time.process_time()
        edits.add(box(100 * i, 100), 1)
        edits.reject([i])
        levels[0][:1000, :1000]
        times.append(time.process_time() - clock)
    assert np.median(times) < 0.1


def test_objects_of_other_kinds_keep_what_was_said(tmp_path):
    """As shapes, too, where a kind shows its objects so."""
    from workbench.core.object_layers import objects_from_layer, objects_layer

    said = replace(five(), review=np.array([0, 1, 2, 0, 1], np.uint8))
    data, attributes, _ = objects_layer(said, {})
    assert objects_from_layer(data, attributes).review.tolist() == [0, 1, 2, 0, 1]
    data, attributes, kind = objects_layer(said, {}, limit=2)
    assert kind == "points"
    assert objects_from_layer(data, attributes).review.tolist() == [0, 1, 2, 0, 1]
    assert wb.Objects is Objects


def test_what_is_drawn_stays_on_the_slide_and_clear_of_others():
    edits = NucleiEdits(five())
    outline_levels(edits, (400, 400))
    number = edits.add([[-10, 200], [30, 200], [30, 220], [-10, 220]], 1)
    assert edits.area(number).bounds == (0, 200, 30, 220)
    assert "stays on the slide" in edits.said
    with pytest.raises(UsageError, match="beyond the slide"):
        edits.add([[-40, 200], [-10, 200], [-10, 220], [-40, 220]], 1)
    with pytest.raises(UsageError, match="there already"):
        edits.add(box(101, 101, 10), 1)
    painted = edits.brush(0, [[20, 12], [45, 9]], 6)
    others = [edits.area(i) for i in (1, 2, 3, 4, number)]
    assert max(edits.area(painted).intersection(other).area for other in others) < 1e-6
    assert edits.area(painted).area > 400
    assert "clear of other nuclei" in edits.said


def test_holes_and_parts_that_are_lost_are_said():
    ring = [box(0, 0, 40), box(10, 10, 20)]
    edits = NucleiEdits(Objects.from_polygons([[ring]], frame=FRAME))
    edits.brush(0, [[40, 20]], 3)
    assert "a hole of 400 pixels was filled" in edits.said
    edits = NucleiEdits(Objects.from_polygons([box(0, 0, 40)], frame=FRAME))
    left = edits.brush(0, [[10, -5], [10, 45]], 3, erase=True)
    assert edits.area(left).area == pytest.approx(27 * 40, rel=0.02)
    assert "280 pixels that lie apart were dropped" in edits.said


def test_rejected_ones_alone_are_rejected(tmp_path):
    edits = NucleiEdits(five())
    edits.reject([0, 1])
    again = NucleiEdits(edits.rejected())
    assert len(again) == 0
    assert again.is_touched
    assert len(again.rejected()) == 2
    result = result_of(edits.rejected(), tmp_path)
    data, attributes, _ = to_layers(result)[0]
    now = updated(result, {"nuclei": (data, attributes)}).parts
    assert len(now["nuclei"]) == 0
    assert len(now["rejected"]) == 2
    assert now["counts"].rows[-1][1] == 0


def test_an_area_that_was_not_measured_is_that_of_the_outline():
    edits = NucleiEdits(replace(five(), measurements={"area [um2]": np.array([100, np.nan, 50, 50, np.nan])}))
    table = {row[0]: row[3] for row in count_rows(edits.objects(), None)}
    assert table["tumour"] == pytest.approx(100)
    assert table["stroma"] == pytest.approx(50)


def test_nuclei_in_micrometres_are_corrected_in_pixels():
    um = Frame.of(np.diag([MPP, MPP, 1.0]), "um", unit="um", pixel_size=(MPP, MPP))
    edits = NucleiEdits(replace(five(), coordinates=five().coordinates * np.float32(MPP), frame=um))
    assert edits.area(0).area == pytest.approx(400)
    edits.add(box(200, 200), 1)
    now = edits.objects()
    assert now.frame.unit == "pixel"
    assert now.frame.matches(FRAME)
    assert float(now.measurements["area [um2]"][5]) == pytest.approx(100)


def test_what_goes_around_others_is_refused():
    """Its hole would be filled, and the nucleus in it counted twice."""
    edits = NucleiEdits(five())
    outline_levels(edits, (400, 400))
    with pytest.raises(UsageError, match="goes around nuclei"):
        edits.add(box(90, 90, 40), 1)
    with pytest.raises(UsageError, match="goes around nuclei"):
        edits.reshape(4, box(90, 90, 40))
    assert len(edits) == 5
    assert not edits.is_touched


def test_a_bridge_leaves_to_others_what_is_theirs():
    """A third nucleus in the gap between two keeps its pixels."""
    pieces = [box(10, 10), box(33, 10), np.array([[30.5, 5], [32.5, 5], [32.5, 22], [30.5, 22]])]
    edits = NucleiEdits(Objects.from_polygons(pieces, classes=CLASSES, class_values=[1, 1, 2], frame=FRAME))
    outline_levels(edits, (400, 400))
    whole = edits.merge([0, 1])
    assert edits.area(whole).intersection(edits.area(2)).area < 0.5
    assert edits.area(whole).area > 800


def test_crumbs_of_a_cut_are_said_and_a_note_outlives_many_steps():
    edits = NucleiEdits(five())
    bent = [[101, 90], [101, 104], [99, 104], [99, 110], [110, 110], [110, 130]]
    edits.split(3, bent)
    assert "too small for a nucleus" in edits.said
    edits.relabel(np.ones(edits.total, int), np.ones(edits.total), "learnt")
    for i in range(600):
        edits.reclass([0], 1 + i % 2)
    assert edits.notes == ("learnt",)


def test_middles_and_areas_are_those_of_the_outlines():
    edits = NucleiEdits(five())
    edits.add(box(200, 200), 1)
    assert edits.middles()[-1].tolist() == [210, 210]
    np.testing.assert_allclose(edits.middles()[:5], five().centroids())
    assert edits.areas().tolist() == pytest.approx([100] * 6)
    plain = NucleiEdits(Objects.from_polygons([box(0, 0)]))
    assert plain.areas().tolist() == [400]


def test_rejected_ones_are_no_labels(tmp_path):
    from workbench.slide.data.nuclei_labels import read_reference

    edits = NucleiEdits(five())
    edits.reject([0])
    edits.accept([1])
    mixed = replace(five(), review=edits.review)
    write_geojson(mixed, tmp_path / "mixed.geojson")
    reference = read_reference(tmp_path / "mixed.geojson", (400, 400))
    assert len(reference) == 4
    assert any("1 outline(s) were rejected" in note for note in reference.notes)
