"""The demo's CTs: segmented, scored, and shown with the outlines of what was found and of the reference."""

import base64
import io
from contextlib import nullcontext

import numpy as np
import pytest
from matplotlib.image import imread

from tests.follow_links import files_behind
from workbench.report import html
from workbench.report.demo import Demo
from workbench.report.html import Picture, Table
from workbench.volume.demo import segment_samples


@pytest.mark.slow
def test_the_sample_cts_are_segmented_scored_and_shown(tmp_path) -> None:
    said = []
    run = Demo(tmp_path, "cpu", lambda *_, **__: nullcontext(lambda done, total: None), said.append)
    section = segment_samples(run)
    assert not run.failures
    scores = {row[0]: row[1] for p in section.parts if isinstance(p, Table) for row in p.rows}
    assert scores["all"] > 0.9
    pictures = [p for p in section.parts if isinstance(p, Picture)]
    assert len(pictures) == 3
    page = html.write(tmp_path / "demo.html", "Demo", [section])
    for picture in pictures:
        assert base64.b64encode(picture.png).decode() in page.read_text(encoding="utf-8")
        pixels = imread(io.BytesIO(picture.png), format="png")[..., :3]
        assert (np.ptp(pixels, axis=2) > 0.3).sum() > 500, "no coloured outlines over the grey CT"
    found = {p.relative_to(tmp_path).as_posix() for p in files_behind(page)}
    assert "report/report.html" in found
    for case in ("phantom_9001", "phantom_9002", "phantom_9003"):
        assert {f"predictions/{case}/{n}" for n in ("labels.nii.gz", "volumes.csv", "provenance.json")} <= found
        assert case in "".join(said)
