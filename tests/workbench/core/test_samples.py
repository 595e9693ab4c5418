"""Sample files and demo weights are found, and are what they are said to be."""

import pytest

from workbench.core.samples import demo_weights, sample_files
from workbench.data import formats
from workbench.data.cases import load_cases


def test_sample_cases_load_with_matching_labels() -> None:
    cases = load_cases(sample_files()["cases"])
    assert len(cases) >= 2
    assert len({c.group for c in cases}) == len(cases)
    for case in cases:
        image = formats.read(case.image)
        labels = formats.read_labels(case.labels, reference=image.geometry)
        assert labels.classes.names == ("liver", "spleen", "kidneys", "aorta", "vertebrae", "lungs")


def test_demo_weights_are_small_and_carry_their_record_and_card() -> None:
    from workbench import weights

    path = demo_weights()["segformer3d"]
    meta = weights.find("demo", "segformer3d").meta
    assert path.stat().st_size < 6_000_000
    assert [c["name"] for c in meta["classes"]] == ["liver", "spleen", "kidneys", "aorta", "vertebrae", "lungs"]
    assert meta["scores"]["held_out"]["summary"]["all"]["dice_mean"] >= 0.88
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert "Research use only" in card
    assert "phantoms" in card


@pytest.mark.slow
def test_demo_weights_keep_their_score_on_the_sample_files(tmp_path) -> None:
    import workbench

    report = workbench.evaluate("segformer3d", load_cases(sample_files()["cases"]), out=tmp_path, device="cpu")
    assert report.mean_dice >= 0.90
    assert not report.failures
