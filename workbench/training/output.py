"""Where a training writes: checked before any data is read, and never over work that nobody gave up."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.core import leftovers
from workbench.core.errors import UsageError
from workbench.core.output import require_file, require_folder, require_inside

STATE = "state.safetensors"
_PART = re.compile(r"\.part-(\d+)(\.|$)")  # of version 0.1


def folder_of(out: Path) -> Path:
    """Folder beside the weight file `out` with the state for resuming, the log and the report."""
    return out.with_name(out.stem + "_training")


def check(out: Path, *, resume: bool, overwrite: bool, stages: tuple[str, ...] = ("",)) -> None:
    """Refuse an output that cannot be written, or that would replace an earlier training unasked. Changes nothing.

    Parameters
    ----------
    out
        Weight file to write.
    resume
        An interrupted training may be continued: its state may exist, and weights beside it may be replaced.
    overwrite
        Weights and state may be replaced.
    stages
        Subfolders that hold the state of one stage each, of a training that has several.

    Raises
    ------
    UsageError
        Not a ``.safetensors`` name, not writable, or something is there that neither `resume` nor `overwrite` covers.
    """
    if out.suffix != ".safetensors":
        raise UsageError(f"{out}: weights are written as .safetensors; choose such a name")
    folder = folder_of(out)
    require_file(out)
    require_folder(folder)
    for place in (folder, *(folder / stage for stage in stages)):
        require_inside(place, out.parent)
    states = [folder / stage / STATE for stage in stages]
    state = next((s for s in states if s.exists()), states[0])
    if overwrite or (resume and state.exists()):
        return
    if out.exists():
        why = "there is no interrupted training to resume, and these weights exist" if resume else "exists"
        raise UsageError(f"{out}: {why}; add --overwrite to replace these weights, or choose another name")
    if state.exists():
        raise UsageError(
            f"{state}: the state of an earlier training; add --resume to continue it, --overwrite to start again, "
            "or choose another name"
        )


def refuse_start(out: Path, start: Path) -> None:
    """Refuse to write over the weights that the training starts from: an adapter is worthless without its base."""
    if out.resolve() == start.resolve() or (out.exists() and out.samefile(start)):
        raise UsageError(f"{out}: the training starts from this very file; choose another name for what it makes")


def clean(out: Path, *, resume: bool, stages: tuple[str, ...] = ("",)) -> Path:
    """Make the folder of a training ready and return it.

    The state of an earlier training goes unless it is continued, so that a later ``--resume`` cannot pick up the wrong
    one; so do half-written files of processes that no longer run.
    """
    folder = folder_of(out)
    for stage in stages:
        place = folder / stage
        if not place.is_dir():
            continue
        if not resume:
            (place / STATE).unlink(missing_ok=True)
        _remove_parts(place)
    return folder


def _remove_parts(folder: Path) -> None:
    import psutil

    leftovers.clean(folder)
    for file in folder.iterdir():
        match = _PART.search(file.name)
        if match and file.is_file() and not psutil.pid_exists(int(match[1])):
            file.unlink(missing_ok=True)
