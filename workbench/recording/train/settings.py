"""The settings of a training on recordings (tokeniser, then MEG-GPT): keyword arguments, flags and form. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.core.agreement import force_setting
from workbench.core.settings import setting


@dataclass(frozen=True)
class StageSchedule:
    """How one stage is taught: passes over the data or steps, windows per step, rate, and what the optimiser does."""

    epochs: float
    steps: int
    batch: int
    lr: float
    warmup: float
    floor: float
    clip: float
    weight_decay: float
    ema: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8


# Of the tokeniser, and how its temperature falls: stages, first and last temperature, how it starts.
TOKENIZER_SCHEDULES: dict[str, StageSchedule] = {
    "fast": StageSchedule(0, 300, 8, 1e-3, 0.05, 0.02, 1.0, 0.0, 0.0),
    "released": StageSchedule(20, 0, 128, 1e-5, 0.0, 1.0, 0.0, 0.0, 0.0),
    "paper": StageSchedule(40, 0, 32, 1e-5, 0.0, 1.0, 0.0, 0.0, 0.0, eps=1e-7),
}
ANNEALING: dict[str, tuple[int, float, float, str]] = {
    "fast": (10, 0.3, 1e-3, "levels"),
    "released": (20, 1.0, 1e-3, "random"),
    # 0 at the end as published would leave the last stage without a gradient for the encoder.
    "paper": (40, 1.0, 1e-3, "random"),
}
MODEL_SCHEDULES: dict[str, StageSchedule] = {
    "fast": StageSchedule(0, 600, 8, 2e-3, 0.1, 0.05, 1.0, 0.01, 0.97, (0.9, 0.98)),
    "released": StageSchedule(10, 0, 128, 1e-5, 0.1, 0.1, 1.0, 0.01, 0.0, (0.9, 0.98)),
    "paper": StageSchedule(60, 0, 8, 1e-5, 0.0, 1.0, 0.0, 0.0, 0.0, eps=1e-7),
}


@dataclass(frozen=True)
class MEGTrainConfig:
    """How to teach a tokeniser and a MEG-GPT from recordings."""

    weights: str = setting(
        "none", "none to start from scratch, or weights to go on from or to adapt: demo, a name or a file"
    )
    device: str = setting("auto", "auto, cpu, cuda, cuda:N or mps")
    stage: Literal["both", "tokenizer", "model"] = setting(
        "both", "what to teach; model alone needs a tokeniser that is there: fixed, a file, or that of the weights"
    )
    tokenizer: str = setting(
        "learn", "learn, mulaw or quantile (both fixed), or weights that hold a tokeniser: a name or a file"
    )
    schedule: Literal["fast", "released", "paper"] = setting(
        "fast",
        "fast: ours, minutes on a processor; released: as the authors' PyTorch release; paper: as the paper and the "
        "study of tokenisers. Settings below that are 0 or empty follow it",
    )
    net: Literal["small", "released"] = setting(
        "small", "size of a transformer made from scratch: ours, or as released (4 million parameters)"
    )
    n_tokens: int = setting(128, "tokens to begin with; unused ones are dropped", low=2, high=4096)
    tokenizer_steps: int = setting(0, "optimiser steps of the tokeniser", low=0)
    tokenizer_epochs: float = setting(0.0, "passes over the data instead, for the tokeniser", low=0)
    tokenizer_batch: int = setting(0, "windows (of all channels) per step of the tokeniser", low=0)
    tokenizer_lr: float = setting(0.0, "highest learning rate of the tokeniser", low=0.0, high=1.0)
    steps: int = setting(0, "optimiser steps of the transformer", low=0)
    epochs: float = setting(0.0, "passes over the data instead, for the transformer", low=0)
    batch: int = setting(0, "windows (of all channels) per step of the transformer", low=0)
    lr: float = setting(0.0, "highest learning rate of the transformer", low=0.0, high=1.0)
    max_minutes: float = setting(
        0.0, "stop each stage after this time, with the learning rate fallen to its end; 0: no limit", low=0
    )
    validation: Literal["auto", "subject", "windows"] = setting(
        "auto",
        "keep whole subjects apart, or windows of every recording (as published; easier, since the same brains are "
        "trained on); auto: subjects if there are at least two",
    )
    val_fraction: float = setting(0.1, "share of the subjects or windows to validate on", low=0.0, high=0.9)
    session_embedding: bool = setting(
        False, "give every training recording a vector of its own, to generate its like; others get the mean"
    )
    lora_rank: int = setting(
        0, "adapt given weights by low-rank additions of this rank, saved small; 0: train everything", low=0
    )
    resume: bool = setting(False, "continue an interrupted training of the same settings")
    force: bool = force_setting()
    overwrite: bool = setting(False, "replace weights, and the state of a training, that are already at the output")
    seed: int = setting(0, "decides the split, the windows and the first weights", low=0)
    sampling_rate: float = setting(250.0, "rate the recordings are brought to, from scratch", unit="Hz", low=1.0)
    allow_resample: bool = setting(True, "resample recordings of another rate; without it they are refused")
    band: tuple[float, float] | None = setting(None, "band-pass from scratch; by default none", unit="Hz", low=0.0)
    notch: float | None = setting(None, "mains frequency to filter out with its harmonics", unit="Hz", low=1.0)
    kinds: str = setting("", "channel types to use, e.g. 'mag' or 'mag,grad'; empty: as the recordings suggest")
    channels: tuple[str, ...] = setting(
        (), "names of the channels to use, in this order (one each, or with commas); by default all of the kind"
    )
    reduce: Literal["none", "pca"] = setting(
        "none", "pca: reduce the sensors to n_channels components, a stated change of what is modelled"
    )
    n_channels: int = setting(0, "channels to reduce to; 0: as many as the weights or recordings have", low=0)
    start: Literal["schedule", "random", "levels"] = setting(
        "schedule",
        "how a tokeniser starts: random as published, or with tokens that are levels of the present sample, which "
        "training then turns into waveforms (many times faster)",
        advanced=True,
    )
    annealing: int = setting(0, "stages in which the temperature falls; 0: as the schedule", low=0, advanced=True)
    temperature: float = setting(
        0.0, "temperature of the first stage; 0: as the schedule", low=0.0, high=1.0, advanced=True
    )
    end_temperature: float = setting(
        1e-3, "temperature of the last stage; above 0, or the encoder learns nothing in it", low=1e-6, high=1.0,
        advanced=True,
    )  # fmt: skip
    units: int = setting(128, "width of the tokeniser's recurrent encoder", low=4, advanced=True)
    token_dim: int = setting(10, "length of a token's waveform", unit="samples", low=1, advanced=True)
    window: int = setting(200, "length of the tokeniser's windows", unit="samples", low=20, advanced=True)
    padding: Literal["causal", "same"] = setting(
        "causal", "whether a token's waveform begins at its sample, or lies on both sides of it", advanced=True
    )
    margin: int = setting(
        10, "samples at both ends of a window whose tokens are taken from the neighbouring window", low=0, advanced=True
    )
    dropout: float = setting(-1.0, "of the transformer; below 0: as its size says", low=-1.0, high=0.9, advanced=True)
    weight_decay: float = setting(
        -1.0, "of the transformer's matrices, not of embeddings, norms and biases; below 0: as the schedule",
        low=-1.0, advanced=True,
    )  # fmt: skip
    ema: float = setting(
        -1.0, "share of the old average kept per step in the transformer's weights; 0: off; below 0: as the schedule",
        low=-1.0, high=0.99999, advanced=True,
    )  # fmt: skip
    patience: int = setting(0, "stop after this many validations without progress; 0: never", low=0, advanced=True)
    validate_every: int = setting(0, "steps between validations; 0: ten times in all", low=0, advanced=True)
    val_windows: int = setting(64, "windows to validate on, the same every time", low=1, advanced=True)
    precision: Literal["float32", "bfloat16"] = setting(
        "float32", "arithmetic of the transformer's training", advanced=True
    )
    save_as: Literal["float16", "float32"] = setting("float16", "numbers in the weight file", advanced=True)

    def tokenizer_schedule(self) -> StageSchedule:
        """The schedule of the tokeniser, with what was set otherwise."""
        return _changed(
            TOKENIZER_SCHEDULES[self.schedule],
            epochs=self.tokenizer_epochs, steps=self.tokenizer_steps, batch=self.tokenizer_batch, lr=self.tokenizer_lr,
        )  # fmt: skip

    def model_schedule(self) -> StageSchedule:
        """The schedule of the transformer, with what was set otherwise."""
        found = _changed(
            MODEL_SCHEDULES[self.schedule], epochs=self.epochs, steps=self.steps, batch=self.batch, lr=self.lr
        )
        return _replaced(
            found,
            weight_decay=found.weight_decay if self.weight_decay < 0 else self.weight_decay,
            ema=found.ema if self.ema < 0 else self.ema,
        )

    def temperatures(self) -> list[float]:
        """Temperature of each stage of the tokeniser's training."""
        stages, first, last, _ = ANNEALING[self.schedule]
        stages, first = self.annealing or stages, self.temperature or first
        last = min(self.end_temperature or last, first)
        if stages == 1:
            return [last]
        return [first + (last - first) * i / (stages - 1) for i in range(stages)]

    def tokenizer_start(self) -> str:
        """``"random"`` or ``"levels"``."""
        return ANNEALING[self.schedule][3] if self.start == "schedule" else self.start


def _changed(base: StageSchedule, *, epochs: float, steps: int, batch: int, lr: float) -> StageSchedule:
    if epochs or steps:
        base = _replaced(base, epochs=0.0 if steps else epochs, steps=steps)
    return _replaced(base, batch=batch or base.batch, lr=lr or base.lr)


def _replaced(base: StageSchedule, **changes: float | int) -> StageSchedule:
    from dataclasses import replace

    return replace(base, **changes)  # type: ignore[arg-type]
