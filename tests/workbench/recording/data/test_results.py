import json

import numpy as np
import pytest

import workbench as wb
from tests.recording_maker import save_raw
from workbench.core.errors import InputError, NothingFound
from workbench.core.types import Mark, Marks, Provenance, Result, Scores, Signals
from workbench.recording.data.prepare import RecordingRecipe, prepare, restored_signals
from workbench.recording.data.results import read_results


@pytest.fixture
def written(tmp_path):
    """A result as a backend gives it, and the folder that it was written to."""
    image = wb.read(save_raw(tmp_path / "a_raw.fif"))
    made = prepare(image, RecordingRecipe(bad_segments=False))
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 400, made.data.shape).astype(np.uint16)
    surprise = np.abs(made.data)
    surprise[:, :80] = np.nan
    parts = {
        "tokens": Signals(tokens, made.channels, made.geometry, "tokens", role="tokens", kinds=made.kinds),
        "surprisal": Signals(surprise, made.channels, made.geometry, "surprisal", "nats", "map", made.kinds),
        "reconstruction": restored_signals(made, made.data, "reconstruction"),
        "annotations": Marks((Mark(0.5, 0.25, "peak", ("MEG 0003",)), Mark(2.0, 1.0, "blink"))),
        "variance": Scores(("channel", "variance explained [%]"), (("MEG 0001", 97.5),), "variance"),
    }
    provenance = Provenance("meg_gpt", "demo", "0" * 64, {"threshold": 2.0}, notes=("a note",), edited_by_hand=True)
    result = Result(parts, image, provenance)
    return result, wb.write(result, tmp_path / "out")[0].parent


def test_results_read_back_are_those_that_were_written(written):
    made, folder = written
    back = read_results(folder, made.image)
    assert back.image is made.image
    assert set(back.parts) == set(made.parts)
    for key in ("tokens", "surprisal", "reconstruction"):
        part, before = back[key], made[key]
        assert (part.name, part.role, part.unit, part.channels) == (key, before.role, before.unit, before.channels)
        assert part.sampling_rate == before.sampling_rate
        np.testing.assert_allclose(part.data, before.data, rtol=1e-6, atol=1e-25)
    assert back["tokens"].data.dtype == np.uint16
    assert tuple(back["annotations"]) == tuple(made["annotations"])
    assert (back["variance"].columns, back["variance"].rows) == (made["variance"].columns, made["variance"].rows)
    assert back.provenance == made.provenance


def test_without_a_record_they_count_as_made_by_hand(written):
    made, folder = written
    (folder / "provenance.json").unlink()
    for name in ("tokens.npy", "surprisal.npy", "reconstruction_raw.fif", "variance.csv"):
        (folder / name).unlink()
    back = read_results(str(folder), made.image)
    assert list(back.parts) == ["annotations"]
    assert (back.provenance.backend, back.provenance.weights) == ("by hand", "none")


def test_a_folder_without_results_and_damaged_files_are_named(written, tmp_path):
    made, folder = written
    with pytest.raises(NothingFound, match="holds no results of a recording"):
        read_results(tmp_path, made.image)
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    del record["weights"]
    (folder / "provenance.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InputError, match=r"provenance\.json: not readable as the record of a result .*weights"):
        read_results(folder, made.image)
    (folder / "variance.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"variance\.csv: not readable as a table"):
        read_results(folder, made.image)
