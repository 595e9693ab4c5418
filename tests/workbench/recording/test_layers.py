import json

import numpy as np
import pytest

from tests.recording_maker import save_raw, signals
from workbench.core.layers import KEY, to_layers
from workbench.core.types import Embeddings, Mark, Marks, Provenance, Result, Scores, Signals, time_base
from workbench.data import formats
from workbench.recording import layers as rl
from workbench.recording.data.recording import image_of


def test_a_recording_is_channels_by_seconds_with_its_annotations(tmp_path):
    image = formats.read(save_raw(tmp_path / "a_raw.fif"))
    (data, attributes, kind), (boxes, about, shapes) = to_layers(image)
    assert (kind, shapes, data.shape) == ("image", "shapes", (8, 6000))
    assert attributes["scale"] == (1.0, 1 / 500)
    assert attributes["translate"] == (0.0, 0.0)
    assert attributes["axis_labels"] == ("channel", "time")
    record = attributes["metadata"][KEY]
    assert json.loads(json.dumps(record)) == record
    assert (record["kind"], record["role"], record["name"]) == ("recording", "recording", "a_raw")
    assert record["channels"] == [f"MEG {i:04d}" for i in range(1, 9)], "the bad one too"
    raw = image.data[:8]
    expected = (raw - np.median(raw, axis=1, keepdims=True)) / np.array(record["row_scale"])[:, None]
    np.testing.assert_allclose(data, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.percentile(np.abs(data), 50, axis=1), 0.6745, rtol=0.01)
    assert about["shape_type"] == "rectangle"
    assert about["features"]["label"] == ["BAD_jump", "movement", "spike"]
    np.testing.assert_allclose([boxes[0].min(axis=0), boxes[0].max(axis=0)], [[-0.5, 1.0], [7.5, 1.5]], atol=1e-3)
    np.testing.assert_allclose([boxes[2].min(axis=0), boxes[2].max(axis=0)], [[-0.5, 7.5], [2.5, 7.75]], atol=1e-3)


def test_all_kinds_are_visible(shared_data):
    image = formats.read(shared_data / "meg" / "neuromag_evoked-ave.fif.gz", series=1)
    ((data, attributes, _),) = to_layers(image)
    assert data.shape == (306, 421)
    kinds = np.array(attributes["metadata"][KEY]["row_kinds"])
    for kind in ("mag", "grad"):
        assert 0.5 < np.median(np.abs(data[kinds == kind])) < 1.0
    assert attributes["translate"][1] == pytest.approx(-0.1998, abs=1e-4)


def test_long_recordings_stay_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(rl, "MANY", 10_000)
    image = formats.read(save_raw(tmp_path / "a_raw.fif", seconds=60.0))
    (few, attributes, _), _ = to_layers(image)
    step = attributes["metadata"][KEY]["step"]
    assert few.shape == (8, -(-30000 // step))
    assert few.shape[1] <= rl.COLUMNS
    assert attributes["scale"] == (1.0, step / 500)
    # The first column stands for `step` samples, so its middle lies between them.
    assert attributes["translate"][1] == pytest.approx((step - 1) / 2 / 500)
    assert "data" not in image.__dict__
    monkeypatch.setattr(rl, "MANY", 10_000_000)
    whole = to_layers(image)[0][0]
    first = whole[:, : min(step, 32)]
    peaks = first[np.arange(8), np.abs(first).argmax(axis=1)]
    np.testing.assert_allclose(few[:, 0], peaks, rtol=0.1)


def test_parts_of_a_result_lie_on_the_recording():
    image = image_of(signals(4, 20.0, 500.0, scale=1.0), ["a", "b", "c", "d"], 500.0, start=1.0)
    base = time_base(5000, 250.0, 1.0)
    surprise = np.ones((4, 5000), np.float32)
    surprise[:, :80] = np.nan
    surprise[1, 300:310] = 50
    parts = {
        "tokens": Signals(np.arange(20000, dtype=np.uint8).reshape(4, 5000) % 66, tuple("abcd"), base, "tokens",
                          role="tokens"),
        "surprisal": Signals(surprise, tuple("abcd"), base, "surprisal", "nats", "map"),
        "reconstruction": Signals(3 + 2 * signals(4, 20.0, 250.0, scale=1.0), tuple("abcd"), base, "reconstruction"),
        "annotations": Marks((Mark(2.2, 0.1, "peak", ("b",)),)),
        "variance": Scores(("channel",), (("a",),)),
        "features": Embeddings(np.ones((2, 3), np.float32), ("x", "y")),
    }  # fmt: skip
    layers = to_layers(Result(parts, image, Provenance("meg_gpt", "demo", None, {})))
    assert [kind for _, _, kind in layers] == ["labels", "image", "image", "shapes"]
    for data, attributes, _ in layers[:3]:
        assert data.shape == (4, 5000)
        assert (attributes["scale"], attributes["translate"]) == ((1.0, 0.004), (0.0, 1.0))
        assert json.dumps(attributes["metadata"])
    tokens, surprisal, reconstruction, annotations = layers
    assert tokens[0].dtype == np.uint8
    assert len({tuple(v) for k, v in tokens[1]["colormap"].items() if k}) > 15
    assert surprisal[1]["colormap"] == "magma"
    low, high = surprisal[1]["contrast_limits"]
    assert low == 1.0
    assert 1 < high <= 50
    assert np.abs(np.median(reconstruction[0], axis=1)).max() < 0.1
    np.testing.assert_allclose(annotations[0][0], [[0.5, 2.2], [0.5, 2.3], [1.5, 2.3], [1.5, 2.2]])


def test_annotations_go_there_and_back():
    rows = ("a", "b", "c", "d")
    marks = Marks((Mark(1.0, 0.5, "blink"), Mark(2.0, 0.25, "spike", ("a", "d")), Mark(3.0, 1.0, "x", ("c",))))
    data, attributes, _ = rl.marks_layer(marks, rows, {"kind": "recording"})
    assert rl.marks_from_layer(data, attributes).marks == marks.marks
    moved = [data[0] + [0, 5.0], data[1], data[2] + [-1.0, 0]]
    back = rl.marks_from_layer(moved, attributes)
    assert back.marks == (Mark(2.0, 0.25, "spike", ("a", "d")), Mark(3.0, 1.0, "x", ("b",)), Mark(6.0, 0.5, "blink"))
    # A new shape that somebody draws: napari gives it the defaults, and any corners.
    drawn = [*data, np.array([[3.4, 9.0], [3.4, 8.0], [2.6, 8.0], [2.6, 9.0]])]
    features = {k: [*v, attributes["feature_defaults"][k]] for k, v in attributes["features"].items()}
    added = rl.marks_from_layer(drawn, {**attributes, "features": features})
    assert added.marks[-1] == Mark(8.0, 1.0, "annotation", ("d",))
    assert rl.marks_from_layer([], {"features": {}}).marks == ()


def test_napari_takes_the_layers(tmp_path):
    napari_layers = pytest.importorskip("napari.layers")
    image = formats.read(save_raw(tmp_path / "a_raw.fif"))
    (data, attributes, _), (boxes, about, _) = to_layers(image)
    layer = napari_layers.Image(data, **attributes)
    np.testing.assert_allclose(layer.extent.world[1][1], 12.0, atol=0.01)
    shapes = napari_layers.Shapes(boxes, **about)
    found = rl.marks_from_layer(shapes.data, {"features": shapes.features, "metadata": shapes.metadata})
    assert [(m.label, m.channels) for m in found] == [
        ("BAD_jump", ()), ("movement", ()), ("spike", ("MEG 0001", "MEG 0003"))
    ]  # fmt: skip
    assert [m.onset for m in found] == pytest.approx([1.0, 6.0, 7.5], abs=1e-3)
    tokens = Signals(np.ones((7, 3000), np.uint8), tuple("abcdefg"), time_base(3000, 250.0), "tokens", role="tokens")
    data, attributes, _ = rl.signals_layer(tokens, {}, "tokens")
    assert napari_layers.Labels(data, **attributes).extent.world[1][1] == pytest.approx(12.0, abs=0.01)
