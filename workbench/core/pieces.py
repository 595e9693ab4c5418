"""Parts of a case that are done (tiles of a slide, stretches of a recording): a run that was killed goes on after them.

They are kept like cases: a piece counts when its record is there, which is written last and holds the hash of the file
and of all that it was made from. They are of use until the whole is written, and go then.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from workbench.core import leftovers
from workbench.core.atomic import replacing, sha256_of, write_json
from workbench.core.output import require_name

FOLDER = "pieces"


class Pieces:
    """The pieces of one case.

    Parameters
    ----------
    case
        Folder of the case; the pieces lie hidden in it, and no pattern for results finds them.
    made_of
        What decides what they hold: hashes of the input and the weights, the settings. Pieces of anything else are as
        good as not there.
    """

    def __init__(self, case: Path, made_of: Mapping[str, Any]) -> None:
        self.folder = case / f"{leftovers.PART}-{FOLDER}"
        text = json.dumps(dict(made_of), sort_keys=True, default=str)
        self._made_of = hashlib.sha256(text.encode()).hexdigest()

    def find(self, name: str, *, verify: bool = True) -> Path | None:
        """The file of a piece that is done, and of the same as now; ``None`` where it is to be made.

        Without `verify` its size alone is compared.
        """
        path = self._path(name)
        try:
            record = json.loads(self._record(name).read_text(encoding="utf-8"))
            if record["made_of"] != self._made_of or path.stat().st_size != record["size"]:
                return None
            return path if not verify or sha256_of(path) == record["sha256"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def done(self) -> set[str]:
        """Names of the pieces that are done, by the sizes of their files."""
        with suppress(OSError):
            names = {p.name.removesuffix(".json") for p in self.folder.iterdir() if p.name.endswith(".json")}
            return {name for name in names if self.find(name, verify=False) is not None}
        return set()

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A place to write a piece to; when the block ends well, it is done, and not before.

        Raises
        ------
        UsageError
            `name` is no plain name, or the folder cannot be written to.
        """
        path = self._path(name)
        with suppress(OSError):
            self._record(name).unlink()  # never an old record beside a new file
        with replacing(path) as part:
            yield part
        record = {"made_of": self._made_of, "size": path.stat().st_size, "sha256": sha256_of(path)}
        write_json(self._record(name), record)

    def clear(self) -> None:
        """The whole is written: whatever pieces there are of the case go."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.folder / require_name(name)

    def _record(self, name: str) -> Path:
        return self.folder / f"{require_name(name)}.json"
