"""Philips Sierra: the XLI decoder against a packed file, files that are packed here, and other readers."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from tests.workbench.page.made import heart, philips_xml, xli
from workbench.core.errors import InputError
from workbench.page.data import philips_xml as reader
from workbench.page.data import xml_tree
from workbench.page.leads import STANDARD, derived

ROWS = np.round(heart(12, 1000) * 200).astype(np.int64)


def _read(tmp_path, *arguments, **settings):
    path = tmp_path / "p.xml"
    path.write_text(philips_xml(*arguments, **settings))
    return reader.read(path)


def _packed(rows: np.ndarray) -> bytes:
    """As the format packs twelve leads: four of them are what is left when they are computed from I and II."""
    rest = rows.copy()
    one, two, three = rows[0], rows[1], rows[2]
    rest[2] = two - one - three
    rest[3] = -rows[3] - (one + two) // 2
    rest[4] = (one - three) // 2 - rows[4]
    rest[5] = (two + three) // 2 - rows[5]
    return xli(rest)


def test_the_public_file(shared_data):
    path = shared_data / "ecg" / "philips_sierra_deid_3.xml"
    image = reader.read(path)
    assert image.channels == STANDARD
    assert image.geometry.shape == (5500,)
    assert image.header["sampling_rate"] == 500
    leads = dict(zip(image.channels, image.data.astype(np.float64), strict=True))
    for name, expected in derived({n: leads[n][:5000] for n in ("I", "II")}).items():
        # The device took its leads itself, and rounds to 5 uV; what comes back from the packed rest must still agree.
        np.testing.assert_allclose(leads[name][:5000], expected, atol=0.0301, err_msg=name)
    for name in STANDARD:  # the pulse of 1 mV and 0.2 s that the recorder puts behind the heart
        pulse = leads[name][5000:]
        assert np.ptp(pulse) == pytest.approx(1.0, abs=1e-6)
        assert np.count_nonzero(pulse > 0.9) == 100
    assert image.header["measurements"] == {
        "heart_rate": 59, "RR": 1002, "P": 126, "PR": 222, "QRS": 98, "QT": 398, "QTcB": 394, "QTcF": 395, "P_axis": 37,
        "QRS_axis": 12, "T_axis": 43,
    }  # fmt: skip
    assert any("calibration pulse" in note for note in image.notes)
    assert any("further packed channels" in note for note in image.notes)
    assert len(image.notes) == 2  # the limb leads are what I and II make of them, the pulse aside


def test_heights_are_those_that_the_device_measured(shared_data):
    """R waves of averaged beats, 1551, 1945, 1598 and 1081 uV; the file puts these four beside the wrong names."""
    image = reader.read(shared_data / "ecg" / "philips_sierra_deid_3.xml")
    root = xml_tree.parse(shared_data / "ecg" / "philips_sierra_deid_3.xml")
    stated = [xml_tree.number_of(xml_tree.text_of(m, "ramp")) for m in root.iter("leadmeasurement")][2:6]
    heights = [1000 * image.data[image.channels.index(lead), :5000].max() for lead in ("V3", "V4", "V5", "V6")]
    np.testing.assert_allclose(heights, stated, rtol=0.05)


def test_other_decoders_of_the_packed_leads_agree(shared_data):
    """Both stop at numbers beyond 32 bits in channels that the file does not name: they get those that it names."""
    kit = pytest.importorskip("ecgdatakit.parsing.codecs.xli", reason="the extra 'ecg' is not installed")
    path = shared_data / "ecg" / "philips_sierra_deid_3.xml"
    waves = next(xml_tree.parse(path).iter("parsedwaveforms"))
    raw = base64.b64decode("".join((waves.text or "").split()))
    rows, rest = reader.xli_decode(path, raw, 5500, 12)
    theirs = kit.xli_decode(raw[: len(raw) - rest])
    assert len(rows) == len(theirs) == 12
    for mine, other in zip(rows, theirs, strict=True):
        assert np.array_equal(mine, other)


@pytest.mark.parametrize("attribute", ['compression="XLI"', 'compressmethod="XLI"'])
def test_what_is_packed_comes_back(tmp_path, attribute):
    image = _read(tmp_path, ROWS, raw=_packed(ROWS), packing=attribute, version="1.04")
    np.testing.assert_allclose(image.data, ROWS * 0.005, atol=1e-6)
    assert all(note.startswith("limb leads are not") for note in image.notes)  # the made ones are not


@pytest.mark.parametrize("version", ["1.03", "1.04", "1.04.01"])
def test_what_is_not_packed_is_read_as_it_is(tmp_path, version):
    image = _read(tmp_path, ROWS, version=version)
    np.testing.assert_allclose(image.data, ROWS * 0.005, atol=1e-6)
    image = _read(tmp_path, ROWS, labels="")
    assert image.channels == STANDARD


def test_plain_numbers_and_the_tag_of_old_files(tmp_path):
    path = tmp_path / "p.xml"
    text = philips_xml(ROWS).replace("<resolution>5</resolution>", "<signalresolution>5</signalresolution>")
    path.write_text(text)
    np.testing.assert_allclose(reader.read(path).data, ROWS * 0.005, atol=1e-6)
    numbers = " ".join(map(str, ROWS.ravel().tolist()))
    raw = base64.b64encode(ROWS.astype("<i2").tobytes()).decode()
    path.write_text(text.replace('"Base64"', '"Plain"').replace(raw, numbers))
    np.testing.assert_allclose(reader.read(path).data, ROWS * 0.005, atol=1e-6)
    path.write_text(text.replace('"Base64"', '"Plain"').replace(raw, numbers.replace(" ", " x ", 1)))
    with pytest.raises(InputError, match="no whole number"):
        reader.read(path)


def test_repeated_bytes_grow_as_lzw_says(tmp_path):
    """Codes of strings that are just being defined: 7, 256, 257 are one, two and three sevens."""
    bits = "".join(f"{code:010b}" for code in (7, 256, 257, 1023))
    packed = int(bits, 2).to_bytes(5, "big")
    assert reader._lzw(tmp_path, packed, 100) == bytes([7] * 6)
    with pytest.raises(InputError, match="name code 300 of 256"):
        reader._lzw(tmp_path, int("0100101100" + "0" * 6, 2).to_bytes(2, "big"), 100)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"version": "2.0"}, "version '2.0'"),
        ({"rate": "0"}, "is 0 Hz"),
        ({"rate": "1e9"}, "Hz, expected"),
        ({"labels": "I II"}, "names 2 of 12 leads"),
        ({"raw": b"\1\2\3"}, "holds 3 bytes"),
        ({"raw": b"\1\2"}, "holds 1 samples, expected 1000"),
        ({"raw": b"\xff" * 40, "packing": 'compression="XLI"'}, "says -1 bytes"),
        ({"raw": _packed(ROWS)[:-9], "packing": 'compression="XLI"'}, "bytes"),
        ({"raw": _packed(ROWS[:, :900]), "packing": 'compression="XLI"'}, "holds 900 samples, expected 1000"),
        ({"raw": _packed(ROWS)[:5000], "packing": 'compression="XLI"'}, "packed lead"),
        ({"packing": 'compression="RLE"'}, "packed as 'RLE'"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, settings, said):
    with pytest.raises(InputError, match=said) as caught:
        _read(tmp_path, ROWS, **settings)
    assert "\n" not in str(caught.value)
