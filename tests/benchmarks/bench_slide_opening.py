"""Opening a giant slide, and its tiles: ``python tests/benchmarks/bench_slide_opening.py [FILE] [--tiles 2000]``.

Without a file a slide of 100,000 x 80,000 pixels is made and deleted afterwards. Opening is measured in a process of
its own. Tiles of 256 pixels at 0.5 um per pixel are read by `TileStream` on two threads, and by the usual loop (one
thread, OpenSlide's ``read_region``, Pillow); both arms read the same tiles in the same order, each in a process of its
own, and take turns. Processor time and the load of the machine stand beside, for other work slows both arms.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
SIZE, TARGET, THREADS = 256, 0.5, 2


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--tiles", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--arm", choices=["open", "usual", "ours"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.arm:
        print(json.dumps(run_arm(args.arm, args.file, args.tiles)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = args.file
        if path is None:
            from make_giant_slide import make

            clock = time.perf_counter()
            path = make(Path(folder) / "giant.svs", 100_000, 80_000)
            print(f"made in {time.perf_counter() - clock:.0f} s")
        print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB; {platform.processor() or platform.machine()}, "
              f"{os.cpu_count()} processors, Python {platform.python_version()}", flush=True)  # fmt: skip
        for _ in range(args.rounds):
            row = measured("open", path, args.tiles)
            print(f"open   {row['seconds']:.2f} s ({row['processor']:.2f} s of processor), peak {row['peak_mb']:.0f} MB"
                  f", load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
        ratios = []
        for _ in range(args.rounds):
            usual, ours = (measured(arm, path, args.tiles) for arm in ("usual", "ours"))
            ratios.append((usual["seconds"] / ours["seconds"], usual["processor"] / ours["processor"]))
            for name, row in (("usual", usual), ("ours", ours)):
                print(f"{name:<6} {args.tiles / row['seconds']:.0f} tiles/s, {1000 * row['processor'] / args.tiles:.2f}"
                      f" ms of processor a tile, load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
        wall, processor = (sorted(r)[len(ratios) // 2] for r in zip(*ratios, strict=True))
        print(f"median of {len(ratios)}: {wall:.2f} times as fast on {THREADS} threads; the usual loop takes "
              f"{processor:.2f} times the processor time")  # fmt: skip
    return 0


def measured(arm: str, path: Path, tiles: int) -> dict[str, Any]:
    """One arm in a process of its own."""
    command = [sys.executable, __file__, str(path), "--arm", arm, "--tiles", str(tiles)]
    own = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_arm(arm: str, path: Path, tiles: int) -> dict[str, Any]:
    """Seconds and processor seconds of one arm, and the peak of this process."""
    from workbench.core.provenance import peak_memory_mb

    if arm == "open":
        clock, cpu = time.perf_counter(), time.process_time()
        from workbench.slide.data import wsi

        image = wsi.read(path)
        assert image.pyramid is not None
        image.pyramid.read(len(image.pyramid.levels) - 1, 0, 0, 1, 1)
    else:
        from workbench.slide.data import wsi
        from workbench.slide.data.resample import ratio
        from workbench.slide.data.stream import TileStream
        from workbench.slide.data.tiles import lattice
        from workbench.slide.predict.slide import in_blocks

        pyramid = wsi.read(path).pyramid
        assert pyramid is not None
        grid = lattice((0, 0, *pyramid.levels[0].shape), ratio(pyramid, TARGET), SIZE)
        import numpy as np

        rows, columns = grid.count
        side = int(np.ceil(np.sqrt(tiles)))
        r, c = np.mgrid[:side, :side].reshape(2, -1)
        numbers = (r + (rows - side) // 2) * columns + c + (columns - side) // 2
        chosen = in_blocks(np.sort(numbers)[:tiles], columns)
        clock, cpu = time.perf_counter(), time.process_time()
        if arm == "ours":
            count = sum(1 for _ in TileStream(pyramid, grid, chosen.tolist(), THREADS))
        else:
            count = _usual(path, grid.places()[chosen], round(grid.side))
        assert count == tiles
    return {"seconds": time.perf_counter() - clock, "processor": time.process_time() - cpu, "peak_mb": peak_memory_mb()}


def _usual(path: Path, places: Any, side: int) -> int:
    import openslide
    from PIL import Image

    count = 0
    with openslide.OpenSlide(path) as slide:
        for x, y in places:
            tile = slide.read_region((round(x), round(y)), 0, (side, side)).convert("RGB")
            count += tile.resize((SIZE, SIZE), Image.Resampling.BICUBIC).size == (SIZE, SIZE)
    return count


if __name__ == "__main__":
    sys.exit(main())
