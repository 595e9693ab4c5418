from __future__ import annotations

from pathlib import Path

import click

from workbench.cli.options import quiet_option, verbose_option


@click.command()
@click.option(
    "-o", "--output", default="demo_out", show_default=True, type=click.Path(path_type=Path), help="Folder for results."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@quiet_option
@verbose_option
def demo(output: Path, device: str, quiet: bool, verbose: bool) -> int:
    """Segment the sample CTs, map the sample scene, explore the sample recording, and report with pictures.

    The CTs are synthetic torso phantoms that the demo weights have not seen. The hyperspectral scene is synthetic too:
    a network learns it from 20 painted pixels per class. The MEG recording is simulated, of a subject that the demo
    weights have not seen. Needs no network connection.
    """
    from workbench import api
    from workbench.batch.run import run
    from workbench.cli.demo_recording import explore_sample_recording
    from workbench.cli.demo_scene import map_sample_scene
    from workbench.cli.progress import bar
    from workbench.core import registry, settings
    from workbench.core.errors import WorkbenchError
    from workbench.core.samples import sample_files
    from workbench.report import html

    listing = sample_files().get("cases")
    if listing is None:
        raise WorkbenchError("the sample data is not part of this installation; reinstall napari-workbench")
    backend = registry.find("segformer3d")
    cases = api.cases(listing)
    config = settings.build(backend.load_module().Config, {"weights": "demo", "device": device})
    with bar("segmenting", quiet=quiet, unit="window") as draw:
        done = run(backend, cases, output / "predictions", config, overwrite=True, on_start=lambda *_: draw)
    for failure in done.failures:
        click.echo(f"Error: {failure.message}", err=True)
    click.echo("Volumes [mL]")
    for outcome in done.outcomes:
        amounts = ", ".join(f"{r['class']} {r['volume [mL]']:.0f}" for r in outcome.table)
        click.echo(f"  {outcome.case} ({outcome.seconds:.1f} s): {amounts}")
    with bar("scoring", quiet=quiet, unit="case") as draw:
        report = api.evaluate(backend.name, cases, out=output / "report", progress=draw, weights="demo", device=device)
    click.echo()
    click.echo(report.text())
    click.echo()
    scene = map_sample_scene(output, device, quiet=quiet)
    click.echo()
    recording = explore_sample_recording(output, device, quiet=quiet)
    table = html.Table(
        ("class", "Dice", "HD95 [mm]"), [(r["class"], r["dice_mean"], r["hd95_mm_mean"]) for r in report.summary]
    )
    sections = [html.Section("CT volumes", [table, html.Text("Pictures and all scores: report/report.html")])]
    summary = html.write(output / "demo.html", "napari-workbench demo", [*sections, *filter(None, (scene, recording))])
    click.echo()
    click.echo(f"Label maps: {output / 'predictions'}")
    click.echo(f"Report with pictures: {(output / 'report' / 'report.html').resolve()}")
    click.echo(f"Summary with scene and recording: {summary.resolve()}")
    click.echo("See them in napari: workbench gui " + str(cases[0].image))
    return done.exit_code
