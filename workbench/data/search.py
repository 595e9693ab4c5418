"""One search through a tree of folders: what it has found so far, and what it makes of a folder or a file it meets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.core import kinds
from workbench.core.errors import InputError, NothingFound, one_line
from workbench.core.study import Skipped, Study
from workbench.core.walk import Walk
from workbench.data import archive, formats, layouts
from workbench.data.layouts import Item

FEW = 6
"""So many names are told one by one."""
# Of a BIDS data set only these hold volumes; the others hold time series, field maps and the like.
_BIDS_OTHERS = {
    "func": "time series", "dwi": "diffusion series", "fmap": "field maps", "perf": "time series",
    "sourcedata": "the data before they were sorted", "code": "no data", "stimuli": "no data",
    "derivatives": "results of other programs",
}  # fmt: skip


@dataclass
class Search:
    """One search through a tree."""

    root: Path
    kind: str | None
    series: str | None
    maps: bool = False
    walk: Walk = field(default_factory=Walk)
    parts: list[Study] = field(default_factory=list)
    names: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    taken: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    pending: list[tuple[str, Item]] = field(default_factory=list)
    done: set[Path] = field(default_factory=set)
    archives: list[Path] = field(default_factory=list)
    apart: set[Path] = field(default_factory=set)
    """Files of kinds whose names tell nothing of what belongs together."""

    def skip(self, path: Path, reason: str, count: int = 1) -> None:
        self.parts.append(Study((), (Skipped(path, reason, count),)))

    def unplaced(self, ids: Collection[str]) -> list[Skipped]:
        """Label maps named as a folder beside them, which is no case or has several of them."""
        items = [i for name, i in self.pending if len(i.labels) > 1 or name not in ids]
        why = "named as a label map of the folder '{}', and {}"
        alone, several = "no case is called so", "others are too: name one in a list (CSV)"
        return [
            Skipped(f, why.format(i.name, several if len(i.labels) > 1 else alone)) for i in items for f in i.labels
        ]


def is_whole(search: Search, path: Path) -> bool | None:
    """Whether a folder is one image by itself (CTF, BTi) and of the kind that is looked for; ``None`` if it is none."""
    for row in kinds.kinds().values():
        own = row.hook("cases", "folder_cases")
        by_files = row.hook("cases", "takes") is not None and not has_own_name(row, path)
        if not by_files and row.sniff(path) == "sure" and not (own and own(path)):
            if search.kind in (None, row.name):
                return True
            search.skip(path, f"{row.title}, {kinds.find(search.kind or '').title} was looked for")
            return False
    return None


def has_own_name(row: kinds.Kind, path: Path) -> bool:
    """Whether a folder is one image that is called as the folder (OME-Zarr), of a kind that also groups files."""
    own = row.hook("cases", "takes_folder")
    return own is not None and bool(own(path))


def why_not_searched(search: Search, path: Path, bids: bool) -> str:
    """Why a folder is not searched, by its name; "" if it is."""
    name = path.name.lower()
    if bids and name in _BIDS_OTHERS:
        return f"{_BIDS_OTHERS[name]} of a BIDS data set, not searched"
    if not search.maps and name in layouts.LABEL_FOLDERS:
        return "a folder of label maps or results by its name, not searched"
    return ""


def readable(search: Search, path: Path, files: list[Path]) -> list[Path]:
    """The files that are images of their own; those that make one together are put aside, the others skipped."""
    takers = [(row.name, own) for row, own in kinds.hooks("cases", "takes")]
    found: list[Path] = []
    unread: list[Path] = []
    names = {f.name for f in files}
    for file in (f for f in files if not archive.is_archive(f)):
        taker = _taker(file, [name for name, own in takers if own(file)])
        if taker is not None:
            if search.kind in (None, taker):
                search.taken[taker].append(file)
            else:
                search.skip(file, f"{kinds.find(taker).title}, {kinds.find(search.kind or '').title} was looked for")
            continue
        try:
            verdicts = kinds.candidates(file)
        except (InputError, NothingFound, OSError) as error:
            search.skip(file, one_line(error).removeprefix(f"{file}: "))
            continue
        if search.kind is None:
            verdicts = {n: v for n, v in verdicts.items() if v == "sure" or not _is_shy(n, file)}
        likely = [n for n, v in verdicts.items() if v == "sure"] or list(verdicts)
        if search.kind is not None and kinds.accepts(search.kind, verdicts, file):
            likely = [search.kind]
        if formats.is_companion(file) or _is_data_of_header(file, names):
            continue
        if not likely:
            unread.append(file)
        elif search.kind not in (None, *likely):
            titles = " or ".join(kinds.find(n).title for n in likely)
            search.skip(file, f"{titles}, {kinds.find(search.kind or '').title} was looked for")
        else:
            found.append(file)
            if not any(kinds.find(n).names_tell for n in likely):
                search.apart.add(file)
    if unread:
        endings = sorted({f.suffix.lower() or f.name for f in unread})
        shown = ", ".join(endings[:FEW]) + (", ..." if len(endings) > FEW else "")
        search.skip(unread[0] if len(unread) == 1 else path, f"no image that can be read ({shown})", len(unread))
    return found


def _taker(file: Path, taking: Sequence[str]) -> str | None:
    """Of the kinds that make an image of a file and others the one that is sure of it (a slide among DICOM files).

    None, where only a kind is sure that needs no other files for it (an electrocardiogram among slices).
    """
    if not taking:
        return None
    sure = [name for name, verdict in kinds.candidates(file).items() if verdict == "sure"]
    return next((n for n in taking if n in sure), None if sure else taking[0])


def _is_shy(kind: str, file: Path) -> bool:
    """Whether a kind takes such files only where it is looked for."""
    return file.name.lower().endswith(kinds.find(kind).if_asked)


def _is_data_of_header(file: Path, names: Collection[str]) -> bool:
    """The samples that an MHD or NHDR header beside them names; `names` are those of the files of its folder."""
    if not file.name.lower().endswith((".raw", ".zraw", ".raw.gz", ".gz", ".dat")):
        return False
    stem = file.name.partition(".")[0]
    return any(stem + s in names for s in (".mhd", ".nhdr"))
