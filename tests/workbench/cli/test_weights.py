"""`workbench weights` on files of our own and of others."""

import json

import pytest
import torch

from workbench import weights
from workbench.cli import run


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s},
        lambda s: {"epoch": 3, "model_state_dict": s, "optimizer": {"moments": torch.zeros(99)}},
        lambda s: {"model": {f"module.{k}": v for k, v in s.items()}},
        lambda s: {"epoch": 3, "generator": s},
    ],
)
def test_check_counts_the_numbers_of_wrapped_checkpoints(tmp_path, capsys, wrap):
    path = tmp_path / "official.pt"
    torch.save(wrap({"a": torch.zeros(2, 3), "b": torch.zeros(4)}), path)
    assert run(["weights", "check", str(path)]) == 0
    assert "2 entries, 10 numbers" in capsys.readouterr().out


def test_check_refuses_a_file_without_tensors(tmp_path, capsys):
    torch.save({"epoch": 3}, tmp_path / "none.pt")
    assert run(["weights", "check", str(tmp_path / "none.pt")]) == 5
    assert "holds no tensors" in capsys.readouterr().err


def test_show_prints_json_without_nan(tmp_path, capsys):
    meta = {"backend": "b", "net": {}, "scores": {"dice": float("nan")}}
    path = weights.save(tmp_path / "w.safetensors", {"a": torch.zeros(1)}, meta)
    assert run(["weights", "show", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert shown["scores"] == {"dice": None}


def test_show_says_what_taught_in_lines_and_how_many_were_seen(tmp_path, capsys):
    seen = [
        *({"id": f"case {i}", "group": "", "role": "learnt", "keys": [f"{i:032x}"] * 900} for i in range(40)),
        {"id": "held out", "group": "", "role": "chosen by", "keys": ["f" * 32]},
        {"id": "old.pt", "group": "", "role": "learnt", "keys": [], "untold": True},
    ]
    taught = {
        "unit": "HU", "sensor": "", "mirrored": None, "wavelengths": [400.0 + i for i in range(200)],
        "values": [{"q5": [-1000.0, -990.0], "deep": {"a": 1.25, "b": [1, 2]}}],
    }  # fmt: skip
    meta = {"backend": "b", "net": {}, "seen": seen, "taught": taught}
    path = weights.save(tmp_path / "w.safetensors", {"a": torch.zeros(1)}, meta)
    assert run(["weights", "show", str(path)]) == 0
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert max(map(len, lines)) < 200
    assert "seen         41 case(s), known again by their content" in lines
    assert "             learnt: 40 case(s): case 0, case 1, case 2 and 37 more" in lines
    assert "             chosen by: 1 case(s): held out" in lines
    assert "             and what taught old.pt, which do not say it" in lines
    assert "taught       unit: HU" in lines
    assert "             sensor: not known" in lines
    assert "             wavelengths: 400, 401, 402 ... 599 (200 in all)" in lines
    assert "               q5: -1000, -990" in lines
    assert "                 a: 1.25" in lines
    assert run(["weights", "show", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seen"] == seen


def test_the_licence_is_told_before_anything_is_fetched(capsys):
    assert run(["weights", "get", "stainnet-small"]) == 2
    said = capsys.readouterr().err
    assert "CC-BY-NC-ND-4.0: not for commercial use" in said
    assert said.index("CC-BY-NC-ND") < said.index("--allow-download")
