"""The settings of what the backend of this kind can do, one class per verb, to be had without the backend itself."""

from workbench.scene.evaluate.settings import EvaluateConfig
from workbench.scene.predict.settings import Config
from workbench.scene.train.settings import SceneTrainConfig as TrainConfig

__all__ = ["Config", "EvaluateConfig", "TrainConfig"]
