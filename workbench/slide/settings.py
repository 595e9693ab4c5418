"""The settings of what the backends of this kind can do, one class per verb, to be had without a backend itself."""

from workbench.slide.predict.settings import Config
from workbench.slide.train.settings import SlideTrainConfig as TrainConfig

__all__ = ["Config", "TrainConfig"]
