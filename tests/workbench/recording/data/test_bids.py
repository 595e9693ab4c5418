"""A BIDS data set written by MNE-BIDS itself."""

import shutil

import mne
import mne_bids
import numpy as np
import pytest

from tests.recording_maker import save_raw
from workbench.core.errors import InputError
from workbench.data import cases, formats
from workbench.recording.data import bids
from workbench.recording.data.recording import open_recording


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bids")
    for subject, session in (("01", "a"), ("01", "b"), ("02", "a")):
        save_raw(folder / "x_raw.fif")
        source = mne.io.read_raw_fif(folder / "x_raw.fif", verbose="ERROR")
        place = mne_bids.BIDSPath(subject=subject, session=session, task="rest", datatype="meg", root=folder / "set")
        source.set_annotations(None)
        events = mne.find_events(source, verbose="ERROR")
        mne_bids.write_raw_bids(source, place, events=events, event_id={"face": 1, "house": 2}, verbose="ERROR")
    return folder / "set"


def test_a_data_set_lists_its_recordings(root):
    rows = formats.info(root)
    assert [r["description"] for r in rows] == [
        "sub-01_ses-a_task-rest_meg.fif", "sub-01_ses-b_task-rest_meg.fif", "sub-02_ses-a_task-rest_meg.fif"
    ]  # fmt: skip
    assert formats.is_readable(root)
    assert formats.read(root, series=3).source.name == "sub-02_ses-a_task-rest_meg.fif"
    assert formats.read(root, series="sub-01_ses-b").name == "sub-01_ses-b_task-rest_meg"
    with pytest.raises(InputError, match="holds 3 recordings, choose one"):
        formats.read(root)


def test_side_files_are_used(root):
    path = root / "sub-01" / "ses-a" / "meg" / "sub-01_ses-a_task-rest_meg.fif"
    tables = path.parent / "sub-01_ses-a_task-rest_channels.tsv"
    text = tables.read_text(encoding="utf-8-sig")
    rows = [line.split("\t") for line in text.splitlines()]
    status = rows[0].index("status")
    for row in rows[1:]:
        row[status] = "bad" if row[0] == "MEG 0005" else "good"
    tables.write_text("\n".join("\t".join(r) for r in rows) + "\n", encoding="utf-8")
    image = formats.read(path)
    assert image.header["bads"] == ["MEG 0005"]
    labels = [m.label for m in open_recording(image).marks]
    assert labels.count("face") == 2
    assert labels.count("house") == 1
    events = open_recording(image).events
    assert len(events) == 3
    assert [round(t, 2) for t, _ in events] == [2.0, 5.0, 9.0]


def test_names_become_cases(root):
    found = cases.load_cases(root)
    assert [c.id for c in found] == [
        "sub-01_ses-a_task-rest_meg", "sub-01_ses-b_task-rest_meg", "sub-02_ses-a_task-rest_meg"
    ]  # fmt: skip
    assert [c.group for c in found] == ["sub-01", "sub-01", "sub-02"]
    assert found[1].options == {"subject": "01", "session": "b", "task": "rest"}
    assert cases.open_case(found[0]).kind == "recording"
    from workbench.batch.inputs import expand

    assert [c.id for c in expand([str(root)])] == [c.id for c in found]


def test_a_plain_file_is_no_member(tmp_path, root):
    assert not bids.is_member(save_raw(tmp_path / "sub-01_meg.fif"))
    assert not bids.is_dataset(tmp_path)
    assert bids.is_member(root / "sub-01" / "ses-a" / "meg" / "sub-01_ses-a_task-rest_meg.fif")


def test_a_faulty_data_set_still_opens_and_says_so(tmp_path):
    folder = tmp_path / "set" / "sub-01" / "meg"
    folder.mkdir(parents=True)
    (tmp_path / "set" / "dataset_description.json").write_text("{}")
    path = save_raw(folder / "sub-01_task-rest_meg.fif")
    (folder / "sub-01_task-rest_channels.tsv").write_text("nonsense")
    image = formats.read(path)
    assert image.geometry.shape == (6000,)
    assert any("has no 'name' column" in w for w in image.notes)
    (folder / "sub-01_task-rest_events.tsv").write_text("onset\tduration\ttrial_type\nsoon\tlong\tface\n")
    image = formats.read(path)
    assert image.geometry.shape == (6000,)
    assert any("BIDS side files could not be used" in w for w in image.notes)
    assert not any("\n" in w for w in image.notes)


CHANNELS = "name\ttype\tunits\tstatus\nCz\tEOG\tV\tgood\nMEG 0005\tMEGMAG\tT\tbad\n"
EVENTS = "onset\tduration\ttrial_type\n2.0\t0\tface\n5.0\t0.5\thouse\n"


def beside(folder, name="sub-01_task-rest", **made):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}_channels.tsv").write_text(CHANNELS)
    (folder / f"{name}_events.tsv").write_text(EVENTS)
    return save_raw(folder / f"{name}_meg.fif", **made)


def applied(image):
    """Bad channels, the type of Cz, and events, as the side files have them."""
    recording = open_recording(image)
    assert image.header["bads"] == ["MEG 0005"]
    assert recording.kinds[recording.channels.index("Cz")] == "eog"
    assert recording.events == [(2.0, "face"), (5.0, "house")]
    return [m.label for m in recording.marks]


def test_side_files_without_a_data_set_around_them_are_used(tmp_path):
    image = formats.read(beside(tmp_path / "plain", first=500))
    assert "face" in applied(image)
    assert any("only sub-01_task-rest_channels.tsv and sub-01_task-rest_events.tsv were used" in n for n in image.notes)


def test_side_files_are_used_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(bids, "available", lambda: False)
    (tmp_path / "dataset_description.json").write_text("{}")
    image = formats.read(beside(tmp_path / "sub-01" / "meg"))
    applied(image)
    assert any("install the extra" in n for n in image.notes)


def test_a_fault_in_one_side_file_does_not_drop_the_others(tmp_path):
    (tmp_path / "dataset_description.json").write_text("{}")
    folder = tmp_path / "sub-01" / "meg"
    path = beside(folder)
    (folder / "sub-01_task-rest_events.tsv").write_text("onset\tduration\ttrial_type\nsoon\tlong\tface\n")
    image = formats.read(path)
    assert image.header["bads"] == ["MEG 0005"]
    assert any("onset 'soon' is no number" in n for n in image.notes)


def test_what_is_left_of_a_recording_keeps_its_side_files(tmp_path):
    (tmp_path / "dataset_description.json").write_text("{}")
    path = beside(tmp_path / "sub-01" / "meg")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.9)])
    image = formats.read(path, allow_truncated=True)
    assert any("read in part" in n for n in image.notes)
    applied(image)


def test_triggers_count_where_no_table_lists_events(tmp_path):
    (tmp_path / "dataset_description.json").write_text("{}")
    path = beside(tmp_path / "sub-01" / "meg")
    (path.parent / "sub-01_task-rest_events.tsv").unlink()
    assert any("STI 014" in n and "Removing the channel" in n for n in formats.read(path).notes)
    (path.parent / "sub-01_task-rest_channels.tsv").write_text(f"{CHANNELS}STI 014\tTRIG\tV\tgood\n")
    assert [code for _, code in open_recording(formats.read(path)).events] == ["1", "2", "1"]


def test_channels_in_another_order_are_said(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "set")
    folder = copy / "sub-02" / "ses-a" / "meg"
    table = folder / "sub-02_ses-a_task-rest_channels.tsv"
    rows = table.read_text(encoding="utf-8-sig").splitlines()
    table.write_text("\n".join([rows[0], *rows[:0:-1]]) + "\n", encoding="utf-8")
    path = folder / "sub-02_ses-a_task-rest_meg.fif"
    image = formats.read(path)
    assert any("another order than the recording" in n for n in image.notes)
    plain = mne.io.read_raw_fif(path, verbose="ERROR")
    recording = open_recording(image)
    assert recording.channels == tuple(r.split("\t")[0] for r in rows[:0:-1])
    name = recording.channels[3]
    np.testing.assert_allclose(recording.read(0, 100, [name]), plain.get_data(picks=[name], stop=100), rtol=1e-6)
    assert [k for _, k in recording.events] == ["face", "house", "face"]
