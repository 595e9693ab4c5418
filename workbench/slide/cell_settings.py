"""The settings of what CellVTA can do, one class per verb, to be had without the backend itself."""

from workbench.slide.evaluate.settings import CellEvaluateConfig as EvaluateConfig
from workbench.slide.predict.cell_settings import CellConfig as Config
from workbench.slide.train.cell_settings import CellTrainConfig as TrainConfig

__all__ = ["Config", "EvaluateConfig", "TrainConfig"]
