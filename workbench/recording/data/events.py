"""Events from a file beside a recording: tables, BIDS ``events.tsv``, MNE's; and which of its events count."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from workbench.core.errors import InputError, NothingFound
from workbench.core.types import Image
from workbench.recording.data import fif_file
from workbench.recording.data.breaks import is_no_event
from workbench.recording.data.marks_files import read_marks
from workbench.recording.data.recording import Event, Recording, RecordingNative, mne_call, open_recording

_NAMED = 6
_MARKS = re.compile(r"[-_]annot\.fif(\.gz)?$")


def events_of(recording: Recording, kinds: Sequence[str] = ()) -> list[Event]:
    """(time [s], kind) of the events of a recording, in order of time; each kind comes from one source only.

    A file of events stands in place of all others. Otherwise stimulus channels come first, and annotations give those
    kinds that no channel has and that were asked for (see `left_out`): the same event, read from both, would be two
    trials.

    Parameters
    ----------
    kinds
        Kinds that were asked for: also annotations that last are looked at. By default the events, or where there are
        none the annotations without a duration; never what is called bad, or is about the recording itself.
    """
    events = [(float(t), str(k)) for t, k in recording.events]
    marks = recording.marks
    if recording.events_from == "file":
        return sorted(e for e in events if (e[1] in kinds if kinds else not is_no_event(e[1])))
    if kinds:
        own = set() if recording.events_from == "annotations" else {k for _, k in events}
        found = [e for e in events if e[1] in own]
        return sorted([*found, *((m.onset, m.label) for m in marks if m.label not in own)])
    # Readers may list annotations among the events; a blink or a bad stretch lasts, and is nothing that was shown.
    lasting = {(round(m.onset, 3), m.label) for m in marks if m.duration > 0 or is_no_event(m.label)}
    shown = [e for e in events if (round(e[0], 3), e[1]) not in lasting and not is_no_event(e[1])]
    if shown:
        return sorted(shown)
    return sorted((m.onset, m.label) for m in marks if m.duration == 0 and not is_no_event(m.label))


def left_out(recording: Recording, kinds: Sequence[str] = ()) -> tuple[str, ...]:
    """A note on annotations that could be events, and that `events_of` leaves out beside stimulus channels."""
    if kinds or recording.events_from != "triggers":
        return ()
    own = {str(k) for _, k in recording.events}
    if not any(not is_no_event(k) for k in own):
        return ()
    found = Counter(
        m.label for m in recording.marks if m.duration == 0 and m.label not in own and not is_no_event(m.label)
    )
    if not found:
        return ()
    named = ", ".join(f"'{label}' ({count})" for label, count in sorted(found.items())[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return (f"annotations that no stimulus channel has are not taken for events: {named}{more}; name all that count",)


def with_events(image: Image, path: str | Path) -> Image:
    """The recording with the events of a file instead of its own.

    Parameters
    ----------
    path
        CSV or TSV with the columns ``onset`` (or ``time``, in seconds of the recording's clock) and ``label`` (or
        ``trial_type``, ``description``, ``value``), ``-eve.fif`` with MNE's sample numbers, or annotations of MNE,
        which may count from the date of the recording (`workbench.recording.data.marks_files`).

    Raises
    ------
    InputError
        If it cannot be read, or an event lies outside the recording.
    """
    recording = open_recording(image)
    events = read_events(path, recording)
    given = replace(recording, events_reader=lambda: events, events_from="file", event_notes=[])
    files = image.native.files if isinstance(image.native, RecordingNative) else ()
    native = RecordingNative(lambda: given, (*files, Path(path)))
    return replace(image, native=native, header={**image.header, "n_events": len(events)})


def read_events(path: str | Path, recording: Recording) -> list[Event]:
    """(time [s], label) of every event of a file, in order of time; all of them must lie inside the recording."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise NothingFound(f"{path}: no such file of events.")
    if path.name.lower().endswith((".fif", ".fif.gz")) and not _MARKS.search(path.name.lower()):
        import mne

        whole = fif_file.whole(path)
        found = mne_call(path, lambda: mne.read_events(whole, verbose="ERROR"), [])
        first = round(recording.first_time * recording.rate)
        events = [((int(s) - first) / recording.rate + recording.start, str(int(code))) for s, _, code in found]
    else:
        events = [(m.onset, m.label) for m in read_marks(path, recording)]
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
