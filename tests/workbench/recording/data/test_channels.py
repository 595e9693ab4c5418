"""Which channels a network gets: those it names, else the good ones of a kind; never silently others."""

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.recording.data.channels import choose_channels
from workbench.recording.data.recipe import RecordingRecipe
from workbench.recording.data.recording import Recording


def recording(kinds, bads=(), what="raw") -> Recording:
    names = tuple(f"{k} {i}" for i, k in enumerate(kinds))
    return Recording(
        channels=names, kinds=tuple(kinds), sampling_rate=100.0, n_samples=100, start=0.0, what=what,
        reader=lambda start, stop, picks: np.zeros((len(names), stop - start)), bads=tuple(bads),
    )  # fmt: skip


SENSORS = ["mag", "grad", "mag", "eeg", "eog", "ecg", "stim", "misc"]


def test_channels_by_name_come_in_the_order_of_the_weights() -> None:
    found = choose_channels(recording(SENSORS), RecordingRecipe(channels=("eeg 3", "mag 0")))
    assert (found.numbers, found.names, found.kinds, found.how) == (
        (3, 0),
        ("eeg 3", "mag 0"),
        ("eeg", "mag"),
        "by name",
    )


def test_named_channels_that_are_bad_are_used_and_said() -> None:
    found = choose_channels(recording(SENSORS, ["mag 0"]), RecordingRecipe(channels=("mag 0", "mag 2")))
    assert found.numbers == (0, 2)
    assert "marked as bad and were used: mag 0" in found.notes[0]


def test_otherwise_the_good_ones_of_the_brain_are_taken() -> None:
    found = choose_channels(recording(SENSORS, ["mag 2"]), RecordingRecipe())
    assert found.numbers == (0, 1)
    assert found.how == "mag/grad"
    assert "1 channel(s) marked as bad were left out: mag 2" in found.notes[0]
    assert choose_channels(recording(["eog", "eeg", "misc"]), RecordingRecipe()).how == "eeg"
    assert choose_channels(recording(["seeg", "misc"]), RecordingRecipe()).how == "seeg"


def test_misc_is_a_parcel_in_an_array_and_a_photo_diode_in_a_recording() -> None:
    assert choose_channels(recording(["misc"] * 3, what="array"), RecordingRecipe()).numbers == (0, 1, 2)
    with pytest.raises(InputError, match="no MEG or EEG channels in it, found 3 misc"):
        choose_channels(recording(["misc"] * 3), RecordingRecipe())


def test_kinds_can_be_chosen() -> None:
    assert choose_channels(recording(SENSORS), RecordingRecipe(kinds=("meg",))).numbers == (0, 1, 2)
    assert choose_channels(recording(SENSORS), RecordingRecipe(kinds=("grad",))).numbers == (1,)
    with pytest.raises(InputError, match="no seeg channels in it"):
        choose_channels(recording(SENSORS), RecordingRecipe(kinds=("seeg",)))
    with pytest.raises(InputError, match="all 2 mag channels are marked as bad"):
        choose_channels(recording(SENSORS, ["mag 0", "mag 2"]), RecordingRecipe(kinds=("mag",)))


def test_another_number_of_channels_is_refused_or_reduced() -> None:
    three = recording(["mag"] * 3, ["mag 0"])
    with pytest.raises(
        InputError, match=r"2 mag channels \(1 more are marked as bad: mag 0\), the weights take 1.*pca"
    ):
        choose_channels(three, RecordingRecipe(n_channels=1))
    with pytest.raises(InputError, match="the weights take 5. Choose other channels"):
        choose_channels(three, RecordingRecipe(n_channels=5, reduce="pca"))  # components cannot be invented
    reduced = choose_channels(three, RecordingRecipe(n_channels=1, reduce="pca"))
    assert (reduced.numbers, reduced.reduce_to) == ((1, 2), 1)
    assert choose_channels(three, RecordingRecipe(n_channels=2, reduce="pca")).reduce_to is None


def test_other_names_of_the_right_number_are_said() -> None:
    found = choose_channels(recording(["mag"] * 2), RecordingRecipe(channels=("MEG 1", "MEG 2"), n_channels=2))
    assert found.numbers == (0, 1)
    assert "their order was trusted" in found.notes[0]


def test_helpers_are_eye_and_heart_and_never_bad_ones() -> None:
    recipe = RecordingRecipe(kinds=("mag",), ica=("eog", "ecg"))
    assert choose_channels(recording(SENSORS), recipe).helpers == (4, 5)
    assert choose_channels(recording(SENSORS, ["eog 4"]), recipe).helpers == (5,)


def test_channels_are_chosen_by_name(tmp_path):
    from tests.recording_maker import raw, save_raw
    from workbench.data import formats
    from workbench.recording.data.channels import only_named
    from workbench.recording.data.recording import open_recording

    recording = open_recording(formats.read(save_raw(tmp_path / "a_raw.fif")))
    assert only_named(recording, ())[0] is recording
    chosen, notes = only_named(recording, ("MEG 0004", "meg0002", "Cz"))
    assert chosen.channels == ("MEG 0004", "MEG 0002", "Cz", "EOG 061", "ECG 063", "STI 014")
    assert chosen.kinds == ("mag", "mag", "eeg", "eog", "ecg", "stim")
    assert chosen.bads == ()
    assert only_named(recording, ("MEG 0004, meg0002,Cz",))[0].channels == chosen.channels
    assert any("marked as bad and were used" in n and "MEG 0002" in n for n in notes)
    assert list(chosen.info["ch_names"]) == list(chosen.channels) == chosen.raw().ch_names
    whole = raw().get_data()
    rows = [3, 1, recording.channels.index("Cz")]
    np.testing.assert_allclose(chosen.read(100, 300, [0, 1, 2]), whole[rows, 100:300], rtol=1e-6)
    assert chosen.events == recording.events
    with pytest.raises(InputError, match=r"no channel\(s\) 'MEG 0099'"):
        only_named(recording, ("MEG 0099",))
    with pytest.raises(InputError, match="'MEG 0001' was named twice"):
        only_named(recording, ("MEG 0001", "MEG0001"))
