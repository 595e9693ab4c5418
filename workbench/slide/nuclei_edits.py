"""Nuclei as a person corrects them: added, rejected, split, merged, reshaped, given another class; with undo.

Hundreds of thousands of outlines stay as they are in flat arrays; an edit changes a few numbers beside them, and new
outlines stand behind them. Nothing here knows of a window.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import InputError, UsageError
from workbench.core.frame import Frame
from workbench.core.objects import ACCEPTED, EDITED, PROPOSED, REJECTED, Objects
from workbench.core.rings import signed_areas
from workbench.slide.nuclei_objects import appended, in_pixels, joined, mpp_of, neighbours_anew
from workbench.slide.nuclei_shapes import LEAST_PIXELS, brushed, cut, merged, whole

Floats = npt.NDArray[np.float64]
Indices = Sequence[int] | npt.NDArray[np.integer[Any]]

UNCLASSIFIED = 255
"""What is painted for an object without a class; above 254 classes it is 65535."""
MOST_NEAR = 500
"""Nuclei that a new outline is kept clear of: one that goes over more is no nucleus."""
_MOST_STEPS = 500
_RESERVED = ("all nuclei", "unclassified")
_BASE = ("coordinates", "ring_offsets", "polygon_offsets", "object_offsets", "class_values", "ids")


@dataclass(frozen=True, eq=False)
class _Step:
    """What an edit changed: numbers of nuclei, and all that is said of them before and after."""

    text: str
    index: npt.NDArray[np.int64]
    before: tuple[npt.NDArray[Any], ...]
    after: tuple[npt.NDArray[Any], ...]
    note: str = ""


@dataclass(eq=False)
class NucleiEdits:
    """The nuclei of a result, and what a person has done to them since.

    A nucleus has a number: its row in `base`, or that of the outline that was drawn, behind them. All coordinates are
    pixels of level 0 from the outer corner of the first, ``(x, y)``.

    Parameters
    ----------
    base
        As they were found or opened. Those that their `review` calls rejected are rejected here.
    rejected
        More of them, from a file of their own.
    """

    base: Objects
    rejected_before: Objects | None = None
    classes: ClassTable = field(init=False)

    def __post_init__(self) -> None:
        base = self.base
        if self.rejected_before is not None and len(self.rejected_before):
            base = joined(base, self.rejected_before)
        if base.frame.unit != "pixel":
            base = base.in_frame(in_pixels(base.frame))
        n = len(base)
        review = np.zeros(n, np.uint8) if base.review is None else base.review.copy()
        self.base, self.classes = base, base.classes
        self._values = base.class_values.astype(np.int32)
        self._review = review
        self._gone = np.zeros(n, bool)
        odds = base.probabilities
        self._odds = np.full(n, np.nan, np.float32) if odds is None else odds.copy()
        # A class that nobody computed was given by a person: it teaches on, and nothing that is learnt replaces it.
        self._taught: npt.NDArray[np.bool_] = (review == EDITED) & np.isnan(self._odds) & (self._values != 0)
        self._rings: list[Floats] = []
        self._ids: list[Any] = []
        self._undo: list[_Step] = []
        self._redo: list[_Step] = []
        self._lock = threading.RLock()
        self._notes: list[str] = []
        self._middles: Floats | None = None
        self.said = ""
        """What the last edit did besides: parts that were dropped, places that belong to others."""
        self.last: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        """Numbers of the nuclei that the last edit, undo or redo changed."""
        self.shape: tuple[int, int] | None = None
        """(rows, columns) of the slide, if known: nothing is drawn beyond."""
        self.near: Callable[[float, float, float, float], npt.NDArray[np.int64]] | None = None
        """Numbers of nuclei in a rectangle, if somebody can tell: what is drawn keeps clear of them."""
        self.listeners: list[Callable[[npt.NDArray[np.int64]], None]] = []
        """Called after every edit with the numbers that changed."""

    def __deepcopy__(self, memo: dict[int, Any]) -> NucleiEdits:
        """As they are now, to be edited apart; nobody listens yet, and there is nothing to take back."""
        found = NucleiEdits(self.base)
        found.take(self.arrays(), self.classes)
        found._notes, found.shape = list(self.notes), self.shape
        memo[id(self)] = found
        return found

    # --- what is there

    def __len__(self) -> int:
        """Nuclei that count: neither rejected nor replaced by others."""
        return int(np.count_nonzero(self.is_there))

    @property
    def total(self) -> int:
        """Numbers that were ever given."""
        return len(self._values)

    @property
    def is_there(self) -> npt.NDArray[np.bool_]:
        """``(total,)``: which nuclei count."""
        there: npt.NDArray[np.bool_] = ~self._gone & (self._review != REJECTED)
        return there

    @property
    def values(self) -> npt.NDArray[np.int32]:
        """``(total,)`` classes; do not write into it."""
        return self._values

    @property
    def review(self) -> npt.NDArray[np.uint8]:
        """``(total,)`` places in `workbench.core.objects.REVIEW`; do not write into it."""
        return self._review

    @property
    def gone(self) -> npt.NDArray[np.bool_]:
        """``(total,)``: which were replaced by others; do not write into it."""
        return self._gone

    @property
    def probabilities(self) -> npt.NDArray[np.float32]:
        """``(total,)``, NaN where nobody knows; do not write into it."""
        return self._odds

    @property
    def taught(self) -> npt.NDArray[np.bool_]:
        """``(total,)``: whose class a person gave."""
        return self._taught

    @property
    def rings(self) -> Sequence[Floats]:
        """Outlines that were drawn, in the order of their numbers behind those of `base`."""
        return self._rings

    @property
    def is_touched(self) -> bool:
        """Whether the nuclei are not all as in `base` any more."""
        n = len(self.base)
        before = np.zeros(n, np.uint8) if self.base.review is None else self.base.review
        return (
            self.total > n or self.classes is not self.base.classes or not np.array_equal(self._review, before)
            or not np.array_equal(self._values, self.base.class_values) or bool(self._gone.any())
            or bool((self._review == REJECTED).any())
        )  # fmt: skip

    def middles(self) -> Floats:
        """``(total, 2)`` centres of all outlines, also of those that do not count."""
        if self._middles is None:
            self._middles = self.base.centroids()
        drawn = [ring.mean(0) for ring in self._rings]
        return np.concatenate([self._middles, np.reshape(drawn, (-1, 2))])

    def areas(self) -> Floats:
        """``(total,)`` areas of all outlines: um2, as measured where it was; pixels where the slide has no scale."""
        mpp, measured = mpp_of(self.base), self.base.measurements.get("area [um2]")
        factor = 1.0 if mpp is None else mpp**2
        known = np.full(len(self.base), np.nan) if measured is None else np.array(measured, np.float64)
        if (unknown := np.isnan(known)).any():
            known[unknown] = self.base.select(unknown).areas() * factor
        offsets = np.cumsum([0, *map(len, self._rings)])
        drawn = np.abs(signed_areas(np.concatenate(self._rings), offsets)) if self._rings else np.zeros(0)
        return np.concatenate([known, drawn * factor])

    def ring(self, number: int) -> Floats:
        """Outline ``(V, 2)`` of a nucleus (of one in pieces the first)."""
        n = len(self.base)
        if number >= n:
            return self._rings[number - n]
        return np.asarray(self.base.polygon(number)[0][0], np.float64)

    def id_of(self, number: int) -> Any:
        n = len(self.base)
        return self._ids[number - n] if number >= n else self.base.ids[number].item()

    def area(self, number: int) -> Any:
        """The nucleus as an area of shapely."""
        import shapely

        n = len(self.base)
        if number >= n:
            return shapely.make_valid(shapely.Polygon(self._rings[number - n]))
        pieces = [shapely.Polygon(rings[0], rings[1:]) for rings in self.base.polygon(number)]
        return shapely.union_all([shapely.make_valid(p) for p in pieces])

    # --- edits

    def add(self, ring: npt.ArrayLike, value: int) -> int:
        """A nucleus that was not found; returns its number.

        Raises
        ------
        UsageError
            The outline encloses too little.
        """
        import shapely

        ring = np.asarray(ring, np.float64)
        if len(ring) < 3:
            raise UsageError("An outline needs three points: drag around the nucleus.")
        self.said = ""
        shape = self._free(shapely.make_valid(shapely.Polygon(ring)), ())
        with self._lock:
            number = self._new(shape, None)
            self._change("add", [number], value=value, review=EDITED, gone=False, odds=np.nan)
        return number

    def reject(self, index: Indices) -> None:
        """These are no nuclei: they are kept apart, and count no longer."""
        self._change("reject", self._alive(index), review=REJECTED)

    def accept(self, index: Indices) -> None:
        """These are right as they are."""
        chosen = self._alive(index)
        self._change("accept", chosen[self._review[chosen] == PROPOSED], review=ACCEPTED)

    def back(self, index: Indices) -> None:
        """These were rejected, and are nuclei after all."""
        chosen = np.asarray(index, np.int64)
        self._change("take back", chosen[(self._review[chosen] == REJECTED) & ~self._gone[chosen]], review=EDITED)

    def reclass(self, index: Indices, value: int) -> None:
        """These are of another class; 0 is none. How probable it is, nobody has computed: a person says so."""
        if value and value not in {c.value for c in self.classes}:
            raise UsageError(f"class {value} is not in the table of classes")
        chosen = self._alive(index)
        self._change("class", chosen, value=value, review=EDITED, taught=value != 0, odds=np.nan)

    def merge(self, index: Indices) -> int:
        """One nucleus of several that touch, or nearly; returns its number.

        Raises
        ------
        UsageError
            Fewer than two, or they lie apart.
        """
        chosen = self._alive(index)
        if len(chosen) < 2:
            raise UsageError("Choose two nuclei or more to merge (Shift+click adds one).")
        areas = [self.area(int(i)) for i in chosen]
        joined = merged(areas)
        # The class of most of the area, as a person would see it.
        sizes: dict[int, float] = {}
        for i, one in zip(chosen, areas, strict=True):
            sizes[int(self._values[i])] = sizes.get(int(self._values[i]), 0.0) + one.area
        self.said = ""
        whole = self._free(joined, set(chosen.tolist()))  # what lies between may be of others
        return self._replace("merge", chosen, [whole], max(sizes, key=sizes.__getitem__))[0]

    def split(self, number: int, line: npt.ArrayLike) -> list[int]:
        """Cut a nucleus along a line ``(P, 2)``; returns the numbers of its parts.

        Raises
        ------
        UsageError
            The line does not cross it from one side to the other.
        """
        chosen = self._alive([number])
        if not len(chosen) or len(np.asarray(line)) < 2:
            raise UsageError("Drag a line across the nucleus to split it.")
        parts, self.said = cut(self.area(number), line)
        return self._replace("split", chosen, [self._whole(p) for p in parts], int(self._values[number]))

    def reshape(self, number: int, ring: npt.ArrayLike) -> int:
        """Another outline for a nucleus, which keeps its id and class; returns its new number."""
        import shapely

        chosen = self._alive([number])
        if not len(chosen):
            raise UsageError("This nucleus is not there any more.")
        self.said = ""
        shape = self._free(shapely.make_valid(shapely.Polygon(np.asarray(ring, np.float64))), (number,))
        return self._replace("outline", chosen, [shape], int(self._values[number]), same=number)[0]

    def brush(self, number: int, stroke: npt.ArrayLike, radius: float, *, erase: bool = False) -> int | None:
        """Add what a round brush went over to a nucleus, or take it off; returns its new number.

        ``None`` where nothing of it is left: it is rejected then.
        """
        chosen = self._alive([number])
        if not len(chosen):
            raise UsageError("Choose the nucleus to paint on first (click on it).")
        area = self.area(number)
        found = brushed(area, stroke, radius, erase=erase)
        if found.area < LEAST_PIXELS:
            self.reject([number])
            return None
        self.said = ""
        shape = self._free(found, (number,))
        if shape.equals(area):
            return number
        return self._replace("brush", chosen, [shape], int(self._values[number]), same=number)[0]

    def new_class(self, name: str) -> int:
        """The value of a class of that name, however it is capitalised; a new one with a colour of its own where there
        is none.
        """
        same = {c.name.casefold(): c.value for c in self.classes}
        if name.casefold() in same:
            return same[name.casefold()]
        if name.casefold() in _RESERVED or not name.strip():
            raise UsageError(f"'{name}' is a row of the table of counts: choose another name for the class.")
        value = max((c.value for c in self.classes), default=0) + 1
        if value >= none_of(self.base.classes):
            raise UsageError(f"No more than {value - 1} classes can be told apart here.")
        color = ClassTable.from_values([value]).classes[0].color
        self.classes = ClassTable((*self.classes, ClassInfo(value, name, color)))
        return value

    def relabel(self, values: npt.NDArray[np.integer[Any]], odds: npt.NDArray[np.floating[Any]], note: str = "") -> int:
        """Classes that a classifier gives: ``(total,)`` values (0: nothing said) and probabilities, as one step.

        Nuclei whose class a person gave keep it. `note` says how they were learnt, and stands in `notes` as long as the
        step does. Returns how many were given a class.
        """
        chosen = np.flatnonzero(self.is_there & ~self._taught & (np.asarray(values) > 0))
        self._change("classes", chosen, note, value=np.asarray(values)[chosen], odds=np.asarray(odds)[chosen])
        return len(chosen)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the result must know of the edits."""
        return tuple(dict.fromkeys([*self._notes, *(s.note for s in self._undo if s.note)]))

    def undo(self) -> str:
        """Take the last edit back; returns what it was, "" where there was none."""
        return self._go(self._undo, self._redo, "before")

    def redo(self) -> str:
        """Do it again."""
        return self._go(self._redo, self._undo, "after")

    def _go(self, source: list[_Step], other: list[_Step], side: str) -> str:
        with self._lock:
            if not source:
                return ""
            step = source.pop()
            other.append(step)
            self._set(step.index, getattr(step, side))
            self.last = step.index
        self._tell(step.index)
        return step.text

    # --- what is kept

    def objects(self) -> Objects:
        """The nuclei that count, with what is said of them now.

        Outlines that were drawn or changed have the area, perimeter and eccentricity of what they enclose and no other
        measurement (NaN); neighbours are counted anew for all.
        """
        return self._made(self.is_there)

    def rejected(self) -> Objects:
        """Those that a person rejected."""
        return self._made(~self._gone & (self._review == REJECTED), "rejected")

    def is_same(self, ids: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Of ids (as text) of `base`, which belong to nuclei that count and have their outline still."""
        n = len(self.base)
        kept = {str(i) for i in self.base.ids[self.is_there[:n]].tolist()}
        return np.array([i in kept for i in ids], bool)

    def _made(self, which: npt.NDArray[np.bool_], name: str = "") -> Objects:
        with self._lock:
            n = len(self.base)
            which, values, review = which.copy(), self._values.copy(), self._review.copy()
            odds, rings, ids = self._odds.copy(), list(self._rings), list(self._ids)
            classes = self.classes
        looked = bool((review != PROPOSED).any())
        kept, drawn = which[:n], np.flatnonzero(which[n:])
        base = replace(
            self.base, class_values=values[:n], classes=classes, review=review[:n] if looked else None,
            probabilities=None if self.base.probabilities is None and np.isnan(odds).all() else odds[:n],
        )  # fmt: skip
        found = base.select(kept)
        if len(drawn):
            found = appended(found, [rings[i] for i in drawn], [ids[i] for i in drawn], values[n:][drawn],
                              review[n:][drawn], odds[n:][drawn])  # fmt: skip
        if not which[:n].all() or len(drawn):
            found = replace(found, measurements=neighbours_anew(found))
        return replace(found, name=name) if name else found

    def about(self) -> dict[str, Any]:
        """What `of_arrays` takes besides arrays: plain values."""
        base = self.base
        return {
            "name": base.name, "frame": base.frame.to_json(), "classes": base.classes.to_json(),
            "classes_now": self.classes.to_json(), "measurements": list(base.measurements),
            "notes": list(self.notes),
        }  # fmt: skip

    def base_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of `base`, not copied."""
        base = self.base
        found = {f"base_{name}": getattr(base, name) for name in _BASE}
        for name in ("probabilities", "review"):
            if getattr(base, name) is not None:
                found[f"base_{name}"] = getattr(base, name)
        return found | {f"measured_{i}": column for i, column in enumerate(base.measurements.values())}

    @classmethod
    def of_arrays(cls, about: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> NucleiEdits:
        """Inverse of `about` with `base_arrays` and `arrays`.

        Raises
        ------
        KeyError, ValueError, GeometryError, InputError
            They are not what these gave, or do not fit together.
        """
        base = Objects(
            **{name: arrays[f"base_{name}"] for name in _BASE}, probabilities=arrays.get("base_probabilities"),
            review=arrays.get("base_review"), classes=ClassTable.from_json(about["classes"]),
            measurements={str(k): arrays[f"measured_{i}"] for i, k in enumerate(about["measurements"])},
            frame=Frame.from_json(about["frame"]), name=str(about["name"]),
        )  # fmt: skip
        base.validate()
        found = cls(base)
        found.take(arrays, ClassTable.from_json(about["classes_now"]))
        found._notes = [str(note) for note in about.get("notes", ())]
        return found

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All that was edited, as arrays; `base` is not among them."""
        rings = self._rings
        return {
            "values": self._values.copy(), "review": self._review.copy(), "gone": self._gone.copy(),
            "odds": self._odds.copy(), "taught": self._taught.copy(),
            "drawn": np.concatenate(rings) if rings else np.zeros((0, 2)),
            "drawn_offsets": np.cumsum([0, *map(len, rings)]), "drawn_ids": np.array([str(i) for i in self._ids], "U"),
        }  # fmt: skip

    def take(self, arrays: Mapping[str, npt.NDArray[Any]], classes: ClassTable) -> None:
        """Inverse of `arrays` on the same `base`; steps of before are forgotten.

        Raises
        ------
        InputError
            They do not fit together.
        """
        n, offsets = len(self.base), arrays["drawn_offsets"]
        count = len(offsets) - 1
        columns = [arrays[k] for k in ("values", "review", "gone", "odds", "taught")]
        if any(c.shape != (n + count,) for c in columns) or len(arrays["drawn_ids"]) != count or (
            offsets[-1] != len(arrays["drawn"]) or (np.diff(offsets) < 3).any()
        ):  # fmt: skip
            raise InputError(f"edits of {len(arrays['values'])} nuclei do not fit the {n} that were found")
        own = arrays["drawn"].astype(np.float64)
        whole = self.base.ids.dtype.kind in "iu"
        with self._lock:
            kinds = (np.int32, np.uint8, bool, np.float32, bool)
            self._values, self._review, self._gone, self._odds, self._taught = (
                np.array(c, k) for c, k in zip(columns, kinds, strict=True)
            )
            self._rings = [own[a:b] for a, b in pairwise(offsets.tolist())]
            self._ids = [int(i) if whole else str(i) for i in arrays["drawn_ids"].tolist()]
            self.classes, self._undo, self._redo = classes, [], []
        self._tell(np.arange(self.total))

    # --- inner parts

    def _alive(self, index: Indices) -> npt.NDArray[np.int64]:
        chosen = np.unique(np.asarray(index, np.int64))
        chosen = chosen[chosen >= 0]  # -1 is none, not the last
        return chosen[self.is_there[chosen]]

    def _free(self, shape: Any, but: Collection[int]) -> Any:
        """What of a shape lies on the slide and on no other nucleus: its largest part."""
        import shapely

        clear = shape
        if self.shape is not None:
            clear = shapely.intersection(clear, shapely.box(0, 0, self.shape[1], self.shape[0]))
            if clear.area < LEAST_PIXELS:
                raise UsageError("This lies beyond the slide.")
        others = shapely.Polygon()
        if self.near is not None:
            near = [i for i in self.near(*clear.bounds).tolist() if i not in but]
            if len(near) > MOST_NEAR:
                raise UsageError(f"This goes over {len(near):,} nuclei: draw around one.")
            others = shapely.union_all([self.area(i) for i in near])
            clear = shapely.difference(clear, others)
            if clear.area < LEAST_PIXELS:
                raise UsageError("This lies on nuclei that are there already: choose one of them to change it.")
        found = self._whole(clear)
        if shapely.intersection(found, others).area > 0.5:  # in a hole that was filled
            raise UsageError("This goes around nuclei that are there already: merge or reject those first.")
        if found.area < shape.area - 0.5 and not self.said:
            self.said = "It keeps clear of other nuclei, and stays on the slide."
        return found

    def _whole(self, shape: Any) -> Any:
        """The largest part of a shape, without holes; what that changes is said."""
        found, said = whole(shape)
        self.said = said or self.said
        return found

    def _new(self, shape: Any, number_id: Any) -> int:
        """Room for one more outline, which nobody sees yet."""
        from shapely import get_coordinates

        # Holes are no part of a nucleus that a person drew.
        self._rings.append(get_coordinates(shape.exterior)[:-1])
        self._ids.append(self._free_id() if number_id is None else number_id)
        self._values, self._review = np.append(self._values, np.int32(0)), np.append(self._review, np.uint8(EDITED))
        self._gone, self._taught = np.append(self._gone, True), np.append(self._taught, False)
        self._odds = np.append(self._odds, np.float32(np.nan))
        return len(self._values) - 1

    def _free_id(self) -> Any:
        if self.base.ids.dtype.kind in "iu" or not len(self.base):
            return max([int(self.base.ids.max(initial=0)), *self._ids], default=0) + 1
        taken, number = {*self.base.ids.tolist(), *self._ids}, 1
        while f"new {number}" in taken:
            number += 1
        return f"new {number}"

    def _replace(
        self, text: str, old: npt.NDArray[np.int64], shapes: list[Any], value: int, same: int | None = None
    ) -> list[int]:
        with self._lock:
            name = None if same is None else self.id_of(same)
            new = [self._new(shape, name) for shape in shapes]
            index = np.concatenate([old, new])
            added = np.isin(index, new)
            taught = bool(self._taught[old].all())
            self._change(
                text, index, gone=~added, review=np.where(added, EDITED, self._review[index]),
                value=np.where(added, value, self._values[index]),
                taught=np.where(added, taught, self._taught[index]),
            )  # fmt: skip
        return new

    def _change(self, text: str, index: Indices, note: str = "", **to: Any) -> None:
        """One step: `value`, `review`, `gone`, `odds`, `taught` of these nuclei, as one number or one for each."""
        chosen = np.asarray(index, np.int64)
        if not len(chosen):
            return
        with self._lock:
            before = self._now(chosen)
            names = ("value", "review", "gone", "odds", "taught")
            after = tuple(
                np.broadcast_to(np.asarray(to[k], old.dtype), old.shape).copy() if k in to else old
                for k, old in zip(names, before, strict=True)
            )
            if all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(before, after, strict=True)):
                return
            self._set(chosen, after)
            self._undo = [*self._undo, _Step(text, chosen, before, after, note)]
            self.last = chosen
            self._notes += [s.note for s in self._undo[:-_MOST_STEPS] if s.note]  # nobody can take those back any more
            self._undo, self._redo = self._undo[-_MOST_STEPS:], []
        self._tell(chosen)

    def _now(self, index: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], ...]:
        return tuple(c[index].copy() for c in self._columns())

    def _set(self, index: npt.NDArray[np.int64], to: tuple[npt.NDArray[Any], ...]) -> None:
        for column, values in zip(self._columns(), to, strict=True):
            column[index] = values

    def _columns(self) -> tuple[npt.NDArray[Any], ...]:
        return (self._values, self._review, self._gone, self._odds, self._taught)

    def _tell(self, index: npt.NDArray[np.int64]) -> None:
        for listener in list(self.listeners):
            listener(index)


def none_of(classes: ClassTable) -> int:
    """The value that is painted for objects without a class: none of the table's."""
    return UNCLASSIFIED if max((c.value for c in classes), default=0) < UNCLASSIFIED else 65535
