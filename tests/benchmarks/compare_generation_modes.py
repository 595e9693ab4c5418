"""Does anchored generation give other signals than sliding? ``python tests/benchmarks/compare_generation_modes.py``.

Anchored mode keeps keys and values while 16 samples are drawn, so its context grows from 85 to 100 samples; sliding
mode always has 100. Both are run with several seeds each, and what they generate is compared: spectra, covariances,
bursts, token frequencies, and the likelihood under the network itself. A difference counts if it stands out from the
differences between seeds: permutations of the runs, with the maximum statistic within each family of measures. Beside
that, the cross-entropy of real recordings under both schedules of context, sample by sample the same ones.

    python tests/benchmarks/compare_generation_modes.py --seeds 8 --seconds 40 --json modes.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "sample_data"))

MODES = ("anchored", "sliding")
TOP_P = 0.99  # as the authors


@dataclass(frozen=True)
class Family:
    """Measures that are tested together.

    ``size``: how many; ``difference``: root mean square of the differences of the two modes' means; ``spread``: the
    same of the standard deviations over seeds; ``largest``: largest |t|; ``p``: its probability if modes were the same.
    """

    name: str
    size: int
    anchored: float
    sliding: float
    difference: float
    spread: float
    largest: float
    p: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="demo")
    parser.add_argument("--seeds", type=int, default=6, help="runs of each mode")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=40.0, help="length of each run")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--real", type=float, default=40.0, help="seconds of each held-out recording")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    import torch

    from workbench import weights
    from workbench.recording.train.weights import load_parts

    torch.set_num_threads(arguments.threads)
    parts = load_parts(weights.find(arguments.weights, "meg_gpt"))
    real = held_out(parts, arguments.real)
    began = time.perf_counter()
    families, seconds = compare_modes(
        parts, real, seeds=arguments.seeds, seconds=arguments.seconds, first_seed=arguments.first_seed
    )
    rows = [asdict(f) for f in families]
    print(f"{arguments.seeds} runs of {arguments.seconds:g} s per mode; {time.perf_counter() - began:.0f} s in all")
    head = ("number", "anchored", "sliding", "difference", "seeds", "max |t|", "p")
    print(f"{'measures':<46} " + " ".join(f"{h:>{w}}" for h, w in zip(head, (6, 9, 9, 10, 8, 8, 6), strict=True)))
    for f in families:
        print(
            f"{f.name:<46} {f.size:>6} {f.anchored:>9.4f} {f.sliding:>9.4f} {f.difference:>10.4f} {f.spread:>8.4f} "
            f"{f.largest:>8.2f} {f.p:>6.3f}"
        )
    contexts = by_context(parts, [labels for _, labels in real])
    print("\ncross-entropy of held-out recordings [nats], mean over recordings")
    for name, value in contexts["summary"].items():
        print(f"  {name:<52} {value:.5f}")
    print("  by context: " + "  ".join(f"{k}: {v:.4f}" for k, v in contexts["contexts"].items()))
    print(
        f"processor seconds to generate {arguments.seconds:g} s: "
        + ", ".join(f"{k} {v:.1f}" for k, v in seconds.items())
    )
    if arguments.json:
        arguments.json.write_text(json.dumps({"families": rows, **contexts, "seconds": seconds}, indent=2))
    return 0


def held_out(parts: Any, seconds: float, subjects: Sequence[int] = (91, 92, 93)) -> list[tuple[Any, Any]]:
    """(signals, tokens) of simulated subjects that no training has seen."""
    from make_recordings import PARCELS, simulate

    from workbench.recording.data.prepare import prepare
    from workbench.recording.data.recording import image_of

    found = []
    for subject in subjects:
        made = simulate(subject, 3, seconds, seed=77)
        data = prepare(image_of(made.data, PARCELS, made.fs), parts.recipe).data
        found.append((data, parts.codec.encode(data)))
    return found


def compare_modes(
    parts: Any, real: Sequence[tuple[Any, Any]], *, seeds: int, seconds: float, first_seed: int = 0
) -> tuple[list[Family], dict[str, float]]:
    """All families of measures, and the processor seconds that one run took."""
    from workbench.recording.evaluate.bursts import BurstSettings, find_bursts
    from workbench.recording.predict.generate import Sampling, generate

    fs = parts.recipe.sampling_rate
    models = find_bursts(np.concatenate([x for x, _ in real], axis=1), fs, BurstSettings(starts=2))
    runs: dict[str, list[dict[str, Any]]] = {}
    clock = {}
    for number, mode in enumerate(MODES):
        start = time.process_time()
        # Runs of one mode are drawn side by side: each has a random stream of its own, no two modes share one.
        drawn = generate(
            parts.gpt, round(seconds * fs), mode=mode, seed=first_seed + number, batch=seeds, precision="float32",
            unigram=parts.codec.unigram, sessions=who(parts), sampling=Sampling(top_p=TOP_P),
        )  # fmt: skip
        clock[mode] = (time.process_time() - start) / seeds
        # Random tokens stand at the beginning; what they set off dies away within seconds.
        runs[mode] = [measures(parts, labels[:, round(2 * fs) :], fs, models) for labels in drawn]
    families = [family(name, *([r[name] for r in runs[m]] for m in MODES)) for name in runs["anchored"][0]]
    return families, clock


def who(parts: Any) -> Any:
    """The session that everything is done with: the mean one, where there are any."""
    return "mean" if parts.gpt.n_sessions else None


def measures(parts: Any, labels: Any, fs: float, models: Any) -> dict[str, Any]:
    """Families of measures of one run."""
    from workbench.recording.evaluate.bursts import burst_rows, bursts
    from workbench.recording.evaluate.covariance import covariance, lagged_covariance, upper
    from workbench.recording.evaluate.spectra import psd
    from workbench.recording.predict.surprisal import surprisal

    signals = parts.codec.decode(labels)
    freqs, density = psd(signals, fs)
    found = burst_rows(bursts(signals, fs, models))
    nats = surprisal(parts.gpt, labels, session=who(parts), stride=16, precision="float32")
    shares = np.bincount(labels.ravel(), minlength=parts.codec.n_tokens)[1:] / labels.size
    common = shares > 1e-3
    logs = 10 * np.log10(density)
    alpha, beta = ((freqs >= a) & (freqs <= b) for a, b in ((8, 12), (16, 24)))
    return {
        "PSD, mean over channels, 1-45 Hz [dB]": logs.mean(0),
        "alpha power (8-12 Hz) per channel [dB]": logs[:, alpha].mean(1),
        "beta power (16-24 Hz) per channel [dB]": logs[:, beta].mean(1),
        "covariance, pairs of channels": upper(covariance(signals)),
        "lagged covariance of each channel, 21 lags": np.einsum("lcc->lc", lagged_covariance(signals)).ravel(),
        "burst rate per channel [1/s]": np.array([b.rate for b in found]),
        "burst interval per channel [s]": np.array([b.interval for b in found]),
        "burst lifetime per channel [s]": np.array([b.lifetime for b in found]),
        "token frequency [%]": 100 * np.where(common, shares, 0.0),
        "cross-entropy under the network [nats]": np.array([np.nanmean(nats)]),
    }


def family(name: str, anchored: Sequence[Any], sliding: Sequence[Any]) -> Family:
    """Test one family over runs."""
    from workbench.recording.evaluate.permutation import permutation_test

    a, b = np.array(anchored), np.array(sliding)
    usable = np.isfinite(a).all(0) & np.isfinite(b).all(0) & ((a.std(0) + b.std(0)) > 0)
    a, b = a[:, usable], b[:, usable]
    found = permutation_test(a, b, n=2000)
    spread = np.sqrt((a.var(0, ddof=1) + b.var(0, ddof=1)) / 2)
    return Family(
        name, int(usable.sum()), float(a.mean()), float(b.mean()), float(np.sqrt((found.difference**2).mean())),
        float(np.sqrt((spread**2).mean())), float(np.abs(found.statistic).max()), float(found.p.min()),
    )  # fmt: skip


def by_context(parts: Any, recordings: Sequence[Any]) -> dict[str, Any]:
    """Cross-entropy of real tokens under the context schedule of each mode, on the same samples.

    Anchored: windows 16 samples apart, so that samples have contexts of 85 to 100 in turn. Sliding: a window for every
    sample, context always 100.
    """
    from workbench.recording.predict.surprisal import context_lengths, surprisal

    rows, per_context = [], []
    for labels in recordings:
        length = labels.shape[1]
        anchored = surprisal(parts.gpt, labels, session=who(parts), stride=16, precision="float32")
        sliding = surprisal(parts.gpt, labels, session=who(parts), stride=1, precision="float32")
        contexts = context_lengths(parts.gpt, length, 16)
        used = (contexts >= 85) & (context_lengths(parts.gpt, length, 1) == 100)
        rows.append((anchored[:, used].mean(), sliding[:, used].mean()))
        per_context.append([anchored[:, used & (contexts == k)].mean() - sliding[:, used & (contexts == k)].mean()
                            for k in range(85, 101)])  # fmt: skip
    a, b = np.array(rows, float).T
    summary = {
        "contexts of 85 to 100 in turn (anchored)": a.mean(),
        "context of 100 (sliding)": b.mean(),
        "difference": (a - b).mean(),
        "standard deviation of the difference over recordings": (a - b).std(ddof=1),
        "standard deviation between recordings": b.std(ddof=1),
    }
    mean = np.mean(per_context, axis=0)
    return {
        "summary": {k: float(v) for k, v in summary.items()},
        "contexts": {str(k): float(v) for k, v in zip(range(85, 101), mean, strict=True)},
    }


if __name__ == "__main__":
    raise SystemExit(main())
