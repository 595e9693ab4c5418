"""The report of a training on recordings: scores, the course of each stage, and how often tokens are used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from workbench.recording.predict.tokens import Codec
from workbench.report import html
from workbench.report.pictures import png_of
from workbench.report.training import course, how_it_was_made
from workbench.training.loop import FitResult


def write_report(
    path: Path, out: Path, meta: Mapping[str, Any], results: Mapping[str, FitResult], codec: Codec
) -> Path:
    """Write the HTML report.

    Parameters
    ----------
    path
        HTML file to write.
    out
        The weight file it is about.
    meta
        Its record.
    results
        Of the stages ``"tokenizer"`` and ``"model"`` that were trained.
    codec
        What makes tokens.
    """
    scores, training = meta["scores"], meta["training"]
    tiles: dict[str, Any] = {"variance explained [%]": scores["variance explained"]}
    parts: list[html.Part] = []
    if "cross-entropy" in scores:
        margin = scores["unigram entropy"] - scores["cross-entropy"]
        tiles |= {
            "cross-entropy [nats]": scores["cross-entropy"],
            "unigram entropy [nats]": scores["unigram entropy"],
            "top-1": scores["top-1"],
            "top-5": scores["top-5"],
        }
        if margin <= 0:
            text = "The transformer guesses no better than token frequencies do: train longer, or on more recordings."
            parts.append(html.Text(text, "warning"))
    tiles["minutes"] = round(training["seconds"] / 60, 1)
    tone = "" if "subject(s)" in training["validation"] else "warning"
    parts = [html.Tiles(tiles), html.Text(f"Scores were computed {training['validation']}.", tone), *parts]
    parts += [html.Text(f"{note}.", "warning") for note in training.get("notes", ())]
    sections = [html.Section("Result", parts)]
    if "tokenizer" in results and results["tokenizer"].history:
        picture = course(
            results["tokenizer"].history, {"variance explained": "variance explained"}, ylabel="%", limits=(0, 101)
        )
        caption = "Tokeniser: variance explained with hard tokens, and loss, while the temperature falls."
        sections.append(html.Section("Tokeniser", [html.Picture(picture, caption)]))
    if "model" in results and results["model"].history:
        history = results["model"].history
        entropies = {"cross-entropy": "cross-entropy", "unigram entropy": "unigram entropy"}
        shares = {"top-1": "top-1", "top-5": "top-5"}
        sections.append(
            html.Section(
                "MEG-GPT",
                [
                    html.Picture(course(history, entropies, ylabel="nats"), "Cross-entropy of the next token."),
                    html.Picture(course(history, shares, ylabel="share", limits=(0, 1)), "How often it was guessed."),
                ],
            )
        )
    if codec.unigram is not None:
        shown = html.Picture(_histogram(codec.unigram), "How often each token was used in training.")
        sections.append(html.Section("Tokens", [shown]))
    sections.append(how_it_was_made(out, meta, ("Preparation of recordings", "recipe")))
    return html.write(path, f"Training of {out.stem}", sections, subtitle="Research use only.")


def _histogram(shares: Any) -> bytes:
    figure = Figure(figsize=(8.5, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.bar(np.arange(1, len(shares)), 100 * np.asarray(shares)[1:], width=0.9, color="0.35")
    axes.set(xlabel="token", ylabel="share [%]")
    axes.spines[["top", "right"]].set_visible(False)
    return png_of(figure)
