"""Borders of waves against the cardiologists of LUDB, beside neurokit2 where it is installed; intervals of pages.

``python tests/benchmarks/bench_ecg_delineation.py --ludb FOLDER [--folds FOLDER] [--records N] [--no-others]``

With ``--folds`` (networks of ``sample_data/train_ecg_waves.py --folds``) each record is looked at by the network that
never saw it; without, by the network that comes with the workbench, which saw all of them: such a table says so.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "sample_data")]

NAMES = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
OTHERS = ("dwt", "cwt", "peak", "prominence")
KEYS = {
    "P on": "ECG_P_Onsets", "P peak": "ECG_P_Peaks", "P off": "ECG_P_Offsets", "QRS on": "ECG_R_Onsets",
    "QRS off": "ECG_R_Offsets", "T on": "ECG_T_Onsets", "T peak": "ECG_T_Peaks", "T off": "ECG_T_Offsets",
}  # fmt: skip


def drawn(folder: Path, number: int, lead: str) -> tuple[dict[str, np.ndarray], float, float]:
    """What people drew in one lead [s], and the stretch in which they did."""
    from train_ecg_waves import waves

    times: dict[str, list[float]] = {}
    for kind, *moments in waves(folder, number, lead):
        for part, moment in zip(("on", "peak", "off"), moments, strict=True):
            times.setdefault(f"{('', 'P', 'QRS', 'T')[kind]} {part}", []).append(moment / 500.0)
    found = {border: np.array(values) for border, values in times.items()}
    every = np.concatenate(list(found.values())) if found else np.zeros(0)
    return found, float(np.nanmin(every, initial=np.inf)), float(np.nanmax(every, initial=-np.inf))


def leads_of(folder: Path, number: int) -> np.ndarray:
    """(12, 5000) mV."""
    import wfdb

    return np.asarray(wfdb.rdrecord(str(folder / str(number))).p_signal.T, np.float64)


def nets_of(folds: Path | None) -> Callable[[int], Any]:
    """The network for each record."""
    from safetensors import safe_open

    from workbench.page.measure.waves import network

    if folds is None:
        return lambda number: network()
    held: dict[int, Path] = {}
    for path in sorted(folds.glob("fold_*.safetensors")):
        with safe_open(path, "pt") as file:
            held |= {int(n): path for n in file.metadata()["held_out"].split(",")}
    return lambda number: network(held[number]) if number in held else None


def other(data: np.ndarray, rate: float, method: str) -> dict[str, np.ndarray]:
    """What neurokit2 finds in one lead, given the R peaks that it finds there itself."""
    import neurokit2 as nk

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            clean = nk.ecg_clean(data, sampling_rate=rate)
            _, peaks = nk.ecg_peaks(clean, sampling_rate=rate)
            _, found = nk.ecg_delineate(clean, peaks["ECG_R_Peaks"], sampling_rate=rate, method=method)
        except Exception:  # it raises whatever it raises: then it found nothing
            return {}
    times = {border: np.sort(np.asarray(found.get(key, []), float) / rate) for border, key in KEYS.items()}
    return times | {"QRS peak": np.asarray(peaks["ECG_R_Peaks"], float) / rate}


def table(title: str, pairs: list[tuple[Any, ...]]) -> None:
    """Print the scores of one method."""
    from workbench.page.evaluate.delineation import score

    print(f"\n{title}\n\n| border | drawn | found | Se % | PPV % | mean ms | sd ms |\n|---|---|---|---|---|---|---|")
    for row in score(pairs):
        cells = [
            f"{100 * row.sensitivity:.2f}" if row.sensitivity is not None else "-",
            f"{100 * row.predictivity:.2f}" if row.predictivity is not None else "-",
            f"{row.mean:+.1f}" if row.mean is not None else "-",
            f"{row.sd:.1f}" if row.sd is not None else "-",
        ]
        print(f"| {row.border} | {row.reference} | {row.found} | {' | '.join(cells)} |")


def without_p(folder: Path, numbers: list[int]) -> set[int]:
    """Records in which nobody drew a P wave."""
    from train_ecg_waves import LEADS

    return {n for n in numbers if not any("P peak" in drawn(folder, n, lead)[0] for lead in LEADS)}


WAYS = ("whole", "alone", "100 Hz", "digitised", "page")


def seen(data: np.ndarray, way: str, number: int) -> tuple[np.ndarray, float]:
    """A record as it may come: at 100 Hz, or from the columns of a scan, or as windows of a page."""
    from workbench.page.measure.prepare import resampled

    if way == "100 Hz":
        return resampled(data, 500.0, 100.0)[0], 100.0
    if way == "digitised":  # columns of 200 dots per inch, rows of 0.013 mV, a trace of noise, a bent page
        rng = np.random.default_rng(number)
        rows, rate = resampled(data, 500.0, 197.0)[0], 197.0
        time = np.arange(rows.shape[1]) / rate
        rows = rows + 0.05 * np.sin(2 * np.pi * rng.uniform(0.05, 0.3, (12, 1)) * time + rng.uniform(0, 6, (12, 1)))
        return np.rint((rows + rng.normal(0, 0.012, rows.shape)) / 0.0127) * 0.0127, rate
    if way == "page":
        return page_of(data)[0][:12], 500.0
    return data, 500.0


def ours(
    folder: Path, numbers: list[int], net_of: Callable[[int], Any], way: str = "whole"
) -> Iterator[tuple[int, list[dict[str, np.ndarray]]]]:
    """What is found in each lead of each record."""
    from workbench.page.measure.measured import measure_leads

    for number in numbers:
        data, rate = seen(leads_of(folder, number), way, number)
        net = net_of(number)
        if way == "alone":
            alone = [measure_leads(data[k : k + 1], NAMES[k : k + 1], rate, net=net).waves for k in range(12)]
            yield number, [one.times(0) for one in alone]
        else:
            found = measure_leads(data, NAMES, rate, net=net).waves
            yield number, [found.times(k) for k in range(12)]


INTERVALS = ("heart rate", "P", "PR", "QRS", "QT", "QTc Bazett", "QTc Fridericia", "P axis", "QRS axis", "T axis")


def page_of(data: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """What a page of 3 x 4 leads with a strip of lead II shows of the same ten seconds."""
    page, quarter = np.full_like(data, np.nan), data.shape[1] // 4
    for row in range(12):
        part = slice(row // 3 * quarter, (row // 3 + 1) * quarter)
        page[row, part] = data[row, part]
    return np.concatenate([page, data[1:2]]), (*NAMES, "II")


def drawn_intervals(reference: dict[Any, Any], number: int, centres: np.ndarray) -> dict[str, float]:
    """PR, QRS and QT [ms] from what people drew, by the same rule over leads."""
    from train_ecg_waves import LEADS

    from workbench.page.measure.lead_rule import borne_out

    per_lead = np.full((12, 9), np.nan)
    for row, lead in enumerate(LEADS):
        times = reference[number, lead][0]
        for k, border in enumerate(("P on", "", "", "QRS on", "", "QRS off", "", "", "T off")):
            moments = times.get(border, np.zeros(0))
            low, high = (-0.45, 0.0) if k == 0 else (0.1, 0.7) if k == 8 else (-0.15, 0.2)
            near = [min((m - c for m in moments if low < m - c < high), key=abs, default=np.nan) for c in centres]
            near = np.array(near)[np.isfinite(near)]
            if border and len(near):
                per_lead[row, k] = np.median(near)
    first, on, off, last = (borne_out(per_lead[:, k], k) for k in (0, 3, 5, 8))
    return {"PR": 1000 * (on - first), "QRS": 1000 * (off - on), "QT": 1000 * (last - on)}


def differences(
    title: str, rows: dict[str, list[tuple[float, int]]], lost: dict[str, int], units: dict[str, str]
) -> None:
    """Print mean, standard deviation and the worst of differences."""
    print(f"\n{title}\n\n| | both | only one | mean | sd | worst |\n|---|---|---|---|---|---|")
    for name, values in rows.items():
        off = np.array([value for value, _ in values])
        if len(off) > 1:
            worst = int(np.abs(off).argmax())
            cells = f"{off.mean():+.1f} | {off.std(ddof=1):.1f} | {off[worst]:+.0f} {units.get(name, 'ms')}"
            cells += f" (record {values[worst][1]})"
            print(f"| {name} | {len(off)} | {lost.get(name, 0)} | {cells} |")


def compare_intervals(folder: Path, numbers: list[int], net_of: Callable[[int], Any], reference: Any) -> None:
    """Whether there is a P wave, pages against whole records, and intervals against what people drew."""
    from workbench.page.measure.measured import measure_leads

    no_p = without_p(folder, numbers)
    pages: dict[str, list[tuple[float, int]]] = {name: [] for name in INTERVALS}
    people: dict[str, list[tuple[float, int]]] = {name: [] for name in ("PR", "QRS", "QT")}
    lost: dict[str, int] = {}
    missed, invented, page_missed, page_invented = [], [], [], []
    units: dict[str, str] = {}
    for number in numbers:
        data = leads_of(folder, number)
        whole = measure_leads(data, NAMES, 500.0, net=net_of(number))
        page = measure_leads(*page_of(data), 500.0, net=net_of(number))
        for one, wrong, absent in ((whole, invented, missed), (page, page_invented, page_missed)):
            if number in no_p and one.p.present:
                wrong.append(number)
            if number not in no_p and not one.p.present:
                absent.append(number)
        drawn_ones = drawn_intervals(reference, number, whole.beats.times[whole.beats.dominant])
        for name in INTERVALS:
            a, b = whole[name].value, page[name].value
            units[name] = whole[name].unit
            if a is not None and b is not None:
                off = b - a
                pages[name].append(((off + 180) % 360 - 180 if units[name] == "deg" else off, number))
            elif a is not None or b is not None:
                lost[name] = lost.get(name, 0) + 1
            if name in people and a is not None and np.isfinite(drawn_ones[name]):
                people[name].append((a - drawn_ones[name], number))
    print(f"\nP found in records without: {len(invented)} of {len(no_p)} {invented} (pages: {page_invented})")
    print(f"P missed in records with: {len(missed)} of {len(numbers) - len(no_p)} {missed} (pages: {page_missed})")
    differences("## page of 3 x 4 leads and a strip, less the whole record", pages, lost, units)
    differences("## intervals less those from drawn borders, by the same rule over leads", people, {}, units)


def main() -> int:
    """Measure and print."""
    from train_ecg_waves import LEADS, records

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ludb", type=Path, default=ROOT.parent / "shared" / "data" / "ludb")
    parser.add_argument("--folds", type=Path)
    parser.add_argument("--records", type=int)
    parser.add_argument("--way", choices=WAYS, default="whole", help="how the leads come; others than whole only score")
    parser.add_argument("--no-others", action="store_true")
    options = parser.parse_args()
    net_of = nets_of(options.folds)
    numbers = [n for n in records(options.ludb) if net_of(n) is not None][: options.records]
    reference = {(n, lead): drawn(options.ludb, n, lead) for n in numbers for lead in LEADS}
    no_p = without_p(options.ludb, numbers)
    pairs, false_p, beats = [], {}, 0
    for number, found in ours(options.ludb, numbers, net_of, options.way):
        for row, lead in enumerate(LEADS):
            times, first, last = reference[number, lead]
            mine = found[row]
            if options.way == "page":  # scored where the lead was seen
                low, high = 2.5 * (row // 3), 2.5 * (row // 3 + 1)
                times = {border: x[(x > low) & (x < high)] for border, x in times.items()}
                first, last = max(first, low), min(last, high)
            pairs.append((times, mine, first, last))
            if number in no_p:
                beats += len(times.get("QRS peak", ()))
                false_p[number] = false_p.get(number, 0) + sum(first <= x <= last for x in mine["P peak"])
    how = "held-out folds" if options.folds else "NOT held out: the network learnt from these records"
    table(f"## workbench, {len(numbers)} records, {options.way} ({how})", pairs)
    print(f"\nrecords without P: {len(no_p)}, {beats} beats x leads, P found {sum(false_p.values())}: {false_p}")
    if options.way != "whole":
        return 0
    compare_intervals(options.ludb, numbers, net_of, reference)
    if options.no_others or importlib.util.find_spec("neurokit2") is None:
        return 0
    rows = {n: leads_of(options.ludb, n) for n in numbers}
    for method in OTHERS:
        pairs, false = [], 0
        for number in numbers:
            for row, lead in enumerate(LEADS):
                times, first, last = reference[number, lead]
                theirs = other(rows[number][row], 500.0, method)
                pairs.append((times, theirs, first, last))
                if number in no_p:
                    false += sum(first <= x <= last for x in theirs.get("P peak", ()))
        table(f"## neurokit2 {method}", pairs)
        print(f"\nrecords without P: P found {false}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
