"""The table of an export of 12 patients in six shapes of folders: which case each patient is for every verb.

python -m tests.export_table
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path

import workbench as wb
from tests.study_maker import write_export
from workbench.cli import run
from workbench.cli.cases import labelled_cases
from workbench.core.study import Study
from workbench.data import archive
from workbench.volume.data.dicom_roles import pseudonym

PATIENTS = [f"P{n:02d}" for n in range(1, 13)]
VERBS = ("predict --dry-run", "info", "train", "evaluate", "window")
CONTAINERS = {"DICOMDIR", "dataset.json", "P11.zip"}
"""Files that only say what the others are, or hold them."""


def patient_of(group: str, case: str) -> str:
    """The patient that a case is of, by the pseudonym of its header or by the name in its id."""
    by_header = {pseudonym(f"SECRET-{p}"): p for p in PATIENTS}
    return by_header.get(group) or next(p for p in PATIENTS if p in case)


def _asked_by_the_window(export: Path) -> list[str]:
    """The names that the window offers, where a person chooses the image to open."""
    from workbench_napari.shared.studies import case_to_open, study_of

    offered: list[str] = []
    study = study_of(export, None)
    assert study is not None
    case_to_open(export, study, lambda title, text, names: offered.extend(names))
    return offered


def cases_by_verb(export: Path, scratch: Path) -> dict[str, list[str]]:
    """Ids of the cases that each verb finds, in their order."""
    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        line = ["predict", "segformer3d", "-i", str(export), "-o", str(scratch / "out"), "--dry-run", "--json"]
        assert run(line) == 0, said.getvalue()
        predicted = [r["case"] for r in json.loads(out.getvalue())]
        out.truncate(out.seek(0))
        assert run(["info", str(export), "--json"]) == 0, said.getvalue()
        informed = [r["case"] for r in json.loads(out.getvalue())]
        learnt = [c.id for c in labelled_cases(str(export), None, needed=False, kind="volume", purpose="train")]
        scored = [c.id for c in labelled_cases(str(export), None, needed=False, kind="volume", purpose="evaluate")]
    return dict(zip(VERBS, (predicted, informed, learnt, scored, _asked_by_the_window(export)), strict=True))


def _files_in(export: Path) -> Iterable[Path]:
    for file in sorted(export.rglob("*")):
        if file.is_file():
            yield file
        if file.suffix == ".zip":
            with zipfile.ZipFile(file) as packed:
                yield from (file / name for name in packed.namelist() if not name.endswith("/"))


def unspoken(export: Path, study: Study) -> set[Path]:
    """Files that are in no case and that no line of what was skipped stands for; each is counted once."""
    files = set(_files_in(export))
    used = [archive.shown(f) for c in study.cases for f in wb.read(c).all_files]
    used += [c.labels for c in study.cases if c.labels is not None]
    assert len(used) == len(set(used)), "a file is in two cases"
    named = [s.path for s in study.skipped if s.count == 1]
    assert not set(used) & set(named), "a file is in a case and skipped"
    return files - set(used) - set(named) - {f for f in files if f.name in CONTAINERS}


def main() -> int:
    """Print the table; 1 if a patient is not one case for every verb, or a file is nobody's."""
    wrong = 0
    with tempfile.TemporaryDirectory() as top, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export = write_export(Path(top) / "export", Path(top) / "scratch")
        study = wb.study(export, kind="volume")
        verbs = cases_by_verb(export, Path(top))
        owner = {c.id: patient_of(c.group, c.id) for c in study.cases}
        for patient in PATIENTS:
            found = {v: [i for i in ids if owner.get(i) == patient] for v, ids in verbs.items()}
            ids = {tuple(i) for i in found.values()}
            is_right = len(ids) == 1 and len(found[VERBS[0]]) == 1
            wrong += not is_right
            print(f"{'right' if is_right else 'WRONG'} | {patient} | {found if len(ids) > 1 else ids.pop()[0]}")
        for skipped in study.skipped:
            print(f"skipped | {skipped.line().replace(str(export), 'EXPORT')}")
        lost = unspoken(export, study)
        counts = ", ".join(f"{v} {len(ids)}" for v, ids in verbs.items())
        print(f"cases: {counts}; skipped: {len(study.skipped)} with reasons; files nobody speaks of: {len(lost)}")
    return int(wrong > 0 or bool(lost))


if __name__ == "__main__":
    sys.exit(main())
