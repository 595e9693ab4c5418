"""The settings of what the backends of this kind can do, one class per verb, to be had without a backend itself."""

from workbench.slide.predict.settings import Config

__all__ = ["Config"]
