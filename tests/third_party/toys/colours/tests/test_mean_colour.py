import numpy as np

from workbench.testing import check_backend, make_slide


def test_it_keeps_the_rules(tmp_path):
    path = make_slide(tmp_path / "section.ome.tif", (1024, 768), mpp=(0.5, 0.5))  # tissue on glass
    density = check_backend("mean_colour", path, tile=64)["density"]
    assert density.data.shape == (8, 6)  # 512 x 384 um in tiles of 64 um
    assert density.data[0, 0] == np.float32(-np.log10(244 / 255))  # glass
    assert density.geometry.affine[0].tolist() == [64.0, 0.0, 31.75]  # centres: 32 um less half a pixel of the slide
    assert np.nanmax(density.data) > 0.15
