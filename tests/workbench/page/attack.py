"""Damages electrocardiograms of every format, with a limit of memory, and counts what comes out.

python -m tests.workbench.page.attack [--flips 300] [--blocks 40] [--seed 1] [--scp FILE] [FORMAT ...]

Each file is cut at every sixteenth, has single bits turned (half of them in its first 4000 bytes) and blocks lost or
overwritten; in text, numbers become such as no field can hold. An outcome is an error of ours of one line, or an image
with finite samples or gaps; anything else is printed and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from tests.workbench.page.made import aecg_xml, heart, muse_xml, philips_xml, wfdb_record, whole_leads, xli
from workbench.core.errors import WorkbenchError
from workbench.page.data import signal_files, write_signals
from workbench.page.leads import STANDARD

LIMIT = 3 << 30
FORMATS = ("header", "samples", "csv", "dicom", "aecg", "muse", "philips", "packed")


def made(name: str, folder: Path) -> tuple[Path, Path]:
    """A file of that format: the one that is opened, and the one that is damaged."""
    signals = heart(12, 400)
    steps = np.round(signals * 200).astype(np.int64)
    if name in ("header", "samples"):
        lines = [f"200(0)/mV 16 0 {r[0]} {int(r.sum()) & 0xFFFF} 0 {n}" for n, r in zip(STANDARD, steps, strict=True)]
        path = wfdb_record(folder, "r", steps.astype(np.int16), lines)
        return path, path if name == "header" else path.with_suffix(".dat")
    path = folder / f"x.{'csv' if name == 'csv' else 'dcm' if name == 'dicom' else 'xml'}"
    if name == "csv":
        write_signals.write_csv(signals, STANDARD, 500, path)
    elif name == "dicom":
        write_signals.write_dicom(signals, STANDARD, 500, path)
    elif name == "aecg":
        rows = zip((n.upper() for n in STANDARD), steps.tolist(), strict=True)
        path.write_text(aecg_xml([("20250101120000.000", dict(rows))]))
    elif name == "muse":
        path.write_text(muse_xml(whole_leads(400)), encoding="latin-1")
    elif name == "philips":
        path.write_text(philips_xml(steps))
    else:
        path.write_text(philips_xml(steps, raw=xli(steps), packing='compression="XLI"'))
    return path, path


def damages(raw: bytes, flips: int, blocks: int, seed: int = 1):
    """Damaged copies of a file, each with what was done."""
    dice = random.Random(seed)
    for part in range(16):
        yield f"cut at {part}/16", raw[: len(raw) * part // 16]
    for n in range(flips):
        place = dice.randrange(len(raw) if n % 2 else min(len(raw), 4000))
        bit = dice.randrange(8)
        yield f"bit {bit} of byte {place}", raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]
    for n in range(blocks):
        place, length = dice.randrange(len(raw)), dice.randrange(1, 200)
        new = bytes(dice.randrange(256) for _ in range(length)) if n % 2 else b""
        yield f"{length} bytes at {place}", raw[:place] + new + raw[place + length :]


EXTREMES = (
    b"0",
    b"-1",
    b"1e9",
    b"1000000000",
    b"1e308",
    b"nan",
    b"inf",
    b"",
    b"9" * 40,
    b"-5e-320",
    b"0x10",
    b"\xc2\xb5V",
)


def extremes(raw: bytes, count: int, seed: int = 1):
    """Copies of a text in which a number stands for another that no field can hold."""
    dice = random.Random(seed)
    numbers = list(re.finditer(rb"(?<![\w.])-?\d+(?:\.\d+)?", raw[:200_000]))
    early = [m for m in numbers if m.start() < 3000]
    for n in range(count if numbers else 0):
        found, new = dice.choice(numbers if n % 4 == 0 else early or numbers), dice.choice(EXTREMES)
        yield f"{new!r} for {found[0]!r} at {found.start()}", raw[: found.start()] + new + raw[found.end() :]


def outcome(path: Path) -> str:
    """What opening and reading a file gives: ``"read"``, the name of an error of ours, or what is wrong."""
    begun = time.perf_counter()
    try:
        signal_files.sniff(path)
        image = signal_files.read(path)
        data = image.data
    except WorkbenchError as error:
        text = str(error)
        found = type(error).__name__ if "\n" not in text and len(text) < 700 else f"WRONG no one line: {text[:300]!r}"
    except BaseException:
        found = f"WRONG {traceback.format_exc()[-700:]}"
    else:
        fits = data.dtype == np.float32 and data.shape == (len(image.channels), *image.geometry.shape)
        found = "read" if fits and not np.isinf(data).any() else f"WRONG {data.dtype} {data.shape}, infinite values?"
    taken = time.perf_counter() - begun
    return found if taken < 10 else f"WRONG {taken:.0f} s"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("formats", nargs="*", default=list(FORMATS))
    parser.add_argument("--flips", type=int, default=300)
    parser.add_argument("--blocks", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scp", type=Path)
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for form in [*given.formats, *(["scp"] if given.scp else [])]:
            place = folder / form
            place.mkdir()
            if form == "scp":
                opened = damaged = place / "x.scp"
                shutil.copyfile(given.scp, opened)
            else:
                opened, damaged = made(form, place)
            whole = outcome(opened)
            counts: Counter[str] = Counter()
            if whole != "read":
                print(f"{form}: the whole file: {whole}")
                wrong += 1
            original = damaged.read_bytes()
            every = damages(original, given.flips, given.blocks, given.seed)
            if form not in ("samples", "dicom", "scp"):
                every = itertools.chain(every, extremes(original, given.flips, given.seed))
            for what, raw in every:
                damaged.unlink()
                damaged.write_bytes(raw)
                found = outcome(opened)
                counts[found.partition(" ")[0]] += 1
                if found.startswith("WRONG"):
                    wrong += 1
                    print(f"{form}, {what}: {found}")
            print(form, dict(counts))
    return 1 if wrong else 0


if __name__ == "__main__":
    import importlib.util

    import pydicom  # noqa: F401  what is loaded before the limit is not counted
    import wfdb  # noqa: F401

    if importlib.util.find_spec("ecgdatakit"):
        import ecgdatakit  # noqa: F401
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    sys.exit(main())
