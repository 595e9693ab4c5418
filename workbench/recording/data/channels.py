"""Which channels of a recording a network gets: by name, by type and number, or reduced; never silently others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from workbench.core.errors import InputError
from workbench.recording.data.recipe import RecordingRecipe
from workbench.recording.data.recording import Recording

MEG = ("mag", "grad")
_BRAIN = (("mag", "grad"), ("eeg",), ("seeg", "ecog", "dbs"), ("misc", "csd"))


@dataclass(frozen=True)
class Choice:
    """Chosen channels: their numbers in the recording, names and types.

    `helpers` are the numbers of eye and heart channels, needed for a step and dropped after it; `reduce_to` is the
    number of components they must be reduced to, if any.
    """

    numbers: tuple[int, ...]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    how: str
    helpers: tuple[int, ...] = ()
    reduce_to: int | None = None
    notes: tuple[str, ...] = ()


def choose_channels(recording: Recording, recipe: RecordingRecipe) -> Choice:
    """The channels for a recipe: those it names if all are there, else the good ones of its kinds.

    Raises
    ------
    InputError
        If there are none of the kind, or their number does not fit and no reduction was asked for.
    """
    notes: list[str] = []
    reduce_to = None
    rows = {name: i for i, name in enumerate(recording.channels)}
    if recipe.channels is not None and all(name in rows for name in recipe.channels):
        numbers = [rows[name] for name in recipe.channels]
        how = "by name"
        bad = [name for name in recipe.channels if name in recording.bads]
        if bad:
            notes.append(f"{len(bad)} channel(s) that the weights need are marked as bad and were used: {_few(bad)}")
    else:
        numbers, how = _by_kind(recording, _kinds_for(recording, recipe, notes), notes)
        wanted = recipe.n_channels or (None if recipe.channels is None else len(recipe.channels))
        if wanted is not None and len(numbers) == wanted:
            if recipe.channels is not None:
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
    )


def _kinds_for(recording: Recording, recipe: RecordingRecipe, notes: list[str]) -> tuple[str, ...]:
    """The kinds of a recipe; but weights taught on parcels get the sensors of a recording that has some.

    Parcels are of the kind "misc", which in a recording of sensors means head positions, photo diodes and the like.
    """
    sensors = [g for g in _BRAIN[:-1] if set(recording.kinds) & set(g)]
    if recipe.kinds == ("misc",) and recipe.channels is not None and sensors:
        notes.append(f"the weights learnt parcel time courses, these are sensors ({'/'.join(sensors[0])})")
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
