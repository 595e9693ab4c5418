"""Tables of leads: nothing about their unit or rate is guessed."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from tests.workbench.page.made import heart
from workbench.core.errors import InputError, UsageError
from workbench.page.data import csv_files

HEART = np.round(heart(2, 600), 4)


def _text(head: str, data: np.ndarray = HEART, times: np.ndarray | None = None, sep: str = ",") -> str:
    rows = data.T if times is None else np.column_stack([times, data.T])
    return head + "\n" + "\n".join(sep.join("" if np.isnan(v) else f"{v:.10g}" for v in row) for row in rows) + "\n"


@pytest.fixture
def table(tmp_path):
    def write(text, beside=None, encoding="utf-8"):
        path = tmp_path / "ecg.csv"
        path.write_bytes(text.encode(encoding))
        if beside is not None:
            (tmp_path / "ecg.json").write_text(beside if isinstance(beside, str) else json.dumps(beside))
        return path

    return write


TIMES = np.arange(600) / 500


@pytest.mark.parametrize(
    ("head", "factor", "times", "rate"),
    [
        ("time [s],I [mV],aVR [mV]", 1, TIMES, 500),
        ("time [ms],I (uV),aVR (uV)", 1e-3, TIMES * 1000, 500),
        ("time_ms,I [\u00b5V],aVR [\u00b5V]", 1e-3, TIMES * 1000, 500),
        ("time_s,I_uV,aVR/\u00b5V", 1e-3, TIMES, 500),
        ("time [s],I [mV],aVR [mV]", 1, np.round(np.arange(600) / 360, 3), 360),
        ("time [s],I [mV],aVR [mV]", 1, 17.0 + np.arange(600) / 257, 257),
    ],
)
def test_units_and_times_in_the_row_of_names(table, head, factor, times, rate):
    image = csv_files.read(table(_text(head, times=times)))
    assert image.channels == ("I", "aVR")
    assert image.header["sampling_rate"] == pytest.approx(rate, rel=1e-4)
    np.testing.assert_allclose(image.data, HEART * factor, rtol=1e-5, atol=1e-7)
    assert image.value_unit == "mV"


def test_volts_are_converted(table):
    image = csv_files.read(table(_text("t (s),Lead I [V],AVR [V]", HEART / 1000, TIMES)))
    np.testing.assert_allclose(image.data, HEART, atol=1e-6)


def test_the_truth_beside_a_page_needs_its_unit(shared_data):
    path = shared_data / "ecg" / "ptbxl_00009_truth_500hz.csv"
    assert csv_files.is_ecg(path)
    with pytest.raises(InputError, match="states no unit of I, and none is guessed"):
        csv_files.read(path)
    with pytest.raises(InputError, match="states no sampling rate, and none is guessed"):
        csv_files.read(path, unit="mV")
    image = csv_files.read(path, unit="mV", sampling_rate=500)
    np.testing.assert_allclose(image.data, np.loadtxt(path, delimiter=",", skiprows=1).T, atol=1e-6)
    assert image.channels[3] == "aVR"


def test_a_file_beside_states_both(table):
    image = csv_files.read(table(_text("I,II"), {"sampling_rate": 250, "unit": "uV"}))
    assert image.header["sampling_rate"] == 250
    np.testing.assert_allclose(image.data, HEART / 1000, atol=1e-7)
    assert [p.name for p in image.files] == ["ecg.csv", "ecg.json"]


def test_lines_before_the_table_state_both(table):
    image = csv_files.read(table("# unit: uV\n# sampling rate: 0.5 kHz\n\n" + _text("I,II")))
    assert image.header["sampling_rate"] == 500
    np.testing.assert_allclose(image.data, HEART / 1000, atol=1e-7)


def test_what_a_line_says_in_passing_is_no_statement(table):
    lines = "# 1 lead(s) span much: check gain and unit: V1\n# old sampling rate: 7\n# the unit = parsec\n"
    image = csv_files.read(table(lines + _text("time [s],I [mV],II [mV]", times=TIMES)))
    np.testing.assert_allclose(image.data, HEART, atol=1e-6)


def test_empty_cells_are_gaps(table):
    data = HEART.copy()
    data[0, 5:9] = np.nan
    data[1] = np.nan
    image = csv_files.read(table(_text("time [s],I [mV],II [mV]", data, TIMES)))
    np.testing.assert_allclose(image.data, data, atol=1e-6)


@pytest.mark.parametrize("sep", [";", "\t"])
def test_decimal_commas_are_read_where_no_comma_separates(table, sep):
    text = _text(f"time [s]{sep}I [mV]{sep}II [mV]", HEART, TIMES, sep=sep).replace(".", ",")
    np.testing.assert_allclose(csv_files.read(table(text)).data, HEART, atol=1e-6)
    with pytest.raises(InputError, match="both points and commas"):
        csv_files.read(table(text.replace(",", ".", 1) if sep == "x" else text + f"1.5{sep}0{sep}0\n"))


def test_a_decimal_comma_among_commas_is_refused(table):
    with pytest.raises(InputError, match=r"line 2 has 4 cells.*Decimal commas need semicolons"):
        csv_files.read(table("I [mV],II [mV]\n0,1,0,2\n0,1,0,2\n"), sampling_rate=500)


def test_other_columns_are_left_out_and_said(table):
    text = "sample,I [mV],II [mV],pressure [mmHg],note\n" + "".join(f"{n},0.1,0.2,80,7\n" for n in range(50))
    image = csv_files.read(table(text), sampling_rate=500)
    assert image.channels == ("I", "II")
    assert "2 column(s) are no lead" in image.notes[0]


def test_latin_letters_and_a_mark_in_front_are_read(table):
    text = _text("time [s],I [\u00b5V],II [\u00b5V]", times=TIMES)
    for encoding in ("latin-1", "utf-8-sig"):
        np.testing.assert_allclose(csv_files.read(table(text, encoding=encoding)).data, HEART / 1000, atol=1e-7)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            _text("time [s],I [mV],II [mV]", times=np.where(np.arange(600) < 300, TIMES, TIMES + 1)),
            "expected even steps",
        ),
        (_text("time [s],I [mV],II [mV]", times=TIMES[::-1]), "do not rise"),
        (_text("time [s],I [mV],II [mV]", times=TIMES * np.nan), "are missing or do not rise"),
        (_text("time [s],I [mV],II [mV]", times=TIMES**1.01), "even steps"),
        (_text("time,I [mV],II [mV]", times=TIMES), "states no unit, and none is guessed"),
        (_text("0.1,0.2"), "expected the names of the leads"),
        (_text("alpha [mV],beta [mV]"), "no lead is known here"),
        ("I [mV],II [mV]\n", "no row of numbers"),
        ("# only\n", "no row of lead names"),
        ("I [mV],II [mV]\n1,two\n", "line 2 holds 'two'"),
        ("I [mV],II [mV]\n1,inf\n", "beyond all sense"),
        ("I [mV],II [mV]\n1,1e300\n", "beyond all sense"),
        ("I [mV],II [mV]\n1\n", "line 2 has 1 cells"),
        ("I [mmHg],II [mmHg]\n1,2\n", "none of its 2 columns is a voltage"),
        ("I [mV],II [mV]\0\n1,2\n", "no text"),
        (",".join(f"V{n} [mV]" for n in range(1000)) + "\n", "1000 cells"),
        ("time [s],I [mV]\n" + "".join(f"{n * 1e-9:.12f},0\n" for n in range(9)), "Hz, expected 20 to"),
    ],
)
def test_what_cannot_be_is_one_line(table, text, said):
    with pytest.raises(InputError, match=said) as caught:
        csv_files.read(table(text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"sampling_rate": 250}, "expected one rate"),
        ({"unit": "uV"}, "are two different units"),
        ({"unit": "parsec"}, "expected mV, uV or V"),
        ({"sampling_rate": "fast"}, "expected a number of Hz"),
        ({"sampling_rate": True}, "expected a number of Hz"),
        ("[1, 2]", "no object"),
        ("{", "no JSON object"),
        ("[" * 100_000, "no JSON object"),
    ],
)
def test_what_contradicts_is_refused(table, beside, said):
    with pytest.raises(InputError, match=said):
        csv_files.read(table(_text("time [s],I [mV],II [mV]", times=TIMES), beside))


def test_settings_are_compared_with_the_file(table):
    path = table(_text("time [s],I [mV],II [mV]", times=TIMES))
    assert csv_files.read(path, unit="mV", sampling_rate=500).geometry.shape == (600,)
    with pytest.raises(InputError, match="two different units"):
        csv_files.read(path, unit="uV")
    with pytest.raises(InputError, match="expected one rate"):
        csv_files.read(path, sampling_rate=250)
    with pytest.raises(UsageError, match="is no voltage"):
        csv_files.read(path, unit="m")
    with pytest.raises(UsageError, match="positive number"):
        csv_files.read(path, sampling_rate=0)


def test_tables_of_other_things_are_told_apart(tmp_path):
    path = tmp_path / "t.csv"
    for text in ("x,y,z\n1,2,3\n", "name,age\nA,3\n", "0,1,2\n", "", "I,II\n1,2\n"):
        path.write_text(text)
        assert not csv_files.is_ecg(path)
    path.write_text("time,I,II,V1\n")
    assert csv_files.is_ecg(path)


def test_a_line_without_end_takes_no_time(table):
    begun = time.perf_counter()
    for text in (
        "# unit" + " " * 200_000 + "\n",
        "I [mV]" + "[" * 200_000 + "\n1\n",
        "# fs" + "\t" * 200_000 + "x\n",
        "I [mV]\n" + "," * 200_000,
    ):
        with pytest.raises(InputError):
            csv_files.read(table(text))
    assert time.perf_counter() - begun < 5


def test_marks_for_thousands_are_no_part_of_a_number(table):
    text = _text("time [s],I [mV],aVR [mV]", times=TIMES).replace("0.002,", "0.002,1_000", 1)
    with pytest.raises(InputError, match="line 3 holds '1_000.*expected a number"):
        csv_files.read(table(text))


def test_a_rate_of_four_hundred_digits_is_one_line(table):
    text = _text("I [mV],aVR [mV]")
    for digits in (400, 5000):
        with pytest.raises(InputError, match="ecg.json: (sampling_rate is|no JSON object)"):
            csv_files.read(table(text, beside='{"sampling_rate": ' + "9" * digits + "}"))
