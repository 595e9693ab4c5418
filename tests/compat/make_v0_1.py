"""Make the files of version 0.1 that `test_v0_1.py` reads, with the code of version 0.1 itself.

Run once, with a checkout of version 0.1 (commit 00392de) on the path and a display (Xvfb will do); today's code is not
used, and refuses::

    PYTHONPATH=CHECKOUT:CHECKOUT/plugins python tests/compat/make_v0_1.py tests/compat/v0_1

Everything is made by what a user of 0.1 would press or type: `train`, `predict`, and the three tools in a napari
window. Only what is large is made small (networks of a few thousand parameters), and what belongs to one machine
becomes a placeholder: the folder is ``@HERE@``, the machine ``@HOST@``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pickle
import shutil
import socket
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

VOLUME, SCENE, RECORDING = "volume.nii.gz", "scene.hdr", "recording.npy"
TRAIN_VOLUME = {
    "weights": "volume_start", "device": "cpu", "steps": 4, "batch": 2, "validate_every": 2, "roi": (32, 32, 32),
}  # fmt: skip
TRAIN_SCENE = {
    "weights": "scene_start", "device": "cpu", "steps": 4, "batch": 6, "validate_every": 2, "head_start": 5,
}  # fmt: skip
TRAIN_TOKENIZER = {
    "stage": "tokenizer", "device": "cpu", "n_tokens": 8, "units": 8, "window": 60, "margin": 5, "token_dim": 4,
    "tokenizer_steps": 10, "tokenizer_batch": 4, "val_windows": 4, "val_fraction": 0.34, "validate_every": 5,
}  # fmt: skip
TRAIN_MODEL = {
    "weights": "recording_start", "stage": "model", "device": "cpu", "steps": 4, "batch": 2, "val_windows": 4,
    "val_fraction": 0.34, "validate_every": 2,
}  # fmt: skip
PREDICT = {
    "volume": ("segformer3d", VOLUME, ["--precision", "float32"]),
    "scene": ("lola_specvit", SCENE, ["--precision", "float32"]),
    "recording": ("meg_gpt", RECORDING, ["--precision", "float32", "--generate", "1"]),
}


def make_inputs(folder: Path) -> None:
    """A volume, a scene and a recording with what is known of them."""
    import nibabel as nib
    from tests.cube_maker import MAP_INFO, save_envi

    from tests.tiny import make_tiny_recording, make_volume

    make_volume(folder / VOLUME, (20, 18, 16), (3.0, 3.0, 4.0))
    image = nib.load(folder / VOLUME)
    labels = np.zeros(image.shape, np.uint8)
    labels[4:12, 4:14, 4:12] = 1
    labels[12:16, 4:14, 4:12] = 2
    nib.save(nib.Nifti1Image(labels, image.affine), folder / "volume_labels.nii.gz")

    rng = np.random.default_rng(0)
    rows, columns, bands = 18, 20, 12
    materials = 1 + (np.mgrid[:rows, :columns][1] // 7)
    x = np.linspace(0, 1, bands)
    pure = np.stack([0.1 + 0.5 * (x > 0.5), 0.35 - 0.25 * x, 0.15 + 0.4 * x])
    cube = pure[materials - 1].transpose(2, 0, 1) + rng.normal(scale=0.01, size=(bands, rows, columns))
    waves = "{" + ", ".join(f"{440 + 500 * v:.1f}" for v in x) + "}"
    save_envi(
        folder, (cube * 10000).astype(np.int16), name="scene", wavelength=waves, wavelength_units="Nanometers",
        map_info=MAP_INFO,
    )  # fmt: skip
    painted = np.where(rng.random(materials.shape) < 0.3, materials, 0).astype(np.uint8)
    np.save(folder / "scene_painted.npy", painted)

    make_tiny_recording(folder / RECORDING)


def make_start(weights_folder: Path, inputs: Path) -> None:
    """Networks of a few thousand random parameters that the trainings start from."""
    import torch
    from workbench.data.recipe import VolumeRecipe
    from workbench.nets.lola_specvit import LolaSpecViT, small_config
    from workbench.nets.segformer3d import SegFormer3D
    from workbench.settings import build
    from workbench.training.pixel_settings import PixelTrainConfig
    from workbench.training.pixels import learn_scene, record_of, save

    from tests.tiny import CLASSES, make_tiny_meg_weights
    from workbench import weights
    from workbench.data import formats

    torch.manual_seed(0)
    net = SegFormer3D(
        in_channels=1, num_classes=3, embed_dims=[4, 4, 4, 4], num_heads=[1, 1, 2, 2], depths=[1, 1, 1, 1],
        decoder_head_embedding_dim=4,
    )  # fmt: skip
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    recipe = VolumeRecipe(channels=("CT",), spacing_mm=(4.0, 4.0, 4.0), roi=(32, 32, 32)).to_json()
    meta = {"backend": "segformer3d", "net": net.config, "classes": CLASSES, "recipe": recipe, "kind": "full"}
    weights.save(weights_folder / "volume_start.safetensors", net.state_dict(), meta)
    make_tiny_meg_weights(weights_folder / "recording_start.safetensors")
    image = formats.read(inputs / SCENE)
    labels = formats.read_labels(inputs / "scene_painted.npy", reference=image.geometry)
    quick = {"device": "cpu", "components": 4, "patch": 5, "steps": 1, "head_start": 0, "batch": 6}
    learnt = learn_scene(image, labels, build(PixelTrainConfig, quick))
    torch.manual_seed(0)
    tiny = {"dim": 4, "depths": [1, 1], "num_heads": [1, 2], "window_size": [3, 3], "front_channels": [2, 2]}
    known = learnt.net.config
    mapper = LolaSpecViT(**small_config(known["in_channels"], known["num_classes"], spatial_size=5, **tiny))
    small = replace(learnt, net=mapper)
    save(weights_folder / "scene_start.safetensors", small, record_of(small, image))


def make_trainings(weights_folder: Path, inputs: Path, folder: Path) -> None:
    """Each training once to its end, once broken off half-way (its state stays), once as an adapter."""
    from workbench.types import Case

    import workbench as wb

    volume = [Case("volume", inputs / VOLUME, inputs / "volume_labels.nii.gz")]
    scene = [Case("scene", inputs / SCENE, inputs / "scene_painted.npy")]
    recording = [Case("recording", inputs / RECORDING, None)]

    def stop_at(step: int) -> Any:
        def on_step(event: Any) -> None:
            if event.step == step:
                raise KeyboardInterrupt  # what Ctrl+C does

        return on_step

    for name, backend, cases, values, half in (
        ("volume", "segformer3d", volume, TRAIN_VOLUME, 2),
        ("scene", "lola_specvit", scene, TRAIN_SCENE, 2),
        ("tokenizer", "meg_gpt", recording, TRAIN_TOKENIZER, 5),
        ("recording", "meg_gpt", recording, TRAIN_MODEL, 2),
    ):
        wb.train(backend, cases, out=weights_folder / f"{name}.safetensors", **values)
        with contextlib.suppress(KeyboardInterrupt):
            wb.train(backend, cases, out=folder / f"{name}.safetensors", on_step=stop_at(half), **values)
        for path in folder.rglob("*"):
            if path.is_file() and path.name != "state.safetensors":
                path.unlink()
        if name != "tokenizer":
            more = {**values, "weights": name, "lora_rank": 2}
            wb.train(backend, cases, out=weights_folder / f"{name}_lora.safetensors", **more)
    for path in weights_folder.glob("*_training"):
        shutil.rmtree(path)


def make_group_list(home: Path, release: Path) -> None:
    """A group's own ``weights.json`` with a row as 0.1 itself had it: files that a function of ours puts together."""
    import torch
    from workbench.atomic import sha256_of
    from workbench.known_weights import known
    from workbench.nets.meg_tokenizer import MEGTokenizer

    torch.manual_seed(0)
    (release / "models" / "tokenizer").mkdir(parents=True)
    net = MEGTokenizer(52, 6, 8, 1, 200, 4, "causal", False, 1)
    torch.save(net.state_dict(), release / "models" / "tokenizer" / "model_state.pt")
    words = {
        "token_order": np.arange(6), "total_token_counts": np.arange(6, 0, -1) * 10,
        "label_map": np.arange(1, 7, dtype=np.int32),
    }  # fmt: skip
    (release / "models" / "tokenizer" / "vocab.pkl").write_bytes(pickle.dumps(words))
    row = asdict(known()["meg-gpt-tokenizer"]) | {"name": "group-tokenizer", "title": "Tokeniser of our group"}
    for file in row["files"]:
        file |= {"url": f"file://@HERE@/release/{file['name']}", "content": "", "keys": []}
        file["sha256"] = sha256_of(release / file["name"])
    (home / "weights.json").write_text(json.dumps([row], indent=1))


def make_results(inputs: Path, full: Path, adapted: Path) -> None:
    """What ``workbench predict`` writes with full weights, and with adapters."""
    from workbench.cli import run

    for name, (backend, file, options) in PREDICT.items():
        call = ["predict", backend, "-i", str(inputs / file), *options, "--device", "cpu", "-q"]
        assert run([*call, "-o", str(full), "--weights", name]) == 0
        more = ["--no-reconstruction", "--generate", "0"] if name == "recording" else []
        assert run([*call, *more, "-o", str(adapted), "--weights", f"{name}_lora"]) == 0


def make_hand_work(inputs: Path, edited: Path, truth: Path, layers: Path) -> None:
    """Layers edited and saved by hand, others edited and not saved (their recovery entries stay), in real windows."""
    import napari
    from qtpy.QtTest import QTest
    from workbench_napari.launch import open_files
    from workbench_napari.meg_marks import marks_of

    def wait(tool: Any) -> None:
        for _ in range(6000):
            QTest.qWait(20)
            if not tool.runner.is_busy:
                return
        raise TimeoutError(tool.status.text())

    def window(file: str, weights: str) -> tuple[Any, Any]:
        viewer = napari.Viewer(show=False)
        tool = open_files(viewer, [inputs / file])
        tool.weights.choose_file(weights)
        tool.device.setCurrentText("cpu")
        tool.folder.setText(str(edited))
        return viewer, tool

    def save(tool: Any) -> None:
        assert tool.save(), tool.status.text()
        wait(tool)
        assert tool.last_folder is not None, tool.status.text()
        tool.journal.flush()

    home = Path(os.environ["WORKBENCH_HOME"]) / "recovery"
    kept = home.with_name("kept")

    def crash(viewer: Any, tool: Any) -> None:
        """The store as it lies there when the process ends now; closing the window in order would mark its entries."""
        tool.journal.flush()
        shutil.copytree(home, kept, dirs_exist_ok=True)
        viewer.close()
        shutil.rmtree(home)

    viewer, tool = window(VOLUME, "volume")
    assert tool.run()
    wait(tool)
    labels = tool.labels_layer
    labels.brush_size = 3
    labels.paint((6, 8, 9), 2)
    save(tool)
    np.save(truth / "edited_volume.npy", labels.data)
    labels.paint((9, 8, 9), 1)
    tool.journal.flush()
    labels.paint((2, 3, 4), 1 if labels.data[2, 3, 4] != 1 else 2)  # a second write: a delta on the base
    np.save(truth / "recovery_volume.npy", labels.data)
    keep_layers(viewer, layers, "volume")
    viewer.layers.remove(labels)
    crash(viewer, tool)

    viewer, tool = window(SCENE, "scene")
    assert tool.map_scene(), tool.status.text()
    wait(tool)
    found = tool.maps.get("labels")
    found.paint((1, 1), 2)
    save(tool)
    np.save(truth / "edited_scene.npy", found.data)
    found.brush_size = 3
    found.paint((9, 9), 3)
    tool.journal.flush()
    found.paint((2, 16), 1)
    for row, name in enumerate(("wood", "water", "soil")):
        value = tool.add_class(name)
        tool.paint_layer.paint((4 + row, 5), value)
    np.save(truth / "recovery_scene_map.npy", found.data)
    np.save(truth / "recovery_scene_painted.npy", tool.paint_layer.data)
    (truth / "recovery_scene_classes.json").write_text(json.dumps(list(tool.classes.names)))
    keep_layers(viewer, layers, "scene")
    crash(viewer, tool)

    viewer, tool = window(RECORDING, "recording")
    tool.form.set_values({"precision": "float32"})
    assert tool.run(), tool.status.text()
    wait(tool)
    tool.marks_choice.setCurrentText("annotations")
    tool.label.setCurrentText("BAD_artefact")
    tool.editor.layer.add_rectangles([[0.2, 0.5], [2.0, 0.8]])
    QTest.qWait(300)
    save(tool)
    tool.editor.layer.add_rectangles([[0.2, 1.5], [1.2, 1.9]])
    QTest.qWait(300)
    marks = marks_of(tool.editor.layer)
    rows = [[m.onset, m.duration, m.label, list(m.channels)] for m in marks]
    (truth / "recovery_recording.json").write_text(json.dumps(rows))
    keep_layers(viewer, layers, "recording")
    crash(viewer, tool)
    shutil.move(kept, home)


def keep_layers(viewer: Any, folder: Path, prefix: str) -> None:
    """Layers as their layer-data tuples: the array as .npy, the plain values beside it as .json."""
    for layer in viewer.layers:
        data, attributes, kind = layer.as_layer_data_tuple()
        record = attributes["metadata"]["workbench"]
        if prefix == "recording" and record.get("role") != "marks":
            continue  # nobody writes these from a layer
        role = str(record.get("part") or record.get("part_name") or record.get("role")).replace(" ", "_")
        keys = ("name", "scale", "translate", "units", "axis_labels", "metadata", "rgb", "contrast_limits")
        keys += ("affine", "rotate", "shear")
        if kind == "shapes":
            keys += ("shape_type", "features")
            attributes["features"] = {str(c): list(attributes["features"][c]) for c in attributes["features"].columns}
            data = np.asarray(data, np.float64).reshape(-1, 4, 2)
        plain = {k: attributes[k] for k in keys if k in attributes}
        text = json.dumps({"kind": kind, "attributes": plain}, indent=1, default=_plain)
        (folder / f"{prefix}_{role}.json").write_text(text)
        np.save(folder / f"{prefix}_{role}.npy", np.asarray(data))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def make_portable(folder: Path) -> None:
    """Placeholders for what belongs to this machine, in JSON and in the records of adapters."""
    from workbench import weights

    for path in folder.rglob("*.json"):
        text = path.read_text(encoding="utf-8").replace(str(folder), "@HERE@")
        path.write_text(text.replace(json.dumps(socket.gethostname()), '"@HOST@"'), encoding="utf-8")
    for path in (folder / "home" / "weights").glob("*_lora.safetensors"):
        meta = weights.read_meta(path)
        if "base_path" in meta:
            tensors = weights.load_tensors(path)
            weights.save(path, tensors, meta | {"base_path": meta["base_path"].replace(str(folder), "@HERE@")})


def main(out: Path) -> None:
    """Make everything anew in `out`."""
    if importlib.util.find_spec("workbench.core"):
        raise SystemExit("this needs a checkout of version 0.1 on PYTHONPATH: these files say what its code wrote")
    folder = Path(tempfile.mkdtemp(prefix="v0_1-"))
    names = ("home/weights", "inputs", "trainings", "results", "adapted", "edited", "truth", "layers", "release")
    place = {name: folder / name for name in names}
    for path in place.values():
        path.mkdir(parents=True)
    os.environ["WORKBENCH_HOME"] = str(folder / "home")
    os.environ["WORKBENCH_PRELOAD"] = "0"
    make_inputs(place["inputs"])
    make_start(place["home/weights"], place["inputs"])
    make_trainings(place["home/weights"], place["inputs"], place["trainings"])
    make_group_list(folder / "home", place["release"])
    make_results(place["inputs"], place["results"], place["adapted"])
    make_hand_work(place["inputs"], place["edited"], place["truth"], place["layers"])
    make_portable(folder)
    readme = out / "README.txt"
    kept = readme.read_bytes() if readme.exists() else None
    if out.exists():
        shutil.rmtree(out)
    shutil.move(folder, out)
    if kept is not None:
        readme.write_bytes(kept)
    files = [p for p in out.rglob("*") if p.is_file()]
    print(f"{len(files)} files, {sum(p.stat().st_size for p in files) / 1e3:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
