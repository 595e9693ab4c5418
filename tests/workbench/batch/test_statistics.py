"""Statistics of a study are those of numpy and pandas; outliers are found, and few are marked that are none."""

import math

import numpy as np
import pandas as pd
import pytest

from tests.workbench.batch.study_rows import row, study
from workbench.batch.rows import JsonLines, survey
from workbench.batch.statistics import CUT, LISTED, Rule, class_statistics, outliers


def test_statistics_are_those_of_pandas():
    rows = study()
    found = class_statistics(rows, "volume [mL]", ("liver", "spleen"))
    frame = pd.DataFrame([{e["class"]: e["volume [mL]"] for e in r["table"]} for r in rows])
    for one in found:
        told = frame[one.name].describe()
        assert one.n == told["count"] == 40
        assert (one.mean, one.sd) == (pytest.approx(told["mean"]), pytest.approx(told["std"]))
        assert (one.least, *one.quartiles, one.most) == pytest.approx(tuple(told[["min", "25%", "75%", "max"]]))
        assert one.median == pytest.approx(told["50%"])


def test_the_score_is_the_modified_z_score_of_the_logarithms():
    values = np.random.default_rng(1).lognormal(5, 0.4, 31)
    logs = np.log(values)
    mad = np.median(np.abs(logs - np.median(logs)))
    rule = Rule.of(values)
    for value in values:
        assert rule.score(value) == pytest.approx(0.6745 * (math.log(value) - np.median(logs)) / mad)


def test_the_outlier_is_found_and_named():
    rows = study()
    counted = outliers(rows, "volume [mL]", class_statistics(rows, "volume [mL]", ("liver", "spleen")))
    assert counted["liver"] == (0, [])
    count, (one,) = counted["spleen"]
    assert (count, one.number, one.case, one.size, one.says) == (1, 3, "P003", 2000.0, "high")


def test_a_factor_is_as_far_up_as_down():
    """On logarithms a tenth is as odd as ten times; on the sizes themselves it never would be."""
    values = np.array([90, 95, 100, 105, 110, 100, 98, 102, 1000, 10.0])
    rule = Rule.of(values)
    assert [rule.says(v) for v in (100, 1000, 10)] == ["", "high", "low"]


def test_few_of_a_study_without_outliers_are_marked():
    rng = np.random.default_rng(0)
    values = rng.lognormal(6, 0.5, 10_000)
    rule = Rule.of(values)
    assert sum(bool(rule.says(v)) for v in values) < 20  # 5 of 10,000 are beyond 3.5 sd


@pytest.mark.parametrize("n", [1, 4])
def test_of_fewer_than_five_none_is_marked(n):
    values = np.array([100.0] * (n - 1) + [1e6])
    assert not any(Rule.of(values).says(v) for v in values)


def test_where_most_are_equal_the_mean_distance_counts():
    values = np.array([100.0] * 20 + [101.0, 400.0])
    rule = Rule.of(values)
    assert rule.scale > 0
    assert [rule.says(v) for v in (100.0, 101.0, 400.0)] == ["", "", "high"]
    same = Rule.of(np.full(10, 7.3))
    assert not same.says(7.3)
    assert not same.says(7.3 * (1 + 1e-13))


def test_an_empty_class_is_marked_where_others_have_it():
    rare = np.array([100.0 + i for i in range(29)] + [0.0])
    assert Rule.of(rare).says(0.0) == "empty"
    often = np.array([100.0 + i for i in range(20)] + [0.0] * 10)
    assert Rule.of(often).says(0.0) == ""
    assert Rule.of(np.zeros(9)).says(0.0) == ""
    assert Rule.of(rare).log  # the sizes that there are are compared as before


def test_sizes_below_0_are_compared_as_they_are():
    values = np.array([-1.0, 0.0, 1.0, 2.0, -2.0, 0.5, 60.0])
    rule = Rule.of(values)
    mad = np.median(np.abs(values - np.median(values)))
    assert rule.score(60.0) == pytest.approx(0.6745 * (60 - 0.5) / mad)
    assert rule.says(60.0) == "high"
    assert rule.says(0.0) == ""


def test_many_outliers_are_counted_and_the_farthest_are_named():
    sizes = [100.0 + i % 7 for i in range(200)] + [1000.0 + i for i in range(30)]
    rows = [row(f"c{i}", size) for i, size in enumerate(sizes)]
    (one,) = class_statistics(rows, "volume [mL]", ("liver",))
    count, named = outliers(rows, "volume [mL]", [one])["liver"]
    assert count == 30
    assert [o.case for o in named] == [f"c{i}" for i in range(229, 229 - LISTED, -1)]
    assert abs(one.rule.score(1000.0)) > CUT


def test_what_is_no_size_is_left_out():
    table = [{"class": "liver", "volume [mL]": v} for v in (None, math.nan, math.inf, "12", True, 10**400)]
    rows = [row("a", 10.0), *({**row(f"b{i}"), "table": [entry]} for i, entry in enumerate(table))]
    found = survey(rows, "volume [mL]")
    assert found.classes == ("liver",)
    (one,) = class_statistics(rows, found.measure, found.classes)
    assert (one.n, one.mean) == (1, 10.0)
    assert math.isnan(one.sd)


def test_without_any_size_counted_samples_are_compared():
    rows = [row("a", math.nan, None), row("b", None, None), row("c", math.nan, math.nan)]
    found = survey(rows, "volume [mL]")
    assert (found.measure, found.classes) == ("voxels", ("liver", "spleen"))
    assert survey([row("a")], "").measure == ""


def test_rows_of_a_file_are_read_anew_each_time(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"case": "a", "seconds": 1}\n\n{"case": "\\udce9", "status": "failed"}\n', encoding="utf-8")
    rows = JsonLines(path)
    assert [r["case"] for r in rows] == [r["case"] for r in rows] == ["a", "\udce9"]
    found = survey(rows, "")
    assert found.counts == {"done": 0, "skipped": 0, "failed": 1, "not run": 1}
    assert found.seconds == 1.0
