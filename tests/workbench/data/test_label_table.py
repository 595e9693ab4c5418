"""Label tables as other programs write them, and as an attacker would."""

import pytest

from workbench.core.classes import ClassTable
from workbench.core.errors import InputError
from workbench.data import label_table

CARET = (
    b'<?xml version="1.0" encoding="UTF-8"?> <CaretExtension> <VolumeInformation Index="0"> <LabelTable>'
    b'<Label Key="0" Red="0" Green="0" Blue="0" Alpha="0"><![CDATA[???]]></Label>'
    b'<Label Key="7" Red="0.5" Green="1.7" Blue="-1" Alpha="1"><![CDATA[aorta]]></Label>'
    b'<Label Key="x" Red="0" Green="0" Blue="0"><![CDATA[broken]]></Label>'
    b"</LabelTable></VolumeInformation></CaretExtension>\n\0\0\0\0"
)


def test_reads_caret_tables_and_skips_background_and_broken_rows():
    table = label_table.from_xml(CARET)
    assert [(c.value, c.name, c.color) for c in table] == [(7, "aorta", (128, 255, 0))]


def test_round_trip():
    table = ClassTable.from_names(["liver", "<&>", "ÄÖ"])
    assert label_table.from_xml(label_table.to_xml(table)) == table


def test_entities_are_not_expanded():
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]><x><LabelTable><Label Key="1">&a;</Label></LabelTable></x>'
    assert label_table.from_xml(bomb) is None


def test_other_extensions_hold_no_table():
    assert label_table.from_xml(b"just a comment") is None
    assert label_table.from_xml(b"<LabelTable><unclosed>") is None
    assert label_table.from_xml(b"<LabelTable></LabelTable>") is None


def test_a_key_with_two_names_is_refused():
    again = CARET.replace(b"</LabelTable>", b'<Label Key="7" Red="0" Green="0" Blue="0">%s</Label></LabelTable>')
    assert len(label_table.from_xml(again.replace(b"%s", b"aorta"))) == 1
    with (
        pytest.raises(InputError, match=r"mask.nii: value 7 has two names, 'aorta' and 'vena'"),
        label_table.of_file("mask.nii"),
    ):
        label_table.from_xml(again.replace(b"%s", b"vena"))
