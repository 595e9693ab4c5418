"""The page part of the demo: the sample page, the leads that were read from it beside the truth, and a diagnosis."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.core.types import Result
    from workbench.report.demo import Demo
    from workbench.report.html import Section

PAGE = "page_9401"


def read_sample(run: Demo) -> Section | None:
    """Read the sample page into ``run.output``; a section with its leads, or None without the sample."""
    from workbench.core import device as devices
    from workbench.core import settings
    from workbench.core.errors import MissingExtra
    from workbench.core.samples import sample_files
    from workbench.data import formats, write
    from workbench.page import ecg_image as backend
    from workbench.page.report_diagnosis import diagnosis_sections
    from workbench.report import html

    samples = sample_files()
    if PAGE not in samples:
        return None
    asked = {"weights": "demo", "device": run.device}
    config = settings.build(backend.Config, {**asked, "diagnosis": "demo"})
    device, _ = devices.choose(config.device)
    run.say("Paper ECG")
    clock = time.perf_counter()
    lacking = ""
    try:
        model = backend.load(config, device)
    except MissingExtra as error:
        lacking, config = str(error), settings.build(backend.Config, asked)
        model = backend.load(config, device)
    image = formats.read(samples[PAGE], hint="page")
    with run.bar(f"reading {image.name}", unit="step") as draw:
        result = backend.predict(model, image, config, draw)
    files = write.write(result, run.predictions, name=image.name)
    seconds = time.perf_counter() - clock
    measured = result.parts["measurements"].as_dicts()  # type: ignore[union-attr]
    rows = [(m["measurement"], "not measurable" if m["value"] is None else m["value"], m["unit"]) for m in measured]
    rate = next(m["value"] for m in measured if m["measurement"] == "heart rate")
    run.say(f"  {image.name}: {len(result.parts['leads'].channels)} leads, {rate} beats a minute, in {seconds:.1f} s")  # type: ignore[union-attr]
    caption = f"{image.name}: its leads as they were read{_likeness(result, samples)}. Drawn and simulated, no patient."
    diagnosed = [part for section in diagnosis_sections(result) for part in section.parts]
    told = result.provenance.details.get("diagnosis", {})
    said = lacking or f"{told.get('said') or 'no diagnosis is said'} ({told.get('reason')}), by simulated hearts alone"
    run.say(f"  {said}")
    return html.Section("Paper ECG", [
        html.Picture(_leads(result), caption),
        html.Table(("measurement", "value", "unit"), rows),
        *(diagnosed or [html.Text(lacking, "warning")]),
        run.links(image.name, files),
        html.Text(f"In napari: workbench gui {samples[PAGE]} --kind page"),
    ])  # fmt: skip


def _leads(result: Result) -> bytes:
    """PNG of all leads."""
    from workbench.core.preview import png_of
    from workbench.core.signals import Signals
    from workbench.page.preview import drawn

    leads = result.parts["leads"]
    assert isinstance(leads, Signals)
    return png_of(drawn(leads, 1200, row=60, per_mv=26.0))


def _likeness(result: Result, samples: dict[str, Path]) -> str:
    """How near they come to the leads that were drawn."""
    from workbench.core.signals import Signals
    from workbench.page.data import csv_files
    from workbench.page.evaluate.scores import score

    leads = result.parts["leads"]
    if f"{PAGE}_leads" not in samples or not isinstance(leads, Signals):
        return ""
    true = csv_files.read(samples[f"{PAGE}_leads"])
    found = score(
        {name: row.astype(float) for name, row in zip(true.channels, true.data, strict=True)},
        {name: row.astype(float) for name, row in zip(leads.channels, leads.data, strict=True)},
        leads.sampling_rate,
    )
    return f", {found.physionet:.1f} dB by the definition of PhysioNet 2024 against those that were drawn"
