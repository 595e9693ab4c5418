"""What strangers can add without a line of ours: a backend without weights, and a new kind of data with its backend."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.tiny import make_volume
from workbench.data.objects import read_objects

AREAS = [60.0, 30.0]  # the square without its hole, the bar


def test_shell_lists_them_and_says_whose_they_are(run):
    rows = {row["name"]: row for row in json.loads(run("backends", "--json").stdout)}
    assert set(rows) == {
        "segformer3d",
        "lola_specvit",
        "meg_gpt",
        "stainnet",
        "cellvta",
        "ihc",
        "ecg_image",
        "otsu",
        "blobs",
        "mean_colour",
    }
    listed = run("backends").stdout
    assert "(Blobs)" in listed, "a backend without a paper"
    assert "(Otsu, doi:" in listed
    doctor = run("doctor").stdout
    assert "kind photo" in doctor
    assert "blobs" in doctor
    assert "third party" in doctor


def test_a_method_without_weights_runs_from_the_shell(run, tmp_path):
    volume = make_volume(tmp_path / "in" / "ct.nii.gz")
    done = run("predict", "otsu", "-i", str(volume), "-o", str(tmp_path / "out"), "--bins", "64")
    assert done.returncode == 0, done.stderr
    assert "no weights" in done.stderr
    assert "mL" in done.stderr
    record = json.loads((tmp_path / "out" / "ct" / "provenance.json").read_text(encoding="utf-8"))
    assert (record["weights"], record["weights_sha256"], record["settings"]["bins"]) == ("none", None, 64)
    import nibabel as nib

    labels, source = nib.load(tmp_path / "out" / "ct" / "labels.nii.gz"), nib.load(volume)
    assert np.array_equal(labels.affine, source.affine)
    assert np.array_equal(np.asarray(labels.dataobj) > 0, np.asarray(source.dataobj) > -475)
    again = run("predict", "otsu", "-i", str(volume), "-o", str(tmp_path / "out"), "--bins", "64")
    assert "already complete" in again.stderr
    other = run("predict", "otsu", "-i", str(volume), "-o", str(tmp_path / "out"), "--bins", "32")
    assert other.returncode != 0
    assert "bins" in other.stderr


def test_help_shows_ranges_and_units_and_verbs_that_are_lacking_are_absent(run):
    text = run("predict", "otsu", "--help").stdout
    assert "[2 to 65536]" in text
    assert "[>= 0 voxels]" in text
    assert "--device" not in text
    assert "otsu" not in run("train", "--help").stdout
    refused = run("train", "otsu", "--help")
    assert refused.returncode == 2
    assert refused.stderr.strip() == (
        "Error: backend otsu offers predict, evaluate, not train. Backends of its kind that can: segformer3d."
    )


def test_the_kind_is_checked_before_the_backend_is_called(run, photo, tmp_path):
    volume = make_volume(tmp_path / "in" / "ct.nii.gz")
    wrong = run("predict", "blobs", "-i", str(volume), "-o", str(tmp_path / "out"))
    assert wrong.returncode == 3
    assert "this is a volume, and backend blobs takes a photo. Backends for it: segformer3d, otsu." in wrong.stderr
    other = run("predict", "segformer3d", "-i", str(photo), "-o", str(tmp_path / "out"))
    assert other.returncode == 3
    assert "this is a photo, and backend segformer3d takes a volume. Backends for it: blobs." in other.stderr


def test_a_new_kind_from_the_shell(run, photo, tmp_path):
    (row,) = json.loads(run("info", str(photo), "--json").stdout)
    assert (row["kind"], row["shape"], row["channels"]) == ("photo", [40, 60], ["red", "green", "blue"])
    done = run("predict", "blobs", "-i", str(photo), "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stderr.splitlines() if "mm2" in line] == [
        ["small", "7.5", "mm2"],
        ["large", "15.0", "mm2"],
    ]
    found = read_objects(tmp_path / "out" / "cells" / "blobs.geojson")
    assert sorted(found.areas(), reverse=True) == AREAS
    assert [c.name for c in found.classes] == ["small", "large"]
    assert found.measurements["area [mm2]"].tolist() == [area / 4 for area in found.areas()]
    assert (found.frame.unit, found.frame.world_unit) == ("pixel", "mm")
    assert found.bounds().tolist() == [[10.0, 5.0, 18.0, 13.0], [30.0, 25.0, 40.0, 28.0]]


def test_resume_compares_the_file_beside_a_photo_too(run, photo, tmp_path):
    command = ("predict", "blobs", "-i", str(photo), "-o", str(tmp_path / "out"))
    assert run(*command).returncode == 0
    assert "already complete" in run(*command).stderr
    photo.with_suffix(".json").write_text('{"mm_per_pixel": 0.25}')
    other = run(*command)
    assert other.returncode == 0
    assert "was changed since it was done before; computed again" in other.stderr


def test_a_photo_without_a_scale_has_pixels_and_no_made_up_areas(run, photo, tmp_path):
    photo.with_suffix(".json").unlink()
    done = run("predict", "blobs", "-i", str(photo), "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stderr.splitlines() if " pixels" in line] == [
        ["small", "30", "pixels"],
        ["large", "60", "pixels"],
    ]
    found = read_objects(tmp_path / "out" / "cells" / "blobs.geojson")
    assert found.frame.affine is None
    assert list(found.measurements) == ["area [pixels]"]
    small = run("predict", "blobs", "-i", str(photo), "-o", str(tmp_path / "large"), "--min-area", "40")
    assert [line.split() for line in small.stderr.splitlines() if " pixels" in line] == [
        ["small", "0", "pixels"],
        ["large", "60", "pixels"],
    ]


def test_scores_from_the_shell(run, tmp_path):
    volume = make_volume(tmp_path / "in" / "ct.nii.gz")
    assert run("predict", "otsu", "-i", str(volume), "-o", str(tmp_path / "out")).returncode == 0
    labels = tmp_path / "out" / "ct" / "labels.nii.gz"
    done = run("evaluate", "otsu", "-i", str(volume), "--labels", str(labels), "-o", str(tmp_path / "report"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["Dice: 1.0000 (n=1)", str(tmp_path / "report" / "scores.csv")]
    damaged = tmp_path / "damaged.nii.gz"
    damaged.write_bytes(b"no labels")
    done = run("evaluate", "otsu", "-i", str(volume), "--labels", str(damaged), "-o", str(tmp_path / "report"))
    assert done.returncode == 3
    assert "Error: ct: " in done.stderr


IN_PYTHON = """
import sys
import numpy as np
import workbench as wb
from workbench.testing import check_backend, check_kind, make_volume
from pathlib import Path
photo, folder = Path(sys.argv[1]), Path(sys.argv[2])
image = check_kind("photo", photo)
check_backend("blobs", photo)
check_backend("otsu", make_volume(folder / "ct.nii.gz"))
result = wb.predict("blobs", photo, min_area=40)
assert result["blobs"].areas().tolist() == [60.0], result["blobs"].areas()
wb.write(result, folder / "out")
wb.write(image, folder / "copy")
copy = wb.read(folder / "copy" / "cells.png")
assert np.array_equal(copy.data, image.data)
assert copy.geometry.spacing == (0.5, 0.5) and copy.geometry.unit == "mm"
(layer,) = wb.to_layers(image)
assert layer[0].shape == (40, 60, 3) and layer[1]["rgb"] and layer[2] == "image"
(shapes,) = wb.to_layers(result)
assert shapes[2] == "shapes" and len(shapes[0]) == 1
assert {k: layer[1][k] for k in ("scale", "units", "axis_labels")} == {
    k: shapes[1][k] for k in ("scale", "units", "axis_labels")
} == {"scale": (0.5, 0.5), "units": ("mm", "mm"), "axis_labels": ("y", "x")}
print("all good")
"""


def test_python_and_the_checks(run, photo, tmp_path):
    done = run(str(photo), str(tmp_path), code=IN_PYTHON)
    assert done.returncode == 0, done.stderr
    assert "all good" in done.stdout


IN_NAPARI = """
import sys, time, warnings
from pathlib import Path
import napari, numpy as np
from napari.qt import get_qapp
from workbench_napari.launch import open_files
photo, volume, out = sys.argv[1:4]
viewer = napari.Viewer(show=True)
app = get_qapp()

def wait(tool):
    ends = []
    tool.runner.finished.connect(lambda how, text: ends.append((how, text)))
    stop = time.monotonic() + 120
    while not ends and time.monotonic() < stop:
        app.processEvents()
        time.sleep(0.01)
    assert ends and ends[0][0] == "done", ends

tool = open_files(viewer, [photo])
assert type(tool).__name__ == "GeneralTool", tool
assert [layer.name for layer in viewer.layers] == ["cells"], viewer.layers
assert viewer.layers["cells"].rgb
tool.input.model.choose("blobs")
assert sorted(tool.input.model.form.widgets) == ["large", "level", "min_area"]
assert tool.input.model.weights is None and tool.input.model.device is None
tool.input.model.form.set_values({"level": 0.3})
tool.run_button.click()
wait(tool)
shapes = viewer.layers["cells blobs"]
assert len(shapes.data) == 2
image = viewer.layers["cells"]
assert image.scale.tolist() == shapes.scale.tolist() == [0.5, 0.5]
assert {str(u) for layer in (image, shapes) for u in layer.units} == {"millimeter"}
shapes.selected_data = {1}
shapes.remove_selected()
tool.folder.setText(out)
tool.save_button.click()
wait(tool)
from workbench.data.objects import read_objects
saved = read_objects(Path(out) / "cells" / "blobs.geojson")
assert saved.areas().tolist() == [60.0], saved.areas()
table = (Path(out) / "cells" / "sizes.csv").read_text(encoding="utf-8").split()
assert table[-2:] == ["small,0.0,0,0", "large,15.0,60,1"], table

viewer.layers.clear()
tool = open_files(viewer, [volume])
assert type(tool).__name__ == "VolumeTool"
assert tool.model.choice.count() == 2
tool.model.choose("otsu")
assert sorted(tool.model.form.widgets) == ["bins", "smooth"]
tool.run_button.click()
wait(tool)
labels = next(layer for layer in viewer.layers if type(layer).__name__ == "Labels")
assert set(np.unique(labels.data)) == {0, 1}
viewer.close()
print("window good")
"""


@pytest.mark.gui
def test_window_form_layers_save_and_reopen(run, photo, tmp_path, display):
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    volume = make_volume(tmp_path / "in" / "ct.nii.gz")
    done = run(str(photo), str(volume), str(tmp_path / "out"), code=IN_NAPARI)
    assert "window good" in done.stdout, done.stderr[-3000:]


_ROW = "from workbench import Backend\nROW = Backend({name!r}, 'x', 'x', {kind!r}, ('x',), ('x',), 'x', 'os')\n"
BROKEN = {
    "replaces": (
        "workbench.backends",
        "segformer3d",
        _ROW.format(name="segformer3d", kind="volume"),
        "'segformer3d' is a name of the workbench",
    ),
    "raises": ("workbench.kinds", "bad", "raise RuntimeError('boom')\n", "cannot be loaded (RuntimeError: boom)"),
    "wrong": ("workbench.backends", "wrong", "ROW = 5\n", "is a int, a workbench Backend was expected"),
    "lonely": (
        "workbench.backends",
        "lonely",
        _ROW.format(name="lonely", kind="smell"),
        "nobody adds its kind of data 'smell'",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_stranger_takes_nothing_down(run, target, tmp_path, case, monkeypatch):
    group, name, code, words = BROKEN[case]
    site = tmp_path / "site"
    (site / "stranger-1.0.dist-info").mkdir(parents=True)
    (site / "stranger_row.py").write_text(code)
    info = site / "stranger-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = stranger_row:ROW\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    listed = run("backends", "--json")
    assert listed.returncode == 0
    names = [row["name"] for row in json.loads(listed.stdout)]
    assert names[:3] == ["segformer3d", "lola_specvit", "meg_gpt"]
    assert listed.stderr.count("Warning: ") == 1
    assert words in listed.stderr
    assert "distribution stranger" in listed.stderr or case == "lonely"
    assert words in run("doctor").stdout
