"""Opening and reading slides: ``python tests/benchmarks/bench_slides.py [FILE]`` (without one a giant slide is made).

Opening in a process of its own: seconds and memory. Then tiles of 256 pixels at 0.5 um per pixel by the usual loop (one
thread, OpenSlide's ``read_region``, Pillow) and by ours, the same tiles, alternating; and a whole run of ViT-S (float32
and bfloat16) beside the network alone on tiles that are in memory. Ratios of one run; processor time tells how busy the
machine was. How much bfloat16 can gain is the processor's: the product of two matrices in both is timed beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from workbench.slide.data.tiles import Lattice

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
TILES, ROUNDS, EMBEDDED = 600, 3, 192

_OPEN = """
import sys, time
from workbench.core.provenance import peak_memory_mb
clock = time.perf_counter()
from workbench.data import formats
image = formats.read(sys.argv[1])
levels = __import__("workbench.slide.layers", fromlist=["x"]).image_layer(image)[0]
levels[-1][:, :]
print(f"opened, coarsest level shown: {time.perf_counter() - clock:.2f} s, {peak_memory_mb():.0f} MB")
"""


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            path = Path(sys.argv[1])
        else:
            from make_giant_slide import make

            path = make(Path(folder) / "giant.svs", 100_000, 80_000)
        print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB; {os.cpu_count()} processors")
        own = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", _OPEN, str(path)], env=own, check=True)
        reading(path)
        running(path)
    return 0


def reading(path: Path) -> None:
    """Tiles per second: the usual loop, and ours."""
    from workbench.data import formats
    from workbench.slide.data.resample import ratio
    from workbench.slide.data.stream import TileStream
    from workbench.slide.data.tiles import lattice

    pyramid = formats.read(path).pyramid
    assert pyramid is not None
    rows, columns = pyramid.levels[0].shape
    factor = ratio(pyramid, 0.5)
    tiles = lattice((0, 0, rows, columns), factor, 256)
    chosen = _together(tiles, TILES)
    places = tiles.places()[chosen]
    side = round(256 * factor)

    def usual() -> None:
        import openslide
        from PIL import Image

        slide = openslide.OpenSlide(path)
        for x, y in places:
            tile = slide.read_region((round(x), round(y)), 0, (side, side)).convert("RGB")
            tile.resize((256, 256), Image.Resampling.BICUBIC)

    def ours() -> None:
        for _ in TileStream(formats.read(path).pyramid, tiles, chosen.tolist()):  # type: ignore[arg-type]
            pass

    timed = {"usual loop": [_timed(usual) for _ in range(ROUNDS)], "ours": [_timed(ours) for _ in range(ROUNDS)]}
    for name, times in timed.items():
        wall, cpu = np.median(times, axis=0)
        print(f"{name:<12} {TILES / wall:7.0f} tiles/s   {1000 * cpu / TILES:.2f} ms of processor time a tile")
    best = [np.median(times, axis=0)[0] for times in timed.values()]
    print(f"ours is {best[0] / best[1]:.2f} times as fast")


def _together(tiles: Lattice, count: int) -> npt.NDArray[np.int64]:
    """Tiles side by side in the middle, in the order in which a run reads them."""
    from workbench.slide.predict.slide import in_blocks

    rows, columns = tiles.count
    side = int(np.ceil(np.sqrt(count)))
    r, c = np.mgrid[:side, :side].reshape(2, -1)
    numbers = (r + max(0, rows // 2 - side // 2)) * columns + c + max(0, columns // 2 - side // 2)
    return in_blocks(np.sort(numbers)[:count], columns)


def running(path: Path) -> None:
    """Read, transform, network and all, against the network alone."""
    import copy

    import torch

    from workbench.data import formats
    from workbench.nets.vit import SMALL, VisionTransformer
    from workbench.slide.data.resample import ratio
    from workbench.slide.data.stream import TileStream
    from workbench.slide.data.tiles import lattice
    from workbench.slide.predict.chosen import sharpness_of
    from workbench.slide.predict.embed import BATCH, embed
    from workbench.slide.predict.view import to_input

    torch.manual_seed(0)
    image = formats.read(path)
    pyramid = image.pyramid
    assert pyramid is not None
    tiles = lattice((0, 0, *pyramid.levels[0].shape), ratio(pyramid, 0.5), 256)
    chosen = _together(tiles, EMBEDDED).tolist()
    net = VisionTransformer(**SMALL).eval()
    ready = [(i, to_input(np.full((256, 256, 3), i % 255, np.uint8))) for i in chosen]
    print(f"threads of the network: {torch.get_num_threads()}; {_matmul()}")
    alone: dict[str, float] = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        own = copy.deepcopy(net).to(dtype)

        def usual(own: torch.nn.Module = own, dtype: torch.dtype = dtype) -> None:
            with torch.inference_mode():
                for start in range(0, len(ready), BATCH):
                    tiles = torch.from_numpy(np.stack([x for _, x in ready[start : start + BATCH]]))
                    own(tiles.to(dtype)).float()

        def network(own: torch.nn.Module = own, dtype: torch.dtype = dtype) -> None:
            embed(own, ready, dtype=dtype)

        def whole(own: torch.nn.Module = own, dtype: torch.dtype = dtype) -> None:
            def prepared(_: int, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
                sharpness_of(pixels)
                return to_input(pixels)

            _, features = embed(own, TileStream(pyramid, tiles, chosen, prepare=prepared), dtype=dtype)
            with tempfile.TemporaryFile() as file:
                np.savez(file, features=features)

        network()
        rounds = [[_timed(work) for work in (usual, network, whole)] for _ in range(ROUNDS)]
        (plain, _), (seconds, cpu), (all_of_it, all_cpu) = np.median(rounds, axis=0)
        alone[name] = float(seconds)
        ours, theirs = (
            f"{took / all_of_it:.3f} of the network alone as {who} ({EMBEDDED / took:.1f} tiles/s)"
            for took, who in ((seconds, "we run it"), (plain, "torch runs it"))
        )
        print(f"{name}: whole run {EMBEDDED / all_of_it:.1f} tiles/s: {theirs}, {ours}")
        print(f"  not the network's: {1000 * (all_cpu - cpu) / EMBEDDED:.2f} ms of processor time a tile")
    print(f"bfloat16 is {alone['float32'] / alone['bfloat16']:.2f} times as fast as float32")


def _matmul(side: int = 1024, times: int = 9) -> str:
    """What this processor gains from bfloat16 in the product of two matrices, which no network can exceed by much."""
    import torch

    took = []
    for dtype in (torch.float32, torch.bfloat16):
        one = torch.randn(side, side).to(dtype)
        one @ one
        took.append(np.median([_timed(lambda one=one: one @ one)[0] for _ in range(times)]))  # type: ignore[misc]
    return f"products of matrices in bfloat16 take {took[1] / took[0]:.2f} times the time of float32"


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


if __name__ == "__main__":
    sys.exit(main())
