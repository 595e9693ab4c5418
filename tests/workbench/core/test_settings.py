from dataclasses import dataclass
from typing import Literal

import pytest

from workbench.core.errors import UsageError
from workbench.core.settings import as_dict, build, describe, setting


@dataclass(frozen=True)
class Config:
    overlap: float = setting(0.5, "share of a window", low=0.0, high=0.9)
    batch: int = setting(2, "windows at once", low=1, unit="windows")
    mode: Literal["exact", "fast"] = setting("exact", "how to blend")
    flips: bool = setting(False, "average over flips")
    roi: tuple[int, int, int] | None = setting(None, "window size", unit="voxels", advanced=True)
    names: tuple[str, ...] = setting((), "names")


def test_describe_reads_types_choices_and_units():
    d = describe(Config)
    assert list(d) == ["overlap", "batch", "mode", "flips", "roi", "names"]
    assert d["mode"].choices == ("exact", "fast")
    assert d["mode"].type is str
    assert (d["roi"].size, d["roi"].optional, d["roi"].type, d["roi"].advanced) == (3, True, int, True)
    assert d["names"].size == -1
    assert d["batch"].unit == "windows"


def test_build_converts_and_keeps_defaults():
    c = build(Config, {"overlap": "0.25", "roi": [32, 32, 16]})
    assert c == Config(overlap=0.25, roi=(32, 32, 16))
    assert as_dict(c)["roi"] == [32, 32, 16]
    assert build(Config, {"roi": None}).roi is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"overlapp": 0.5}, "Did you mean 'overlap'"),
        ({"overlap": 1.5}, "above the highest allowed value 0.9"),
        ({"overlap": float("nan")}, "overlap=nan: expected a finite number"),
        ({"overlap": "-inf"}, "overlap=-inf: expected a finite number"),
        ({"batch": float("inf")}, "expected int"),
        ({"batch": 0}, "below the lowest allowed value 1 windows"),
        ({"batch": 1.5}, "expected int"),
        ({"batch": True}, "expected int"),
        ({"mode": "quick"}, "not one of exact, fast"),
        ({"flips": "yes"}, "expected true or false"),
        ({"roi": (1, 2)}, "got 2 values, expected 3"),
        ({"roi": "32"}, "expected 3 values"),
        ({"overlap": None}, "needs a value"),
    ],
)
def test_bad_values_say_what_is_wrong(values, words):
    with pytest.raises(UsageError, match=words):
        build(Config, values)


def test_hyphens_mean_underscores():
    @dataclass(frozen=True)
    class Other:
        lora_rank: int = setting(0, "rank")

    assert build(Other, {"lora-rank": 4}).lora_rank == 4
