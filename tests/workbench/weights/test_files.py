import json
import os
import pickle
import struct
from pathlib import Path

import pytest
import torch

from workbench import weights
from workbench.core.atomic import sha256_of
from workbench.core.errors import UsageError, WeightsError

META = {"backend": "segformer3d", "net": {"in_channels": 1}, "title": "a test"}


@pytest.fixture
def tensors():
    return {"a.weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(7)}


@pytest.fixture
def saved(tmp_path, tensors):
    return weights.save(tmp_path / "mine.safetensors", tensors, META)


def test_round_trip_keeps_tensors_and_record(saved, tensors):
    found = weights.find(saved, "segformer3d")
    assert found.meta["net"] == {"in_channels": 1}
    assert found.sha256 == sha256_of(saved)
    loaded = weights.load_tensors(found)
    assert set(loaded) == set(tensors)
    assert torch.equal(loaded["a.weight"], tensors["a.weight"])
    assert loaded["count"].dtype == torch.int64


def test_weights_of_another_backend_are_refused(saved):
    with pytest.raises(WeightsError, match="for backend 'segformer3d', but 'meg_gpt' was asked for"):
        weights.find(saved, "meg_gpt")


def test_unknown_name_offers_the_nearest():
    with pytest.raises(WeightsError, match="Did you mean 'segformer3d-brats'"):
        weights.find("segformer3d-brat", "segformer3d")


def test_known_but_absent_weights_say_how_to_get_them():
    with pytest.raises(WeightsError, match="OSUPCVLab/SegFormer3D"):
        weights.find("segformer3d-brats", "segformer3d")


class _Attack:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("maker", ["torch", "pickle"])
def test_a_pickle_with_code_is_refused_and_never_runs(tmp_path, maker):
    victim, path = tmp_path / "executed", tmp_path / "evil.pt"
    if maker == "torch":
        torch.save({"w": torch.zeros(1), "x": _Attack(victim)}, path)
    else:
        path.write_bytes(pickle.dumps(_Attack(victim)))
    with pytest.raises(WeightsError):
        weights.load_tensors(path)
    assert not victim.exists()


def test_the_attack_of_the_test_above_is_real(tmp_path):
    """Unpickled the careless way, the same bytes do run their code: the refusal above means something."""
    victim = tmp_path / "executed"
    pickle.loads(pickle.dumps(_Attack(victim)))
    assert victim.exists()


def test_plain_checkpoints_load_without_a_record(tmp_path, tensors):
    torch.save(tensors, tmp_path / "old.pt")
    found = weights.find(tmp_path / "old.pt", "segformer3d")
    assert found.meta == {}
    assert torch.equal(weights.load_tensors(found)["a.weight"], tensors["a.weight"])


def test_a_folder_with_one_checkpoint_is_that_checkpoint(tmp_path, tensors):
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    (tmp_path / "random_states_0.pkl").write_bytes(b"not looked at")
    assert weights.find(tmp_path).path.name == "pytorch_model.bin"
    torch.save(tensors, tmp_path / "optimizer.bin")
    assert weights.find(tmp_path).path.name == "pytorch_model.bin"
    os.rename(tmp_path / "pytorch_model.bin", tmp_path / "other.bin")
    with pytest.raises(WeightsError, match="expected one weight file in this folder, found optimizer.bin, other.bin"):
        weights.find(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "zip"])
def test_damaged_files_give_one_clear_line(tmp_path, saved, damage):
    path = tmp_path / "bad.safetensors"
    content = saved.read_bytes()
    path.write_bytes(
        {"cut": content[:-10], "text": b"hello, not weights", "empty": b"", "zip": b"PK\x03\x04junk"}[damage]
    )
    with pytest.raises(WeightsError) as caught:
        weights.load_tensors(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_newer_format_asks_for_an_update(tmp_path, tensors):
    from safetensors.torch import save_file

    record = json.dumps({"format": 99, **META})
    save_file(tensors, tmp_path / "new.safetensors", metadata={"workbench": record})
    with pytest.raises(WeightsError, match="please update"):
        weights.find(tmp_path / "new.safetensors")


def test_save_is_atomic_and_insists_on_its_record(tmp_path, tensors):
    with pytest.raises(UsageError, match="needs \\['net'\\]"):
        weights.save(tmp_path / "x.safetensors", tensors, {"backend": "b"})
    with pytest.raises(UsageError, match="written as .safetensors"):
        weights.save(tmp_path / "x.pt", tensors, META)
    assert list(tmp_path.iterdir()) == []


def test_listing_has_the_users_own_files(monkeypatch, tmp_path, tensors):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    weights.save(tmp_path / "weights" / "liver.safetensors", tensors, META)
    rows = {r["name"]: r for r in weights.listing()}
    assert rows["liver"]["state"] == "here"
    assert rows["segformer3d-brats"]["state"] == "not here"
    assert weights.find("liver", "segformer3d").path.parent == tmp_path / "weights"


@pytest.mark.parametrize("moved", [False, True])
def test_an_adapter_finds_its_base_from_anywhere(tmp_path, tensors, monkeypatch, moved):
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (home / "mine").mkdir(parents=True)
    monkeypatch.chdir(home)
    base = weights.find(weights.save(home / "base.safetensors", tensors, META).relative_to(home))
    record = weights.base_record(base, Path("mine/adapter.safetensors"))
    weights.save(Path("mine/adapter.safetensors"), tensors, {**META, "kind": "lora", **record})
    if moved:  # both together, as when a folder is copied to another machine
        home = home.rename(tmp_path / "renamed")
    monkeypatch.chdir(elsewhere)
    found = weights.find_base(weights.find(home / "mine" / "adapter.safetensors"))
    assert found.path.resolve() == (home / "base.safetensors").resolve()


def test_an_adapter_with_odd_paths_says_that_its_base_is_missing(tmp_path, tensors):
    odd = {"kind": "lora", "base": "x" * 5000, "base_path": "a\0b", "base_relative": 7, "base_sha256": 3}
    path = weights.save(tmp_path / "adapter.safetensors", tensors, {**META, **odd})
    with pytest.raises(WeightsError, match="which were not found"):
        weights.find_base(weights.find(path))


def test_a_damaged_file_does_not_hide_the_others_in_the_listing(monkeypatch, tmp_path, tensors):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    weights.save(tmp_path / "weights" / "liver.safetensors", tensors, META)
    (tmp_path / "weights" / "bad.safetensors").write_bytes((9).to_bytes(8, "little") + b"{not json")
    states = {r["name"]: r["state"] for r in weights.listing()}
    assert (states["liver"], states["bad"]) == ("here", "damaged")


def flipped(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_of_the_numbers_is_refused(saved):
    flipped(saved, -3)
    with pytest.raises(WeightsError, match="damaged: the hash of its numbers") as caught:
        weights.load_tensors(weights.find(saved))
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_flipped_bit_of_the_record_is_refused(saved):
    flipped(saved, saved.read_bytes().index(b"a test"))
    with pytest.raises(WeightsError, match="damaged: the hash of its record"):
        weights.load_tensors(weights.find(saved))


def test_every_flipped_bit_of_a_file_is_refused_or_changes_nothing(tmp_path, saved, tensors):
    """Of the whole file only spaces of the container's own header can differ without anybody knowing."""
    good, record = saved.read_bytes(), weights.read_meta(saved)
    for at in range(0, len(good), 3):
        path = tmp_path / "bad.safetensors"
        path.write_bytes(good[:at] + bytes([good[at] ^ (1 << at % 8)]) + good[at + 1 :])
        try:
            loaded = weights.load_tensors(weights.find(path))
        except WeightsError:
            continue
        assert weights.read_meta(path) in (record, {}), at
        assert {k: v.tolist() for k, v in loaded.items()} == {k: v.tolist() for k, v in tensors.items()}, at


def test_a_file_replaced_after_it_was_found_is_refused(tmp_path, saved, tensors):
    found = weights.find(saved)
    os.replace(weights.save(tmp_path / "new.safetensors", {**tensors, "count": torch.tensor(8)}, META), saved)
    with pytest.raises(WeightsError, match="changed or replaced while it was being read"):
        weights.load_tensors(found)


def test_files_of_version_0_1_hold_no_hashes_and_load(tmp_path, tensors):
    from safetensors.torch import save_file

    save_file(tensors, tmp_path / "old.safetensors", metadata={"workbench": json.dumps({"format": 1, **META})})
    assert torch.equal(weights.load_tensors(tmp_path / "old.safetensors")["a.weight"], tensors["a.weight"])


def test_an_adapter_finds_its_base_by_the_numbers_after_the_record_was_written_anew(tmp_path, saved, tensors):
    base = weights.find(saved)
    adapter = tmp_path / "adapter.safetensors"
    told = weights.base_record(base, adapter)
    weights.save(adapter, {"x": torch.zeros(1)}, {**META, "kind": "lora", **told})
    weights.save(saved, tensors, {**META, "title": "the same numbers"})
    assert weights.find_base(weights.find(adapter)).path == saved.resolve()
    weights.save(saved, {**tensors, "count": torch.tensor(8)}, META)
    with pytest.raises(WeightsError, match="were not found"):
        weights.find_base(weights.find(adapter))


def test_an_adapter_of_version_0_1_finds_its_base_by_a_former_hash(tmp_path, saved, tensors):
    adapter = tmp_path / "adapter.safetensors"
    told = {"base": "mine", "base_sha256": weights.find(saved).sha256}
    weights.save(adapter, {"x": torch.zeros(1)}, {**META, "kind": "lora", **told})
    weights.save(saved, tensors, {**META, "formerly": [told["base_sha256"]], "title": "told more"})
    assert weights.find_base(weights.find(adapter)).path == saved


def test_a_checkpoint_of_which_a_tensor_is_damaged_is_refused(tmp_path, tensors):
    path = tmp_path / "w.pt"
    torch.save(tensors, path)
    assert torch.equal(weights.load_tensors(path)["a.weight"], tensors["a.weight"])
    content = bytearray(path.read_bytes())
    content[content.index(struct.pack("<3f", 1, 2, 3)) + 3] ^= 1
    path.write_bytes(content)
    assert not torch.equal(torch.load(path)["a.weight"], tensors["a.weight"])  # torch itself does not notice
    with pytest.raises(WeightsError, match=r"w\.pt: damaged: 'w/data/0' in it has another checksum"):
        weights.load_tensors(path)


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_weights_are_never_read_from_a_pipe(tmp_path, name):
    os.mkfifo(tmp_path / name)
    for read in (weights.find, weights.load_tensors, weights.read_meta):
        with pytest.raises(WeightsError, match="no regular file"):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "pickled"),
    [
        ("a.safetensors", struct.pack("<Q", 2**60) + b'{"a":1}' * 9, False),
        ("a.safetensors", b"hello, these are words and no weights", False),
        ("a.nii.gz", b"\x1f\x8b\x08\x00" + bytes(200), False),
        ("a.pt", b"", False),
        ("a.pt", b"cos\nsystem\n(S'true'\ntR.", True),
        ("a.safetensors", pickle.dumps(_Attack("x")), True),
    ],
)
def test_only_a_pickle_is_called_one(tmp_path, name, content, pickled):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError) as error:
        weights.load_tensors(path)
    assert ("it is a pickle" in str(error.value)) == pickled
