import numpy as np
import pytest
import spectral.io.envi as spy

from workbench.core.errors import InputError, UsageError
from workbench.scene.data import spectral_library
from workbench.scene.data.spectral_library import Spectra

RNG = np.random.default_rng(0)
VALUES = RNG.random((3, 7))
WAVELENGTHS = tuple(np.linspace(400, 1000, 7).tolist())
SPECTRA = Spectra(("tree", "wet soil", "roof, red"), VALUES, WAVELENGTHS, VALUES / 10, "reflectance")


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_package_spectral_reads_the_library(tmp_path, dtype):
    paths = spectral_library.write_spectra(
        Spectra(SPECTRA.names, VALUES.astype(dtype), WAVELENGTHS), tmp_path, format="envi"
    )
    assert [p.name for p in paths] == ["spectra.sli", "spectra.hdr"]
    theirs = spy.open(str(paths[1]))
    assert isinstance(theirs, spy.SpectralLibrary)
    np.testing.assert_array_equal(theirs.spectra, VALUES.astype(dtype))
    assert theirs.names == ["tree", "wet soil", "roof; red"]
    np.testing.assert_allclose(theirs.bands.centers, WAVELENGTHS)
    assert theirs.bands.band_unit == "Nanometers"


def test_what_the_package_spectral_writes_is_read(tmp_path):
    header = {"wavelength": (np.array(WAVELENGTHS) / 1000).tolist(), "wavelength units": "Micrometers",
              "spectra names": ["a", "b", "c"]}  # fmt: skip
    spy.SpectralLibrary(VALUES.astype("f4"), header).save(str(tmp_path / "lib"))
    for name in ("lib.hdr", "lib.sli"):
        found = spectral_library.read(tmp_path / name)
        assert found.names == ("a", "b", "c")
        np.testing.assert_array_equal(found.values, VALUES.astype("f4"))
        np.testing.assert_allclose(found.wavelengths_nm, WAVELENGTHS)


def test_tables_hold_means_and_deviations(tmp_path):
    (path,) = spectral_library.write_spectra(SPECTRA, tmp_path / "new" / "folder", name="classes")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == 'wavelength [nm],tree,wet soil,"roof, red",tree sd,wet soil sd,"roof, red sd"'
    assert len(lines) == 8
    found = spectral_library.read(path)
    assert found.names == SPECTRA.names
    assert found.wavelengths_nm == WAVELENGTHS
    np.testing.assert_array_equal(found.values, VALUES)
    np.testing.assert_array_equal(found.deviation, VALUES / 10)
    (bare,) = spectral_library.write_spectra(Spectra(("a",), VALUES[:1]), tmp_path, name="bare")
    assert bare.read_text(encoding="utf-8").splitlines()[0] == "band,a"
    assert spectral_library.read(bare).wavelengths_nm is None


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"2 names for spectra of shape \(3, 7\)"):
        Spectra(("a", "b"), VALUES)
    with pytest.raises(UsageError, match="6 wavelengths for spectra of 7 bands"):
        Spectra(SPECTRA.names, VALUES, WAVELENGTHS[:6])
    with pytest.raises(UsageError, match="cannot be a file name"):
        spectral_library.write_spectra(SPECTRA, tmp_path, name="../x")
    with pytest.raises(UsageError, match="no format 'xls' for spectra"):
        spectral_library.write_spectra(SPECTRA, tmp_path, format="xls")
    sli, header = spectral_library.write_spectra(SPECTRA, tmp_path, format="envi")
    sli.write_bytes(sli.read_bytes()[:-8])
    with pytest.raises(InputError, match="the file has 160 bytes"):
        spectral_library.read(header)
    (tmp_path / "x.csv").write_text("hello\nworld\n")
    with pytest.raises(InputError, match="not a table of spectra"):
        spectral_library.read(tmp_path / "x.csv")
