"""Side files with a clock of their own land where MNE puts them, or are refused."""

import threading
import warnings

import mne
import numpy as np
import pytest

import workbench as wb
from tests.recording_maker import save_raw
from workbench.core.errors import InputError
from workbench.core.types import Mark, Marks
from workbench.recording import open_recording, read_marks
from workbench.recording.data.events import with_events
from workbench.recording.data.recording import mne_quiet

ENDINGS = ("-annot.fif", "_annot.csv", "_annot.txt")


def saved(path, folder, ending, first=0.0):
    """Annotations of a recording as MNE writes them, from its own object."""
    source = mne.io.read_raw_fif(path, verbose="ERROR")
    marks = mne.Annotations([2.5 + first, 4.0 + first, 6.25 + first], [0, 0, 1.0], ["go", "stop", "BAD_x"])
    source.set_annotations(marks)
    file = folder / f"side{ending}"
    source.annotations.save(file, overwrite=True)
    return source, file


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("first", [0, 1, 777, 5000])
def test_dated_files_land_where_mne_puts_them(tmp_path, ending, first):
    path = save_raw(tmp_path / "a_raw.fif", first=first)
    source, file = saved(path, tmp_path, ending)
    theirs = source.annotations
    wanted = [(float(o - source.first_time), str(d)) for o, d in zip(theirs.onset, theirs.description, strict=True)]
    found = read_marks(file, wb.read(path))
    assert [m.label for m in found] == [d for _, d in wanted]
    assert [m.onset for m in found] == pytest.approx([o for o, _ in wanted], abs=1e-4)
    assert [m.onset for m in found] == pytest.approx([2.5, 4.0, 6.25], abs=1e-4)
    events = open_recording(with_events(wb.read(path), file)).events
    assert [t for t, _ in events] == pytest.approx([2.5, 4.0, 6.25], abs=1e-4)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_date_needs_a_recording_with_one(tmp_path, ending):
    (tmp_path / "other").mkdir()
    path = save_raw(tmp_path / "a_raw.fif", first=500)
    _, file = saved(path, tmp_path / "other", ending)
    with pytest.raises(InputError, match="its times count from 2013-05-06 07:08.*Open it together with its recording"):
        read_marks(file)
    bare = save_raw(tmp_path / "b_raw.fif", dated=False)
    with pytest.raises(InputError, match="does not say when it was made"):
        read_marks(file, wb.read(bare))
    # The recording of the same name beside it is the one.
    beside = save_raw(tmp_path / "other" / "side_raw.fif", first=500)
    assert [m.onset for m in read_marks(file)] == pytest.approx([2.5, 4.0, 6.25], abs=1e-4)
    assert beside.is_file()


def test_a_csv_of_a_recording_without_a_date_counts_from_its_first_sample(tmp_path):
    path = save_raw(tmp_path / "a_raw.fif", dated=False)
    _, file = saved(path, tmp_path, "_annot.csv")
    assert file.read_text(encoding="utf-8").splitlines()[1].startswith("1970-01-01 00:00:02.5")
    for recording in (None, wb.read(path)):
        assert [m.onset for m in read_marks(file, recording)] == pytest.approx([2.5, 4.0, 6.25])


def test_a_date_that_is_none_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("# MNE-Annotations\n# orig_time : yesterday\n1.0,0.0,go\n")
    with pytest.raises(InputError, match="orig_time 'yesterday' is no date"):
        read_marks(tmp_path / "a.txt")


def test_a_text_with_comments_is_read_while_another_thread_reads(tmp_path, monkeypatch):
    """What silences warnings holds for all threads: another one that is done brings back the filters of before."""
    (tmp_path / "a.txt").write_text("# MNE-Annotations\n# onset, duration, description\n\n1.0,0.5,go\n")
    silent, loadtxt = threading.Event(), np.loadtxt

    def other():
        with mne_quiet():
            silent.set()
            asked.wait(1)

    asked, thread = threading.Event(), threading.Thread(target=other)

    def after_the_other(*args, **kwargs):
        asked.set()
        thread.join()
        return loadtxt(*args, **kwargs)

    monkeypatch.setattr(np, "loadtxt", after_the_other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        thread.start()
        assert silent.wait(30)
        found = read_marks(tmp_path / "a.txt")
        thread.join()
    assert list(found) == [Mark(1.0, 0.5, "go")]


def test_texts_of_mne_hold_what_mne_wrote(tmp_path):
    made = mne.Annotations(
        [3.25, 1.0, 3.25], [0.0, 2.5, 0.5], ["go", "BAD_x", "stop"], ch_names=[["MEG:1", "MEG 2"], [], ["EEG 1"]],
        extras=[{"age": 1}, {"age": 2}, {"age": 3}],
    )  # fmt: skip
    made.save(tmp_path / "a.txt")
    theirs = mne.read_annotations(tmp_path / "a.txt")
    rows = zip(theirs.onset, theirs.duration, theirs.description, theirs.ch_names, strict=True)
    found = read_marks(tmp_path / "a.txt")
    assert list(found) == [Mark(float(o), float(d), str(label), tuple(c)) for o, d, label, c in rows]
    assert found.marks[-1].channels == ("EEG 1",)
    # MNE's own reader cuts such a label at the sign of a comment.
    mne.Annotations([1.0], [0.0], ["take #2"]).save(tmp_path / "b.txt")
    assert [m.label for m in read_marks(tmp_path / "b.txt")] == ["take #2"]
    mne.Annotations([], [], []).save(tmp_path / "c.txt")
    assert list(read_marks(tmp_path / "c.txt")) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# onset, duration, description\n1.0,0.0,go\n2.0,0.0\n", "line 3: 2 columns, 3 were expected"),
        ("1.0\n", "line 1: 1 columns, 3 or 4 .* were expected"),
        ("1.0,0.0,go\nlater,0.0,go\n", "line 2: onset 'later' is no number of seconds"),
        ("1.0,nan,go\n", "line 1: duration 'nan' is no number of seconds"),
    ],
)
def test_a_text_that_is_damaged_names_the_line(tmp_path, text, said):
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_marks(tmp_path / "a.txt")


def test_events_before_the_first_sample_are_refused(tmp_path):
    path = save_raw(tmp_path / "a_raw.fif", first=5000)
    mne.Annotations([1.0], [0.0], ["go"], orig_time="2013-05-06 07:08:00.000000").save(tmp_path / "a-annot.fif")
    with pytest.raises(InputError, match="1 of 1 events lie outside the recording .* 'go' at -9 s"):
        with_events(wb.read(path), tmp_path / "a-annot.fif")


def test_what_is_written_beside_a_result_needs_no_recording(tmp_path):
    image = wb.read(save_raw(tmp_path / "a_raw.fif", first=500))
    wb.write(Marks((Mark(1.5, 0.5, "x"),)), tmp_path, name="peaks", source=image)
    for name in ("peaks.csv", "peaks-annot.fif"):
        assert [m.onset for m in read_marks(tmp_path / name)] == pytest.approx([1.5])


def test_a_reconstruction_keeps_the_clock_and_what_is_bad(tmp_path):
    from workbench.recording.data.prepare import RecordingRecipe, prepare, restored_signals

    path = save_raw(tmp_path / "a_raw.fif", first=777)
    image = wb.read(path)
    prepared = prepare(image, RecordingRecipe(sampling_rate=250.0, kinds=("mag",)))
    for name in ("reconstruction", "generated"):
        made = restored_signals(prepared, prepared.data, name)
        wb.write(made, tmp_path / name, name=name, source=image)
    source = mne.io.read_raw_fif(path, verbose="ERROR")
    found = mne.io.read_raw_fif(tmp_path / "reconstruction" / "reconstruction_raw.fif", verbose="ERROR")
    assert found.first_time == pytest.approx(source.first_time, abs=0.5 / 250 + 1e-9)
    assert found.info["meas_date"] == source.info["meas_date"]
    assert "Doe" not in str(found.info["subject_info"])
    bad = [a for a in source.annotations if a["description"].startswith("BAD")]
    assert [a["description"] for a in found.annotations] == [a["description"] for a in bad]
    at = [a["onset"] for a in found.annotations]
    assert np.array(at) - found.first_time == pytest.approx([a["onset"] - source.first_time for a in bad], abs=1e-4)
    # Side files that count from the date fit it, too.
    _, file = saved(path, tmp_path, "-annot.fif")
    again = found.copy().set_annotations(mne.read_annotations(file))
    assert again.annotations.onset - again.first_time == pytest.approx([2.5, 4.0, 6.25], abs=0.005)
    invented = mne.io.read_raw_fif(tmp_path / "generated" / "generated_raw.fif", verbose="ERROR")
    assert (invented.first_samp, invented.info["meas_date"], len(invented.annotations)) == (0, None, 0)


def test_a_reconstruction_keeps_the_breaks(tmp_path):
    from tests.edf_maker import save_edf
    from tests.recording_maker import signals
    from workbench.recording.data.prepare import RecordingRecipe, prepare, restored_signals

    path = save_edf(tmp_path / "a.edf", signals(2, 8, 128, scale=20.0), [0, 1, 2, 3, 10, 11, 20, 21])
    image = wb.read(path)
    prepared = prepare(image, RecordingRecipe(sampling_rate=128.0))
    wb.write(restored_signals(prepared, prepared.data, "reconstruction"), tmp_path, name="again", source=image)
    assert open_recording(wb.read(tmp_path / "again_raw.fif")).segments == open_recording(image).segments
