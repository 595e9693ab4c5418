"""Time, exactness and memory of mapping a whole scene against cutting out a patch around every pixel.

    python tests/benchmarks/bench_scene.py                                  # made-up scene of 100x100 pixels, 198 bands
    python tests/benchmarks/bench_scene.py --scene ../shared/data/hyperspectral/jasper_ridge.mat
    python tests/benchmarks/bench_scene.py --sizes 512x217x204              # only memory, Salinas' shape
    python tests/benchmarks/bench_scene.py --train-seconds 60 --rounds 5 --json scene.json

Baseline: the same weights, the network as it is written, every patch on its own, 64 at a time; timed on a sample of
pixels and scaled to the scene. Times are ratios within one process, arms in turn, the median over rounds: absolute
seconds on a shared machine say little, so the ratio of processor times is printed too. The networks are trained briefly
so that their logits have structure; their accuracy means nothing here.

The second table is why the default network is trained with a halo: a network trained on zero-padded patches, mapped as
if it had seen real neighbours. Memory is the peak resident set of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
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
from scipy.io import loadmat
from scipy.ndimage import gaussian_filter

from workbench.scene.data.scene import Blocks, from_array
from workbench.scene.net.lola_fused import FusedLola
from workbench.scene.net.lola_specvit import LolaSpecViT, small_config
from workbench.scene.predict.blocks import Scene
from workbench.scene.predict.map import SceneMap, SceneSettings, map_patches, map_scene

COMPONENTS = 15
Prepare = Callable[[np.ndarray], np.ndarray]


def made_up(rows: int, columns: int, bands: int, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """A scene (bands, rows, columns) int16 of mixed smooth spectra, and the most abundant class 1..classes."""
    rng = np.random.default_rng(0)
    members = gaussian_filter(rng.normal(size=(classes, bands)), (0, bands / 20))
    members = 0.3 + 0.15 * members / members.std()
    fields = np.stack([gaussian_filter(rng.normal(size=(rows, columns)), 4) for _ in range(classes)])
    abundance = np.exp(3 * fields / fields.std())
    abundance /= abundance.sum(0)
    cube = np.empty((bands, rows, columns), np.int16)
    light = 1 + 0.15 * gaussian_filter(rng.normal(size=(rows, columns)), 6) / 0.05
    for band in range(bands):
        signal = np.tensordot(members[:, band], abundance, 1) * light + 0.02 * rng.normal(size=(rows, columns))
        cube[band] = np.clip(signal * 10_000, 0, 30_000)
    return cube, abundance.argmax(0).astype(np.uint8) + 1


def jasper(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The Jasper Ridge scene with its abundances: pixels with no clear class are 0."""
    mat = loadmat(path)
    rows, columns = int(mat["nRow"].item()), int(mat["nCol"].item())
    cube = mat["Y"].reshape(-1, columns, rows).swapaxes(1, 2).astype(np.int32)
    abundance = mat["A"].reshape(-1, columns, rows).swapaxes(1, 2)
    labels = abundance.argmax(0).astype(np.uint8) + 1
    labels[abundance.max(0) < 0.7] = 0
    return np.ascontiguousarray(cube), labels


def principal_components(cube: np.ndarray) -> Prepare:
    """Whitened components, fitted on some pixels."""
    pixels = cube.reshape(len(cube), -1)[:, :: max(1, cube[0].size // 20_000)].astype(np.float64).T
    mean = pixels.mean(0)
    _, values, vectors = np.linalg.svd(pixels - mean, full_matrices=False)
    matrix = (vectors[:COMPONENTS] / values[:COMPONENTS, None] * np.sqrt(len(pixels))).astype(np.float32)
    shift = (matrix @ mean).astype(np.float32)[:, None, None]
    return lambda block: np.tensordot(matrix, block.astype(np.float32), 1) - shift


def train(net: LolaSpecViT, scene: Scene, labels: np.ndarray, seconds: float) -> None:
    """Fit to 40 pixels per class for a while."""
    rng = np.random.default_rng(0)
    chosen = [rng.permutation(np.flatnonzero(labels == k))[:40] for k in np.unique(labels[labels > 0])]
    at = np.concatenate(chosen)
    patches = torch.from_numpy(scene.patches(at // labels.shape[1], at % labels.shape[1], net.patch_size))
    truth = torch.from_numpy(labels.flatten()[at].astype(np.int64) - 1)
    if "context_gain" in net._parameters:
        torch.nn.init.ones_(net.context_gain)  # zero in a new network: its surroundings would hardly count yet
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    began, steps = time.perf_counter(), 0
    net.train()
    while time.perf_counter() - began < seconds:
        some = torch.from_numpy(rng.integers(len(at), size=32))
        x = patches[some]
        if rng.random() < 0.5:
            x = x.flip(int(rng.integers(2, 4)))
        loss = F.cross_entropy(net(x), truth[some])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
    net.eval()
    print(f"network ({net.config['padding']}): {steps} steps, loss {loss.item():.3f}", file=sys.stderr)


def dense(net: LolaSpecViT | FusedLola, blocks: Blocks, prepare: Prepare, **options: Any) -> SceneMap:
    return map_scene(
        net.front, net.window_head, blocks,
        margin=net.margin, window_offsets=net.window_offsets, prepare=prepare, keep_logits=True, **options,
    )  # fmt: skip


def time_arms(arms: dict[str, tuple[Callable[[], SceneMap], float]], rounds: int) -> dict[str, dict[str, Any]]:
    """Run the arms in turn; seconds are scaled to the scene, ratios are to the first arm."""
    wall: dict[str, list[float]] = {name: [] for name in arms}
    processor: dict[str, list[float]] = {name: [] for name in arms}
    found: dict[str, SceneMap] = {}
    for _ in range(rounds):
        for name, (run, share) in arms.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            found[name] = run()
            wall[name].append((time.perf_counter() - began) / share)
            processor[name].append((time.process_time() - began_cpu) / share)
    first = next(iter(arms))
    reference = found[first]
    asked = reference.labels > 0
    assert reference.logits is not None
    rows: dict[str, dict[str, Any]] = {}
    for name, result in found.items():
        assert result.logits is not None
        both = asked & (result.labels > 0)
        rows[name] = {
            "seconds": statistics.median(wall[name]),
            "ratio": statistics.median(wall[first]) / statistics.median(wall[name]),
            "ratio_of_best": min(wall[first]) / min(wall[name]),
            "processor_ratio": min(processor[first]) / min(processor[name]),
            "labels_equal": float((result.labels == reference.labels)[both].mean()),
            "logits_differ": float(np.abs(result.logits - reference.logits)[:, both].max()),
        }
    return rows


def compare(args: argparse.Namespace) -> dict[str, Any]:
    cube, labels = jasper(args.scene) if args.scene else made_up(100, 100, 198)
    classes = int(labels.max())
    blocks, prepare = from_array(cube), principal_components(cube)
    torch.manual_seed(0)
    net = LolaSpecViT(**small_config(COMPONENTS, classes))
    train(net, Scene(blocks, prepare), labels, args.train_seconds)
    fused = FusedLola(net)
    where = np.zeros(labels.shape, bool)
    where.flat[np.random.default_rng(1).permutation(where.size)[: args.pixels]] = True
    share = args.pixels / where.size

    def patches(network: Any, size: int, mask: np.ndarray | None) -> SceneMap:
        return map_patches(network, blocks, patch_size=size, prepare=prepare, where=mask, keep_logits=True)

    half = SceneSettings(precision="bfloat16")
    arms: dict[str, tuple[Callable[[], SceneMap], float]] = {
        "every patch": (lambda: patches(net, net.patch_size, where), share),
        "every patch, multiplied out": (lambda: patches(fused, net.patch_size, where), share),
        "front end once": (lambda: dense(net, blocks, prepare), 1.0),
        "front end once, multiplied out": (lambda: dense(fused, blocks, prepare), 1.0),
        "the same in bfloat16": (lambda: dense(fused, blocks, prepare, settings=half), 1.0),
    }
    for run, _ in arms.values():
        run()
    size = "x".join(map(str, (*labels.shape, len(cube))))
    rows = time_arms(arms, args.rounds)
    print(f"\n{size}, {sum(p.numel() for p in net.parameters()):,} parameters, {args.pixels} patches timed")
    print_table(rows)

    swaps = {}
    for name, centre in (("our default", True), ("without the pixel's own spectrum", False)):
        torch.manual_seed(0)
        padded = LolaSpecViT(**(net.config | {"padding": "same", "centre": centre}))
        train(padded, Scene(blocks, prepare), labels, args.train_seconds)
        swapped = LolaSpecViT(**(padded.config | {"padding": "halo"})).eval()
        swapped.load_state_dict(padded.state_dict())
        right = patches(padded, padded.patch_size, where)
        wrong = dense(swapped, blocks, prepare, where=where)
        assert right.logits is not None
        assert wrong.logits is not None
        swaps[name] = {
            "labels_equal": float((right.labels == wrong.labels)[where].mean()),
            "logits_differ": float(np.abs(right.logits - wrong.logits)[:, where].max()),
        }
    halo = rows["front end once"]
    print("\ntrained with zeros around the patch, mapped with real neighbours:")
    for name, swap in swaps.items():
        print(f"  {name}: labels equal {swap['labels_equal']:.4f}, logits differ by up to {swap['logits_differ']:.3g}")
    print(f"trained with a halo: labels equal {halo['labels_equal']:.4f}, logits differ by {halo['logits_differ']:.3g}")
    return {"scene": size, "arms": rows, "zero_padding_swap": swaps}


def measure_memory(size: tuple[int, int, int], precision: str, tile: int) -> dict[str, float]:
    """In this process: map a cube in a file on disk; peak resident set in bytes, before and after."""
    rows, columns, bands = size
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.bsq"
        np.memmap(path, np.int16, "w+", shape=(bands, rows, columns)).flush()
        small, _ = made_up(rows // 8, columns // 8, bands)
        cube = np.memmap(path, np.int16, "r+", shape=(bands, rows, columns))
        for band in range(bands):
            cube[band] = np.kron(small[band], np.ones((9, 9), np.int16))[:rows, :columns]
        cube.flush()
        del cube
        blocks = from_array(np.memmap(path, np.int16, "r", shape=(bands, rows, columns)))
        prepare = principal_components(small)
        torch.manual_seed(0)
        fused = FusedLola(LolaSpecViT(**small_config(COMPONENTS, 16)).eval())
        before = resident_peak()
        began = time.perf_counter()
        settings = SceneSettings(precision=precision, tile=tile)  # type: ignore[arg-type]
        found = map_scene(
            fused.front, fused.window_head, blocks,
            margin=fused.margin, window_offsets=fused.window_offsets, prepare=prepare, settings=settings,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        assert found.labels.min() >= 1
    return {"seconds": seconds, "before": before, "peak": resident_peak(), "tiles": found.report.tiles}


def resident_peak() -> float:
    """Largest resident set so far in bytes; ``ru_maxrss`` of a child on Linux begins with that of its parent."""
    status = Path("/proc/self/status")
    if status.exists():
        return float(re.search(r"VmHWM:\s*(\d+) kB", status.read_text(encoding="utf-8"))[1]) * 1024  # type: ignore[index]
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def print_table(rows: dict[str, dict[str, Any]]) -> None:
    columns = ["seconds", "ratio", "ratio_of_best", "processor_ratio", "labels_equal", "logits_differ"]
    print(f"{'arm':34}" + "".join(f"{c:>17}" for c in columns))
    for name, row in rows.items():
        print(f"{name:34}" + "".join(f"{row[c]:17.3g}" if c[0] == "l" else f"{row[c]:17.2f}" for c in columns))


def parse_size(text: str) -> tuple[int, int, int]:
    rows, columns, bands = (int(v) for v in text.split("x"))
    return rows, columns, bands


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scene", type=Path, help="jasper_ridge.mat instead of the made-up scene")
    parser.add_argument("--no-time", action="store_true")
    parser.add_argument("--sizes", nargs="*", type=parse_size, default=[(512, 217, 204)], metavar="ROWSxCOLUMNSxBANDS")
    parser.add_argument("--pixels", type=int, default=512, help="patches that are timed and compared")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--train-seconds", type=float, default=40)
    parser.add_argument("--tile", type=int, default=128)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory-of", type=parse_size, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        print(json.dumps(measure_memory(args.memory_of, args.precision, args.tile)))
        return
    report: dict[str, Any] = {"torch": torch.__version__, "threads": args.threads}
    if not args.no_time:
        report |= compare(args)
    for size in args.sizes:
        name = "x".join(map(str, size))
        command = [sys.executable, __file__, "--memory-of", name, "--threads", str(args.threads)]
        command += ["--precision", args.precision, "--tile", str(args.tile)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        row = report[name] = json.loads(out)
        print(
            f"\n{name} from disk, tiles of {args.tile}, {args.precision}: {row['seconds']:.1f} s, peak resident set "
            f"{row['peak'] / 1e6:.0f} MB ({(row['peak'] - row['before']) / 1e6:.0f} MB of it by mapping; the cube as "
            f"float32 would be {4 * np.prod(size) / 1e6:.0f} MB)"
        )
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
