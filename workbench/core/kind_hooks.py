"""What a kind of data may have behind the names of its row: the functions of its modules, as protocols."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

Verdict = Literal["no", "maybe", "sure"]
"""Whether a file is of a kind."""


class KindFiles(Protocol):
    """What the ``files`` module of a kind may offer; every function is optional."""

    def sniff(self, path: Path, key: str | None) -> Verdict:
        """Whether `path` (an existing file or folder) is of this kind, by its name, first bytes or header."""

    def reads_if_asked(self, path: Path) -> bool:
        """Whether a file that `sniff` says no to is read where somebody says that it is of this kind."""

    def read(self, path: Path, *, series: str | int | None, key: str | None, as_map: bool) -> Any:
        """Open it: an `Image` whose samples load when asked for. `as_map`: it is expected to be a label map."""

    def info(self, path: Path) -> list[dict[str, Any]]:
        """Rows of ``workbench info``, where a path may hold several images."""

    def series_in(self, path: Path) -> tuple[str, ...]:
        """What `series` may be for a file that holds several images: with ``--series all`` each is a case."""

    def input_files(self, path: Path) -> tuple[Path, ...]:
        """All files that decide what is read, that with the samples first."""

    def reading_bytes(self, image: Any) -> int:
        """Memory that reading the samples takes besides the samples themselves, from the opened image."""

    def require_held(self, image: Any) -> None:
        """Refuse a file that is too small for the samples that its header promises; asked when memory is too little."""

    def is_companion(self, path: Path) -> bool:
        """Whether a file belongs to another one beside it and is no case of its own."""

    def labels_from(self, path: Path, reference: Any, resample: bool) -> Any:
        """`Labels` of a file that holds no samples (contours), on the grid of their image; ``None`` for other files."""

    def holds_contours(self, path: Path) -> bool:
        """Whether a file is one of those that `labels_from` reads."""

    def labels_of(self, image: Any, reference: Any) -> Any:
        """`Labels` from an image that is expected to be a label map."""

    def onto_grid(self, found: Any, expected: Any, resample: bool) -> Any:
        """A function that brings `Labels` from the grid `found` onto the grid `expected`; ``None`` where none may."""

    def claims(self, path: Path, key: str | None) -> bool:
        """Whether napari should leave the file to us, where others read such files too; by default yes."""

    def explain(self, path: Path) -> None:
        """Raise an `InputError` with good advice for a path that nobody can read; return if there is none."""


class KindWriter(Protocol):
    """What the ``writer`` module of a kind offers; see `workbench.data.write`."""

    def family(self, format: str, source: Any) -> str:
        """The format to write for what the user asked (``"auto"`` keeps that of the source)."""

    def jobs(self, part: Any, target: Path, family: str, source: Any) -> list[Any] | None:
        """Files to write for an image or a part, as ``(path, save)``; ``None`` leaves it to the common writer."""

    def notes(self, part: Any, family: str) -> list[str]:
        """Optional: what others cannot do with the file that is written for a part, a line each."""


class KindLayers(Protocol):
    """What the ``layers`` module of a kind offers; see `workbench.core.layers.to_layers`."""

    def to_layers(self, item: Any, *, as_labels: bool | None = None) -> list[tuple[Any, dict[str, Any], str]]:
        """Layer-data tuples of an image, or of the parts of a result."""

    def attached_reader(self, path: Path) -> Any:
        """Optional: a function from a path to layers, if it is a file that belongs on an image (annotations)."""

    def updated(self, result: Any, layers: Mapping[str, tuple[Any, dict[str, Any]]]) -> Any:
        """Optional: the result with the parts that a person changed in the layers (data and attributes by part)."""

    def preview(self, result: Any) -> bytes | None:
        """Optional: a small PNG of a result (`workbench.core.preview`), equal bytes for equal results, in moments."""

    def report(self, result: Any, folder: Path) -> list[Path]:
        """Optional: write files about a result for people into the folder that it is written to; their paths."""


class KindCases(Protocol):
    """What the ``cases`` module of a kind may offer; every function is optional."""

    def folder_cases(self, folder: Path) -> list[Any]:
        """Cases of a data set that this kind knows as a whole (BIDS); empty if the folder is none."""

    def cases_in(self, path: Path, labels: Path | None) -> list[Any]:
        """Cases of a file that holds several images, with their labels; empty for other files."""

    def made_by_us(self, folder: Path) -> str:
        """What a folder is, in words, where a verb of a backend of this kind made it (an index); "" for any other."""

    def takes_folder(self, path: Path) -> bool:
        """Whether a folder of a tree is one image with a name of its own; for kinds that also have `takes`."""

    def takes(self, path: Path) -> bool:
        """Whether a file of a tree makes an image with others (a slice): then `cases_of_files` gets it."""

    def cases_of_files(self, files: Any, place: Any) -> Any:
        """The `workbench.core.study.Study` of such files of a whole tree; `place` is a `workbench.core.study.Place`."""

    def channel_of(self, name: str) -> tuple[str, int, str] | None:
        """The rest of a name without suffix, and place and name of the channel that it ends in, if it does."""

    def case_path(self, case: Any) -> tuple[Path, str | None]:
        """Path and series to read for a case, with its options worked in."""

    def labels_in(self, folder: Path) -> dict[str, Path]:
        """Labels in a folder by their names, in formats that are none of an image of any kind (outlines)."""

    def opened(self, image: Any, case: Any) -> Any:
        """The image of a case, with what its options add (events)."""
