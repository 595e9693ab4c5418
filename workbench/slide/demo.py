"""The slide part of the demo: tissue, tiles and embeddings of the sample slides, and what lies alike in them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.report import html
    from workbench.report.demo import Demo
    from workbench.report.html import Section

SLIDES = ("slide_9301", "slide_9302")
_REGION = 600
"""Side of the region whose nuclei are outlined, in pixels."""


def embed_samples(run: Demo) -> Section | None:
    """Embed the sample slides into ``run.output``; a section with pictures, or None without the samples."""
    from workbench.core import device as devices
    from workbench.core import settings
    from workbench.core.samples import sample_files
    from workbench.data import formats, write
    from workbench.report import html
    from workbench.slide import stainnet as backend
    from workbench.slide.evaluate.pictures import overview

    samples = sample_files()
    paths = [samples[name] for name in SLIDES if name in samples]
    if not paths:
        return None
    config = settings.build(backend.Config, {"weights": "demo", "device": run.device})
    device, _ = devices.choose(config.device)
    model = backend.load(config, device)
    parts: list[html.Table | html.Picture | html.Links | html.Text] = []
    rows = []
    run.say("Slides")
    for path in paths:
        clock = time.perf_counter()
        image = formats.read(path, hint="slide")
        with run.bar(f"embedding {image.name}", unit="tile") as draw:
            result = backend.predict(model, image, config, draw)
        files = write.write(result, run.predictions, name=image.name)
        seconds = time.perf_counter() - clock
        sizes = {r["class"]: r for r in result.parts["areas"].as_dicts()}  # type: ignore[union-attr]
        tissue, tiles = sizes["tissue"]["area [mm2]"], sizes["tiles"]["tiles"]
        rows.append((image.name, f"{tissue:.2f}", tiles, round(seconds, 1)))
        run.say(f"  {image.name}: {tissue:.2f} mm2 of tissue, {tiles} tiles in {seconds:.1f} s")
        caption = f"{image.name}: tissue, and the first principal component of the embeddings of its tiles."
        parts += [html.Picture(overview(result), caption), run.links(image.name, files)]
    head = html.Table(("slide", "tissue [mm2]", "tiles", "seconds"), rows)
    parts += _nuclei(run, paths[0])
    return html.Section("Slides", [head, *parts, html.Text(f"In napari: workbench gui {paths[0]}")])


def _nuclei(run: Demo, path: Path) -> list[html.Table | html.Picture | html.Links | html.Text]:
    """Outline the nuclei of a region in the middle of a slide."""
    from workbench.core import device as devices
    from workbench.core import settings
    from workbench.core.atomic import write_json
    from workbench.core.objects import Objects
    from workbench.data import formats, write
    from workbench.report import html
    from workbench.slide import cellvta as backend
    from workbench.slide.evaluate.pictures import nuclei_of

    clock = time.perf_counter()
    image = formats.read(path, hint="slide")
    rows, columns = image.geometry.shape
    top, left = (rows - _REGION) // 2, (columns - _REGION) // 2
    corners = [[left, top], [left + _REGION, top], [left + _REGION, top + _REGION], [left, top + _REGION], [left, top]]
    region = write_json(run.output / "region.geojson", {"type": "Polygon", "coordinates": [corners]})
    config = settings.build(backend.Config, {"weights": "demo", "device": run.device, "roi": str(region)})
    device, _ = devices.choose(config.device)
    model = backend.load(config, device)
    with run.bar(f"nuclei of {image.name}", unit="tile") as draw:
        result = backend.predict(model, image, config, draw)
    files = write.write(result, run.predictions, name=f"{image.name}_nuclei")
    nuclei, counts = result.parts["nuclei"], result.parts["counts"].as_dicts()[-1]  # type: ignore[union-attr]
    assert isinstance(nuclei, Objects)
    seconds = time.perf_counter() - clock
    run.say(f"  {image.name}: {len(nuclei)} nuclei on {_REGION} x {_REGION} pixels in {seconds:.1f} s")
    caption = (
        f"{image.name}: {len(nuclei)} nuclei outlined on a region, {counts['density [1/mm2]']} per mm2. The demo "
        "network learnt violet and pink fields; of this stain it misses pale nuclei and takes brown fibres for some."
    )
    return [
        html.Picture(nuclei_of(image, nuclei, (top, left, _REGION, _REGION)), caption),
        run.links(f"nuclei of {image.name}", [*files, region]),
    ]
