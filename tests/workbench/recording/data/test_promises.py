"""What a header promises is there, or is said in one line; what was cut off is read only when asked for."""

import itertools
import os
import re
import struct

import mne
import numpy as np
import pytest

import workbench as wb
from tests.bti_maker import save_bti
from tests.ctf_maker import save_ctf
from tests.kit_maker import save_kit
from tests.recording_maker import raw, save_raw, signals
from tests.tiny import make_volume
from workbench.core.errors import InputError, UsageError
from workbench.core.types import Case
from workbench.data import cases, formats
from workbench.recording.data.recording import open_recording

PART = r"read in part, as asked for: .*; {} samples were read"


def brainvision(folder):
    source = raw(n_meg=0, n_eeg=4, seconds=4.0, extras=False)
    source.set_meas_date(None)
    mne.export.export_raw(folder / "a.vhdr", source, verbose="ERROR")
    return folder / "a.vhdr", folder / "a.eeg"


def edf(folder):
    source = raw(n_meg=0, n_eeg=4, seconds=4.0, extras=False)
    source.set_meas_date(None)
    mne.export.export_raw(folder / "a.edf", source, verbose="ERROR")
    return folder / "a.edf", folder / "a.edf"


def kit(folder):
    path = save_kit(folder / "a.con", signals(5, 4.0, 500.0), np.full(2000, 4.0))
    return path, path


def ctf(folder):
    path = save_ctf(folder / "a.ds", signals(5, 4.0, 600.0), np.zeros(2400))
    return path, path / "a.meg4"


def fif(folder):
    path = folder / "a_raw.fif"
    raw(seconds=6.0).save(path, buffer_size_sec=1.0, verbose="ERROR")
    return path, path


MAKERS = {f.__name__: f for f in (brainvision, edf, kit, ctf, fif)}


@pytest.mark.parametrize("made", MAKERS.values(), ids=MAKERS)
def test_what_is_cut_off_is_read_only_when_asked_for(made, tmp_path):
    path, samples = made(tmp_path)
    whole = formats.read(path)
    assert not [n for n in formats.read(path, allow_truncated=True).notes if "read in part" in n]
    expected = whole.data
    content = samples.read_bytes()
    samples.write_bytes(content[: int(len(content) * 0.7) | 1])
    with pytest.raises(InputError, match=r"(cut off|truncated).*--allow-truncated \(in Python allow_truncated=True\)"):
        formats.info(path)
    image = formats.read(path, allow_truncated=True)
    (n,) = image.geometry.shape
    assert 0 < n < expected.shape[1]
    assert any(re.match(PART.format(n), note) for note in image.notes)
    np.testing.assert_array_equal(image.data, expected[:, :n])
    assert formats.info(path, allow_truncated=True)[0]["notes"] == list(image.notes)
    assert cases.open_case(Case("a", path, options={"allow_truncated": "yes"})).geometry.shape == (n,)
    assert open_recording(image).raw().n_times == n
    with pytest.raises(InputError, match="'allow_truncated' is 'perhaps', yes or no was expected"):
        cases.open_case(Case("a", path, options={"allow_truncated": "perhaps"}))


def test_a_folder_is_read_in_part_as_the_file_in_it_is(tmp_path):
    (tmp_path / "study" / "visit").mkdir(parents=True)
    path, samples = edf(tmp_path / "study" / "visit")
    content = samples.read_bytes()
    samples.write_bytes(content[: int(len(content) * 0.7) | 1])
    make_volume(tmp_path / "study" / "v.nii", (5, 6, 7))
    with pytest.raises(InputError, match=r"--allow-truncated \(in Python allow_truncated=True\)"):
        wb.read(tmp_path / "study" / "visit")
    image = wb.read(tmp_path / "study" / "visit", allow_truncated=True)
    assert image.geometry.shape == wb.read(path, allow_truncated=True).geometry.shape
    rows = {row["case"]: row for row in wb.info(tmp_path / "study", allow_truncated=True)}
    assert not any("problem" in row for row in rows.values())
    assert any("read in part" in note for note in rows["visit_a"]["notes"])


def test_other_kinds_are_never_read_in_part(tmp_path):
    with pytest.raises(UsageError, match="is never read in part: leave out --allow-truncated"):
        formats.read(make_volume(tmp_path / "v.nii", (5, 6, 7)), allow_truncated=True)


def test_a_packed_recording_is_never_read_in_part(tmp_path):
    import gzip

    path = tmp_path / "a_raw.fif.gz"
    path.write_bytes(gzip.compress(save_raw(tmp_path / "b_raw.fif").read_bytes())[:-2000])
    with pytest.raises(InputError, match=r"truncated or damaged \.gz"):
        formats.read(path, allow_truncated=True)


def test_an_edf_that_was_never_closed_is_said(tmp_path):
    path, _ = edf(tmp_path)
    content = bytearray(path.read_bytes())
    content[236:244] = b"-1      "
    path.write_bytes(content)
    with pytest.raises(InputError, match="never closed: its header counts no records, its file holds 4 of 500 samples"):
        formats.read(path)
    assert formats.read(path, allow_truncated=True).geometry.shape == (2000,)


def test_a_bti_recording_with_other_numbers_is_said(tmp_path):
    folder = save_bti(tmp_path / "a", signals(5, 4.0, 500.0), np.zeros(2000))
    file = folder / "c,rfDC"
    content = bytearray(file.read_bytes())
    (start,) = struct.unpack(">q", content[-8:])
    content[start + 96 : start + 100] = struct.pack(">i", 1500)
    file.write_bytes(content)
    with pytest.raises(InputError, match="promises 1500 samples, its files hold 2000"):
        formats.read(folder, allow_truncated=True)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("DataFile", "/etc/passwd", "DataFile is '/etc/passwd', expected the name of a file in the folder"),
        ("MarkerFile", "../a.vmrk", "MarkerFile is '../a.vmrk', expected"),
        ("NumberOfChannels", "999999999", "NumberOfChannels is '999999999'"),
        ("NumberOfChannels", "2", "NumberOfChannels is 2, .* lists 4"),
        ("SamplingInterval", "nan", "SamplingInterval is 'nan'"),
        ("Codepage", "utf-7", "Codepage is 'utf-7', expected UTF-8 or ANSI"),
        ("DataPoints", "1999", "promises 1999 samples, its files hold 2000"),
    ],
)
def test_a_brainvision_header_that_cannot_be_is_refused(field, value, message, tmp_path):
    path, _ = brainvision(tmp_path)
    text = re.sub(rf"(?m)^{field}=.*\n", "", path.read_text(encoding="utf-8"))
    path.write_text(text.replace("[Common Infos]\n", f"[Common Infos]\n{field}={value}\n"), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        formats.read(path)


def test_markers_behind_the_last_sample_say_that_samples_are_missing(tmp_path):
    path, samples = brainvision(tmp_path)
    markers = tmp_path / "a.vmrk"
    markers.write_text(markers.read_text(encoding="utf-8") + "Mk9=Stimulus,S  1,1900,1,0\n", encoding="utf-8")
    samples.write_bytes(samples.read_bytes()[: 16 * 1000])
    with pytest.raises(InputError, match="markers lie behind its 1000 samples, the last at 1900"):
        formats.read(path)


@pytest.mark.parametrize("title", ["NUMBER OF MARKERS:", "NAME:", "NUMBER OF SAMPLES:", "LIST OF SAMPLES:"])
def test_a_lost_line_in_the_markers_of_ctf_is_said(title, tmp_path):
    path, _ = ctf(tmp_path)
    file = path / "MarkerFile.mrk"
    file.write_text(file.read_text(encoding="utf-8").replace(title, title.replace("A", "B").replace("R", "B")))
    with pytest.raises(InputError, match=f"MarkerFile.mrk: the line '{title}' is missing"):
        formats.read(path)


def test_parts_of_a_split_fif_neither_circle_nor_leave_their_folder(tmp_path):
    path = tmp_path / "long_raw.fif"
    raw(seconds=60.0, rate=1000.0).save(path, split_size="2MB", buffer_size_sec=1.0, verbose="ERROR")
    content = path.read_bytes()
    for name, message in (
        (b"long_raw.fif\0\0", "the name of its next part is"),
        (b"/etc/hostname.", "expected the name"),
    ):
        path.write_bytes(content.replace(b"long_raw-1.fif", name))
        with pytest.raises(InputError, match=message):
            formats.read(path)
    path.write_bytes(content)
    second = tmp_path / "long_raw-1.fif"
    second.write_bytes(second.read_bytes().replace(b"long_raw-2.fif", b"long_raw-1.fif"))
    with pytest.raises(InputError, match="it goes on in long_raw-1.fif, which it follows"):
        formats.read(path)
    assert any("a later part of a split recording" in n for n in formats.read(tmp_path / "long_raw-3.fif").notes)


def test_a_buffer_under_another_tag_is_no_shorter_recording(tmp_path):
    path, _ = fif(tmp_path)
    content = bytearray(path.read_bytes())
    head = struct.pack(">iIi", 300, 4, 500 * 15 * 4)
    place = content.index(head, content.index(head) + 1)
    content[place : place + 4] = struct.pack(">i", 301 - 2)
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged FIF file: samples under the tag 299"):
        formats.read(path)


def test_a_damaged_side_file_makes_no_map_of_time_courses(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((4, 500), "f4"))
    (tmp_path / "a.json").write_text('{"sampling_rate": 250, "channels": ')
    with pytest.raises(InputError, match=r"a\.json: not readable as JSON"):
        formats.read(tmp_path / "a.npy")


def test_pipes_are_no_recordings(tmp_path):
    os.mkfifo(tmp_path / "a_raw.fif")
    with pytest.raises(InputError, match="is a pipe, expected a regular file"):
        formats.read(tmp_path / "a_raw.fif")
    path, samples = brainvision(tmp_path)
    samples.unlink()
    os.mkfifo(samples)
    with pytest.raises(InputError, match=r"DataFile is 'a\.eeg', which is a pipe"):
        formats.read(path)


def test_an_edf_of_which_the_channel_of_annotations_has_another_name_is_said(tmp_path):
    path, _ = edf(tmp_path)
    assert formats.read(path).notes == ()
    content = path.read_bytes()
    assert content[192:196] == b"EDF+"
    path.write_bytes(content.replace(b"EDF Annotations", b"EDF Annotatio?s", 1))
    assert "no channel is called so" in " | ".join(formats.read(path).notes)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("next", r"long_raw-2\.fif does not follow long_raw-1\.fif: it begins at sample \d+, expected \d+"),
        ("date", r"long_raw-2\.fif does not follow .*: it was measured at another time"),
        ("names", r"long_raw-2\.fif does not follow .*: it has other channels"),
    ],
)
def test_a_part_of_a_split_fif_that_does_not_follow_is_named(other, message, tmp_path):
    path, second = tmp_path / "long_raw.fif", tmp_path / "long_raw-2.fif"
    source = raw(seconds=60.0, rate=1000.0)
    source.save(path, split_size="2MB", buffer_size_sec=1.0, verbose="ERROR")
    image = formats.read(path)
    assert (image.notes, image.geometry.shape) == ((), (60000,))
    if other == "next":
        second.write_bytes((tmp_path / "long_raw-3.fif").read_bytes())
    elif other == "names":
        second.write_bytes(second.read_bytes().replace(b"MEG 0001", b"MEG 0009"))
    else:
        content = second.read_bytes()
        head = struct.pack(">3i", 204, 3, 8)
        place = content.index(head) + 16
        second.write_bytes(content[:place] + b"\x01" + content[place + 1 :])
    with pytest.raises(InputError, match=message):
        formats.read(path)


@pytest.mark.parametrize("by", ["name", "number"])
def test_parts_that_count_from_0_again_follow_if_they_name_the_part_before(by, tmp_path):
    """Made by hand, as recorders and MNE count on: a part without a first sample, named by number as on Neuromag."""
    path = tmp_path / "long_raw.fif"
    raw(seconds=60.0, rate=1000.0).save(path, split_size="2MB", buffer_size_sec=1.0, verbose="ERROR")
    parts = [path, *(tmp_path / f"long_raw-{n}.fif" for n in (1, 2, 3))]
    whole = formats.read(path).data
    bare = [
        re.sub(
            re.escape(struct.pack(">4i", 208, 3, 4, 0)) + b"....", struct.pack(">5i", 208, 3, 4, 0, 0), p.read_bytes(),
            flags=re.DOTALL,
        )
        for p in parts
    ]  # fmt: skip
    if by == "number":
        bare = [re.sub(rb"\0\0\0\x76(\0\0\0\x0a\0\0\0)", b"\0\0\0\xc7\\1", content) for content in bare]
    for part, content in zip(parts, bare, strict=True):
        part.write_bytes(content)
    image = formats.read(path)
    assert np.array_equal(image.data, whole)
    assert [n.split(" are counted")[0] for n in image.notes] == [f"the samples of {p.name}" for p in parts[1:]]
    assert open_recording(image).segments == tuple(itertools.pairwise((0, 17000, 34000, 51000, 60000)))
    for copied, place in ((0, 1), (0, 2), (1, 2), (2, 1), (3, 2)):
        parts[place].write_bytes(bare[copied])
        with pytest.raises(
            InputError, match=rf"{parts[place].name} does not follow .*: it begins at sample 0, expected"
        ):
            formats.read(path)
        parts[place].write_bytes(bare[place])
    assert "a later part of a split recording" in " | ".join(formats.read(parts[1]).notes)


@pytest.mark.parametrize(
    ("unit", "known"),
    [(b"furlong", False), (b"nV", False), (b"UV", False), (b"mV", True), (b"DegC", True), (b"", True)],
)
def test_a_dimension_of_edf_that_nobody_knows_is_noted(unit, known, tmp_path):
    path, _ = edf(tmp_path)
    content = bytearray(path.read_bytes())
    channels = int(content[252:256])
    content[256 + 96 * channels : 264 + 96 * channels] = unit.ljust(8)
    path.write_bytes(content)
    said = " | ".join(formats.read(path).notes)
    assert ("values were taken as they are" in said, unit.decode() in said) == (not known, not known or not unit)


@pytest.mark.parametrize(("unit", "known"), [("furlong", False), ("pV", False), ("nV", True), ("C", True), ("", True)])
def test_a_unit_of_brainvision_that_nobody_knows_is_noted(unit, known, tmp_path):
    path, _ = brainvision(tmp_path)
    text = path.read_text(encoding="utf-8")
    assert formats.read(path).notes == ()
    path.write_text(re.sub(r"(?m)^(Ch1=.*,)\S+$", rf"\g<1>{unit}", text), encoding="utf-8")
    assert ("values were taken as they are" in " | ".join(formats.read(path).notes)) is not known


def test_markers_of_other_samples_are_noted_and_refused_where_those_are_there(tmp_path):
    path, samples = brainvision(tmp_path)
    markers = tmp_path / "a.vmrk"
    text = markers.read_text(encoding="utf-8")
    markers.write_text(text.replace("DataFile=a.eeg", "DataFile=older.eeg"), encoding="utf-8")
    (note,) = formats.read(path).notes
    assert (
        note == "its list of markers a.vmrk names the samples 'older.eeg', the header 'a.eeg': the header was believed"
    )
    (tmp_path / "older.eeg").write_bytes(samples.read_bytes())
    with pytest.raises(InputError, match=r"a\.vhdr: .* and both are there: whose markers are these"):
        formats.read(path)
    markers.write_text(text.replace("DataFile=a.eeg", "DataFile=$b.eeg"), encoding="utf-8")
    assert formats.read(path).notes == ()


def test_a_file_with_the_ending_of_a_folder_is_named(tmp_path):
    (tmp_path / "f.ds").write_bytes(b"x")
    with pytest.raises(InputError, match=r"f\.ds: a file, a CTF recording is a folder"):
        formats.info(tmp_path / "f.ds")
