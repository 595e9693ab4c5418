"""Search among very many tiles: ``python tests/benchmarks/bench_search.py [--count N] [--width D] [--threads T]``.

Unit vectors in half precision (random directions around some centres) are written as an index, mapped into memory, and
asked for the 10 most similar to some of them: seconds of the first and of the following searches, the memory that the
process has at its end, and how many of the 10 are those that scikit-learn's exact search in float32 names (on a part).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]
LIMIT_S, ROUNDS, CENTRES, PART = 0.1, 9, 50, 100_000


def main() -> int:
    """Build, search, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the index is written; a folder for the moment by default")
    options = parser.parse_args()
    import psutil
    import torch

    from workbench.slide.search import Indexed, TileIndex

    torch.set_num_threads(options.threads)
    print(
        f"{os.cpu_count()} processors, {options.threads} threads of torch; {options.count:,} x {options.width} float16"
    )
    with tempfile.TemporaryDirectory(prefix="workbench-", dir=options.folder) as folder:
        vectors = _vectors(Path(folder) / "raw.npy", options.count, options.width)
        slide = Indexed("s", "", 0, options.count, 256.0, (0, 0), "s/embeddings.h5")
        corners = np.zeros((options.count, 2), np.float32)
        TileIndex(vectors, corners, (slide,), {"width": vectors.shape[1]}).save(Path(folder) / "index")
        del vectors, corners
        (Path(folder) / "raw.npy").unlink()
        process = psutil.Process()
        before = process.memory_info().rss
        began = time.perf_counter()
        index = TileIndex.open(Path(folder) / "index")
        print(f"opened in {1000 * (time.perf_counter() - began):.1f} ms")
        seconds = []
        for number in range(ROUNDS):
            began = time.perf_counter()
            shown = [number * (options.count // ROUNDS)]
            hits = index.similar(index.query(shown), 10, without=shown)
            seconds.append(time.perf_counter() - began)
        after = process.memory_info()
        middle = float(np.median(seconds[1:]))
        print(f"first search {1000 * seconds[0]:.0f} ms, then {1000 * middle:.0f} ms (median of {ROUNDS - 1})")
        mapped = options.count * options.width * 2 / 1e6
        print(f"resident {after.rss / 1e6:.0f} MB, {(after.rss - before) / 1e6:.0f} MB more than before; of these the "
              f"mapped file has {mapped:.0f} MB, which the system can take back")  # fmt: skip
        print(
            f"of 10 most similar, the exact search in float32 names {_recall(index):.3f} (100 queries, {PART:,} tiles)"
        )
        assert len(hits) == 10
    return int(options.count <= 1_000_000 and middle > LIMIT_S)


def _vectors(path: Path, count: int, width: int) -> np.ndarray:
    """Unit vectors as a file, some at a time."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CENTRES, width)).astype(np.float32)
    found = np.lib.format.open_memmap(path, "w+", np.float16, (count, width))
    for start in range(0, count, PART):
        some = rng.standard_normal((min(PART, count - start), width), np.float32)
        some += centres[rng.integers(0, CENTRES, len(some))]
        found[start : start + len(some)] = some / np.linalg.norm(some, axis=1, keepdims=True)
    return found


def _recall(index: object) -> float:
    from sklearn.neighbors import NearestNeighbors

    from workbench.slide.search import TileIndex

    part = TileIndex(index.vectors[:PART], index.corners[:PART], index.slides, {})  # type: ignore[attr-defined]
    exact = np.asarray(part.vectors, np.float32)
    queries = np.arange(0, len(exact), len(exact) // 100)[:100]
    right = (
        NearestNeighbors(n_neighbors=10, metric="cosine", algorithm="brute")
        .fit(exact)
        .kneighbors(exact[queries], return_distance=False)
    )
    own = [part.similar(exact[q], 10).tiles for q in queries]
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(own, right, strict=True)]))


if __name__ == "__main__":
    sys.exit(main())
