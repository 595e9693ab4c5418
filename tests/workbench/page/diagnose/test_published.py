"""Checkpoints of transformers give the same logits here; descriptions that cannot be are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from workbench.core.errors import WeightsError

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

FULL = {
    "vit": {}, "beit": {"use_relative_position_bias": True, "use_absolute_position_embeddings": False}, "swin": {},
}  # fmt: skip
CLASSES = {"vit": "ViT", "beit": "Beit", "swin": "Swin"}


def checkpoint(architecture, folder, **sizes):
    torch.manual_seed(0)
    config = getattr(transformers, f"{CLASSES[architecture]}Config")(num_labels=4, **FULL[architecture], **sizes)
    model = getattr(transformers, f"{CLASSES[architecture]}ForImageClassification")(config).eval()
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("architecture", list(FULL))
def test_full_size_checkpoints_give_the_same_logits(architecture, tmp_path):
    from workbench.page.diagnose.published import load

    model = checkpoint(architecture, tmp_path)
    net, _, names = load(str(tmp_path), (224, 224), 4)
    assert names == tuple(f"LABEL_{n}" for n in range(4))
    pixels = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(net.ask(pixels).logits, model(pixels).logits)
        other, _, none = load(str(tmp_path), (256, 512), 3)
        assert none == ()
        assert other(torch.zeros(1, 3, 256, 512)).shape == (1, 3)


@pytest.mark.parametrize("architecture", list(FULL))
def test_weights_are_stored_under_published_names_and_give_the_same(architecture):
    from workbench.page.diagnose.published import filled, stored
    from workbench.page.net.classifiers import PictureNet, small

    config = small(architecture, (128, 256), 3)
    net = PictureNet(config).eval()
    state = stored(net)
    again = filled(type(config).from_json(json.loads(json.dumps(config.to_json()))), state, head=True).eval()
    pictures = torch.randint(0, 255, (2, 3, 128, 256), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(net(pictures), again(pictures))
    lacking = {k: v for k, v in state.items() if not k.startswith("classifier.")}
    with pytest.raises(WeightsError, match="lacks classifier"):
        filled(config, lacking, head=True)


@pytest.mark.parametrize("architecture", list(FULL))
def test_what_can_be_taught_can_be_loaded_again(architecture):
    from workbench.page.net.classifiers import PictureNetConfig, small

    widest = (1024, 2048)
    full = PictureNetConfig(
        architecture, widest, 4, {"image_size": 224, "patch_size": 4 if architecture == "swin" else 16}
    )
    for config in (small(architecture, widest, 4), full):
        assert PictureNetConfig.from_json(json.loads(json.dumps(config.to_json()))).size == widest
    with pytest.raises(WeightsError, match="patches of 1 pixels"):
        PictureNetConfig.from_json({**full.to_json(), "sizes": {"patch_size": 1}})


def test_what_cannot_be_a_network_is_refused(tmp_path):
    from workbench.page.diagnose.published import load

    checkpoint("vit", tmp_path, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    said = json.loads((tmp_path / "config.json").read_text())
    for change, words in (
        ({"hidden_size": 60000}, "numbers"), ({"model_type": "gpt2"}, "gpt2"), ({"hidden_size": 64}, "fit"),
        ({"num_hidden_layers": -1}, "no network"),
    ):  # fmt: skip
        (tmp_path / "config.json").write_text(json.dumps({**said, **change}))
        with pytest.raises(WeightsError, match=words):
            load(str(tmp_path), (224, 224), 4)
    with pytest.raises(WeightsError, match="no network"):
        load(str(tmp_path / "nowhere"), (224, 224), 4)


@pytest.mark.parametrize("architecture", list(FULL))
def test_attribution_points_at_what_moves_a_class(architecture):
    from workbench.page.diagnose.attribution import on_picture
    from workbench.page.net.classifiers import PictureNet, small

    torch.manual_seed(3)
    net = PictureNet(small(architecture, (128, 256), 3)).eval()
    picture = np.full((128, 256, 3), 255, np.uint8)
    picture[40:60, 100:140] = 0
    seen = on_picture(net, picture, 1, "cpu")
    assert seen.shape == (128, 256)
    assert seen.min() >= 0
    assert abs(float(seen.sum()) - 1) < 1e-3
    other = on_picture(net, picture, 1, "cpu", 0)
    assert not np.allclose(seen, other), "what speaks for both alike counts for neither"


def test_attribution_of_leads_is_what_the_class_loses_without_each():
    from workbench.page.diagnose.attribution import on_leads
    from workbench.page.net.lead_net import LeadNet, LeadNetConfig

    torch.manual_seed(0)
    net = LeadNet(LeadNetConfig(3)).eval()
    leads = np.random.default_rng(0).normal(0, 0.3, (12, 1250)).astype(np.float32)
    leads[2], leads[5, 400:] = np.nan, np.nan
    found = on_leads(net, leads, 1, "cpu")
    without = leads.copy()
    without[5] = np.nan
    with torch.no_grad():
        lost = net(torch.from_numpy(np.stack([leads, without])))[:, 1]
    assert found.shape == (12,)
    assert found[5] == pytest.approx(float(lost[0] - lost[1]), abs=1e-5)
    assert found[2] == 0


@pytest.mark.parametrize("wall", [("V1", "V2", "V3"), ("II", "III", "aVF"), ("V5", "V6", "I", "aVL")])
def test_the_demo_points_at_the_leads_of_the_wall_that_was_raised(wall):
    from workbench.page.diagnose.attribution import on_leads
    from workbench.page.diagnose.leads import lead_array
    from workbench.page.diagnose.model import load
    from workbench.page.diagnose.per_lead import shares_of_leads
    from workbench.page.draw.diagnoses import raised
    from workbench.page.draw.simulate import simulate
    from workbench.page.train.examples import shown_of

    net = load("demo", torch.device("cpu")).nets["signal"]
    right, pages = 0, 10
    for n in range(pages):
        whole = lead_array(raised(simulate(71_005_000 + n, seconds=10), wall, 0.35))
        shown = np.where(shown_of("3x4+1", whole.shape[1]), whole, np.nan)
        share = shares_of_leads(on_leads(net, shown, 2, "cpu"))
        right += max(share, key=lambda lead: share[lead]) in wall
    assert right >= 9
