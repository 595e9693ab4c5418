"""`weights get meg-gpt`: the published files over a real HTTP server, checked, put together, used."""

from __future__ import annotations

import hashlib
import json
import pickle
import threading
from collections import OrderedDict
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import workbench.weights.published as published
from workbench import weights
from workbench.cli import run
from workbench.core.errors import UsageError, WeightsError
from workbench.recording.net.gpt import MEGGPT
from workbench.recording.predict.tokens import Codec
from workbench.recording.train.weights import load_parts
from workbench.weights.fetch import fetch
from workbench.weights.file_content import content_of
from workbench.weights.published import known


@pytest.fixture(scope="module")
def release(shared_parity: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release's folders: its own tokeniser and vocabulary, and random numbers as transformer."""
    folder = tmp_path_factory.mktemp("release") / "models"
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "meg-gpt").mkdir()
    state = load_file(shared_parity / "meggpt_tokenizer_weights.safetensors")
    torch.save(OrderedDict(reversed(state.items())), folder / "tokenizer" / "model_state.pt")
    words = json.loads((shared_parity / "meggpt_tokenizer_vocab.json").read_text(encoding="utf-8"))
    arrays = {
        "token_order": np.array(words["token_order"], np.int64),
        "token_counts": np.zeros((187, 65), np.int32),
        "total_token_counts": np.array(words["total_token_counts"], np.int64),
        "label_map": np.array(words["label_map"], np.int32),
    }
    (folder / "tokenizer" / "vocab.pkl").write_bytes(pickle.dumps(arrays))
    torch.manual_seed(0)
    torch.save(MEGGPT.preset("released").state_dict(), folder / "meg-gpt" / "model_state.pt")
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Our own rows, with the address of a server on this machine."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(release.parent))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{httpd.server_port}/"
        rows = tuple(
            replace(row, files=tuple(replace(f, url=f.url.replace(published._MEG_GPT, address)) for f in row.files))
            for row in published._ROWS
        )
        monkeypatch.setattr(published, "_ROWS", rows)
        yield tmp_path / "home" / "weights"
        httpd.shutdown()
        thread.join()


def hash_of(release: Path, name: str) -> str:
    return hashlib.sha256((release / name).read_bytes()).hexdigest()


def test_addresses_are_pinned_to_a_commit() -> None:
    for name, files in (("meg-gpt", 3), ("meg-gpt-tokenizer", 2)):
        row = known()[name]
        assert row.licence == "MIT"
        assert len(row.files) == files
        assert all("/78ff9439febaeb8e838fd670ec589578e635fd0c/models/" in f.url for f in row.files)
        assert f"weights get {name} --allow-download" in row.how_to_get()
    assert known()["meg-gpt"].how_to_get().endswith(" --sha256 models/meg-gpt/model_state.pt=HASH")
    assert not known()["meg-gpt-tokenizer"].unverified


def test_the_tokeniser_alone(served: Path, shared_parity: Path) -> None:
    with pytest.raises(UsageError, match="--allow-download"):
        fetch("meg-gpt-tokenizer", allow_download=False)
    seen: list[tuple[int, int]] = []
    path = fetch("meg-gpt-tokenizer", allow_download=True, progress=lambda done, total: seen.append((done, total)))
    assert path == served / "meg-gpt-tokenizer.safetensors"
    assert seen[0][0] > 900_000
    assert sorted(p.name for p in served.iterdir()) == [path.name]
    parts = load_parts(weights.find("meg-gpt-tokenizer", "meg_gpt"))
    assert parts.gpt is None
    assert parts.n_channels is None
    assert parts.recipe.sampling_rate == 250
    io = load_file(shared_parity / "meggpt_tokenizer_io.safetensors")
    assert isinstance(parts.codec, Codec)
    parts.codec.margin = 0
    found = parts.codec.encode(io["input"].numpy().T)
    assert (found != io["refactored_tokens"].numpy().T).mean() < 2e-3
    assert fetch("meg-gpt-tokenizer", allow_download=False) == path  # it is here


def test_the_transformer_wants_a_hash(served: Path, release: Path) -> None:
    with pytest.raises(WeightsError, match=r"sha256 is not known.*--sha256 models/meg-gpt/model_state.pt=HASH"):
        fetch("meg-gpt", allow_download=True)
    own = "models/meg-gpt/model_state.pt"
    with pytest.raises(UsageError, match="more than one file"):
        fetch("meg-gpt", allow_download=True, hashes={"model_state.pt": "0" * 64})
    with pytest.raises(UsageError, match="no file"):
        fetch("meg-gpt", allow_download=True, hashes={"model.bin": "0" * 64})
    with pytest.raises(UsageError, match="64 hexadecimal"):
        fetch("meg-gpt", allow_download=True, hashes={own: "abc"})
    with pytest.raises(WeightsError, match="nothing was kept"):
        fetch("meg-gpt", allow_download=True, hashes={own: "0" * 64})
    assert not served.exists() or not list(served.iterdir())

    digest = hash_of(release, "meg-gpt/model_state.pt")
    path = fetch("meg-gpt", allow_download=True, hashes={own: digest.upper()})
    assert fetch("meg-gpt", allow_download=True, hashes={own: digest}) == path
    with pytest.raises(WeightsError, match=r"is here already, made of models/meg-gpt/model_state\.pt with sha256"):
        fetch("meg-gpt", allow_download=True, hashes={own: "0" * 64})
    parts = load_parts(weights.find("meg-gpt", "meg_gpt"))
    assert sum(p.numel() for p in parts.gpt.parameters()) == 4_080_508
    assert parts.n_channels == 52
    assert parts.gpt.n_sessions == 621
    assert weights.read_meta(path)["sources"][own] == digest


def test_files_that_were_fetched_by_hand(served: Path, release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "get", "meg-gpt", "--from", str(release.parent), "-q"]) == 0
    assert str(served / "meg-gpt.safetensors") in capsys.readouterr().out
    direct = load_parts(weights.find(release / "meg-gpt"))
    installed = load_parts(weights.find("meg-gpt"))
    for key, value in direct.gpt.state_dict().items():
        assert torch.equal(value, installed.gpt.state_dict()[key])
    tokens = load_parts(weights.find(release / "tokenizer"))
    assert tokens.gpt is None
    assert np.array_equal(tokens.codec.counts, installed.codec.counts)
    assert run(["weights", "get", "meg-gpt-tokenizer", "--from", str(served), "-q"]) == 5
    assert "has no models/tokenizer/model_state.pt" in capsys.readouterr().err
    assert run(["weights", "get", "meg-gpt-tokenizer", "--sha256", "abc", "-q"]) == 2
    assert "expected FILE=HASH" in capsys.readouterr().err


def damaged(release: Path, folder: Path, name: str, content: bytes | None) -> Path:
    for file in release.rglob("*.p*"):
        copy = folder / file.relative_to(release.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    return folder


def one_number_changed(release: Path) -> bytes:
    import io

    state = torch.load(release / "tokenizer" / "model_state.pt", weights_only=True)
    state["token_weights_layer.norm_layer.bias"][3] += 1e-6
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def test_what_was_changed_is_not_kept(served: Path, release: Path, tmp_path: Path) -> None:
    name = "models/tokenizer/model_state.pt"
    folder = damaged(release, tmp_path / "a", name, one_number_changed(release))
    with pytest.raises(WeightsError, match="content hash of its numbers"):
        fetch("meg-gpt-tokenizer", allow_download=False, folder=folder)
    folder = damaged(release, tmp_path / "b", "models/tokenizer/vocab.pkl", pickle.dumps(Path("x")))
    with pytest.raises(WeightsError, match="Nothing in it was executed"):
        fetch("meg-gpt-tokenizer", allow_download=False, folder=folder)
    folder = damaged(release, tmp_path / "c", "models/tokenizer/vocab.pkl", pickle.dumps({"token_order": np.arange(3)}))
    with pytest.raises(WeightsError, match="has no total_token_counts, label_map"):
        fetch("meg-gpt-tokenizer", allow_download=False, folder=folder)
    folder = damaged(release, tmp_path / "d", "models/tokenizer/vocab.pkl", None)
    with pytest.raises(WeightsError, match=r"vocabulary of this tokeniser is missing"):
        load_parts(weights.find(folder / "models" / "tokenizer"))
    assert not served.exists() or not list(served.iterdir())


def test_a_group_can_list_the_hash(served: Path, release: Path) -> None:
    home = served.parent
    home.mkdir(exist_ok=True)
    row = known()["meg-gpt"]
    files = [{"name": f.name, "url": f.url, "content": f.content, "keys": list(f.keys)} for f in row.files]
    files[2]["sha256"] = hash_of(release, "meg-gpt/model_state.pt")
    entry = {"name": "meg-gpt", "backend": "meg_gpt", "title": "ours", "files": files, "build": row.build}
    (home / "weights.json").write_text(json.dumps([entry]), encoding="utf-8")
    assert fetch("meg-gpt", allow_download=True).is_file()
    for wrong in ({**files[2], "name": "../x"}, {**files[2], "colour": "red"}):
        (home / "weights.json").write_text(json.dumps([{**entry, "files": [wrong]}]), encoding="utf-8")
        with pytest.raises(UsageError, match=r"not usable|unknown field"):
            known()


def test_content_does_not_depend_on_the_container(release: Path, shared_parity: Path, tmp_path: Path) -> None:
    one = content_of(release / "tokenizer" / "model_state.pt")
    assert one == content_of(shared_parity / "meggpt_tokenizer_weights.safetensors")
    state = torch.load(release / "tokenizer" / "model_state.pt", weights_only=True)
    for change in (
        {"a": state["token_weights_layer.norm_layer.bias"].bfloat16()},
        {"a": state["token_weights_layer.norm_layer.bias"].double()},
        {"a": state["token_weights_layer.norm_layer.bias"][None]},
    ):
        torch.save(change, tmp_path / "x.pt")
        assert content_of(tmp_path / "x.pt") != one
        one = content_of(tmp_path / "x.pt")
