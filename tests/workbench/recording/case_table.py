"""The shared small recordings, one row each: the right value, what MNE gives, what the workbench gives.

python -m tests.workbench.recording.case_table [FOLDER]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mne
import numpy as np

import workbench as wb
from workbench.core.errors import WorkbenchError
from workbench.recording import Triggers, open_recording, read_marks
from workbench.recording.data.prepare import RecordingRecipe, prepare
from workbench.recording.data.read import with_triggers

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "cases" / "recordings"
SIDE = [(2.5, "go"), (4.0, "stop"), (6.25, "BAD_x")]


@dataclass(frozen=True)
class Row:
    """One file: `reference` and `ours` are computed from it, `right` is written down."""

    file: str
    right: object
    reference: Callable[[Path], object]
    ours: Callable[[Path], object]


def _set_by_mne(path: Path) -> object:
    """As `set_annotations` puts it; the date of the text file by hand, since MNE's reader overlooks it."""
    raw = mne.io.read_raw_fif(path.parent / "firstsamp_raw.fif", verbose="ERROR")
    found = mne.read_annotations(path)
    if found.orig_time is None:
        found = mne.Annotations(found.onset, found.duration, found.description, orig_time=raw.info["meas_date"])
    made = raw.set_annotations(found).annotations
    return [(round(float(o - raw.first_time), 6), str(d)) for o, d in zip(made.onset, made.description, strict=True)]


def _side_file(path: Path) -> object:
    recording = wb.read(path.parent / "firstsamp_raw.fif")
    return [(m.onset, m.label) for m in read_marks(path, recording)]


def _edfd_by_hand(path: Path) -> object:
    """The times of the records, from their bytes: ten of 128 + 128 + 32 samples behind a header of 1024 bytes."""
    content = path.read_bytes()[1024:]
    width = 2 * (128 + 128 + 32)
    texts = [content[n * width + 512 : (n + 1) * width].split(b"\0") for n in range(10)]
    begins = [float(t[0].split(b"\x14")[0]) for t in texts]
    breaks = [n * 128 for n in range(1, 10) if begins[n] > begins[n - 1] + 1.001]
    marks = []
    for number, entries in enumerate(texts):
        for entry in entries[1:]:
            if entry:
                onset = float(entry.split(b"\x14")[0].split(b"\x15")[0])
                marks.append(round(number + onset - begins[number], 6))
    return [list(zip([0, *breaks], [*breaks, 1280], strict=True)), sorted(marks)]


def _edfd(path: Path) -> object:
    recording = open_recording(wb.read(path))
    return [list(recording.segments), [round(m.onset, 6) for m in recording.marks]]


def _codes_by_mne(path: Path) -> object:
    raw = mne.io.read_raw_fif(path, verbose="ERROR")
    shortest = 2 / raw.info["sfreq"]
    found = mne.find_events(raw, uint_cast=True, min_duration=shortest, shortest_event=1, verbose="ERROR")
    return [(round((int(s) - raw.first_samp) / raw.info["sfreq"], 6), str(code)) for s, _, code in found]


def _codes(path: Path) -> object:
    recording = with_triggers(open_recording(wb.read(path)), Triggers(unsigned="yes", shortest=2))
    return [(round(t, 6), code) for t, code in recording.events]


def _rank_by_mne(path: Path) -> object:
    raw = mne.io.read_raw_fif(path, preload=True, verbose="ERROR")
    return f"rank {mne.compute_rank(raw, rank=None, tol=1e-6, tol_kind='relative', verbose='ERROR')['eeg']}: refused"


def _rank(path: Path) -> object:
    try:
        prepare(wb.read(path), RecordingRecipe(sampling_rate=250.0, reduce="pca", n_channels=12))
    except WorkbenchError as error:
        return "rank 8: refused" if "have rank 8 " in str(error) else str(error)
    return "12 components"


def _pieces_of_mne(path: Path) -> object:
    raw = mne.io.read_raw_edf(path, preload=True, verbose="ERROR")
    return _apart(lambda a, b: raw.get_data(start=a, stop=b), raw.get_data())


def _pieces(path: Path) -> object:
    recording = open_recording(wb.read(path))
    with mne.utils.use_log_level("ERROR"):
        whole = mne.io.read_raw_edf(path, preload=True, verbose="ERROR").get_data()
    return _apart(recording.read, whole)


def _apart(read: Callable[[int, int], np.ndarray], whole: np.ndarray) -> float:
    """The largest difference between pieces and the whole, in deviations of the channel, to four digits."""
    pieces = np.concatenate([read(a, min(a + 1777, whole.shape[1])) for a in range(0, whole.shape[1], 1777)], axis=1)
    return round(float((np.abs(pieces - whole).max(axis=1) / whole.std(axis=1)).max()), 3)


def _named(word: str) -> Callable[[Path], object]:
    def ours(path: Path) -> object:
        try:
            wb.read(path)
        except WorkbenchError as error:
            return f"named: {word}" if word in str(error) and "mne.io" in str(error) else str(error)
        return "read"

    return ours


def _egi_by_mne(path: Path) -> object:
    raw = mne.io.read_raw_egi(path, preload=True, verbose="ERROR")
    marks = sorted((round(float(a["onset"]), 3), a["description"]) for a in raw.annotations)
    return [float(raw.info["sfreq"]), raw.n_times, _microvolt(raw.get_data()[:200]), marks]


def _egi(path: Path) -> object:
    recording = open_recording(wb.read(path))
    data = wb.read(path).data
    return [recording.rate, data.shape[1], _microvolt(data[:200]), [(round(t, 3), k) for t, k in recording.events]]


def _microvolt(data: np.ndarray) -> int:
    """Mean size of samples, one for both."""
    return round(float(np.abs(data).mean()) * 1e6)


ROWS = (
    *(Row(name, SIDE, _set_by_mne, _side_file)
      for name in ("firstsamp-annot.fif", "firstsamp_annot.csv", "firstsamp_annot.txt")),
    Row("edfd_gap4s.edf", [[(0, 640), (640, 1280)], [1.25, 7.5, 9.25]], _edfd_by_hand, _edfd),
    Row("sti101_negative_glitch_raw.fif",
        [(0.5, "1"), (1.5, "2"), (2.5, "32771"), (3.5, "32772"), (4.5, "17")], _codes_by_mne, _codes),
    Row("rank8_of_30_raw.fif", "rank 8: refused", _rank_by_mne, _rank),
    Row("short_psg.edf", 0.0, _pieces_of_mne, _pieces),
    Row("fieldtrip_data.mat", "named: FieldTrip", lambda path: "named: FieldTrip", _named("FieldTrip")),
    # Was to be named or read: it is read.
    Row("test_egi.raw", [250.0, 77, 7216, [(0.076, "TRSP"), (0.228, "XXX1")]], _egi_by_mne, _egi),
)  # fmt: skip


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    print("file | right | MNE (or the bytes) | workbench | as it should be")
    for row in ROWS:
        ours, reference = row.ours(folder / row.file), row.reference(folder / row.file)
        print(" | ".join([row.file, str(row.right), str(reference), str(ours), "yes" if ours == row.right else "NO"]))


if __name__ == "__main__":
    main()
