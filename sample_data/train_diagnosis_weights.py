"""Train the demo weights of the diagnosis on sketches and drawn pages of simulated hearts.

    python sample_data/train_diagnosis_weights.py --work DIR    # 2.5 hours on two cores; the same seeds every time

All hearts are simulated (`workbench.page.draw.diagnoses`) and all pages drawn. Pages of maker F and of the layout 6x2
never teach: they are rows of their own in ``tests/benchmarks/bench_diagnosis.py``, which reads held-out pages from
their pixels, as a user would. DIR keeps the pictures and the state of the training.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt

PAGES, VALIDATION, RECORDS = 2800, 280, 6000
PROCESSES = 2
DENSITY = 4.0
"""Pixels a millimetre of the flat pages that pictures are cut from."""
SIZE = (256, 512)
UNSEEN_LAYOUTS = ("6x2", "6x2+1", "6x2 Cabrera", "6x2+1 Cabrera", "3x5", "3x1", "6x1", "chest 6x1", "chest 3x2",
                  "6x1 Cabrera")  # fmt: skip
"""Layouts that never teach the network of pictures; those but 6x2 do not show twelve leads."""
CAPTURES = {"render": 0.3, "scan": 0.3, "grey scan": 0.2, "photo": 0.2}
ONE_IN = 4
"""Of how many pictures one is of a page; the others are `ecg_sketches`."""
FIRST, STOP, SECOND = 96_000, 1750, 44_800
"""Pictures of the first stage, in which the four classes are as frequent; it is stopped before its rate has fallen, as
walls are known and rhythms are not. In the second what they are made of is as frequent: half of all hearts have a
rhythm that is not normal."""
PICTURES: dict[str, Any] = {
    "epochs": 1.0, "batch": 32, "lr": 1e-3, "validations": 12, "smoothing": 0.0, "warmup": 0.03, "balanced": False,
}  # fmt: skip
LEADS: dict[str, Any] = {"epochs": 12.0, "batch": 32, "lr": 2e-3, "validations": 6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).parent
    parser.add_argument("--work", type=Path, required=True, help="folder for the pictures and the state")
    parser.add_argument("-o", "--output", type=Path, default=here / "weights" / "ecg_image_diagnosis_demo.safetensors")
    parser.add_argument("--share", type=float, default=1.0, help="share of pages, for trying the script out")
    parser.add_argument("--only", choices=("draw", "image", "signal", "put"), help="one step alone")
    parser.add_argument("--architecture", choices=("vit", "beit", "swin"), default="vit")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.only in (None, "draw"):
        pool(options.work / "taught", round(PAGES * options.share), 0)
        pool(options.work / "validation", round(VALIDATION * options.share), 1)
    if options.only in (None, "signal"):
        learn_leads(options)
    if options.only in (None, "image"):
        learn_pictures(options)
    if options.only in (None, "put"):
        put(options)


def pool(folder: Path, count: int, part: int) -> npt.NDArray[np.uint8]:
    """Pictures of drawn pages, made once, page n of class n modulo 4; it depends on n and its part only."""
    folder.mkdir(exist_ok=True)
    path, done = folder / "pictures.npy", folder / "done.txt"
    mode = "r+" if path.exists() else "w+"
    pictures = np.lib.format.open_memmap(path, mode, np.uint8, (count, *SIZE, 3) if mode == "w+" else None)
    first = int(done.read_text()) if done.exists() else 0
    with Pool(PROCESSES) as processes:
        made = processes.imap(partial(picture, part=part), range(first, count), chunksize=4)
        for n, one in enumerate(made, first):
            pictures[n] = one
            if n % 50 == 49 or n == count - 1:
                done.write_text(str(n + 1))
                print(f"{folder.name}: {n + 1} of {count} pages", flush=True)
    out: npt.NDArray[np.uint8] = pictures[: count or int(done.read_text())]
    return out


def picture(n: int, part: int) -> npt.NDArray[np.uint8]:
    """The picture of page n, laid flat by what is true of it and not by what is found."""
    from workbench.page.diagnose.picture import Piece, assembled, places_of
    from workbench.page.draw.capture import capture
    from workbench.page.draw.diagnoses import DIAGNOSES, patient
    from workbench.page.draw.render import render
    from workbench.page.draw.styles import random_style
    from workbench.page.layouts import layouts
    from workbench.page.rectified import PER_MM, sample
    from workbench.page.traces import channel

    rng = np.random.default_rng([n, part, 16])
    seed = _first(part) + n
    names = [name for name in layouts() if name not in UNSEEN_LAYOUTS]
    common = np.array([4.0 if name in ("3x4", "3x4+1") else 1.0 for name in names])
    style = random_style(rng, layout=str(rng.choice(names, p=common / common.sum())))
    if rng.random() < 0.5:  # as masked pages are
        style = replaced(style, head=(), foot="")
    leads = patient(DIAGNOSES[n % len(DIAGNOSES)], seed)
    page = render(leads, style, dpi=float(rng.uniform(90, 130)), seed=seed)
    kind = str(rng.choice(list(CAPTURES), p=list(CAPTURES.values())))
    page = capture(page, kind, seed=seed)  # type: ignore[arg-type]
    pieces = {}
    for lead in page.leads:
        x, y = lead.paper[np.isfinite(lead.paper[:, 1])].T
        first, last, middle = x[0], x[-1], float(np.median(y))
        first, last, middle = (v + rng.normal(0, 0.3) for v in (first, last, middle))  # as far off as it is found
        pieces[channel(lead.cell.lead, lead.cell.is_strip)] = Piece(first, last, middle, lead.cell.is_strip)
    places = places_of(pieces, style.speed, style.gain, SIZE)
    rows, columns = (int(np.ceil(v * DENSITY)) for v in (style.size[1], style.size[0]))

    def to_pixels(at: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return page.to_pixels(np.asarray(at, float) * (PER_MM / DENSITY))

    flat = sample(page.pixels, to_pixels, (0.0, 0.0), rows, columns)
    return assembled(flat, places, SIZE, DENSITY)


def _first(part: int) -> int:
    """Seed of the first patient of the pages that teach (0) or are held out (1)."""
    return 10_000_000 * (1 + part)


def replaced(style: Any, **changes: Any) -> Any:
    from dataclasses import replace

    return replace(style, **changes)


def records(first: int, count: int) -> Any:
    """Leads of simulated patients, prepared."""
    from workbench.page.diagnose.leads import lead_array
    from workbench.page.draw.diagnoses import DIAGNOSES, patient
    from workbench.page.train.examples import Examples

    kinds = np.arange(count) % len(DIAGNOSES)
    found = np.stack([lead_array(patient(DIAGNOSES[k], first + n)) for n, k in enumerate(kinds)])
    return Examples(found, fine(count, first))


def learn_leads(options: argparse.Namespace) -> None:
    """Train the network of leads."""
    import torch

    from workbench.page.draw.diagnoses import FINER
    from workbench.page.net.lead_net import LeadNet, LeadNetConfig

    torch.manual_seed(1)
    net = LeadNet(LeadNetConfig(len(FINER)))
    path = options.work / "records.npz"
    taught = kept(path, lambda: records(40_000_000, round(RECORDS * options.share)))
    val = kept(options.work / "records_val.npz", lambda: records(50_000_000, round(VALIDATION * options.share)))
    _teach(net, taught, shown(val), LEADS, options, "signal")


def shown(examples: Any) -> Any:
    """Held-out records as pages of 3x4 with a strip show them."""
    from workbench.page.train.examples import Examples, shown_of

    seen = shown_of("3x4+1", examples.inputs.shape[2])
    return Examples(np.where(seen, examples.inputs, np.float32(np.nan)), examples.truth)


def kept(path: Path, make: Any) -> Any:
    from workbench.page.train.examples import Examples

    if not path.exists():
        found = make()
        np.savez(path, inputs=found.inputs, truth=found.truth)
    stored = np.load(path)
    return Examples(stored["inputs"], stored["truth"])


def learn_pictures(options: argparse.Namespace) -> None:
    """Train the network of pictures."""
    import torch
    from ecg_sketches import Sketches
    from safetensors.torch import load_file

    from workbench.page.draw.diagnoses import FINER
    from workbench.page.net.classifiers import PictureNet, small
    from workbench.page.train.examples import Examples

    torch.manual_seed(2)
    net = PictureNet(small(options.architecture, SIZE, len(FINER)))
    pages, held_out = (
        Examples(found, fine(len(found), _first(n)))
        for n, found in enumerate(pool(options.work / name, 0, n) for n, name in enumerate(("taught", "validation")))
    )
    leads = kept(options.work / "records.npz", lambda: records(40_000_000, round(RECORDS * options.share)))
    first = options.work / "image_first.safetensors"
    if not first.exists():
        taught = Sketches(leads, pages, round(FIRST * options.share), ONE_IN)
        _teach(net, taught, held_out, PICTURES, options, "image_first", stop=round(STOP * options.share))
    net.load_state_dict(load_file(first))
    taught = Sketches(leads, pages, round(SECOND * options.share), ONE_IN, even=True)
    _teach(net, taught, held_out, PICTURES, options, "image")


def fine(count: int, first: int) -> npt.NDArray[np.int64]:
    """What each of so many patients has, of the sixteen things that the classes are made of."""
    from workbench.page.draw.diagnoses import DIAGNOSES, FINER, finer

    return np.array([FINER.index(finer(DIAGNOSES[n % len(DIAGNOSES)], first + n)) for n in range(count)])


def _teach(
    net: Any, taught: Any, val: Any, recipe: dict[str, Any], options: argparse.Namespace, name: str, stop: int = 0
) -> None:
    """`stop`: the step after which it ends, before its rate has fallen."""
    import torch
    from safetensors.torch import save_file

    from workbench.core.errors import Cancelled
    from workbench.page.train.classify import ClassifySettings, teach

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    began = time.monotonic()

    def tell(event: Any) -> None:
        if event.validated or event.step % 50 == 0:
            print(name, event.line(), {k: round(v, 3) for k, v in event.scores.items()}, flush=True)
        if stop and event.step >= stop:
            raise Cancelled("far enough")

    teach(
        net, taught, val, ClassifySettings(**recipe), device=torch.device("cpu"), folder=options.work / name,
        resume=True, on_event=tell, fit_head=False,
    )  # fmt: skip
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, options.work / f"{name}.safetensors")
    print(f"{name}: {(time.monotonic() - began) / 60:.1f} minutes", flush=True)


def put(options: argparse.Namespace) -> None:
    """Give both networks a last layer for the four classes, calibrate them on held-out pages, and write one file."""
    import torch
    from scipy.special import softmax

    from workbench import weights
    from workbench.page.diagnose.leads import RECIPE
    from workbench.page.diagnose.model import TASK, TOGETHER, Typical, tensors_of
    from workbench.page.diagnose.opinions import mean_log, pooled
    from workbench.page.diagnose.picture import RECIPE as OF_PICTURES
    from workbench.page.draw.diagnoses import DIAGNOSES
    from workbench.page.evaluate.classes import accuracy, macro_f1
    from workbench.page.layouts import layouts
    from workbench.page.net.run import features_and_logits
    from workbench.page.train.classify import fit_last_layer
    from workbench.training.calibration import temperature_of

    device = torch.device("cpu")
    nets, typical, temperature, scores, odds = {}, {}, {}, {}, {}
    apart = same_hearts(options)
    for name in ("image", "signal"):
        net, taught, val = four(name, options)
        fit_last_layer(net, taught, device)
        seen, _ = features_and_logits(net, taught.inputs, device)
        away, logits = features_and_logits(net, val.inputs, device)
        temperature[name] = round(temperature_of(logits, val.truth), 4)
        typical[name] = Typical.of(seen, taught.truth, away, len(DIAGNOSES))
        said = logits.argmax(1)
        scores[name] = {
            "accuracy": round(accuracy(val.truth, said), 4), "macro F1": round(macro_f1(val.truth, said, 4), 4),
            "pages": len(val),
        }  # fmt: skip
        nets[name] = net
        print(name, scores[name], "temperature", temperature[name], flush=True)
        odds[name] = softmax(features_and_logits(net, apart[name], device)[1] / temperature[name], axis=1)
    truth = np.arange(len(apart["image"])) % len(DIAGNOSES)
    temperature[TOGETHER] = round(temperature_of(mean_log(list(odds.values())), truth), 4)
    both = pooled(list(odds.values()), temperature[TOGETHER])
    scores[TOGETHER] = {"accuracy": round(accuracy(truth, both.argmax(1)), 4), "pages": len(truth)}
    print(TOGETHER, scores[TOGETHER], temperature[TOGETHER], flush=True)
    meta = {
        "backend": "ecg_image", "task": TASK, "title": "Four classes of simulated hearts, for trying things out",
        "net": {name: net.config.to_json() for name, net in nets.items()}, "diagnoses": list(DIAGNOSES),
        "temperature": temperature, "farthest": {name: one.farthest for name, one in typical.items()},
        "layouts": sorted(n for n in layouts() if n not in UNSEEN_LAYOUTS), "simulated": True, "seen": [],
        "recipe": {"leads": RECIPE, "picture": OF_PICTURES},
        "training": {
            "pages": PAGES, "records": RECORDS, "sketches": [32 * STOP, SECOND], "pictures": PICTURES, "leads": LEADS,
            "torch": torch.__version__,
        },
        "scores": scores,
    }  # fmt: skip
    weights.save(options.output, tensors_of(nets, typical), meta)
    print(options.output, f"{options.output.stat().st_size / 1e6:.2f} MB", flush=True)


def same_hearts(options: argparse.Namespace) -> dict[str, Any]:
    """Pictures of held-out pages, and the leads of the same hearts as a page shows them."""
    pictures = pool(options.work / "validation", 0, 1)
    leads = kept(options.work / "records_pages.npz", lambda: records(_first(1), len(pictures)))
    return {"image": np.asarray(pictures), "signal": shown(leads).inputs}


def four(name: str, options: argparse.Namespace) -> tuple[Any, Any, Any]:
    """A network that was taught, with a fresh last layer for four classes; what taught it, and held-out pages."""
    import torch
    from safetensors.torch import load_file

    from workbench.page.draw.diagnoses import DIAGNOSES, FINER
    from workbench.page.net.classifiers import PictureNet, small
    from workbench.page.net.lead_net import LeadNet, LeadNetConfig
    from workbench.page.net.run import head_of
    from workbench.page.train.examples import Examples

    count = len(DIAGNOSES)
    if name == "image":
        net: Any = PictureNet(small(options.architecture, SIZE, len(FINER)))
        inputs = [np.asarray(pool(options.work / part, 0, n)) for n, part in enumerate(("taught", "validation"))]
    else:
        net = LeadNet(LeadNetConfig(len(FINER)))
        taught = np.load(options.work / "records.npz")["inputs"]
        held = Examples(np.load(options.work / "records_val.npz")["inputs"], np.zeros(1, np.int64))
        half = np.arange(len(taught)) // count % 2 == 1  # of each class
        taught[half] = shown(Examples(taught[half], np.zeros(1, np.int64))).inputs
        inputs = [taught, shown(held).inputs]
    net.load_state_dict(load_file(options.work / f"{name}.safetensors"))
    fresh = torch.nn.Linear(head_of(net).in_features, count)
    if name == "signal":
        net.head, net.config = fresh, LeadNetConfig(count)
    else:
        net.net.classifier, net.config = fresh, small(options.architecture, SIZE, count)
        net.net.config.num_labels = count
    return net, *(Examples(one, np.arange(len(one)) % count) for one in inputs)


if __name__ == "__main__":
    main()
