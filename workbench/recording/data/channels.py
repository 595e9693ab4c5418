"""Which channels of a recording a network gets: by name, by type and number, or reduced; never silently others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.core.errors import InputError, nearest
from workbench.recording.data.recipe import RecordingRecipe
from workbench.recording.data.recording import Recording

MEG = ("mag", "grad")
_HELPERS = ("eog", "ecg", "stim")
_BRAIN = (("mag", "grad"), ("eeg",), ("seeg", "ecog", "dbs"), ("misc", "csd"))


@dataclass(frozen=True)
class Choice:
    """Chosen channels: their numbers in the recording, names and types.

    `helpers` are the numbers of eye and heart channels, needed for a step and dropped after it; `reduce_to` is the
    number of components they must be reduced to, if any. `how` begins with ``"by name"`` where every name was found;
    `moved` are the names that the weights know at another place, where not all were.
    """

    numbers: tuple[int, ...]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    how: str
    helpers: tuple[int, ...] = ()
    reduce_to: int | None = None
    notes: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()

    @property
    def is_by_name(self) -> bool:
        return self.how.startswith("by name")


def choose_channels(recording: Recording, recipe: RecordingRecipe) -> Choice:
    """The channels for a recipe: those it names if all are there, else the good ones of its kinds.

    Raises
    ------
    InputError
        If there are none of the kind, or their number does not fit and no reduction was asked for.
    """
    notes: list[str] = []
    reduce_to = None
    moved: tuple[str, ...] = ()
    named = None if recipe.channels is None else _by_name(recording.channels, recipe.channels, notes)
    if named is not None:
        numbers, how = named, "by name"
        bad = [recording.channels[i] for i in numbers if recording.channels[i] in recording.bads]
        if bad:
            notes.append(f"{len(bad)} channel(s) that the weights need are marked as bad and were used: {_few(bad)}")
    else:
        numbers, how = _by_kind(recording, _kinds_for(recording, recipe), notes)
        wanted = recipe.n_channels or (None if recipe.channels is None else len(recipe.channels))
        if wanted is not None and len(numbers) == wanted:
            if recipe.channels is not None:
                moved = _moved([recording.channels[i] for i in numbers], recipe.channels)
                notes.append(f"the {wanted} channels have other names than the weights know; their order was trusted")
        elif wanted is not None and recipe.reduce == "pca" and len(numbers) > wanted:
            reduce_to = wanted
        elif wanted is not None:
            bad = [n for n, k in zip(recording.channels, recording.kinds, strict=True)
                   if n in recording.bads and k in how.split("/")]  # fmt: skip
            raise InputError(
                f"{recording.name}: {len(numbers)} {how} channels"
                + (f" ({len(bad)} more are marked as bad: {_few(bad)})" if bad else "")
                + f", the weights take {wanted}."
                + (" Use --reduce pca to reduce them," if len(numbers) > wanted else " Choose other channels,")
                + " or train weights for this layout."
            )
        elif recipe.reduce == "pca":
            raise InputError("reduce 'pca' needs the number of channels to reduce to (n_channels), which nothing says.")
    helpers = tuple(
        i for i, k in enumerate(recording.kinds) if k in recipe.ica and recording.channels[i] not in recording.bads
    )
    return Choice(
        numbers=tuple(numbers),
        names=tuple(recording.channels[i] for i in numbers),
        kinds=tuple(recording.kinds[i] for i in numbers),
        how=how,
        helpers=helpers,
        reduce_to=reduce_to,
        notes=tuple(notes),
        moved=moved,
    )


def only_named(recording: Recording, names: Sequence[str]) -> tuple[Recording, tuple[str, ...]]:
    """The recording with only those channels, in that order, and what there is to say of it.

    Channels of eyes, heart and triggers stay behind them: steps of the preparation look at them.

    Parameters
    ----------
    names
        As they are spelt, or as `plain_name` has them, one by one or separated by commas; none: the recording as it is.

    Raises
    ------
    InputError
        A channel that is not there, or named twice.
    """
    if not names:
        return recording, ()
    numbers = numbers_of(recording, names)
    twice = next((recording.channels[n] for n in numbers if numbers.count(n) > 1), None)
    if twice is not None:
        raise InputError(f"{recording.name}: channel '{twice}' was named twice. Name each channel once.")
    named = [recording.channels[n] for n in numbers]
    bad = [n for n in named if n in recording.bads]
    notes = [f"{len(named)} of {len(recording.channels)} channels were chosen by name"]
    if bad:
        notes.append(f"{len(bad)} of them are marked as bad and were used, as they were named: {_few(bad)}")
    numbers += [i for i, k in enumerate(recording.kinds) if k in _HELPERS and i not in set(numbers)]
    info = recording.info
    if info is not None:
        import mne

        info = mne.pick_info(info, numbers, copy=True, verbose="ERROR")
        info["bads"] = [n for n in info["bads"] if n not in bad]

    def reader(start: int, stop: int, picks: Sequence[int] | None) -> Any:
        return recording.reader(start, stop, numbers if picks is None else [numbers[p] for p in picks])

    chosen = replace(
        recording,
        channels=tuple(recording.channels[n] for n in numbers),
        kinds=tuple(recording.kinds[n] for n in numbers),
        bads=tuple(n for n in recording.bads if n not in bad),
        info=info,
        reader=reader,
        events_reader=lambda: recording.events,
        event_notes=recording.event_notes,
        raw_opener=None if recording.raw_opener is None else lambda: _picked(recording.raw(), numbers),
    )
    return chosen, tuple(notes)


def numbers_of(recording: Recording, names: Sequence[str]) -> list[int]:
    """Numbers of channels by their names, as they are spelt or as `plain_name` has them, also several with commas.

    Raises
    ------
    InputError
        A channel that is not there, or several that could be meant.
    """
    numbers = []
    plain = [plain_name(n) for n in recording.channels]
    there = {*recording.channels, *plain}
    for name in (n for text in names for n in ([text] if text in there else _listed(text))):
        alike = [i for i, n in enumerate(recording.channels) if n == name]
        alike = alike or [i for i, n in enumerate(plain) if n == plain_name(name)]
        if len(alike) != 1:
            raise InputError(
                f"{recording.name}: {len(alike) or 'no'} channel(s) '{name}'.{nearest(name, recording.channels)}"
            )
        numbers += alike
    return numbers


def _listed(text: str) -> list[str]:
    """The names in a text, several of them separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _picked(raw: Any, numbers: Sequence[int]) -> Any:
    return raw.pick([raw.ch_names[n] for n in numbers], verbose="ERROR")


def families(kinds: Iterable[str]) -> frozenset[tuple[str, ...]]:
    """The groups of types that see the same: both kinds of MEG sensors, electrodes on the head, in it, parcels."""
    return frozenset(next((g for g in _BRAIN if k in g), (k,)) for k in kinds)


def plain_name(name: str) -> str:
    """What programs agree on in the name of a channel.

    They differ in case, spaces and dots ("MEG 0113", "Fc5."), put the type before it and the reference behind it ("EEG
    Fp1-Ref"), and CTF adds the number of its software ("MLC11-2908").
    """
    short = re.sub(r"[\s._]", "", name.lower())
    short = re.sub(r"^eeg(?=[a-z])", "", short)
    return re.sub(r"-(ref|le|avg|\d{3,4})$", "", short)


def _by_name(there: tuple[str, ...], wanted: tuple[str, ...], notes: list[str]) -> list[int] | None:
    """The numbers of the wanted channels if all are there, as they are spelt or as `plain_name` has them."""
    rows = {name: i for i, name in enumerate(there)}
    if all(name in rows for name in wanted):
        return [rows[name] for name in wanted]
    plain, asked = [plain_name(n) for n in there], [plain_name(n) for n in wanted]
    if len(set(plain)) < len(plain) or len(set(asked)) < len(asked):
        return None
    rows = {name: i for i, name in enumerate(plain)}
    if not all(name in rows for name in asked):
        return None
    numbers = [rows[name] for name in asked]
    first = next(i for i, n in enumerate(numbers) if there[n] != wanted[i])
    notes.append(f"channels are spelt otherwise than the weights know them ({there[numbers[first]]}: {wanted[first]})")
    return numbers


def _moved(there: list[str], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Names that the weights know, at other places than where they lie here."""
    places = {plain_name(name): i for i, name in enumerate(wanted)}
    return tuple(n for i, n in enumerate(there) if places.get(plain_name(n), i) != i)


def _kinds_for(recording: Recording, recipe: RecordingRecipe) -> tuple[str, ...]:
    """The kinds of a recipe; but weights taught on parcels get the sensors of a recording that has some.

    Parcels are of the kind "misc", which in a recording of sensors means head positions, photo diodes and the like.
    Whether weights may be used on another kind is for `workbench.recording.data.agree` to say.
    """
    sensors = [g for g in _BRAIN[:-1] if set(recording.kinds) & set(g)]
    if recipe.kinds == ("misc",) and recipe.channels is not None and sensors:
        return sensors[0]
    return recipe.kinds


def _by_kind(recording: Recording, kinds: tuple[str, ...], notes: list[str]) -> tuple[list[int], str]:
    wanted: tuple[str, ...] = tuple(t for k in kinds for t in (MEG if k == "meg" else (k,)))
    if not wanted:
        there = set(recording.kinds)
        groups = [g for g in _BRAIN if there & set(g)]
        if recording.what == "array":
            wanted = next(iter(groups), ("misc",))
        else:
            # "misc" of a real recording is a photo diode or a joystick, no brain signal.
            wanted = next((g for g in groups if g[0] != "misc"), ())
    found = [i for i, k in enumerate(recording.kinds) if k in wanted]
    if not found:
        counts = ", ".join(f"{n} {k}" for k, n in Counter(recording.kinds).most_common()) or "none at all"
        what = {(): "MEG or EEG", ("misc",): "MEG, EEG or parcel (misc)"}.get(wanted, "/".join(wanted))
        raise InputError(f"{recording.name}: no {what} channels in it, found {counts}. Choose another file or `kinds`.")
    good = [i for i in found if recording.channels[i] not in recording.bads]
    if len(good) < len(found):
        names = [recording.channels[i] for i in found if i not in set(good)]
        notes.append(f"{len(names)} channel(s) marked as bad were left out: {_few(names)}")
    if not good:
        raise InputError(f"{recording.name}: all {len(found)} {'/'.join(wanted)} channels are marked as bad.")
    return good, "/".join(k for k in wanted if k in recording.kinds)


def _few(names: list[str]) -> str:
    return ", ".join(names[:8]) + ("..." if len(names) > 8 else "")
