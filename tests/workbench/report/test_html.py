"""Reports need nothing but themselves, escape what they are given, and their pictures are pictures."""

import base64
import io
import re

import numpy as np
import pytest
from matplotlib.image import imread

from tests.follow_links import files_behind
from workbench.core.classes import ClassTable
from workbench.report import html
from workbench.report.pictures import contours, curves


def pictures_in(text: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    return [imread(io.BytesIO(base64.b64decode(f)), format="png") for f in found]


def test_a_report_holds_pictures_that_decode_and_no_links() -> None:
    curve = curves({"Dice": ([0, 1, 2], [0.1, 0.5, 0.7])}, xlabel="minutes", ylabel="Dice", limits=(0, 1),
                   right={"loss": ([0, 1, 2], [2, 1, 0.5])}, right_label="loss")  # fmt: skip
    text = html.render(
        "Title", [html.Section("One", [html.Tiles({"mean Dice": 0.912}), html.Picture(curve, "A curve")])]
    )
    (picture,) = pictures_in(text)
    assert picture.shape[0] > 100
    assert picture.shape[1] > 300
    assert picture[..., :3].std() > 0.01  # something is drawn
    assert "http" not in text.replace("http-equiv", "")
    assert "0.912" in text
    assert "A curve" in text


def test_values_are_escaped_and_numbers_are_shown_for_people() -> None:
    table = html.Table(
        ("name", "value"), [("<script>alert(1)</script>", float("nan")), ("far", float("inf")), ("x", 0.12345)]
    )
    text = html.render("<b>", [html.Section("S", [table, html.Text("a & b", "warning"), html.Facts({"seed": 3})])])
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert '<td class="number">–</td>' in text
    assert "∞" in text
    assert "0.123" in text
    assert "a &amp; b" in text


def test_links_lead_to_files_beside_the_report(tmp_path) -> None:
    target = tmp_path / "case 1" / "a#b%20.csv"
    target.parent.mkdir()
    target.write_text("x")
    page = html.write(
        tmp_path / "report.html", "T", [html.Section("S", [html.Links({"<scores>": "case 1/a#b%20.csv"}, "All")])]
    )
    assert files_behind(page) == [target]
    assert "&lt;scores&gt;</a>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ["/etc/passwd", "https://example.org/x", "javascript:alert(1)", "C:\\scores.csv"])
def test_links_out_of_the_report_are_refused(path) -> None:
    with pytest.raises(ValueError, match="a path relative to it"):
        html.Links({"x": path})


def test_contours_draw_every_class_in_its_colour() -> None:
    classes = ClassTable.from_names(("one", "two"))
    labels = np.zeros((40, 36, 30), np.uint8)
    labels[8:20, 8:20, 8:20] = 1
    labels[22:34, 8:28, 8:22] = 2
    image = np.random.default_rng(0).normal(size=labels.shape)
    png = contours(image, {"reference": labels, "prediction": np.roll(labels, 2, 0)}, classes,
                   spacing_mm=(1, 1, 2), at=(15, 14, 14))  # fmt: skip
    pixels = imread(io.BytesIO(png), format="png")[..., :3].reshape(-1, 3)
    for c in classes:
        assert (np.abs(pixels - np.array(c.color) / 255).max(axis=1) < 0.06).sum() > 50, c.name


def test_names_cannot_steer_a_terminal_or_turn_the_direction_of_writing():
    rows = [["a\x1b[31m<b>", 1], ["\u202erumut", 2]]
    text = html.render("t\x07", [html.Section("s\x9b", [html.Table(["class", "n"], rows), html.Text("one\ntwo\x08")])])
    assert not set("\x1b\x07\x9b\x08\u202e") & set(text)
    for seen in (r"t\x07", r"s\x9b", r"a\x1b[31m&lt;b&gt;", r"\u202erumut", "one\ntwo\\x08"):
        assert seen in text


def test_small_settings_are_not_rounded_away():
    text = html.render("t", [html.Section("s", [html.Facts({"lr": 3e-4, "scale": 0.5, "bound": float("inf")})])])
    found = dict(re.findall(r"<dt>(\w+)</dt><dd>([^<]*)</dd>", text))
    assert found == {"lr": "0.0003", "scale": "0.5", "bound": "\u221e"}
