"""Seeds of the mutation test: weights, lists of cases, objects, and the records of hand work."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np

from tests.mutation.scenes import members
from tests.mutation.seed import Seed
from tests.tiny import make_volume


def _tiny(folder: Path) -> Path:
    """A few tensors with the record that weight files of ours have."""
    import torch

    from workbench import weights

    tensors = {"a.weight": torch.arange(12.0).reshape(3, 4), "b": torch.ones(3)}
    return weights.save(folder / "w.safetensors", tensors, {"backend": "segformer3d", "kind": "full", "net": {}})


def _torch(**options):
    def make(folder: Path) -> Path:
        import torch

        torch.save({"a.weight": torch.arange(12.0).reshape(3, 4), "b": torch.ones(3)}, folder / "w.pt", **options)
        return folder / "w.pt"

    return make


def _tensors(path: Path):
    from workbench.weights import load_tensors

    return {"tensors": lambda: {k: v.numpy() for k, v in load_tensors(path).items()}}


def _own_weights(path: Path):
    from workbench.weights.files import read_meta

    return {**_tensors(path), "info": lambda: read_meta(path)}


def _vocab(folder: Path) -> Path:
    order, counts = np.arange(12), np.arange(12, 0, -1) * 50
    record = {"token_order": order, "total_token_counts": counts, "label_map": np.arange(1, 13)}
    (folder / "vocab.pkl").write_bytes(pickle.dumps(record, 2))
    return folder / "vocab.pkl"


def _vocabulary(path: Path):
    from workbench.core.errors import WeightsError
    from workbench.recording.net.vocabulary import official_vocabulary
    from workbench.weights import inert_pickle

    def read():
        content = inert_pickle.read(path)
        try:
            words = official_vocabulary(content)
        except ValueError as error:  # as `workbench.recording.net.official.from_official` says it
            raise WeightsError(f"{path}: not the vocabulary of a tokeniser ({error})") from error
        return words.token_order, words.counts, words.label_map

    return {"vocabulary": read}


def _known(folder: Path) -> Path:
    rows = [{"name": "ours", "backend": "segformer3d", "title": "CT of our group", "url": "https://example.org/w",
             "sha256": "0" * 64, "size_mb": 12.5, "licence": "MIT"},
            {"name": "parts", "backend": "meg_gpt", "title": "in files",
             "build": "workbench.recording.train.release:install",
             "files": [{"name": "a/b.pt", "url": "https://example.org/b", "sha256": "1" * 64}]}]  # fmt: skip
    (folder / "weights.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return folder / "weights.json"


def _listing(path: Path):
    from workbench.weights import published

    def read():
        os.environ["WORKBENCH_HOME"] = str(path.parent)
        found = published.known()
        for row in found.values():
            if row.path.parent != path.parent / "weights":
                raise AssertionError(f"would be written to {row.path}")
        return sorted((k, row.title, row.how_to_get()) for k, row in found.items())

    return {"known": read}


def _list(name, write):
    def make(folder: Path) -> Path:
        for i in (1, 2, 3):
            make_volume(folder / f"sub-0{i}.nii", (4, 4, 4))
            make_volume(folder / f"sub-0{i}_seg.nii", (4, 4, 4))
        rows = [
            {"id": f"s{i}", "image": f"sub-0{i}.nii", "labels": f"sub-0{i}_seg.nii", "group": f"g{i}"}
            for i in (1, 2, 3)
        ]
        (folder / name).write_text(write(rows), encoding="utf-8")
        return folder / name

    return make


def _csv(rows):
    return "\n".join([",".join(rows[0]), *(",".join(r.values()) for r in rows)]) + "\n"


def _jsonl(rows):
    return "".join(json.dumps(r) + "\n" for r in rows)


def _cases(path: Path):
    from workbench.data.cases import load_cases, open_case

    def read():
        return [(c.id, c.group, c.image.name, open_case(c).geometry.shape) for c in load_cases(path)]

    return {"cases": read}


def _geojson(folder: Path) -> Path:
    features = [
        {
            "type": "Feature",
            "id": f"0000-{i}",
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x + i * 9, y] for x, y in ((0, 0), (4.5, 0), (4.5, 3.25), (0, 3.25), (0, 0))]],
            },
            "properties": {
                "objectType": "annotation",
                "classification": {"name": "cell", "color": [200, 0, 0]},
                "measurements": {"area": 14.6 + i},
            },
        }
        for i in range(3)
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features}, indent=1)
    (folder / "o.geojson").write_text(text, encoding="utf-8")
    return folder / "o.geojson"


def _objects(path: Path):
    from workbench.data.geojson import read_geojson

    def read():
        found = dict(vars(read_geojson(path)))
        # Any feature may have measurements of its own: the others have none of that name.
        measured = {k: v[np.isfinite(v)] for k, v in found.pop("measurements").items()}
        return found, measured

    return {"objects": read}


def _correction(folder: Path) -> Path:
    from workbench_napari.shared import recovery_store as store

    entry = folder / "store" / "20260101-000000-abcdef12"
    data = np.zeros((4, 5, 6), np.uint8)
    store.write_arrays(entry / "base-000001.npz", {"data": data})
    store.write_delta(entry, 2, [(slice(1, 3),) * 3], [np.ones((2, 2, 2), np.uint8)])
    store.write_record(entry, {"kind": "labels", "name": "liver", "source": None, "attributes": {}}, "base-000001.npz")
    return folder / "store"


def _recovered(path: Path):
    from workbench_napari.shared import recovery_store as store

    def read():
        return [(e.name, e.kind, e.state, store.read_array(e)) for e in store.Store(path).entries()]

    return {"entries": read}


def _embeddings(folder: Path) -> Path:
    np.save(folder / "e.npy", np.random.default_rng(0).random((4, 6)).astype("f4"))
    beside = {"role": "embeddings", "name": "features", "ids": list("abcd")}
    (folder / "e.json").write_text(json.dumps(beside), encoding="utf-8")
    return folder / "e.npy"


def _features(path: Path):
    from workbench.data.parts import read_embeddings

    return {"embeddings": lambda: (read_embeddings(path).data, read_embeddings(path).ids)}


def _other(name, make, verbs, protection, **options) -> Seed:
    return Seed(name, "others", make, verbs, protection, **options)


def _npz_members(path: Path, content: bytes):
    return members(path, content) if path.suffix == ".npz" else []


SEEDS = (
    _other("weights", _tiny, _own_weights, "length of each tensor"),
    _other("checkpoint", _torch(), _tensors, "CRC-32 of each tensor", sealed=members),
    _other("checkpoint of old", _torch(_use_new_zipfile_serialization=False), _tensors, "length of each tensor"),
    _other("vocab.pkl", _vocab, _vocabulary, "length of each array"),
    _other("weights.json", _known, _listing, "brackets"),
    _other("list csv", _list("list.csv", _csv), _cases, "none", counted=False, body=("*.csv",)),
    _other("list jsonl", _list("list.jsonl", _jsonl), _cases, "none", counted=False, body=("*.jsonl",)),
    _other("geojson", _geojson, _objects, "brackets"),
    _other("correction", _correction, _recovered, "CRC-32 of each array", sealed=_npz_members, body=("*.npz",)),
    _other("embeddings", _embeddings, _features, "length, number of ids", body=("*.npy",)),
)

SEED_OF_VOCABULARY = next(s for s in SEEDS if s.name == "vocab.pkl")
