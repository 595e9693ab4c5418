"""The report of an evaluation on recordings: summaries by hand, and what is missing stays out."""

import json

import numpy as np
import pytest

from tests.simulated_bursts import bursting
from workbench.core.types import Mark
from workbench.recording.evaluate.bursts import BurstSettings
from workbench.recording.evaluate.decode import BASELINE, decode
from workbench.recording.evaluate.report import Excerpt, MEGEvaluation, write_report
from workbench.recording.evaluate.signals import compare
from workbench.recording.evaluate.similarity import similarity

ROWS = [
    {"case": "a", "subject": "s", "seconds": 10.0, "variance explained [%]": 90.0, "cross-entropy [nats]": 2.0,
     "unigram entropy [nats]": 3.0},
    {"case": "b", "subject": "s", "seconds": 20.0, "variance explained [%]": 94.0, "cross-entropy [nats]": float("nan"),
     "unigram entropy [nats]": None},
]  # fmt: skip


def test_summaries_leave_out_what_is_unknown() -> None:
    summary = {r["measure"]: r for r in MEGEvaluation(ROWS).summary}
    assert summary["variance explained [%]"]["mean"] == 92
    assert summary["variance explained [%]"]["sd"] == pytest.approx(np.sqrt(8))
    assert summary["variance explained [%]"]["lowest"] == 90
    assert summary["cross-entropy [nats]"]["recordings"] == 1
    assert "subject" not in summary


def test_a_report_of_tokens_alone(tmp_path) -> None:
    e = MEGEvaluation(ROWS, ("x", "y"), variance=np.array([[90.0, 91], [95, 93]]), shares=np.full(5, 0.2),
                      failures={"c": "c.fif: <broken>"}, notes=("one & only",))  # fmt: skip
    found = write_report(e, {"weights": "w"}, tmp_path, title="T")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;broken&gt;" in page
    assert "one &amp; only." in page
    assert "Decoding" not in page
    assert {f.name for f in found.files} == {"scores.csv", "channels.csv", "scores.json", "report.html"}
    plain = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert plain["rows"][1]["cross-entropy [nats]"] is None
    assert plain["channels"][0]["variance explained [%], b"] == 95
    assert (tmp_path / "channels.csv").read_text(encoding="utf-8").splitlines()[1] == "x,90.0,95.0"


def test_a_network_that_learnt_nothing_is_called_so(tmp_path) -> None:
    rows = [{**ROWS[0], "cross-entropy [nats]": 3.2}]
    write_report(MEGEvaluation(rows, ("x",)), {}, tmp_path, title="T")
    assert "no better than token frequencies" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_everything_that_can_be_in_it(tmp_path) -> None:
    x, _ = bursting(3, 12.0)
    rng = np.random.default_rng(0)
    comparison = compare(x, x[:, ::-1], 250.0, channels=("x", "y", "z"), settings=BurstSettings(starts=1, iterations=4))
    decoding = decode({BASELINE: rng.standard_normal((40, 4))}, list("ab") * 20, ["1"] * 20 + ["2"] * 20, ["s"] * 40)
    e = MEGEvaluation(
        ROWS[:1], ("x", "y", "z"), comparisons={"a": comparison}, decoding=decoding,
        similarities=(similarity(rng.random((3, 9)), rng.random((3, 9)), ["1", "2", "3"], "spectra"),),
        excerpt=Excerpt("a", rng.random((3, 500)), 0.0, 250.0, (Mark(1.0, 0.2, "blink"),)),
        variance=np.full((1, 3), 90.0), positions=np.array([[0, 0, 0.1], [0.05, 0, 0.05], [0, 0.05, np.nan]]),
    )  # fmt: skip
    found = write_report(e, {}, tmp_path, title="T")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") >= 6
    assert "said a" in page
    text = found.text()
    assert "new session" in text
    assert "own session is the nearest (chance 0.33)" in text
