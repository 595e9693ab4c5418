import mne
import numpy as np
import pytest

from tests.recording_maker import raw, save_raw
from workbench.core.errors import InputError, NothingFound
from workbench.data import cases, formats
from workbench.recording.data.events import check_events, left_out, with_events
from workbench.recording.data.events import events_of as trials_of
from workbench.recording.data.recording import open_recording


def events_of(path, events):
    return [(round(t, 3), k) for t, k in open_recording(with_events(formats.read(path), events)).events]


def test_tables_and_mne_files_give_the_same_events(tmp_path):
    path = save_raw(tmp_path / "a_raw.fif", first=1234)
    (tmp_path / "a.csv").write_text("onset,duration,label\n5.0,0.1,house\n2.0,,face\n")
    (tmp_path / "b.tsv").write_text("onset\tduration\ttrial_type\n2.0\tn/a\tface\n5.0\t0\thouse\n")
    (tmp_path / "c.csv").write_text("Time [s],value\n2.0,face\n5.0,house\n")
    for name in ("a.csv", "b.tsv", "c.csv"):
        assert events_of(path, tmp_path / name) == [(2.0, "face"), (5.0, "house")]
    found = mne.find_events(mne.io.read_raw_fif(path, verbose="ERROR"), verbose="ERROR")
    mne.write_events(tmp_path / "d-eve.fif", found, verbose="ERROR")
    assert events_of(path, tmp_path / "d-eve.fif") == [(2.0, "1"), (5.0, "2"), (9.0, "1")]


def test_events_outside_the_data_are_refused(tmp_path):
    path = save_raw(tmp_path / "a_raw.fif")
    (tmp_path / "a.csv").write_text("onset,label\n5.0,in\n12.5,out\n-1,before\n")
    with pytest.raises(
        InputError, match=r"a.csv: 2 of 3 events lie outside .*, first 'before' at -1 s; it runs from 0 to"
    ):
        with_events(formats.read(path), tmp_path / "a.csv")
    with pytest.raises(NothingFound, match="no such file of events"):
        with_events(formats.read(path), tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text("when,what\n1,2\n")
    with pytest.raises(InputError, match="'onset', 'duration' and 'label' were expected"):
        with_events(formats.read(path), tmp_path / "c.csv")
    (tmp_path / "d.csv").write_text("onset,label\nsoon,x\n")
    with pytest.raises(InputError, match="line 2: onset 'soon' is no number of seconds"):
        with_events(formats.read(path), tmp_path / "d.csv")


def test_a_list_of_cases_names_subject_session_events_and_rate(tmp_path):
    save_raw(tmp_path / "a_raw.fif")
    np.save(tmp_path / "p.npy", raw().get_data()[:4])
    (tmp_path / "events.csv").write_text("onset,label\n1.5,face\n")
    (tmp_path / "cases.csv").write_text(
        "id,image,subject,session,events,sampling_rate\n"
        "one,a_raw.fif,sub7,2,events.csv,\n"
        "two,p.npy,sub8,1,,500\n"
    )  # fmt: skip
    one, two = cases.load_cases(tmp_path / "cases.csv")
    assert (one.group, two.group) == ("sub7", "sub8")
    assert (one.options["subject"], one.options["session"]) == ("sub7", "2")
    assert open_recording(cases.open_case(one)).events == [(1.5, "face")]
    assert cases.open_case(two).header["sampling_rate"] == 500.0
    (tmp_path / "events.csv").write_text("onset,label\n99,face\n")
    with pytest.raises(InputError, match="1 of 1 events lie outside"):
        cases.open_case(one)


def test_the_end_of_a_recording_is_no_sample_of_it(tmp_path):
    recording = open_recording(formats.read(save_raw(tmp_path / "a_raw.fif", seconds=4.0)))
    last = recording.start + recording.duration
    check_events([(recording.start, "first"), (last - 1e-6, "last")], recording, "x.csv")
    with pytest.raises(InputError, match="1 of 1 events lie outside"):
        check_events([(last, "after")], recording, "x.csv")


def decoded(tmp_path, marks, triggers=(), side=None, kinds=()):
    """Events that decoding takes of a recording with those annotations, trigger codes and file of events."""
    info = mne.create_info(["MEG 0111", *(["STI 014"] if triggers else [])], 500.0, ["mag", *["stim"][: len(triggers)]],
                           verbose="ERROR")  # fmt: skip
    data = np.zeros((len(info["ch_names"]), 5000))
    for time, code in triggers:
        data[1, round(time * 500) : round(time * 500) + 20] = code
    made = mne.io.RawArray(data, info, first_samp=700, verbose="ERROR")
    made.set_annotations(mne.Annotations(*zip(*marks, strict=True)) if marks else None)
    made.save(tmp_path / "a_raw.fif", overwrite=True, verbose="ERROR")
    image = formats.read(tmp_path / "a_raw.fif")
    if side is not None:
        (tmp_path / "a.csv").write_text(side)
        image = with_events(image, tmp_path / "a.csv")
    return [(round(t, 3), k) for t, k in trials_of(open_recording(image), kinds)]


SHOWN = [(1.0, 0.0, "face"), (2.0, 0.0, "house"), (3.0, 0.5, "blink"), (4.0, 0.0, "BAD_x")]


def test_events_that_are_annotations_count_once(tmp_path):
    assert decoded(tmp_path, SHOWN) == [(1.0, "face"), (2.0, "house")]
    assert [e for e in decoded(tmp_path, SHOWN, kinds=("face", "house")) if e[1] in ("face", "house")] == [
        (1.0, "face"), (2.0, "house")
    ]  # fmt: skip
    assert (3.0, "blink") in decoded(tmp_path, SHOWN, kinds=("face", "blink"))


def test_a_kind_that_a_channel_has_is_not_taken_from_annotations_too(tmp_path):
    marks = [(1.0004, 0.0, "1"), (5.0, 0.0, "rest")]
    triggers = ((1.0, 1), (2.0, 2))
    found = decoded(tmp_path, marks, triggers, kinds=("1", "2"))
    assert [e for e in found if e[1] != "rest"] == [(1.0, "1"), (2.0, "2")]
    assert decoded(tmp_path, marks, triggers, kinds=("1", "rest")) == [(1.0, "1"), (2.0, "2"), (5.0, "rest")]


def test_annotations_that_no_channel_has_are_said_where_they_are_left_out(tmp_path):
    triggers = ((1.0, 1), (2.0, 2))
    marks = [(1.0004, 0.0, "1"), (4.0, 0.0, "button"), (5.0, 0.0, "button"), (6.0, 0.5, "blink"), (7.0, 0.0, "BAD_x")]
    assert decoded(tmp_path, marks, triggers) == [(1.0, "1"), (2.0, "2")]
    recording = open_recording(formats.read(tmp_path / "a_raw.fif"))
    (note,) = left_out(recording)
    assert "'button' (2)" in note
    assert "blink" not in note
    assert left_out(recording, ("1", "button")) == ()
    assert (4.0, "button") in decoded(tmp_path, marks, triggers, kinds=("1", "button"))
    decoded(tmp_path, marks[:1], triggers)
    assert left_out(open_recording(formats.read(tmp_path / "a_raw.fif"))) == ()


def test_a_file_of_events_stands_alone(tmp_path):
    side = "onset,duration,label\n1.001,0,face\n2.001,0.5,house\n6,0,BAD_y\n"
    for kinds in ((), ("face", "house")):
        assert decoded(tmp_path, SHOWN, side=side, kinds=kinds) == [(1.001, "face"), (2.001, "house")]
    # Also what lasts in the recording was shown, where the file says so.
    assert decoded(tmp_path, SHOWN, side="onset,label\n3.0,blink\n") == [(3.0, "blink")]
