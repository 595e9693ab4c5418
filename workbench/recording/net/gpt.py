"""MEG-GPT: a transformer that predicts the next token of every channel of a recording.

Huang et al., "MEG-GPT", arXiv:2510.18080, in the form of the authors' PyTorch release (MIT, repository
OHBA-analysis/MEG-GPT), which differs from the paper's TensorFlow model: pre-norm, width 256, 5 layers, 100 samples,
4,080,508 parameters. Written from a description of shapes, names and numbers; no line of the authors' code is used.
State-dict layout and numbers are those of the release.

Each channel attends to its own past only; what tells channels, positions and sessions apart are embeddings that are
added to the token's. Each layer keeps the last `n_patches_out * patch_len_out` positions as queries. Its keys and
values are whole patches of `patch_len_in` positions, visible only to positions that lie at or after the patch's end, so
that nothing looks ahead.

>>> net = MEGGPT.preset("small", n_channels=12, n_tokens=40)
>>> logits = net(tokens)                      # (B, L, C) integers -> (B, l_out, C, n_tokens)
>>> net.loss(tokens_and_next)["loss"]         # (B, L + 1, C): mean cross-entropy in nats
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.recording.net.gpt_layers import DecoderLayer, InputEmbedding, Layout

Session = Tensor | Literal["mean"] | None
Bands = Sequence[int | None]

PRESETS: dict[str, dict[str, Any]] = {
    "released": {
        "sequence_length": 100,
        "n_channels": 52,
        "n_tokens": 66,
        "model_dim": 256,
        "n_heads": 4,
        "ff_dim": 1024,
        "n_patches_in": [100, 25, 20, 10, 8],
        "patch_len_in": [1, 4, 4, 8, 8],
        "n_patches_out": [25, 20, 10, 8, 16],
        "patch_len_out": [4, 4, 8, 8, 1],
        "l_patched_b": [8, None, None, None, None],
        "n_sessions": 621,
        "session_dim": 66,
        "loss_sequence_length": 16,
        "dropout": 0.2,
    },
    # For own training on few channels, minutes on a processor: 64 of 100 positions are trained, so that surprisal of a
    # long recording needs few windows.
    "small": {
        "sequence_length": 100,
        "n_channels": 12,
        "n_tokens": 66,
        "model_dim": 64,
        "n_heads": 4,
        "ff_dim": 256,
        "n_patches_in": [100, 25, 20, 20],
        "patch_len_in": [1, 4, 4, 4],
        "n_patches_out": [100, 80, 80, 64],
        "patch_len_out": [1, 1, 1, 1],
        "l_patched_b": [8, None, None, None],
        "n_sessions": 0,
        "session_dim": None,
        "loss_sequence_length": 64,
        "dropout": 0.1,
    },
}
"""Constructor arguments: of the released network, and of ours for training on few channels on a processor."""


class MEGGPT(nn.Module):
    """The network; arguments are named as published, except `n_sessions` and `session_dim`.

    Parameters
    ----------
    sequence_length
        Context in samples.
    n_channels, n_tokens
        Channels of a recording; different tokens including 0, "unseen".
    model_dim, n_heads, ff_dim
        Width, attention heads, hidden width of the feed-forward part.
    n_patches_in, patch_len_in
        Patches of each layer's input and samples in each; their product is the layer's input length.
    n_patches_out, patch_len_out
        Their product is the layer's output length: the input length of the next one.
    unpatched_len_in
        Last positions of each layer's input that are also keys one by one (0 in the release), as one number or one
        per layer.
    l_patched_b, l_unpatched_b
        How many samples back the end of a visible patch (or unpatched key) may lie, per layer; ``None`` for all.
    n_sessions, session_dim
        Sessions with an embedding (0 for none) and its size before projection (`model_dim` if ``None``).
    loss_sequence_length
        Last positions that are trained, at most the output length of the last layer, which is the default.
    dropout
        Rate after the embedding, the attention and the feed-forward part.

    Raises
    ------
    ValueError
        Lengths that do not fit each other.
    """

    def __init__(
        self,
        sequence_length: int,
        n_channels: int,
        n_tokens: int,
        model_dim: int,
        n_heads: int,
        ff_dim: int,
        n_patches_in: Sequence[int],
        patch_len_in: Sequence[int],
        n_patches_out: Sequence[int],
        patch_len_out: Sequence[int],
        unpatched_len_in: int | Sequence[int] = 0,
        l_patched_b: Bands | None = None,
        l_unpatched_b: Bands | None = None,
        n_sessions: int = 0,
        session_dim: int | None = None,
        loss_sequence_length: int | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        depth = len(n_patches_in)
        unpatched = [unpatched_len_in] * depth if isinstance(unpatched_len_in, int) else list(unpatched_len_in)
        bands = list(l_patched_b) if l_patched_b is not None else [None] * depth
        fine_bands = list(l_unpatched_b) if l_unpatched_b is not None else [None] * depth
        per_layer = (n_patches_in, patch_len_in, n_patches_out, patch_len_out, unpatched, bands, fine_bands)
        if not depth or any(len(v) != depth for v in per_layer):
            raise ValueError(f"lists of {[len(v) for v in per_layer]} layers: expected one value per layer in each")
        layouts = [Layout(a * b, c * d, b, u, band, fine) for a, b, c, d, u, band, fine in zip(*per_layer, strict=True)]
        lengths = [sequence_length, *(v.length_out for v in layouts)]
        for i, (layout, length) in enumerate(zip(layouts, lengths, strict=False)):
            if layout.length_in != length:
                raise ValueError(f"layer {i} takes {layout.length_in} positions, but {length} come to it")
        if loss_sequence_length is None:
            loss_sequence_length = lengths[-1]
        if not 1 <= loss_sequence_length <= lengths[-1]:
            raise ValueError(
                f"loss_sequence_length {loss_sequence_length}: the last layer gives {lengths[-1]} positions"
            )
        if model_dim % n_heads:
            raise ValueError(f"model_dim {model_dim} cannot be split into {n_heads} heads")
        for name, value in (("n_channels", n_channels), ("n_tokens", n_tokens), ("ff_dim", ff_dim)):
            if value < 1:
                raise ValueError(f"{name} {value}: expected at least 1")
        self._config: dict[str, Any] = {
            "sequence_length": int(sequence_length),
            "n_channels": int(n_channels),
            "n_tokens": int(n_tokens),
            "model_dim": int(model_dim),
            "n_heads": int(n_heads),
            "ff_dim": int(ff_dim),
            "n_patches_in": [int(v) for v in n_patches_in],
            "patch_len_in": [int(v) for v in patch_len_in],
            "n_patches_out": [int(v) for v in n_patches_out],
            "patch_len_out": [int(v) for v in patch_len_out],
            "unpatched_len_in": [int(v) for v in unpatched],
            "l_patched_b": bands,
            "l_unpatched_b": fine_bands,
            "n_sessions": int(n_sessions),
            "session_dim": int(session_dim or model_dim) if n_sessions else None,
            "loss_sequence_length": int(loss_sequence_length),
            "dropout": float(dropout),
        }
        self.sequence_length, self.n_channels, self.n_tokens = int(sequence_length), int(n_channels), int(n_tokens)
        self.n_sessions, self.n_trained = int(n_sessions), int(loss_sequence_length)
        self.length_out = lengths[-1]
        self.input_embedding_layer = InputEmbedding(
            sequence_length, n_channels, n_tokens, model_dim, n_sessions, self._config["session_dim"], dropout
        )
        self.transformer_decoder = _Decoder([DecoderLayer(v, model_dim, n_heads, ff_dim, dropout) for v in layouts])
        self.prediction_head = nn.Linear(model_dim, n_tokens)
        nn.init.xavier_uniform_(self.prediction_head.weight)
        nn.init.zeros_(self.prediction_head.bias)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> MEGGPT:
        """A network of `PRESETS`, with changes."""
        if name not in PRESETS:
            raise ValueError(f"no preset {name!r}; expected one of {', '.join(PRESETS)}")
        return cls(**{**PRESETS[name], **changes})

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return dict(self._config)

    @property
    def layers(self) -> Sequence[DecoderLayer]:
        """The decoder layers, first to last."""
        return [v for v in self.transformer_decoder.layers if isinstance(v, DecoderLayer)]

    def hidden(self, tokens: Tensor, session: Session = None, *, last: int | None = None) -> Tensor:
        """What the last layer gives, before the prediction head.

        Parameters
        ----------
        tokens
            ``(B, sequence_length, C)`` integers.
        session
            ``(B,)`` session numbers, ``"mean"`` for the mean session, or ``None`` to leave the session out.
        last
            Only so many of the last positions, which saves the rest of the last layer's work.

        Returns
        -------
        Tensor
            ``(B, l_out, C, model_dim)``.
        """
        batch, length, channels = tokens.shape
        if length != self.sequence_length:
            raise ValueError(f"{length} samples of context, expected {self.sequence_length}")
        x = self.input_embedding_layer(tokens, session).flatten(0, 1)
        layers = self.layers
        for layer in layers[:-1]:
            x = layer(x)
        x = layers[-1](x, last)
        out: Tensor = x.reshape(batch, channels, -1, x.shape[-1]).transpose(1, 2)
        return out

    def forward(self, tokens: Tensor, session: Session = None, *, last: int | None = None) -> Tensor:
        """Logits of the token that follows each of the last positions: ``(B, l_out, C, n_tokens)``; see `hidden`."""
        out: Tensor = self.prediction_head(self.hidden(tokens, session, last=last))
        return out

    def loss(self, tokens: Tensor, session: Session = None) -> dict[str, Tensor]:
        """Mean cross-entropy (nats) of the next token at the trained positions, and how often it was among the best.

        Parameters
        ----------
        tokens
            ``(B, sequence_length + 1, C)`` integers: a context and, one sample later, what follows.
        session
            See `hidden`.

        Returns
        -------
        dict
            Scalars ``loss``, ``top1`` and ``top5`` (shares of 1).
        """
        target = tokens[:, -self.n_trained :].long()
        logits = self(tokens[:, :-1], session, last=self.n_trained)
        loss = F.cross_entropy(logits.flatten(0, 2), target.flatten())
        with torch.no_grad():
            best = logits.topk(min(5, self.n_tokens), dim=-1).indices == target[..., None]
        return {"loss": loss, "top1": best[..., 0].float().mean(), "top5": best.any(-1).float().mean()}

    def set_session_table(self, shares: Tensor) -> None:
        """Start the session embedding from token frequencies, ``(n_sessions, session_dim)``, as released."""
        table = self.input_embedding_layer.session_table
        if table is None or table.shape != shares.shape:
            raise ValueError(f"a session table of {tuple(shares.shape)} does not fit this network")
        with torch.no_grad():
            table.copy_(shares)


class _Decoder(nn.Module):
    """Holds the layers under the published name."""

    def __init__(self, layers: list[DecoderLayer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
