from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from workbench.cli.options import json_option, quiet_option, verbose_option
from workbench.cli.say import say


@click.group(invoke_without_command=True)
@click.pass_context
def weights(ctx: click.Context) -> None:
    """List, show, fetch and check weights."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_weights)


@weights.command("list")
@json_option
@verbose_option
def list_weights(as_json: bool = False, verbose: bool = False) -> None:
    """Weights on this machine, and known names that can be fetched."""
    from workbench.weights import listing

    rows = listing()
    if as_json:
        say(json.dumps(rows, indent=2))
        return
    for row in rows:
        size = f"{row['size_mb']:.1f} MB" if row["size_mb"] else "size ?"
        say(f"{row['name']:<20} {row['backend']:<14} {size:>9}  {row['state']:<9} {row['title']}")


def _from_hub(name: str, allow_download: bool, quiet: bool) -> Path:
    from workbench.weights import hub

    if allow_download and not quiet:
        say(f"{name}\nLicence: {hub.licence_of(name)}", err=True)
    return hub.fetch(name, allow_download=allow_download)


@weights.command()
@click.argument("name")
@click.option("--backend", help="Backend whose demo weights are meant.")
@json_option
@verbose_option
def show(name: str, backend: str | None, as_json: bool, verbose: bool) -> None:
    """Show what a weight file says of itself: classes, preparation of images, training, scores, and what taught it.

    Long lists are shortened; --json has all of them.
    """
    from workbench.cli.weights_text import record_lines
    from workbench.core.jsonable import plain_json
    from workbench.core.registry import backends
    from workbench.weights import find

    found = find(name, backend or (next(iter(backends())) if name == "demo" else None))
    record = {"path": str(found.path), "sha256": found.sha256, **found.meta}
    if as_json:
        say(json.dumps(plain_json(record), indent=2, default=str, allow_nan=False))
        return
    card = found.path.with_suffix(".md")
    for line in record_lines(record):
        say(line)
    if card.is_file():
        say(f"\n{card.read_text(encoding='utf-8')}")


@weights.command()
@click.argument("name")
@click.option("--allow-download", is_flag=True, help="Permit use of the network.")
@click.option(
    "--sha256", "hashes", multiple=True, metavar="FILE=HASH",
    help="Hash that a published file must have, where the workbench does not know it.",
)  # fmt: skip
@click.option(
    "--from", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Take published files from this folder instead of the network.",
)  # fmt: skip
@quiet_option
@verbose_option
def get(
    name: str, allow_download: bool, hashes: tuple[str, ...], folder: Path | None, quiet: bool, verbose: bool
) -> None:
    """Fetch known weights by name, or an encoder of slides by hf_hub:OWNER/NAME; kept only if their hash is right."""
    from workbench.cli.progress import bar
    from workbench.core.errors import UsageError
    from workbench.weights import hub
    from workbench.weights.fetch import fetch
    from workbench.weights.published import known

    wrong = next((h for h in hashes if "=" not in h), None)
    if wrong is not None:
        raise UsageError(f"--sha256 {wrong}: expected FILE=HASH, e.g. model_state.pt={'0' * 8}...")
    if name.startswith(hub.HUB):
        if hashes or folder is not None:
            raise UsageError("the hub checks its own hashes: leave out --sha256 and --from")
        say(_from_hub(name, allow_download, quiet))
        return
    given = {file: digest for file, _, digest in (h.rpartition("=") for h in hashes)}
    row = known().get(name)
    if row is not None and row.licence and not quiet:
        say(f"{row.title}\nLicence: {row.licence}", err=True)
    with bar("download", unit="B", quiet=quiet) as progress:
        path = fetch(name, allow_download=allow_download, progress=progress, hashes=given, folder=folder)
    say(path)


@weights.command()
@click.argument("name")
@click.option("--backend", help="Backend that they should be for.")
@click.option("--sha256", help="Hash that the file must have.")
@verbose_option
def check(name: str, backend: str | None, sha256: str | None, verbose: bool) -> None:
    """Read a weight file completely and check its hash; nothing in it is executed."""
    from workbench.core.errors import WeightsError
    from workbench.core.registry import backends
    from workbench.weights import find, load_tensors

    found = find(name, backend or (next(iter(backends())) if name == "demo" else None))
    if sha256 and sha256.lower() != found.sha256:
        raise WeightsError(f"{found.path}: sha256 is {found.sha256}, expected {sha256}")
    entries, count = _contents(load_tensors(found))
    if not entries:
        raise WeightsError(f"{found.path}: holds no tensors, so these are no weights; fetch the file again")
    if found.meta.get("hashes"):
        state = "good: numbers and record have the hashes that were saved with them"
    elif sha256:
        state = "good: the file has the hash that you gave"
    else:
        state = (
            "readable, but it holds no hash to check it against; compare its sha256 with what its maker says "
            "(--sha256 HASH), or save it anew with the workbench"
        )
    say(f"{found.path}: {state}. {entries} entries, {count:,} numbers, sha256 {found.sha256}")


def _contents(content: Any) -> tuple[int, int]:
    """Tensors and numbers in the weights of a checkpoint, or in all of it where no weights are marked as such."""
    from workbench.core.errors import WeightsError
    from workbench.nets.checkpoints import unwrap_checkpoint

    with suppress(WeightsError):
        content = unwrap_checkpoint(content)
    return _counted(content)


def _counted(content: Any) -> tuple[int, int]:
    if hasattr(content, "numel"):
        return 1, int(content.numel())
    inner = content.values() if isinstance(content, Mapping) else content if isinstance(content, list | tuple) else ()
    counts = [_counted(v) for v in inner]
    return sum(c[0] for c in counts), sum(c[1] for c in counts)
