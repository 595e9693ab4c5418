"""How fast MEG-GPT generates, against the straightforward full forward per step with the same network.

The network is the released configuration (5 layers, width 256, 52 channels). The arms take turns in one process, so
that a busy machine slows all of them alike; ratios are those of the medians. Sliding must draw the tokens of the full
forward; anchored logits are checked against the full forward on the anchored window.

    python tests/benchmarks/bench_meg_generation.py                       # random weights
    python tests/benchmarks/bench_meg_generation.py --weights meggpt_default_weights_fp16.safetensors
    python tests/benchmarks/bench_meg_generation.py --channels 12 --preset small --sessions 1 4 16
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import psutil
import torch

from workbench.recording.net.cache import Window
from workbench.recording.net.gpt import MEGGPT
from workbench.recording.predict.generate import generate
from workbench.recording.predict.precision import in_precision

ARMS = (
    ("full float32", "full", "float32"),
    ("sliding float32", "sliding", "float32"),
    ("sliding bfloat16", "sliding", "bfloat16"),
    ("anchored float32", "anchored", "float32"),
    ("anchored bfloat16", "anchored", "bfloat16"),
)


def build(args: argparse.Namespace) -> MEGGPT:
    changes = {"n_channels": args.channels} if args.channels else {}
    torch.manual_seed(0)
    net = MEGGPT.preset(args.preset, **changes).eval()
    if args.weights:
        from safetensors.torch import load_file

        net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in load_file(args.weights).items()})
    return net


def compare(net: MEGGPT, batch: int, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Samples x recordings per second of each arm, median over rounds."""
    nets = {p: in_precision(net, "cpu", p)[0] for p in ("float32", "bfloat16")}
    seconds: dict[str, list[float]] = {name: [] for name, *_ in ARMS}
    work: dict[str, list[float]] = {name: [] for name, *_ in ARMS}
    for round_ in range(args.rounds + 1):
        for name, mode, precision in ARMS:
            steps = args.steps if mode == "anchored" else max(4, args.steps // 6)
            began, used = time.perf_counter(), time.process_time()
            generate(nets[precision], steps, batch=batch, mode=mode, precision=precision, seed=round_, device="cpu")
            if round_:  # the first round warms up
                seconds[name].append((time.perf_counter() - began) / (steps * batch))
                work[name].append((time.process_time() - used) / (steps * batch))
    base, base_work = median(seconds[ARMS[0][0]]), median(work[ARMS[0][0]])
    return {
        name: {
            "rate": 1 / median(seconds[name]),
            "ratio": base / median(seconds[name]),
            "processor_ratio": base_work / median(work[name]),
        }
        for name, *_ in ARMS
    }


def check(net: MEGGPT) -> dict[str, Any]:
    """Sliding against full, token by token; anchored against the full forward on its window."""
    same = {}
    for precision in ("float32", "bfloat16"):
        full, sliding = (generate(net, 24, mode=m, precision=precision, seed=1) for m in ("full", "sliding"))
        same[precision] = float((full == sliding).mean())
    tokens = torch.randint(1, net.n_tokens, (1, net.sequence_length, net.n_channels))
    first = net.sequence_length - min(16, net.n_trained) + 1
    with torch.inference_mode():
        expected = net(tokens)[:, -(net.sequence_length - first + 1) :]
        window = Window(net)
        found = [window.start(tokens[:, :first])]
        found += [window.step(tokens[:, p]) for p in range(first, net.sequence_length)]
    return {"sliding_equals_full": same, "anchored_differs": float((torch.stack(found, 1) - expected).abs().max())}


def memory(net: MEGGPT, samples: int) -> float:
    """Growth of the resident set in MB between the first tenth and the end of a long recording."""
    process, sizes = psutil.Process(), []
    generate(net, samples, progress=lambda done, total: sizes.append(process.memory_info().rss), precision="bfloat16")
    return float((max(sizes) - sizes[len(sizes) // 10]) / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="released")
    parser.add_argument("--weights", type=Path, help="state dict of the preset; random weights otherwise")
    parser.add_argument("--channels", type=int)
    parser.add_argument("--sessions", type=int, nargs="*", default=[1])
    parser.add_argument("--steps", type=int, default=96, help="samples of an anchored arm; a sixth for the others")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-samples", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    net = build(args)
    report: dict[str, Any] = {"torch": torch.__version__, "threads": args.threads, "preset": args.preset}
    report["check"] = check(net)
    print(report["check"])
    for batch in args.sessions:
        rows = report[f"sessions {batch}"] = compare(net, batch, args)
        print(f"\n{batch} session(s)         samples/s    ratio   ratio of processor time")
        for name, row in rows.items():
            print(f"{name:22}{row['rate']:10.1f}{row['ratio']:9.2f}{row['processor_ratio']:12.2f}")
    if args.memory_samples:
        report["memory_growth_mb"] = memory(net, args.memory_samples)
        print(f"\nmemory grew by {report['memory_growth_mb']:.1f} MB over {args.memory_samples} samples")
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
