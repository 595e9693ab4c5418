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


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("GB2312", "\u5fc3\u7535\u56fe"), ("GBK", "\u5fc3\u96fb"), ("gb18030", "\u5fc3\u7535"),
        ("Big5", "\u5fc3\u96fb\u5716"), ("Shift_JIS", "\u5fc3\u96fb\u56f3"), ("EUC-JP", "\u5fc3\u96fb\u56f3"),
        ("ISO-2022-JP", "\u5fc3\u96fb\u56f3"), ("EUC-KR", "\uc2ec\uc804\ub3c4"), ("utf-7", "\u5fc3\u7535"),
        ("utf-16", "\u5fc3\u7535"), ("windows-1251", "\u042d\u041a\u0413"),
    ],
)  # fmt: skip
def test_other_encodings_are_read(tmp_path, encoding, text):
    whole = f'<?xml version="1.0" encoding="{encoding}"?>\n<AnnotatedECG><a>{text * 40_000}</a></AnnotatedECG>'
    path = tmp_path / "x.xml"
    path.write_bytes(whole.encode(encoding))
    assert xml_tree.root_of(path) == "AnnotatedECG"
    assert xml_tree.text_of(xml_tree.parse(path), "a") == text * 40_000


@pytest.mark.parametrize("encoding", ["utf-32", "johab", "euc_jisx0213"])
def test_encodings_that_are_not_read_are_one_line(tmp_path, encoding):
    path = tmp_path / "x.xml"
    path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?><a>b</a>'.encode())
    with pytest.raises(InputError, match=rf"x.xml: it is written in {encoding}, which is not read here: save it as"):
        xml_tree.parse(path)
    assert xml_tree.root_of(path) == ""


def test_a_mark_of_utf_8_says_more_than_the_declaration(tmp_path):
    path = tmp_path / "x.xml"
    path.write_bytes('\ufeff<?xml version="1.0" encoding="GB2312"?><a>\u5fc3</a>'.encode())
    assert xml_tree.parse(path).text == "\u5fc3"


def test_bytes_that_are_not_of_the_declared_encoding_are_one_line(tmp_path):
    path = tmp_path / "x.xml"
    path.write_bytes(b'<?xml version="1.0" encoding="GB2312"?><a>\xff\xff</a>')
    with pytest.raises(InputError, match="x.xml: .*can't decode"):
        xml_tree.parse(path)


def test_entities_hide_in_no_encoding(tmp_path):
    path = tmp_path / "x.xml"
    path.write_bytes(b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE a [+ADwAIQ-ENTITY b "c">]><a>&b;</a>')
    with pytest.raises(InputError, match="declares entities"):
        xml_tree.parse(path)
