"""Over all configurations: nothing looks ahead, and a window filled sample by sample gives the network's logits."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.recording.net.cache import Window
from workbench.recording.net.gpt import MEGGPT


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, object]:
    """Layers that shrink or do not, patches or single positions, bands, unpatched keys, sessions."""
    depth = draw(st.integers(1, 4))
    length = draw(st.integers(1, 6)) * 4
    shape: dict[str, list] = {
        k: [] for k in ("n_patches_in", "patch_len_in", "n_patches_out", "patch_len_out", "unpatched_len_in")
    } | {"l_patched_b": [], "l_unpatched_b": []}
    current = length
    for _ in range(depth):
        patch = draw(st.sampled_from([p for p in (1, 2, 3, 4) if current % p == 0]))
        out = draw(st.one_of(st.just(current), st.integers(1, current)))
        shape["n_patches_in"].append(current // patch)
        shape["patch_len_in"].append(patch)
        shape["n_patches_out"].append(out)
        shape["patch_len_out"].append(1)
        shape["unpatched_len_in"].append(draw(st.one_of(st.just(0), st.integers(0, current))))
        shape["l_patched_b"].append(draw(st.one_of(st.none(), st.integers(0, 9))))
        shape["l_unpatched_b"].append(draw(st.one_of(st.none(), st.integers(0, 9))))
        current = out
    heads = draw(st.sampled_from([1, 2]))
    sessions = draw(st.sampled_from([0, 3]))
    return {
        "sequence_length": length,
        "n_channels": draw(st.integers(1, 3)),
        "n_tokens": 5,
        "model_dim": 4 * heads,
        "n_heads": heads,
        "ff_dim": 6,
        "n_sessions": sessions,
        "session_dim": draw(st.sampled_from([3, 4 * heads])) if sessions else None,
        "loss_sequence_length": draw(st.integers(1, current)),
        **shape,
    }


def lively_net(config: dict[str, object], seed: int = 0) -> MEGGPT:
    """With weights large enough that whatever is seen shows."""
    torch.manual_seed(seed)
    net = MEGGPT(**config).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, 0, 0.7)
    return net


def made_up(net: MEGGPT, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor | None]:
    tokens = torch.randint(0, net.n_tokens, (batch, net.sequence_length, net.n_channels))
    return tokens, torch.arange(batch) % net.n_sessions if net.n_sessions else None


@settings(max_examples=60, deadline=None)
@given(configurations(), st.data())
def test_a_future_token_never_changes_earlier_logits(config, data) -> None:
    net = lively_net(config)
    tokens, session = made_up(net)
    position = data.draw(st.integers(0, net.sequence_length - 1))
    changed = tokens.clone()
    changed[:, position:] = (tokens[:, position:] + torch.randint(1, 5, tokens[:, position:].shape)) % 5
    rows = max(0, position - (net.sequence_length - net.length_out))
    with torch.no_grad():
        before, after = net(tokens, session), net(changed, session)
    assert torch.isfinite(before).all()
    assert torch.allclose(before[:, :rows], after[:, :rows], atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(configurations(), st.data())
def test_a_window_filled_sample_by_sample_gives_the_same_logits(config, data) -> None:
    net = lively_net(config)
    tokens, session = made_up(net)
    first = net.sequence_length - net.length_out
    begin = data.draw(st.integers(first + 1, net.sequence_length))
    with torch.no_grad():
        expected = net(tokens, session)
        window = Window(net, session)
        for _ in range(2):  # a window can be started again
            found = [window.start(tokens[:, :begin])]
            found += [window.step(tokens[:, p]) for p in range(begin, net.sequence_length)]
    scale = expected.abs().max().clamp(min=1)
    assert (torch.stack(found, 1) - expected[:, begin - first - 1 :]).abs().max() <= 1e-5 * scale
    with pytest.raises(ValueError, match="full"):
        window.step(tokens[:, 0])


@settings(max_examples=30, deadline=None)
@given(configurations())
def test_gradients_are_finite(config) -> None:
    net = lively_net(config)
    tokens, session = made_up(net)
    net.train()
    net.loss(torch.cat([tokens, tokens[:, :1]], 1), session)["loss"].backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in net.parameters())


def test_released_configuration_by_samples() -> None:
    torch.manual_seed(0)
    net = MEGGPT.preset("released", n_channels=2).eval()
    tokens, _ = made_up(net)
    with torch.no_grad():
        expected = net(tokens, "mean")
        window = Window(net, "mean")
        found = [window.start(tokens[:, :85])] + [window.step(tokens[:, p]) for p in range(85, 100)]
    assert (torch.stack(found, 1) - expected).abs().max() <= 1e-5


def test_a_window_wants_enough_context() -> None:
    net = MEGGPT.preset("released", n_channels=1, model_dim=8, ff_dim=8, n_sessions=0).eval()
    window = Window(net)
    with pytest.raises(ValueError, match="expected 85 to 100"):
        window.start(torch.ones(1, 84, 1, dtype=torch.long))
    with pytest.raises(ValueError, match="not started"):
        window.step(torch.ones(1, 1, dtype=torch.long))
