"""What an evaluation of MEG-GPT found, and its report: one HTML file with pictures, and CSV and JSON beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.atomic import write_json, write_text
from workbench.core.csv_text import table_text
from workbench.core.jsonable import plain_json
from workbench.core.types import Mark, Scores
from workbench.recording.evaluate.bursts import burst_rows
from workbench.recording.evaluate.decode import Decoding
from workbench.recording.evaluate.signals import Comparison, pooled_peaks
from workbench.recording.evaluate.similarity import Similarity
from workbench.report import html

Array = npt.NDArray[Any]
Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Excerpt:
    """A stretch of one recording to show: its surprisal (C, T) in nats, clock and annotations."""

    case: str
    surprisal: Array
    start: float
    fs: float
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, eq=False)
class MEGEvaluation:
    """Everything that was measured.

    Parameters
    ----------
    rows
        One per recording: whether it taught the weights (``seen``), seconds, variance explained [%], cross-entropy and
        unigram entropy [nats], top-1, top-5, alpha peaks [Hz], burst measures; what was not asked for is absent.
    summary
        One per measure: mean, sample deviation, lowest and highest over recordings.
    channels
        Names of the channels.
    variance
        Percentage of variance explained, (recordings, C).
    shares
        How often each token occurs, (K,), 0 being unseen; and in training, if known.
    excerpt
        Surprisal to show.
    comparisons
        Recording -> real beside generated signals.
    decoding, similarities
        Of those tasks, or none.
    positions
        (C, 3) places of the channels [m] or none.
    failures, traces
        Recording -> why it could not be evaluated.
    notes
        What a reader should know.
    files
        What was written.

    It is a `workbench.core.reports.EvaluationReport`.
    """

    rows: list[Row]
    channels: tuple[str, ...] = ()
    variance: Array | None = None
    shares: Array | None = None
    shares_training: Array | None = None
    excerpt: Excerpt | None = None
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)
    decoding: Decoding | None = None
    similarities: tuple[Similarity, ...] = ()
    positions: Array | None = None
    failures: dict[str, str] = field(default_factory=dict)
    traces: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def summary(self) -> list[Row]:
        return _summary(self.rows)

    @property
    def summary_unseen(self) -> list[Row]:
        """The same over recordings that did not teach the weights, where others did; else empty."""
        unseen = [r for r in self.rows if r.get("seen") == "no"]
        return _summary(unseen) if len(unseen) < len(self.rows) else []

    @property
    def pooled(self) -> Scores | None:
        """Peaks of the spectra of all recordings together; none if nothing was generated."""
        return pooled_peaks(list(self.comparisons.values())) if self.comparisons else None

    def text(self) -> str:
        """Summary, decoding and identification as aligned text."""
        width = max((len(r["measure"]) for r in self.summary), default=7)
        lines = [f"{'measure':<{width}}      mean        sd  recordings"]
        lines += [f"{r['measure']:<{width}}  {r['mean']:>8.3f}  {r['sd']:>8.3f}  {r['recordings']:>10}"
                  for r in self.summary]  # fmt: skip
        if self.summary_unseen:
            lines += ["", "of these, recordings that did not teach the weights:"]
            lines += [f"{r['measure']:<{width}}  {r['mean']:>8.3f}  {r['sd']:>8.3f}  {r['recordings']:>10}"
                      for r in self.summary_unseen]  # fmt: skip
        for r in self.pooled.as_dicts() if self.pooled else ():
            lines.append(
                f"{r['band']} of all recordings together, {r['channel']}: real {r['real [Hz]']:.2f} Hz, "
                f"generated {r['generated [Hz]']:.2f} Hz"
            )
        if self.decoding is not None:
            lines += ["", f"{'split':<12} {'features':<30} accuracy  95 % interval  folds  trials"]
            for r in self.decoding.scores.as_dicts():
                lines.append(
                    f"{r['split']:<12} {r['features']:<30} {r['accuracy']:>8.3f}  {r['95 % from']:.3f} - "
                    f"{r['95 % to']:.3f}  {r['folds']:>5}  {r['trials']:>6}"
                )
        if self.similarities:
            lines += ["", "own session is the nearest (chance " + f"{1 / len(self.similarities[0].sessions):.2f}):"]
            lines += [f"  {s.feature:<40} {s.top_k[0]:.2f}" for s in self.similarities]
        return "\n".join(lines)


def _summary(rows: Sequence[Row]) -> list[Row]:
    names = [k for k in dict.fromkeys(k for r in rows for k in r) if k not in ("case", "subject", "seen")]
    found = []
    for name in names:
        values = np.array([r[name] for r in rows if r.get(name) is not None], float)
        values = values[np.isfinite(values)]
        if len(values):
            deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
            found.append({"measure": name, "mean": float(values.mean()), "sd": deviation,
                          "lowest": float(values.min()), "highest": float(values.max()),
                          "recordings": len(values)})  # fmt: skip
    return found


def write_report(evaluation: MEGEvaluation, facts: Mapping[str, Any], out: Path, *, title: str) -> MEGEvaluation:
    """Write ``report.html``, ``scores.json`` and a CSV for every table; gives the evaluation with its files.

    Parameters
    ----------
    facts
        Weights, settings, versions: plain values for the end of the report.
    out
        Folder.
    """
    tables = _tables(evaluation)
    files = [_csv(out / f"{name}.csv", table) for name, table in tables.items()]
    plain = {
        "summary": evaluation.summary,
        "summary_unseen": evaluation.summary_unseen,
        "rows": evaluation.rows,
        **{name: table.as_dicts() for name, table in tables.items() if name != "scores"},
        "failures": evaluation.failures,
        "notes": list(evaluation.notes),
        "provenance": dict(facts),
    }
    files.append(write_json(out / "scores.json", plain_json(plain)))
    parts = sections(evaluation)
    if evaluation.failures:
        parts.append(html.Section("Failed", [html.Table(("recording", "why"), list(evaluation.failures.items()))]))
    parts.append(html.Section("How it was made", [html.Facts(facts)]))
    files.append(html.write(out / "report.html", title, parts, subtitle="Research use only."))
    return replace(evaluation, files=tuple(files))


def sections(evaluation: MEGEvaluation) -> list[html.Section]:
    """What was measured, with pictures, as sections of a report."""
    return [
        _result(evaluation), *_token_sections(evaluation), *_generation(evaluation), *_decoding(evaluation),
        *_similarity(evaluation),
    ]  # fmt: skip


def _tables(e: MEGEvaluation) -> dict[str, Scores]:
    columns = tuple(dict.fromkeys(k for r in e.rows for k in r))
    found = {"scores": Scores(columns, tuple(tuple(r.get(c) for c in columns) for r in e.rows), "scores")}
    if e.variance is not None:
        rows = [(n, *map(float, v)) for n, v in zip(e.channels, e.variance.T, strict=True)]
        names = tuple(f"variance explained [%], {r['case']}" for r in e.rows)[: e.variance.shape[0]]
        found["channels"] = Scores(("channel", *names), tuple(rows), "channels")
    if e.comparisons:
        marks = {r["case"]: r.get("seen", "not known") for r in e.rows}
        found["generation"] = _joined({c: v.scores for c, v in e.comparisons.items()}, "generation", marks)
        pooled = e.pooled
        if pooled is not None:
            found["peaks"] = pooled
        of_channels = {c: v.per_channel for c, v in e.comparisons.items()}
        found["generation_channels"] = _joined(of_channels, "channels", marks)
    if e.decoding is not None:
        found |= {"decode": e.decoding.scores, "decode_folds": e.decoding.folds}
    if e.similarities:
        found["similarity"] = Scores(
            e.similarities[0].scores.columns, tuple(r for s in e.similarities for r in s.scores.rows), "similarity"
        )
        found["similarity_recordings"] = _ranks(e)
    return found


def _joined(parts: Mapping[str, Scores], name: str, marks: Mapping[str, str]) -> Scores:
    first = next(iter(parts.values()))
    rows = tuple((case, *row, marks.get(case, "not known")) for case, table in parts.items() for row in table.rows)
    return Scores(("recording", *first.columns, "seen"), rows, name)


def _ranks(e: MEGEvaluation) -> Scores:
    """Of each recording by each feature: at which place its own session was found."""
    marks = {r["case"]: r.get("seen", "not known") for r in e.rows}
    rows = [
        (s.feature, name, int(rank), marks.get(name, "not known"))
        for s in e.similarities
        for name, rank in zip(s.sessions, s.rank, strict=True)
    ]
    return Scores(("feature", "recording", "rank of own", "seen"), tuple(rows), "similarity_recordings")


def _csv(path: Path, table: Scores) -> Path:
    return write_text(path, table_text(table.columns, table.rows))


def _result(e: MEGEvaluation) -> html.Section:
    means = {r["measure"]: r["mean"] for r in e.summary}
    wanted = ("variance explained [%]", "cross-entropy [nats]", "unigram entropy [nats]", "top-1", "top-5",
              "alpha peak error [Hz]")  # fmt: skip
    parts: list[html.Part] = [html.Tiles({k: means[k] for k in wanted if k in means} | {"recordings": len(e.rows)})]
    if means.get("cross-entropy [nats]", 0) >= means.get("unigram entropy [nats]", math.inf):
        parts.append(html.Text("The network guesses no better than token frequencies do.", "warning"))
    parts += [html.Text(f"{n}.", "warning") for n in e.notes]
    rows = [(r["measure"], r["mean"], r["sd"], r["lowest"], r["highest"]) for r in e.summary]
    parts.append(html.Table(("measure", "mean", "sd", "lowest", "highest"), rows, caption="Over recordings"))
    if e.summary_unseen:
        unseen = [(r["measure"], r["mean"], r["sd"], r["lowest"], r["highest"]) for r in e.summary_unseen]
        caption = "Over the recordings that did not teach the weights"
        parts.append(html.Table(("measure", "mean", "sd", "lowest", "highest"), unseen, caption=caption))
    table = _tables(e)["scores"]
    parts.append(html.Table(table.columns, table.rows, caption="Each recording"))
    return html.Section("Result", parts)


def _token_sections(e: MEGEvaluation) -> list[html.Section]:
    from workbench.recording.evaluate import pictures as meg

    sections = []
    if e.variance is not None:
        mean = np.nanmean(e.variance, axis=0)
        parts: list[html.Part] = []
        if e.positions is not None and np.isfinite(e.positions).all(1).sum() >= 3:
            png = meg.sensor_map(mean, e.positions, label="variance explained [%]")
            parts.append(html.Picture(png, "Where the tokens hold how much of the signal; mean over recordings."))
        low = np.argsort(mean)[:10]
        worst = [(e.channels[i], float(mean[i])) for i in low]
        parts.append(html.Table(("channel", "variance explained [%]"), worst, caption="The ten lowest channels"))
        if e.shares is not None:
            parts.append(html.Picture(meg.tokens(e.shares_training, e.shares), "How often each token occurs."))
        sections.append(html.Section("Tokens", parts))
    if e.excerpt is not None:
        x = e.excerpt
        png = meg.surprisal(x.surprisal, x.start, x.fs, e.channels, x.marks, title=x.case)
        caption = (
            "Negative log-likelihood of each sample given the past of its channel: what the network did not expect. "
            "Coloured: annotations of the recording."
        )
        sections.append(html.Section("Surprisal", [html.Picture(png, caption)]))
    return sections


def _generation(e: MEGEvaluation) -> list[html.Section]:
    from workbench.recording.evaluate import pictures as meg

    if not e.comparisons:
        return []
    case, first = next(iter(e.comparisons.items()))
    peaks = {b: (first.peaks_real[b].frequency, first.peaks_generated[b].frequency) for b in first.peaks_real}
    drawn = meg.spectra(first.freqs, first.psd_real, first.psd_generated, first.channels, peaks)
    parts: list[html.Part] = [html.Picture(drawn, f"Power spectra of {case}. Dotted: peaks above the 1/f background.")]
    if len(first.channels) > 1:
        both = {"real": first.covariance_real, "generated": first.covariance_generated}
        drawn = meg.matrices(both, label="covariance", labels=first.channels)
        parts.append(html.Picture(drawn, f"Covariance of channels, {case}."))
    if first.bursts_real:
        real, made = burst_rows(first.bursts_real), burst_rows(first.bursts_generated)
        tables = {
            title: ([getattr(b, k) for b in real], [getattr(b, k) for b in made])
            for k, title in (("rate", "bursts [1/s]"), ("interval", "interval [s]"), ("lifetime", "lifetime [s]"))
        }
        parts.append(html.Picture(meg.pairs(tables, first.channels), f"Bursts of each channel, {case}."))
    pooled = e.pooled
    if pooled is not None:
        parts.append(html.Table(pooled.columns, pooled.rows, caption="Peaks of the spectra of all recordings together"))
    for name, comparison in list(e.comparisons.items())[:6]:
        parts.append(html.Table(comparison.scores.columns, comparison.scores.rows, caption=name))
    notes = dict.fromkeys(n for c in e.comparisons.values() for n in c.notes)
    parts += [html.Text(f"{n}.") for n in notes]
    return [html.Section("Real and generated signals", parts)]


def _decoding(e: MEGEvaluation) -> list[html.Section]:
    from workbench.recording.evaluate import pictures as meg

    if e.decoding is None:
        return []
    d = e.decoding
    parts: list[html.Part] = [
        html.Picture(meg.accuracies(d.scores.as_dicts()), "Share of held-out trials that are right."),
        html.Table(d.scores.columns, d.scores.rows),
        html.Text(
            "Accuracy: mean over folds with its 95 % interval (Student's t over three or more folds, else Wilson's "
            "over trials). p: signs of the differences to the baseline exchanged over folds; with n folds it cannot be "
            "below 2 / 2^n."
        ),
    ]
    for (split, name), table in d.confusion.items():
        if not name.startswith("chance"):
            rows = [(kind, *map(int, row)) for kind, row in zip(d.kinds, table, strict=True)]
            parts.append(html.Table((f"{name}, {split}", *(f"said {k}" for k in d.kinds)), rows))
    parts += [html.Text(f"{n}.") for n in d.notes if n not in e.notes]
    return [html.Section("Decoding", parts)]


def _similarity(e: MEGEvaluation) -> list[html.Section]:
    from workbench.recording.evaluate import pictures as meg

    if not e.similarities:
        return []
    distances = {s.feature: s.distance for s in e.similarities}
    curves = {s.feature: s.top_k for s in e.similarities}
    drawn = meg.fingerprints(distances, curves, e.similarities[0].sessions)
    rows: Sequence[tuple[Any, ...]] = [
        (s.feature, float(s.top_k[0]), float(s.rank.mean()), 1 / len(s.sessions)) for s in e.similarities
    ]
    columns = ("feature", "own session nearest [share]", "mean rank of own", "chance [share]")
    return [html.Section("Similarity of sessions", [html.Picture(drawn), html.Table(columns, rows)])]
