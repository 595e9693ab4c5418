"""Training that every backend can use. The names of this package are public; its modules are how they are made."""

from workbench.core.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "workbench.training.lesson": (
            "Board",
            "Learner",
            "Lesson",
            "MapBoard",
            "Outcome",
            "Version",
            "Versions",
            "follow",
        )
    },
)
