"""What a page with lines teaches: traces where lines are, names where they stand, and nothing where nobody knows."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.workbench.page.pages import drawn
from tests.workbench.page.taught_pages import true_lines
from workbench.core.lines import Lines
from workbench.page import ecg_image
from workbench.page.net.page_net import LEADS, PageMaps
from workbench.page.predict.digitise import flatten
from workbench.page.settings import Config
from workbench.page.traces import LEAD, Sheet
from workbench.page.train.crops import crops
from workbench.page.train.learn import batch_of, loss_of, loss_of_maps, loss_of_taught
from workbench.page.train.taught import piece, teach


@pytest.fixture(scope="module")
def net():
    return ecg_image.load(Config(device="cpu"), torch.device("cpu")).net


class Blind(torch.nn.Module):
    """Sees nothing, at once."""

    def forward(self, pages):
        n, _, h, w = pages.shape
        sizes = ((n, h, 2 * w), (n, h, 2 * w), (n, h // 2, w // 2), (n, 13, h // 8, w // 8))
        return PageMaps(*(torch.full(size, -9.0) for size in sizes))


@pytest.fixture(scope="module")
def page():
    return drawn(85, "A", "3x4+1", 110.0)


@pytest.fixture(scope="module")
def taught(page, net):
    return teach(page.pixels, true_lines(page), net)


def test_what_is_taught_lies_on_the_ink(page, taught):
    rows, columns = taught.pixels.shape[:2]
    assert (rows % 32, columns % 32) == (0, 0)
    assert taught.trace.shape == taught.known.shape == taught.pulse.shape == (rows, 2 * columns)
    assert taught.words.shape == (rows // 2, columns // 2)
    assert taught.names.shape == (13, rows // 8, columns // 8)
    ink = np.repeat(taught.pixels.astype(int).sum(axis=2), 2, axis=1)
    assert np.median(ink[taught.trace > 200]) < np.median(ink) - 150
    # The network knows this style: what it sees is what the lines say.
    both = (taught.seen & (taught.trace > 127)).sum()
    assert 2 * both / (taught.seen.sum() + (taught.trace > 127).sum()) > 0.85
    assert taught.without < 0.1
    assert 0.001 < (taught.known == 0).mean() < 0.02
    assert not taught.pulse[taught.trace > 127].any()


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_picture_that_lies_turned_teaches_the_same(page, taught, turn):
    pixels = np.ascontiguousarray(np.rot90(page.pixels, turn))
    other = teach(pixels, true_lines(page, turn), Blind())
    assert np.abs(other.pixels.astype(int) - taught.pixels).max() <= 2
    assert np.abs(other.trace.astype(int) - taught.trace).max() <= 2


def test_a_gap_in_a_line_is_not_taught_to_be_paper(page, taught):
    lines = true_lines(page)
    row = lines.feature(LEAD).index("V1")
    points = lines.line(row)
    n = len(points) // 3
    parts = [*(lines.line(k) for k in range(len(lines)) if k != row), points[:n], points[2 * n :]]
    order = [*(k for k in range(len(lines)) if k != row), row, row]
    features = {key: tuple(values[k] for k in order) for key, values in lines.features.items()}
    other = teach(page.pixels, Lines.from_points(parts, features=features, about=lines.about), Blind())
    gone = (taught.trace > 127) & (other.trace < 20)
    assert gone.sum() > 200
    assert (other.known[gone] == 0).mean() > 0.95


def names_at(taught, page):
    """Of each name that is printed: what it says, and what is taught there."""
    paper = Sheet.of(true_lines(page)).paper
    flat = flatten(page.pixels, paper)
    out = []
    for word in page.words:
        if word.kind == "lead":
            x, y = (paper.to_paper(word.corners).mean(axis=0) - flat.corner).astype(int)  # a place for a millimetre
            here = taught.names[:, y - 1 : y + 2, x - 1 : x + 2].max(axis=(1, 2))
            out.append((word.text, LEADS[int(here.argmax())], int(here.max())))
    return out


def test_names_are_taught_where_the_network_saw_some_and_say_what_the_lines_say(page, taught, net):
    found = names_at(taught, page)
    assert len(found) == 13
    assert taught.named == 13
    assert [word for word, said, share in found if word != said or share < 200] == [], found
    other = {"V2": "V5", "V5": "V2", "I": "aVL"}
    lines = true_lines(page)
    features = {**lines.features, LEAD: tuple(other.get(n, n) for n in lines.feature(LEAD))}
    swapped = teach(page.pixels, replace(lines, features=features), net)
    assert all(said == other.get(word, word) for word, said, _ in names_at(swapped, page))
    nameless = teach(page.pixels, replace(lines, features={**features, LEAD: ("",) * len(lines)}), net)
    assert nameless.named == 0


def test_lines_for_half_of_the_leads_are_seen_to_be_too_few(page, net):
    lines = true_lines(page)
    few = Lines.from_points(
        [lines.line(n) for n in range(4)], features={k: v[:4] for k, v in lines.features.items()}, about=lines.about
    )
    assert teach(page.pixels, few, net).without > 0.4


def test_pieces_have_the_sizes_of_pieces_of_drawn_pages(page, taught):
    one = piece(taught, np.random.default_rng(0))
    crop = next(iter(crops(page, np.random.default_rng(0), 1)))
    for name, values in one.items():
        assert values.dtype == np.uint8
        assert values.shape == getattr(crop, "trace" if name == "known" else name).shape
    assert (one["pixels"] != piece(taught, np.random.default_rng(1))["pixels"]).any()


def test_what_is_not_known_costs_nothing(taught, net):
    batch = batch_of({k: v[None] for k, v in piece(taught, np.random.default_rng(3)).items()})
    with torch.no_grad():
        maps = net(batch["pixels"])
        right = loss_of_taught(maps, batch)
        wrong = {**batch, "trace": 1 - batch["trace"]}
        assert loss_of_taught(maps, wrong) > right + 1
        nothing = {"known": torch.zeros_like(batch["known"])}
        assert float(loss_of_taught(maps, batch | nothing)) == pytest.approx(
            float(loss_of_taught(maps, wrong | nothing)), abs=1e-5
        )
        assert float(loss_of(net, batch)) == pytest.approx(float(loss_of_maps(maps, batch)))
