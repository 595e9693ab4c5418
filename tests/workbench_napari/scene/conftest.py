"""A scene of three materials, and an open Spectra tool."""

from __future__ import annotations

import numpy as np
import pytest
from workbench_napari.launch import open_files

from tests.scene_maker import MAP_INFO, save_envi
from tests.workbench_napari.scene.window import BANDS, COLUMNS, FAST, ROWS, WAVELENGTHS, truth


@pytest.fixture(scope="module")
def scene_file(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = (WAVELENGTHS - 440) / 500
    pure = np.stack([0.1 + 0.5 * (x > 0.55), 0.35 - 0.25 * x, 0.15 + 0.4 * x])
    data = pure[truth() - 1].transpose(2, 0, 1) + rng.normal(scale=0.01, size=(BANDS, ROWS, COLUMNS))
    bad = ", ".join("0" if 10 <= b < 13 else "1" for b in range(BANDS))
    return save_envi(
        tmp_path_factory.mktemp("scene"),
        data.astype(np.float32),
        name="meadow",
        wavelength="{" + ", ".join(f"{w:.1f}" for w in WAVELENGTHS) + "}",
        wavelength_units="Nanometers",
        bbl="{" + bad + "}",
        map_info=MAP_INFO,
    )


@pytest.fixture
def opened(window, scene_file, tmp_path):
    viewer = window()
    tool = open_files(viewer, [scene_file])
    tool.device.setCurrentText("cpu")
    tool.learning.form.set_values(FAST)
    tool.folder.setText(str(tmp_path / "out"))
    return viewer, tool
