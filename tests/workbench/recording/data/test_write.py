import json

import mne
import numpy as np
import pytest

import workbench as wb
from tests.recording_maker import save_raw, signals
from workbench.core.errors import GeometryError, InputError, UsageError
from workbench.core.types import Embeddings, Mark, Marks, Provenance, Result, Scores, Signals, time_base
from workbench.data import formats
from workbench.data.parts import read_embeddings
from workbench.recording.data.marks_files import read_marks
from workbench.recording.data.prepare import RecordingRecipe, prepare, restored_signals
from workbench.recording.data.recording import open_recording
from workbench.recording.data.write import signals_of

MARKS = Marks((Mark(0.5, 0.25, "peak", ("MEG 0003",)), Mark(2.0, 1.0, "BAD, movement; left")))


def result(image):
    made = prepare(image, RecordingRecipe(bad_segments=False))
    tokens = np.random.default_rng(0).integers(0, 60, made.data.shape).astype(np.uint8)
    surprise = np.abs(made.data) + 0.5
    surprise[:, :80] = np.nan
    parts = {
        "tokens": Signals(tokens, made.channels, made.geometry, "tokens", role="tokens", kinds=made.kinds),
        "surprisal": Signals(surprise, made.channels, made.geometry, "surprisal", "nats", "map", made.kinds),
        "reconstruction": restored_signals(made, made.data, "reconstruction"),
        "annotations": MARKS,
        "variance": Scores(("channel", "variance explained [%]"), (("MEG 0001", 97.0),)),
        "features": Embeddings(np.arange(12, dtype=np.float32).reshape(3, 4), ("a", "b", "c")),
    }
    return Result(parts, image, Provenance("meg_gpt", "demo", "0" * 64, {}))


def test_a_case_folder_is_complete_and_reads_back(tmp_path):
    image = wb.read(save_raw(tmp_path / "a_raw.fif", first=321))
    made = result(image)
    files = wb.write(made, tmp_path / "out")
    assert [f.name for f in files] == [
        "tokens.npy", "tokens.json", "surprisal.npy", "surprisal.json", "reconstruction_raw.fif", "annotations.csv",
        "annotations-annot.fif", "variance.csv", "features.npy", "features.json", "provenance.json",
    ]  # fmt: skip
    record = json.loads(files[-1].read_text(encoding="utf-8"))
    assert set(record["files"]) == {f.name for f in files[:-1]}
    assert record["geometry"] == {
        "shape": [6000],
        "affine": [[0.002, 0.0], [0.0, 1.0]],
        "unit": "s",
        "orientation": None,
    }
    folder = files[0].parent
    tokens = signals_of(wb.read(folder / "tokens.npy"))
    assert (tokens.role, tokens.data.dtype, tokens.channels) == ("tokens", np.uint8, made["tokens"].channels)
    np.testing.assert_array_equal(tokens.data, made["tokens"].data)
    assert tokens.sampling_rate == 250.0
    surprise = signals_of(wb.read(folder / "surprisal.npy"))
    np.testing.assert_array_equal(surprise.data, made["surprisal"].data)
    assert (surprise.role, surprise.unit) == ("map", "nats")
    back = wb.read(folder / "reconstruction_raw.fif")
    np.testing.assert_allclose(back.data, made["reconstruction"].data, rtol=1e-6, atol=1e-18)
    assert (back.value_unit, back.channels) == ("T", made["reconstruction"].channels)
    np.testing.assert_allclose(open_recording(back).positions, open_recording(image).positions[[0, *range(2, 8)]])
    assert read_marks(folder / "annotations.csv").marks == MARKS.marks
    again = read_embeddings(folder / "features.npy")
    assert (again.ids, again.data.tolist()) == (("a", "b", "c"), made["features"].data.tolist())


@pytest.mark.parametrize(("dated", "first"), [(True, 500), (False, 0), (True, 0), (False, 500)])
def test_annotations_land_where_they_were_in_mne(tmp_path, dated, first):
    image = wb.read(save_raw(tmp_path / "a_raw.fif", first=first, dated=dated))
    wb.write(MARKS, tmp_path, name="peaks", source=image)
    theirs = mne.io.read_raw_fif(tmp_path / "a_raw.fif", verbose="ERROR")
    theirs.set_annotations(mne.read_annotations(tmp_path / "peaks-annot.fif"))
    theirs.save(tmp_path / "b_raw.fif", verbose="ERROR")
    found = open_recording(wb.read(tmp_path / "b_raw.fif")).marks
    assert [(m.label, m.channels) for m in found] == [(m.label, m.channels) for m in MARKS]
    assert [m.onset for m in found] == pytest.approx([m.onset for m in MARKS], abs=1e-3)
    assert [m.onset for m in read_marks(tmp_path / "peaks-annot.fif")] == pytest.approx([0.5, 2.0])
    theirs.set_annotations(mne.Annotations([1.0], [0.5], ["x"], orig_time=None))
    theirs.annotations.save(tmp_path / "theirs.txt")
    back = [(m.label, round(m.onset, 6), m.duration) for m in read_marks(tmp_path / "theirs.txt", image)]
    assert back == [("x", 1.0 if dated else 1.0 + first / 500.0, 0.5)]  # as MNE reads its own file without a date


def test_no_annotations_are_written_too(tmp_path):
    wb.write(Marks(()), tmp_path, name="none")
    assert len(read_marks(tmp_path / "none.csv")) == 0
    assert len(read_marks(tmp_path / "none-annot.fif")) == 0


def test_nothing_is_written_outside_the_recording(tmp_path):
    image = wb.read(save_raw(tmp_path / "a_raw.fif"))
    late = Result({"marks": Marks((Mark(11.0, 2.0, "late"),))}, image, Provenance("x", "y", None, {}))
    with pytest.raises(GeometryError, match=r"1 annotation\(s\) lie outside the recording \(0 to 12 s\), first 'late'"):
        wb.write(late, tmp_path / "out")
    tokens = Signals(np.zeros((1, 4000), "u1"), ("a",), time_base(4000, 250.0), "tokens", role="tokens")
    with pytest.raises(GeometryError, match="part 'tokens' runs from 0 to 16 s, the recording from 0 to 12 s"):
        wb.write(Result({"tokens": tokens}, image, Provenance("x", "y", None, {})), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    # What was generated is as long as was asked for.
    more = Signals(np.zeros((1, 9000), "f4"), ("a",), time_base(9000, 250.0), "generated", "z")
    wb.write(Result({"generated": more}, image, Provenance("x", "y", None, {})), tmp_path / "out")


@pytest.mark.parametrize(("format", "unit", "expected"), [
    ("auto", "T", "x_raw.fif"), ("auto", "z", "x.npy"), ("fif", "z", "x_raw.fif"), ("npy", "T", "x.npy"),
])  # fmt: skip
def test_the_format_of_signals(tmp_path, format, unit, expected):
    data = signals(3, 4.0, 250.0, scale=1.0 if unit == "z" else 1e-13).astype(np.float32)
    part = Signals(data, ("a", "b", "c"), time_base(1000, 250.0), "x", unit, kinds=("mag",) * 3)
    files = wb.write(part, tmp_path, format=format, name="x")
    assert files[0].name == expected
    back = wb.read(files[0])
    np.testing.assert_allclose(back.data, data, rtol=1e-6)
    # Standardised values in a FIF file must not look like tesla.
    assert back.header["kinds"][0] == ("misc" if expected.endswith(".fif") and unit == "z" else "mag")


def test_names_that_fif_cannot_hold_go_to_numpy(tmp_path):
    part = Signals(np.ones((2, 100), "f4"), ("präzentral", "b"), time_base(100, 250.0), "x", "T", kinds=("mag",) * 2)
    file = wb.write(part, tmp_path)[0]
    assert file.name == "x.npy"
    assert wb.read(file).channels == part.channels
    with pytest.raises(UsageError, match="channel name 'präzentral' has letters that FIF does not know"):
        wb.write(part, tmp_path, format="fif", name="y")


def test_a_beginning_before_zero_stays(tmp_path):
    part = Signals(np.ones((2, 100), "f4"), ("a", "b"), time_base(100, 250.0, -0.2), "x", "V", kinds=("eeg",) * 2)
    (file,) = wb.write(part, tmp_path)
    assert file.name == "x-ave.fif"
    np.testing.assert_allclose(wb.read(file).geometry.affine, part.geometry.affine, atol=1e-9)
    odd = Signals(part.data, part.channels, time_base(100, 250.0, -0.1998), "y", "V", kinds=part.kinds)
    file = wb.write(odd, tmp_path)[0]
    assert file.name == "y.npy"  # no whole number of samples: FIF would move it
    np.testing.assert_array_equal(wb.read(file).geometry.affine, odd.geometry.affine)
    with pytest.raises(UsageError, match=r"begin at -0.1998 s, no whole number of samples, so that FIF would move"):
        wb.write(odd, tmp_path, format="fif")


def test_whole_recordings_are_copied_without_names_and_dates(tmp_path):
    image = wb.read(save_raw(tmp_path / "a_raw.fif", first=77))
    assert open_recording(image).info["subject_info"]["last_name"] == "Doe"
    (file,) = wb.write(image, tmp_path / "out")
    back = wb.read(file)
    np.testing.assert_allclose(back.data, image.data, rtol=1e-6)
    info = open_recording(back).info
    assert info["meas_date"] is None
    assert "Doe" not in str(dict(info["subject_info"] or {}))
    assert "secret" not in file.read_bytes().decode("latin-1")
    assert [(round(m.onset, 3), m.label) for m in open_recording(back).marks] == [
        (1.0, "BAD_jump"), (6.0, "movement"), (7.5, "spike")
    ]  # fmt: skip
    assert back.header["bads"] == ["MEG 0002"]
    assert open_recording(back).events == open_recording(image).events
    files = wb.write(image, tmp_path / "out", format="npy", name="plain")
    plain = wb.read(files[0])
    np.testing.assert_array_equal(plain.data, image.data)
    assert plain.header["kinds"] == image.header["kinds"]
    assert open_recording(plain).events == open_recording(image).events
    with pytest.raises(UsageError, match="this is the source file itself"):
        wb.write(wb.read(tmp_path / "a_raw.fif"), tmp_path, name="a")


def test_real_recordings_are_written_back(tmp_path, shared_data):
    for name, series in (("ctf_raw.fif", None), ("bti_raw.fif", None), ("neuromag_evoked-ave.fif.gz", 2)):
        image = formats.read(shared_data / "meg" / name, series=series)
        back = wb.read(wb.write(image, tmp_path)[0])
        np.testing.assert_allclose(back.data, image.data, rtol=1e-6, atol=1e-25)
        np.testing.assert_allclose(back.geometry.affine, image.geometry.affine, atol=1e-9)
        assert back.header["kinds"] == image.header["kinds"]
        made = result(image)
        parts = {k: p for k, p in made.parts.items() if k != "annotations"}
        files = wb.write(Result(parts, image, made.provenance), tmp_path / "out")
        assert files[-1].name == "provenance.json"


def test_formats_of_other_families_are_refused(tmp_path):
    image = wb.read(save_raw(tmp_path / "a_raw.fif"))
    with pytest.raises(UsageError, match="format nifti holds no recordings, and this is one: choose fif, npy"):
        wb.write(image, tmp_path / "out", format="nifti")
    with pytest.raises(InputError, match="not readable as embeddings"):
        read_embeddings(save_raw(tmp_path / "b_raw.fif"))
    with pytest.raises(GeometryError, match="3 ids, one per row"):
        wb.write(Embeddings(np.ones((2, 3), "f4"), ("a", "b", "c")), tmp_path)
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not readable as text"):
        read_marks(tmp_path / "bad.csv")


@pytest.mark.parametrize(("row", "message"), [
    ("1,soon,x", "line 3: duration 'soon' is no number of seconds"),
    ("1,nan,x", "line 3: duration 'nan'"),
    ("1,-2,x", "line 3: duration -2 s, 0 or more was expected"),
    ("nan,1,x", "line 3: onset 'nan'"),
    (",1,x", "line 3: onset ''"),
    ("1,1," + "x" * 140_000, "not readable as a table"),
])  # fmt: skip
def test_rows_that_say_no_time_are_named(tmp_path, row, message):
    (tmp_path / "a.csv").write_text(f"onset,duration,label\n2,n/a,good\n{row}\n")
    with pytest.raises(InputError, match=message):
        read_marks(tmp_path / "a.csv")


def test_marks_without_a_time_are_not_written(tmp_path):
    image = wb.read(save_raw(tmp_path / "a_raw.fif"))
    marks = Marks((Mark(float("nan"), 1.0, "lost"),))
    with pytest.raises(GeometryError, match=r"1 annotation\(s\) lie outside the recording"):
        wb.write(Result({"annotations": marks}, image, Provenance("x", "y", None, {})), tmp_path / "out")
