"""Seeds of the mutation test: recordings and what lies beside them, in all formats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests import bti_maker, cnt_maker, ctf_maker, eeglab_maker, egi_maker, kit_maker, recording_maker
from tests.mutation.seed import Seed, named

_QUIET = {"verbose": "ERROR"}


def _signals(n=4, samples=300):
    return np.random.default_rng(0).normal(0, 1e-12, (n, samples))


def _fif(name, **options):
    def make(folder: Path) -> Path:
        return recording_maker.save_raw(folder / name, seconds=2.0, n_meg=3, n_eeg=2, rate=100.0, **options)

    return make


def _epochs():
    import mne

    made = recording_maker.raw(seconds=4.0, n_meg=3, n_eeg=2, rate=100.0)
    return mne.make_fixed_length_epochs(made, 1.0, preload=True, **_QUIET)


def _save_epochs(folder: Path) -> Path:
    _epochs().save(folder / "e-epo.fif", **_QUIET)
    return folder / "e-epo.fif"


def _save_evoked(name):
    def make(folder: Path) -> Path:
        _epochs().average().save(folder / name, **_QUIET)
        return folder / name

    return make


def _eeg(name, format):
    def make(folder: Path) -> Path:
        import mne

        made = recording_maker.raw(seconds=4.0, n_meg=0, rate=100.0).pick("eeg", **_QUIET)
        mne.export.export_raw(folder / name, made, fmt=format, **_QUIET)
        if format == "brainvision":  # pybv leaves the number of samples out, amplifiers write it
            text = (folder / name).read_text(encoding="utf-8")
            said = f"DataPoints={made.n_times}\nNumberOfChannels"
            (folder / name).write_text(text.replace("NumberOfChannels", said), encoding="utf-8")
        return folder / name

    return make


def _bdf(folder: Path) -> Path:
    """Written byte by byte from the layout of the format: 24-bit samples in records of a second."""
    names, rate, records = ["Fz", "Cz", "Pz"], 64, 4
    columns = [
        [n.ljust(16) for n in names], ["Active electrode".ljust(80)] * 3, ["uV".ljust(8)] * 3,
        ["-262144".ljust(8)] * 3, ["262143".ljust(8)] * 3, ["-8388608".ljust(8)] * 3, ["8388607".ljust(8)] * 3,
        ["".ljust(80)] * 3, [str(rate).ljust(8)] * 3, ["".ljust(32)] * 3,
    ]  # fmt: skip
    start = (
        b"\xffBIOSEMI" + f"{'X':<80}{'Startdate':<80}06.05.1307.08.09{1024:<8}{'24BIT':<44}{records:<8}{1:<8}".encode()
    )
    header = start + f"{len(names):<4}".encode() + "".join("".join(c) for c in columns).encode()
    values = np.random.default_rng(0).integers(-(1 << 22), 1 << 22, (records, len(names), rate)).astype("<i4")
    body = values.reshape(-1, 1).view("u1").reshape(-1, 4)[:, :3].tobytes()
    (folder / "x.bdf").write_bytes(header + body)
    return folder / "x.bdf"


def _kit(folder: Path) -> Path:
    return kit_maker.save_kit(folder / "k.con", _signals(), np.zeros(300)) or folder / "k.con"


def _bti(folder: Path) -> Path:
    bti_maker.save_bti(folder / "bti", _signals(), np.zeros(300))
    return folder / "bti"


def _eeglab(trials=0, **options):
    def make(folder: Path) -> Path:
        width = 40 if trials else 200
        events = [(width * n + 10, "ab"[n % 2]) for n in range(trials or 4)]
        data = eeglab_maker.signals(samples=width, trials=trials)
        fields = eeglab_maker.fields(data, events=[e for e in events if e[0] < width * max(1, trials)],
                                     trials=max(1, trials))  # fmt: skip
        return eeglab_maker.save(folder / "s.set", fields, **options)

    return make


def _cnt(**options):
    def make(folder: Path) -> Path:
        data = np.random.default_rng(0).integers(-3000, 3000, (4, 300))
        events = [(20, 1), (100, 7), (250, 2)]
        return cnt_maker.save(folder / "n.cnt", data, ("Fz", "Cz", "Pz", "HEOG"), events, **options)

    return make


def _egi(**options):
    def make(folder: Path) -> Path:
        data = np.random.default_rng(0).integers(-2000, 2000, (5, 300))
        pulses = np.isin(np.arange(300), (50, 120, 200)) * 1
        return egi_maker.save(folder / "e.raw", data, {"DIN1": pulses, "resp": np.roll(pulses, 9)}, **options)

    return make


def _ctf(folder: Path) -> Path:
    return ctf_maker.save_ctf(folder / "c.ds", _signals(), np.zeros(300))


def _parcels(folder: Path) -> Path:
    np.save(folder / "p.npy", np.random.default_rng(0).normal(size=(3, 200)).astype("f4"))
    beside = {"sampling_rate": 250.0, "channels": ["a", "b", "c"], "kinds": ["misc"] * 3}
    (folder / "p.json").write_text(json.dumps(beside), encoding="utf-8")
    return folder / "p.npy"


def _marks_of(path: Path):
    from workbench.recording.data.marks_files import read_marks
    from workbench.recording.data.read import image_of_raw

    whose = image_of_raw(_annotated())  # theirs count from its date

    def read():
        marks = list(read_marks(path, whose))
        return np.array([(m.onset, m.duration) for m in marks]), [(m.label, m.channels) for m in marks]

    return {"marks": read}


def _marks(name):
    def make(folder: Path) -> Path:
        _annotated().annotations.save(folder / name, overwrite=True, **_QUIET)
        return folder / name

    return make


def _annotated():
    return recording_maker.raw(seconds=9.0, rate=100.0)


def _own_marks(folder: Path) -> Path:
    from workbench.core.types import Mark, Marks
    from workbench.data.parts import marks_table

    marks = Marks((Mark(0.5, 1.0, "BAD_jump", ()), Mark(2.0, 0.25, "spike", ("MEG 0001", "MEG 0003"))))
    (folder / "annotations.csv").write_text(marks_table(marks), encoding="utf-8")
    return folder / "annotations.csv"


def _bids_events(folder: Path) -> Path:
    rows = "onset\tduration\ttrial_type\n1.0\t0.5\tleft\n2.5\tn/a\tright\n"
    (folder / "sub-1_events.tsv").write_text(rows, encoding="utf-8")
    return folder / "sub-1_events.tsv"


def _recording(name, make, **options) -> Seed:
    return Seed(name, "recordings", make, **options)


_TAGS = "length of each tag, number of channels"
_NONE = {"protection": "none", "counted": False}

SEEDS = (
    _recording("fif", _fif("r_raw.fif"), protection=_TAGS),
    _recording("fif gz", _fif("r_raw.fif.gz"), protection="CRC-32 and length", sealed=named(".gz")),
    _recording("fif epochs", _save_epochs, protection=_TAGS),
    _recording("fif evoked", _save_evoked("e-ave.fif"), protection=_TAGS),
    _recording("fif gz evoked", _save_evoked("e-ave.fif.gz"), protection="CRC-32 and length", sealed=named(".gz")),
    _recording("edf", _eeg("x.edf", "edf"), protection="number of records"),
    _recording("bdf", _bdf, protection="number of records"),
    _recording("brainvision", _eeg("x.vhdr", "brainvision"), body=("*.eeg",), protection="number of samples"),
    _recording("kit", _kit, protection="number of samples"),
    _recording("ctf", _ctf, body=("*.meg4", "*.res4"), protection="number of trials and samples"),
    _recording("bti", _bti, body=("c,rfDC", "config"), protection="number of samples"),
    _recording("eeglab", _eeglab(), protection="number of samples"),
    _recording("eeglab packed", _eeglab(packed=True), protection="Adler-32, number of samples"),
    _recording("eeglab fdt", _eeglab(beside=True), body=("*.fdt",), protection="number of samples"),
    _recording("eeglab epochs", _eeglab(trials=5, flat=True), protection="number of samples and epochs"),
    _recording("eeglab 7.3", _eeglab(version=7.3), protection="number of samples, chunks"),
    _recording("eeglab 7.3 fdt", _eeglab(version=7.3, beside=True, trials=5), body=("*.fdt",),
               protection="number of samples and epochs"),
    _recording("cnt", _cnt(), protection="number of samples, place of the events"),
    _recording("cnt in blocks", _cnt(width=4, block=10, kind=2), protection="number of samples, place of the events"),
    _recording("egi raw", _egi(), protection="number of samples"),
    _recording("egi raw of whole numbers", _egi(version=2, bits=12, span=400), protection="number of samples"),
    _recording("parcels npy", _parcels, body=("*.npy",)),
    _recording("annotations fif", _marks("m-annot.fif"), verbs=_marks_of, protection=_TAGS),
    _recording("annotations fif gz", _marks("m-annot.fif.gz"), verbs=_marks_of, protection="CRC-32 and length",
               sealed=named(".gz")),
    _recording("annotations csv of mne", _marks("m.csv"), verbs=_marks_of, **_NONE),
    _recording("annotations txt", _marks("m.txt"), verbs=_marks_of, **_NONE),
    _recording("annotations csv", _own_marks, verbs=_marks_of, **_NONE),
    _recording("events tsv", _bids_events, verbs=_marks_of, **_NONE),
)  # fmt: skip
