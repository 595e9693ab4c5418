"""What a weight file of MEG-GPT holds, taken apart and put together: tokens, transformer, preparation, names."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workbench import weights
from workbench.core.errors import UsageError, WeightsError
from workbench.nets import lora
from workbench.nets.checkpoints import load_state, require_fit
from workbench.recording.data.agree import Contract
from workbench.recording.data.recipe import RecordingRecipe
from workbench.recording.data.taught import Taught
from workbench.recording.net import official as meg_official
from workbench.recording.net.gpt import MEGGPT
from workbench.recording.predict.tokens import Codec
from workbench.weights import WeightsFile, inert_pickle

BACKEND = "meg_gpt"
LORA_TARGETS = r"(query_projection|patched_projection_[kv]|output_projection|ff_time\.net\.[02])$"
_GPT = "gpt."


@dataclass(frozen=True, eq=False)
class Parts:
    """A tokeniser with its vocabulary, the transformer (or none), and how recordings must come.

    ``channels`` is empty where the weights do not name them; ``sessions`` are those with a vector of their own;
    ``taught`` is ``None`` where they do not say what they learnt from.
    """

    codec: Codec
    gpt: MEGGPT | None
    recipe: RecordingRecipe
    channels: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    name: str = "these"
    taught: Taught | None = None

    @property
    def contract(self) -> Contract:
        """What they ask of recordings."""
        return Contract(self.name, self.taught, self.gpt is not None)

    @property
    def as_tokenizer(self) -> Contract:
        """What they ask of recordings where only their tokeniser is used: any channels will do."""
        return Contract(self.name, self.taught, False)

    @property
    def n_channels(self) -> int | None:
        """Channels that the weights are for; ``None`` if any number will do, as for a tokeniser alone."""
        return None if self.gpt is None else self.gpt.n_channels

    def recipe_for(self, kinds: str = "", reduce: str = "none") -> RecordingRecipe:
        """How to prepare recordings for these weights, with what a user asked for.

        Parameters
        ----------
        kinds
            Channel types to use, separated by commas; empty: as the weights say.
        reduce
            ``"pca"``: reduce more sensors than the weights take; ``"none"``: as the weights say.

        Raises
        ------
        UsageError
            A reduction for weights that take any number of channels.
        """
        recipe = self.recipe
        chosen = tuple(k.strip() for k in kinds.split(",") if k.strip())
        if chosen:
            recipe = dataclasses.replace(recipe, kinds=chosen, channels=None)
        if self.n_channels is not None:
            recipe = dataclasses.replace(recipe, n_channels=self.n_channels)
        if reduce == "pca":
            if self.n_channels is None:
                raise UsageError("these weights take any number of channels: leave out --reduce")
            recipe = dataclasses.replace(recipe, reduce="pca")
        return recipe


def load_parts(found: WeightsFile) -> Parts:
    """Everything in a weight file, ours (adapters merged into their base) or the authors', on the CPU.

    Raises
    ------
    WeightsError
        Not for this backend, or tensors that do not fit the record.
    """
    with weights.blaming(found.path):
        taught = Taught.of(found.meta)
    return dataclasses.replace(_parts_of(found), name=found.name, taught=taught)


def _parts_of(found: WeightsFile) -> Parts:
    if "net" not in found.meta:
        return _official(found)
    with weights.blaming(found.path):
        if found.is_lora:
            return _adapted(found)
        tensors = _float32(weights.load_tensors(found))
        record = found.meta["net"]
        codec = Codec.build(record["codec"], tensors)
        gpt = None
        if record.get("gpt"):
            state = {k.removeprefix(_GPT): v for k, v in tensors.items() if k.startswith(_GPT)}
            require_fit(lambda: MEGGPT(**record["gpt"]), state)
            gpt = MEGGPT(**record["gpt"])
            load_state(gpt, state)
            gpt.eval()
            if gpt.n_tokens != codec.n_tokens:
                raise WeightsError(f"a transformer of {gpt.n_tokens} tokens, but the tokeniser has {codec.n_tokens}")
        return Parts(
            codec, gpt, RecordingRecipe.from_json(found.meta["recipe"]),
            tuple(found.meta.get("channels", ())), tuple(found.meta.get("sessions", ())),
        )  # fmt: skip


def _adapted(found: WeightsFile) -> Parts:
    base = load_parts(weights.find_base(found))
    if base.gpt is None:
        raise WeightsError("an adapter of a transformer, but its base holds only a tokeniser")
    tensors = _float32(weights.load_tensors(found))
    lora.load_lora(base.gpt, {k.removeprefix(_GPT): v for k, v in tensors.items() if k.startswith(_GPT)})
    lora.merge_lora(base.gpt)
    base.gpt.eval()
    recipe = RecordingRecipe.from_json(found.meta["recipe"])
    return dataclasses.replace(base, recipe=recipe, channels=tuple(found.meta.get("channels", ())))


def _official(found: WeightsFile) -> Parts:
    """The authors' tokeniser (its vocabulary beside it) or transformer (the tokeniser's folder beside its own)."""
    tensors = weights.load_tensors(found)
    kind = meg_official.kind_of(tensors)
    if kind is None:
        raise WeightsError(
            f"{found.path}: neither weights of this workbench nor the state of MEG-GPT or its tokeniser; train some "
            "(workbench train meg_gpt), or fetch the released ones (workbench weights get meg-gpt)"
        )
    gpt, coder_file = (None, found.path) if kind == "tokenizer" else (tensors, _beside_transformer(found.path))
    coder = tensors if kind == "tokenizer" else weights.load_tensors(coder_file)
    with weights.blaming(found.path):
        tokenizer, vocabulary, network = meg_official.from_official(coder, _vocabulary_of(coder_file), gpt)
    recipe = RecordingRecipe(n_channels=None if network is None else network.n_channels)
    return Parts(Codec.learnt(tokenizer, vocabulary), network, recipe)


def _beside_transformer(path: Path) -> Path:
    """The tokeniser that belongs to a released transformer."""
    folders = [path.parent.parent / "tokenizer", path.parent / "tokenizer"]
    names = [f / f"model_state{suffix}" for f in folders for suffix in (".pt", ".safetensors")]
    found = next((n for n in names if n.is_file()), None)
    if found is None:
        raise WeightsError(
            f"{path}: a transformer of MEG-GPT needs its tokeniser; put the release's folder 'tokenizer' "
            f"(model_state.pt and vocab.pkl) beside {path.parent}"
        )
    return found


def _vocabulary_of(tokenizer: Path) -> Mapping[str, Any]:
    """Arrays of the vocabulary beside a released tokeniser, ``vocab.pkl`` or the same as JSON; nothing is executed."""
    stem = tokenizer.stem.replace("weights", "vocab")
    names = [n + suffix for n in dict.fromkeys(("vocab", stem)) for suffix in (".pkl", ".json")]
    found = next((tokenizer.with_name(n) for n in names if tokenizer.with_name(n).is_file()), None)
    if found is None:
        raise WeightsError(f"{tokenizer}: the vocabulary of this tokeniser is missing; put vocab.pkl beside it")
    content = json.loads(found.read_text(encoding="utf-8")) if found.suffix == ".json" else inert_pickle.read(found)
    if not isinstance(content, Mapping):
        raise WeightsError(f"{found}: a {type(content).__name__}, expected the arrays of a vocabulary")
    return content


def save_parts(
    out: Path,
    codec: Codec,
    gpt: MEGGPT | None,
    record: Mapping[str, Any],
    *,
    half: bool,
    adapter: bool = False,
) -> Path:
    """Write a weight file; `record` holds what goes beside ``backend`` and ``net``.

    With `half` the transformer is stored as float16, and of the tokeniser what loses nothing by it (see `rounded`): it
    decides which token a sample gets. An `adapter` is stored without what its base holds.
    """
    state: dict[str, Tensor] = {}
    if gpt is not None:
        state = {_GPT + k: v for k, v in (lora.lora_state(gpt) if adapter else gpt.state_dict()).items()}
    if half:
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    if not adapter:
        own = codec.tensors()
        state |= {k: v.half() if half and _exact(v) else v for k, v in own.items()}
    net = {"codec": codec.config(), "gpt": None if gpt is None else gpt.config}
    return weights.save(out, state, {"backend": BACKEND, "net": net, **record})


def rounded(codec_net: torch.nn.Module) -> None:
    """Round a tokeniser to float16 in place, before anything is counted with it: what is stored then gives the same."""
    with torch.no_grad():
        for value in codec_net.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.half().to(value.dtype))


def _exact(value: Tensor) -> bool:
    """Whether float16 holds the very same numbers."""
    return value.is_floating_point() and bool(torch.equal(value.half().to(value.dtype), value))


def _float32(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
