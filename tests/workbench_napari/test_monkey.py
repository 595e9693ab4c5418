"""The monkey as a process of its own: two minutes always, half an hour if asked; and that it finds what there is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.tiny import make_volume
from tests.workbench_napari.monkey import is_far_apart, is_of_napari, is_painting_outside
from tests.workbench_napari.monkey_lives import Life, left_over, rise, said_of_memory, slope, too_much_memory
from tests.workbench_napari.monkey_loading import named_in
from tests.workbench_napari.monkey_saves import _differ, _read_volume

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.gui


def lives(display, tmp_path, minutes, seed):
    """What a monkey says at its end."""
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.workbench_napari.monkey"]
    command += ["--minutes", str(minutes), "--seed", str(seed), "--folder", str(tmp_path / "monkey")]
    paths = [str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=minutes * 60 + 600
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-12_000:]
    assert "nothing found" in done.stdout, said[-12_000:]
    return done.stdout


def test_a_minute_of_random_actions(display, tmp_path):
    lives(display, tmp_path, 1, 21)


@pytest.mark.slow
def test_two_minutes_of_random_actions(display, tmp_path):
    # With this seed napari fell over in its second window, until it was made to tidy up in its own context.
    lives(display, tmp_path, 2, 21)


@pytest.mark.slow
def test_half_an_hour_of_random_actions(display, tmp_path):
    said = lives(display, tmp_path, 30, 7)
    assert "MB a window" in said, "too few windows for a slope of the memory"
    assert "MB a minute" in said, "too few lives for a slope of the memory"


CHILD = """
import sys, threading, warnings
from qtpy.QtCore import QCoreApplication, QTimer
from tests.workbench_napari.watching import Watch

app, watch = QCoreApplication([]), Watch().start()

def slot():
    raise ValueError("in a slot")

class Gone:
    def __del__(self):
        raise ValueError("in a finaliser")

QTimer.singleShot(0, slot)
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
Gone()
warnings.warn_explicit("ours", UserWarning, "/x/workbench_napari/shared/a.py", 1)
warnings.warn_explicit("of others", UserWarning, "/x/napari/a.py", 1)
QTimer.singleShot(50, app.quit)
app.exec()
print([f.split(chr(10))[0].split(" ")[0] for f in watch.faults])
"""


def test_whatever_goes_wrong_in_a_process_is_heard():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, env=environment, timeout=60)
    said = done.stdout.splitlines()[-1]
    assert said == "['unhandled:', 'unraisable', 'warning:', 'unhandled:']", done.stdout + done.stderr


def test_a_file_that_differs_by_one_voxel_is_found(tmp_path):
    import nibabel as nib

    path = make_volume(tmp_path / "ct.nii.gz", (6, 5, 4))
    image = nib.load(path)
    data = (image.get_fdata() > 0).astype("uint8")
    nib.save(nib.Nifti1Image(data, image.affine), tmp_path / "a.nii.gz")
    data[1, 2, 3] += 1
    nib.save(nib.Nifti1Image(data, image.affine), tmp_path / "b.nii.gz")
    moved = image.affine.copy()
    moved[0, 3] += 3.0
    nib.save(nib.Nifti1Image(data, moved), tmp_path / "c.nii.gz")
    one, other, elsewhere = (_read_volume(tmp_path / f"{name}.nii.gz") for name in "abc")
    assert not _differ(one, one)
    assert _differ(one, other)
    assert _differ(other, elsewhere)


def life(objects=(), widgets=(), threads=("MainThread",), windows=0, rss_mb=100.0):
    return Life(25.0 * windows, 1, rss_mb, Counter(widgets), Counter(objects), Counter(threads), windows)


def test_what_is_left_over_is_found():
    clean = life()
    assert not left_over([clean, clean, clean])
    assert "VolumeTool" in left_over([life(["workbench_napari.VolumeTool"])])
    assert "Fold" in left_over([life(widgets=["workbench_napari.Fold"])])
    once = life(widgets=["PyQt6.QMenu"])
    assert not left_over([clean, clean, once, once]), "made once, and kept"
    assert "QMenu" in left_over([clean, clean, once, life(widgets=2 * ["PyQt6.QMenu"])])
    thread = life(threads=["MainThread", "Thread"])
    assert "Thread" in left_over([clean, clean, thread, life(threads=["MainThread", "Thread", "Thread"])])


def test_memory_counts_from_the_twentieth_window_on_and_per_window():
    warming = [life(windows=n, rss_mb=100.0 * n) for n in range(20)]
    level = [life(windows=n, rss_mb=500.0 + n % 2) for n in range(21, 60)]
    rising = [life(windows=n, rss_mb=500.0 + 0.9 * n) for n in range(21, 60, 2)]
    slower = [life(windows=one.windows, rss_mb=one.rss_mb) for one in rising]
    for one in slower:
        one.seconds *= 3  # a machine that others use as well
    assert rise([*warming, *level]) == pytest.approx(0, abs=0.05)
    assert rise([*warming, *rising]) == pytest.approx(0.9)
    assert rise([*warming, *slower]) == pytest.approx(0.9)
    assert rise([*warming, life(windows=21), life(windows=22)]) is None, "too few to say anything"


def test_memory_counts_from_the_fifth_minute_on_and_per_minute():
    warming = [life(windows=n, rss_mb=1e5 * n) for n in range(12)]
    level = [life(windows=n, rss_mb=500.0 + n % 2) for n in range(13, 60)]
    assert slope([*warming, *level]) == pytest.approx(0, abs=0.1)
    assert slope(
        [*warming, *[life(windows=n, rss_mb=500.0 + 7 * 25 / 60 * n) for n in range(13, 60)]]
    ) == pytest.approx(7)
    assert slope([*warming, life(windows=14), life(windows=15)]) is None, "too few to say anything"


def test_rising_memory_is_found():
    rising = [life(windows=n, rss_mb=500.0 + 0.9 * n) for n in range(21, 60)]
    slowly = [life(windows=n, rss_mb=500.0 + 0.8 * n) for n in range(21, 60)]
    assert too_much_memory(rising)
    assert not too_much_memory(slowly)
    assert said_of_memory(slowly) == "memory rises by 0.80 MB a window and 1.92 MB a minute"
    # One step is no slope of most pairs, and one of the whole.
    step = [life(windows=n, rss_mb=500.0 + 60 * (n > 40)) for n in range(21, 60)]
    assert rise(step) == pytest.approx(0)
    assert too_much_memory(step)
    assert not too_much_memory(rising[:3])
    assert "too few" in said_of_memory(rising[:3])


def test_the_pictures_that_qt_keeps_are_no_leak(qtbot):
    from qtpy.QtGui import QPixmap, QPixmapCache

    from tests.workbench_napari.monkey_lives import left

    QPixmapCache.insert("an icon", QPixmap(32, 32))
    assert QPixmapCache.find("an icon") is not None
    left(1.0, 1, 1)
    assert QPixmapCache.find("an icon") is None


FREEING = """
import threading
from tests.workbench_napari import monkey_lives as lives

{}
large = bytearray(30 << 20)  # the glibc keeps more from here on
del large
before = lives._held_mb()

def job():
    blocks = [bytearray(60 << 10) for _ in range(500)]
    del blocks

for _ in range(3):
    thread = threading.Thread(target=job)
    thread.start()
    thread.join()
print(lives._held_mb() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of the C library of Linux")
def test_what_a_job_has_freed_is_given_back():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", FREEING.format("lives.give_back_at_once()")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=True)
    assert float(done.stdout) < 5, done.stdout


def test_what_is_taken_once_is_no_slope():
    once = [life(windows=n, rss_mb=500.0 + 100 * (n > 50)) for n in range(21, 110)]
    assert rise(once) == pytest.approx(0)


def test_modules_that_are_named_as_text_are_loaded_beforehand():
    # SimpleITK takes 100 MB when the first NRRD is saved, at any time of a run, and looked like a leak.
    named = named_in('import a.b\ndef f():\n    from c import d\n    return importlib.import_module("SimpleITK")\n')
    assert named == {"a.b", "c", "c.d", "SimpleITK"}
    assert not named_in('import_module(name)\nprint("SimpleITK")\n')


def test_only_a_stack_without_us_is_that_of_napari():
    stack = 'Current thread 0x1:\n  File "/vispy/gloo/gl/_gl2.py", line 414 in glDrawArrays\n{}Extension modules: a'
    assert is_of_napari(stack.format(""))
    assert is_of_napari(stack.replace("Arrays", "Elements").format(""))
    assert not is_of_napari(stack.format('  File "/plugins/workbench_napari/shared/journal.py", line 1 in a\n'))
    assert not is_of_napari('Current thread 0x1:\n  File "a.py", line 1 in b\nExtension modules: a')


def test_painting_beyond_a_layer_is_napari_s_only_without_a_line_of_ours():
    said = 'File "napari/layers/labels/labels.py", line 1 in _validate_non_painted_coord\n{}IndexError: Coordinate 85'
    assert is_painting_outside(said.format(""))
    assert not is_painting_outside(said.format('File "/plugins/workbench_napari/shared/edit.py", line 1 in paint\n'))
    assert not is_painting_outside("IndexError: Coordinate 85")
    far = 'File "/napari/_qt/widgets/qt_dims_slider.py", line 275\nOverflowError: argument 1 overflowed: value must be'
    assert is_far_apart(far)
    assert not is_far_apart("OverflowError: argument 1 overflowed: value must be")
