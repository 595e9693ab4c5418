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
