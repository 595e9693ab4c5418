"""Recordings, weights and an open MEG tool."""

from __future__ import annotations

import mne
import numpy as np
import pytest
from workbench_napari.launch import open_files

from tests.recording_maker import save_raw
from tests.tiny import make_tiny_meg_weights
from tests.workbench_napari.recording.window import PARCELS, RATE, SECONDS


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    return make_tiny_meg_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors", channels=5)


@pytest.fixture(scope="module")
def parcel_file(tmp_path_factory):
    """Five parcels with positions, 12 s at 250 Hz, two annotations."""
    rng = np.random.default_rng(0)
    t = np.arange(round(SECONDS * RATE)) / RATE
    data = np.cumsum(rng.normal(0, 0.1, (5, t.size)), 1) * 0.2 + np.sin(2 * np.pi * 10 * t)
    info = mne.create_info(list(PARCELS), RATE, "misc", verbose="ERROR")
    places = [(0.07, 0, 0.04), (-0.07, 0, 0.04), (0, 0.08, 0.04), (0, -0.08, 0.04), (0, 0, 0.1)]
    for channel, place in zip(info["chs"], places, strict=True):
        channel["loc"][:3] = place
    raw = mne.io.RawArray(data, info, verbose="ERROR")
    raw.set_annotations(mne.Annotations([2.0, 5.123456], [0.0, 0.75], ["press", "blink"]))
    path = tmp_path_factory.mktemp("recording") / "rest_raw.fif"
    raw.save(path, verbose="ERROR")
    return path


@pytest.fixture(scope="module")
def sensor_file(tmp_path_factory):
    """Magnetometers, EEG, eye, heart and trigger; a bad channel; annotations."""
    return save_raw(tmp_path_factory.mktemp("sensors") / "sensors_raw.fif")


@pytest.fixture
def opened(window, parcel_file, weights_file, tmp_path, wait):
    viewer = window()
    viewer.window.resize(1300, 850)
    tool = open_files(viewer, [parcel_file])
    tool.panel.model.weights.choose_file(weights_file)
    tool.device.setCurrentText("cpu")
    tool.panel.model.form.set_values({"precision": "float32"})
    tool.folder.setText(str(tmp_path / "out"))
    wait(lambda: viewer.layers.selection.active is viewer.layers["rest_raw"])
    return viewer, tool
