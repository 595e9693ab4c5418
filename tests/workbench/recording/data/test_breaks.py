"""Interruptions that only a header knows, or that a format has words of its own for, become runs."""

import re

import mne
import numpy as np
import pytest

import workbench as wb
from tests.ctf_maker import save_ctf
from tests.edf_maker import save_edf
from tests.recording_maker import raw, signals
from workbench.core.errors import InputError
from workbench.core.types import Mark, Marks
from workbench.recording.data import edf_times
from workbench.recording.data.breaks import is_break, is_no_event, runs
from workbench.recording.data.recording import open_recording

GAP = [0, 1, 2, 3, 10, 11, 20.5, 21.5]
TEXTS = [
    (0, 1.25, 0, "before"), (3, 3.5, 4.0, "into the gap"), (4, 11.5, 0.25, "after"), (6, 5.0, 0, "where nothing is"),
    (6, 5.0, 6.0, "over the end of the gap"), (7, 21.75, 0, "late"), (1, 1.75, 0, "Blink@@EEG 2"),
]  # fmt: skip


def two_channels(records=8, rate=128):
    return signals(2, records, rate, scale=20.0)


@pytest.mark.parametrize(("kind", "jumping"), [("EDF+D", False), ("BDF+D", True), ("EDF+C", True)])
def test_records_with_times_of_their_own_are_not_joined(tmp_path, monkeypatch, kind, jumping):
    monkeypatch.setattr(edf_times, "_NARROW", 0 if jumping else 1 << 20)
    data = two_channels()
    path = save_edf(tmp_path / f"a.{kind[:3].lower()}", data, GAP, TEXTS, kind)
    image = wb.read(path)
    recording = open_recording(image)
    assert image.header["n_runs"] == 3
    assert recording.segments == ((0, 512), (512, 768), (768, 1024))
    found = [(round(m.onset, 6), round(m.duration, 6), m.label, m.channels) for m in recording.marks]
    assert found == [
        (1.25, 0.0, "before", ()), (1.75, 0.0, "Blink", ("EEG 2",)), (3.5, 0.5, "into the gap", ()),
        (4.0, 1.0, "over the end of the gap", ()), (5.5, 0.25, "after", ()), (7.25, 0.0, "late", ()),
    ]  # fmt: skip
    assert any(re.match(r"2 interruption\(s\) of 14.5 s", n) for n in image.notes)
    assert any(n.startswith("1 annotation(s) lie where nothing was recorded") for n in image.notes)
    assert not any("outside data range" in n for n in image.notes)
    assert any("says that it is continuous" in n for n in image.notes) == (kind == "EDF+C")
    assert np.allclose(recording.read(), data * 1e-6, atol=1e-8)
    # What MNE gets knows of the breaks, too: its filters do not reach over them.
    edges = [a["onset"] for a in recording.raw().annotations if a["description"].startswith("EDGE")]
    assert edges == pytest.approx([4.0, 6.0])


@pytest.mark.parametrize("begins", [range(8), np.arange(8) * 1.0005, np.arange(8) + 0.25])
def test_records_that_follow_each_other_are_one_run(tmp_path, begins):
    path = save_edf(tmp_path / "a.edf", two_channels(), list(begins), [(2, begins[2] + 0.5, 0, "x")])
    recording = open_recording(wb.read(path))
    assert recording.segments == ()
    assert [m.label for m in recording.marks] == ["x"]
    assert not wb.read(path).notes


def test_times_that_cannot_be_are_refused_where_they_matter(tmp_path):
    back = [0, 1, 2, 3, 1.5, 5, 6, 7]
    with pytest.raises(InputError, match=r"its record 5 begins at 1.5 s, before the one that begins at 3 s has ended"):
        wb.read(save_edf(tmp_path / "a.edf", two_channels(), back))
    still = save_edf(tmp_path / "b.edf", two_channels(), [0] * 8, kind="EDF+C")
    assert open_recording(wb.read(still)).segments == ()
    content = save_edf(tmp_path / "c.edf", two_channels(), GAP).read_bytes()
    (tmp_path / "c.edf").write_bytes(content.replace(b"+10\x14\x14\0", b"\0" * 6))
    with pytest.raises(InputError, match="its record 5 does not say when it began"):
        wb.read(tmp_path / "c.edf")


def test_slow_channels_are_read_as_a_whole(tmp_path):
    fast, slow = signals(1, 8, 128, scale=20.0)[0], signals(1, 8, 8, seed=1, scale=20.0)[0]
    path = save_edf(tmp_path / "a.edf", [fast, slow, slow], range(8), kind="EDF+C", counts=[128, 8, 8])
    recording = open_recording(wb.read(path))
    with mne.utils.use_log_level("ERROR"):
        whole = mne.io.read_raw_edf(path, preload=True, verbose="ERROR").get_data()
    for size in (50, 128, 333):
        parts = [recording.read(a, min(a + size, 1024)) for a in range(0, 1024, size)]
        assert np.abs(np.concatenate(parts, axis=1) - whole).max() < 1e-6 * whole.std()
    assert np.abs(recording.read(100, 300, [2, 0]) - whole[[2, 0], 100:300]).max() < 1e-6 * whole.std()


@pytest.mark.parametrize(("jump", "expected"), [(0, ()), (99 * 600, ((0, 600), (600, 1200))), (-300, ((0, 600),
                                                                                         (600, 1200)))])  # fmt: skip
def test_trials_of_ctf_whose_clock_jumps_are_runs(tmp_path, jump, expected):
    clock = np.arange(1, 1201) * 7 + 5000 * 7
    clock[600:] += jump * 7
    path = save_ctf(tmp_path / "a.ds", signals(3, 2.0, 600.0), np.zeros(1200), trials=2, clock=clock)
    image = wb.read(path)
    assert open_recording(image).segments == expected
    assert any("by the system clock" in n for n in image.notes) == bool(expected)
    assert open_recording(image).n_samples == 1200


def test_trials_of_ctf_without_a_clock_say_so(tmp_path):
    image = wb.read(save_ctf(tmp_path / "a.ds", signals(3, 2.0, 600.0), np.zeros(1200), trials=2))
    assert any("no system clock" in n for n in image.notes)


def test_a_pause_of_brainvision_is_a_break_and_no_event(tmp_path):
    source = raw(n_meg=0, n_eeg=4, seconds=8.0, extras=False)
    source.set_meas_date(None)
    source.set_annotations(mne.Annotations([1.0, 6.0], [0, 0], ["Stimulus/S  1", "Stimulus/S  2"]))
    mne.export.export_raw(tmp_path / "a.vhdr", source, verbose="ERROR")
    markers = tmp_path / "a.vmrk"
    markers.write_text(markers.read_text(encoding="utf-8") + "Mk9=New Segment,,2001,1,0,20200101000004000000\n")
    recording = open_recording(wb.read(tmp_path / "a.vhdr"))
    assert recording.segments == ((0, 2000), (2000, 4000))
    assert not any("New Segment" in kind for _, kind in recording.events)
    assert len(recording.events) == 2


def test_words_of_other_programs():
    assert all(map(is_break, ["boundary", "BAD boundary", "EDGE boundary", "New Segment/", "BAD_ACQ_SKIP"]))
    assert not any(map(is_break, ["boundary task", "BAD_blink", "newsegment", ""]))
    assert is_no_event("bad jump")
    marks = Marks((Mark(2.0, 5.0, "boundary"), Mark(6.0, 1.0, "BAD_ACQ_SKIP"), Mark(0.0, 0.0, "New Segment/")))
    assert runs(marks, 10.0, 100) == ((0, 20), (20, 60), (70, 100))
    assert runs(marks, 10.0, 100, breaks=(30, 0, 100)) == ((0, 20), (20, 30), (30, 60), (70, 100))
    assert runs(Marks(()), 10.0, 100) == ()


def test_steps_of_preprocessing_keep_the_breaks(tmp_path):
    from workbench.recording.data.read import image_of_raw
    from workbench.recording.data.steps import Resample, run

    path = save_edf(tmp_path / "a.edf", two_channels(), GAP)
    made, _ = run(open_recording(wb.read(path)).raw(), [Resample(64.0)])
    assert open_recording(image_of_raw(made)).segments == ((0, 256), (256, 384), (384, 512))
