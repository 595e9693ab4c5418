"""Events from a file beside a recording: a table of times and labels, BIDS ``events.tsv``, or MNE's ``-eve.fif``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from workbench.core.errors import InputError, NothingFound
from workbench.core.types import Image
from workbench.recording.data import fif_file
from workbench.recording.data.recording import Event, Recording, RecordingNative, mne_call, open_recording


def with_events(image: Image, path: str | Path) -> Image:
    """The recording with the events of a file instead of its own.

    Parameters
    ----------
    path
        CSV or TSV with the columns ``onset`` (or ``time``, in seconds of the recording's clock) and ``label`` (or
        ``trial_type``, ``description``, ``value``), or ``-eve.fif`` with MNE's sample numbers.

    Raises
    ------
    InputError
        If it cannot be read, or an event lies outside the recording.
    """
    recording = open_recording(image)
    events = read_events(path, recording)
    given = replace(recording, events_reader=lambda: events)
    files = image.native.files if isinstance(image.native, RecordingNative) else ()
    native = RecordingNative(lambda: given, (*files, Path(path)))
    return replace(image, native=native, header={**image.header, "n_events": len(events)})


def read_events(path: str | Path, recording: Recording) -> list[Event]:
    """(time [s], label) of every event of a file, in order of time; all of them must lie inside the recording."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise NothingFound(f"{path}: no such file of events.")
    if path.name.lower().endswith((".fif", ".fif.gz")):
        import mne

        whole = fif_file.whole(path)
        found = mne_call(path, lambda: mne.read_events(whole, verbose="ERROR"), [])
        first = int(recording.raw().first_samp)
        events = [((int(s) - first) / recording.rate + recording.start, str(int(code))) for s, _, code in found]
    else:
        from workbench.recording.data.write import read_marks

        events = [(m.onset, m.label) for m in read_marks(path)]
    check_events(events, recording, path)
    return sorted(events)


def check_events(events: list[Event], recording: Recording, path: str | Path) -> None:
    """Refuse events that lie outside the recording.

    Raises
    ------
    InputError
        Names the first of them, and how long the recording is.
    """
    end = recording.start + recording.duration
    outside = [e for e in events if not recording.start <= e[0] < end]
    if outside:
        time, label = outside[0]
        raise InputError(
            f"{path}: {len(outside)} of {len(events)} events lie outside the recording {recording.name}, first"
            f" '{label}' at {time:g} s; it runs from {recording.start:g} to {end:g} s. Times count from its start."
        )
