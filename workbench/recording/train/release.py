"""The authors' release of MEG-GPT as weights of ours: three files of theirs become one.

Repository OHBA-analysis/MEG-GPT (MIT), arXiv:2510.18080. `workbench weights get meg-gpt` calls this.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench import weights
from workbench.core.atomic import sha256_of
from workbench.core.errors import WeightsError
from workbench.recording.data.recipe import RecordingRecipe
from workbench.recording.net.gpt import MEGGPT
from workbench.recording.net.official import from_official
from workbench.recording.predict.tokens import Codec
from workbench.weights.inert_pickle import read

TOKENIZER = "models/tokenizer/model_state.pt"
VOCABULARY = "models/tokenizer/vocab.pkl"
GPT = "models/meg-gpt/model_state.pt"

SAMPLING_RATE = 250.0


def install(files: Mapping[str, Path], out: Path) -> Path:
    """Write one file of ours from the files of the release.

    Parameters
    ----------
    files
        By their names in the repository: `TOKENIZER`, `VOCABULARY` and, unless tokens alone are wanted, `GPT`.
    out
        A ``.safetensors`` file.
    """
    gpt_file = files.get(GPT)
    with weights.blaming(gpt_file or files[TOKENIZER]):
        tokenizer, vocabulary, gpt = from_official(
            weights.load_tensors(files[TOKENIZER]),
            _arrays(files[VOCABULARY]),
            weights.load_tensors(gpt_file) if gpt_file else None,
        )
    codec = Codec.learnt(tokenizer, vocabulary)
    tensors = codec.tensors()
    if gpt is not None:
        tensors |= {f"gpt.{k}": v for k, v in gpt.state_dict().items()}
    return weights.save(out, tensors, {**record(codec, gpt), "sources": {k: sha256_of(v) for k, v in files.items()}})


def record(codec: Codec, gpt: MEGGPT | None) -> dict[str, Any]:
    """What a weight file of the release says of itself."""
    recipe = RecordingRecipe(sampling_rate=SAMPLING_RATE, n_channels=None if gpt is None else gpt.n_channels)
    return {
        "backend": "meg_gpt",
        "net": {"codec": codec.config(), "gpt": None if gpt is None else gpt.config},
        "recipe": recipe.to_json(),
        "channels": [],
        "sessions": [],
        "training": {"data": "Cam-CAN, eyes-closed rest, 52 parcels of Glasser-52 at 250 Hz, by the authors"},
        "scores": {},
        "title": "MEG-GPT, official release" if gpt is not None else "Tokeniser of MEG-GPT, official release",
        "licence": "MIT, Copyright (c) 2026 OHBA Analysis Group",
        "paper": "arXiv:2510.18080",
    }


def _arrays(path: Path) -> Mapping[str, Any]:
    content = read(path)
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: expected the arrays of a vocabulary, found {type(content).__name__}")
    return content
