import subprocess
import sys

import mne
import numpy as np
import pytest

from tests.bti_maker import save_bti
from tests.ctf_maker import save_ctf
from tests.kit_maker import save_kit
from tests.recording_maker import EVENTS, MARKS, RATE, raw, save_raw, signals
from workbench.core.errors import InputError, NothingFound
from workbench.data import formats
from workbench.recording.data.prepare import RecordingRecipe, prepare
from workbench.recording.data.recording import open_recording


@pytest.mark.parametrize(("dated", "first"), [(True, 0), (True, 1234), (False, 0), (False, 777)])
def test_everything_travels_with_a_raw_fif(tmp_path, dated, first):
    path = save_raw(tmp_path / "a_raw.fif", dated=dated, first=first)
    image = formats.read(path)
    truth = raw()
    assert (image.kind, image.format, image.modality, image.value_unit) == ("recording", "fif", "MEG", None)
    assert image.channels == tuple(truth.ch_names)
    assert (image.geometry.shape, image.geometry.axes, image.geometry.unit) == ((6000,), ("time",), "s")
    np.testing.assert_allclose(image.geometry.affine, [[1 / RATE, 0], [0, 1]])
    header = image.header
    assert header["kinds"][:1] + header["kinds"][8:9] + header["kinds"][-3:] == ["mag", "eeg", "eog", "ecg", "stim"]
    assert (header["bads"], header["sampling_rate"], header["line_freq"]) == (["MEG 0002"], RATE, 50.0)
    assert (header["n_annotations"], header["has_positions"], header["duration_s"]) == (3, True, 12.0)
    assert "Doe" not in str(header)
    recording = open_recording(image)
    found = [(m.onset, m.duration, m.label, m.channels) for m in recording.marks]
    for mark, expected in zip(found, MARKS, strict=True):
        assert mark[0] == pytest.approx(expected[0], abs=1e-3)
        assert mark[1:] == (pytest.approx(expected[1]), expected[2], expected[3])
    assert [(round(t, 3), int(code)) for t, code in recording.events] == list(EVENTS)
    np.testing.assert_allclose(recording.positions[:8], [c["loc"][:3] for c in truth.info["chs"][:8]], atol=1e-7)
    assert np.isnan(recording.positions[-1]).all()
    np.testing.assert_allclose(image.data, truth.get_data(), rtol=1e-6, atol=1e-20)


def test_pieces_are_read_from_disk_in_the_order_asked_for(tmp_path):
    recording = open_recording(formats.read(save_raw(tmp_path / "a_raw.fif")))
    whole = raw().get_data()
    np.testing.assert_allclose(recording.read(100, 350), whole[:, 100:350], rtol=1e-6)
    part = recording.read(5990, None, ["Cz", "MEG 0003", 0])
    np.testing.assert_allclose(part, whole[[9, 2, 0], 5990:], rtol=1e-6)
    assert part.dtype == np.float32
    assert not recording.raw().preload
    assert recording.read(7, 7).shape == (15, 0)
    with pytest.raises(InputError, match="samples 0 to 6001 were asked for, the recording has 0 to 6000"):
        recording.read(0, 6001)
    with pytest.raises(InputError, match=r"no channel 'MEG 003'. Did you mean 'MEG 0003'"):
        recording.read(0, 5, ["MEG 003"])


def test_split_files_are_one_recording_and_one_case(tmp_path):
    big = raw(seconds=60.0, rate=1000.0)
    big.save(tmp_path / "long_raw.fif", split_size="2MB", buffer_size_sec=1.0, verbose="ERROR")
    parts = sorted(p.name for p in tmp_path.iterdir())
    assert parts == ["long_raw-1.fif", "long_raw-2.fif", "long_raw-3.fif", "long_raw.fif"]
    image = formats.read(tmp_path / "long_raw.fif")
    assert image.geometry.shape == (60000,)
    assert sorted(p.name for p in image.native.files) == parts
    np.testing.assert_allclose(open_recording(image).read(50000, 60000), big.get_data()[:, 50000:], rtol=1e-6)
    assert formats.is_companion(tmp_path / "long_raw-3.fif")
    assert not formats.is_companion(tmp_path / "long_raw.fif")
    for name in ("sub-1_raw.fif", "sub-1_raw-1.fif"):
        (tmp_path / name).touch()
    assert formats.is_companion(tmp_path / "sub-1_raw-1.fif")  # the number of the subject is not that of the part
    assert not formats.is_companion(tmp_path / "sub-1_raw.fif")
    for name in ("sub-1_raw.fif", "sub-1_raw-1.fif"):
        (tmp_path / name).unlink()
    from workbench.batch.inputs import expand

    assert [c.image.name for c in expand([str(tmp_path)])] == ["long_raw.fif"]
    (tmp_path / "long_raw-2.fif").unlink()
    with pytest.raises(
        InputError, match=r"long_raw\.fif: cut off, .* it goes on in long_raw-2\.fif, which is not beside it"
    ):
        formats.read(tmp_path / "long_raw.fif")


def test_epochs_follow_each_other_with_their_events(tmp_path):
    source = raw()
    events = mne.find_events(source, verbose="ERROR")
    epochs = mne.Epochs(
        source, events, {"face": 1, "house": 2}, -0.2, 0.5, baseline=None, preload=True, verbose="ERROR"
    )
    epochs.save(tmp_path / "a-epo.fif", verbose="ERROR")
    image = formats.read(tmp_path / "a-epo.fif")
    width = len(epochs.times)
    assert (image.header["what"], image.header["n_epochs"]) == ("epochs", 3)
    assert image.geometry.shape == (3 * width,)
    np.testing.assert_allclose(
        image.data, np.concatenate(list(epochs.get_data(picks=np.arange(15))), axis=1), rtol=1e-6
    )
    recording = open_recording(image)
    assert recording.segments == ((0, width), (width, 2 * width), (2 * width, 3 * width))
    assert [label for _, label in recording.events] == ["face", "house", "face"]
    assert [t for t, _ in recording.events] == pytest.approx([0.2 + n * width / RATE for n in range(3)])
    part = recording.read(width - 5, width + 7, ["Cz"])
    np.testing.assert_allclose(part, image.data[[9], width - 5 : width + 7])


def test_evoked_responses_are_chosen_like_series(tmp_path):
    source = raw()
    events = mne.find_events(source, verbose="ERROR")
    epochs = mne.Epochs(
        source, events, {"face": 1, "house": 2}, -0.2, 0.5, baseline=None, preload=True, verbose="ERROR"
    )
    evokeds = [epochs[name].average(picks="all") for name in ("face", "house")]
    mne.write_evokeds(tmp_path / "a-ave.fif", evokeds, verbose="ERROR")
    rows = formats.info(tmp_path / "a-ave.fif")
    assert [(r["series"], r["description"], r["n_series"]) for r in rows] == [(1, "face", 2), (2, "house", 2)]
    image = formats.read(tmp_path / "a-ave.fif", series="house")
    assert image.header["condition"] == "house"
    assert float(image.geometry.affine[0, 1]) == pytest.approx(-0.2)
    np.testing.assert_allclose(image.data, evokeds[1].data, rtol=1e-6)
    np.testing.assert_array_equal(formats.read(tmp_path / "a-ave.fif", series=2).data, image.data)
    with pytest.raises(InputError, match=r"holds 2 recordings, choose one with --series.*\[1\] face; \[2\] house"):
        formats.read(tmp_path / "a-ave.fif")
    with pytest.raises(InputError, match="no recording matches --series hose"):
        formats.read(tmp_path / "a-ave.fif", series="hose")
    with pytest.raises(InputError, match="holds one recording. Leave it out"):
        formats.read(save_raw(tmp_path / "b_raw.fif"), series=1)


@pytest.mark.parametrize("suffix", [".edf", ".vhdr"])
def test_edf_and_brainvision(tmp_path, suffix):
    source = raw(n_meg=0, n_eeg=6, seconds=10.0, extras=False)
    source.set_meas_date(None)
    mne.export.export_raw(tmp_path / f"a{suffix}", source, verbose="ERROR")
    image = formats.read(tmp_path / f"a{suffix}")
    assert (image.format, image.modality, image.value_unit) == (suffix[1:].replace("vhdr", "brainvision"), "EEG", "V")
    assert image.channels == tuple(source.ch_names)
    assert image.geometry.shape[0] == 5000
    np.testing.assert_allclose(image.data, source.get_data(), atol=2e-8)
    labels = [m.label for m in open_recording(image).marks]
    assert any("movement" in label for label in labels)
    assert any("movement" in label for _, label in open_recording(image).events)


def test_edf_channels_of_several_rates_are_read_in_pieces_as_whole(tmp_path):
    import edfio

    times = [np.arange(40 * rate) / rate for rate in (256, 64)]
    waves = [50 * np.sin(2 * np.pi * 10.3 * t) for t in times]
    fast, slow = (edfio.EdfSignal(w, r, label=n, physical_dimension="uV")
                  for w, r, n in zip(waves, (256, 64), ("EEG Fz", "EEG Pz"), strict=True))  # fmt: skip
    edfio.Edf([fast, slow]).write(tmp_path / "a.edf")
    image = formats.read(tmp_path / "a.edf")
    assert "channels of lower sampling rates were brought to 256 Hz" in image.notes
    recording = open_recording(image)
    whole = recording.read()
    np.testing.assert_allclose(whole[0], waves[0] * 1e-6, atol=1e-8)
    np.testing.assert_allclose(whole[1][500:-500], whole[0][500:-500], atol=5e-7)
    # MNE's Fourier resampling rings at the ends of a file, whatever is read.
    for start, stop in ((200, 1000), (1000, 2000), (3333, 3334), (5000, 10040)):
        np.testing.assert_allclose(recording.read(start, stop), whole[:, start:stop], atol=1e-6)
        np.testing.assert_allclose(recording.read(start, stop, [1]), whole[1:, start:stop], atol=1e-6)
    edfio.Edf([fast, fast]).write(tmp_path / "b.edf")
    assert not any("lower sampling" in w for w in formats.read(tmp_path / "b.edf").notes)


def test_bdf(tmp_path):
    import edfio

    data = 1e6 * raw(n_meg=0, n_eeg=2, seconds=4.0, extras=False).get_data()
    edfio.Bdf([edfio.BdfSignal(row, 500, label=n, physical_dimension="uV") for row, n in zip(data, "AB", strict=True)]
              ).write(tmp_path / "a.bdf")  # fmt: skip
    image = formats.read(tmp_path / "a.bdf")
    assert (image.format, image.channels) == ("bdf", ("A", "B"))
    np.testing.assert_allclose(image.data, 1e-6 * data, atol=1e-9)


def test_real_recordings(shared_data):
    folder = shared_data / "meg"
    ctf = formats.read(folder / "ctf_raw.fif")
    assert (len(ctf.channels), ctf.geometry.shape, ctf.header["kinds"].count("mag")) == (340, (241,), 274)
    assert (ctf.header["highpass"], ctf.header["lowpass"], ctf.value_unit) == (1.0, 45.0, "T")
    bti = formats.read(folder / "bti_raw.fif")
    assert (bti.header["kinds"].count("mag"), bti.geometry.shape) == (248, (678,))
    assert bti.header["sampling_rate"] == pytest.approx(678.17, abs=0.01)
    rows = formats.info(folder / "neuromag_evoked-ave.fif.gz")
    assert [r["description"] for r in rows] == ["Left Auditory", "Right Auditory", "Left visual", "Right visual"]
    evoked = formats.read(folder / "neuromag_evoked-ave.fif.gz", series=3)
    assert (evoked.name, evoked.geometry.shape, len(evoked.channels)) == ("neuromag_evoked-ave", (421,), 376)
    theirs = mne.read_evokeds(folder / "neuromag_evoked-ave.fif.gz", 2, proj=False, verbose="ERROR")
    np.testing.assert_allclose(evoked.data, theirs.data, rtol=1e-6)


@pytest.mark.parametrize("share", [0.0005, 0.02, 0.3, 0.6, 0.95, 0.9999])
def test_truncated_fif_is_said_before_anything_is_read(tmp_path, share):
    body = save_raw(tmp_path / "a_raw.fif").read_bytes()
    (tmp_path / "b_raw.fif").write_bytes(body[: int(len(body) * share)])
    with pytest.raises(InputError, match=r"b_raw\.fif: truncated FIF file: .* Copy or export it again") as error:
        formats.read(tmp_path / "b_raw.fif")
    assert "\n" not in str(error.value)


def test_broken_and_foreign_files_are_named_in_one_line(tmp_path, shared_data):
    whole = (shared_data / "meg" / "neuromag_evoked-ave.fif.gz").read_bytes()
    (tmp_path / "a-ave.fif.gz").write_bytes(whole[:-5000])
    (tmp_path / "b_raw.fif").write_bytes(b"")
    (tmp_path / "c_raw.fif").write_bytes(b"nonsense" * 100)
    mne.write_events(tmp_path / "d-eve.fif", np.array([[1, 0, 1]]), verbose="ERROR")
    (tmp_path / "d-eve.fif").rename(tmp_path / "d_raw.fif")
    (tmp_path / "e.edf").write_bytes(b"0       " + b"x" * 300)
    (tmp_path / "f.con").write_bytes(b"\0" * 500)
    (tmp_path / "g.vhdr").write_text("Brain Vision\n")
    (tmp_path / "h.ds").mkdir()
    (tmp_path / "h.ds" / "h.res4").write_bytes(b"\0" * 100)
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / "config").write_bytes(b"\0" * 100)
    (tmp_path / "i" / "c,rfDC").write_bytes(b"\0" * 100)
    messages = {
        "a-ave.fif.gz": "truncated or damaged .gz",
        "b_raw.fif": "the file is empty",
        "c_raw.fif": "not a FIF file",
        "d_raw.fif": "holds no recording",
        "e.edf": "the number of channels is 'xxxx', expected a whole number",
        "f.con": "a table of 0 blocks, expected 27 to 1024",
        "g.vhdr": "DataFile is missing",
        "h.ds": "cut off: 100 bytes, expected at least 1844",
        "i": "i/config: the number of channels is '0', expected a whole number",
    }
    for name, message in messages.items():
        assert formats.is_readable(tmp_path / name)
        with pytest.raises(InputError, match=message) as error:
            formats.info(tmp_path / name)
        assert name in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(NothingFound):
        formats.read(tmp_path / "nothing.fif")


def test_side_files_are_no_recordings(tmp_path):
    for name in ("a-eve.fif", "a-annot.fif", "a-cov.fif", "a-fwd.fif", "a-ica.fif", "a-trans.fif", "a_proj.fif"):
        (tmp_path / name).write_bytes(b"x")
        assert not formats.is_readable(tmp_path / name)
    (tmp_path / "a_raw.fif").write_bytes(b"x")
    assert formats.is_readable(tmp_path / "a_raw.fif")


def test_interrupted_acquisition_splits_the_recording(tmp_path):
    source = raw()
    source.set_annotations(mne.Annotations([3.0, 8.0], [1.0, 0.0], ["BAD_ACQ_SKIP", "EDGE boundary"]))
    source.save(tmp_path / "a_raw.fif", verbose="ERROR")
    recording = open_recording(formats.read(tmp_path / "a_raw.fif"))
    assert recording.segments == ((0, 1500), (2000, 4000), (4000, 6000))


def test_active_shielding_is_said(tmp_path):
    source = raw()
    with source.info._unlock():
        source.info["maxshield"] = True
    source.save(tmp_path / "a_raw.fif", verbose="ERROR")
    image = formats.read(tmp_path / "a_raw.fif")
    assert image.notes == ("recorded with internal active shielding, which Maxwell filtering must undo first",)
    np.testing.assert_allclose(image.data, source.get_data(), rtol=1e-6)
    assert not formats.read(save_raw(tmp_path / "b_raw.fif")).notes


def test_headers_need_neither_torch_nor_monai(tmp_path):
    path = save_raw(tmp_path / "a_raw.fif")
    code = f"""
import sys, workbench as wb
row, = wb.info({str(path)!r})
assert row["kind"] == "recording" and row["header"]["sampling_rate"] == 500.0
wb.read({str(path)!r})
assert not {{"torch", "monai", "napari", "sklearn", "matplotlib"}} & set(sys.modules), "too much was imported"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_damaged_bytes_end_in_one_line_or_in_a_recording(tmp_path):
    body = save_raw(tmp_path / "a_raw.fif", seconds=2.0, n_meg=4, n_eeg=2).read_bytes()
    rng = np.random.default_rng(0)
    refused = []
    for number in range(120):
        damaged = bytearray(body)
        for place in rng.integers(0, len(body) if number % 2 else 12_000, 4):
            damaged[place] = rng.integers(256)
        (tmp_path / "b_raw.fif").write_bytes(damaged)
        try:
            _ = formats.read(tmp_path / "b_raw.fif").data
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 5
    assert all("b_raw.fif" in text and "\n" not in text for text in refused)


def test_a_ctf_folder_is_one_recording(tmp_path):
    data = signals(5, 4.0, 600.0)
    trigger = np.zeros(2400)
    trigger[600:630] = 3
    (tmp_path / "study").mkdir()
    folder = save_ctf(tmp_path / "study" / "sub1.ds", data, trigger)
    assert formats.is_readable(folder)
    (row,) = formats.info(folder)
    assert (row["format"], row["kind"], row["modality"]) == ("ctf", "recording", "MEG")
    image = formats.read(folder)
    assert image.channels[:2] == ("MLC01-1706", "MLC02-1706")
    assert image.header["kinds"] == ["mag"] * 5 + ["ref_meg", "stim"]
    assert (image.header["sampling_rate"], image.geometry.shape) == (600.0, (2400,))
    np.testing.assert_allclose(image.data[:5], data, atol=1e-15)
    recording = open_recording(image)
    np.testing.assert_allclose(recording.read(1190, 1215, [2, 0]), data[[2, 0], 1190:1215], atol=1e-15)
    assert [(round(t, 3), k) for t, k in recording.events] == [(1.0, "3")]
    assert [(round(m.onset, 3), m.label) for m in recording.marks] == [(0.5, "blink")]
    assert recording.positions.shape == (7, 3)
    assert np.isfinite(recording.positions[:5]).all()
    assert not recording.raw().preload
    from workbench.batch.inputs import expand

    assert [c.id for c in expand([str(tmp_path / "study")])] == ["sub1"]
    assert {f.suffix for f in image.native.files} >= {".res4", ".meg4", ".hc"}
    made = prepare(image, RecordingRecipe())
    assert made.data.shape == (5, 1000)
    samples = folder / "sub1.meg4"
    samples.write_bytes(samples.read_bytes()[:-1000])
    with pytest.raises(
        InputError, match=r"sub1.ds: cut off, .* promises 2400 samples, its files hold 1200 and 32600 of"
    ):
        formats.read(folder)


@pytest.mark.parametrize("suffix", [".con", ".sqd"])
def test_a_kit_file(tmp_path, suffix):
    data = signals(5, 4.0, 500.0)
    trigger = np.full(2000, 4.0)
    trigger[500:520] = 0
    path = save_kit(tmp_path / f"a{suffix}", data, trigger)
    image = formats.read(path)
    assert (image.format, image.modality, image.header["sampling_rate"]) == ("kit", "MEG", 500.0)
    assert image.header["kinds"] == ["mag"] * 5 + ["misc", "stim"]
    np.testing.assert_allclose(image.data[:5], data, atol=1e-16)
    recording = open_recording(image)
    np.testing.assert_allclose(recording.read(1000, 1010, ["A003"]), data[[2], 1000:1010], atol=1e-16)
    assert [(round(t, 3), k) for t, k in recording.events] == [(1.0, "1")]
    assert np.isfinite(recording.positions[:5]).all()
    assert prepare(image, RecordingRecipe()).channels == ("A001", "A002", "A003", "A004", "A005")
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InputError, match=f"a{suffix}: "):
        _ = formats.read(path).data


def test_a_bti_folder_is_one_recording(tmp_path):
    data = signals(5, 4.0, 500.0)
    trigger = np.zeros(2000)
    trigger[500:520] = 7
    (tmp_path / "study").mkdir()
    folder = save_bti(tmp_path / "study" / "run1", data, trigger)
    assert formats.is_readable(folder)
    image = formats.read(folder)
    assert (image.format, image.modality, image.header["kinds"]) == ("bti", "MEG", ["mag"] * 5 + ["stim"])
    assert image.header["sampling_rate"] == pytest.approx(500.0, rel=1e-6)
    np.testing.assert_allclose(image.data[:5], data, rtol=1e-5, atol=1e-19)
    recording = open_recording(image)
    np.testing.assert_array_equal(recording.read(700, 710, [3]), image.data[[3], 700:710])
    assert [(round(t, 3), k) for t, k in recording.events] == [(1.0, "7")]
    assert np.isfinite(recording.positions[:5]).all()
    from workbench.batch.inputs import expand

    assert [c.id for c in expand([str(tmp_path / "study")])] == ["run1"]
    assert prepare(image, RecordingRecipe()).data.shape == (5, 1000)
    assert "secret" not in str(image.header)
    (folder / "c,rfDC").write_bytes((folder / "c,rfDC").read_bytes()[:-3000])
    with pytest.raises(InputError, match=r"run1/c,rfDC: cut off: its header should begin at byte"):
        _ = formats.read(folder).data
