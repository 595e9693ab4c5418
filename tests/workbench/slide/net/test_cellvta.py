"""CellVTA: parity with the numbers of the original, counts and names of both published sizes, what is no CellVTA."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from workbench.core.errors import WeightsError
from workbench.nets.checkpoints import load_state
from workbench.slide.net.cellvta import LARGE, CellVTA, infer_config
from workbench.slide.net.deformable import DeformableAttention, centres

TINY = {
    "image_size": 64, "patch_size": 16, "dim": 32, "depth": 4, "num_heads": 4, "init_values": 1e-5, "inner": 8,
    "deform_heads": 4,
}  # fmt: skip


def tiny(seed: int = 0, **changes: object) -> CellVTA:
    """A small network whose weights are all far from their initial values."""
    torch.manual_seed(seed)
    net = CellVTA(**(TINY | {"num_classes": 3, "num_tissues": 2} | changes))
    for value in net.state_dict().values():
        if value.is_floating_point():
            value.add_(0.1 * torch.randn_like(value).abs())
    return net.eval()


def apart(found: torch.Tensor, right: torch.Tensor) -> float:
    return float((found - right).abs().max() / right.abs().max())


def test_official_numbers(shared_parity: Path) -> None:
    weights = load_file(shared_parity / "cellvta_small_weights_fp8.safetensors")
    weights = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
    stored = load_file(shared_parity / "cellvta_small_io.safetensors")
    net = CellVTA(**infer_config(weights, num_heads=4)).eval()
    assert len(weights) == 618
    assert sum(p.numel() for p in net.parameters()) == 24_382_629
    load_state(net, weights)
    x = stored["input"].float()
    with torch.no_grad():
        found, maps, tissue = net(x), net.encoder.maps(x), net.encoder.tissue()
    assert apart(found.nuclei, stored["nuclei_binary_map"]) <= 1e-4
    for step in (3, 4):
        assert apart(found.hv[..., ::step, ::step], stored[f"hv_map_sub{step}"]) <= 1e-4
        assert apart(found.types[..., ::step, ::step], stored[f"nuclei_type_map_sub{step}"]) <= 1e-4
    assert apart(found.tokens, stored["tokens"]) <= 1e-4
    assert apart(tissue, stored["tissue_types"]) <= 1e-4
    for i, step in enumerate((7, 5, 3)):
        assert apart(maps[i][..., ::step, ::step], stored[f"encoder_f{i + 1}_sub{step}"]) <= 1e-4


@pytest.mark.parametrize(
    ("classes", "tissues", "count"), [(6, 19, 387_769_437), (7, 1, 387_751_052)], ids=["pannuke", "conic"]
)
def test_counts_and_names_of_both_published_forms(classes, tissues, count):
    with torch.device("meta"):
        net = CellVTA(**LARGE, num_classes=classes, num_tissues=tissues)
    state = net.state_dict()
    assert sum(p.numel() for p in net.parameters()) == count
    assert len(state) == 898
    assert {k: state[k].shape for k in (
        "encoder.level_embed", "encoder.interactions.0.injector.attn.sampling_offsets.weight",
        "encoder.interactions.3.extra_extractors.1.ffn.dwconv.dwconv.weight", "encoder.up.weight",
        "nuclei_type_maps_decoder.bottleneck_upsampler.0.block.0.weight", "decoder0.1.block.0.weight",
        "hv_map_decoder.decoder3_upsampler.3.weight", "nuclei_binary_map_decoder.decoder0_header.2.weight",
    )} == {
        "encoder.level_embed": (3, 1024),
        "encoder.interactions.0.injector.attn.sampling_offsets.weight": (192, 1024),
        "encoder.interactions.3.extra_extractors.1.ffn.dwconv.dwconv.weight": (256, 1, 3, 3),
        "encoder.up.weight": (1024, 1024, 2, 2),
        "nuclei_type_maps_decoder.bottleneck_upsampler.0.block.0.weight": (1024, 512, 2, 2),
        "decoder0.1.block.0.weight": (64, 32, 3, 3),
        "hv_map_decoder.decoder3_upsampler.3.weight": (512, 256, 2, 2),
        "nuclei_binary_map_decoder.decoder0_header.2.weight": (2, 64, 1, 1),
    }  # fmt: skip
    told = infer_config(state)
    assert {k: told[k] for k in LARGE} == LARGE
    assert (told["num_classes"], told["num_tissues"]) == (classes, tissues)


def test_a_batch_is_its_items_and_images_need_not_be_square():
    net, x = tiny(), torch.randn(3, 3, 64, 96)
    with torch.no_grad():
        together, alone = net(x), [net(one[None]) for one in x]
    assert together.nuclei.shape == (3, 2, 64, 96)
    assert together.types.shape == (3, 3, 64, 96)
    assert together.tokens.shape == (3, 32, 4, 6)
    for name in ("nuclei", "hv", "types", "tokens"):
        right = torch.cat([getattr(one, name) for one in alone])
        assert (getattr(together, name) - right).abs().max() <= 1e-5 * max(1.0, float(right.abs().max())), name
    with pytest.raises(WeightsError, match="60 x 64 pixels .* patches of 16"):
        net(torch.randn(1, 3, 60, 64))


def test_an_image_on_its_side_gives_other_numbers_but_rows_stay_rows():
    """Maps change where the image does: up in the image is up in every map."""
    net = tiny()
    x = torch.zeros(1, 3, 64, 96)
    with torch.no_grad():
        before = net(x)
        x[..., :16, 80:] = 1.0  # a corner: first rows, last columns
        change = (net(x).nuclei - before.nuclei).abs().amax(1)[0]
    assert change[:16, 80:].mean() > 3 * change[48:, :16].mean()


def test_every_weight_learns():
    net = tiny(num_tissues=0).train()
    out = net(torch.randn(2, 3, 64, 64))
    (out.nuclei.square().mean() + out.hv.square().mean() + out.types.square().mean()).backward()
    idle = {n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum()}
    assert idle == {"encoder.cls_token", "encoder.norm.weight", "encoder.norm.bias"}, "the class token passes by all"


def test_what_is_no_cellvta_is_named():
    state = tiny().state_dict()
    with pytest.raises(WeightsError, match="it has no encoder.spm.stem.0.weight. It seems to be one of CellViT"):
        infer_config({k: v for k, v in state.items() if ".spm." not in k})
    with pytest.raises(WeightsError, match="expected the state dict of CellVTA") as caught:
        infer_config({"conv1.weight": torch.zeros(1)})
    assert "CellViT" not in str(caught.value)
    with pytest.raises(WeightsError, match="6 blocks: a multiple of 4"):
        CellVTA(**(TINY | {"depth": 6}))


def test_attention_samples_where_it_is_told():
    """Without offsets a query in the middle of a cell sees that cell and no other, on every map."""
    attention = DeformableAttention(dim=4, num_heads=1, levels=2, points=1, ratio=1.0)
    with torch.no_grad():
        attention.sampling_offsets.bias.zero_()
        for layer in (attention.value_proj, attention.output_proj):
            layer.weight.copy_(torch.eye(4))
    shapes = [(2, 3), (4, 6)]
    values = torch.zeros(1, 6 + 24, 4)
    values[0, :6, 0] = torch.arange(6.0)
    values[0, 6:, 1] = torch.arange(24.0)
    places = centres(shapes[:1], values)
    found = attention(torch.zeros(1, 6, 4), places, values, shapes)[0]
    assert torch.allclose(found[:, 0], torch.arange(6.0) / 2, atol=1e-5), "half the weight on each map"
    fine = torch.arange(24.0).reshape(4, 6)
    means = fine.reshape(2, 2, 3, 2).mean((1, 3)).reshape(-1)
    assert torch.allclose(found[:, 1], means / 2, atol=1e-5), "between the four fine cells of a coarse one"
