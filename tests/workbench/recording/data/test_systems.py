"""EEGLAB, Neuroscan and EGI files: samples, names, kinds and events as MNE gives them, or one line of why not."""

import gc
import struct
from pathlib import Path

import mne
import numpy as np
import pytest
from scipy import io

import workbench as wb
from tests import cnt_maker, eeglab_maker, egi_maker
from workbench.cli import run
from workbench.core import kinds
from workbench.core.errors import InputError, NothingFound
from workbench.core.layers import to_layers
from workbench.data import formats
from workbench.recording import open_recording
from workbench.recording.data import bids

EVENTS = [(50, "left"), (120, "right"), (300, "boundary"), (400, "left")]
ROUNDING = 3e-7  # of single precision, in which samples are stored and given


def told(reference):
    """Name, kind and place of the channels, rate and annotations of MNE's object."""
    places = [tuple(np.nan_to_num(ch["loc"][:3], nan=-9)) for ch in reference.info["chs"]]
    a = reference.annotations
    marks = [(o, d, str(t)) for o, d, t in zip(a.onset, a.duration, a.description, strict=True)]
    return reference.ch_names, reference.get_channel_types(), places, reference.info["sfreq"], marks


def same_as(path, reference, *, factor=1.0):
    """Compare, and give the image."""
    image = wb.read(path)
    recording = open_recording(image)
    np.testing.assert_allclose(image.data, (reference.get_data() * factor).astype("f4"), rtol=ROUNDING, atol=0)
    names, types, places, rate, marks = told(reference)
    assert (list(recording.channels), list(recording.kinds), recording.rate) == (names, types, rate)
    np.testing.assert_allclose(told(recording.raw())[2], places)
    found = [(m.onset, m.duration, m.label) for m in recording.marks]
    assert [m[2] for m in found] == [m[2] for m in sorted(marks)]
    np.testing.assert_allclose([m[:2] for m in found], [m[:2] for m in sorted(marks)])
    for start, stop in ((0, 9), (3, 17), (5, 8), (190, 200), (13, 199)):
        np.testing.assert_array_equal(recording.read(start, stop), image.data[:, start:stop])
    return image


@pytest.mark.parametrize("version", [5, 7.3])
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("flat", [False, True])
def test_eeglab_continuous(version, beside, flat, tmp_path):
    fields = eeglab_maker.fields(eeglab_maker.signals(), events=EVENTS)
    eeglab_maker.save(tmp_path / "mne.set", fields)  # MNE needs pymatreader for MATLAB 7.3
    reference = mne.io.read_raw_eeglab(tmp_path / "mne.set", eog="auto", verbose="ERROR")
    image = same_as(eeglab_maker.save(tmp_path / "a.set", fields, version=version, beside=beside, flat=flat), reference)
    recording = open_recording(image)
    assert recording.events == [(0.5, "left"), (1.2, "right"), (4.0, "left")]
    assert recording.segments == ((0, 300), (300, 500)), "no filter looks across what was cut out"
    assert image.notes == ()
    assert set(image.native.files) == {tmp_path / "a.set", *([tmp_path / "a.fdt"] if beside else [])}


@pytest.mark.parametrize("version", [5, 7.3])
@pytest.mark.parametrize("beside", [False, True])
def test_eeglab_epochs(version, beside, tmp_path):
    events = [(80 * n + 20, "ab"[n % 2]) for n in range(6)]
    fields = eeglab_maker.fields(eeglab_maker.signals(samples=80, trials=6), trials=6, first=-0.2, events=events)
    fields["epoch"] = [{"event": n + 1.0, "eventtype": kind, "eventlatency": 0.0} for n, (_, kind) in enumerate(events)]
    image = wb.read(eeglab_maker.save(tmp_path / "a.set", fields, version=version, beside=beside))
    eeglab_maker.save(tmp_path / "mne.set", fields)
    reference = mne.read_epochs_eeglab(tmp_path / "mne.set", eog="auto", verbose="ERROR")
    recording = open_recording(image)
    whole = np.concatenate(list(reference.get_data()), axis=1)
    np.testing.assert_allclose(image.data, whole.astype("f4"), rtol=ROUNDING, atol=0)
    assert (recording.what, recording.segments) == ("epochs", tuple((80 * n, 80 * n + 80) for n in range(6)))
    names = {code: name for name, code in reference.event_id.items()}
    zeros = [(n * 0.8 - reference.tmin, names[code]) for n, code in enumerate(reference.events[:, 2])]
    assert [e[1] for e in recording.events] == [e[1] for e in zeros]
    np.testing.assert_allclose([e[0] for e in recording.events], [e[0] for e in zeros])
    assert image.header["n_epochs"] == 6
    assert image.header["epoch_s"] == pytest.approx(0.8)


@pytest.mark.parametrize("version", [5, 7.3])
def test_eeglab_of_one_channel_one_event_and_odd_names(version, tmp_path):
    one = eeglab_maker.fields(eeglab_maker.signals(1), names=("Cz",), events=[(7, "x")])
    recording = open_recording(wb.read(eeglab_maker.save(tmp_path / "a.set", one, version=version)))
    assert (recording.channels, recording.events) == (("Cz",), [(0.07, "x")])
    odd = eeglab_maker.fields(eeglab_maker.signals(), names=("Ä", "Fz", "", "Cz"), events=[(7, 3.0), (9, 2.5)])
    odd["event"][0]["duration"] = np.empty((0, 0))
    image = wb.read(eeglab_maker.save(tmp_path / "b.set", odd, version=version))
    assert image.channels == ("Ä", "Fz", "EEG 002", "Cz")
    assert open_recording(image).events == [(0.07, "3"), (0.09, "2.5")]
    assert image.notes == ("1 channel(s) without a name were called by their numbers",)
    none = eeglab_maker.fields(eeglab_maker.signals(), names=())
    assert wb.read(eeglab_maker.save(tmp_path / "c.set", none, version=version)).channels[1] == "EEG 001"


def test_eeglab_doubles_and_whole_numbers(tmp_path):
    for stored in ("f8", "i2"):
        fields = eeglab_maker.fields(eeglab_maker.signals(), places=False)
        fields["data"] = fields["data"].astype(stored)
        path = eeglab_maker.save(tmp_path / "a.set", fields, packed=True)
        same_as(path, mne.io.read_raw_eeglab(path, eog="auto", verbose="ERROR"))


def test_eeglab_samples_under_another_name(tmp_path):
    fields = eeglab_maker.fields(eeglab_maker.signals())
    eeglab_maker.save(tmp_path / "old.set", fields, beside=True)
    (tmp_path / "old.set").rename(tmp_path / "new.set")
    (tmp_path / "old.fdt").rename(tmp_path / "new.fdt")
    image = wb.read(tmp_path / "new.set")
    assert image.notes == ("EEG.data is 'old.fdt', which is not there: new.fdt was taken",)
    before = image.data
    fields["data"] = fields["data"][::-1]
    fields["data"].ravel(order="F").tofile(tmp_path / "new.fdt")
    assert not np.array_equal(wb.read(tmp_path / "new.set").data, before), "not the samples of before"
    (tmp_path / "new.fdt").unlink()
    with pytest.raises(InputError, match="EEG.data is 'old.fdt', which is not there, nor is new.fdt"):
        wb.read(tmp_path / "new.set")
    (tmp_path / "new.fdt").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="expected a regular file"):
        wb.read(tmp_path / "new.set")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nbchan": 5.0}, r"EEG.data is of the shape 4 x 500, its header promises 5 x 500 x 1"),
        ({"pnts": 400.0}, r"EEG.data is of the shape 4 x 500, its header promises 4 x 400 x 1"),
        ({"trials": 2.0}, "its header promises 4 x 500 x 2"),
        ({"srate": 0.0}, "EEG.srate is 0, expected a positive number"),
        ({"srate": np.nan}, "EEG.srate is nan, expected a positive number"),
        ({"pnts": -1.0}, "EEG.pnts is -1, expected a whole number from 1"),
        ({"pnts": "x"}, "EEG.pnts is 'x', expected a whole number"),
        ({"chanlocs": [{"labels": "Fz"}] * 3}, "EEG.chanlocs lists 3 channels, EEG.nbchan is 4"),
        ({"event": [{"type": "x", "latency": -3.0}]}, "an event of EEG.event at sample -3"),
        ({"data": "../a.fdt"}, "which is not there"),
        ({"data": "a.dat"}, "an old format of EEGLAB. Open the file there"),
        ({"data": {"x": 1.0}}, "EEG.data is missing, or no array of numbers"),
    ],
)
@pytest.mark.parametrize("version", [5, 7.3])
def test_eeglab_that_cannot_be(changes, words, version, tmp_path):
    fields = eeglab_maker.fields(eeglab_maker.signals()) | changes
    eeglab_maker.save(tmp_path / "a.set", fields, version=version)
    with pytest.raises(InputError, match=words) as caught:
        wb.read(tmp_path / "a.set")
    assert str(tmp_path / "a.set") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_eeglab_doubtful_fields_are_said(tmp_path):
    fields = eeglab_maker.fields(eeglab_maker.signals(), events=[(5, "a"), (6, "b")]) | {"srate": 250.0}
    fields["event"][0]["latency"] = np.nan
    image = wb.read(eeglab_maker.save(tmp_path / "a.set", fields))
    assert image.notes == (
        "EEG.xmin and EEG.xmax are 4.99 s apart, its 500 samples at 250 Hz 1.996 s: EEG.srate was believed",
        "1 event(s) without a time were left out",
    )


def test_a_list_of_data_sets_is_none(tmp_path):
    io.savemat(tmp_path / "a.set", {"ALLEEG": {"nbchan": 3.0}}, appendmat=False)
    with pytest.raises(InputError, match="holds a list of data sets"):
        wb.read(tmp_path / "a.set")
    io.savemat(tmp_path / "b.set", {"x": 3.0}, appendmat=False)
    with pytest.raises(InputError, match="has no structure EEG in it"):
        wb.read(tmp_path / "b.set")


def test_a_data_set_of_eeglab_in_bids(tmp_path):
    (tmp_path / "dataset_description.json").write_text("{}", encoding="utf-8")
    folder = tmp_path / "sub-01" / "eeg"
    folder.mkdir(parents=True)
    path = folder / "sub-01_task-rest_eeg.set"
    eeglab_maker.save(path, eeglab_maker.fields(eeglab_maker.signals(), events=[(3, "own")]), beside=True)
    (folder / "sub-01_task-rest_events.tsv").write_text("onset\tduration\ttrial_type\n1.0\t0\tgo\n", encoding="utf-8")
    assert [p.name for p in bids.recordings(tmp_path)] == [path.name]
    (row,) = formats.info(tmp_path)
    assert row["format"] == "eeglab"
    assert open_recording(wb.read(tmp_path)).events == [(1.0, "go")], "the table stands in place of those of the file"


NAMES = ("Fz", "Cz", "Pz", "HEOG")


def whole_numbers(channels, samples=600):
    return np.random.default_rng(0).integers(-3000, 3000, (channels, samples))


@pytest.mark.parametrize("options", [{}, {"width": 4, "kind": 2}, {"block": 10}, {"width": 4, "block": 40}])
def test_neuroscan(options, tmp_path):
    path = cnt_maker.save(tmp_path / "a.cnt", whole_numbers(4), NAMES, [(20, 1), (400, 7)], **options)
    reference = mne.io.read_raw_cnt(path, eog="auto", ecg="auto", emg="auto", verbose="ERROR")
    image = same_as(path, reference)
    volt = (whole_numbers(4) - np.arange(4)[:, None]) * (10 + np.arange(4)[:, None]) * 1.5 / 204.8 * 1e-6
    np.testing.assert_allclose(image.data, volt, rtol=1e-6)
    assert open_recording(image).events == [(0.08, "1"), (1.6, "7")]
    assert image.notes == ()
    assert image.native.files == (path,)


def test_neuroscan_that_cannot_be(tmp_path):
    path, whole = tmp_path / "a.cnt", whole_numbers(4)

    def refused(words, content=None, **options):
        if content is None:
            cnt_maker.save(path, whole, NAMES, [(20, 1)], **options)
        else:
            path.write_bytes(content)
        for verb in (wb.read, formats.info):
            with pytest.raises(InputError, match=words) as caught:
                verb(path)
            assert str(path) in str(caught.value)
            assert "\n" not in str(caught.value)

    refused("promises 599 samples of 4 channels, 4800 bytes lie before its list of events", samples=599)
    refused("promises 0 samples", samples=0)
    content = cnt_maker.save(path, whole, NAMES, [(20, 1)]).read_bytes()
    refused("list of events takes 8 bytes", content[:-1])
    refused("cut off: its samples lie between byte 1200", content[:3000])
    refused("500 bytes of a Neuroscan header", content[:500])
    flat = bytearray(content)
    struct.pack_into("<f", flat, 900 + 75 + 59, 0.0)
    refused("channel 2 has the sensitivity 0", bytes(flat))
    blocks = bytearray(content)
    struct.pack_into("<i", blocks, 894, 14)
    refused("samples in blocks of 14 bytes a channel, into which its 600 samples", bytes(blocks))


def test_neuroscan_dates_and_times_that_can_be_two(tmp_path):
    path = cnt_maker.save(tmp_path / "a.cnt", whole_numbers(4), NAMES, [(200, 1)], date=b"04/05/11", kind=3)
    assert wb.read(path).notes == (
        "its date 04/05/11 was read as month/day/year",
        "events of type 3: their times are those that MNE gives, which may be 0.6 s too early",
    )


def pulses(samples, *places):
    return np.isin(np.arange(samples), places) * 1


def microvolt(channels=5, samples=600):
    return np.random.default_rng(0).normal(0, 20, (channels, samples))


@pytest.mark.parametrize(("version", "amplifier"), [(4, {}), (6, {}), (2, {}), (2, {"bits": 12, "span": 400})])
def test_egi_simple_binary(version, amplifier, tmp_path):
    stored = whole_numbers(5) if version == 2 else microvolt()
    events = {"DIN1": pulses(600, 50, 300), "resp": pulses(600, 100)}
    path = egi_maker.save(tmp_path / "a.raw", stored, events, version=version, **amplifier)
    reference = mne.io.read_raw_egi(path, events_as_annotations=True, verbose="ERROR")
    # MNE takes the range of the amplifier, which is in microvolt, for volt.
    factor = np.ones((7, 1))
    factor[:5] = 1e-6 if amplifier else 1
    image = same_as(path, reference, factor=factor)
    scale = 400 / 2**12 if amplifier else 1
    np.testing.assert_allclose(image.data[:5], stored * scale * 1e-6, rtol=1e-5)
    recording = open_recording(image)
    assert recording.events == [(0.2, "DIN1"), (0.4, "resp"), (1.2, "DIN1")]
    assert image.notes == ()
    assert image.native.files == (path,)


def test_egi_events_that_last_count_once(tmp_path):
    path = egi_maker.save(tmp_path / "a.raw", microvolt(), {"DIN1": pulses(600, 50, 51, 52, 300)})
    image = wb.read(path)
    assert open_recording(image).events == [(0.2, "DIN1"), (1.2, "DIN1")]
    assert image.notes == ("of events that last for several samples the first one was taken; 2 were left out",)


def test_egi_segments_in_a_continuous_file(tmp_path):
    events = {"epoc": pulses(600, 0, 200, 400), "tim0": pulses(600, 50, 250, 450), "DIN1": pulses(600, 50)}
    image = wb.read(egi_maker.save(tmp_path / "a.raw", microvolt(), events))
    recording = open_recording(image)
    assert recording.segments == ((0, 200), (200, 400), (400, 600))
    assert "epoc" not in {label for _, label in recording.events}
    assert image.notes == ("3 segments, by its events 'epoc': what lies between them is not joined",)


@pytest.mark.parametrize("amplifier", [{}, {"version": 2, "bits": 12, "span": 400}])
def test_egi_cut_off_is_read_when_asked_for(amplifier, tmp_path):
    stored = whole_numbers(5)
    path = egi_maker.save(tmp_path / "a.raw", stored, {"DIN1": pulses(600, 50)}, **amplifier)
    whole = wb.read(path).data
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match="its header promises 600 samples, its files hold 59"):
        wb.read(path)
    part = wb.read(path, allow_truncated=True)
    np.testing.assert_array_equal(part.data, whole[:, : part.data.shape[1]])
    assert 590 < part.data.shape[1] < 600
    assert "read in part, as asked for" in part.notes[0]


def test_egi_that_cannot_be(tmp_path):
    path = egi_maker.save(tmp_path / "a.raw", microvolt(), {"DIN1": pulses(600, 50)}, samples=599)
    with pytest.raises(InputError, match="promises 599 samples, its files hold 600"):
        wb.read(path)
    content = bytearray(egi_maker.save(path, microvolt()).read_bytes())
    content[:4] = struct.pack(">i", 5)
    path.write_bytes(content)
    with pytest.raises(InputError, match="cut into segments, which is not read here. Export it"):
        wb.read(path)


def test_fdt_cut_off_is_read_when_asked_for(tmp_path):
    fields = eeglab_maker.fields(eeglab_maker.signals(samples=80, trials=6), trials=6, events=[(20, "a"), (420, "b")])
    path = eeglab_maker.save(tmp_path / "a.set", fields, beside=True)
    whole, samples = wb.read(path).data, tmp_path / "a.fdt"
    samples.write_bytes(samples.read_bytes()[:-100])
    with pytest.raises(InputError, match="its header promises 480 samples, its files hold 473 and 12 of the 16 bytes"):
        wb.read(path)
    part = wb.read(path, allow_truncated=True)
    np.testing.assert_array_equal(part.data, whole[:, :400])
    assert len(open_recording(part).segments) == 5, "whole epochs only"
    assert any("400 samples were read" in note for note in part.notes)


@pytest.mark.parametrize("system", ["eeglab", "cnt", "egi"])
def test_a_copy_stays_as_long_as_it_is_read(system, tmp_path):
    if system == "eeglab":
        path = eeglab_maker.save(tmp_path / "a.set", eeglab_maker.fields(eeglab_maker.signals()))
    elif system == "cnt":
        path = cnt_maker.save(tmp_path / "a.cnt", whole_numbers(4), NAMES, block=10)
    else:
        path = egi_maker.save(tmp_path / "a.raw", whole_numbers(5), version=2, bits=12, span=400)
    raw = open_recording(wb.read(path)).raw()
    file = Path(raw.filenames[0])
    assert file.parent != path.parent
    other = raw.copy()
    del raw
    gc.collect()
    assert other.get_data().any(), "a copy of MNE's object reads it too"
    del other
    gc.collect()
    assert not file.parent.exists(), "or a batch would fill the disk"


def test_others_of_these_suffixes_are_left_alone(tmp_path):
    for name in ("a.set", "a.cnt", "a.raw"):
        path = tmp_path / name
        path.write_bytes(b"something else" * 90)
        assert kinds.RECORDING.sniff(path) == "no"
        with pytest.raises((InputError, NothingFound)):
            wb.read(path)
    cube = np.arange(24, dtype="u1").reshape(2, 3, 4)
    (tmp_path / "scene.raw").write_bytes(cube.tobytes())
    (tmp_path / "scene.hdr").write_text(
        "ENVI\nsamples = 3\nlines = 2\nbands = 4\ndata type = 1\ninterleave = bip\nbyte order = 0\n", encoding="utf-8"
    )
    assert wb.read(tmp_path / "scene.raw").kind == "scene"


def test_all_verbs_know_them(tmp_path, capsys):
    eeglab_maker.save(tmp_path / "a.set", eeglab_maker.fields(eeglab_maker.signals()), beside=True)
    cnt_maker.save(tmp_path / "b.cnt", whole_numbers(4), NAMES)
    egi_maker.save(tmp_path / "c.raw", microvolt())
    names = ["a.set", "b.cnt", "c.raw"]
    study = wb.study(tmp_path)
    assert [Path(case.image).name for case in study.cases] == names, "and the samples beside are no case"
    assert [wb.info(tmp_path / name)[0]["format"] for name in names] == ["eeglab", "cnt", "egi"]
    assert all(to_layers(wb.read(tmp_path / name)) for name in names)
    assert run(["predict", "meg_gpt", "-i", str(tmp_path), "-o", str(tmp_path / "out"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in names)
