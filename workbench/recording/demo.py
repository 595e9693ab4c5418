"""The MEG part of the demo: tokens, reconstruction, surprisal and generated signals of the sample recording."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.report.demo import Demo
    from workbench.report.html import Section

RECORDING = "recording_9201_raw"
SECONDS = 30.0


def explore_sample(run: Demo) -> Section | None:
    """Run the sample recording through the demo weights into ``run.output``; a section, or None without the sample."""
    from workbench.core import device as devices
    from workbench.core import settings
    from workbench.core.samples import sample_files
    from workbench.core.types import Case, sampling_rate_of
    from workbench.data import formats, write
    from workbench.recording import meg_gpt as backend
    from workbench.recording.evaluate.report import MEGEvaluation, sections
    from workbench.report import html

    samples = sample_files()
    if RECORDING not in samples:
        return None
    image = formats.read(samples[RECORDING])
    clock = time.perf_counter()
    chosen = {"weights": "demo", "device": run.device}
    config = settings.build(backend.Config, chosen)
    device, _ = devices.choose(config.device)
    with run.bar("reading the recording's tokens", unit="step") as draw:
        result = backend.predict(backend.load(config, device), image, config, draw)
    files = write.write(result, run.predictions, name=RECORDING)
    case = Case(RECORDING, samples[RECORDING], None, "91")
    plan = settings.build(backend.EvaluateConfig, {**chosen, "task": "all", "seconds": SECONDS})
    with run.bar("generating and comparing", unit="step") as draw:
        found = backend.evaluate([case], plan, run.output / "recording_report", draw)
    assert isinstance(found, MEGEvaluation)
    seconds = time.perf_counter() - clock
    means = {r["measure"]: r["mean"] for r in found.summary}
    length = image.geometry.shape[0] / sampling_rate_of(image.geometry)
    run.say(f"Recording: {length:.0f} s of {len(image.channels)} parcels, in {seconds:.0f} s")
    for name, value in means.items():
        run.say(f"  {name}: {value:.3f}")
    run.say(f"  unexpected moments marked: {len(result.parts['annotations'])}")  # type: ignore[arg-type]
    rows = list(means.items())
    pictures = [part for s in sections(found) for part in s.parts if isinstance(part, html.Picture)]
    return html.Section(
        "MEG recording",
        [
            html.Table(("measure", "value"), rows, caption=f"{RECORDING} (simulated), a subject the weights never saw"),
            *pictures,
            run.links("All scores", found.files),
            run.links("Results", files),
            html.Text(f"In napari: workbench gui {samples[RECORDING]}"),
        ],
    )
