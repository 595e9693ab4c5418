"""NDPA, ASAP and ImageScope: where their annotations lie, what they are called, and files that would do harm."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.core.errors import InputError, UsageError
from workbench.slide.annotations import xml_tree
from workbench.slide.annotations.place import SlidePlace
from workbench.slide.annotations.read import read_annotations

SLIDE = SlidePlace((4000, 6000), (0.5, 0.25), (100_000.0, -200_000.0))


@pytest.fixture
def reading(tmp_path):
    def read(text, **more):
        path = tmp_path / "a.xml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_annotations(path, **more)

    return read


@pytest.fixture
def refused(reading):
    def line(text, **more):
        with pytest.raises(InputError) as error:
            reading(text, **more)
        assert "\n" not in str(error.value)
        return str(error.value).split("a.xml: ", 1)[1]

    return line


def test_the_public_ndpa_lies_where_the_offset_and_the_size_of_the_pixels_say(shared_data):
    path = shared_data / "slide" / "annotations" / "annotations_mixed.ndpa"
    tumor, margin, pin = found = read_annotations(path, slide=SLIDE)
    # (nm - offset) / (1000 mpp) + half: (-350000 - 100000) / 500 + 3000, (-500000 + 200000) / 250 + 2000
    assert tumor.shape.parts[0][0].tolist() == [[2100, 800], [2300, 800], [2300, 1600], [2100, 1600]]
    assert tumor.area == 200 * 800
    assert (tumor.id, tumor.name, tumor.class_name, tumor.color) == ("polygon-1", "Tumor", "", (255, 0, 0))
    assert tumor.properties["details"] == "Closed freehand region"
    assert margin.shape.kind == "lines"
    assert margin.shape.parts[0][0].tolist() == [[2500, 2400], [2700, 3200]]
    assert pin.shape.parts[0][0].tolist() == [[2900, 400]]
    assert "annotation 4 'Empty annotation' was left out" in found.notes[0]
    assert "titles were read as names" in found.notes[1]
    assert found.classes_from_names().classes.names == ("Tumor", "Margin", "Review here")
    assert found.classes_from_names().items[0].class_color == (255, 0, 0)


def test_the_damaged_ndpa_is_one_line(shared_data):
    path = shared_data / "slide" / "annotations" / "annotations_malformed.ndpa"
    with pytest.raises(InputError, match=r"malformed\.ndpa: annotation 1: no well-formed XML \(no element"):
        read_annotations(path, slide=SLIDE)


def state(inner, title="t"):
    return f'<annotations><ndpviewstate id="1"><title>{title}</title>{inner}</ndpviewstate></annotations>'


def test_ndpa_says_what_it_needs(refused, reading):
    text = state('<annotation type="pin"><x>0</x><y>0</y></annotation>')
    assert "its size in pixels, its micrometres per pixel, hamamatsu.XOffset" in refused(text)
    assert "place it, hamamatsu.XOffsetFromSlideCentre" in refused(text, slide=SlidePlace((9, 9), (1, 1)))
    with pytest.raises(UsageError, match="centre of the glass"):
        reading(text, slide=SLIDE, frame="bounds", bounds=(1, 1, 5, 5))
    found = {"hamamatsu.XOffsetFromSlideCentre": "100000", "hamamatsu.YOffsetFromSlideCentre": "-200000"}
    assert SlidePlace.of(found, (4000, 6000), (0.5, 0.25)) == SLIDE
    assert SlidePlace.of({}, (1, 1), None).offset_nm is None


def points(*pairs):
    return "<pointlist>" + "".join(f"<point><x>{x}</x><y>{y}</y></point>" for x, y in pairs) + "</pointlist>"


@pytest.mark.parametrize(
    ("inner", "kind", "area", "count"),
    [
        ('<annotation type="circle"><x>0</x><y>0</y><radius>50000</radius></annotation>', "areas",
         math.pi * 100 * 200, 128),
        ('<annotation type="linearmeasure"><x1>0</x1><y1>0</y1><x2>500</x2><y2>0</y2></annotation>', "lines", 0, 2),
        ('<annotation type="pointer"><x1>0</x1><y1>0</y1><x2>500</x2><y2>0</y2></annotation>', "lines", 0, 2),
        ('<annotation type="rectangle"><x1>0</x1><y1>0</y1><x2>5000</x2><y2>2500</y2></annotation>', "areas", 100, 4),
        ('<annotation type="freehand"><specialtype>rectangle</specialtype>'
         f"{points((0, 0), (5000, 0), (5000, 2500), (0, 2500))}</annotation>", "areas", 100, 4),
        (f'<annotation type="freehand">{points((0, 0), (5000, 0), (5000, 2500), (0, 0))}</annotation>', "areas", 50, 3),
    ],
)  # fmt: skip
def test_types_of_ndpa(reading, inner, kind, area, count):
    (found,) = reading(state(inner), slide=SLIDE)
    assert found.shape.kind == kind
    assert found.area == pytest.approx(area, rel=1e-9)
    assert len(found.shape.parts[0][0]) == count


def test_a_circle_of_ndpa_is_as_wide_and_high_as_pixels_are_small(reading):
    text = state('<annotation type="circle"><x>0</x><y>0</y><radius>50500</radius></annotation>')
    (found,) = reading(text, slide=SlidePlace((4000, 6000), (0.5, 0.505), (0.0, 0.0)))
    ring = found.shape.parts[0][0]
    # 50.5 um are 101 pixels across and 100 down; the polygon is wider by a hair, so that its area is the circle's.
    assert (np.ptp(ring, axis=0) / 2).tolist() == pytest.approx([101, 100], rel=5e-4)
    assert ((ring.max(axis=0) + ring.min(axis=0)) / 2).tolist() == pytest.approx([3000, 2000])


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (f'<annotation type="freehand"><closed>1</closed>{points((0, 0), (1, 1))}</annotation>', "an outline has 2"),
        (f'<annotation type="freehand"><closed>0</closed>{points((0, "x"), (1, 1))}</annotation>', "'y' is 'x'"),
        (f'<annotation type="freehand"><closed>0</closed>{points((0, "nan"), (1, 1))}</annotation>', "on no slide"),
        (f'<annotation type="freehand"><closed>maybe</closed>{points((0, 0), (1, 1))}</annotation>', "'closed'"),
        ('<annotation type="freehand"><closed>1</closed></annotation>', "without points"),
        ('<annotation type="circle"><x>0</x><y>0</y><radius>-1</radius></annotation>', "its radius is -1"),
        ('<annotation type="pin"><x>0</x></annotation>', "'y' is ''"),
        ("<coordformat>pixels</coordformat>", "nanometers were expected"),
    ],
)
def test_damage_in_ndpa_is_said_with_its_number(refused, inner, words):
    line = refused(state(inner), slide=SLIDE)
    assert line.startswith("annotation 1: ")
    assert words in line


def coordinates(*pairs):
    rows = [f'<Coordinate Order="{i}" X="{x}" Y="{y}"/>' for i, (x, y) in enumerate(pairs)]
    return f"<Coordinates>{''.join(reversed(rows))}</Coordinates>"


def asap(*annotations):
    return f"""<?xml version="1.0"?><ASAP_Annotations><Annotations>{"".join(annotations)}</Annotations>
        <AnnotationGroups><Group Name="Tumor" PartOfGroup="None" Color="#64FE2E"><Attributes/></Group>
        </AnnotationGroups></ASAP_Annotations>"""


def of_asap(kind, inner, group="Tumor"):
    return f'<Annotation Name="a" Type="{kind}" PartOfGroup="{group}" Color="#F4FA58">{inner}</Annotation>'


def test_asap(reading):
    box = coordinates((0.5, 0), (4.5, 0), (4.5, 4), (0.5, 4))
    found = reading(asap(
        of_asap("Polygon", box), of_asap("Rectangle", coordinates((1, 1), (3, 5))), of_asap("Spline", box, "None"),
        of_asap("Dot", coordinates((7, 8))), of_asap("PointSet", coordinates((7, 8), (9, 10))), of_asap("Star", box),
    ))  # fmt: skip
    assert [a.shape.kind for a in found] == ["areas"] * 3 + ["points"] * 2
    assert [a.area for a in found] == [16, 8, 16, 0, 0]
    assert found.items[0].shape.parts[0][0].tolist()[0] == [0.5, 0]
    assert [a.class_name for a in found] == ["Tumor", "Tumor", "", "Tumor", "Tumor"]
    assert found.items[0].class_color == (0x64, 0xFE, 0x2E)
    assert found.items[0].color == (0xF4, 0xFA, 0x58)
    assert any("straight edges" in note for note in found.notes)
    assert any("annotation 6 'a' was left out: its type 'Star'" in note for note in found.notes)
    moved = reading(asap(of_asap("Dot", coordinates((7, 8)))), frame="bounds", bounds=(10, 20, 30, 30))
    assert moved.items[0].shape.parts[0][0].tolist() == [[27, 18]]


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (coordinates((0, 0), (1, 1)), "annotation 2: an outline has 2"),
        ("", "annotation 2: it has no coordinates"),
        (coordinates((0, 0), (1, "one"), (2, 2)), "annotation 2: 'Y' is 'one'"),
        (coordinates((0, 0), (1, "inf"), (2, 2)), "annotation 2: a position is [1, inf]"),
        ('<Coordinates><Coordinate Order="0" X="1" Y="1"/><Coordinate Order="0" X="2" Y="1"/></Coordinates>', "same"),
    ],
)
def test_damage_in_asap_is_said_with_its_number(refused, inner, words):
    assert words in refused(asap(of_asap("Dot", coordinates((7, 8))), of_asap("Polygon", inner)))


def region(*pairs, kind=0, negative=0, more=""):
    vertices = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in pairs)
    return (f'<Region Id="3" Type="{kind}" NegativeROA="{negative}" Text="note" Area="12.5" {more}>'
            f"<Attributes/><Vertices>{vertices}</Vertices></Region>")  # fmt: skip


def scope(*regions, name="Tumor"):
    return (f'<Annotations MicronsPerPixel="0.25"><Annotation Id="1" Name="{name}" ReadOnly="1" LineColor="65280">'
            f"<Attributes/><Regions>{''.join(regions)}</Regions></Annotation></Annotations>")  # fmt: skip


def box(x, y, size):
    return (x, y), (x + size, y), (x + size, y + size), (x, y + size)


def test_imagescope(reading):
    found = reading(scope(
        region(*box(0, 0, 4)), region((1, 1), (3, 5), kind=1), region((0, 0), (4, 2), kind=2),
        region((0, 0), (4, 2), kind=3), region((0, 0), (4, 2), kind=4), region((5, 6), kind=5), region((5, 6), kind=9),
    ))  # fmt: skip
    assert [a.shape.kind for a in found] == ["areas"] * 3 + ["lines"] * 2 + ["points"]
    assert [a.area for a in found] == pytest.approx([16, 8, math.pi * 2 * 1, 0, 0, 0])
    first = found.items[0]
    assert (first.id, first.name, first.class_name, first.class_color) == ("3", "note", "Tumor", (0, 255, 0))
    assert first.locked
    assert first.measurements == {"Area": 12.5}
    assert any("128 points" in note for note in found.notes)
    assert any("annotation 7 was left out" in note for note in found.notes)
    (bare,) = reading(scope(region(*box(0, 0, 4)), name=""))
    assert (bare.class_name, bare.color) == ("", (0, 255, 0))


def test_regions_that_take_off_are_holes_of_the_region_around_them(reading):
    found = reading(scope(
        region(*box(0, 0, 100)), region(*box(10, 10, 50)), region(*box(20, 20, 5), negative=1),
        region(*box(30, 30, 5), negative=1), region(*box(70, 70, 10), negative=1),
    ))  # fmt: skip
    assert found.notes == ()
    assert [a.area for a in found] == [10_000 - 100, 2500 - 50]
    assert [len(a.shape.parts[0]) for a in found] == [2, 3]


def test_regions_that_take_off_elsewhere_are_cut_or_left_out_with_a_note(reading):
    found = reading(scope(
        region(*box(0, 0, 10)), region((5, -1), (7, -1), (7, 11), (5, 11), negative=1),
        region(*box(1, 1, 2), negative=1), region(*box(500, 500, 5), negative=1),
    ))  # fmt: skip
    assert found.items[0].area == pytest.approx(80 - 4)
    assert len(found.items[0].shape.parts) == 2
    assert "annotation 2 takes off an area, but it reaches beyond 1 region(s)" in found.notes[0]
    assert "annotation 4 takes off an area, but it lies in none" in found.notes[1]
    assert len(reading(scope(region(*box(0, 0, 4)), region(*box(-1, -1, 9), negative=1)))) == 0


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (region((0, 0), (1, 1)), "annotation 2: an outline has 2"),
        (region((0, 0), kind=2), "annotation 2: an ellipse has 1 corner"),
        (region((0, 0), ("nan", 1), kind=2), "annotation 2: a corner is no number"),
        (region((0, 0), ("", 1), (2, 2)), "annotation 2: 'X' is ''"),
        (region(*box(0, 0, 4), more='Length="long"'), "annotation 2: 'Length' is 'long'"),
    ],
)
def test_damage_in_imagescope_is_said_with_its_number(refused, inner, words):
    assert words in refused(scope(region(*box(0, 0, 4)), inner))


BOMB = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 9))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'<!DOCTYPE annotations [<!ENTITY e0 "x">{BOMB}]><annotations>&e8;</annotations>', "entities"),
        (f'<!DOCTYPE annotations [<!ENTITY e0 "x">{BOMB}]><annotations a="&e8;"/>', "entities"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations>&x;</annotations>', "entities"),
        ('<!DOCTYPE annotations SYSTEM "http://127.0.0.1:9/a.dtd"><annotations>&x;</annotations>', "entities"),
        ("<annotations>&x;</annotations>", "undefined entity"),
        ("<annotations>" + "<a>" * 40 + "</a>" * 40 + "</annotations>", "more than 32 deep"),
        ("<annotations><ndpviewstate></annotations>", "annotation 1: no well-formed XML"),
        ("<?xml version='1.0' encoding='nonsense'?><annotations/>", "XML"),
        ("<html/>", "first element is 'html'"),
        ("<", "XML"),
        ("<!-- " + "x" * 70_000 + " --><annotations/>", "first element is missing"),
    ],
    ids=[
        "bomb",
        "bomb in a name",
        "file",
        "network",
        "undefined",
        "deep",
        "cut",
        "encoding",
        "html",
        "less",
        "long comment",
    ],
)
def test_xml_that_would_do_harm_is_one_line(refused, text, words):
    assert words in refused(text, slide=SLIDE)


def test_xml_larger_than_annotations_are_is_not_read(refused, monkeypatch):
    monkeypatch.setattr(xml_tree, "LARGEST", 10)
    assert "annotations of up to 0 MiB" in refused(asap())
    monkeypatch.undo()
    monkeypatch.setattr(xml_tree, "_MOST", 3)
    assert "million elements" in refused(asap(of_asap("Dot", coordinates((1, 1)))))


def test_a_name_of_a_document_type_and_other_encodings_are_fine(reading):
    text = asap(of_asap("Dot", coordinates((1, 2)))).replace("?>", "?><!DOCTYPE ASAP_Annotations>")
    assert len(reading(text)) == 1
    wide = text.replace('<?xml version="1.0"?>', "").encode("utf-16")
    (found,) = reading(wide)
    assert np.array_equal(found.shape.parts[0][0], [(1, 2)])
