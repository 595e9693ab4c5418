"""A case whose file name is no UTF-8 is computed and written like any other."""

import os
import sys

import numpy as np
import pytest

from tests.workbench.page.made import heart
from workbench.cli import run
from workbench.page.data import write_signals
from workbench.page.leads import STANDARD

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names that these systems do not allow")


@pytest.mark.parametrize("format", ["wfdb", "dicom-ecg", "csv", "edf"])
def test_a_name_that_is_no_text_loses_no_case(tmp_path, format):
    name = os.fsdecode(b"bad\xff\x1b.dcm")
    write_signals.write_dicom(heart().astype(np.float64), STANDARD, 500, tmp_path / "a.dcm")
    (tmp_path / "a.dcm").rename(tmp_path / name)
    out = tmp_path / "out"
    code = run(["predict", "ecg_image", "-i", str(tmp_path / name), "--kind", "page", "-o", str(out),
                "--format", format, "--jobs", "0"])  # fmt: skip
    assert code == 0
    assert (out / "bad_udcff_x1b" / "provenance.json").exists()
    assert r"bad\udcff" in (out / "bad_udcff_x1b" / "report.html").read_text(encoding="utf-8")
