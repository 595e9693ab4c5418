"""The settings of what the backend of this kind can do, one class per verb, to be had without the backend itself."""

from workbench.recording.evaluate.settings import MEGEvaluateConfig as EvaluateConfig
from workbench.recording.predict.settings import Config
from workbench.recording.train.settings import MEGTrainConfig as TrainConfig

__all__ = ["Config", "EvaluateConfig", "TrainConfig"]
