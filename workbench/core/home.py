"""Where the workbench keeps its own files: weights that the user fetched, recovery copies of hand edits.

``WORKBENCH_HOME`` moves everything; otherwise the platform's user folders are used. Nothing is created here.
"""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Folder for data that should stay (weights)."""
    chosen = os.environ.get("WORKBENCH_HOME")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("napari-workbench", appauthor=False)


def weights_folder() -> Path:
    return home() / "weights"


def timings_file() -> Path:
    """File with how long cases took on this machine, for estimates."""
    return home() / "timings.json"


def recovery_folder() -> Path:
    """Folder for recovery copies of hand edits."""
    return home() / "recovery"
