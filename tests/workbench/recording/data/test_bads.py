"""Bad channels that are given instead of those of the file: what comes out is what a file gives that says so itself."""

import json

import mne
import numpy as np
import pytest

import workbench as wb
from tests.recording_maker import raw, save_raw
from tests.tiny import make_tiny_meg_weights
from workbench.cli import run
from workbench.core.errors import InputError, UsageError
from workbench.recording import open_recording, read_bads, with_bad_channels, write_channels
from workbench.recording.data.bads import describe_bads, with_bads

THEIRS = ["MEG 0002"]  # what the file of the maker says


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A tokeniser alone: it takes any number of channels."""
    return make_tiny_meg_weights(tmp_path_factory.mktemp("w") / "t.safetensors", gpt=False)


@pytest.fixture
def file(tmp_path):
    return save_raw(tmp_path / "a_raw.fif")


def saying(folder, bads):
    """The same recording in a file whose header says that these are bad."""
    found = raw()
    found.info["bads"] = list(bads)
    folder.mkdir()
    found.save(folder / "a_raw.fif", verbose="ERROR")
    return folder / "a_raw.fif"


def predict(image, net, **values):
    return wb.predict("meg_gpt", image, weights=str(net), device="cpu", kinds="mag", **values)


@pytest.mark.parametrize(
    ("given", "bads"),
    [
        (("MEG 0002", "MEG 0005"), ["MEG 0002", "MEG 0005"]),
        (("meg0005",), ["MEG 0005"]),
        (("MEG 0007, MEG 0003",), ["MEG 0003", "MEG 0007"]),
        (("none",), []),
    ],
)
def test_given_bad_channels_are_as_those_of_a_header(given, bads, file, net, tmp_path):
    theirs = predict(saying(tmp_path / "other", bads), net)
    for ours in (
        predict(file, net, bad_channels=given),
        predict(with_bad_channels(wb.read(file), given), net),
    ):
        assert ours["tokens"].channels == theirs["tokens"].channels
        assert not set(bads) & set(ours["tokens"].channels)
        for key in ("tokens", "reconstruction"):
            assert ours[key].data.tobytes() == theirs[key].data.tobytes(), key
        assert ours["variance"].rows == theirs["variance"].rows
        left_out = [n for n in ours.provenance.notes if "marked as bad were left out" in n]
        assert left_out == [n for n in theirs.provenance.notes if "marked as bad were left out" in n]
        assert any(n.startswith("bad channels were given: ") for n in ours.provenance.notes)
    assert wb.predict("meg_gpt", file, weights=str(net), device="cpu", kinds="mag")["tokens"].data.shape[0] == 7


def test_the_shell_takes_them_and_the_record_keeps_them(file, net, tmp_path, capsys):
    command = ["predict", "meg_gpt", "-i", file, "--weights", net, "--device", "cpu", "--kinds", "mag", "-q"]
    more = ["--bad-channels", "MEG 0002,MEG 0005", "-o", tmp_path / "out"]
    assert run([str(a) for a in (*command, *more)]) == 0
    folder = tmp_path / "out" / "a_raw"
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert record["settings"]["bad_channels"] in (["MEG 0002,MEG 0005"], ["MEG 0002", "MEG 0005"])
    assert "bad channels were given: MEG 0005 (not by the file), MEG 0002 (as in the file)" in record["notes"]
    assert (
        np.load(folder / "tokens.npy").tobytes()
        == predict(file, net, bad_channels=("MEG 0002", "MEG 0005"))["tokens"].data.tobytes()
    )
    assert run([str(a) for a in (*command, "--bad-channels", "MEG 9999", "-o", tmp_path / "no")]) != 0
    assert "no channel(s) 'MEG 9999'" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_recording_that_is_marked_anew_is_the_same_otherwise(file):
    image = wb.read(file)
    before = open_recording(image)
    after, (said,) = with_bads(before, ("MEG 0001", "Cz"))
    assert (before.bads, before.info["bads"]) == (("MEG 0002",), THEIRS), "what was opened stays as it is"
    assert after.bads == ("MEG 0001", "Cz")
    assert after.info["bads"] == after.raw().info["bads"] == ["MEG 0001", "Cz"]
    assert np.array_equal(after.read(), before.read())
    assert (after.events, after.marks, after.segments) == (before.events, before.marks, before.segments)
    assert said == "bad channels were given: MEG 0001, Cz (not by the file); MEG 0002, bad in the file, counted as good"
    marked = with_bad_channels(image, ("MEG 0001",))
    assert marked.header["bads"] == ["MEG 0001"]
    assert image.header["bads"] == THEIRS
    assert marked.all_files == image.all_files
    assert marked.notes[-1].startswith("bad channels were given: MEG 0001")
    assert with_bads(before, ()) == (before, ())
    assert with_bad_channels(image, ()) is image
    assert describe_bads((), ()) == "bad channels were given: none"
    with pytest.raises(InputError, match="no channel"):
        with_bads(before, ("MEG 0100",))
    with pytest.raises(UsageError, match="either 'none' or names"):
        with_bads(before, ("none", "MEG 0001"))


def test_the_table_of_channels_is_that_of_bids(file, tmp_path):
    recording = open_recording(wb.read(file))
    table = tmp_path / "channels.tsv"
    write_channels(recording, ["MEG 0005", "Fz"], table)
    assert read_bads(table) == ("MEG 0005", "Fz")
    rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()]
    assert rows[0] == ["name", "type", "units", "status", "status_description"]
    assert [r[0] for r in rows[1:]] == list(recording.channels)
    assert rows[1] == ["MEG 0001", "MEGMAG", "T", "good", "n/a"]
    assert rows[2] == ["MEG 0002", "MEGMAG", "T", "good", "bad in the file, good by hand"]
    assert rows[5] == ["MEG 0005", "MEGMAG", "T", "bad", "marked bad by hand"]
    # Beside a recording with a BIDS name it says the same to our reader, which takes what MNE-BIDS takes.
    bids = tmp_path / "sub-01_task-rest_meg.fif"
    raw().save(bids, verbose="ERROR")
    table.rename(tmp_path / "sub-01_task-rest_channels.tsv")
    assert wb.read(bids).header["bads"] == ["MEG 0005", "Fz"]
    assert mne.io.read_raw_fif(bids, verbose="ERROR").info["bads"] == THEIRS


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "no table of channels"), ("a\tb\n1\t2\n", "a column 'name'"), ("name\tstatus\nx\tbad\n", None)],
)
def test_other_tables_are_refused(text, says, tmp_path):
    path = tmp_path / "channels.tsv"
    path.write_text(text)
    if says is None:
        assert read_bads(path) == ("x",)
        path.write_text("name\ttype\nx\tEEG\n")
        assert read_bads(path) is None, "it says nothing of it"
    else:
        with pytest.raises(InputError, match=says):
            read_bads(path)
