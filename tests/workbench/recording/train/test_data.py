"""Windows lie in good samples of one run, and what is kept apart is never trained on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.edf_maker import save_edf
from tests.recording_maker import signals
from workbench.core.errors import InputError, UsageError
from workbench.core.types import Case
from workbench.recording.data.prepare import RecordingRecipe
from workbench.recording.train.data import Session, Stretch, Windows, cut, load_sessions, split_sessions, stretches


def session(name, subject, samples=4000, bad=(), segments=()):
    good = np.ones(samples, bool)
    for a, b in bad:
        good[a:b] = False
    data = np.arange(2 * samples, dtype=np.float32).reshape(2, samples)
    return Session(name, subject, data, good, ("a", "b"), 250.0, segments)


def test_stretches_end_at_bad_samples_and_at_breaks():
    one = session("s", "p", 1000, bad=[(300, 310), (600, 601)], segments=[(0, 500), (500, 1000)])
    assert stretches([one], 95) == (
        Stretch(0, 0, 300),
        Stretch(0, 310, 500),
        Stretch(0, 500, 600),
        Stretch(0, 601, 1000),
    )
    assert stretches([one], 150) == (Stretch(0, 0, 300), Stretch(0, 310, 500), Stretch(0, 601, 1000))


def test_subjects_are_kept_apart_whole():
    sessions = [session(f"{p}{i}", p) for p in "abcde" for i in (1, 2)]
    split = split_sessions(sessions, 200, by="auto", fraction=0.2, seed=3)
    trained = {sessions[s.session].subject for s in split.train}
    held = {sessions[s.session].subject for s in split.val}
    assert len(held) == 1
    assert not trained & held
    assert split.held_out == tuple(held)
    assert "held-out subject" in split.text


@given(seed=st.integers(0, 50), length=st.integers(20, 300), fraction=st.floats(0.05, 0.4))
def test_training_windows_never_overlap_held_out_ones(seed, length, fraction):
    sessions = [session("x", "p", 9000, bad=[(3000, 3100)]), session("y", "p", 9100)]
    split = split_sessions(sessions, length, by="windows", fraction=fraction, seed=seed)
    held = [np.zeros(len(s.good), bool) for s in sessions]
    for s in split.val:
        assert s.stop - s.start == length
        held[s.session][s.start : s.stop] = True
    for s in split.train:
        assert not held[s.session][s.start : s.stop].any()
        assert sessions[s.session].good[s.start : s.stop].all()
    share = sum(h.sum() for h in held) / sum(len(s.good) for s in sessions)
    assert 0.3 * fraction < share < 1.5 * fraction
    assert "trained on" in split.text


def test_one_subject_falls_to_windows_only_when_it_may():
    sessions = [session("x", "p"), session("y", "p")]
    assert "windows" in split_sessions(sessions, 100, by="auto", fraction=0.1, seed=0).text
    with pytest.raises(UsageError, match="belong to one group"):
        split_sessions(sessions, 100, by="subject", fraction=0.1, seed=0)
    nothing_kept = split_sessions(sessions, 100, by="auto", fraction=0, seed=0)
    assert nothing_kept.train == nothing_kept.val
    assert "shows fit" in nothing_kept.text


def test_short_recordings_are_refused_with_what_they_have():
    with pytest.raises(InputError, match=r"201 good samples in a row \(0\.80 s\).*0\.76 s of good data"):
        split_sessions([session("x", "p", 190)], 201, by="auto", fraction=0.1, seed=0)
    with pytest.raises(UsageError, match="too short to keep windows"):
        split_sessions([session("x", "p", 300)], 201, by="windows", fraction=0.1, seed=0)


def test_windows_are_drawn_everywhere_and_inside():
    windows = Windows([Stretch(0, 10, 60), Stretch(1, 0, 45), Stretch(1, 100, 120)], 40)
    drawn = windows.draw(500, np.random.default_rng(0))
    assert {w for w in drawn if w[0] == 0} == {(0, at) for at in range(10, 21)}
    assert {w for w in drawn if w[0] == 1} == {(1, at) for at in range(6)}
    assert windows.per_epoch == 2
    assert windows.spread(10) == [(0, 10), (1, 0)]
    long = Windows([Stretch(0, 0, 1000)], 10)
    assert len(long.spread(7)) == 7
    assert len(set(long.spread(7))) == 7


def test_cut_gives_samples_before_channels():
    one = session("x", "p", 100)
    part = cut([one.data], [(0, 5), (0, 50)], 3)
    assert part.shape == (2, 3, 2)
    assert part[1].tolist() == [[50, 150], [51, 151], [52, 152]]


def test_what_the_reader_said_is_a_note_of_the_session(tmp_path):
    path = save_edf(tmp_path / "a.edf", signals(3, 12, 128, scale=20.0), [*range(6), *range(20, 26)])
    recipe = RecordingRecipe(sampling_rate=128.0)
    (session,) = load_sessions([Case("a", path)], recipe, allow_resample=True, channels=("EEG 2", "EEG 1"))
    assert any("1 interruption(s) of 14 s" in n for n in session.notes)
    assert any("2 of 3 channels were chosen by name" in n for n in session.notes)
    assert session.segments == ((0, 768), (768, 1536))
    assert session.channels == ("EEG 2", "EEG 1")
