"""Events of stimulus channels: which channel, which bits, how long a code must last; by MNE's `find_events`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from workbench.core.errors import InputError, nearest
from workbench.recording.data.recording import Event, mne_call

_NEGATIVE = "negative values"  # of MNE's warning that it takes absolute values
Unsigned = Literal["auto", "yes", "no"]


@dataclass(frozen=True)
class Triggers:
    """How codes are read from stimulus channels.

    Parameters
    ----------
    channel
        Name of the channel; empty: the one that MNE takes (``STI101``, ``STI 014``, else all of them together).
    mask
        Only these bits of a code count; 0: all.
    unsigned
        ``"yes"``: 16 bits without a sign, as Neuromag systems store codes from 32768 on; ``"auto"``: where there are
        negative ones; ``"no"``: their absolute values.
    shortest
        Samples that a code must last; 1: all, also those of a single sample, which often are on the way to another.
    """

    channel: str = ""
    mask: int = 0
    unsigned: Unsigned = "auto"
    shortest: int = 1


def find_events(path: Path, raw: Any, triggers: Triggers) -> tuple[list[Event], list[str]]:
    """(time [s], code) of the events of an `mne.io.Raw` from its first sample on, and what to say of them.

    Raises
    ------
    InputError
        There is no such stimulus channel.
    """
    import mne

    rate = float(raw.info["sfreq"])
    stims = [n for n, k in zip(raw.ch_names, raw.get_channel_types(), strict=True) if k == "stim"]
    if triggers.channel and triggers.channel not in raw.ch_names:
        raise InputError(f"{path}: no stimulus channel '{triggers.channel}'.{nearest(triggers.channel, stims)}")
    picks = [triggers.channel] if triggers.channel else stims
    if not picks:
        return [], []
    only = mne_call(path, lambda: raw.copy().pick(picks, verbose="ERROR").load_data(verbose="ERROR"), [])
    options: dict[str, Any] = {"shortest_event": 1, "initial_event": False, "verbose": "WARNING"}
    if triggers.channel:
        options["stim_channel"] = triggers.channel
    if triggers.mask:
        options |= {"mask": triggers.mask, "mask_type": "and"}

    def found(unsigned: bool, least: int, said: list[str]) -> Any:
        shortest = least / rate if least > 1 else 0.0
        work = partial(mne.find_events, only, uint_cast=unsigned, min_duration=shortest, **options)
        return mne_call(path, work, said)

    notes: list[str] = []
    if not triggers.channel and len(stims) > 1 and not {"STI101", "STI 014"} & set(stims):
        notes.append(f"codes of {len(stims)} stimulus channels were taken together: {', '.join(stims[:5])}")
    said: list[str] = []
    unsigned = triggers.unsigned == "yes"
    events = found(unsigned, triggers.shortest, said)
    if not unsigned and any(_NEGATIVE in text for text in said):
        if triggers.unsigned == "auto":
            unsigned, events = True, found(True, triggers.shortest, [])
            notes.append("the stimulus channel holds negative codes: read as 16 bits without a sign")
        else:
            notes.append("the stimulus channel holds negative codes, which lost their sign")
    if triggers.shortest < 2 and len(events):
        kept = {(int(s), int(c)) for s, _, c in found(unsigned, 2, [])}
        short = [int(c) for s, _, c in events if (int(s), int(c)) not in kept]
        if short:
            codes = ", ".join(str(c) for c in sorted(set(short))[:5])
            notes.append(
                f"{len(short)} of {len(events)} codes last a single sample ({codes}), as on the way to another: a"
                " longer 'shortest' leaves them out"
            )
    first = int(raw.first_samp)
    return [((int(s) - first) / rate, str(int(code))) for s, _, code in events], notes
