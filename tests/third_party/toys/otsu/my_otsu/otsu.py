from dataclasses import dataclass

import numpy as np

import workbench as wb


@dataclass(frozen=True)
class Config:  # every setting of predict, declared once
    bins: int = wb.setting(256, "Bins of the histogram.", low=2, high=65536)
    smooth: float = wb.setting(0.0, "Standard deviation of a Gaussian before the threshold.", unit="voxels", low=0.0)


def load(config, device):  # find weights, build the network, put it on the device
    return None  # a method without weights and without a device


def predict(model, image, config, progress=None):
    recorder = wb.Recorder("otsu", config, None, image)  # the third is the weights
    if progress:
        progress(0, 1)
    values = image.data[0].astype(np.float64)  # (channels, i, j, k), loaded now
    if config.smooth:
        from scipy.ndimage import gaussian_filter

        values = gaussian_filter(values, config.smooth)
    if values.min() == values.max():
        raise wb.InputError(f"{image.source}: all samples are {values.min():g}, two values or more were expected.")
    level = threshold(values, config.bins)
    recorder.note(f"threshold {level:.6g} {image.value_unit or ''}".rstrip())
    labels = wb.Labels((values >= level).astype(np.uint8), image.geometry, wb.ClassTable.from_names(["bright"]))
    if progress:
        progress(1, 1)
    return wb.Result({"labels": labels, "volumes": volumes(labels)}, image, recorder.finish())


def volumes(labels):
    """Class, its value, volume and count of voxels: a row per class."""
    voxel = labels.geometry.sample_volume  # mm3, or None where the file gives no spacing
    rows = []
    for c in labels.classes:
        count = int((labels.data == c.value).sum())
        rows.append((c.name, c.value, None if voxel is None else count * voxel / 1000, count))
    return wb.Scores(("class", "value", "volume [mL]", "voxels"), tuple(rows), "volumes")


def threshold(values, bins):
    """The level with the largest variance between what is below and what is above."""
    counts, edges = np.histogram(values, bins)
    n, sums = np.cumsum(counts), np.cumsum(counts * (edges[1:] + edges[:-1]) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums * n[-1] - n * sums[-1]) ** 2 / (n * (n[-1] - n))
    return float(edges[1 + int(np.nanargmax(between[:-1]))])


@dataclass(frozen=True)
class EvaluateConfig(Config):  # the same settings; add those of the scoring
    pass


@dataclass(frozen=True)
class Report:  # any class with these attributes is a wb.EvaluationReport
    rows: list  # one per case: plain values, names with units
    summary: list  # the rows put together
    failures: dict  # case -> why, in one line
    traces: dict  # case -> traceback of what nobody foresaw
    notes: tuple = ()  # what readers of the scores should know
    files: tuple = ()  # what was written

    def text(self):  # for the shell
        return "\n".join(f"{row['measure']}: {row['mean']:.4f} (n={row['n']})" for row in self.summary)


def evaluate(cases, config, out=None, progress=None):
    rows, failures = [], {}
    for number, case in enumerate(cases):
        if progress:
            progress(number, len(cases))
        try:
            rows.append({"case": case.id, "Dice": dice(case, config)})
        except wb.WorkbenchError as error:  # one bad case does not stop the others
            failures[case.id] = str(error)
    if progress:
        progress(len(cases), len(cases))
    values = [row["Dice"] for row in rows]
    summary = [{"measure": "Dice", "mean": float(np.mean(values)), "n": len(rows)}] if rows else []
    files = ()
    if out is not None:  # a folder, or None: then nothing is written
        table = wb.Scores(("case", "Dice"), tuple((row["case"], row["Dice"]) for row in rows))
        files = tuple(wb.write(table, out, name="scores"))  # out/scores.csv
    return Report(rows, summary, failures, {}, files=files)


def dice(case, config):
    if case.labels is None:
        raise wb.InputError(f"{case.image}: has no labels to compare with")
    image = wb.read(case)
    wanted = wb.read_labels(case.labels, reference=image.geometry).data > 0  # another grid is a GeometryError
    found = predict(load(config, None), image, config).labels.data > 0
    both = found.sum() + wanted.sum()
    return float(2 * (found & wanted).sum() / both) if both else 1.0
