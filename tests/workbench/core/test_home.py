"""Where the workbench keeps its files."""

from pathlib import Path

import platformdirs

from workbench.core import home


def test_the_environment_moves_everything(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "here"))
    assert home.home() == tmp_path / "here"
    assert home.weights_folder() == tmp_path / "here" / "weights"
    assert home.recovery_folder() == tmp_path / "here" / "recovery"
    assert not (tmp_path / "here").exists()


def test_a_tilde_is_the_home_of_the_user(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WORKBENCH_HOME", "~/models")
    assert home.home() == tmp_path / "models"


def test_otherwise_it_is_the_folder_of_the_platform(monkeypatch) -> None:
    for unset in (True, False):
        if unset:
            monkeypatch.delenv("WORKBENCH_HOME", raising=False)
        else:
            monkeypatch.setenv("WORKBENCH_HOME", "")  # empty is not the working folder
        assert home.home() == Path(platformdirs.user_data_dir("napari-workbench", appauthor=False))
