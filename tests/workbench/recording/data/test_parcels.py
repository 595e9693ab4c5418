import json
import pickle

import numpy as np
import pytest
import scipy.io

from tests.recording_maker import signals
from workbench.core.errors import InputError
from workbench.data import formats
from workbench.recording.data.prepare import RecordingRecipe, prepare
from workbench.recording.data.recording import open_recording

DATA = signals(6, 8.0, 250.0, scale=1.0).astype(np.float32)  # (6, 2000)


def rate_of(image):
    return image.header["sampling_rate"]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("dtype", ["f4", ">f8"])
def test_npy_with_a_side_file(tmp_path, turned, dtype):
    np.save(tmp_path / "p.npy", (DATA.T if turned else DATA).astype(dtype))
    side = {"sampling_rate": 250, "channels": [f"V{i}" for i in range(6)], "unit": "nAm", "bads": ["V3"], "start": 2.0,
            "annotations": [[5, 0.5, "burst"], [3, 1, "BAD_x"]], "events": [[4.5, "face"], [2.5, 7]]}  # fmt: skip
    (tmp_path / "p.json").write_text(json.dumps(side))
    image = formats.read(tmp_path / "p.npy")
    assert (image.kind, image.format, image.channels, image.value_unit) == (
        "recording", "parcels", tuple(side["channels"]), "nAm"
    )  # fmt: skip
    assert rate_of(image) == 250
    assert image.geometry.affine.tolist() == [[1 / 250, 2.0], [0, 1]]
    assert image.notes == ()
    sizes = "2000 samples x 6 channels" if turned else "6 channels x 2000 samples"
    assert image.header["taken_as"] == f"{sizes}: the side file names as many channels"
    np.testing.assert_allclose(image.data, DATA, rtol=1e-6)
    recording = open_recording(image)
    assert [(m.onset, m.label) for m in recording.marks] == [(3.0, "BAD_x"), (5.0, "burst")]
    assert recording.events == [(2.5, "7"), (4.5, "face")]
    np.testing.assert_allclose(recording.read(100, 150, ["V4", "V0"]), DATA[[4, 0], 100:150], rtol=1e-6)
    made = prepare(image, RecordingRecipe())
    assert made.channels == ("V0", "V1", "V2", "V4", "V5")
    assert not made.good[250:500].any()


def test_the_longer_axis_is_time_and_that_is_said(tmp_path):
    np.save(tmp_path / "a.npy", DATA)
    np.save(tmp_path / "b.npy", DATA.T)
    for name, said in (("a", "6 channels x 2000 samples"), ("b", "2000 samples x 6 channels")):
        image = formats.read(f"{tmp_path / name}.npy:250Hz")
        assert image.header["taken_as"] == f"{said}: the longer axis is time"
        np.testing.assert_array_equal(image.data, DATA)
    # More channels than samples, as the side file says.
    np.save(tmp_path / "c.npy", DATA[:, :4])
    (tmp_path / "c.json").write_text(json.dumps({"fs": 250, "names": list("abcdef")}))
    image = formats.read(tmp_path / "c.npy")
    assert image.channels == tuple("abcdef")
    assert image.header["taken_as"] == "6 channels x 4 samples: the side file names as many channels"


@pytest.mark.parametrize("key", ["sampling_rate", "sfreq", "fs", "Fs"])
@pytest.mark.parametrize("kind", ["npz", "mat", "mat73"])
def test_the_rate_from_keys_of_the_file(tmp_path, key, kind):
    path = tmp_path / f"a.{kind[:3]}"
    if kind == "npz":
        np.savez(path, data=DATA, other=np.arange(5), **{key: 200.0})
    elif kind == "mat":
        scipy.io.savemat(path, {"data": DATA, "trial": np.arange(5), key: 200.0})
    else:
        import h5py

        with h5py.File(path, "w", userblock_size=512) as f:
            f["data"] = DATA.T  # MATLAB's axes run the other way round in HDF5
            f[key] = np.array([[200.0]])
        body = bytearray(path.read_bytes())
        body[:8] = b"MATLAB 7"
        path.write_bytes(bytes(body))
    image = formats.read(path)
    assert (image.kind, rate_of(image), image.header["key"]) == ("recording", 200.0, "data")
    np.testing.assert_allclose(image.data, DATA, rtol=1e-6)
    assert rate_of(formats.read(f"{path}:data@125Hz")) == 125.0
    assert rate_of(formats.read(path, series="data@125Hz")) == 125.0


def test_an_array_of_several_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", one=DATA, two=2 * DATA, sfreq=250)
    with pytest.raises(InputError, match=r"holds several arrays: one \(6 x 2000 float32\), two .* Name one: a.npz:one"):
        formats.read(tmp_path / "a.npz")
    np.testing.assert_array_equal(formats.read(f"{tmp_path / 'a.npz'}:two").data, 2 * DATA)
    with pytest.raises(InputError, match=r"no array 'tow' in it. Did you mean 'two'"):
        formats.read(f"{tmp_path / 'a.npz'}:tow@250Hz")


def test_without_a_rate_long_narrow_fractions_are_a_recording_that_asks_for_one(tmp_path):
    np.save(tmp_path / "a.npy", DATA)
    image = formats.read(tmp_path / "a.npy")
    assert (image.kind, rate_of(image), image.geometry.affine, image.geometry.unit) == ("recording", None, None, None)
    with pytest.raises(InputError, match=r'a.npy: no sampling rate is known. Write it as {"sampling_rate": 250}'):
        prepare(image, RecordingRecipe())
    scipy.io.savemat(tmp_path / "b.mat", {"x": DATA})
    assert formats.read(tmp_path / "b.mat").kind == "recording"


def test_cubes_and_maps_stay_what_they_are(tmp_path):
    np.save(tmp_path / "cube.npy", np.ones((9, 11, 7), "f4"))
    np.save(tmp_path / "map.npy", np.ones((100, 120), "f4"))
    np.save(tmp_path / "classes.npy", np.ones((20, 2000), "u1"))
    scipy.io.savemat(tmp_path / "list.mat", {"Y": np.ones((7, 99)), "nRow": 9.0, "nCol": 11.0})
    scipy.io.savemat(tmp_path / "square.mat", {"Y": np.ones((7, 10000))})
    np.savez(tmp_path / "scene.npz", scene=np.ones((9, 11, 7)), spectra=np.ones((7, 900)))
    for path in tmp_path.iterdir():
        assert formats.read(path).kind == "scene", path.name
    assert formats.read_labels(tmp_path / "classes.npy").data.shape == (20, 2000)
    assert formats.read(f"{tmp_path / 'square.mat'}:Y@500Hz").kind == "recording"


def test_side_files_that_do_not_fit_are_named(tmp_path):
    np.save(tmp_path / "a.npy", DATA)
    side = tmp_path / "a.json"
    cases = {
        '{"sampling_rate": 250, "channels": ["a", "b"]}': "'channels' lists 2 names, a.npy has 6 channels",
        '{"sampling_rate": 250, "kinds": ["misc"]}': "'kinds' lists 1 types, a.npy has 6 channels",
        '{"sampling_rate": 250, "annotations": [["x", 1, "y"]]}': "'annotations' must be",
        '{"sampling_rate": 250, "annotations": [[9.5, 1, "late"]]}': r"1 annotation\(s\) lie outside the data, first at"
        r" 9.5 s; the recording runs from 0 to 8 s",
        '{"sampling_rate": 250, "events": [[1.0, "in"], [8.5, "out"]]}': r"1 event\(s\) lie outside the data",
        '{"sampling_rate": -3}': "a sampling rate of -3.0 Hz",
        '{"sampling_rate": 1e300}': r"a sampling rate of 1e\+300 Hz",
        '{"sampling_rate": 250, "start": "noon"}': "'start' is 'noon', a number of seconds was expected",
        '{"sampling_rate": 250, "start": NaN}': "'start' is nan, a number",
        '{"sampling_rate": 250, "kinds": 5}': "'kinds' is 5, a list was expected",
        '{"sampling_rate": 250, "bads": "abc"}': "'bads' is 'abc', a list was expected",
        '{"sampling_rate": 250, "annotations": [[1, NaN, "BAD"]]}': "annotation 'BAD' lasts nan s, 0 or more",
        '{"sampling_rate": 250, "annotations": [[1, Infinity, "BAD"]]}': "annotation 'BAD' lasts inf s",
        '{"sampling_rate": 250, "annotations": [[1, -2, "BAD"]]}': "annotation 'BAD' lasts -2 s",
        "[1]": r"a\.json: holds '\[1\]', fields such as",
        "null": r"a\.json: holds 'null', fields such as",
        '{"sampling_rate": true}': r"a\.json: 'sampling_rate' is 'true', the sampling rate in Hz",
        '{"Fs": [250]}': r"'Fs' is '\[250\]', the sampling rate in Hz",
        '{"fs": "fast"}': "'fs' is '\"fast\"', the sampling rate in Hz",
        '{"fs": 1' + 400 * "0" + "}": "'fs' is '1000.* the sampling rate in Hz",
        '{"fs": 250, "sfreq": 500}': "'fs' is 250 Hz and 'sfreq' is 500 Hz. Leave one",
        '{"sampling_rate": 250, "sampling_rate": 500}': "'sampling_rate' is given twice",
        '{"sampling_rate": 250, "bads": ["parcel 7"]}': "'bads' names 'parcel 7', no channel. Did you mean 'parcel ",
        '{"sampling_rate": 250, "kinds": ["eeg", "eeg", "eeg", "eeg", "eeg", "ears"]}': "'kinds' names 'ears'",
        '{"sampling_rate": 250, "unit": ["V"]}': "'unit' is '.*', a text was expected",
        '{"sampling_rate": 250, "channels": "abcdef"}': "'channels' is '\"abcdef\"', a list was expected",
    }
    for text, message in cases.items():
        side.write_text(text)
        with pytest.raises(InputError, match=message):
            formats.read(tmp_path / "a.npy")
    side.write_text('{"sampling_rate": 250, "start": null, "bads": null, "kinds": null}')
    assert formats.read(tmp_path / "a.npy").geometry.affine[0, 1] == 0
    side.write_text('{"sampling_rate": "250"}')
    assert rate_of(formats.read(tmp_path / "a.npy")) == 250.0
    side.write_text("{ broken")
    with pytest.raises(InputError, match="not readable as JSON"):
        formats.read(f"{tmp_path / 'a.npy'}:250Hz")


def test_nothing_pickled_is_executed_and_broken_files_are_named(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    np.save(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Trap()))
    np.save(tmp_path / "c.npy", DATA)
    (tmp_path / "c.npy").write_bytes((tmp_path / "c.npy").read_bytes()[:-50])
    np.save(tmp_path / "d.npy", np.ones(5))
    np.save(tmp_path / "e.npy", np.ones((5, 6, 7)))
    np.save(tmp_path / "f.npy", DATA * 1j)
    messages = {"a.npy": "Python objects", "b.npz": "not a readable .npz", "c.npy": "truncated"}
    messages |= dict.fromkeys(("d.npy", "e.npy", "f.npy"), "no time courses")
    for name, message in messages.items():
        with pytest.raises(InputError, match=message):
            formats.read(f"{tmp_path / name}:250Hz")
    assert not (tmp_path / "sprung").exists()


def test_what_does_not_agree_or_is_not_known_is_noted(tmp_path):
    np.savez(tmp_path / "a.npz", data=DATA, fs=200.0)
    side = {"sampling_rate": 250, "unit": "furlong", "channels": list("aabcde")}
    (tmp_path / "a.json").write_text(json.dumps(side))
    image = formats.read(tmp_path / "a.npz")
    assert rate_of(image) == 200.0
    rate, names, unit = image.notes
    assert rate == "a.json says 250 Hz, the file itself 200 Hz, which was believed"
    assert "given twice, first 'a'" in names
    assert "the unit 'furlong' is not known here" in unit
    assert len(formats.read(f"{tmp_path / 'a.npz'}:data@125Hz").notes) == 2


def test_a_list_beside_a_map_makes_no_recording_of_it(tmp_path):
    np.save(tmp_path / "map.npy", np.ones((100, 120), "f4"))
    (tmp_path / "map.json").write_text("[1]")
    assert formats.read(tmp_path / "map.npy").kind == "scene"
