"""Time, memory and agreement of the volume engine against MONAI's sliding window, as users call it.

Baseline: ``monai.inferers.sliding_window_inference`` (Gaussian, overlap 0.5, ``sw_batch_size`` 4), then argmax; the
network in its textbook form (upsample, concatenate, fuse). Same weights, same windows of 96^3, 14 classes.

    python tests/benchmarks/bench_volume_inference.py                      # quick: 192x192x144
    python tests/benchmarks/bench_volume_inference.py --sizes 256x256x192 512x512x300 --json bench.json
    python tests/benchmarks/bench_volume_inference.py --arms monai exact --no-memory
    python tests/benchmarks/bench_volume_inference.py --torso ../shared/data/volume/ct_torso_3mm.nii.gz --sizes

Times are ratios within one process, arms in turn, medians over rounds: absolute seconds on a shared machine say little.
Memory is the growth of the peak resident set above the loaded network and volume, one process per arm. The network is
trained briefly on made-up blobs so that its logits have structure; its accuracy means nothing. On a GPU
(``--device cuda``) memory is the peak allocated on the device.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.core.provenance import peak_memory_mb
from workbench.volume.data.grid import Grid, resize
from workbench.volume.data.preprocess import crop_box, prepare
from workbench.volume.data.recipe import VolumeRecipe
from workbench.volume.net.segformer3d import SegFormer3D
from workbench.volume.predict.segment import segment
from workbench.volume.predict.windows import WindowSettings

ROI = (96, 96, 96)
CLASSES = 14
ARMS = {
    "monai": "MONAI, sw_batch 4, textbook decoder",
    "monai-fused": "MONAI, sw_batch 4, our network's forward",
    "exact": "exact",
    "exact-bf16": "exact, bfloat16",
    "fast": "fast, float32",
    "fast-bf16": "fast, bfloat16",
}


class Textbook(nn.Module):
    """The network as the paper writes it: all scales upsampled and concatenated before the fusion convolution."""

    def __init__(self, net: SegFormer3D) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        decoder = self.net.segformer_decoder
        stages = self.net.segformer_encoder(x)
        finest = stages[0][1]
        maps = []
        for s in (4, 3, 2, 1):
            tokens, grid = stages[s - 1]
            tokens = getattr(decoder, f"linear_c{s}")(tokens)
            volume = tokens.transpose(1, 2).reshape(len(x), -1, *grid)
            maps.append(volume if s == 1 else F.interpolate(volume, size=finest, mode="trilinear"))
        low = decoder.linear_pred(decoder.linear_fuse(torch.cat(maps, 1)))
        return F.interpolate(low, scale_factor=4, mode="trilinear")


def phantom(shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Blobs of 13 classes with an intensity each, and noise: (1, *shape) float32 and labels."""
    rng = np.random.default_rng(seed)
    fields = [resize(rng.normal(size=[max(2, n // 20) for n in shape]).astype(np.float32), shape) for _ in range(3)]
    labels = np.zeros(shape, np.uint8)
    for k in range(1, CLASSES):
        direction = rng.normal(size=3)
        score = sum(float(w) * f for w, f in zip(direction / np.linalg.norm(direction), fields, strict=True))
        labels[score > 0.75] = k
    image = (labels / CLASSES).astype(np.float32) + 0.02 * rng.standard_normal(shape, dtype=np.float32)
    return image[None], labels


def train(path: Path, seconds: float) -> None:
    """Fit the network to phantoms for a while and save it."""
    torch.manual_seed(0)
    net = SegFormer3D(in_channels=1, num_classes=CLASSES).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    began, step = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        cases = [phantom((64, 64, 64), 1000 + 2 * step + i) for i in range(2)]
        x = torch.from_numpy(np.stack([image for image, _ in cases]))
        y = torch.from_numpy(np.stack([labels for _, labels in cases])).long()
        # The loss is taken at a quarter of the resolution: four times as many steps per second.
        low = net.forward_low(x)
        loss = F.cross_entropy(low, y[:, 2::4, 2::4, 2::4])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
    print(f"network: {step} steps, loss {loss.item():.3f}", file=sys.stderr)
    torch.save(net.state_dict(), path)


def load(path: Path, device: str) -> SegFormer3D:
    net = SegFormer3D(in_channels=1, num_classes=CLASSES)
    net.load_state_dict(torch.load(path, weights_only=True))
    return net.eval().to(device)


def arm(name: str, net: SegFormer3D, device: str, **options: Any) -> Callable[[np.ndarray], np.ndarray]:
    """A callable volume -> labels."""
    if name.startswith("monai"):
        from monai.inferers import sliding_window_inference

        model = net if name == "monai-fused" else Textbook(net)

        def run_monai(volume: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                x = torch.from_numpy(volume)[None].to(device)
                return sliding_window_inference(x, ROI, 4, model, 0.5, mode="gaussian").argmax(1)[0].cpu().numpy()

        return run_monai
    mode, _, half = name.partition("-")
    settings = WindowSettings(ROI, stride=4, mode=mode, precision="bfloat16" if half else "float32")

    def run(volume: np.ndarray) -> np.ndarray:
        return segment(net.forward_low, volume, settings, device=device, **options).labels

    return run


def compare(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """Share of equal voxels, over all and over those that either calls foreground."""
    equal, fore = a == b, (a > 0) | (b > 0)
    return {"equal": float(equal.mean()), "equal_foreground": float(equal[fore].mean())}


def mean_dice(labels: np.ndarray, truth: np.ndarray) -> float:
    scores = []
    for k in range(1, CLASSES):
        a, b = labels == k, truth == k
        if b.any():
            scores.append(2 * float((a & b).sum()) / float(a.sum() + b.sum()))
    return statistics.fmean(scores)


def time_arms(net: SegFormer3D, shape: tuple[int, ...], arms: list[str], rounds: int, device: str) -> dict[str, Any]:
    """Run the arms in turn; seconds are the median, the ratio is to the first arm."""
    volume, truth = phantom(shape, 7)
    runs = {name: arm(name, net, device) for name in arms}
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    processor: dict[str, list[float]] = {name: [] for name in arms}
    labels: dict[str, np.ndarray] = {}
    for r in range(rounds + 1):
        for name, run in runs.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            labels[name] = run(volume)
            if r or rounds == 0:  # the first round warms up
                seconds[name].append(time.perf_counter() - began)
                processor[name].append(time.process_time() - began_cpu)
    rows = {}
    for name in arms:
        rows[name] = {
            "seconds": statistics.median(seconds[name]),
            "ratio": statistics.median(seconds[arms[0]]) / statistics.median(seconds[name]),
            "ratio_of_best": min(seconds[arms[0]]) / min(seconds[name]),
            "processor_ratio": min(processor[arms[0]]) / min(processor[name]),
            "mean_dice": mean_dice(labels[name], truth),
            **compare(labels[name], labels[arms[0]]),
        }
    return rows


def resident_peak() -> int:
    """Peak resident bytes of this process alone: ru_maxrss would start from the peak of the parent."""
    return int(peak_memory_mb() * 1e6)


def measure_memory(weights: Path, shape: tuple[int, ...], name: str, device: str) -> dict[str, float]:
    """In this process: peak above the loaded network and volume, in bytes."""
    net = load(weights, device)
    rng = np.random.default_rng(0)
    volume = rng.standard_normal((1, *shape), dtype=np.float32)
    run = arm(name, net, device)
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run(volume)
        return {"growth": float(torch.cuda.max_memory_allocated() - before)}
    before = resident_peak()
    run(volume)
    return {"growth": float(resident_peak() - before)}


def torso(net: SegFormer3D, path: Path, arms: list[str], rounds: int, device: str) -> dict[str, Any]:
    """Gain from cropping to the body on a real CT at 1.5 mm."""
    import nibabel as nib

    from workbench.core.types import Geometry

    image = nib.load(path)
    data = np.asarray(image.dataobj, np.float32)[None]
    geometry = Geometry(data.shape[1:], image.affine)
    recipe = VolumeRecipe(spacing_mm=(1.5, 1.5, 1.5), crop="body", roi=ROI)
    grid = Grid.plan(geometry, recipe.orientation, recipe.spacing_mm)
    raw = grid.resample(grid.orient(data))
    volume = prepare(raw, recipe)
    began = time.perf_counter()
    box = crop_box(raw, recipe, grid.spacing)
    box_seconds = time.perf_counter() - began
    rows: dict[str, Any] = {"shape": list(grid.shape), "box": str(box), "box_seconds": box_seconds}
    for name in arms:
        if name.startswith("monai"):
            continue
        whole, cropped = arm(name, net, device), arm(name, net, device, box=box)
        seconds: dict[str, list[float]] = {"whole": [], "cropped": []}
        processor: dict[str, list[float]] = {"whole": [], "cropped": []}
        for _ in range(rounds):
            for key, run in (("whole", whole), ("cropped", cropped)):
                began, began_cpu = time.perf_counter(), time.process_time()
                run(volume)
                seconds[key].append(time.perf_counter() - began)
                processor[key].append(time.process_time() - began_cpu)
        rows[name] = {k: statistics.median(v) for k, v in seconds.items()}
        rows[name]["ratio"] = rows[name]["whole"] / rows[name]["cropped"]
        rows[name]["processor_ratio"] = min(processor["whole"]) / min(processor["cropped"])
    return rows


def parse_size(text: str) -> tuple[int, int, int]:
    x, y, z = (int(v) for v in text.split("x"))
    return x, y, z


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="*", type=parse_size, default=[(192, 192, 144)], metavar="XxYxZ")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=["monai", "exact", "fast", "fast-bf16"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--train-seconds", type=float, default=120)
    parser.add_argument("--weights", type=Path, help="state dict to use, or to write after training")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-time", action="store_true")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--torso", type=Path, help="CT for the body-crop arm")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        name, size = args.memory_of
        print(json.dumps(measure_memory(args.weights, parse_size(size), name, args.device)))
        return
    with tempfile.TemporaryDirectory() as folder:
        weights = args.weights or Path(folder) / "net.pt"
        if not weights.exists():
            train(weights, args.train_seconds)
        net = load(weights, args.device)
        report: dict[str, Any] = {"torch": torch.__version__, "threads": args.threads, "device": args.device}
        for shape in args.sizes:
            size = "x".join(map(str, shape))
            rows = {name: {} for name in args.arms}
            if not args.no_time:
                rows = time_arms(net, shape, args.arms, args.rounds, args.device)
            if not args.no_memory:
                for name in args.arms:
                    command = [sys.executable, __file__, "--memory-of", name, size, "--weights", str(weights)]
                    command += ["--device", args.device, "--threads", str(args.threads)]
                    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                    rows[name]["growth_gb"] = json.loads(out)["growth"] / 1e9
            report[size] = rows
            print_table(size, rows)
        if args.torso:
            report["torso"] = torso(net, args.torso, args.arms, args.rounds, args.device)
            print(f"\nbody crop, {args.torso.name} at 1.5 mm")
            for key, value in report["torso"].items():
                print(f"  {key}: {value}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n")


def print_table(size: str, rows: dict[str, dict[str, float]]) -> None:
    columns = [
        "seconds",
        "ratio",
        "ratio_of_best",
        "processor_ratio",
        "equal",
        "equal_foreground",
        "mean_dice",
        "growth_gb",
    ]
    print(f"\n{size}, roi {ROI[0]}^3, {CLASSES} classes")
    print(f"{'arm':38}" + "".join(f"{c:>18}" for c in columns))
    for name, row in rows.items():
        cells = "".join(f"{row[c]:18.5f}" if c in row else f"{'-':>18}" for c in columns)
        print(f"{ARMS[name]:38}{cells}")


if __name__ == "__main__":
    main()
