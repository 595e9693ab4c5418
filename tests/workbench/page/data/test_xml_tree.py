"""XML that could hurt does not: entities, depth, size, other files."""

from __future__ import annotations

import time

import pytest

from workbench.core.errors import InputError
from workbench.page.data import xml_tree

BOMB = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">{0}]><AnnotatedECG>&z;</AnnotatedECG>"""
NESTED = "".join(f'<!ENTITY {chr(98 + n + 1)} "{f"&{chr(98 + n)};" * 10}">' for n in range(20))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB.format(NESTED), "declares entities"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><AnnotatedECG>&x;</AnnotatedECG>', "declares entities"),
        ('<!DOCTYPE a [<!ENTITY % x SYSTEM "http://h/x.dtd"> %x;]><AnnotatedECG/>', "declares entities"),
        ("<a>" * 200 + "</a>" * 200, "more than 100 deep"),
        ("<AnnotatedECG><a></AnnotatedECG>", "no well-formed XML"),
        ("<AnnotatedECG>", "no well-formed XML"),
        ("", "is empty"),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "encoding"),
        ("&b;", "no well-formed XML"),
    ],
)
def test_what_could_hurt_is_one_line(tmp_path, text, said):
    path = tmp_path / "x.xml"
    path.write_text(text)
    begun = time.perf_counter()
    with pytest.raises(InputError, match=said) as caught:
        xml_tree.parse(path)
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - begun < 2


def test_a_type_of_another_file_is_named_and_never_opened(tmp_path):
    """GE MUSE writes it so; the file beside would add an entity."""
    (tmp_path / "restecg.dtd").write_text('<!ENTITY x "read">')
    path = tmp_path / "x.xml"
    path.write_text('<!DOCTYPE RestingECG SYSTEM "restecg.dtd"><RestingECG><a>1</a></RestingECG>')
    assert xml_tree.text_of(xml_tree.parse(path), "a") == "1"
    path.write_text('<!DOCTYPE RestingECG SYSTEM "restecg.dtd"><RestingECG><a>1&x;</a></RestingECG>')
    assert xml_tree.text_of(xml_tree.parse(path), "a") == "1"


def test_too_large_is_said_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "x.xml"
    path.write_text("<a>" + "b" * 5000 + "</a>")
    monkeypatch.setattr(xml_tree, "LARGEST", 4096)
    with pytest.raises(InputError, match="files of this format are read up to"):
        xml_tree.parse(path)


def test_namespaces_are_taken_off(tmp_path):
    path = tmp_path / "x.xml"
    path.write_text('<h:a xmlns:h="urn:x" h:code="1"><h:b>2</h:b></h:a>')
    root = xml_tree.parse(path)
    assert (root.tag, root.get("code"), xml_tree.text_of(root, "b")) == ("a", "1", "2")
    assert xml_tree.root_of(path) == "a"
    assert xml_tree.root_of(tmp_path / "none.xml") == ""
