"""Open one file in a viewer, as people who name it to us mean it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.core import kinds
from workbench.core.errors import WorkbenchError
from workbench_napari.shared.reader import get_reader, read
from workbench_napari.shared.worker import report

PLUGIN = "napari-workbench"


def open_path(viewer: Any, path: str | Path, widget: Any, kind: str | None = None) -> None:
    """Open one file in a viewer; what goes wrong is said in the tool and as a notification."""
    import workbench as wb

    try:
        file, key = wb.split_address(path)
        if kind is not None or key is not None or (file.exists() and not _comes_to_us(file)):
            # Not through napari: whoever names a file here means us, `file.mat:key` is no file name, napari knows the
            # suffixes of third parties' kinds by their own manifests only, and does not say why nothing can be opened.
            from napari.layers import Layer

            for item in read(str(path), kind=kind):
                viewer.add_layer(Layer.create(*item))
        else:
            viewer.open(str(Path(path).expanduser()), plugin=PLUGIN)
    except (WorkbenchError, FileNotFoundError, ValueError) as error:
        reason = str(error) if isinstance(error, WorkbenchError) else f"{path}: cannot be opened ({error})"
        widget.say(report(WorkbenchError(reason)))
    except Exception as error:  # a fault of ours or of a stranger's kind; the other files still open
        widget.say(f"{path}: {report(error)}")


def _comes_to_us(file: Path) -> bool:
    """Whether napari would come to our reader with a file or a folder, and our reader would take it."""
    named = [row for row in kinds.kinds().values() if row.suffix_of(file) is not None]
    return (not named or any(row in kinds.BUILT_IN for row in named)) and get_reader(str(file)) is not None
