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


def test_attribution_of_leads_sums_to_what_the_logit_gains():
    from workbench.page.diagnose.attribution import on_leads
    from workbench.page.net.lead_net import LeadNet, LeadNetConfig

    torch.manual_seed(0)
    net = LeadNet(LeadNetConfig(3)).eval()
    leads = np.random.default_rng(0).normal(0, 0.3, (12, 1250)).astype(np.float32)
    leads[2, 400:] = np.nan
    found = on_leads(net, leads, 1, "cpu")
    with torch.no_grad():
        whole = net(torch.from_numpy(leads)[None])[0, 1]
        flat = net(torch.from_numpy(leads * 0)[None])[0, 1]
    assert abs(float(found.sum()) - float(whole - flat)) < 0.15 * abs(float(whole - flat)) + 0.02
    assert (found[2, 400:] == 0).all()
