"""Train the demo tokeniser and MEG-GPT on simulated recordings, score them on other subjects, write the model card.

    python sample_data/train_meg_weights.py             # twenty minutes on a core; the same seeds every time
    python sample_data/train_meg_weights.py --score     # only score the weights that are there and write the card
    python sample_data/train_meg_weights.py --record    # only say anew what taught them, around the same numbers

Subjects 1-16 are learnt from and validated on, subjects 60-62 served to choose the settings below, subjects 71-74 are
held out for the card. Blinks and clenched jaws count as bad segments in training, as people clean recordings before
they learn from them, and stay in what is scored.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # the script may be run from anywhere
import make_recordings

TRAIN_SUBJECTS, TRAIN_SECONDS = range(1, 17), 90.0
HELD_OUT_SUBJECTS, HELD_OUT_SESSIONS, HELD_OUT_SECONDS = range(71, 75), (1, 2), 90.0
GENERATED_SECONDS = 60.0
ARTEFACTS = ("blink", "muscle")
SETTINGS: dict[str, Any] = {
    "device": "cpu",
    "kinds": "misc",
    "n_tokens": 48,
    "tokenizer_steps": 200,
    "steps": 3500,
    "batch": 8,
    "lr": 2e-3,
    "dropout": 0.0,
    "ema": 0.99,
    "session_embedding": True,
    "val_fraction": 0.1,
    "seed": 0,
    "save_as": "float16",
}
TITLE = "twelve simulated parcels at 250 Hz: tokeniser and small MEG-GPT"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).parent
    parser.add_argument("-o", "--output", type=Path, default=here / "weights" / "meg_gpt_demo.safetensors")
    parser.add_argument("--work", type=Path, help="folder for recordings, state and reports (default: a temporary one)")
    parser.add_argument("--steps", type=int, default=SETTINGS["steps"])
    parser.add_argument("--resume", action="store_true", help="continue in --work")
    parser.add_argument("--score", action="store_true", help="only score and write the card")
    parser.add_argument("--record", action="store_true", help="only write the record anew, from the same recordings")
    options = parser.parse_args()

    # Waiting threads sleep instead of spinning: several times faster on a machine with other work to do.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        if options.record:
            return renew_record(work, options.output)
        if not options.score:
            learn(work, options.output, options.steps, resume=options.resume)
        card = options.output.with_suffix(".md")
        card.write_text(model_card(options.output, score(work, options.output)), encoding="utf-8")
        print(card.read_text(encoding="utf-8"))


def cases_of(folder: Path, subjects: Any, sessions: Any, seconds: float, bad: tuple[str, ...] = ()) -> list[Any]:
    """Simulated recordings as files, and the cases of a study with them."""
    from workbench.core.types import Case

    found = []
    for subject in subjects:
        for session in sessions:
            path = folder / f"sub-{subject:02d}_ses-{session}_raw.fif"
            if not path.exists():
                drawn = make_recordings.simulate(subject, session, seconds, 0)
                make_recordings.write_recording(drawn, path, bad=bad)
            found.append(Case(path.stem, path, None, f"sub-{subject:02d}"))
    return found


def learn(work: Path, output: Path, steps: int, *, resume: bool) -> None:
    """Train both stages and put the weights at their place."""
    import torch

    import workbench as wb
    from workbench import weights

    torch.set_num_threads(1)
    cases = cases_of(work / "train", TRAIN_SUBJECTS, (1, 2), TRAIN_SECONDS, ARTEFACTS)

    def show(event: Any) -> None:
        if event.validated:
            print(event.line(), flush=True)

    out = work / "meg_gpt_demo.safetensors"
    options = {**SETTINGS, "steps": steps, "overwrite": not resume, "resume": resume}
    wb.train("meg_gpt", cases, out=out, on_step=show, **options)
    weights.save(output, weights.load_tensors(out), {**weights.read_meta(out), "title": TITLE})


def renew_record(work: Path, output: Path) -> None:
    """Write what taught the weights into their file, from the same recordings, around the same numbers.

    The hash of the file as it was goes into ``formerly``: adapters that were made on it still find it.
    """
    from workbench import weights
    from workbench.recording.train.data import load_sessions, split_sessions
    from workbench.recording.train.memory import remembered
    from workbench.recording.train.train import facts_of_sessions
    from workbench.recording.train.weights import load_parts
    from workbench.weights.content import content_hash

    found = weights.find(output, "meg_gpt")
    before, record = weights.load_tensors(found), dict(found.meta)
    cases = cases_of(work / "train", TRAIN_SUBJECTS, (1, 2), TRAIN_SECONDS, ARTEFACTS)
    parts = load_parts(found)
    assert parts.gpt is not None
    sessions = load_sessions(cases, parts.recipe, allow_resample=True)
    split = split_sessions(
        sessions, max(parts.gpt.sequence_length + 1, 200), by="auto", fraction=SETTINGS["val_fraction"],
        seed=SETTINGS["seed"],
    )  # fmt: skip
    trained = [sessions[i].name for i in sorted({s.session for s in split.train})]
    assert trained == record["training"]["trained_on"], "another split than the weights learnt from"
    facts = {
        "taught": facts_of_sessions(parts.recipe, sessions, split).to_json(),
        "seen": remembered([], sessions, split),
    }
    if all(record.get(key) == value for key, value in json.loads(json.dumps(facts)).items()):
        return  # it says so already
    record |= facts | {"formerly": sorted({*record.get("formerly", ()), found.sha256})}
    weights.save(output, before, {k: v for k, v in record.items() if k not in ("hashes", "format")})
    after = weights.load_tensors(weights.find(output, "meg_gpt"))
    assert content_hash(after) == content_hash(before)


def score(work: Path, weights_file: Path) -> Any:
    """Everything that the card says, on subjects that were never used for a choice."""
    import workbench as wb

    cases = cases_of(work / "held_out", HELD_OUT_SUBJECTS, HELD_OUT_SESSIONS, HELD_OUT_SECONDS)
    return wb.evaluate(
        "meg_gpt", cases, out=work / "report", weights=str(weights_file), device="cpu", seconds=GENERATED_SECONDS
    )


def model_card(file: Path, found: Any) -> str:
    """The card beside the weights: what they are, what they were taught, how well they do, what not to do with them."""
    from workbench import weights

    meta = weights.read_meta(file)
    training, scores = meta["training"], meta["scores"]
    of = {row["measure"]: row for row in found.summary}
    explained, loss, unigram = (
        of[k] for k in ("variance explained [%]", "cross-entropy [nats]", "unigram entropy [nats]")
    )
    subjects, seconds = len(HELD_OUT_SUBJECTS), HELD_OUT_SECONDS
    lines = [
        "# meg_gpt_demo",
        "",
        "Demo weights of MEG-GPT (arXiv:2510.18080) for simulated MEG: tokeniser as released, our small transformer.",
        f"{file.stat().st_size / 1e6:.1f} MB, float16. Licence: BSD-3-Clause, as the project.",
        "",
        f"- **Taught on** {len(training['trained_on'])} simulated recordings of {len(training['trained_on']) // 2} "
        f"subjects (`sample_data/make_recordings.py`): {training['seconds_of_data'] / 60:.0f} minutes without "
        f"artefacts; {training['stages']['tokenizer']['steps']} steps of the tokeniser, "
        f"{training['stages']['model']['steps']} of the transformer, "
        f"{training['seconds'] / 60:.0f} minutes on a CPU that others used too.",
        f"- **While training**, on two subjects kept apart: cross-entropy {scores['cross-entropy']:.3f} nats (unigram "
        f"entropy {scores['unigram entropy']:.3f}), top-1 {scores['top-1']:.3f}, top-5 {scores['top-5']:.3f}.",
        f"- **Held out** for the numbers below: {subjects} subjects x {len(HELD_OUT_SESSIONS)} sessions of "
        f"{seconds:.0f} s, artefacts included, that were used for nothing else.",
        f"- **Variance explained** by the tokens: {explained['mean']:.2f} % (lowest recording "
        f"{explained['lowest']:.2f} %), with {scores['tokens used']:.0f} tokens.",
        f"- **Cross-entropy** {loss['mean']:.3f} nats (highest recording {loss['highest']:.3f}); the unigram "
        f"entropy is {unigram['mean']:.3f}: {unigram['mean'] - loss['mean']:.3f} nats below it, at least "
        f"{min(r['unigram entropy [nats]'] - r['cross-entropy [nats]'] for r in found.rows):.3f} in every recording.",
        *_generation(found),
        *_decoding(found),
        *_similarity(found),
        "- **Not for real recordings**: rhythms, states and noise come from formulas. Train on your own",
        "  (`workbench train meg_gpt`), or use the released tokeniser. Research use only.",
        "- **Made by** `python sample_data/train_meg_weights.py`.",
        "",
    ]
    return "\n".join(lines)


def _generation(found: Any) -> list[str]:
    """Peaks and bursts of generated beside real signals, over the held-out recordings."""
    comparisons = list(found.comparisons.values())
    if not comparisons:
        return []
    by_name = [{row["measure"]: row for row in c.scores.as_dicts()} for c in comparisons]

    def mean(name: str, column: str) -> float:
        return float(np.nanmean([r[name][column] for r in by_name]))

    where, whole = "alpha peak, strongest channel [Hz]", "alpha peak [Hz]"
    errors = np.abs([r[where]["difference"] for r in by_name])
    density = "PSD, 1-45 Hz [dB, rms]"
    return [
        f"- **Generated** {GENERATED_SECONDS:.0f} s for each held-out recording (anchored, top-p 1). Alpha peaks "
        f"in the channel where it is strongest at {mean(where, 'generated'):.2f} Hz, in the real one at "
        f"{mean(where, 'real'):.2f} Hz; apart by {errors.mean():.2f} Hz in the mean, {errors.max():.2f} Hz at most "
        "(subjects differ, and new ones get the mean session). In the spectrum of all channels together, where "
        f"alpha is a small hump, the peaks are at {mean(whole, 'generated'):.2f} and {mean(whole, 'real'):.2f} Hz. "
        f"PSD apart by {mean(density, 'difference'):.1f} dB, correlation {mean(density, 'correlation'):.2f}.",
        f"- **Bursts** of generated (real) signals: {mean('burst rate [1/s]', 'generated'):.2f} "
        f"({mean('burst rate [1/s]', 'real'):.2f}) per second, {mean('burst lifetime [s]', 'generated'):.3f} "
        f"({mean('burst lifetime [s]', 'real'):.3f}) s long.",
        "- **Channels** are drawn independently of each other, as in the release: the covariance of generated channels "
        f"has a correlation of {mean('covariance of channels', 'correlation'):.2f} with the real one.",
    ]


def _decoding(found: Any) -> list[str]:
    """Accuracy of telling the two kinds of event apart, with chance and the raw baseline."""
    if found.decoding is None:
        return []
    rows = [f"  | {r['split']} | {r['features']} | {r['accuracy']:.3f} | {r['95 % from']:.3f} to {r['95 % to']:.3f} |"
            for r in found.decoding.scores.as_dicts()]  # fmt: skip
    head = "- **Decoding** the two kinds of event (visual, button) from single trials:"
    return [head, "", "  | held out | features | accuracy | 95 % |", "  |---|---|---|---|", *rows, ""]


def _similarity(found: Any) -> list[str]:
    """How often a generated session is most like its own; and how often halves of real sessions find each other."""
    if not found.similarities:
        return []
    chance = 1 / len(found.similarities[0].sessions)
    listed = ", ".join(f"{s.feature} {s.top_k[0]:.2f}" for s in found.similarities)
    return [
        "- **Fingerprint**, share of sessions whose nearest one is their own: "
        f"{listed} (chance {chance:.2f}). Held-out sessions have no vector and are generated with the mean one, so "
        "what is generated cannot be told apart; only the halves of real sessions can.",
    ]


if __name__ == "__main__":
    main()
