"""The settings of what the backend of this kind can do, one class per verb, to be had without the backend itself."""

from workbench.volume.evaluate.settings import EvaluateConfig
from workbench.volume.predict.settings import Config
from workbench.volume.train.settings import TrainConfig

__all__ = ["Config", "EvaluateConfig", "TrainConfig"]
