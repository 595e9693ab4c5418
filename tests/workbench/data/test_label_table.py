"""Label tables as other programs write them, and as an attacker would."""

import pytest

from workbench.core.classes import ClassTable
from workbench.data import label_table

CARET = (
    b'<?xml version="1.0" encoding="UTF-8"?> <CaretExtension> <VolumeInformation Index="0"> <LabelTable>'
    b'<Label Key="0" Red="0" Green="0" Blue="0" Alpha="0"><![CDATA[???]]></Label>'
    b'<Label Key="7" Red="0.5" Green="1.7" Blue="-1" Alpha="1"><![CDATA[aorta]]></Label>'
    b'<Label Key="x" Red="0" Green="0" Blue="0"><![CDATA[broken]]></Label>'
    b"</LabelTable></VolumeInformation></CaretExtension>\n\0\0\0\0"
)


def test_reads_caret_tables_and_skips_background_and_broken_rows():
    table, notes = label_table.from_xml(CARET)
    assert notes == ["the label table gives 'x' the name 'broken': this row was left out"]
    assert [(c.value, c.name, c.color) for c in table] == [(7, "aorta", (128, 255, 0))]


def test_round_trip():
    table = ClassTable.from_names(["liver", "<&>", "ÄÖ"])
    assert label_table.from_xml(label_table.to_xml(table)) == (table, [])


def test_entities_are_not_expanded():
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]><x><LabelTable><Label Key="1">&a;</Label></LabelTable></x>'
    table, notes = label_table.from_xml(bomb)
    assert table is None
    assert "declares types of its own" in notes[0]


def test_other_extensions_hold_no_table():
    assert label_table.from_xml(b"just a comment") == (None, [])
    assert label_table.from_xml(b"<LabelTable></LabelTable>") == (None, [])
    assert label_table.from_xml(b"<LabelTable><unclosed>") == (None, ["the label table is no XML: it was left out"])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('Key="3" Red="nan"', "gives 'b' no colour of numbers: another was taken"),
        ('Key="-3" Red="1"', "gives '-3' the name 'b': this row was left out"),
        ('Key="99999999999999999999" Red="1"', "gives '99999999999999999999' the name 'b': this row was left out"),
        ('Key="2" Red="1"', "names 2 'a' and 'b': the last is used"),
    ],
)
def test_good_rows_of_a_table_are_kept_and_the_others_are_said(row, said):
    text = f'<LabelTable><Label Key="1">x</Label><Label Key="2">a</Label><Label {row}>b</Label></LabelTable>'
    table, (note,) = label_table.from_xml(text.encode())
    assert said in note
    assert table.names[0] == "x"
    assert len(table) == (3 if "nan" in row else 2)


def test_one_name_of_several_values_is_said():
    _, notes = label_table.from_xml(b'<LabelTable><Label Key="1">x</Label><Label Key="5">x</Label></LabelTable>')
    assert notes == ["values 1, 5 have one name, 'x'"]
