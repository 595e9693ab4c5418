"""The MEG part of the demo: tokens, reconstruction, surprisal and generated signals of the sample recording."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from workbench.report.html import Section

RECORDING = "recording_9201_raw"
SECONDS = 30.0


def explore_sample_recording(output: Path, device: str, *, quiet: bool) -> Section | None:
    """Run the sample recording through the demo weights into ``output``; a section, or None without the sample."""
    from workbench import api
    from workbench.cli.progress import bar
    from workbench.core import settings
    from workbench.core.samples import sample_files
    from workbench.core.types import Case, sampling_rate_of
    from workbench.data import write
    from workbench.recording import meg_gpt as backend
    from workbench.recording.evaluate.report import sections
    from workbench.report import html

    files = sample_files()
    if RECORDING not in files:
        return None
    image = api.read(files[RECORDING])
    clock = time.perf_counter()
    config = settings.build(backend.Config, {"weights": "demo", "device": device})
    with bar("reading the recording's tokens", quiet=quiet, unit="step") as draw:
        result = api.predict(backend.NAME, image, progress=draw, **settings.as_dict(config))
    write.write(result, output / "predictions", name=RECORDING)
    case = Case(RECORDING, files[RECORDING], None, "91")
    with bar("generating and comparing", quiet=quiet, unit="step") as draw:
        found: Any = api.evaluate(
            backend.NAME, [case], out=output / "recording_report", progress=draw, weights="demo", device=device,
            task="all", seconds=SECONDS,
        )  # fmt: skip
    seconds = time.perf_counter() - clock
    means = {r["measure"]: r["mean"] for r in found.summary}
    length = image.geometry.shape[0] / sampling_rate_of(image.geometry)
    click.echo(f"Recording: {length:.0f} s of {len(image.channels)} parcels, in {seconds:.0f} s")
    for name, value in means.items():
        click.echo(f"  {name}: {value:.3f}")
    click.echo(f"  unexpected moments marked: {len(result.parts['annotations'])}")  # type: ignore[arg-type]
    rows = list(means.items())
    pictures = [part for s in sections(found) for part in s.parts if isinstance(part, html.Picture)]
    return html.Section(
        "MEG recording",
        [
            html.Table(("measure", "value"), rows, caption=f"{RECORDING} (simulated), a subject the weights never saw"),
            *pictures,
            html.Text("All scores: recording_report/report.html"),
        ],
    )
