"""Which classes a scene teaches, and what they are to the weights that a training goes on from."""

from __future__ import annotations

from dataclasses import replace

from workbench import weights
from workbench.core.class_match import adapting_note
from workbench.core.classes import ClassTable
from workbench.core.types import Labels
from workbench.scene.train.settings import SceneTrainConfig
from workbench.scene.train.split import classes_of


def classes_to_learn(
    labels: Labels, config: SceneTrainConfig, start: weights.WeightsFile | None
) -> tuple[ClassTable, tuple[str, ...]]:
    """The classes that occur in a label map, in the order of their values, and what a person should know about them.

    Classes of the weights are never taken for labels of the same number unless ``match`` asks for it.
    """
    named = {c.value: c for c in labels.classes}
    values = classes_of(labels.data)
    classes = ClassTable(tuple(named.get(v) or next(iter(ClassTable.from_values([v]))) for v in values))
    if start is None or not start.meta.get("classes"):
        return classes, ()
    with weights.blaming(start.path):
        known = ClassTable.from_json(start.meta["classes"])
    if config.match == "number" and classes.is_nameless and not known.is_nameless:
        names = {c.value: c for c in known}
        taken = [v for v in values if v in names]
        classes = ClassTable(tuple(replace(c, name=names[c.value].name) if c.value in names else c for c in classes))
        told = ", ".join(f"{names[v].name} ({v})" for v in taken) or "none"
        return classes, (f"labels without names were taken by number for classes of the weights, as asked: {told}",)
    note = adapting_note(known, classes)
    return classes, (note,) if note else ()
